"""Memory with the whole table available, against what a user would load instead.

    python benchmarks/memory.py [--bundle DIR|NAME] [--plain FILE] [--configuration w1.00-s224-t8]
                                [--seconds 24] [--rows N]

Each side is a process of its own, watched every 2 ms, that loads what it needs and predicts:

    run, first         `a3d-edge run` at its own pace on a 640×480 video, after it went through --rows
                       configurations of the table, with room for the active one alone; prepared networks
                       are kept, and none was made before
    run, later         the same again
    run, no cache      the same with `--cache none`
    run, default       as "run, later" with the memory that the device gives (a quarter of what is free)
    one plain session  ONNX Runtime as it comes, on the plain rank-5 export of the configuration
    every row loaded   one network of ours for each row of the table of the configuration's precision, all
                       at once, each run once, without prepared networks

Anonymous memory of the whole process, MB of 1e6 bytes: the median from the first to the last
prediction of the configuration, and the peak from the start, of the process and with its helpers.
--plain: an export that there is already.
Without --bundle: Slow R-50 with random weights and the 14 rows of the paper's [0.016, 1] table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from _options import parser_of

if TYPE_CHECKING:
    from a3d_edge.configuration import Configuration

ARCHITECTURE, TABLE = "slow_r50", "a3d_slow_8x8_0.016"
ALONE = 1  # byte: nothing fits but what is in use
SAMPLE_S = 0.002
FEWEST = 3


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle")
    parser.add_argument("--plain", type=Path)
    parser.add_argument("--configuration", default="w1.00-s224-t8")
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--rows", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        SIDES[arguments.side](arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.files = Path(folder)
        prepare(arguments)
        found = {side: watch(side, arguments) for side in SIDES if side != "export"}
    report(found)


def prepare(arguments: argparse.Namespace) -> None:
    """Files that the sides read, made by processes of their own."""
    from _film import camera_video

    if arguments.bundle is None:
        from a3d_edge.table import find_table

        arguments.bundle = arguments.files / "bundle"
        random_bundle(arguments.bundle, find_table(TABLE).configurations)
    camera_video(arguments.files / "video.mp4", arguments.seconds)
    if arguments.plain is None:
        arguments.plain = arguments.files / "plain.onnx"
        subprocess.run(command("export", arguments), check=True)


def command(side: str, arguments: argparse.Namespace) -> list[str]:
    given = vars(arguments) | {"side": side}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return [sys.executable, str(Path(__file__).resolve()), *options]


def watch(side: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run a side and read its memory from outside; it prints a line after each prediction."""
    from a3d_edge.device.memory import anonymous_mb  # not at the top: the sides hold no more than they need

    process = subprocess.Popen(command(side, arguments), stdout=subprocess.PIPE, text=True)
    ticks: list[float] = []
    reader = threading.Thread(target=lambda: [ticks.append(time.monotonic()) for _ in process.stdout or ()])
    reader.start()
    samples, together = [], 0.0
    while process.poll() is None:
        own = anonymous_mb(process.pid) or 0.0
        samples.append((time.monotonic(), own))
        together = max(together, own + sum(anonymous_mb(one) or 0.0 for one in children(process.pid)))
        time.sleep(SAMPLE_S)
    reader.join()
    if process.returncode or len(ticks) < FEWEST:
        raise SystemExit(f"{side}: {len(ticks)} predictions, exit code {process.returncode}; more --seconds?")
    steady = median(mb for at, mb in samples if ticks[0] <= at <= ticks[-1])
    peak = max(mb for _, mb in samples)
    return {"steady": steady, "peak": peak, "together": together, "predictions": len(ticks)}


