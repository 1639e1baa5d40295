"""All rules over one stream of predictions, and what ends events besides their score."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from a3d_edge.alerts.alert import Alert, alert_id
from a3d_edge.alerts.grammar import parse_alert
from a3d_edge.alerts.machine import Change, Reading, Reason, Spell, Watching, cut, step
from a3d_edge.alerts.rule import AlertRule, check_label, thresholds_of
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError

__all__ = ["AlertWatch", "Answer", "watch_for"]

GAP_S, HOPS = 10.0, 3.0
"""Predictions that are further apart than this, and than so many hops, do not go on from each other."""


class Answer(Protocol):
    """A prediction, as far as it counts here (`a3d_edge.events.Prediction`)."""

    @property
    def stream_time_s(self) -> float: ...
    @property
    def window_start_s(self) -> float: ...
    @property
    def top(self) -> Sequence[tuple[str, float]]: ...
    @property
    def configuration(self) -> Configuration: ...
    @property
    def captured_at(self) -> float | None: ...
    @property
    def take(self) -> int: ...
    @property
    def source(self) -> str | None: ...


@dataclass(slots=True)
class _One:
    """A rule, its thresholds, how far it is, and the id of what goes on."""

    rule: AlertRule
    thresholds: Mapping[Configuration, float]
    now: Watching = field(default_factory=Watching)
    id: str = ""
    told: int = 0


class AlertWatch:
    """Told of every prediction, says which events begin, go on and end.

    ``hop_s``: seconds between two predictions. ``clock``: seconds since 1970, where a prediction has no time.
    """

    def __init__(
        self,
        rules: Sequence[tuple[AlertRule, Mapping[Configuration, float]]],
        *,
        hop_s: float = 0.0,
        clock: Callable[[], float] = time.time,
        token: str | None = None,
    ) -> None:
        self._ones = [_One(rule, thresholds) for rule, thresholds in rules]
        self._gap_s = max(GAP_S, HOPS * hop_s)
        self._clock, self._token = clock, secrets.token_hex(2) if token is None else token
        self._time_s = self._middle_s = -math.inf  # of the latest prediction
        self._take = 0
        self._source: str | None = None
        self._quiet_since: float | None = None
        self.counts = {"started": 0, "ended": 0}

    def see(self, answer: Answer) -> list[Alert]:
        """What a prediction changes. One that does not go on from the last ends first what went on."""
        told = self._between(answer)
        scores = dict(answer.top)
        # After a switch to fewer frames a window may end a little before the one that was answered last.
        middle_s = max(self._middle_s, (answer.window_start_s + answer.stream_time_s) / 2)
        clock_s = self._clock() if answer.captured_at is None else answer.captured_at
        clock_s -= answer.stream_time_s - middle_s
        self._time_s, self._middle_s = max(self._time_s, answer.stream_time_s), middle_s
        self._take, self._source = answer.take, answer.source
        self._quiet_since = None
        for one in self._ones:
            threshold = one.thresholds.get(answer.configuration)
            if threshold is None:  # not of this bundle
                continue
            reading = Reading(
                self._time_s, middle_s, scores.get(one.rule.label, 0.0), threshold,
                str(answer.configuration), clock_s,
            )  # fmt: skip
            one.now, change = step(one.rule, one.now, reading)
            told += self._told(one, change)
        return told

    def waited(self, now_s: float) -> list[Alert]:
        """That nothing has come for a while, at ``now_s`` of any steady clock: after `GAP_S` events end."""
        if self._quiet_since is None:
            self._quiet_since = now_s
        return self.end("silence") if now_s - self._quiet_since > self._gap_s else []

    def stream_over(self) -> list[Alert]:
        """End all that goes on; what comes next is another stream, with a time of its own."""
        told = self.end()
        self._forget()
        return told

    def end(self, reason: Reason = "end") -> list[Alert]:
        """End all that goes on."""
        told = []
        for one in self._ones:
            one.now, change = cut(one.rule, one.now, reason)
            told += self._told(one, change)
        return told

    def _between(self, answer: Answer) -> list[Alert]:
        """The stream's own breaks: another take, a pause, a time that began anew."""
        away_s = answer.stream_time_s - self._time_s
        if self._time_s == -math.inf or (answer.take == self._take and abs(away_s) <= self._gap_s):
            return []
        told = self.end("gap" if away_s > self._gap_s else "cut")
        if away_s < -self._gap_s:
            self._forget()
        return told

    def _forget(self) -> None:
        self._time_s = self._middle_s = -math.inf
        for one in self._ones:
            one.now = Watching()

    def _told(self, one: _One, change: Change | None) -> list[Alert]:
        if change is None:
            return []
        if change.state != "updated":
            self.counts[change.state] += 1
        spell = change.spell
        if change.state == "started":
            one.told = 0
            one.id = alert_id(spell.first.clock_s, self._token, self.counts["started"])
        one.told += 1
        return [self._alert(one, change, spell)]

    def _alert(self, one: _One, change: Change, spell: Spell) -> Alert:
        return Alert(
            id=one.id,
            seq=one.told,
            state=change.state,
            name=one.rule.called,
            label=one.rule.label,
            stream_time_s=spell.newest.time_s,
            start_s=spell.first.middle_s,
            end_s=spell.last.middle_s,
            started_at=spell.first.clock_s,
            ended_at=spell.last.clock_s,
            peak=spell.peak.score,
            mean=spell.mean,
            score=spell.newest.score,
            threshold=spell.newest.threshold,
            configuration=spell.newest.configuration,
            source=self._source,
            reason=change.reason,
        )


def watch_for(alerts: Sequence[AlertRule | str], bundle: Bundle, hop: int | None = None) -> AlertWatch | None:
    """The watch for rules, or lines as `parse_alert` takes them; None for none. ``hop``: model frames.

    Raises `UsageError` for a class that the bundle lacks, an alert without a threshold, and two of one name.
    """
    if isinstance(alerts, str):
        raise UsageError(f"alerts '{alerts[:80]}': give a list of them")
    rules = [parse_alert(one, bundle.classes) if isinstance(one, str) else one for one in alerts]
    names = [rule.called for rule in rules]
    for place, rule in enumerate(rules):
        check_label(rule.label, bundle.classes, f"alert '{rule.called}'")
        if rule.called in names[:place]:
            raise UsageError(f"alert '{rule.called}': there are two of that name; give one another `name`")
    if not rules:
        return None
    hop_s = bundle.hop_s if hop is None else hop / bundle.sampling.rate
    return AlertWatch([(rule, thresholds_of(rule, bundle)) for rule in rules], hop_s=hop_s)
