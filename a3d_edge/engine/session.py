"""One configuration of a bundle, loaded and ready to run (ONNX Runtime)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.errors import BundleError, ResourceError, UsageError
from a3d_edge.video.preprocess import preprocess
from a3d_edge.video.sampler import Pathway, pathways

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle

__all__ = ["Network", "available_threads", "open_network", "probe_pictures", "relative_error"]

Features = NDArray[np.float32]

PROBE_TOLERANCE = 1e-2
"""Other processors round otherwise (1e-5); statistics that were not put in are off by tens of percent."""


class Network(Protocol):
    """A configuration that can run. Not thread-safe: one caller at a time.

    ``pathways``: what it looks at; features are made and handed over in their order.
    """

    configuration: Configuration
    pathways: tuple[Pathway, ...]

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> Features:
        """What is kept of pictures ``(n, 3, S, S)`` of a pathway, each by itself: ``(n, C, S/8, S/8)``
        features, or the pictures themselves where the network has no frame stage."""

    def classify(self, *features: Features) -> NDArray[np.float32]:
        """Class scores (softmax) of one window: ``(T, C, S/8, S/8)`` of every pathway ``-> (classes,)``."""

    def classify_clip(self, images: Sequence[NDArray[np.uint8]]) -> tuple[str, float]:
        """Label and score of a window's BGR frames; see `OrtNetwork.classify_clip`."""


