"""The sides of `performance.py`: callables that answer one window each, and the machine's own peak."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from _perf_subject import Subject, pictures, plain_network
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.engine.engines import find_engine
from a3d_edge.engine.session import BundleNetwork

__all__ = [
    "AS_EXPORTED",
    "EAGER",
    "GEMM",
    "GEMM_INT8",
    "GEMM_SIDE",
    "OURS",
    "OV_PLAIN",
    "OV_PLAIN_INT8",
    "PLAIN",
    "STREAMED",
    "Side",
    "peak_sides",
    "plain_session",
    "sides_of",
]

Side = Callable[[], NDArray[Any]]

OURS = {
    "ours, ORT fp32": ("ort:CPU", "fp32"),
    "ours, ORT int8": ("ort:CPU", "int8"),
    "ours, OpenVINO fp32": ("openvino", "fp32"),
    "ours, OpenVINO int8": ("openvino", "int8"),
    "ours, ORT int8, as exported": ("ort:CPU", "int8"),
    "ours, OpenVINO int8, as exported": ("openvino", "int8"),
}
AS_EXPORTED = ", as exported"
"""With the convolutions in fp32 that the exporter leaves so; the others have none (`Subject`)."""
STREAMED = " streaming"
EAGER, PLAIN = "PyTorch eager", "plain export, ORT"
OV_PLAIN, OV_PLAIN_INT8 = "plain export, OpenVINO fp32", "plain export, OpenVINO int8 (NNCF)"
GEMM, GEMM_INT8 = "GEMM fp32", "GEMM int8"
GEMM_SIDE = 2048


def sides_of(subject: Subject, configuration: Configuration, threads: int) -> dict[str, Side]:
    """Everything that answers a window of a configuration; each gives its logits."""
    window = pictures(configuration).numpy()
    sides: dict[str, Side] = {}
    for name, (engine, precision) in OURS.items():
        if engine != "openvino" or importlib.util.find_spec("openvino"):
            own = configuration.at("int8" if precision == "int8" else "fp32")
            bundle = subject.bundle if name.endswith(AS_EXPORTED) else subject.all_int8
            network = BundleNetwork(bundle.files_of(own), threads, find_engine(engine))
            sides[name] = _whole(network, window)
            sides[name + STREAMED] = _streaming(network, window)
    clip = np.ascontiguousarray(window.transpose(1, 0, 2, 3)[None])
    sides[EAGER] = _eager(subject, configuration, clip, threads)
    sides[PLAIN] = _onnx_runtime(subject.plain[configuration], clip, threads)
    if importlib.util.find_spec("openvino"):
        sides[OV_PLAIN] = _openvino(subject.plain[configuration], clip, threads)
        if configuration in subject.plain_int8:
            sides[OV_PLAIN_INT8] = _openvino(subject.plain_int8[configuration], clip, threads)
    return sides


def _whole(network: BundleNetwork, window: NDArray[np.float32]) -> Side:
    return lambda: network.logits(*network.encode_window([window]))


def _streaming(network: BundleNetwork, window: NDArray[np.float32]) -> Side:
    """One prediction a hop of one sampled frame: the newest picture is encoded, the others were already."""
    kept = [network.encode(window[i : i + 1]) for i in range(len(window))]
    newest = window[-1:]
    return lambda: network.logits(np.concatenate([*kept[:-1], network.encode(newest)]))


def _eager(subject: Subject, configuration: Configuration, clip: NDArray[np.float32], threads: int) -> Side:
    """In the memory layout that is quicker here."""
    torch.set_num_threads(threads)
    plain = plain_network(subject.checkpoint.model, configuration)
    given = torch.from_numpy(clip)
    last = plain_network(subject.checkpoint.model, configuration).to(memory_format=torch.channels_last_3d)
    sides = [
        _in_torch(plain, given),
        _in_torch(last, given.contiguous(memory_format=torch.channels_last_3d)),
    ]
    return min(sides, key=_quickest)


def _in_torch(network: torch.nn.Module, clip: torch.Tensor) -> Side:
    def run() -> NDArray[Any]:
        with torch.inference_mode():
            return network(clip)[0].numpy()

    return run


def _quickest(side: Side) -> float:
    from _perf_rounds import in_rounds

    return min(in_rounds({"side": side}, 3, 1).ms["side"])


def plain_session(path: Path, threads: int) -> ort.InferenceSession:
    """Default options but for the number of threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _onnx_runtime(path: Path, clip: NDArray[np.float32], threads: int) -> Side:
    session = plain_session(path, threads)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: clip})[0][0]


def _openvino(path: Path, clip: NDArray[np.float32], threads: int) -> Side:
    import openvino as ov

    core = ov.Core()
    properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    request = core.compile_model(core.read_model(str(path)), "CPU", properties).create_infer_request()
    return lambda: np.array(request.infer([clip], share_inputs=True)[0][0])


def peak_sides() -> dict[str, Callable[[], Any]]:
    """Square matrix products of `GEMM_SIDE`: what this machine computes at most."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(GEMM_SIDE, GEMM_SIDE, generator=generator) for _ in range(2))
    found: dict[str, Callable[[], Any]] = {GEMM: lambda: a @ b}
    if hasattr(torch, "_int_mm"):
        x, y = ((16 * t).clamp(-127, 127).to(torch.int8) for t in (a, b))
        found[GEMM_INT8] = lambda: torch._int_mm(x, y)
    return found
