"""A camera or a network stream: captured in a process of its own, watched by our clock, reconnected for as
long as the run lasts.

    capture process ── pictures ──► LiveSource ── frames ──► reader
                                       │ watchdog, back-off, states ──► health

A failed read is not an end: a live source has none. Only one that turns out to be a recording ends: its
pictures came quicker than anybody can have filmed them, or it says how long it is when it is opened again.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from a3d_edge.errors import SourceError
from a3d_edge.video import states
from a3d_edge.video.capture import EndedError, Opened, Order, Taken
from a3d_edge.video.causes import WORDS, Cause
from a3d_edge.video.frame import Frame
from a3d_edge.video.health import Health, PictureHealth
from a3d_edge.video.pause import Clock, Pause, Sleep
from a3d_edge.video.states import Link, State
from a3d_edge.video.timeline import Timeline
from a3d_edge.video.transit import Transit

__all__ = ["OPEN_S", "PATIENT_S", "STALL_S", "Connection", "LiveSource", "Patience"]

STALL_S = 5.0
"""A stream without a picture for so long has stalled."""
OPEN_S = 10.0
"""To start the process, reach the server and decode the first picture; FFmpeg's own limits are shorter."""
PATIENT_S = 35.0
"""The same for a playlist, whose next segment may take its whole length, and for a recording on a slow
server."""
HEALTH_KEPT = 256

SMALLEST_STEP_S = 1e-6
USUAL_RATE = 30.0
QUICKER, AHEAD_S = 2.0, 1.0
"""How much quicker than its own time, and by how much more, a stream came that is no live one: live ones
begin with what the server held back, a second or two."""


class Connection(Protocol):
    """What captures: `a3d_edge.video.capture.CaptureProcess`, which describes these."""

    def open(self, order: Order, timeout: float) -> Opened: ...
    def read(self, timeout: float) -> Taken | None: ...
    def unreadable(self) -> int | None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """``stall_s``: how long a connected stream may be silent. ``give_up_s``: how long a source may be away
    before it has failed; None: for as long as the run lasts."""

    stall_s: float = STALL_S
    give_up_s: float | None = None


