"""Which floats a step runs in, by what the processor can do."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from a3d_edge.errors import UsageError
from a3d_edge.training.precision import precision_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags : fpu avx2 avx512f", "fp32"),
        ("flags : fpu avx512f avx512_bf16", "bf16"),
        ("flags : fpu amx_bf16 amx_tile", "bf16"),
        ("Features : fp asimd bf16", "bf16"),
        ("", "fp32"),
    ],
)
def test_auto_follows_the_processor(tmp_path: Path, line: str, expected: str) -> None:
    """bfloat16 only where there are instructions for it; what is asked for is done."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(f"processor : 0\n{line}\n")
    assert precision_of("auto", "cpu", tmp_path) == expected
    assert precision_of("auto", "mps", tmp_path) == "fp32"
    assert precision_of("bf16", "cpu", tmp_path) == "bf16"
    with pytest.raises(UsageError, match="unknown `precision` 'fp8'; there are auto, fp32 and bf16"):
        precision_of("fp8", "cpu", tmp_path)
