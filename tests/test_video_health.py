"""What a person should look at, and what not: pictures that stand still, are dark, covered or of another
view."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from a3d_edge.video.health import FROZEN_S, Finding, PictureHealth

RNG = np.random.default_rng(0)


def scene(seed: int) -> np.ndarray:
    """Something like a room: large soft shapes."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC)


def noisy(image: np.ndarray) -> np.ndarray:
    """As a sensor gives it: no two pictures are the same."""
    grain = RNG.normal(0.0, 3.0, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def watch(
    health: PictureHealth, picture: Callable[[int], np.ndarray], begin: float, long_s: float
) -> list[str]:
    found: list[Finding] = []
    for n in range(int(long_s * 10)):
        found += health.see(picture(n), begin + n / 10)
    return [one.state for one in found]


ROOM = scene(1)


def test_an_ordinary_view_is_no_news() -> None:
    """Noise, somebody who walks through, and the light going up and down by a third."""
    health = PictureHealth()

    def picture(n: int) -> np.ndarray:
        image = (ROOM * (0.8 + 0.2 * np.sin(n / 50))).astype(np.uint8)
        cv2.circle(image, (n * 2 % 400 - 40, 140), 45, (30, 60, 200), -1)
        return noisy(image)

    assert watch(health, picture, 0.0, 60.0) == []


@pytest.mark.parametrize(
    ("state", "picture", "long_s"),
    [
        ("frozen", lambda n: ROOM, FROZEN_S + 1),
        ("black", lambda n: noisy(np.zeros((240, 320, 3), np.uint8)), 3.0),
        ("covered", lambda n: noisy(np.full((240, 320, 3), 90, np.uint8)), 3.0),
        ("moved", lambda n: noisy(scene(2)), 12.0),
        ("rotated", lambda n: noisy(ROOM[::-1, ::-1]), 12.0),
    ],
)
def test_what_goes_wrong_is_said_once_and_that_it_is_over(
    state: str, picture: Callable[[int], np.ndarray], long_s: float
) -> None:
    """After an ordinary half minute; then the picture is as before, or the new view becomes the known one."""
    health = PictureHealth()
    assert watch(health, lambda n: noisy(ROOM), 0.0, 30.0) == []
    assert watch(health, picture, 30.0, long_s) in ([state], [state, "normal"])
    after = picture if state in ("moved", "rotated") else lambda n: noisy(ROOM)
    assert watch(health, after, 30.0 + long_s, 10.0) in ([], ["normal"])
    assert health._state == "normal"


def test_a_still_picture_for_a_moment_is_none_that_stands_still() -> None:
    """A stream of low rate repeats one; only ten seconds of it are news."""
    health = PictureHealth()
    assert watch(health, lambda n: ROOM, 0.0, FROZEN_S - 1) == []


def test_a_size_that_changes_is_said_at_once() -> None:
    """A quarter turn by its sides; else another size. The view is learnt anew."""
    health = PictureHealth()
    watch(health, lambda n: noisy(ROOM), 0.0, 30.0)
    assert watch(health, lambda n: noisy(np.rot90(ROOM)), 30.0, 20.0) == ["rotated"]
    assert watch(health, lambda n: noisy(cv2.resize(ROOM, (160, 120))), 50.0, 20.0) == ["resized"]
