"""One configuration of a network, loaded and ready to run."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.device.cores import available_threads, checked_threads
from a3d_edge.engine.engines import DEFAULT, Engine, Stage, find_engine
from a3d_edge.engine.memory import tidy_heap
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.engine.people import boxes_of_pathways, checked_boxes, probe_boxes
from a3d_edge.errors import BundleError, ResourceError, UsageError
from a3d_edge.task import BOXES, Task, scores_of
from a3d_edge.video.pictures import window_pictures
from a3d_edge.video.placement import placed_boxes
from a3d_edge.video.sampler import Pathway

if TYPE_CHECKING:
    from a3d_edge.engine.cache.prepared import PreparedNetworks

__all__ = [
    "BundleNetwork",
    "Network",
    "available_threads",
    "open_network",
    "probe_pictures",
    "relative_error",
]

Features = NDArray[Any]  # float32, or uint8 of an int8 network

PROBE_TOLERANCE = {"fp32": 1e-2, "int8": 0.1}
"""Other processors round otherwise (1e-5; in int8 a rounding is a step of 1/255 and goes on); statistics that
were not put in are off by tens of percent."""


PREPARED_TRIES = 2
"""What is damaged in the cache is made again, once."""


class Network(Protocol):
    """A configuration that can run. Not thread-safe: one caller at a time.

    ``pathways``: what it looks at; features are made and handed over in their order. ``task``: what it is
    asked (`a3d_edge.task`).
    """

    configuration: Configuration
    task: Task
    pathways: tuple[Pathway, ...]

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> Features:
        """What is kept of pictures ``(n, 3, S, S)`` of a pathway, each by itself: ``(n, S/8, S/8, C)``
        features, or the pictures themselves where the network has no frame stage."""

    def classify(self, *features: Features, boxes: Any = None) -> NDArray[np.float32]:
        """Class scores of one window, ``(T, S/8, S/8, C)`` of every pathway ``-> (classes,)``: softmax of the
        logits over the configuration's temperature, or a sigmoid of each (`a3d_edge.task`).

        A network of the task ``boxes`` answers for each person: ``boxes`` ``(K, 4)`` are x1, y1, x2, y2 in
        pixels of its input, K from 0 to `a3d_edge.engine.people.MOST_PEOPLE`, and what it gives
        ``(K, classes)``, in their order. `a3d_edge.video.placement.placed_boxes` brings those of a frame
        there, at the side ``pathways[0].size`` of this network. Raises `UsageError` for boxes that are none.
        """

    def classify_clip(self, images: Sequence[NDArray[np.uint8]]) -> tuple[str, float]:
        """Label and score of a window's BGR frames; see `BundleNetwork.classify_clip`."""


