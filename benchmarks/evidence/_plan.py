"""Every run of the evidence as a typed list: what is trained on what, and what is then measured.

Letters say what a run is for (docs/results/evidence.md):

    0  the dimensions matter: a network alone loses when size, frames or width is cut to its lowest
    a  A3D against networks trained alone, at as many updates and at as much time
    b  one dimension alone against several            c  ablations: Tables 6, 7, Figs. 5, 7, and our own
    d  cost of training                               e  SlowFast
    f  calibration                                    g  transfer
    h  what switching gains                           i  another family
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from a3d_edge.configuration import Configuration
from a3d_edge.models.ranges import find_range
from a3d_edge.models.registry import ARCHITECTURES, describe

__all__ = [
    "LETTERS", "REAL_SEEDS", "SCALES", "Run", "Scale", "Source", "at", "chosen", "of_fold", "pending", "plan",
    "range_of",
]  # fmt: skip

LETTERS = "0abcdefghi"
OTHER_FAMILY = "r2plus1d_small"


@dataclass(frozen=True, slots=True)
class Scale:
    """How large all of it is. ``folds``: of the real sets; ``real``: their names, ``real_size``: the input's
    side there, where people are small. ``lr``: the peak rate of every run.
    ``tune``: the steps that tune a trained network's batch norms."""

    train: int = 1200
    validate: int = 240
    test: int = 960
    epochs: int = 12
    seeds: tuple[int, ...] = (0, 1, 2)
    size: int = 32
    real: tuple[str, ...] = ("body_gestures", "ut_interaction", "surv_fight", "tennis_strokes")
    real_size: int = 64
    folds: int = 4
    real_epochs: int | None = None  # as many as the small recipe takes
    batch: int = 16
    calibration: int = 128
    calibrations: tuple[int, ...] = (0, 16)
    lr: float = 2e-3
    tune: int = 500


SCALES = {
    "full": Scale(),
    "long": Scale(2000, 480, 4000, 30, calibration=256, calibrations=(0, 16, 32, 64, 128)),
    "faster": Scale(2000, 480, 4000, 30, calibration=256, calibrations=(0, 16, 32, 64, 128), lr=4e-3),
    "tiny": Scale(
        24,
        12,
        24,
        1,
        (0, 1),
        size=32,
        real=(),
        folds=1,
        batch=8,
        calibration=12,
        calibrations=(0, 6),
        tune=2,
    ),
}
"""``full`` was made first, on a part of a core; ``long`` was to settle it; ``faster`` is that at twice the
rate, where a mutual network and one alone both learn more, the mutual one most; ``tiny`` proves that all
parts fit together: its numbers mean nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """Clips: the testbed, or a real set without one fold, which is tested on."""

    name: str
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One training and what is measured of it.

    ``changes`` of the small recipe. ``configurations`` are tested, calibrated on ``calibrations`` training
    clips each time (0: not at all), the first for all of them, the others for ``few``. ``init``: the run
    whose weights it begins with; ``time_of``: a run that took the time it may take, and one that took its
    own steps. ``tune``: so many steps after it tune the batch norms of each of its configurations.
    """

    name: str
    letters: str
    source: Source
    changes: Mapping[str, Any]
    configurations: tuple[str, ...]
    calibrations: tuple[int, ...]
    few: tuple[str, ...] = ()
    init: str | None = None
    time_of: tuple[str, str] | None = None
    tune: int = 0
    needs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        needs = (() if self.init is None else (self.init,)) + (self.time_of or ())
        object.__setattr__(self, "needs", needs)

    @property
    def arch(self) -> str:
        """The network's."""
        return str(self.changes["arch"])


REAL_SEEDS = (0, 1, 2)
"""Of the real sets; a few hundred clips are named a little otherwise by the next training."""

FULL = (1.0, 224, 8)
SIX = (FULL, (1.0, 192, 8), (1.0, 192, 6), (1.0, 224, 4), (0.8, 192, 4), (0.5, 160, 4))
"""Width, size and frames as the paper writes them: 1, 0.93, 0.70, 0.50, 0.33 and 0.11 of the full network's
compute, nearly the six of its Table 2 (1, 0.9, 0.7, 0.5, 0.3 and 0.1)."""
SMALLEST = (0.5, 128, 2)
COMPARED = (*SIX, SMALLEST)
"""0.03 of the compute at the end."""
CORNERS = ((1.0, 128, 8), (1.0, 224, 2), (0.5, 224, 8))
LINES = {
    "width": tuple((w, 224, 8) for w in (1.0, 0.7, 0.5)),
    "size": tuple((1.0, s, 8) for s in (224, 192, 128)),
    "frames": tuple((1.0, 224, t) for t in (8, 4, 2)),
    "several": COMPARED,
}
LARGER = {
    "224γs": LINES["size"], "256γs": tuple((1.0, s, 8) for s in (256, 182)),
}  # fmt: skip
"""Fig. 5: larger test sizes than those that were trained at."""
NARROW = (FULL, (1.0, 224, 5), (0.73, 224, 5), (0.63, 178, 5), (0.63, 142, 3))
"""Of the range 0.06; Fig. 7 and Table 6 compare at equal cost, and so by interpolation."""
WITHOUT_FRAMES = (FULL, (0.8, 224, 8), (0.6, 224, 8), (0.6, 149, 8), (0.5, 112, 8))
SLOWFAST = (FULL, (1.0, 224, 6), (1.0, 224, 4), (0.63, 224, 4), (0.63, 142, 4))

