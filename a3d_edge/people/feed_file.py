"""Boxes from a file of JSON Lines, which is read as the source goes on, or from a pipe as they come."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from a3d_edge.errors import SourceError
from a3d_edge.people.feed_line import MOST_BYTES, Message, content_of, message_of, placed
from a3d_edge.people.live_lines import WAITING, LiveLines
from a3d_edge.people.protocols import Sighting
from a3d_edge.people.whereabouts import MOST_KEPT
from a3d_edge.reading import open_regular, why
from a3d_edge.shown import shown
from a3d_edge.video.frame import Frame

__all__ = ["BoxesFile", "BoxesPipe", "is_pipe"]

MOST_FILE = 2_000_000_000
MOST_EMPTY, MOST_A_SECOND = 1000, 1000
"""Lines of a file: empty ones without a break, and those of one second of the source."""
AHEAD_S = 0.5
"""How far a file is read ahead of the source, so that boxes are interpolated up to its newest frame."""


def is_pipe(path: Path) -> bool:
    """Whether something else writes there while we read."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


class BoxesFile:
    """A regular file, its lines in the order of time. Raises `SourceError` where its first line is none."""

    def __init__(self, path: Path) -> None:
        self.name = shown(str(path))
        try:
            self._file = open_regular(path, MOST_FILE)
        except OSError as error:
            raise SourceError(f"`people` {self.name}: cannot be read ({why(error)})") from error
        self._number = 0
        self._next: Message | None
        self._where = ""
        self._last: tuple[bool, float] | None = None  # whether by time, and when
        self._latest: deque[float] = deque(maxlen=MOST_A_SECOND + 1)
        self._before = (-1, 0.0)  # the frame before: its number and time
        try:
            self._next = self._read()
        except BaseException:
            self._file.close()
            raise
        if self._next is None:
            self._file.close()
            raise SourceError(f"`people` {self.name}: has no line; write one for each moment")

    def until(self, frame: Frame) -> Sequence[Sighting]:
        """The lines up to a little after this frame; those by number up to its own."""
        height, width = frame.image.shape[:2]
        found: deque[Sighting] = deque(maxlen=MOST_KEPT)  # of a long break
        while (message := self._next) is not None:
            time_s = self._time_of(message, frame)
            if time_s is None:
                break
            found.append(Sighting(time_s, placed(message, height, width, self._where)))
            self._next = self._read()
        self._before = (frame.index, frame.time_s)
        return list(found)

    def warnings(self) -> Sequence[str]:
        """None: what is wrong with a file ends the run."""
        return ()

    def close(self) -> None:
        self._file.close()

    def _time_of(self, message: Message, frame: Frame) -> float | None:
        """When it was, in seconds of the source; None: later. A picture that was passed over lay between."""
        if message.time_s is not None:
            return message.time_s if message.time_s <= frame.time_s + AHEAD_S else None
        number, (index, time_s) = message.frame or 0, self._before
        if number > frame.index:
            return None
        if number <= index or number == frame.index:
            return frame.time_s if number == frame.index else time_s
        return time_s + (number - index) / (frame.index - index) * (frame.time_s - time_s)

    def _read(self) -> Message | None:
        """The next line. Raises `SourceError` for one that is none, or not later than the one before."""
        for _ in range(MOST_EMPTY):
            line = self._file.readline(MOST_BYTES + 2)
            if not line:
                return None
            self._number += 1
            self._where = f"`people` {self.name} line {self._number}"
            if line.strip():
                break
        else:
            raise SourceError(f"{self._where}: {MOST_EMPTY} lines are empty; that is no file of boxes")
        message = message_of(content_of(line, self._where), self._where)
        if message.time_s is None and message.frame is None:
            raise SourceError(f"{self._where}: has neither 'time' nor 'frame'; a file's lines need one")
        self._check_order(message)
        return message

    def _check_order(self, message: Message) -> None:
        by_time = message.time_s is not None
        order = message.time_s if message.time_s is not None else float(message.frame or 0)
        if self._last is not None and self._last[0] is not by_time:
            raise SourceError(f"{self._where}: some lines have 'time', others 'frame'; give all of them one")
        if self._last is not None and order <= self._last[1]:
            raise SourceError(f"{self._where}: is not later than the line before; sort the lines by time")
        self._last = by_time, order
        self._latest.append(order)
        if by_time and len(self._latest) > MOST_A_SECOND and order - self._latest[0] < 1.0:
            raise SourceError(
                f"{self._where}: more than {MOST_A_SECOND} lines of one second; give one a picture"
            )


class BoxesPipe:
    """A named pipe: lines are taken as they come, and belong to the newest frame unless they have a time.

    Who writes may leave and come again.
    """

    def __init__(self, path: Path) -> None:
        self.name = shown(str(path))
        self._lines = LiveLines(f"`people` {self.name}")
        # Open for writing too: so opening does not wait for a writer, and one that leaves does not end it.
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SourceError(f"`people` {self.name}: cannot be read ({why(error)})") from error
        self._waker, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._collect, daemon=True, name="a3d-edge people")
        self._thread.start()

    def until(self, frame: Frame) -> Sequence[Sighting]:
        """What has come since the frame before."""
        found = [self._lines.sighting(line, frame) for line in self._lines.taken()]
        return [one for one in found if one is not None]

    @property
    def left_out(self) -> int:
        """Lines that were wrong, or too many."""
        return self._lines.left_out

    def warnings(self) -> Sequence[str]:
        """Lines that were left out, one of each kind."""
        return self._lines.warnings()

    def close(self) -> None:
        """May be called twice."""
        if self._handle < 0:
            return
        os.write(self._wake, b".")
        self._thread.join()
        for handle in (self._handle, self._waker, self._wake):
            os.close(handle)
        self._handle = -1

    def _collect(self) -> None:
        rest, skipped = b"", False  # of a line that is too long already nothing more is kept
        while True:
            ready, _, _ = select.select([self._handle, self._waker], [], [])
            if self._waker in ready:
                return
            data = os.read(self._handle, MOST_BYTES)
            self._lines.heard(len(data))
            *lines, rest = (rest + data).split(b"\n")
            if lines and skipped:
                lines, skipped = lines[1:], False
            if len(rest) > MOST_BYTES or skipped:
                lines += [] if skipped else [rest]
                rest, skipped = b"", True
            self._put([line for line in lines if line.strip()])

    def _put(self, lines: Sequence[bytes]) -> None:
        self._lines.passed(max(0, len(lines) - WAITING))
        for line in lines[-WAITING:]:
            self._lines.put(line)
