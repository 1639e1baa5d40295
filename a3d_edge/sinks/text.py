"""A run as lines for people: predictions on stdout, everything else on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from a3d_edge.alerts import Alert
from a3d_edge.errors import ResourceError
from a3d_edge.events import Events, Prediction, ReaderLeftError, Summary, Switch
from a3d_edge.shown import shown
from a3d_edge.video.health import Health

__all__ = ["TextEvents"]

FAR, KEPT = 10, 5
"""A warning is said again at the end when so many lines have come since, and no more of them than that."""


class TextEvents(Events):
    """One line a prediction: time, label, score, configuration, latency, and what the demo was acting.

    A label that does not count as seen at its configuration has a question mark: ``hug?``. Of many labels all
    that are seen are told.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err
        self._warnings: dict[str, int] = {}  # what was warned of, and how many lines came before it
        self._lines = 0

    def prediction(self, prediction: Prediction) -> None:
        p = prediction
        notes = (f"  acting: {p.truth}" if p.truth else "") + ("  (padded)" if p.padded else "")
        detail = f"{p.configuration}  {p.latency_ms:6.1f} ms{notes}"
        if p.people is None:
            self._write(f"{p.stream_time_s:9.2f} s  {_told(p.shown)}  {detail}")
            return
        for person in p.people:
            self._write(f"{p.stream_time_s:9.2f} s  person {person.id}: {_told(person.shown)}  {detail}")
        if not p.people:
            self._write(f"{p.stream_time_s:9.2f} s  nobody  {detail}")

    def switch(self, switch: Switch) -> None:
        self._say(f"switch {switch.before} -> {switch.after}: {switch.reason} [{switch.limiting_signal}]")

    def alert(self, alert: Alert) -> None:
        """A line on stdout when an event begins and when it ends."""
        if alert.state == "started":
            told = f"since {alert.start_s:.2f} s, peak {alert.peak:.0%}"
        else:
            told = f"{alert.start_s:.2f} to {alert.end_s:.2f} s, peak {alert.peak:.0%}, mean {alert.mean:.0%}"
        if alert.state != "updated":
            self._write(f"{alert.stream_time_s:9.2f} s  {alert.name} has {alert.state}: {told}")

    def health(self, health: Health) -> None:
        if health.is_told:
            self._say(health.line)

    def warning(self, message: str) -> None:
        if len(self._warnings) < KEPT:
            self._warnings.setdefault(message, self._lines)
        self._say(f"warning: {message}")

    def summary(self, summary: Summary) -> None:
        """The run in a few lines; none of one that did not come to its first frame: why is said elsewhere."""
        s = summary
        if not s.frames_captured:
            return
        dropped = ", ".join(
            f"{count} {reason.replace('_', ' ')}" for reason, count in s.dropped.items() if count
        )
        self._say(f"{s.frames_captured} frames, {s.frames_used} used" + (f", {dropped}" if dropped else ""))
        latency = (
            f", latency p50 {s.percentile_ms(0.5):.1f} ms, p95 {s.percentile_ms(0.95):.1f} ms"
            if s.predictions
            else ""
        )
        skipped = f", {s.windows_skipped} windows skipped" if s.windows_skipped else ""
        self._say(f"{s.predictions} predictions, {s.switches} switches{skipped}{latency}, {s.seconds:.1f} s")
        if s.people is not None and "detector_ms" in s.people:
            took = s.people["detector_ms"]
            found = f"{s.people['sightings']} times, p50 {took['p50']:.1f} ms, p95 {took['p95']:.1f} ms"
            self._say(f"people by {s.people['source']}: {found}")
        if s.recording is not None and s.recording["missed"]:
            self._say(f"{s.recording['frames']} frames recorded, {s.recording['missed']} not")
        if s.alerts:
            self._say(f"alerts: {counted(s.alerts)}")
        for message, before in self._warnings.items():
            if self._lines - before > FAR:
                self._say(f"warned of: {message}")
        if s.with_truth:
            self._say(
                f"the demo: {s.scenes_agreed} of {s.scenes} scenes named right by their summed scores, "
                f"{s.agreed} of {s.with_truth} single predictions"
            )

    def _write(self, line: str) -> None:
        self._lines += 1
        try:
            print(shown(line), file=self._out, flush=True)
        except BrokenPipeError as error:
            raise ReaderLeftError(*error.args) from error
        except OSError as error:
            raise ResourceError(f"cannot write the output ({error.strerror}); is the disk full?") from error

    def _say(self, line: str) -> None:
        print(shown(line), file=self._err, flush=True)


def _told(labels: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{label:<12} {score:4.0%}" for label, score in labels)


def counted(alerts: Mapping[str, Any], name: str = "") -> str:
    """``2 started, 2 ended; mqtt://host:1883: 4 delivered``: what is not 0."""
    here = [f"{v} {k.replace('_', ' ')}" for k, v in alerts.items() if isinstance(v, int) and (v or not name)]
    inner = [counted(v, k) for k, v in alerts.items() if isinstance(v, dict) and k != "sinks"]
    inner += [counted(v, k) for k, v in alerts.get("sinks", {}).items()]
    own = f"{name}: {', '.join(here) or 'nothing'}" if name else ", ".join(here)
    return "; ".join([own, *inner])
