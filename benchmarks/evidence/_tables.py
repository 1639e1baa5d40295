"""The tables of docs/results/evidence.md, one function a letter: lines of Markdown, of what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from _findings import Findings, Side
from _gain import LARGEST_MS, gains, table_of
from _paired import Interval
from _plan import COMPARED, CORNERS, FULL, LARGER, LINES, NARROW, SIX, SLOWFAST, SMALLEST, WITHOUT_FRAMES, at

from a3d_edge.models.registry import describe

__all__ = ["A3D", "SECTIONS", "SWITCHED", "front", "ours"]

A3D, SWITCHED = "testbed-a3d", "testbed-a3d-switched"
ENOUGH = 0.05  # what cutting a dimension to its lowest must cost a network alone
HALF = 0.5 * 1.001

Lines = Iterator[str]
Where = tuple[float, int, int]  # width, size and frames as the paper writes them


def dimensions(found: Findings) -> Lines:
    """0: a network alone loses when a dimension is cut to its lowest."""
    full = _alone(found, FULL)
    yield from _head("configuration, trained alone", "accuracy", "less than all")
    for one in (FULL, *CORNERS):
        side = _alone(found, one)
        lost = None if one == FULL else found.mean([(full, side)])
        yield _row(side.configuration, _share(found.accuracy(side)), "" if one == FULL else _points(lost))
    losses = [found.mean([(full, _alone(found, one))]) for one in CORNERS]
    if all(losses):
        held = all(one is not None and one.mean >= ENOUGH for one in losses)
        yield ""
        yield f"Each costs at least {100 * ENOUGH:.0f} points: **{'yes' if held else 'no'}**."


def ours(found: Findings) -> str:
    """The kind of network whose table is shown: A3D with what we add to it, where it was trained."""
    there = any(f"{SWITCHED}-s{seed}" in found.logs for seed in found.scale.seeds)
    return SWITCHED if there else A3D


def against_alone(found: Findings) -> Lines:
    """a: A3D against networks trained alone."""
    yield from _against(found, A3D, "A3D", "alone, as much time", _longer)
    if ours(found) == SWITCHED:
        yield ""
        yield "With labels for half of what sub-networks learn, and batch norms that switch:"
        yield ""
        yield from _against(found, SWITCHED, "switched", "A3D", lambda _, one: Side(A3D, found.named(one)))
    yield ""
    yield from _front_table(found)
    if found.scale.real:
        yield ""
        yield from _real_table(found)


def _against(
    found: Findings, kind: str, word: str, third: str, other: Callable[[Findings, Where], Side]
) -> Lines:
    """A kind of mutual training, and tuned, against networks alone and what else it is held against."""
    heads = (f"{word} − alone", f"{word} − {third}", f"{word}, tuned − alone", "tuned − not")
    yield from _head("configuration", "GFLOPs", word, "alone", *heads)
    plain, tuned = [], []
    for one in COMPARED:
        name = found.named(one)
        this, after, alone = Side(kind, name), Side(f"{kind}-tuned", name), _alone(found, one)
        plain.append((this, alone))
        tuned.append((after, alone))
        pairs = ((this, alone), (this, other(found, one)), (after, alone), (after, this))
        yield _row(
            name, f"{found.gflops(name):.4f}", _share(found.accuracy(this)), _share(found.accuracy(alone)),
            *(_points(found.mean([pair])) for pair in pairs),
        )  # fmt: skip
    whole = found.gflops(found.named(FULL))
    cheap, own = (
        [pair for pair in of if found.gflops(pair[0].configuration) <= HALF * whole] for of in (plain, tuned)
    )
    yield ""
    yield (
        f"Mean of those at or below half of the compute: {_points(found.mean(cheap))} points; tuned "
        f"{_points(found.mean(own))}."
    )


def _front_table(found: Findings) -> Lines:
    kind = ours(found)
    steps = front(found, kind)
    yield "The table's front, chosen on validation clips, and how much better each step is on the test clips:"
    yield ""
    yield from _head("configuration", "GFLOPs", "accuracy", "than the one before")
    for place, name in enumerate(steps):
        before = found.mean([(Side(kind, name), Side(kind, steps[place - 1]))]) if place else None
        accuracy = _share(found.accuracy(Side(kind, name)))
        yield _row(name, f"{found.gflops(name):.4f}", accuracy, _points(before) if place else "")


def _real_table(found: Findings) -> Lines:
    yield "Real sets, every fold tested by networks that never saw its people; people are drawn whole:"
    yield ""
    names = [at(one, found.scale.real_size, 8) for one in SIX]
    yield from _head("set", *names, "mean of these")
    for name in found.scale.real:
        runs = (("", "a3d", "alone-{}"), (", switched", "a3d-switched", "alone-{}"))
        for words, one, other in (*runs, (", switched − A3D", "a3d-switched", "a3d")):
            pairs = [(f"{name}-{one}", f"{name}-{other.format(c)}", c) for c in names]
            each = [found.of_folds(name, [pair]) for pair in pairs]
            there = [pair for pair, points in zip(pairs, each, strict=True) if points is not None]
            mean = found.of_folds(name, there) if there else None
            if there or not words:
                yield _row(name + words, *map(_points, each), _points(mean))


def front(found: Findings, kind: str) -> list[str]:
    """From cheap to dear, what is better on the validation clips than all that is cheaper."""
    names = sorted(
        {found.named(one) for line in (*LINES.values(), COMPARED) for one in line}, key=found.gflops
    )
    best, chosen = -1.0, []
    for name in names:
        accuracy = found.accuracy(Side(kind, name), "val")
        if accuracy is not None and accuracy.mean > best:
            best = accuracy.mean
            chosen.append(name)
    return chosen


def several(found: Findings) -> Lines:
    """b: cutting several dimensions beats cutting one at the same cost."""
    kind, all_of_them = ours(found), [found.named(one) for one in LINES["several"]]
    yield "The best of several dimensions (on validation clips) that costs no more than what cuts one:"
    yield ""
    yield from _head("cut alone", "GFLOPs", "accuracy", "several", "better by")
    for dimension in ("width", "size", "frames"):
        for one in LINES[dimension][1:]:
            name = found.named(one)
            other = found.best(kind, all_of_them, found.gflops(name))
            accuracy = _share(found.accuracy(Side(kind, name)))
            better = _points(_than(found, kind, other, name))
            yield _row(f"{name} ({dimension})", f"{found.gflops(name):.4f}", accuracy, other or "–", better)


def ablations(found: Findings) -> Lines:
    """c: Tables 6 and 7, Figures 5 and 7, and what we chose ourselves."""
    full, least = found.named(FULL), found.named(NARROW[-1])
    narrow, still = "testbed-a3d-narrow", "testbed-a3d-no-frames"
    alone = _alone(found, FULL)
    wide = [found.named(one) for line in (*LINES.values(), COMPARED) for one in line]
    small = found.named(WITHOUT_FRAMES[-1])
    questions: list[tuple[str, Interval | None]] = [
        (
            "multi-resolution − alone, full (Table 7)",
            found.mean([(Side("testbed-multi-resolution", full), alone)]),
        ),
        ("A3D [0.06] − alone, full (Table 7)", found.mean([(Side(narrow, full), alone)])),
        (
            "A3D [0.06] with frames − without, full (Table 6)",
            found.mean([(Side(narrow, full), Side(still, full))]),
        ),
        ("the same, smallest (Table 6)", found.mean([(Side(narrow, least), Side(still, small))])),
    ]
    for one in NARROW:
        name = found.named(one)
        other = found.best(A3D, wide, found.gflops(name))
        same = None if other is None else found.mean([(Side(narrow, name), Side(A3D, other))])
        questions.append((f"[0.06] {name} − [0.016] {other or '–'}, which costs no more (Fig. 7)", same))
    for one in LARGER["256γs"][1:]:
        name = found.named(one)
        other = found.best(A3D, [found.named(c) for c in LARGER["224γs"]], found.gflops(name))
        questions.append(
            (
                f"224γs {other or '–'} − 256γs {name}, which costs no less (Fig. 5)",
                _than(found, A3D, other, name),
            )
        )
    for kind, words in TRIED.items():
        sides = [(Side(A3D, found.named(one)), Side(f"testbed-{kind}", found.named(one))) for one in COMPARED]
        questions.append((f"A3D − {words}, mean of seven", found.mean(sides)))
        questions.append((f"A3D − {words}, full", found.mean(sides[:1])))
    yield from _head("what", "points")
    for words, answer in questions:
        yield _row(words, _points(answer))


TRIED = {
    "label-share": "students that learn half from labels",
    "switchable": "batch norms that switch",
    "no-distillation": "students that learn from labels",
    "widths-0": "the narrowest width alone",
    "widths-3": "three random widths",
    "students-late": "students from 40 % of the run",
}


def training_cost(found: Findings) -> Lines:
    """d: what a step takes, by `steps.py`; a run's own wall-clock also tells of what else the machine did."""
    if not found.steps:
        yield "Not measured yet: `python benchmarks/evidence/steps.py`."
        return
    names = [found.named(one) for one in COMPARED]
    each = {name: found.steps["rows"][f"testbed-alone-{name}"] for name in names}
    six, a3d, full = [each[name] for name in names[: len(SIX)]], found.steps["rows"][A3D], each[names[0]]
    yield from _head("trained", "CPU ms a step", "of which to prepare the batch", "forward GMACs a clip")
    for name, row in {"A3D": a3d, **{f"{c} alone": row for c, row in each.items()}}.items():
        yield _row(name, *(f"{row[key]:.1f}" for key in COST[:2]), f"{row[COST[2]]:.4f}")
    sums = {key: sum(row[key] for row in six) for key in COST}
    expected = sum(SHARES) * full[COST[0]]
    yield _row(
        "the first six of these, together", *(f"{sums[key]:.1f}" for key in COST[:2]), f"{sums[COST[2]]:.4f}"
    )
    yield ""
    of_six, of_full = ({key: a3d[key] / one[key] for key in COST} for one in (sums, full))
    yield f"A3D's step takes **{of_six[COST[0]]:.2f}** of the time of those of six networks alone, and"
    yield f"{of_six[COST[2]]:.2f} of their compute; of the full network's {of_full[COST[0]]:.2f}, and"
    yield f"{of_full[COST[2]]:.2f}. The paper measures the full network, and expects the other five by their"
    yield f"compute (Table 2): A3D then takes {a3d[COST[0]] / expected:.2f}; the paper's is 0.34."
    yield f"Machine: {found.steps['machine']}; one thread, {found.steps['steps']} steps of each in turns."
    if ours(found) == SWITCHED:
        yield ""
        yield "CPU-seconds of whole runs by their logs, means of seeds; machines did other things beside:"
        runs, tuned = ([found.cpu_s(f"{kind}{end}") for kind in (A3D, SWITCHED)] for end in ("", "-tuned"))
        yield f"A3D {runs[0]:.0f}, switched {runs[1]:.0f}; tuning them {tuned[0]:.0f} and {tuned[1]:.0f}."


