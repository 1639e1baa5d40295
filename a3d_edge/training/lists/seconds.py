"""Times and splits as people write them."""

from __future__ import annotations

import math

__all__ = ["SPLITS", "seconds_of", "split_of"]

SPLITS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
"""Our word for what is written, in small letters."""


def split_of(text: str) -> str:
    """``train``, ``val`` or ``test``; empty for nothing. Raises `ValueError` for any other word."""
    if not text:
        return ""
    if (found := SPLITS.get(text.casefold())) is None:
        raise ValueError(f"split '{text}' is none of train, val, test")
    return found


def seconds_of(text: str) -> float | None:
    """Seconds of ``12.5``, ``1:02.5`` or ``0:01:02.5``; None for nothing.

    Raises `ValueError` for what is no number, or none that a clip can have.
    """
    if not text:
        return None
    *minutes, seconds = text.split(":")
    try:
        total = float(seconds)
        for place, part in enumerate(reversed(minutes), 1):
            total += int(part) * 60**place
    except ValueError:
        total = math.nan
    if not math.isfinite(total) or total < 0 or len(minutes) > 2:
        raise ValueError(f"'{text}' is no number of seconds from 0 on")
    return total
