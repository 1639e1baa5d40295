"""How long a training step takes in bfloat16, against float32, on this processor.

    python benchmarks/training_precision.py [--arch slow_small ...] [--steps 10]
                                            [--out docs/results/training_precision.md]

Whole steps on random clips: all networks' forward and backward passes, and the update; of the full network
alone and of mutual training with its sub-networks. Both precisions step in turns, from the same weights.
One line a network: medians in ms, and the ratio. What it does to accuracy: `evidence/precision.py`.
"""

from __future__ import annotations

import gc
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from _options import parser_of

from a3d_edge.device.machine import describe_machine, processor
from a3d_edge.models.network import SlimNetwork
from a3d_edge.models.ranges import find_range
from a3d_edge.models.registry import describe
from a3d_edge.training.distillation import Precision, backward
from a3d_edge.training.loop import make_optimizer
from a3d_edge.training.precision import BF16_INSTRUCTIONS
from a3d_edge.training.settings import Settings, drawn
from a3d_edge.training.start import awaken

BATCHES = {"slow_small": 16, "r2plus1d_small": 16, "x3d_xs": 16, "slow_r50": 2}
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
CLASSES, STEPS = 14, 1_000  # of which the sub-networks are those of a run's middle


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--arch", action="append", default=[], choices=BATCHES)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    here, there = describe_machine(), sorted(BF16_INSTRUCTIONS & set(processor().split()))
    lines = [
        "# Training in bfloat16",
        "",
        f"`python benchmarks/training_precision.py`; {here['name']} ({', '.join(there) or 'no bfloat16'}), "
        f"Python {here['python']}, torch {version('torch')}, {options.threads} thread(s). Whole steps, "
        f"both precisions in turns: medians of {options.steps}.",
        "",
        "| network | clips | step | fp32 (ms) | bf16 (ms) | ratio |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for arch in options.arch or BATCHES:
        for mutual in (False, True):
            times = in_turns(arch, mutual, BATCHES[arch], options.steps)
            fp32, bf16 = (1e3 * median(times[each]) for each in PRECISIONS)
            kind = "mutual" if mutual else "full alone"
            lines.append(
                f"| {arch} | {BATCHES[arch]} | {kind} | {fp32:.0f} | {bf16:.0f} | {bf16 / fp32:.2f} |"
            )
            print(lines[-1], flush=True)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n")


def in_turns(arch: str, mutual: bool, batch: int, steps: int) -> dict[str, list[float]]:
    """Seconds of each step, by precision; one step of each before is not counted."""
    description = describe(arch, CLASSES)
    torch.manual_seed(0)
    frames, size = description.frames, description.size
    clips = torch.randn(batch, 3, frames, size, size).to(memory_format=torch.channels_last_3d)
    labels = torch.arange(batch) % CLASSES
    settings = Settings(optimizer="adamw", lr=2e-3, mutual=mutual)
    networks = {precision: begun(arch) for precision in PRECISIONS}
    optimizers = {name: make_optimizer(network, settings) for name, network in networks.items()}
    within = find_range("0.06")
    times: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for number in range(steps + 1):
        students = drawn(settings, within, size, frames, STEPS // 2 + number, STEPS)[1]
        for precision in PRECISIONS:
            gc.collect()
            began = time.perf_counter()
            optimizers[precision].zero_grad(set_to_none=True)
            backward(networks[precision], clips, labels, students, precision=precision)
            optimizers[precision].step()
            if number:
                times[precision].append(time.perf_counter() - began)
    return times


def begun(arch: str) -> SlimNetwork:
    """A network in training, with blocks that do something."""
    torch.manual_seed(0)
    network = describe(arch, CLASSES).build()
    awaken(network)
    network.train()
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network


if __name__ == "__main__":
    main()
