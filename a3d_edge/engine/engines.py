"""Inference engines by name: what opens an exported graph and runs it.

An engine is one small protocol: `Engine.open` gives a `Stage` of a graph file, some of whose stored tensors
are replaced by a configuration's own (batch-norm statistics, quantization scales). `ort:CPU` is always there;
other execution providers of ONNX Runtime go by their names (`ort:CUDA`, `ort:OpenVINO`), and OpenVINO itself
is `openvino` (an extra).
"""

from __future__ import annotations

import importlib.util

from a3d_edge.engine.protocols import (
    Engine,
    PreparingEngine,
    Stage,
    Tensors,
    path_text,
    reason,
    trim_heap,
)
from a3d_edge.errors import UsageError

__all__ = [
    "DEFAULT",
    "Engine",
    "PreparingEngine",
    "Stage",
    "Tensors",
    "find_engine",
    "path_text",
    "reason",
    "trim_heap",
]

DEFAULT = "ort:CPU"


def find_engine(name: str) -> Engine:
    """An engine by its name: ``ort:CPU``, ``ort:<provider>``, ``openvino`` or ``openvino:<device>``.

    Raises `UsageError` that says what to install for one that is not available here.
    """
    family, _, device = name.partition(":")
    if family.lower() == "ort":
        from a3d_edge.engine.ort import OrtEngine

        return OrtEngine.of(device or "CPU")
    if family.lower() == "openvino":
        if importlib.util.find_spec("openvino") is None:
            raise UsageError(f"`engine` {name}: OpenVINO is not installed; pip install 'a3d-edge[openvino]'")
        from a3d_edge.engine.openvino import OpenVinoEngine

        return OpenVinoEngine.of(device or "CPU")
    raise UsageError(f"unknown `engine` '{name}'; there are ort:CPU, ort:<execution provider> and openvino")
