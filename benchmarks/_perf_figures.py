"""Figures and Markdown that the page of `performance.py` is made of."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from _perf_rounds import median_of_ratios
from _perf_sides import GEMM_SIDE

__all__ = ["median_ms", "paragraph", "quickest", "ratio", "share", "table"]

Data = dict[str, Any]


def paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] * len(header)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def ratio(one: Data, ours: Sequence[str], theirs: Sequence[str]) -> float | None:
    """Of the quickest of each, by their medians."""
    best = [quickest(one, names) for names in (ours, theirs)]
    if None in best:
        return None
    return median_of_ratios(*(one["ms"][name] for name in best))


def quickest(one: Data, names: Sequence[str]) -> str | None:
    there = [name for name in names if name in one["ms"]]
    return min(there, key=lambda name: median_ms(one, name)) if there else None


def median_ms(one: Data, side: str) -> float:
    return float(np.median(one["ms"][side]))


def share(one: Data, side: str, peak: str) -> float:
    """GMAC/s over the matrix product's, round by round."""
    rate = one["gmac"] / np.array(one["ms"][side])
    return float(np.median(rate / (GEMM_SIDE**3 / 1e9 / np.array(one["ms"][peak]))))
