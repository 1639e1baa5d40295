"""How well do events agree with what happens? Precision and recall on films joined of real clips.

    python benchmarks/alert_events.py --clips LIST --clips NONE --bundle 'FOLDER/fold{}' --work FOLDER
        [--folds 0,1,2,3] [--actions 100]
        [--largest w1.00-s96-t8] [--name ut_interaction] [--out docs/results/events.md]

A film of each fold: its clips of actions, scene by scene, and before each a clip of `none` (or random,
static) of its scene, letterboxed to one shape. The last picture of each fades into the first of the next for
2 s, where nothing happens: a camera does not jump, and with hard cuts most windows would hold one. It is run
twice: at the largest configuration, and with a switch every second window. `{}` in --bundle is the fold, for
bundles of networks that never saw it.
An event is right if one of that class happens and both overlap by half (intersection over union), each once.
Compared are raw predictions: spells of windows with one label, by their middles as for events.
The rule (threshold, average, hysteresis, hold, release) is chosen on the first fold, tested on the others.
A list without folds takes those of the groups in the others; clips that have none are left out.
Predictions are kept in --work, and used again.
"""

from __future__ import annotations

import csv
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from _options import parser_of

from a3d_edge import AlertRule, Bundle, Configuration, Frame, Runtime, open_source
from a3d_edge.alerts import Alert, watch_for
from a3d_edge.control.cycle import Cycle
from a3d_edge.device.machine import processor_name

NOTHING = ("none", "random", "static")
RATE, HEIGHT, FADE_S = 30.0, 144, 2.0
GRID = {
    "threshold": (0.3, 0.4, 0.5, 0.6),
    "average": (1, 3),
    "hysteresis": (0.2, 0.5),
    "hold_s": (0.0, 0.5),
    "release_s": (0.5, 1.0),
}
ENOUGH = 0.5  # overlap


@dataclass(frozen=True)
class Span:
    """Something of a class, from until (s)."""

    label: str
    start_s: float
    end_s: float

    def overlap(self, other: Span) -> float:
        """Intersection over union, if they are of one class."""
        both = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        union = max(self.end_s, other.end_s) - min(self.start_s, other.start_s)
        return 0.0 if self.label != other.label or both <= 0.0 else both / union


@dataclass(frozen=True)
class Answer:
    """A prediction, as it is kept."""

    stream_time_s: float
    window_start_s: float
    top: tuple[tuple[str, float], ...]
    configuration: Configuration
    captured_at: float | None = 0.0
    take: int = 0
    source: str | None = None


class Film:
    """Clips one after another as one source: 30 pictures a second, letterboxed to one shape."""

    live, frame_rate, unreadable, name = False, RATE, 0, "film"

    def __init__(self, clips: Sequence[tuple[Path, str]], aspect: float) -> None:
        self._clips, self._width = clips, round(HEIGHT * aspect / 2) * 2
        self.spans: list[Span] = []
        self._frames = self._all()

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None:
        self._frames.close()

    def _all(self) -> Iterator[Frame]:
        index, last = 0, None
        for path, label in self._clips:
            begun = 0
            for number, picture in enumerate(self._pictures(path)):
                if number == 0:
                    for step in range(round(FADE_S * RATE) if last is not None else 0):
                        share = step / (FADE_S * RATE)
                        mixed = cv2.addWeighted(last, 1.0 - share, picture, share, 0.0)
                        yield Frame(index, index / RATE, mixed, time.monotonic())
                        index += 1
                    begun = index
                yield Frame(index, index / RATE, picture, time.monotonic())
                index, last = index + 1, picture
            if label not in NOTHING:
                self.spans.append(Span(label, begun / RATE, index / RATE))

    def _pictures(self, path: Path) -> Iterator[np.ndarray[Any, Any]]:
        """Of a clip, 30 a second."""
        source, shown, picture = open_source(str(path)), 0, None
        while (frame := source.read()) is not None:
            while picture is not None and shown / RATE < frame.time_s:
                yield picture
                shown += 1
            picture = self._shaped(frame.image)
        source.close()
        if picture is not None:
            yield picture

    def _shaped(self, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        scale = min(HEIGHT / image.shape[0], self._width / image.shape[1])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        out = np.zeros((HEIGHT, self._width, 3), np.uint8)
        top, left = (HEIGHT - size[1]) // 2, (self._width - size[0]) // 2
        out[top : top + size[1], left : left + size[0]] = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA
        )
        return out


