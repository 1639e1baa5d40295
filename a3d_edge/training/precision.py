"""Which floats a step runs in: bfloat16 where the processor or GPU multiplies it faster than float32.

Measured: 0.55 of the time of a float32 step on a Zen 4 (AVX-512-BF16), with AMX as
docs/results/training_precision.md says. Where there are no such instructions bfloat16 is emulated, and
slower: then `auto` is float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch

from a3d_edge.device.machine import processor
from a3d_edge.errors import UsageError
from a3d_edge.training.distillation import Precision

__all__ = ["precision_of"]

BF16_INSTRUCTIONS = {"amx_bf16", "avx512_bf16", "bf16"}  # as /proc/cpuinfo calls them; the last one of Arm


def precision_of(asked: str, device: str, root: Path = Path("/")) -> Precision:
    """The precision asked for, ``auto`` decided for a device. Raises `UsageError` for an unknown one."""
    if asked in ("fp32", "bf16"):
        return cast(Precision, asked)
    if asked != "auto":
        raise UsageError(f"unknown `precision` '{asked}'; there are auto, fp32 and bf16")
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    there = BF16_INSTRUCTIONS & set(processor(root).split()) if device == "cpu" else set()
    return "bf16" if there else "fp32"
