"""A3D-SlowFast R-50 4×16, whole: calibrate, export, parity of every configuration, and a run on a clip.

    python benchmarks/slowfast_bundle.py --clip clip.mp4 [--arch slowfast_r50_4x16] [--grid] [--out FILE.md]

Weights are random and alive (no batch norm at its initial value); calibration and parity are on rendered
clips. Without --grid, the ten configurations of the paper's Table 11.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnxruntime
import torch
from _networks import alive, calibrate_by_size
from _options import parser_of
from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

from a3d_edge.bundle import Bundle
from a3d_edge.demo.rendered import CLASSES
from a3d_edge.device.machine import describe_machine
from a3d_edge.models.checkpoint import Checkpoint
from a3d_edge.models.ranges import find_range
from a3d_edge.table import find_table
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.evaluation import WindowSet

SHOWN = ("frames_captured", "frames_used", "dropped", "predictions", "switches")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clip", required=True, type=Path)
    parser.add_argument("--arch", default="slowfast_r50_4x16")
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(arguments, Path(folder))
    print(report)
    if arguments.out:
        arguments.out.write_text(report, encoding="utf-8")


def measure(arguments: argparse.Namespace, work: Path) -> str:
    checkpoint = Checkpoint(alive(arguments.arch, len(CLASSES)), CLASSES, range_name="0.06")
    description = checkpoint.description
    configurations = (
        find_range("0.06").grid(description.size, description.frames)
        if arguments.grid
        else list(find_table("a3d_slowfast_4x16_0.06").configurations)
    )
    begun = time.monotonic()
    rendered = [Clip(name, None, seed=i) for i, name in enumerate(CLASSES[:2])]
    windows = WindowSet(
        rendered, FrameCache(work / "frames", 256), description.sampling, checkpoint.preprocessing, 1
    )
    clips = calibrate_by_size(
        checkpoint.model, configurations, lambda size: next(iter(windows.at_size(size)))[1]
    )
    print("calibrated", file=sys.stderr, flush=True)
    table = unmeasured_table(checkpoint, configurations)
    bundle = write_bundle(
        checkpoint, table, clips, work / "bundle", lambda *step: print(*step, file=sys.stderr, flush=True)
    )
    return report(bundle, run(bundle, arguments.clip), time.monotonic() - begun)


def run(bundle: Bundle, clip: Path) -> dict[str, object]:
    """Summary of ``a3d-edge run`` on the clip, every window on another configuration."""
    command = [
        sys.executable,
        "-m",
        "a3d_edge",
        "run",
        "--bundle",
        str(bundle.path),
        "--source",
        str(clip),
        "--json",
    ]
    out = subprocess.run([*command, "--switch-every", "1"], capture_output=True, text=True, check=True).stdout
    summary: dict[str, object] = json.loads(out.splitlines()[-1])
    return summary


def report(bundle: Bundle, summary: dict[str, object], seconds: float) -> str:
    here = describe_machine()
    entries, rows = bundle.manifest.configurations, bundle.table.rows
    lines = [
        f"# {bundle.manifest.architecture}: every configuration exported and run",
        "",
        "`python benchmarks/slowfast_bundle.py`: random weights, calibrated and compared with PyTorch on two",
        f"rendered clips. {here['name']}, Python {here['python']},",
        f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}; {seconds:.0f} s for all of it.",
        "",
        "| configuration | GFLOPs | relative error | same top-1 |",
        "|---|---|---|---|",
    ]
    for row in rows:
        found = entries[row.configuration].parity
        same = "yes" if found.same_top1 else "no"
        lines.append(f"| {row.configuration} | {row.gflops:.3f} | {found.relative_error:.1e} | {same} |")
    sizes = {file.name: file.stat().st_size / 1e6 for file in bundle.path.iterdir()}
    graphs = sum(size for name, size in sizes.items() if name.endswith(".onnx"))
    counts = ", ".join(f"{key} {summary[key]}" for key in SHOWN)
    lines += [
        "",
        f"Bundle: weights {sizes['weights.bin']:.2f} MB, the graphs of {len(bundle.manifest.widths)} widths "
        f"{graphs:.2f} MB, statistics {sizes['statistics.bin']:.2f} MB.",
        "",
        f"`a3d-edge run --switch-every 1` on a real clip, from {rows[0].configuration} to "
        f"{rows[-1].configuration} in turn: {counts}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
