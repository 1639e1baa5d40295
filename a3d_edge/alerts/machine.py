"""When an event begins, goes on and ends: pure, of one rule and one stream; time comes with the readings.

        above for hold_s              below for release_s, a cut, a gap, the end
  quiet ────────────────▶ going on ─────────────────────────────────────────────▶ quiet for cooldown_s
            started        updated*                  ended

A spell that has not lasted is forgotten as soon as the score is no longer held, and nobody is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from a3d_edge.alerts.rule import AlertRule

__all__ = ["Change", "Reading", "Reason", "Spell", "State", "Watching", "cut", "step"]

State = Literal["started", "updated", "ended"]
Reason = Literal["below", "cut", "gap", "silence", "end", "interrupted"]
"""Why an event ended: its score; the source's frames do not go on from each other; predictions were away, in
the stream's time or by the clock; the run ended; the run before this was killed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One prediction, as one rule sees it: its newest frame's time and its window's middle (s of the stream),
    the class's score, the threshold at its configuration, and the clock's time of the middle (s since
    1970)."""

    time_s: float
    middle_s: float
    score: float
    threshold: float
    configuration: str
    clock_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Spell:
    """Readings that are held above: the first, the highest, the last one held, and the newest of all.

    ``total``, ``count``: of the held ones' scores. ``told_s``: when it was last told of; None: never.
    """

    first: Reading
    peak: Reading
    last: Reading
    newest: Reading
    total: float
    count: int
    told_s: float | None = None
    told_of: str = ""  # the configuration then

    @property
    def mean(self) -> float:
        """Of the scores that were held."""
        return self.total / self.count

    def grown(self, reading: Reading) -> Spell:
        """With another held reading."""
        peak = reading if reading.score > self.peak.score else self.peak
        total, count = self.total + reading.score, self.count + 1
        return replace(self, peak=peak, last=reading, newest=reading, total=total, count=count)


@dataclass(frozen=True, slots=True)
class Watching:
    """What is remembered between readings: the latest scores with their thresholds, the spell that goes on,
    and until when none may begin."""

    recent: tuple[tuple[float, float], ...] = ()
    spell: Spell | None = None
    quiet_until_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be told."""

    state: State
    spell: Spell
    reason: Reason | None = None


def step(rule: AlertRule, now: Watching, reading: Reading) -> tuple[Watching, Change | None]:
    """The next state, and what is to be told. Readings come in the order of their time.

    Averages are of score less threshold, so that a change of configuration, which has a threshold of its own,
    is no step up or down. A score that is no number counts as 0, and one outside [0, 1] as the nearer end.
    """
    score = min(max(reading.score, 0.0), 1.0) if math.isfinite(reading.score) else 0.0
    if score != reading.score:
        reading = replace(reading, score=score)
    recent = (*now.recent, (reading.score, reading.threshold))[-rule.average :]
    now = replace(now, recent=recent)
    if now.spell is None:
        above = len(recent) == rule.average and _excess(recent, 1.0) > 0.0
        if not above or reading.time_s < now.quiet_until_s:
            return now, None
        first = Spell(reading, reading, reading, reading, reading.score, 1)
        return _tell(rule, replace(now, spell=first), first)
    return _go_on(rule, now, now.spell, reading, held=_excess(recent, 1.0 - rule.hysteresis) > 0.0)


def cut(rule: AlertRule, now: Watching, reason: Reason) -> tuple[Watching, Change | None]:
    """End what goes on, and forget the scores: what follows does not go on from them."""
    spell = now.spell
    if spell is None or spell.told_s is None:
        return Watching(quiet_until_s=now.quiet_until_s), None
    quiet = spell.newest.time_s + rule.cooldown_s
    return Watching(quiet_until_s=quiet), Change("ended", spell, reason)


def _go_on(
    rule: AlertRule, now: Watching, spell: Spell, reading: Reading, *, held: bool
) -> tuple[Watching, Change | None]:
    if held:
        spell = spell.grown(reading)
        return _tell(rule, replace(now, spell=spell), spell)
    if spell.told_s is None:
        return replace(now, spell=None), None
    spell = replace(spell, newest=reading)
    if reading.time_s - spell.last.time_s < rule.release_s:
        return replace(now, spell=spell), None
    quiet = reading.time_s + rule.cooldown_s
    return replace(now, spell=None, quiet_until_s=quiet), Change("ended", spell, "below")


def _tell(rule: AlertRule, now: Watching, spell: Spell) -> tuple[Watching, Change | None]:
    """Whether it has lasted, or is to be told of again."""
    newest, state = spell.newest, None
    if spell.told_s is None:
        if newest.time_s - spell.first.time_s >= rule.hold_s:
            state = "started"
    elif newest.configuration != spell.told_of or 0.0 < rule.update_s <= newest.time_s - spell.told_s:
        state = "updated"
    if state is None:
        return now, None
    spell = replace(spell, told_s=newest.time_s, told_of=newest.configuration)
    return replace(now, spell=spell), Change("started" if state == "started" else "updated", spell)


def _excess(recent: tuple[tuple[float, float], ...], share: float) -> float:
    """How far scores exceed that share of their thresholds, on average."""
    return sum(score - share * threshold for score, threshold in recent) / len(recent)
