"""What a source may make us allocate."""

from __future__ import annotations

from a3d_edge.video.limits import Bucket, too_large


def test_8k_is_decoded_and_more_is_not() -> None:
    """By the number of pixels; the message names the size."""
    assert too_large(7680, 4320) is None
    assert too_large(8192, 8192) == "its pictures have 8192×8192 pixels, more than the 36 million we decode"


def test_a_flood_is_cut_to_its_rate() -> None:
    """A burst at once, then so many a second."""
    bucket = Bucket(10.0, 5.0)
    assert [bucket.take(0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    passed = sum(bucket.take(n / 1000) for n in range(1, 2001))
    assert 19 <= passed <= 21
