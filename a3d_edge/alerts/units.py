"""Times as people write them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

__all__ = ["Seconds", "seconds_of"]

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S = 10 * 365 * UNITS["d"]
_TIME = re.compile(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})\s*(ms|s|m|h|d)")


def seconds_of(value: Any) -> float:
    """Seconds of ``1s``, ``500ms``, ``2m``, ``1h``, ``7d``, or of a number. Raises `ValueError`."""
    seconds = math.nan
    if isinstance(value, str) and (found := _TIME.fullmatch(value.strip())):
        seconds = float(found[1]) * UNITS[found[2]]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if abs(value) <= LONGEST_S else math.nan
    if not 0.0 <= seconds <= LONGEST_S:
        raise ValueError(f"{str(value)[:40]!r} is no time; write it like 1s, 500ms or 2m")
    return seconds


Seconds = Annotated[float, BeforeValidator(seconds_of)]
"""A field of seconds that takes what `seconds_of` takes."""