class OrtNetwork:
    """A configuration in ONNX Runtime: its width's two subgraphs with its own batch-norm statistics.

    The statistics replace the graphs' external tensors before the optimizer folds them into the
    convolutions, so they cost nothing per frame. That they took effect is proved on opening: the probe
    input must give the logits that PyTorch gave at export. Raises `BundleError` otherwise.
    """

    def __init__(self, bundle: Bundle, configuration: Configuration, threads: int) -> None:
        self.configuration = configuration
        self.pathways = pathways(bundle.sampling, configuration)
        self._bundle = bundle
        width = bundle.width_of(configuration)
        statistics = bundle.statistics(configuration)
        self._kept: list[Any] = []  # ONNX Runtime reads the replaced tensors while it builds the session
        stages = {}
        for stage, name in (("frame", width.frame), ("clip", width.clip)):
            mine = {norm.name: statistics[norm.name] for norm in width.norms if norm.stage == stage}
            stages[stage] = None if name is None else self._session(bundle.path / name, mine, threads)
        self._frame, self._clip = stages["frame"], stages["clip"]
        self._kept.clear()
        self._prove()
        _trim_heap()

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> Features:
        if self._frame is None:
            return pictures
        return self._compute(self._frame, {"pictures": pictures})

    def logits(self, *features: Features) -> NDArray[np.float32]:
        """Logits ``(classes,)`` of one window's features, of every pathway."""
        assert self._clip is not None
        names = ("features",) if self._frame is not None else ("slow", "fast")
        logits: NDArray[np.float32] = self._compute(self._clip, dict(zip(names, features, strict=True)))[0]
        return logits

    def classify(self, *features: Features) -> NDArray[np.float32]:
        logits = self.logits(*features).astype(np.float64)
        scores = np.exp(logits - logits.max())
        return np.asarray(scores / scores.sum(), np.float32)

    def encode_window(self, pictures: Sequence[NDArray[np.float32]]) -> list[Features]:
        """Features of a whole window: pictures ``(T, 3, S, S)`` of every pathway."""
        return [self.encode(given, place) for place, given in enumerate(pictures)]

    def classify_clip(self, images: Sequence[NDArray[np.uint8]]) -> tuple[str, float]:
        """Label and score of one window: BGR frames ``(H, W, 3)``, evenly spaced over `Sampling.span_s`.

        Any camera rate: at 30 a second they are ``frames·stride`` of them. Raises `UsageError` when they
        are too few to tell the frames apart that the network looks at.
        """
        sampling, spec = self._bundle.sampling, self._bundle.preprocessing
        instants = sampling.frames * sampling.stride
        finest = min([sampling.spacing, *(offset for offset in spec.offsets if offset)])
        if len(images) * finest < instants:
            needed = -(-instants // finest)
            raise UsageError(
                f"{len(images)} frames are too few for a window of {sampling.span_s:.2f} s; give {needed}"
            )
        window = []
        for pathway in self.pathways:
            pictures = []
            for instant in pathway.instants:
                places = [max(0, instant - offset) * len(images) // instants for offset in spec.offsets]
                pictures.append(preprocess([images[i] for i in places], pathway.size, spec))
            window.append(np.stack(pictures))
        scores = self.classify(*self.encode_window(window))
        best = int(scores.argmax())
        return self._bundle.classes[best], float(scores[best])

    def _session(
        self, path: Path, statistics: dict[str, tuple[Any, Any]], threads: int
    ) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # paced input: idle is idle
        names, values = [], []
        for norm, (mean, variance) in statistics.items():
            for suffix, array in (("running_mean", mean), ("running_var", variance)):
                names.append(f"{norm}.{suffix}")
                values.append(ort.OrtValue.ortvalue_from_numpy(array))
        self._kept.extend(values)
        options.add_external_initializers(names, values)
        try:
            return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except MemoryError as error:
            raise ResourceError(
                f"{self.configuration}: not enough memory to load it; pin a narrower one"
            ) from error
        except Exception as error:  # ONNX Runtime raises many types without a common base
            raise BundleError(f"{path}: ONNX Runtime refuses the graph ({_reason(error)})") from error

    def _compute(self, session: ort.InferenceSession, values: dict[str, NDArray[np.float32]]) -> Features:
        try:
            output: Features = session.run(None, values)[0]
        except Exception as error:  # as in `_session`; memory for the activations is what may lack here
            raise ResourceError(f"{self.configuration}: ONNX Runtime failed ({_reason(error)})") from error
        return output

    def _prove(self) -> None:
        expected = np.array(self._bundle.manifest.configurations[str(self.configuration)].probe)
        got = self.logits(*self.encode_window([probe_pictures(pathway) for pathway in self.pathways]))
        error = relative_error(got, expected)
        if not error <= PROBE_TOLERANCE:
            raise BundleError(
                f"{self._bundle.path}: {self.configuration} does not compute what was exported (relative "
                f"error {error:.2g}); export again, or try another onnxruntime than {ort.__version__}"
            )


def open_network(bundle: Bundle, configuration: Configuration, *, threads: int | None = None) -> OrtNetwork:
    """Load a configuration.

    Raises `UsageError` when the bundle lacks it, `BundleError` when it does not compute what was exported,
    `ResourceError` when the device cannot run it.
    """
    return OrtNetwork(bundle, configuration, threads or available_threads())


def available_threads() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def probe_pictures(pathway: Pathway) -> NDArray[np.float32]:
    """A fixed input ``(T, 3, S, S)`` with structure at several scales, the same on every machine."""
    t, s = len(pathway.instants), pathway.size
    count = t * 3 * s * s
    ramp = np.arange(count, dtype=np.int64)
    # An integer hash, then mapped to [-1, 1]: no random generator whose stream might change.
    hashed = (ramp * 2654435761 + (ramp // s) * 40503) % 65521
    noise = hashed.astype(np.float32) * np.float32(2 / 65520) - np.float32(1)
    return noise.reshape(t, 3, s, s)


def relative_error(got: NDArray[Any], expected: NDArray[Any]) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    scale = max(float(np.abs(expected).max()), 1e-6)
    return float(np.abs(np.asarray(got, np.float64) - np.asarray(expected, np.float64)).max()) / scale


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _trim_heap() -> None:
    """Give back what session creation left behind: 400 → 155 MB for a width-1.0 Slow R-50 (glibc only)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
