"""What `a3d_edge` offers by name: guesses of somebody who knows PyTorch, OpenCV or supervision."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import a3d_edge
from a3d_edge.guesses import _MEANT

WORK = (
    "open_source", "Events", "Prediction", "Signals", "PreparedNetworks", "Frame", "Source", "Switch",
    "Summary", "Decision", "Recognizer", "stream", "Bundle", "Runtime", "Network", "find_engine",
    "DeviceSensors",
    "Controller", "ConfigurationBudgetTable", "UsageError", "SourceError", "BundleError", "ResourceError",
)  # fmt: skip
TORCH = ("a3d_edge.models", "a3d_edge.exporters", "a3d_edge.training")
SAY_WHERE = {
    "load": "a3d_edge.Bundle.load",
    "load_bundle": "a3d_edge.Bundle.load",
    "load_model": "a3d_edge.Bundle.load",
    "VideoCapture": "a3d_edge.open_source",
    "VideoSource": "a3d_edge.open_source",
    "VideoReader": "a3d_edge.open_source",
    "get_video_frames_generator": "a3d_edge.open_source",
    "Camera": "a3d_edge.open_source",
    "VideoWriter": "a3d_edge.sinks.video_writer.VideoSink",
    "VideoSink": "a3d_edge.sinks.video_writer.VideoSink",
    "JSONSink": "a3d_edge.sinks.jsonl.JsonEvents",
    "InferencePipeline": "a3d_edge.stream",
    "InferenceSession": "a3d_edge.Bundle.open",
    "Detections": "a3d_edge.Prediction",
    "Callback": "a3d_edge.Events",
    "Sink": "a3d_edge.Events",
    "load_checkpoint": "a3d_edge.models.load_checkpoint",
    "export": "a3d_edge.exporters.export_bundle",
    # The second list, written down before any of it was tried: 26 of these said nothing.
    "save": "a3d_edge.models.checkpoint.save",
    "train": "a3d_edge.training.train",
    "Trainer": "a3d_edge.training.train",
    "fit": "a3d_edge.training.train",
    "evaluate": "a3d_edge.training.evaluate",
    "eval": "a3d_edge.training.evaluate",
    "calibrate": "a3d_edge.training.calibrate.calibrate",
    "build_table": "a3d_edge.training.build_table",
    "flops": "a3d_edge.models.flops.count",
    "count_flops": "a3d_edge.models.flops.count",
    "list_models": "a3d_edge.models.registry.describe",
    "import_checkpoint": "a3d_edge.models.foreign.read",
    "Exporter": "a3d_edge.exporters.export_bundle",
    "AutoModel": "a3d_edge.Bundle.load",
    "readNet": "a3d_edge.Bundle.load",
    "readNetFromONNX": "a3d_edge.Bundle.load",
    "Net": "a3d_edge.Bundle.open",
    "Session": "a3d_edge.Bundle.open",
    "SessionOptions": "a3d_edge.find_engine",
    "Device": "a3d_edge.find_engine",
    "FrameSource": "a3d_edge.open_source",
    "Stream": "a3d_edge.open_source",
    "process_video": "a3d_edge.stream",
    "pipeline": "a3d_edge.stream",
    "predict": "a3d_edge.stream",
    "Predictor": "a3d_edge.Recognizer",
    "Classifications": "a3d_edge.Prediction",
    "Result": "a3d_edge.Prediction",
    "CSVSink": "a3d_edge.Events",
    "Listener": "a3d_edge.Events",
    "FPSMonitor": "a3d_edge.Summary",
    "Scheduler": "a3d_edge.Controller",
    "Profile": "a3d_edge.table.DeviceProfile",
    "LabelAnnotator": "a3d_edge.sinks.pictures.PictureEvents",
    "BoxAnnotator": "a3d_edge.sinks.pictures.PictureEvents",
    "Config": "a3d_edge.Configuration",
    "Error": "a3d_edge.A3DEdgeError",
}


@pytest.mark.parametrize("name", WORK)
def test_a_guess_works(name: str) -> None:
    """Imported by name, and listed."""
    namespace: dict[str, object] = {}
    exec(f"from a3d_edge import {name}", namespace)
    assert getattr(namespace[name], "__name__", name) == name
    assert name in a3d_edge.__all__


@pytest.mark.parametrize(("name", "place"), SAY_WHERE.items())
def test_a_guess_is_told_where_the_thing_is(name: str, place: str) -> None:
    """In the message of the error, which is an ordinary one."""
    with pytest.raises(AttributeError) as caught:
        getattr(a3d_edge, name)
    assert str(caught.value) == f"module 'a3d_edge' has no attribute '{name}'; see {place}"
    assert not hasattr(a3d_edge, name)
    with pytest.raises(ImportError) as refused:
        exec(f"from a3d_edge import {name}")
    assert str(refused.value) == f"cannot import name '{name}' from 'a3d_edge'; see {place}"


@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=pytest.mark.torch) if p.startswith(TORCH) else p for p in _MEANT]
)
def test_the_places_are_there(place: str) -> None:
    """Every one that a message names, down to the method; and no name is listed that works."""
    words = place.split(".")
    module = a3d_edge
    for number, word in enumerate(words[1:], 1):
        if not hasattr(module, word):
            import_module(".".join(words[: number + 1]))
        module = getattr(module, word)
    assert callable(module)
    assert not set(_MEANT[place]) & set(a3d_edge.__all__)


def test_a_slip_of_the_pen_and_a_module() -> None:
    """A name spelt alike is offered, a module that is not loaded yet is named as one; else nothing is."""
    for name, advice in (
        ("Recogniser2", "; did you mean Recognizer?"),
        ("open_sources", "; did you mean open_source?"),
        ("nothing", ""),
        ("__nothing__", ""),
        ("no.name", ""),
    ):
        with pytest.raises(AttributeError) as caught:
            getattr(a3d_edge, name)
        assert str(caught.value) == f"module 'a3d_edge' has no attribute '{name}'{advice}"
    code = "import a3d_edge\ntry: a3d_edge.models\nexcept AttributeError as error: print(error)\n"
    code += "from a3d_edge import models, open_source\nprint(models.__name__)\n"
    code += "try: from a3d_edge import Runtimes\nexcept ImportError as error: print(error)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [
        "module 'a3d_edge' has no attribute 'models'; it is a module: import a3d_edge.models",
        "a3d_edge.models",
        "cannot import name 'Runtimes' from 'a3d_edge'; did you mean Runtime?",
    ]


def test_dir_all_and_types_agree() -> None:
    """`dir` lists what ``from a3d_edge import *`` takes; type checkers see the same, from the same places."""
    assert dir(a3d_edge) == sorted(a3d_edge.__all__)
    tree = ast.parse(Path(a3d_edge.__file__).read_text())
    [block] = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    typed = {
        a.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for a in node.names
    }
    assert typed == a3d_edge._HOMES
    assert {*typed, "__version__"} == set(a3d_edge.__all__)
