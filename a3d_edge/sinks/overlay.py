"""The prediction written into the picture, and a window that shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

from a3d_edge.child import command
from a3d_edge.errors import ResourceError
from a3d_edge.events import PersonPrediction
from a3d_edge.libraries import installed_opencv
from a3d_edge.shown import shown
from a3d_edge.video.opencv import Image, cv2

__all__ = ["Window", "draw_overlay"]

FONT = cv2.FONT_HERSHEY_SIMPLEX
CAP_HEIGHT = 21.0
"""Height in pixels of a capital of this font at scale 1."""
LINE_SHARE = 0.045
SMALLEST_CAPITAL = 7.0
SMALLEST_SCALE = 0.2
WHITE, GREY, GREEN, DARK = (255, 255, 255), (205, 205, 205), (120, 220, 120), 0.3
QUIT_KEYS = (ord("q"), 27)
INSTEAD = "use `save` FILE or `json` instead of `show`"


def draw_overlay(
    image: Image,
    *,
    label: str | None,
    score: float,
    configuration: str,
    latency_ms: float,
    extra: str = "",
    others: Sequence[tuple[str, float]] = (),
    people: Sequence[PersonPrediction] = (),
) -> Image:
    """A copy of the picture (H, W, 3) BGR with label, score, configuration and latency at its foot.

    ``label`` None: no prediction yet; ``others``: labels that are seen besides, with their scores;
    ``people``: each with a box, who it is, and the labels that are seen, or the best. Text grows with the
    picture and shrinks to fit its width.
    """
    out = image.copy()
    _draw_people(out, people)
    told = [] if label is None else [(label, score), *others]
    headline = ", ".join(f"{name} {value:.0%}" for name, value in told) or "..."
    detail = "  ".join(part for part in (configuration, f"{latency_ms:.0f} ms", extra) if part)
    lines = [(headline, WHITE, 1.3), (detail, GREY, 1.0)]
    capital = max(SMALLEST_CAPITAL, LINE_SHARE * min(image.shape[:2]))
    top = image.shape[0] - round(capital * sum(1.8 * size for _, _, size in lines) + 0.5 * capital)
    out[max(0, top) :] = cv2.convertScaleAbs(out[max(0, top) :], alpha=DARK)
    if label is not None:
        _draw_bar(out, max(0, top), score, max(2, round(capital / 4)))
    for text, colour, size in lines:
        top += round(1.8 * size * capital)
        _draw_line(out, text, (max(2, round(capital / 2)), top), capital * size / CAP_HEIGHT, colour)
    return out


def _draw_people(out: Image, people: Sequence[PersonPrediction]) -> None:
    """Boxes are where people were seen last: the window's middle, which the labels are of, is past."""
    capital = max(SMALLEST_CAPITAL, 0.6 * LINE_SHARE * min(out.shape[:2]))
    for person in people:
        x1, y1, x2, y2 = (round(value) for value in person.newest_box or person.box)
        colour = GREEN if person.labels else GREY
        lines = [f"{person.id}", *(f"{name} {score:.0%}" for name, score in person.shown)]
        strip = out[
            max(0, y1) : min(y2, y1 + round(1.6 * capital * len(lines) + capital / 2)), max(0, x1) : x2
        ]
        if strip.size:
            strip[:] = cv2.convertScaleAbs(strip, alpha=DARK)
        cv2.rectangle(out, (x1, y1), (x2 - 1, y2 - 1), colour, max(1, round(capital / 6)))
        for place, text in enumerate(lines, start=1):
            foot = y1 + round(1.6 * capital * place)
            if foot > y2 or x1 >= out.shape[1] - 4:
                break
            _draw_line(
                out, text, (x1 + 3, foot), capital / CAP_HEIGHT, colour, min(x2, out.shape[1]) - x1 - 4
            )


def _draw_bar(out: Image, top: int, score: float, thickness: int) -> None:
    """The score as the length of a bar along the box's upper edge."""
    out[top : top + thickness, : round(out.shape[1] * min(max(score, 0.0), 1.0))] = GREEN


def _draw_line(
    out: Image,
    text: str,
    origin: tuple[int, int],
    scale: float,
    colour: tuple[int, int, int],
    room: int | None = None,
) -> None:
    text = shown(text).encode("ascii", "replace").decode()  # the fonts of all OpenCV versions have these
    thickness = max(1, round(2.3 * scale))
    room = out.shape[1] - 2 * origin[0] if room is None else room
    while scale > SMALLEST_SCALE and cv2.getTextSize(text, FONT, scale, thickness)[0][0] > room:
        scale *= 0.93
    cv2.putText(out, text, origin, FONT, scale, colour, thickness, cv2.LINE_AA)


class Window:
    """Shows pictures on the screen; ``closed`` once the user pressed q or Esc or closed it.

    To be used from the main thread. Raises `ResourceError` where there is no display or OpenCV has no window.
    """

    def __init__(self, title: str = "a3d-edge") -> None:
        _check_windows()
        _check_display()
        self.closed = False
        self._title = title
        self._shown = False
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise _no_display() from error

    def show(self, image: Image) -> None:
        """Show the picture (H, W, 3) BGR and look at the keyboard; does nothing once closed."""
        if self.closed:
            return
        if not self._shown:
            cv2.resizeWindow(self._title, max(480, image.shape[1]), max(360, image.shape[0]))
        cv2.imshow(self._title, image)
        pressed = (cv2.waitKey(1) & 0xFF) in QUIT_KEYS
        gone = self._shown and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        self._shown = True
        if pressed or gone:
            self.close()

    def close(self) -> None:
        """Take the window away. Idempotent."""
        if not self.closed:
            self.closed = True
            cv2.destroyAllWindows()
            cv2.waitKey(1)


def _no_display() -> ResourceError:
    return ResourceError(f"no display to show a window on; {INSTEAD}")


def _check_windows() -> None:
    """Refuse an OpenCV that was built without windows, as its headless distributions are."""
    if re.search(r"^\s*GUI:\s*NONE\s*$", cv2.getBuildInformation(), re.MULTILINE) is None:
        return
    installed = installed_opencv()
    first = f"pip uninstall -y {' '.join(installed)} && " if installed else ""
    raise ResourceError(f"this OpenCV has no windows: {first}pip install opencv-python; or {INSTEAD}")


def _check_display() -> None:
    """Open a window in another process first: with a display that does not answer, Qt aborts its process."""
    on_linux = sys.platform.startswith("linux")
    if on_linux and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise _no_display()
    words = command("a3d_edge.sinks.overlay", "open_trial_window")
    try:
        done = subprocess.run(words, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_display() from error
    if done.returncode != 0:
        raise _no_display()


def open_trial_window() -> None:
    """What that process does."""
    cv2.namedWindow("a3d-edge")
    cv2.waitKey(1)