def clips_of(lists: Sequence[Path], fold: int, most: int) -> list[tuple[Path, str]]:
    """Actions, ``most`` of them, scene by scene, and before each what is none, of its scene if there is any.

    In an order drawn from a seed. A scene is a group, and a distance where the list has one.
    """
    rows = [(path, row) for path in lists for row in csv.DictReader(path.open(encoding="utf-8"))]
    folds = {row["group"]: row["fold"] for _, row in rows if row.get("fold")}
    mine = [(p.parent / r["path"], r) for p, r in rows if folds.get(r["group"]) == str(fold)]
    draw = random.Random(fold)
    draw.shuffle(mine)
    idle = [one for one in mine if one[1]["label"] in NOTHING]
    acted = [one for one in mine if one[1]["label"] not in NOTHING][:most]
    found = []
    for number, (path, row) in enumerate(sorted(acted, key=lambda one: scene_of(one[1]))):
        alike = [one for one in idle if scene_of(one[1]) == scene_of(row)] or idle
        found += [(alike[number % len(alike)][0], "none"), (path, row["label"])]
    return found


def scene_of(row: dict[str, str]) -> tuple[str, str]:
    """Where a clip was taken."""
    return row["group"], row.get("distance") or ""


def answers(
    lists: Sequence[Path],
    fold: int,
    most: int,
    bundle: Bundle,
    largest: Configuration,
    *,
    switching: bool,
    work: Path,
) -> tuple[list[Answer], list[Span]]:
    """What the network says of a fold's film, and what happens in it; run once, then read."""
    file = work / f"{fold}-{most}-{'switching' if switching else largest}.json"
    if not file.exists():
        film = Film(clips_of(lists, fold, most), bundle.preprocessing.aspect)
        options: dict[str, Any] = {"budget": str(largest)}
        if switching:
            options = {"controller": Cycle(bundle.configurations, 2)}
        with Runtime(bundle, film, **options) as runtime:
            told = [(p.stream_time_s, p.window_start_s, list(p.top), str(p.configuration)) for p in runtime]
        spans = [(s.label, s.start_s, s.end_s) for s in film.spans]
        work.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"answers": told, "spans": spans}))
    kept = json.loads(file.read_text())
    found = [
        Answer(at, begun, tuple((label, score) for label, score in top), Configuration.parse(name))
        for at, begun, top, name in kept["answers"]
    ]
    return found, [Span(*one) for one in kept["spans"]]


def alerts_of(said: Sequence[Answer], bundle: Bundle, rule: dict[str, Any]) -> list[Alert]:
    """What alerts of every class tell."""
    rules = [AlertRule(label=label, update_s=0.0, **rule) for label in bundle.classes if label not in NOTHING]
    watch = watch_for(rules, bundle)
    assert watch is not None
    told = [alert for answer in said for alert in watch.see(answer)]
    return [*told, *watch.end()]


def ended(alerts: Sequence[Alert]) -> list[Span]:
    """The events."""
    return [Span(a.label, a.start_s, a.end_s) for a in alerts if a.state == "ended"]


def raw(said: Sequence[Answer]) -> list[Span]:
    """Spells of one label."""
    found = []
    for label, spell in itertools.groupby(said, key=lambda answer: answer.top[0][0]):
        middles = [(answer.window_start_s + answer.stream_time_s) / 2 for answer in spell]
        if label not in NOTHING:
            found.append(Span(label, middles[0], middles[-1]))
    return found