COST = ("step_ms", "prepared_ms", "gmacs_a_clip")
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


def slowfast(found: Findings) -> Lines:
    """e: the same for SlowFast, and what cutting the slow frames costs (Table 8)."""
    frames = describe("slowfast_small").frames
    names = list(dict.fromkeys(found.named(one, frames) for one in SLOWFAST))
    kind = "testbed-slowfast-a3d"
    yield from _head("configuration", "A3D", "alone", "A3D − alone", "A3D: full − this")
    for name in names:
        alone = Side(f"testbed-slowfast-alone-{name}", name)
        yield _row(
            name, _share(found.accuracy(Side(kind, name))), _share(found.accuracy(alone)),
            _points(found.mean([(Side(kind, name), alone)])),
            _points(found.mean([(Side(kind, names[0]), Side(kind, name))])),
        )  # fmt: skip
    full, half = (Side(A3D, found.named(one)) for one in (FULL, (1.0, 224, 4)))
    yield ""
    yield f"In Slow, half of the frames cost {_points(found.mean([(full, half)]))} points."


def calibration(found: Findings) -> Lines:
    """f: accuracy against the clips that calibration takes."""
    ends = [found.named(FULL), found.named(SMALLEST)]
    yield from _head("calibrated on", *ends)
    beside = [f"test:{clips}" for clips in found.scale.calibrations]
    for clips in sorted({*found.scale.calibrations, found.scale.calibration}):
        test = "test" if clips == found.scale.calibration else f"test:{clips}"
        yield _row(
            f"{clips} clips" if clips else "nothing",
            *(_share(found.accuracy(Side(ours(found), c), test, beside)) for c in ends),
        )