PAPER: dict[str, Any] = {"label_share": 0.0, "switchable": False}
SWITCHED: dict[str, Any] = {"label_share": 0.5, "switchable": True}
"""Mutual training as the paper has it, and with what we add: sub-networks learn from labels as much as from
the full network, and batch norms switch with width, size and frames."""
TESTBED = {
    "input_kind": "rgb", "aspect": 1.0, "view": "whole", "draw": "anywhere", "balanced": False,
    "students_from": 0.0, "smoothing": 0.0, "val": 0.0, "precision": "bf16", **PAPER,
}  # fmt: skip
"""Changes of the small recipe for the drawn set: what is drawn without end need not be balanced, and still
pictures have to be told apart by what is in them. Mutual from the first step, as in the paper."""


def at(one: tuple[float, int, int], size: int, frames: int) -> str:
    """The configuration of a network of ``size`` and ``frames`` that the paper writes for 224 and 8."""
    width, side, count = one
    scaled = max(1, int(count * frames / 8 + 0.5))
    return str(Configuration(width, round(side * size / 224), scaled))


def plan(scale: Scale) -> tuple[Run, ...]:
    """All runs, in the order in which they decide something."""
    runs = [*_testbed(scale), *_ablations(scale), *_slowfast(scale), *_real(scale), *_transfer(scale)]
    return (*runs, *_other_family(scale))


def chosen(runs: Sequence[Run], letters: str, names: Sequence[str]) -> list[Run]:
    """The runs that are for one of the ``letters``, or named, and those that they need; all if none is said.

    Raises ValueError for what is not in the plan.
    """
    by_name = {run.name: run for run in runs}
    if odd := [*(c for c in letters if c not in LETTERS), *(name for name in names if name not in by_name)]:
        raise ValueError(f"not in the plan: {', '.join(odd)}")
    if not letters and not names:
        return list(runs)
    wanted = {run.name for run in runs if set(run.letters) & set(letters)} | set(names)
    left = list(wanted)
    while left:
        needed = [name for name in by_name[left.pop()].needs if name not in wanted]
        wanted |= set(needed)
        left += needed
    return [run for run in runs if run.name in wanted]


def pending(run: Run) -> str | None:
    """Why a run cannot be made yet; None where it can."""
    return None if run.arch in ARCHITECTURES else f"there is no architecture '{run.arch}' yet"


def _names(every: Sequence[tuple[float, int, int]], scale: Scale, frames: int = 8) -> tuple[str, ...]:
    return tuple(dict.fromkeys(at(one, scale.size, frames) for one in every))


def _drawn(
    scale: Scale, name: str, letters: str, seed: int, every: Sequence[str], *, few: Sequence[str] = (),
    calibrations: Sequence[int] = (), time_of: tuple[str, str] | None = None, init: str | None = None,
    tune: int = 0, **changes: Any,
) -> Run:  # fmt: skip
    """A run on the testbed."""
    told = {
        "arch": "slow_small", **TESTBED, "size": scale.size, "batch": scale.batch, "epochs": scale.epochs,
        "lr": scale.lr, "seed": seed, **changes,
    }  # fmt: skip
    counts = (scale.calibration, *calibrations)
    return Run(
        f"testbed-{name}-s{seed}",
        letters,
        Source("testbed"),
        told,
        tuple(every),
        counts,
        tuple(few),
        init=init,
        time_of=time_of,
        tune=tune,
    )


def _testbed(scale: Scale) -> Iterator[Run]:
    """A3D and networks alone, and for the first seed the corners: each dimension cut to its lowest."""
    every = _names(
        [*COMPARED, *CORNERS, *(c for line in (*LINES.values(), *LARGER.values()) for c in line)], scale
    )
    seven = _names(COMPARED, scale)
    for seed in scale.seeds:
        yield _drawn(scale, f"alone-{seven[0]}", "0abcdg", seed, [seven[0]], alone=seven[0])
        ends = (seven[0], seven[-1])
        times = scale.calibrations if seed == scale.seeds[0] else ()
        yield _drawn(scale, "a3d", "abcdfgh", seed, every, few=ends, calibrations=times)
        whose = f"testbed-a3d-s{seed}"
        yield _drawn(scale, "a3d-tuned", "a", seed, seven, init=whose, tune=scale.tune, epochs=0)
        yield _drawn(scale, "a3d-switched", "abfh", seed, every, few=ends, calibrations=times, **SWITCHED)
        whose = f"testbed-a3d-switched-s{seed}"
        yield _drawn(
            scale, "a3d-switched-tuned", "a", seed, seven, init=whose, tune=scale.tune, epochs=0, **SWITCHED
        )
        for one in reversed(seven[3:]):
            yield _drawn(scale, f"alone-{one}", "ad", seed, [one], alone=one)
        for one in _names(CORNERS, scale) if seed == scale.seeds[0] else ():
            yield _drawn(scale, f"alone-{one}", "0b", seed, [one], alone=one)
        for one in seven[1:3]:
            yield _drawn(scale, f"alone-{one}", "ad", seed, [one], alone=one)
    seed = scale.seeds[0]
    for one in seven:
        its = (f"testbed-a3d-s{seed}", f"testbed-alone-{one}-s{seed}")
        yield _drawn(scale, f"alone-longer-{one}", "a", seed, [one], time_of=its, alone=one)


