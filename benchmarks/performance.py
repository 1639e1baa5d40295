"""a3d-edge beside what a user would use instead, in turns in one process; and what a switch costs.

    python benchmarks/performance.py --out docs/results/performance.md [--work DIR] [--json FILE]
    python benchmarks/performance.py --from FILE --out docs/results/performance.md      (write it again)

Slow R-50, random weights (they do not change the work), 400 classes, at three configurations. Needs the
extras `export` and `openvino`, onnxscript, and nncf for OpenVINO's own int8. ``--work`` keeps the exported
networks. Memory and overhead: `memory.py`, `overhead.py`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _film import camera_video
from _options import parser_of
from _perf_report import report
from _perf_rounds import Times, in_rounds
from _perf_sides import EAGER, STREAMED, peak_sides, sides_of
from _perf_subject import Subject, kept, prepare, say
from _perf_switch import WAYS, loading_ms, running

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.device.cores import available_threads
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.flops import count
from a3d_edge.profiling.profiles import describe_device
from a3d_edge.table import find_table

MEASURED = ("w1.00-s224-t8", "w0.50-s224-t4", "w0.50-s128-t2")
TABLE = "a3d_slow_8x8_0.016"
PAIRS = (
    ("w0.50-s128-t2", "w0.50-s224-t4"),
    ("w0.50-s192-t4", "w0.80-s192-t4"),
    ("w0.50-s224-t4-int8", "w1.00-s224-t8-int8"),
)
PACKAGES = ("onnxruntime", "openvino", "nncf", "torch", "onnxscript", "numpy", "opencv-python-headless")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path, help="write what was measured")
    parser.add_argument("--from", dest="given", type=Path, help="what an earlier run measured")
    parser.add_argument("--work", type=Path, help="keep the exported networks here, or use those that are")
    parser.add_argument("--arch", default="slow_r50")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--switches", type=int, default=10, help="of each running pair; 0 leaves them out")
    arguments = parser.parse_args()
    if arguments.given:
        data = json.loads(arguments.given.read_text())
    else:
        with tempfile.TemporaryDirectory() as folder:
            data = measure(arguments, arguments.work or Path(folder))
    text = report(data)
    print(text)
    for path, content in ((arguments.json, json.dumps(data)), (arguments.out, text)):
        if path:
            path.write_text(content, encoding="utf-8")


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """All that `report` shows, as JSON values."""
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    begun, load = datetime.now(timezone.utc), os.getloadavg()[0]
    rows = find_table(TABLE).configurations
    measured = [Configuration.parse(name) for name in MEASURED]
    subject = prepare(arguments.arch, 400, rows, measured, work)
    configurations = {}
    for one in measured:
        configurations[str(one)] = _beside(subject, one, arguments)
        say("measured", one)
    data = {
        "machine": describe_device("ort:CPU", arguments.threads),
        "versions": {name: _version(name) for name in PACKAGES},
        "date": begun.date().isoformat(),
        "load_before": load,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "warm_up": arguments.warm_up,
        "arch": arguments.arch,
        "rows": len(rows),
        "configurations": configurations,
        "disk": disk(subject),
        "openvino_precisions": _openvino_precisions(),
        "kept": kept(subject.bundle),
        "convolutions": len(norms(subject.checkpoint.model)),
    }
    data["loading"] = {
        str(one): loading_ms(subject.plain[one], subject.bundle, one, arguments.threads, 5, work)
        for one in measured
    }
    say("loading measured")
    data["running"] = _running(subject.bundle, arguments, work)
    data["load_after"] = os.getloadavg()[0]
    data["python"] = platform.python_version()
    return data


def _beside(subject: Subject, configuration: Configuration, arguments: argparse.Namespace) -> dict[str, Any]:
    """Times of every side, and by how much its logits differ from PyTorch's, relative to their largest."""
    sides = sides_of(subject, configuration, arguments.threads)
    expected = sides[EAGER]()
    errors = {name: _difference(side(), expected) for name, side in sides.items()}
    whole = {name: sides[name.removesuffix(STREAMED)]() for name in sides if name.endswith(STREAMED)}
    streamed = {name: _difference(sides[name](), logits) for name, logits in whole.items()}
    turns: dict[str, Callable[[], Any]] = {**sides, **peak_sides()}
    times: Times = in_rounds(turns, arguments.rounds, arguments.warm_up)
    cost = count(subject.checkpoint.description, configuration)
    return {
        "gmac": cost.gflops,
        "streaming_gmac": cost.streaming_gflops,
        "ms": times.ms,
        "load": times.load,
        "errors": errors,
        "streamed_errors": streamed,
    }


def _difference(got: Any, expected: Any) -> float:
    scale = float(np.abs(expected).max())
    return float(np.abs(got - expected).max()) / scale


def disk(subject: Subject) -> dict[str, int]:
    """Bytes of the bundle's fp32 part, of its int8 part, and of the full-width network in one ONNX file."""
    bundle = subject.bundle
    int8 = {
        name
        for key, width in bundle.manifest.widths.items()
        if key.endswith("int8")
        for name in (width.frame, width.clip)
    } | {"weights_int8.bin", "scales.bin"}
    sizes = {file.name: file.stat().st_size for file in bundle.path.iterdir()}
    largest = subject.plain[max(subject.measured)]
    return {
        "fp32": sum(size for name, size in sizes.items() if name not in int8),
        "int8": sum(size for name, size in sizes.items() if name in int8),
        "statistics": sizes["statistics.bin"],
        "widths": len({key.removesuffix("-int8") for key in bundle.manifest.widths}),
        "single": sum(file.stat().st_size for file in largest.parent.glob(f"{largest.name}*")),
        "one_per_row": sum(4 * int(1e6 * row.params_m) for row in _fp32_rows(bundle)),
    }


def _fp32_rows(bundle: Bundle) -> Sequence[Any]:
    return [row for row in bundle.table.rows if row.precision == "fp32"]


def _running(bundle: Bundle, arguments: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    if not arguments.switches:
        return []
    video = camera_video(work / "camera.mp4", 15 + 3.2 * arguments.switches)
    found = []
    for pair in PAIRS:
        for way in WAYS:
            parsed = [Configuration.parse(name) for name in pair]
            found.append(
                running(
                    bundle, video, parsed, way=way, switches=arguments.switches, threads=arguments.threads,
                    work=work,
                )
            )  # fmt: skip
            say("switched", *pair, way)
    return found


def _openvino_precisions() -> list[str]:
    """What OpenVINO says that this processor computes in."""
    try:
        import openvino as ov
    except ImportError:
        return []
    return [str(one) for one in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