def children(process: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        return [int(word) for one in threads for word in (one / "children").read_text().split()]
    except OSError:
        return []


def report(found: dict[str, dict[str, float]]) -> None:
    plain, every = found["plain"]["steady"], found["every"]["steady"]
    print(json.dumps(found))
    print("| side | steady, MB | peak, MB | with helpers | of one plain session | of every row loaded |")
    print("|---|---|---|---|---|---|")
    for side, values in found.items():
        steady = values["steady"]
        amounts = " | ".join(f"{values[one]:.0f}" for one in ("steady", "peak", "together"))
        print(f"| {NAMES[side]} | {amounts} | {steady / plain:.2f} | {steady / every:.2f} |")


# The sides


def export(arguments: argparse.Namespace) -> None:
    """The plain rank-5 graph of the configuration, at full width."""
    import torch

    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.models.registry import describe

    configuration = Configuration.parse(arguments.configuration)
    if configuration.width != 1.0:
        raise SystemExit("the plain export here is of full-width configurations")
    bundle = Bundle.find(arguments.bundle)
    model = describe(bundle.manifest.architecture, len(bundle.classes)).build().eval()
    clip = torch.zeros(1, 3, configuration.frames, configuration.size, configuration.size)
    torch.onnx.export(model, (clip,), str(arguments.plain), dynamo=True, optimize=True)


def plain(arguments: argparse.Namespace) -> None:
    """The plain graph in ONNX Runtime, window after window."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(arguments.plain))
    clip = np.zeros(session.get_inputs()[0].shape, np.float32)
    until = time.monotonic() + arguments.seconds / 2
    while time.monotonic() < until:
        session.run(None, {session.get_inputs()[0].name: clip})
        tick()


def every(arguments: argparse.Namespace) -> None:
    """A network for every row of the table; then the configuration's runs."""
    import numpy as np

    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration

    bundle = Bundle.find(arguments.bundle)
    precision = Configuration.parse(arguments.configuration).precision
    rows = [one for one in bundle.configurations if one.precision == precision]
    networks = {str(configuration): bundle.open(configuration) for configuration in rows}
    shown = networks[arguments.configuration]
    pictures = [np.zeros((1, 3, one.size, one.size), np.float32) for one in shown.pathways]
    until = time.monotonic() + arguments.seconds / 2
    while time.monotonic() < until:
        window = [
            np.concatenate([shown.encode(picture, place)] * len(shown.pathways[place].instants))
            for place, picture in enumerate(pictures)
        ]
        shown.classify(*window)
        tick()


def run_alone(arguments: argparse.Namespace) -> None:
    """The loop, with room for one network, and a folder of prepared ones."""
    _run(arguments, ALONE)


def run_uncached(arguments: argparse.Namespace) -> None:
    """The loop, with room for one network, each made anew."""
    _run(arguments, ALONE, cached=False)


def run_default(arguments: argparse.Namespace) -> None:
    """The loop, with the room that the device gives."""
    _run(arguments, None)


def _run(arguments: argparse.Namespace, memory: int | None, cached: bool = True) -> None:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.control.policy import Decision
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.runtime import Runtime
    from a3d_edge.video.source import open_source

    bundle, last = Bundle.find(arguments.bundle), Configuration.parse(arguments.configuration)
    same = [one for one in bundle.configurations if one.precision == last.precision]
    others = [configuration for configuration in same if configuration != last]
    order = [*others[:: max(1, len(others) // arguments.rows)][: arguments.rows], last]

    class InTurn:
        """Every configuration until it has run, the last one from then on."""

        def decide(self) -> Decision:
            return Decision(order[0], False, "in turn", "none")

        def observe(self, configuration: Configuration, latency_ms: float) -> None:
            if configuration == order[0] and len(order) > 1:
                order.pop(0)
            elif configuration == last:
                tick()

        def refuse(self, configuration: Configuration) -> None:
            raise SystemExit(f"{configuration} could not be loaded")

    video = open_source(str(arguments.files / "video.mp4"), realtime=True)
    cache = PreparedNetworks(arguments.files / "prepared") if cached else None
    Runtime(bundle, video, controller=InTurn(), memory=memory, cache=cache).run()


def tick() -> None:
    print("predicted", flush=True)


SIDES = {
    "export": export,
    "first": run_alone,
    "later": run_alone,
    "uncached": run_uncached,
    "default": run_default,
    "plain": plain,
    "every": every,
}
NAMES = {
    "first": "run, first",
    "later": "run, later",
    "uncached": "run, no cache",
    "default": "run, default",
    "plain": "one plain session",
    "every": "every row loaded",
}


def random_bundle(folder: Path, configurations: Sequence[Configuration]) -> None:
    """A bundle of Slow R-50 with random weights, calibrated on noise."""
    import torch
    from _networks import alive, calibrate_by_size
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    from a3d_edge.demo.rendered import CLASSES
    from a3d_edge.models.checkpoint import Checkpoint

    checkpoint = Checkpoint(alive(ARCHITECTURE, len(CLASSES)), CLASSES, range_name="0.016")
    frames = checkpoint.description.frames
    clips = calibrate_by_size(
        checkpoint.model, configurations, lambda size: torch.randn(1, 3, frames, size, size)
    )
    write_bundle(checkpoint, unmeasured_table(checkpoint, configurations), clips, folder)


if __name__ == "__main__":
    main()
