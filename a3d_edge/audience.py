"""Whoever a run reports to. What one of them does wrong disturbs neither the run nor the others."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from a3d_edge.alerts import Alert, AlertWatch
from a3d_edge.errors import A3DEdgeError
from a3d_edge.events import Events, Prediction, ReaderLeftError, SinkLostError, Stoppable, Summary, Switch
from a3d_edge.video.frame import Frame
from a3d_edge.video.health import Health

__all__ = ["Audience"]

LOG = logging.getLogger("a3d_edge")

ENDINGS = (A3DEdgeError, ReaderLeftError)
"""What a sink raises to end the run (see `a3d_edge.events.Events`)."""


class Audience:
    """Tells several `Events`, in order. A method that one lacks, or that is None, is left out.

    One that fails is reported once, by the others' `warning` (by logging, if none has it), and is told on:
    what failed for one label, or while a network was away, may work the next time. How often it failed is
    reported at the end. ``alerts``: which events they are told of, too.
    """

    def __init__(self, sinks: Iterable[Any], alerts: AlertWatch | None = None) -> None:
        self._sinks = list(sinks)
        self._alerts = alerts
        self._failures: Counter[int] = Counter()  # by the sink's id

    @property
    def wants_every_frame(self) -> bool:
        """Whether anybody cares for frames that no window looks at."""
        return any(_takes_frames(sink) and getattr(sink, "every_frame", True) for sink in self._sinks)

    def bind(self, runtime: Stoppable) -> None:
        """See `Events`, as for the others."""
        self._tell("bind", runtime)

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        self._tell("frame", frame, latest)

    def prediction(self, prediction: Prediction) -> None:
        self._tell("prediction", prediction)
        if self._alerts is not None:
            self._tell_alerts(self._alerts.see(prediction))

    def waited(self, now_s: float) -> None:
        """Nothing has come, at ``now_s`` of a steady clock: see `AlertWatch.waited`."""
        if self._alerts is not None:
            self._tell_alerts(self._alerts.waited(now_s))

    def stream_over(self) -> None:
        """What comes next is another stream."""
        if self._alerts is not None:
            self._tell_alerts(self._alerts.stream_over())

    def switch(self, switch: Switch) -> None:
        self._tell("switch", switch)

    def health(self, health: Health) -> None:
        self._tell("health", health)

    def warning(self, message: str) -> None:
        self._tell("warning", message)

    def close(self, summary: Summary | None = None) -> None:
        """Tell each the summary, if there is one, and close it, the last first, whatever one of them raises.

        So the first, which reports, has heard how closing the others went before it sums up. Before all of
        it, events that go on are ended.
        """
        with ExitStack() as closing:
            for sink in self._sinks:
                closing.callback(self._close, sink, summary)
            self.stream_over()
            if self._alerts is not None and summary is not None:
                summary.alerts.update(self._alerts.counts)
            for sink in self._sinks:
                if (count := self._failures[id(sink)]) > 1:
                    self._warn_others(sink, f"{_name(sink)} failed {count} times in this run")

    def _close(self, sink: Any, summary: Summary | None) -> None:
        self._sinks = [other for other in self._sinks if other is not sink]
        try:
            if summary is not None:
                self._tell_one(sink, "summary", summary)
        finally:
            self._tell_one(sink, "close")

    def _tell_alerts(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            self._tell("alert", alert)

    def _tell(self, what: str, *given: Any) -> None:
        for sink in self._sinks:
            self._tell_one(sink, what, *given)

    def _tell_one(self, sink: Any, what: str, *given: Any) -> bool:
        """Whether it took it."""
        try:
            method = getattr(sink, what, None)
            if method is None:
                return False
            method(*given)
        except ENDINGS:
            raise
        except SinkLostError as error:
            self._warn_others(sink, str(error))
            return False
        except Exception as error:
            self._failed(sink, what, error)
            return False
        return True

    def _failed(self, sink: Any, what: str, error: Exception) -> None:
        self._failures[id(sink)] += 1
        LOG.debug("%s failed in %s", _name(sink), what, exc_info=error)
        if self._failures[id(sink)] == 1:
            self._warn_others(sink, f"{_name(sink)} failed in '{what}' ({_reason(error)}); the run goes on")

    def _warn_others(self, sink: Any, message: str) -> None:
        heard = [self._tell_one(other, "warning", message) for other in self._sinks if other is not sink]
        if not any(heard):
            LOG.warning(message)


def _takes_frames(sink: Any) -> bool:
    """Whether it has a `frame` other than the one of `Events`, which does nothing."""
    method = getattr(sink, "frame", None)
    return method is not None and getattr(method, "__func__", None) is not Events.frame


def _name(sink: Any) -> str:
    return f"the sink {type(sink).__qualname__}"


def _reason(error: Exception) -> str:
    """The error in a line, and where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f", {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}{place}"
