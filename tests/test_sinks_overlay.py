"""The overlay and the window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge import libraries
from a3d_edge.errors import ResourceError
from a3d_edge.events import PersonPrediction
from a3d_edge.sinks import overlay
from a3d_edge.sinks.overlay import Window, draw_overlay

HEADLESS = "General:\n\n  GUI:                           NONE\n"
QT = "General:\n\n  GUI:                           QT5\n    QT:  YES\n"


def drawn(
    image: NDArray[np.uint8], label: str | None = "handshake", score: float = 0.87
) -> NDArray[np.uint8]:
    return draw_overlay(
        image,
        label=label,
        score=score,
        configuration="w0.50-s224-t4-int8",
        latency_ms=34.2,
        extra="budget auto",
    )


@pytest.mark.parametrize("size", [(100, 176), (240, 320), (1080, 1920)])
def test_text_is_light_on_dark_at_the_foot_and_the_rest_is_untouched(size: tuple[int, int]) -> None:
    """On white: the upper part stays white, the box is dark, its text bright and not cut at the edge."""
    image = np.full((*size, 3), 255, np.uint8)
    out = drawn(image)
    assert (image == 255).all()
    assert (out[: size[0] // 2] == 255).all()
    foot = out[-round(size[0] * 0.09) :]
    assert np.median(foot) < 90
    assert (foot.min(axis=2) > 180).sum() > 30
    assert (out[-size[0] // 12 :, -2:].max(axis=2) < 90).all()


def test_text_grows_with_the_picture() -> None:
    """Six times the size, far more bright pixels: the text is not six times as small on a large screen."""
    small, large = np.zeros((180, 320, 3), np.uint8), np.zeros((1080, 1920, 3), np.uint8)
    assert (drawn(large).min(axis=2) > 150).sum() > 15 * (drawn(small).min(axis=2) > 150).sum()


def test_the_score_shows_as_a_bar() -> None:
    """A higher score is a longer bar; none before the first prediction."""

    def green(label: str | None, score: float) -> int:
        out = drawn(np.zeros((240, 320, 3), np.uint8), label, score).astype(int)
        return int((out[..., 1] - out[..., 0] > 60).sum())

    assert green("kick", 0.9) > 2 * green("kick", 0.3) > 0
    assert green(None, 0.9) == 0


@pytest.mark.parametrize("size", [(1, 1), (9, 7), (16, 2000), (2000, 16)])
def test_any_size_and_any_label_can_be_drawn(size: tuple[int, int]) -> None:
    """Tiny pictures and letters that the font lacks are no reason to fail."""
    assert drawn(np.zeros((*size, 3), np.uint8), "拍手 " * 40, score=7.0).shape == (*size, 3)


@pytest.mark.parametrize("display", [None, ":4321"])
def test_without_a_display_that_answers_there_is_a_resource_error(
    monkeypatch: pytest.MonkeyPatch, display: str | None
) -> None:
    """No DISPLAY, or one where nobody answers (there Qt would abort this very process)."""
    monkeypatch.setattr(overlay.cv2, "getBuildInformation", lambda: QT)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    if display is None:
        monkeypatch.delenv("DISPLAY", raising=False)
    else:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(ResourceError, match="use `save` FILE or `json`"):
        Window()


@pytest.mark.parametrize(
    ("installed", "first"),
    [
        (["opencv-python-headless"], "pip uninstall -y opencv-python-headless && "),
        (["opencv-python-headless", "opencv-contrib-python"],
         "pip uninstall -y opencv-python-headless opencv-contrib-python && "),
        ([], ""),
    ],
)  # fmt: skip
def test_an_opencv_without_windows_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, installed: list[str], first: str
) -> None:
    """In one line, whether there is a display or not: the one that is there must go first."""
    monkeypatch.setattr(overlay.cv2, "getBuildInformation", lambda: HEADLESS)
    monkeypatch.setattr(overlay, "installed_opencv", lambda: installed)
    for display in (None, ":4321"):
        if display is not None:
            monkeypatch.setenv("DISPLAY", display)
        with pytest.raises(ResourceError) as caught:
            Window()
        assert str(caught.value) == (
            f"this OpenCV has no windows: {first}pip install opencv-python; "
            "or use `save` FILE or `json` instead of `show`"
        )


def test_what_opencv_says_of_itself_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed one: headless if its name says so; one with windows is none that is refused."""
    names = libraries.installed_opencv()
    assert names != []
    try:
        overlay._check_windows()
        refused = False
    except ResourceError:
        refused = True
    if len(names) == 1:
        assert refused == names[0].endswith("headless")
    monkeypatch.setattr(overlay.cv2, "getBuildInformation", lambda: QT)
    overlay._check_windows()


def test_people_are_drawn_where_they_were_seen_last() -> None:
    """A box each, around them and nowhere else; the picture that came stays as it was."""
    image = np.zeros((240, 320, 3), np.uint8)
    answers = [
        PersonPrediction(1, (10, 10, 80, 200), 0.9, (("walk", 0.9),), (("walk", 0.9),), (20, 20, 100, 220)),
        PersonPrediction("visitor", (200, 30, 300, 230), 0.9, (("sit", 0.2),)),
    ]
    told: dict[str, Any] = {"label": "walk", "score": 0.9, "configuration": "c", "latency_ms": 1.0}
    picture = draw_overlay(image, **told, people=answers)
    assert image.max() == 0
    foot = draw_overlay(image, **told).any(axis=2)  # what is drawn without them
    assert picture[20, 20:100].any(axis=1).all()
    assert picture[219, 20:100].any(axis=1).all()
    assert picture[30, 200:300].any(axis=1).all()
    inside = picture.copy()
    inside[18:222, 18:102] = inside[28:232, 198:302] = inside[foot] = 0
    assert inside.max() == 0
    assert picture[24:60, 24:96].any()  # who it is, and what they do
