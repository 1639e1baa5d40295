"""Names that people look for in `a3d_edge` by what PyTorch, OpenCV or supervision call such a thing; and of
any names the one that was probably meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec

__all__ = ["advice", "close_to", "is_module"]

_MEANT: dict[str, tuple[str, ...]] = {
    "a3d_edge.Bundle.load": (
        "load", "load_bundle", "load_model", "from_pretrained", "Model", "get_model", "AutoModel", "readNet",
        "readNetFromONNX",
    ),
    "a3d_edge.Bundle.open": ("Session", "InferenceSession", "load_network", "compile", "Net"),
    "a3d_edge.open_source": (
        "VideoCapture", "VideoReader", "VideoSource", "Camera", "Stream", "open", "open_video", "read_video",
        "get_video_frames_generator", "VideoInfo", "FrameSource",
    ),
    "a3d_edge.stream": (
        "run", "predict", "infer", "recognise", "recognize", "classify", "pipeline", "Pipeline",
        "InferencePipeline", "process_video",
    ),
    "a3d_edge.Recognizer": ("Recogniser", "Classifier", "VideoClassifier", "Predictor"),
    "a3d_edge.Prediction": ("Detections", "Classifications", "Result", "Results"),
    "a3d_edge.Events": ("Sink", "Callback", "Listener", "CSVSink"),
    "a3d_edge.Summary": ("FPSMonitor",),
    "a3d_edge.DeviceSensors": ("Sensors",),
    "a3d_edge.Controller": ("Policy", "Scheduler"),
    "a3d_edge.table.DeviceProfile": ("Profile",),
    "a3d_edge.Configuration": ("Config",),
    "a3d_edge.ConfigurationBudgetTable": ("Table", "BudgetTable"),
    "a3d_edge.A3DEdgeError": ("Error", "A3dEdgeError"),
    "a3d_edge.find_engine": ("Engine", "Device", "device", "SessionOptions"),
    "a3d_edge.sinks.video_writer.VideoSink": ("VideoSink", "VideoWriter"),
    "a3d_edge.sinks.jsonl.JsonEvents": ("JsonEvents", "JSONSink", "JsonSink"),
    "a3d_edge.sinks.pictures.PictureEvents": ("imshow", "Annotator", "LabelAnnotator", "BoxAnnotator"),
    "a3d_edge.models.load_checkpoint": ("load_checkpoint", "load_state_dict"),
    "a3d_edge.models.checkpoint.save": ("save", "save_checkpoint"),
    "a3d_edge.models.foreign.read": ("import_checkpoint",),
    "a3d_edge.models.registry.describe": ("list_models", "create_model"),
    "a3d_edge.models.flops.count": ("flops", "count_flops"),
    "a3d_edge.training.train": ("train", "fit", "Trainer"),
    "a3d_edge.training.evaluate": ("evaluate", "eval"),
    "a3d_edge.training.calibrate.calibrate": ("calibrate",),
    "a3d_edge.training.build_table": ("build_table",),
    "a3d_edge.exporters.export_bundle": ("export", "export_bundle", "Exporter"),
}  # fmt: skip
"""Where what is meant is, by the names it is looked for."""


def advice(name: str, public: Sequence[str]) -> str:
    """What to add to the message that there is no ``name``: where it is, or a name that is spelt alike."""
    for place, names in _MEANT.items():
        if name in names:
            return f"; see {place}"
    if is_module(name):
        return f"; it is a module: import a3d_edge.{name}"
    alike = get_close_matches(name, public, n=1, cutoff=0.75)
    return f"; did you mean {alike[0]}?" if alike else ""


def close_to(name: str, choices: Sequence[str]) -> str:
    """``; did you mean 'fight'?`` for ``figth``, or Fight, or a part of it; nothing where none is alike."""
    folded = {choice.casefold(): choice for choice in choices}
    word = name.strip().casefold()[:100]
    alike = get_close_matches(word, folded, n=1, cutoff=0.6)
    if not alike and len(word) > 2:
        alike = [one for one in folded if word in one][:1]
    return f"; did you mean '{folded[alike[0]]}'?" if alike else ""


def is_module(name: str) -> bool:
    """Whether a module of the package is called so."""
    return name.isidentifier() and not name.startswith("_") and find_spec(f"a3d_edge.{name}") is not None
