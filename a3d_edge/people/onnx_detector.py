"""A detector of the user's, run by ONNX Runtime.

Its graph is not one of ours, and not held to what a bundle's graphs are (`a3d_edge.graphs.check`): who names
one trusts whoever made it (SECURITY.md). What can be checked is: that it is a regular file of a bounded size
that reads no other file but its weights beside it, what goes in, and what comes out of every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from a3d_edge.device.cores import checked_threads
from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.engine.protocols import path_text, reason
from a3d_edge.errors import BundleError, ResourceError, SourceError
from a3d_edge.external_data import check_graph
from a3d_edge.people.box import Detection, box_trouble, clipped
from a3d_edge.people.decode import decoded
from a3d_edge.people.description import DetectorDescription, read_description
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

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._spec, graph = read_description(path)
        self.name = shown(str(graph))
        self._where = f"`people` {self.name}"
        self._session = _session(graph, self._where, checked_threads(threads))
        self._input, self._width, self._height = self._taken()
        self._outputs = [one.name for one in self._session.get_outputs()]
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

    def _taken(self) -> tuple[str, int, int]:
        """The input's name, width and height. Raises `SourceError` where it is no picture."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or inputs[0].type != "tensor(float)" or shape[1] not in (3, "3"):
            told = "; ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
            raise SourceError(
                f"{self._where}: takes {shown(told)}, and not one float32 picture (1, 3, height, width)"
            )
        own = [side if isinstance(side, int) and side > 0 else None for side in shape[2:]]
        wanted = self._spec.size[::-1] if self._spec.size else (None, None)
        for here, given in zip(own, wanted, strict=True):
            if here is not None and given is not None and here != given:
                raise SourceError(
                    f"{self._where}: takes pictures {own[1]}×{own[0]}, and size is {self._spec.size}"
                )
        height, width = (here or given for here, given in zip(own, wanted, strict=True))
        if height is None or width is None:
            raise SourceError(
                f"{self._where}: takes pictures of any size; say which in its description: size"
            )
        if max(height, width) > 4096:
            raise SourceError(f"{self._where}: takes pictures {width}×{height}; at most 4096 are made")
        return inputs[0].name, width, height


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
    planes = inside.transpose(2, 0, 1).astype(np.float32) / np.float32(spec.scale)
    mean, std = (np.array(one, np.float32).reshape(3, 1, 1) for one in (spec.mean, spec.std))
    return np.ascontiguousarray((planes - mean) / std)[np.newaxis], across, down


def _session(graph: Path, name: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        check_graph(graph, {f"{graph.name}.data", f"{graph.name}_data", f"{graph.stem}.data"})
        return ort.InferenceSession(
            path_text(graph), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except BundleError as error:
        told = str(error).removeprefix(f"{graph}: ").partition("; ")[0]
        raise SourceError(f"{name}: {shown(told)}; name a detector's ONNX graph") from error
    except MemoryError as error:
        raise ResourceError(f"{name}: not enough memory to load it") from error
    except Exception as error:
        raise SourceError(f"{name}: ONNX Runtime refuses the graph ({reason(error)})") from error