def _ablations(scale: Scale) -> Iterator[Run]:
    six, narrow, still = (_names(every, scale) for every in (COMPARED, NARROW, WITHOUT_FRAMES))
    for seed in scale.seeds[:1]:
        yield _drawn(scale, "a3d-narrow", "c", seed, narrow, range_name="0.06")
        yield _drawn(
            scale, "multi-resolution", "c", seed, narrow[:1], range_name="0.06", multi_resolution=True
        )
        yield _drawn(scale, "a3d-no-frames", "c", seed, still, range_name="0.06-no-frames")
        yield _drawn(scale, "no-distillation", "c", seed, six, distillation=False)
        yield _drawn(scale, "label-share", "c", seed, six, label_share=SWITCHED["label_share"])
        yield _drawn(scale, "switchable", "c", seed, six, switchable=True)
        yield _drawn(scale, "widths-0", "c", seed, six, random_widths=0)
        yield _drawn(scale, "widths-3", "c", seed, six, random_widths=3)
        yield _drawn(scale, "students-late", "c", seed, six, students_from=0.4)


def _slowfast(scale: Scale) -> Iterator[Run]:
    arch = "slowfast_small"
    frames = describe(arch).frames
    every = tuple(dict.fromkeys(at(one, scale.size, frames) for one in SLOWFAST))
    for seed in scale.seeds:
        yield _drawn(scale, "slowfast-a3d", "e", seed, every, arch=arch, range_name="0.06")
        for one in every[:3]:
            yield _drawn(scale, f"slowfast-alone-{one}", "e", seed, [one], arch=arch, alone=one)


def _real(scale: Scale) -> Iterator[Run]:
    """With the product's own recipe for small sets, input and all; the first seed of every set first."""
    larger = replace(scale, size=scale.real_size)
    six = _names(SIX, larger)
    for seed, name, fold in product(REAL_SEEDS, scale.real, range(scale.folds)):
        source = Source(name, fold)
        told = {**_small(larger), "precision": "bf16", "lr": scale.lr, "seed": seed}
        yield Run(of_fold(f"{name}-a3d", fold, seed), "ad", source, told, six, (scale.calibration,))
        switched = of_fold(f"{name}-a3d-switched", fold, seed)
        yield Run(switched, "a", source, {**told, **SWITCHED}, six, (scale.calibration,))
        for one in six:
            run, alone = of_fold(f"{name}-alone-{one}", fold, seed), {**told, "alone": one}
            yield Run(run, "ad", source, alone, (one,), (scale.calibration,))


def of_fold(run: str, fold: int, seed: int) -> str:
    """The name of a run of a real set; logs of the first seed are older than the others' names."""
    return f"{run}-f{fold}" if seed == REAL_SEEDS[0] else f"{run}-f{fold}-s{seed}"


def _small(scale: Scale) -> dict[str, Any]:
    epochs = {} if scale.real_epochs is None else {"epochs": scale.real_epochs}
    told = {"arch": "slow_small", "size": scale.size, "val": 0.0, "precision": "fp32", "seed": 0}
    return {**told, **PAPER, **epochs}


def _transfer(scale: Scale) -> Iterator[Run]:
    """Fine-tuned plainly at the full configuration, from either pre-training, and from nothing; at the rate
    that the recipe has for each."""
    full = at(FULL, scale.size, 8)
    plain = {**_small(scale), "input_kind": "rgb", "aspect": 1.0, "mutual": False}
    begun = {"a3d": "testbed-a3d-s0", "plain": f"testbed-alone-{full}-s0", "nothing": None}
    for name in (one for one in scale.real if one != "tennis_strokes"):
        for fold in range(scale.folds):
            for way, init in begun.items():
                run = f"transfer-{name}-{way}-f{fold}"
                source = Source(name, fold)
                yield Run(run, "g", source, plain, (full,), (scale.calibration,), init=init)


def _other_family(scale: Scale) -> Iterator[Run]:
    six = _names(SIX, scale)
    for seed in scale.seeds:
        yield _drawn(scale, "other-a3d", "i", seed, six, arch=OTHER_FAMILY)
        for one in (six[0], six[3], six[-1]):
            yield _drawn(scale, f"other-alone-{one}", "i", seed, [one], arch=OTHER_FAMILY, alone=one)


def range_of(run: Run) -> str:
    """The name of the range it is trained over."""
    return find_range(str(run.changes.get("range_name", "0.016"))).name