@dataclass
class Score:
    """Counts: right ones, events, and what happened."""

    right: int = 0
    told: int = 0
    happened: int = 0

    def add(self, events: Sequence[Span], spans: Sequence[Span]) -> Score:
        """Those of another film. Each event and each span counts once, the best pairs first."""
        pairs = sorted(
            ((e.overlap(s), i, j) for i, e in enumerate(events) for j, s in enumerate(spans)), reverse=True
        )
        used: tuple[set[int], set[int]] = (set(), set())
        for overlap, i, j in pairs:
            if overlap >= ENOUGH and i not in used[0] and j not in used[1]:
                used[0].add(i)
                used[1].add(j)
        self.right += len(used[0])
        self.told += len(events)
        self.happened += len(spans)
        return self

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.right / max(1, self.told + self.happened)

    def row(self, name: str) -> str:
        """Of a table."""
        precision, recall = self.right / max(1, self.told), self.right / max(1, self.happened)
        return (
            f"| {name} | {self.right} of {self.told} | {precision:.2f} | {self.right} of {self.happened} "
            f"| {recall:.2f} | {self.f1:.2f} |"
        )


def chosen(said: Sequence[Answer], spans: Sequence[Span], bundle: Bundle) -> dict[str, Any]:
    """The rule with the highest F1 on a film."""
    rules = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    return max(rules, key=lambda rule: Score().add(ended(alerts_of(said, bundle, rule)), spans).f1)


def switches_within(said: Sequence[Answer], alerts: Sequence[Alert]) -> int:
    """Changes of configuration while an event went on."""
    switches = [b.stream_time_s for a, b in itertools.pairwise(said) if a.configuration != b.configuration]
    events = [alert for alert in alerts if alert.state == "ended"]
    return sum(event.start_s < at < event.end_s for event in events for at in switches)


def broken(events: Sequence[Span], spans: Sequence[Span]) -> int:
    """Of what happened, how much is told of as more than one event of its class."""
    return sum(sum(event.overlap(span) > 0.0 for event in events) > 1 for span in spans)


def page(args: Any) -> list[str]:
    """The lines of a set's section."""
    folds = [int(word) for word in args.folds.split(",")]
    first, *others = folds
    bundles = {fold: Bundle.load(args.bundle.format(fold)) for fold in folds}
    pinned = Configuration.parse(args.largest)

    def run(fold: int, switching: bool) -> tuple[list[Answer], list[Span]]:
        return answers(
            args.clips,
            fold,
            args.actions,
            bundles[fold],
            pinned,
            switching=switching,
            work=args.work / args.name,
        )

    rule = chosen(*run(first, False), bundles[first])
    scores = {key: Score() for key in ("raw", "events", "raw, switching", "events, switching")}
    within = 0
    parts = {False: 0, True: 0}
    for fold in others:
        for switching in (False, True):
            said, spans = run(fold, switching)
            alerts = alerts_of(said, bundles[fold], rule)
            after = ", switching" if switching else ""
            scores[f"raw{after}"].add(raw(said), spans)
            scores[f"events{after}"].add(ended(alerts), spans)
            parts[switching] += broken(ended(alerts), spans)
            within += switches_within(said, alerts)
    words = ", ".join(f"{key} {value}" for key, value in rule.items())
    rows = [
        scores["raw"].row(f"raw predictions, {args.largest}"),
        scores["events"].row(f"events, {args.largest}"),
        scores["raw, switching"].row("raw predictions, a switch every second window"),
        scores["events, switching"].row("events, a switch every second window"),
    ]
    return [
        f"## {args.name}\n",
        f"Rule, chosen on fold {first}: {words}. Folds {', '.join(map(str, others))}:\n",
        "| | right of told | precision | right of happened | recall | F1 |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"{within} switches fell within these events. Told of in more than one event: {parts[False]} of "
        f"{scores['events'].happened} actions at one configuration, {parts[True]} with the switches.\n",
    ]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clips", type=Path, action="append", required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--actions", type=int, default=100)
    parser.add_argument("--folds", default="0,1,2,3")
    parser.add_argument("--largest", default="w1.00-s96-t8")
    parser.add_argument("--name", default="ut_interaction")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = page(args)
    lines.append(f"On {processor_name()}.\n")
    text = "\n".join(lines)
    print(text)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
