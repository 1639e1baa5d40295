"""The sink of a run that takes its alerts to everywhere they are wanted, in threads of its own.

run's thread ── alert ──▶ desk: timeline, outboxes (disk) ──▶ a sender for each place (network)
             └─ frame ──▶ recorder (see there)
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a3d_edge.alerts import Alert
from a3d_edge.events import Events, Prediction, Summary
from a3d_edge.sinks.delivery.outbox import Outbox
from a3d_edge.sinks.delivery.recorder import ClipSettings, Recorder
from a3d_edge.sinks.delivery.sender import Deliverer, Sender
from a3d_edge.sinks.delivery.timeline import Timeline
from a3d_edge.sinks.jsonl import plain
from a3d_edge.video.frame import Frame

__all__ = ["AlertEvents", "Place"]

WAITING = 10_000
"""Lines between the run and the desk, should a disk hang; more are dropped and counted."""
ENDING_S, FLUSH_S = 0.8, 0.5
"""How long the end of a run may take, and how much of it delivering what is left."""


@dataclass(frozen=True)
class Place:
    """Where alerts go by network, and the folder of its queue. ``make``: its deliverer, told that folder."""

    folder: Path
    make: Callable[[Path], Deliverer]


class AlertEvents(Events):
    """``say``: takes a line about what goes wrong, from any thread. ``patient``: whether frames may wait,
    as a file's may. Raises `A3DEdgeError` where something cannot be begun."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        timeline: Timeline | None = None,
        clips: ClipSettings | None = None,
        places: Sequence[Place] = (),
        patient: bool = False,
    ) -> None:
        self._say, self._timeline = say, timeline
        self._counts: Counter[str] = Counter()
        self._said = self._finished = False
        self._desk: queue.Queue[tuple[str, dict[str, Any]] | None] = queue.Queue(WAITING)
        self._senders: list[Sender] = []
        for place in places:
            outbox = Outbox(place.folder, say)
            self._senders.append(Sender(place.make(outbox.folder), outbox, say))
        self._recorder = None if clips is None else Recorder(clips, say, self._clip, patient=patient)
        self.every_frame = self._recorder is not None
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        if self._recorder is not None:
            self._recorder.frame(frame)

    def alert(self, alert: Alert) -> None:
        if self._recorder is not None:
            self._recorder.alert(alert)
        self._put("alert", plain(alert.fields()))

    def summary(self, summary: Summary) -> None:
        """Ends first, so that the counts are the last ones."""
        self.close()
        summary.alerts.update(self.counts)

    @property
    def counts(self) -> dict[str, Any]:
        """What was done so far, for each sink."""
        found: dict[str, Any] = {"sinks": {one.to.name: one.counts for one in self._senders}}
        if self._timeline is not None:
            lines = {"lines": self._timeline.lines, "failed": self._timeline.lost}
            found["sinks"][f"timeline {self._timeline.path.name}"] = lines
        if self._recorder is not None:
            found["clips"] = dict(self._recorder.counts)
        if self._counts["dropped"]:
            found["dropped"] = self._counts["dropped"]
        return found

    def close(self) -> None:
        """Within `ENDING_S`: clips are finished, the desk is emptied, senders deliver what they can."""
        if self._finished:
            return
        self._finished = True
        until = time.monotonic() + ENDING_S
        for sender in self._senders:
            sender.outbox.hurried = True
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder.join(until - time.monotonic())
        self._put_last()
        self._thread.join(max(0.0, until - time.monotonic()))
        flushed = min(until, time.monotonic() + FLUSH_S)
        while not all(one.idle or one.failing for one in self._senders) and time.monotonic() < flushed:
            time.sleep(0.02)
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.join(max(0.05, until - time.monotonic()))
            sender.outbox.close()
        if self._timeline is not None and not self._thread.is_alive():
            self._timeline.close()

    def _clip(self, fields: dict[str, Any]) -> None:
        self._put("clip", plain(fields))

    def _put(self, event: str, fields: dict[str, Any]) -> None:
        try:
            self._desk.put_nowait((event, fields))
        except queue.Full:
            self._counts["dropped"] += 1

    def _put_last(self) -> None:
        try:
            self._desk.put_nowait(None)
        except queue.Full:
            return

    def _run(self) -> None:
        while (item := self._desk.get()) is not None:
            event, fields = item
            self._note(event, fields)
            if event == "alert":
                for sender in self._senders:
                    sender.outbox.put(fields)
                    sender.hurry()

    def _note(self, event: str, fields: dict[str, Any]) -> None:
        if self._timeline is None:
            return
        if (why := self._timeline.write(event, fields)) is not None and not self._said:
            self._said = True
            place = self._timeline.path
            self._say(f"timeline {place}: {why}; lines are left out (said once; the summary counts)")