class LiveSource:
    """Frames from the first one on; skips nothing itself (the reader drops what is old).

    They are timed by the stream's own time stamps from when its connection began, else by our clock.
    ``reconnects`` counts those that worked, ``unreadable`` what could not be decoded, ``missed`` pictures
    that were decoded while nobody took them. ``state`` and `health` tell how it is. ``first``: what came
    of a first attempt. Raises `SourceError` from `read` once it has been away for ``patience.give_up_s``.
    """

    live = True
    frame_rate: float | None = None  # what live sources announce is often wrong

    def __init__(
        self,
        order: Order,
        connection: Connection,
        patience: Patience | None = None,
        *,
        first: Opened | SourceError | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.name = order.name
        self.reconnects = 0
        self._order, self._connection = order, connection
        self._patience = patience or Patience()
        self._clock, self._draw = clock, draw
        self._pause = Pause(clock, sleep)
        self._lock = threading.Lock()  # of what other threads ask for
        self._healths: deque[Health] = deque(maxlen=HEALTH_KEPT)
        self._looks = PictureHealth()
        self._link = states.begin(clock())
        self._begun: float | None = None
        self._last = -SMALLEST_STEP_S
        self._index = -1
        self._take = -1
        self._before = [0, 0]  # missed and unreadable of earlier connections
        self._counts = [0, 0]  # of this one
        self._opened: Opened | None = None
        if isinstance(first, SourceError):
            self._away(Cause(first.cause or Cause.OTHER), str(first))
        elif first is not None:
            self._connected(first)

    @property
    def state(self) -> State:
        """Where it is."""
        return self._link.state

    @property
    def unreadable(self) -> int:
        """Pictures that could not be decoded so far."""
        return self._before[1] + self._counts[1]

    @property
    def missed(self) -> int:
        """Pictures so far that came while nobody took them."""
        return self._before[0] + self._counts[0]

    def health(self) -> list[Health]:
        """What has changed since this was asked last, oldest first."""
        with self._lock:
            found = list(self._healths)
            self._healths.clear()
        return found

    def read(self) -> Frame | None:
        """The next picture; None after `close`, or if it was a recording. Blocks while the source is away."""
        while not self._is_over():
            taken = self._next()
            if taken is not None:
                return self._frame(taken)
        self._connection.kill()
        return None

    def close(self) -> None:
        """End a wait under way and the process that captures."""
        self._pause.stop()
        self._connection.kill()

    def _is_over(self) -> bool:
        return self._pause.stopped or self.state in (State.ENDED, State.FAILED)

    def _next(self) -> Taken | None:
        try:
            if self._opened is None:
                self._connect()
                return None
            taken = self._connection.read(self._silence_s())
        except EndedError:
            self._hung_up()
            return None
        except SourceError as error:
            self._lost(Cause(error.cause or Cause.OTHER), str(error))
            return None
        if taken is None:
            self._silent()
        return taken

    def _silence_s(self) -> float:
        """For how long a stream may be silent."""
        patient = self._opened is not None and self._opened.in_bursts
        return max(self._patience.stall_s, PATIENT_S) if patient else self._patience.stall_s

    def _connect(self) -> None:
        patient = self._order.url.partition("?")[0].endswith(SLOW_TO_OPEN)
        opened = self._connection.open(self._order, PATIENT_S if patient else OPEN_S)
        if self._index >= 0 and not opened.live:
            self._end()
            return
        self._connected(opened)

    def _connected(self, opened: Opened) -> None:
        self._opened = opened
        self._timeline = Timeline(opened.rate or USUAL_RATE)
        self._transit = Transit()
        self._connected_s: float | None = None  # time of this connection's first picture
        self._first_take = self._take + 1
        self._looks.forget()

    def _hung_up(self) -> None:
        """The stream has an end: of a recording it is one, of a camera a failure."""
        assert self._opened is not None
        if not self._opened.live or self._came_too_quickly():
            self._end()
        else:
            self._lost(Cause.ENDED, WORDS[Cause.ENDED])

    def _came_too_quickly(self) -> bool:
        if self._begun is None or self._connected_s is None:
            return False
        took_s = self._clock() - self._begun - self._connected_s
        return self._last - self._connected_s > QUICKER * took_s + AHEAD_S

    def _end(self) -> None:
        self._to(states.end(self._link, self._clock()), "it is over")

    def _silent(self) -> None:
        """Connected, and nothing comes: what reads it is ended, for it may block for ever."""
        now, silence_s = self._clock(), self._silence_s()
        unreadable = self._connection.unreadable()
        self._connection.kill()
        words = f"no picture for {silence_s:.1f} s"
        if unreadable is not None and unreadable > self._counts[1]:
            self._counts[1] = unreadable
            self._lost(Cause.CODEC, f"{words} that can be decoded")
            return
        if self._opened is not None and self.state is State.LIVE:
            stalled = states.silent(self._link, now, now - silence_s)
            self._to(stalled, f"{words}; it is connected anew", Cause.TIMEOUT)
        self._lost(Cause.TIMEOUT, words)

    def _lost(self, cause: Cause, words: str) -> None:
        """It is away: said at once, and again when the cause is another; then comes a pause."""
        if not self._is_over():
            self._let_go()
            self._away(cause, words)
            self._give_up_or_wait(words)

    def _away(self, cause: Cause, words: str) -> None:
        before = self._link
        self._link = states.broke(before, self._clock(), cause)
        if before.cause is not cause or before.state is not self._link.state:
            known = before.state is State.STALLED  # said a moment ago
            self._tell(f"{words}; it is tried again until it answers", cause, attention=not known)

    def _give_up_or_wait(self, words: str) -> None:
        now, limit, away_s = self._clock(), self._patience.give_up_s, self._link.away_s
        delay = states.delay_s(self._link, self._draw())
        if limit is not None and away_s is not None:
            if now - away_s >= limit:
                self._to(states.fail(self._link, now), "it is given up", self._link.cause)
                waited = f"no picture for {limit:.0f} s: " if limit else ""
                raise SourceError(f"{self.name}: {waited}{words}", cause=self._link.cause)
            delay = min(delay, away_s + limit - now)
        self._pause.wait(delay)

    def _let_go(self) -> None:
        self._before = [old + new for old, new in zip(self._before, self._counts, strict=True)]
        self._counts = [0, 0]
        self._opened = None

    def _frame(self, taken: Taken) -> Frame:
        now = self._clock()
        self._live(now)
        self._counts = [taken.missed, taken.unreadable]
        arrived = min(taken.arrived_s, now)
        self._begun = arrived if self._begun is None else self._begun
        time_s = arrived - self._begun
        position_s = taken.position_s
        if position_s is not None:
            self._connected_s = time_s if self._connected_s is None else self._connected_s
            time_s = self._connected_s + self._timeline.place(position_s)
        self._last = max(time_s, self._last + SMALLEST_STEP_S)
        self._take = self._first_take + self._timeline.take
        self._index += 1
        for finding in self._looks.see(taken.image, arrived):
            fine = finding.state == "normal"
            self._tell(finding.words, attention=not fine, relief=fine, kind="picture", state=finding.state)
        captured_s = self._transit.captured_s(arrived, position_s)
        return Frame(self._index, self._last, taken.image, captured_s, take=self._take)

    def _live(self, now: float) -> None:
        before = self._link
        if before.state is State.LIVE:
            return
        self._link = states.picture(before, now)
        if before.state is State.CONNECTING:
            waited = "" if before.attempts == 0 else f" after {now - before.since_s:.1f} s"
            self._tell(f"its first picture is here{waited}", relief=before.attempts > 0)
        else:
            self.reconnects += 1
            away_s = now - (before.away_s if before.away_s is not None else before.since_s)
            self._tell(f"live again after {away_s:.1f} s", relief=True)

    def _to(self, link: Link, words: str, cause: Cause | None = None) -> None:
        self._link = link
        self._tell(words, cause, attention=link.state in (State.STALLED, State.FAILED))

    def _tell(
        self,
        words: str,
        cause: Cause | None = None,
        *,
        attention: bool = False,
        relief: bool = False,
        kind: str = "connection",
        state: str | None = None,
    ) -> None:
        named = self._link.state.value if state is None else state
        health = Health(
            kind, named, words, attention, max(self._last, 0.0), self._clock(), self.name,
            cause.value if cause else None, relief,
        )  # fmt: skip
        with self._lock:
            self._healths.append(health)


SLOW_TO_OPEN = (".m3u8", ".mpd")
"""Ends of a playlist's URL."""
