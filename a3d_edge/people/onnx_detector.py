"""A detector of the user's, run by ONNX Runtime.

Its graph is not one of ours, and has more operators than a bundle's, whose sizes are known before they run
(`a3d_edge.graphs.check`). It is held to less (`a3d_edge.graphs.foreign`), and opened for the first time in a
process with limits (`a3d_edge.people.trial`); and what comes out of every run is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from a3d_edge.device.cores import checked_threads
from a3d_edge.engine.ort import WEIGHTS_FOLDER
from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.engine.protocols import path_text, reason
from a3d_edge.errors import ResourceError, SourceError
from a3d_edge.graphs.model import FLOAT, Value
from a3d_edge.limited import lower, serve
from a3d_edge.people.box import Detection, box_trouble, clipped
from a3d_edge.people.decode import decoded
from a3d_edge.people.description import DetectorDescription, read_description, size_trouble
from a3d_edge.people.trial import DetectorGraph, read_detector, tried
from a3d_edge.shown import shown
from a3d_edge.video.opencv import cv2

__all__ = ["OnnxDetector", "picture_for"]

QUIET = 4
GREY = 114
"""What YOLOX fills a letterbox with."""


class OnnxDetector:
    """``path``: a description (.toml, .json), or a graph (.onnx) with one beside it.

    It is run once on a grey picture when it is opened. Raises `UsageError`, `SourceError`, `ResourceError`.
    """

    def __init__(self, path: Path, threads: int | None = None, *, trial: bool = False) -> None:
        """``trial``: this is the process in which it is tried."""
        self._spec, place = read_description(path)
        self.name = shown(str(place))
        self._where = f"`people` {self.name}"
        graph = read_detector(place, self._where)
        self.digest = graph.digest
        self._input, self._width, self._height = self._taken(graph.inputs)
        if not trial:
            tried(graph, path, repr(self._spec), self._width * self._height, self._where)
        self._session = _session(graph, self._where, checked_threads(threads))
        self._outputs = self._given()
        self.detect(np.full((self._height, self._width, 3), GREY, np.uint8))

    def detect(self, image: NDArray[np.uint8]) -> Sequence[Detection]:
        """See `a3d_edge.people.protocols.Detector`."""
        height, width = image.shape[:2]
        picture, across, down = picture_for(image, self._spec, self._width, self._height)
        try:
            found = self._session.run(self._outputs, {self._input: picture})
        except Exception as error:  # ONNX Runtime raises many types without a common base
            raise ResourceError(f"{self._where}: ONNX Runtime failed ({reason(error)})") from error
        arrays = {name: np.asarray(value) for name, value in zip(self._outputs, found, strict=True)}
        boxes, scores = decoded(arrays, self._spec, self._width, self._height, self._where)
        boxes = boxes * np.array([across, down, across, down])
        people = []
        for (x1, y1, x2, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
            if box_trouble((x1, y1, x2, y2), height, width) is None:
                people.append(Detection(clipped((x1, y1, x2, y2), height, width), min(1.0, score)))
        return people[:MOST_PEOPLE]

    def close(self) -> None:
        """The session goes with this object."""

    def _taken(self, inputs: Sequence[Value]) -> tuple[str, int, int]:
        """The input's name, width and height. Raises `SourceError` where it is no picture."""
        shape = inputs[0].shape if len(inputs) == 1 else ()
        if len(shape) != 4 or inputs[0].type != FLOAT or shape[1] != 3 or shape[0] not in (None, 1):
            told = "; ".join(f"{one.name} {one.shape}" for one in inputs)[:200]
            raise SourceError(
                f"{self._where}: takes {shown(told)}, and not one float32 picture (1, 3, height, width)"
            )
        wanted = self._spec.size[::-1] if self._spec.size else (None, None)
        for here, given in zip(shape[2:], wanted, strict=True):
            if here is not None and given is not None and here != given:
                raise SourceError(
                    f"{self._where}: takes pictures {shape[3]}×{shape[2]}, and size is {self._spec.size}"
                )
        height, width = (here or given for here, given in zip(shape[2:], wanted, strict=True))
        if height is None or width is None:
            raise SourceError(
                f"{self._where}: takes pictures of any size; say which in its description: size"
            )
        if trouble := size_trouble(width, height):
            raise SourceError(f"{self._where}: takes pictures {width}×{height}; {trouble}")
        return inputs[0].name, width, height

    def _given(self) -> list[str]:
        """The outputs that are looked at. Raises `SourceError` where detr's are not there."""
        names = [one.name for one in self._session.get_outputs()]
        if self._spec.kind == "yolox":
            return names[:1]
        wanted = [self._spec.boxes, self._spec.logits]
        for one in wanted:
            if one not in names:
                told = shown(", ".join(names)[:200])
                raise SourceError(
                    f"{self._where}: has no output '{shown(one)}', but {told}; name them in its description: "
                    "boxes, logits"
                )
        return wanted


def picture_for(
    image: NDArray[np.uint8], spec: DetectorDescription, width: int, height: int
) -> tuple[NDArray[np.float32], float, float]:
    """The input ``(1, 3, height, width)`` of a frame ``(H, W, 3)`` BGR, and how many of the frame's pixels
    its whole width and height are."""
    rows, columns = image.shape[:2]
    if spec.resize == "stretch":
        inside: Any = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        across, down = float(columns), float(rows)
    else:
        scale = min(width / columns, height / rows)
        there = max(1, int(columns * scale)), max(1, int(rows * scale))
        inside = np.full((height, width, 3), GREY, np.uint8)
        inside[: there[1], : there[0]] = cv2.resize(image, there, interpolation=cv2.INTER_LINEAR)
        across, down = width / scale, height / scale
    if spec.channels == "rgb":
        inside = inside[..., ::-1]
    found = np.empty((1, 3, height, width), np.float32)
    for plane, mean, std in zip(range(3), spec.mean or (0.0,) * 3, spec.std or (1.0,) * 3, strict=True):
        np.divide(inside[..., plane], np.float32(spec.scale), out=found[0, plane], dtype=np.float32)
        found[0, plane] -= np.float32(mean)
        found[0, plane] /= np.float32(std)
    return found, across, down


def _session(graph: DetectorGraph, name: str, threads: int) -> ort.InferenceSession:
    """Of the bytes that were checked, and the weights beside them."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(WEIGHTS_FOLDER, path_text(graph.path.parent.resolve()))
    try:
        return ort.InferenceSession(
            graph.data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except MemoryError as error:
        raise ResourceError(f"{name}: not enough memory to load it") from error
    except Exception as error:
        raise SourceError(f"{name}: ONNX Runtime refuses the graph ({reason(error)})") from error


def try_apart() -> None:
    """What the process does in which a detector is tried."""
    serve(_steps)


def _steps(task: Mapping[str, Any]) -> Iterator[None]:
    lower(task["memory"], task["cpu_s"])
    detector = OnnxDetector(Path(task["path"]), 1, trial=True)
    if detector.digest != task["digest"]:
        raise SourceError(f"`people` {detector.name}: altered while it was tried; name it again")
    yield None
