"""How much a source may make us allocate: known from the header, checked before anything is."""

from __future__ import annotations

__all__ = ["MAX_PICTURE_BYTES", "MAX_PIXELS", "MAX_RATE", "QUEUE_BYTES", "Bucket", "too_large"]

MAX_PIXELS = 36_000_000
"""Of one picture: 8K (7680×4320) fits. In colour that is 108 MB."""
MAX_RATE = 240.0
"""Pictures a second that a live stream may have; those that come quicker are let go, not converted."""
MAX_PICTURE_BYTES = 256_000_000
"""Of a picture's file."""
QUEUE_BYTES = 128_000_000
"""Of pictures that wait between a reader and the network."""


def too_large(width: int, height: int) -> str | None:
    """What is wrong with such a picture, in words; None if nothing is."""
    if width * height <= MAX_PIXELS:
        return None
    most = MAX_PIXELS // 1_000_000
    return f"its pictures have {width}×{height} pixels, more than the {most} million we decode"


class Bucket:
    """Lets ``rate`` a second pass, and ``most`` at once."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most, self._left = rate, most, most
        self._last: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more may pass at that time (s)."""
        if self._last is not None:
            self._left = min(self._most, self._left + (now - self._last) * self._rate)
        self._last = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
