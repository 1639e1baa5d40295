"""a3d-edge: one trained video network that a device runs at any cost.

The names below are the stable public interface; importing them never imports torch, onnx or matplotlib.
They load on first use, so that ``import a3d_edge`` and ``a3d-edge --help`` stay quick.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Budget, Configuration
    from a3d_edge.control.controller import BudgetController
    from a3d_edge.errors import A3DEdgeError
    from a3d_edge.runtime import Runtime

__all__ = ["A3DEdgeError", "Budget", "BudgetController", "Bundle", "Configuration", "Runtime", "__version__"]
__version__ = "0.1.0"

# ONNX Runtime reports to its maker unless this is set before it is loaded, from 1.29 on also on Linux.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# OpenVINO reports that it is imported, and NNCF its use, unless this module of theirs cannot be found: they
# have stubs for that. Opting out as they document it would write a file into the user's home.
if "openvino" not in sys.modules:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

_HOMES = {
    "A3DEdgeError": "a3d_edge.errors",
    "Budget": "a3d_edge.configuration",
    "BudgetController": "a3d_edge.control.controller",
    "Bundle": "a3d_edge.bundle",
    "Configuration": "a3d_edge.configuration",
    "Runtime": "a3d_edge.runtime",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'a3d_edge' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