class BundleNetwork:
    """A configuration of a bundle: its subgraphs with its own statistics or scales, on an engine.

    What a configuration has of its own replaces the graphs' external tensors before the optimizer folds them,
    so it costs nothing per frame. That it took effect is proved on opening: the probe input must give the
    logits that were computed at export. Raises `BundleError` otherwise.
    """

    def __init__(self, files: NetworkFiles, threads: int, engine: Engine | None = None) -> None:
        self.configuration = files.configuration
        self.pathways = files.pathways
        self.task = files.task
        self._files = files
        self._engine = engine or find_engine(DEFAULT)
        graphs = files.graphs(volumes=self._engine.volumes)
        replaced = files.own.read()
        probe = [probe_pictures(pathway) for pathway in self.pathways]
        self._frame: Stage | None = None
        self._names: tuple[str, ...] = ("slow", "fast")
        if "frame" in graphs:
            self._names, shapes = ("features",), {"pictures": probe[0].shape}
            self._frame = self._engine.open(graphs["frame"], replaced["frame"], shapes, threads)
            probe = self.encode_window(probe)
        shapes = {name: given.shape for name, given in zip(self._names, probe, strict=True)}
        self._sizes = tuple(pathway.size for pathway in self.pathways)
        people = probe_boxes(self._sizes[0]) if files.task == BOXES else None
        if people is not None:
            shapes |= {name: one.shape for name, one in boxes_of_pathways(people, self._sizes).items()}
        self._clip = self._engine.open(graphs["clip"], replaced["clip"], shapes, threads)
        self._prove(self.logits(*probe) if people is None else self.logits(*probe, boxes=people))

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> Features:
        return pictures if self._frame is None else self._frame.run({"pictures": pictures})

    def logits(self, *features: Features, boxes: Any = None) -> NDArray[np.float32]:
        """Logits ``(classes,)`` of one window's features, of every pathway; of ``boxes`` ``(K, classes)``."""
        given = dict(zip(self._names, features, strict=True))
        if self._files.task != BOXES:
            if boxes is not None:
                raise UsageError(f"{self.configuration}: this network takes no `boxes`; its task is another")
            logits: NDArray[np.float32] = self._clip.run(given)[0]
            return logits
        if boxes is None:
            raise UsageError(
                f"{self.configuration}: this network answers for people in boxes; give `boxes` (K, 4)"
            )
        people = checked_boxes(boxes, self._sizes[0])
        if not len(people):
            return np.zeros((0, len(self._files.classes)), np.float32)
        return self._clip.run({**given, **boxes_of_pathways(people, self._sizes)})

    def classify(self, *features: Features, boxes: Any = None) -> NDArray[np.float32]:
        logits = self.logits(*features, boxes=boxes)
        return scores_of(logits, self._files.task, self._files.temperature)

    def encode_window(self, pictures: Sequence[NDArray[np.float32]]) -> list[Features]:
        """Features of a whole window: pictures ``(T, 3, S, S)`` of every pathway."""
        if self._frame is None:
            return list(pictures)
        step, found = self._frame.rows, []
        for place, given in enumerate(pictures):
            parts = [self.encode(given[i : i + step], place) for i in range(0, len(given), step)]
            found.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return found

    def classify_clip(self, images: Sequence[NDArray[np.uint8]]) -> tuple[str, float]:
        """Label and score of one window: BGR frames ``(H, W, 3)``, evenly spaced over `Sampling.span_s`.

        Any camera rate: at 30 a second they are ``frames·stride`` of them. Raises `UsageError` when they
        are too few to tell the frames apart that the network looks at, or not (H, W, 3) uint8.
        """
        if self._files.task == BOXES:
            raise UsageError("this network answers for people in boxes; ask it by `classify_people`")
        scores = self.classify(*self._window_of(images))
        best = int(scores.argmax())
        return self._files.classes[best], float(scores[best])

    def classify_people(self, images: Sequence[NDArray[np.uint8]], boxes: Any) -> NDArray[np.float32]:
        """Scores ``(K, classes)`` of people in one window, whose frames are as in `classify_clip`.

        ``boxes``: ``(K, 4)``, x1, y1, x2, y2 in pixels of the frames. Who is not shown has scores of 0: where
        the network looks at the middle alone. Raises `UsageError`, also where the view follows motion.
        """
        _check_clip(images)
        spec = self._files.preprocessing
        if spec.view != "whole":
            raise UsageError("people are found in the whole picture, and this network looks at parts of it")
        height, width = images[0].shape[:2]
        placed = placed_boxes(boxes, height, width, self._sizes[0], spec)
        scores = np.zeros((np.asarray(boxes).reshape(-1, 4).shape[0], len(self._files.classes)), np.float32)
        scores[placed.kept] = self.classify(*self._window_of(images), boxes=placed.boxes)
        return scores

    def _window_of(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        """Features of a window's frames. Raises `UsageError`."""
        _check_clip(images)
        sampling, spec = self._files.sampling, self._files.preprocessing
        instants = sampling.frames * sampling.stride
        finest = min([sampling.spacing, *(offset for offset in spec.offsets if offset)])
        if len(images) * finest < instants:
            needed = -(-instants // finest)
            raise UsageError(
                f"{len(images)} frames are too few for a window of {sampling.span_s:.2f} s; give {needed}"
            )
        window = window_pictures(self.pathways, spec, lambda m: images[m * len(images) // instants])
        return self.encode_window(window)

    def _prove(self, got: NDArray[np.float32]) -> None:
        got = got.reshape(-1)  # of the probe's one box
        error = relative_error(got, np.array(self._files.probe))
        if not error <= PROBE_TOLERANCE[self.configuration.precision]:
            raise BundleError(
                f"{self._files.folder}: {self.configuration} does not compute what was exported on "
                f"{self._engine.name} (relative error {error:.2g}); export again, or try another engine"
            )


def open_network(
    files: NetworkFiles,
    *,
    threads: int | None = None,
    engine: Engine | None = None,
    cache: PreparedNetworks | None = None,
    stop: threading.Event | None = None,
) -> BundleNetwork:
    """Load a network; ``cache``: mapped from there, if it serves it (`a3d_edge.engine.cache.prepared`).

    Raises `UsageError` when the threads are too many, `BundleError` when it does not compute what was
    exported, `ResourceError` when the device cannot run it, or it is told to ``stop`` while the cache
    prepares it.
    """
    threads, engine = checked_threads(threads), engine or find_engine(DEFAULT)
    for _ in range(PREPARED_TRIES if cache else 0):
        assert cache is not None
        prepared = cache.get(files, engine, stop)
        if prepared is None:
            break
        try:
            with tidy_heap():
                return BundleNetwork(files, threads, prepared)
        except (BundleError, ResourceError):
            cache.discard(files, engine)
    with tidy_heap():
        return BundleNetwork(files, threads, engine)


def _check_clip(images: Any) -> None:
    listed = hasattr(images, "__len__") and hasattr(images, "__getitem__")
    if not listed or isinstance(images, Mapping | str):
        raise UsageError(
            f"a clip must be a list of frames, each (H, W, 3) uint8, BGR; this is a {type(images).__name__}"
        )


def probe_pictures(pathway: Pathway) -> NDArray[np.float32]:
    """A fixed input ``(T, 3, S, S)`` with structure at several scales, the same on every machine."""
    t, s = len(pathway.instants), pathway.size
    found = np.empty((t, 3, s, s), np.float32)
    for frame in range(t):  # one after the other: the integers take twice the room of what they become
        ramp = np.arange(frame * 3 * s * s, (frame + 1) * 3 * s * s, dtype=np.int64)
        # An integer hash, then mapped to [-1, 1]: no random generator whose stream might change.
        hashed = (ramp * 2654435761 + (ramp // s) * 40503) % 65521
        found[frame] = (hashed.astype(np.float32) * np.float32(2 / 65520) - np.float32(1)).reshape(3, s, s)
    return found


def relative_error(got: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    scale = max(float(np.abs(expected).max()), 1e-6)
    return float(np.abs(np.asarray(got, np.float64) - np.asarray(expected, np.float64)).max()) / scale