def transfer(found: Findings) -> Lines:
    """g: fine-tuned from either pre-training."""
    full = found.named(FULL)
    yield from _head("set", "from A3D − from plain", "from A3D − from nothing")
    for name in (one for one in found.scale.real if one != "tennis_strokes"):
        a3d = f"transfer-{name}-a3d"
        others = (f"transfer-{name}-{way}" for way in ("plain", "nothing"))
        yield _row(name, *(_points(found.of_folds(name, [(a3d, other, full)])) for other in others))


def switching(found: Findings) -> Lines:
    """h: what switching gains."""
    kind = ours(found)
    accuracies = {name: found.accuracy(Side(kind, name)) for name in front(found, kind)}
    known = {name: one.mean for name, one in accuracies.items() if one is not None}
    if not known:
        yield "Not yet: it takes the table that A3D gives."
        return
    yield f"By the front of letter a ({len(known)} configurations), of which the largest takes"
    yield f"{LARGEST_MS:.0f} ms at rest, the others by their compute; simulated on traces that come along."
    yield ""
    yield from _head(
        "trace",
        "switching",
        "in violation",
        "switches",
        "best fixed that never is",
        "its",
        "gain",
        "oracle",
    )
    every = gains(table_of(known, found.scale.size))
    for one in every:
        gain = "–" if one.fixed is None else f"{100 * (one.switching - one.fixed):+.1f}"
        yield _row(
            one.trace, _percent(one.switching), _percent(one.late), str(one.switches), one.best_fixed,
            _percent(one.fixed), gain, _percent(one.possible),
        )  # fmt: skip
    pairs = [(one.switching, one.fixed) for one in every if one.fixed is not None]
    if pairs:
        mean = sum(moving - fixed for moving, fixed in pairs) / len(pairs)
        yield ""
        yield f"Mean gain of {len(pairs)} traces: **{100 * mean:+.1f}** points."


