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
    from a3d_edge.adaptive import Controller
    from a3d_edge.alerts import Alert, AlertRule
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Budget, Configuration
    from a3d_edge.control.controller import BudgetController
    from a3d_edge.control.policy import Decision
    from a3d_edge.device.signals import DeviceSensors, Signals
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.engine.engines import find_engine
    from a3d_edge.engine.session import Network
    from a3d_edge.errors import (
        A3DEdgeError,
        BundleError,
        CheckpointError,
        ResourceError,
        SourceError,
        UsageError,
    )
    from a3d_edge.events import Events, Prediction, Summary, Switch
    from a3d_edge.recognizer import Recognizer
    from a3d_edge.runtime import Runtime, stream
    from a3d_edge.table import ConfigurationBudgetTable
    from a3d_edge.video.source import Frame, Source, open_source

__all__ = [
    "A3DEdgeError",
    "Alert",
    "AlertRule",
    "Budget",
    "BudgetController",
    "Bundle",
    "BundleError",
    "CheckpointError",
    "Configuration",
    "ConfigurationBudgetTable",
    "Controller",
    "Decision",
    "DeviceSensors",
    "Events",
    "Frame",
    "Network",
    "Prediction",
    "PreparedNetworks",
    "Recognizer",
    "ResourceError",
    "Runtime",
    "Signals",
    "Source",
    "SourceError",
    "Summary",
    "Switch",
    "UsageError",
    "__version__",
    "find_engine",
    "open_source",
    "stream",
]
__version__ = "0.1.0"

# ONNX Runtime reports to its maker unless this is set before it is loaded, from 1.29 on also on Linux.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# OpenVINO reports that it is imported, and NNCF its use, unless this module of theirs cannot be found: they
# have stubs for that. Opting out as they document it would write a file into the user's home.
if "openvino" not in sys.modules:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

_HOMES = {
    "A3DEdgeError": "a3d_edge.errors",
    "Alert": "a3d_edge.alerts",
    "AlertRule": "a3d_edge.alerts",
    "Budget": "a3d_edge.configuration",
    "BudgetController": "a3d_edge.control.controller",
    "Bundle": "a3d_edge.bundle",
    "BundleError": "a3d_edge.errors",
    "CheckpointError": "a3d_edge.errors",
    "Configuration": "a3d_edge.configuration",
    "ConfigurationBudgetTable": "a3d_edge.table",
    "Controller": "a3d_edge.adaptive",
    "Decision": "a3d_edge.control.policy",
    "DeviceSensors": "a3d_edge.device.signals",
    "Events": "a3d_edge.events",
    "Frame": "a3d_edge.video.source",
    "Network": "a3d_edge.engine.session",
    "Prediction": "a3d_edge.events",
    "PreparedNetworks": "a3d_edge.engine.cache.prepared",
    "Recognizer": "a3d_edge.recognizer",
    "ResourceError": "a3d_edge.errors",
    "Runtime": "a3d_edge.runtime",
    "Signals": "a3d_edge.device.signals",
    "Source": "a3d_edge.video.source",
    "SourceError": "a3d_edge.errors",
    "Summary": "a3d_edge.events",
    "Switch": "a3d_edge.events",
    "UsageError": "a3d_edge.errors",
    "find_engine": "a3d_edge.engine.engines",
    "open_source": "a3d_edge.video.source",
    "stream": "a3d_edge.runtime",
}
"""Which module each public name lives in."""


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        guesses = import_module("a3d_edge.guesses")
        advice = guesses.advice(name, __all__)
        # `from a3d_edge import …` shows nothing of an AttributeError, and would look for a module instead.
        if advice and sys._getframe(1).f_code.co_name == "_handle_fromlist" and not guesses.is_module(name):
            raise ImportError(f"cannot import name '{name}' from 'a3d_edge'{advice}", name=name)
        raise AttributeError(f"module 'a3d_edge' has no attribute '{name}'{advice}", name=name)


def __dir__() -> list[str]:
    return sorted(__all__)
