"""The last step of an export: every configuration computes on real clips what PyTorch computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.engines import Tensors
from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.engine.ort import OrtEngine, OrtStage
from a3d_edge.engine.session import BundleNetwork, available_threads, relative_error
from a3d_edge.errors import A3DEdgeError
from a3d_edge.manifest import Parity
from a3d_edge.models.boxed import unboxed
from a3d_edge.models.network import Clips, SlimNetwork
from a3d_edge.task import Task, same_answer

__all__ = ["TOLERANCE", "ParityError", "check_parity", "compared", "network_logits", "sizes_of"]

TOLERANCE = {"fp32": 1e-3, "int8": 0.5}
"""Relative: of fp32 to each clip's largest logit, of int8 to the largest of all clips. fp32 differs by
rounding alone. int8 is another computation, whose accuracy is measured on labelled clips; beyond this it is
not a coarser network but a broken one."""


class ParityError(A3DEdgeError):
    """Exported ``configurations`` do not compute what the trained network does."""

    def __init__(self, message: str, configurations: tuple[Configuration, ...]) -> None:
        super().__init__(message)
        self.configurations = configurations


def check_parity(
    model: SlimNetwork,
    bundle: Bundle,
    clips: Mapping[int, Clips],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Configuration, Parity]:
    """Parity of every configuration; ``clips[S]`` are windows of that size, `Clips`.

    Raises `ParityError` for configurations whose relative error is above `TOLERANCE`, or fp32's whose top-1
    differs, naming the first; `BundleError` where the rank-5 form of its clip stage does not compute what the
    rank-4 one does.
    """
    found: dict[Configuration, Parity] = {}
    failed: dict[Configuration, str] = {}
    for done, configuration in enumerate(bundle.configurations, start=1):
        parity = _one(model, bundle, configuration, clips[configuration.size])
        found[configuration] = parity
        within = parity.relative_error <= TOLERANCE[configuration.precision]
        if not within or (configuration.precision == "fp32" and not parity.same_top1):
            failed[configuration] = (
                f"parity: {configuration} differs from PyTorch on {parity.clips} clips (relative error "
                f"{parity.relative_error:.2g}, {'same' if parity.same_top1 else 'another'} top-1)"
            )
        files = bundle.files_of(configuration)
        if files.volume is not None:
            BundleNetwork(files, available_threads(), _Volumes())  # proves itself on opening
        progress(done, len(bundle.configurations))
    if failed:
        more = f", and {len(failed) - 1} more do" if len(failed) > 1 else ""
        raise ParityError(f"{next(iter(failed.values()))}{more}; nothing was written", tuple(failed))
    return found


@dataclass(frozen=True)
class _Volumes:
    """ONNX Runtime on the rank-5 graphs, as they are written: it has no integer kernels for them."""

    name = "ort:CPU"
    volumes = True
    _literal: OrtEngine = field(default_factory=lambda: replace(OrtEngine.of("CPU"), optimize=False))

    def open(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> OrtStage:
        return self._literal.open(graph, replaced, shapes, threads)


def _one(model: SlimNetwork, bundle: Bundle, configuration: Configuration, clips: Clips) -> Parity:
    network = BundleNetwork(bundle.files_of(configuration), available_threads())
    with torch.inference_mode():
        expected = model(clips, configuration.at("fp32")).numpy()
    plain, _ = unboxed(clips)
    count = len(plain if isinstance(plain, Tensor) else plain[0])
    return compared(network_logits(network, model, clips), expected, configuration, bundle.task, count)


def network_logits(network: BundleNetwork, model: SlimNetwork, clips: Clips) -> NDArray[np.float32]:
    """What a loaded network computes of clips, as ``model`` (which brings them to its size and frames) would.

    ``(N, classes)``; of every box of every window ``(K, classes)``, in the order in which PyTorch has them.
    """
    fitted, boxes = unboxed(model.fit(clips, network.configuration))
    pathways = [fitted] if isinstance(fitted, Tensor) else fitted
    windows = list(zip(*(x.transpose(1, 2).contiguous().numpy() for x in pathways), strict=True))
    if boxes is None:
        return np.stack([network.logits(*network.encode_window(window)) for window in windows])
    first = boxes.by_pathway[0]
    got = np.zeros((len(first), model.description.classes), np.float32)
    for number, window in enumerate(windows):
        mine = boxes.of_clip(number)
        got[mine.numpy()] = network.logits(*network.encode_window(window), boxes=first[mine].numpy())
    return got


def compared(
    got: NDArray[np.float32],
    expected: NDArray[np.float32],
    configuration: Configuration,
    task: Task,
    clips: int,
) -> Parity:
    """Logits of so many clips (or of the boxes in them) beside PyTorch's, as `check_parity` judges them."""
    if configuration.precision == "int8":  # a clip that hardly moves has logits below a rounding step
        error = relative_error(got, expected)
    else:
        error = max(relative_error(g, e) for g, e in zip(got, expected, strict=True))
    error = error if math.isfinite(error) else math.inf
    within = TOLERANCE[configuration.precision]
    same = all(same_answer(g, e, task, within) for g, e in zip(got, expected, strict=True))
    return Parity(clips=clips, relative_error=float(f"{error:.3g}"), same_top1=same)


def sizes_of(configurations: Sequence[Configuration]) -> list[int]:
    """The distinct sizes, ascending."""
    return sorted({configuration.size for configuration in configurations})