def other_family(found: Findings) -> Lines:
    """i: another family."""
    yield from _head("configuration", "A3D", "alone", "A3D − alone")
    for one in (SIX[0], SIX[3], SIX[-1]):
        name = found.named(one)
        a3d, alone = Side("testbed-other-a3d", name), Side(f"testbed-other-alone-{name}", name)
        accuracies = (_share(found.accuracy(side)) for side in (a3d, alone))
        yield _row(name, *accuracies, _points(found.mean([(a3d, alone)])))


SECTIONS = {
    "0": ("The dimensions matter", dimensions),
    "a": ("A3D against networks trained alone", against_alone),
    "b": ("One dimension against several", several),
    "c": ("Ablations", ablations),
    "d": ("Cost of training", training_cost),
    "e": ("SlowFast", slowfast),
    "f": ("Calibration", calibration),
    "g": ("Transfer", transfer),
    "h": ("What switching gains", switching),
    "i": ("Another family", other_family),
}


def _alone(found: Findings, one: tuple[float, int, int]) -> Side:
    name = found.named(one)
    return Side(f"testbed-alone-{name}", name)


def _longer(found: Findings, one: tuple[float, int, int]) -> Side:
    name = found.named(one)
    return Side(f"testbed-alone-longer-{name}", name)


def _than(found: Findings, kind: str, better: str | None, worse: str) -> Interval | None:
    return None if better is None else found.mean([(Side(kind, better), Side(kind, worse))])


def _head(*cells: str) -> Lines:
    yield _row(*cells)
    yield "|---" * len(cells) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _share(one: Interval | None) -> str:
    return "–" if one is None else one.share


def _points(one: Interval | None) -> str:
    return "–" if one is None else str(one)
