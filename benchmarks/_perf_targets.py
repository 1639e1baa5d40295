"""The targets of the page of `performance.py`, what was measured for each, and whether it is met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from _perf_figures import ratio, table
from _perf_sides import AS_EXPORTED, EAGER, OURS, OV_PLAIN, OV_PLAIN_INT8, PLAIN, STREAMED

__all__ = ["targets"]

Data = dict[str, Any]
ORT, ORT_INT8 = "ours, ORT fp32", "ours, ORT int8"


def targets(data: Data) -> Iterator[str]:
    yield "## Targets"
    yield ""
    names = list(data["configurations"])
    rows = [
        (what, f"≤ {limit:g}", *(_cell(value, limit) for value in values))
        for what, limit, values in _ratios(data)
    ]
    yield from table(("what", "target", *names), rows)
    yield ""
    rows = [
        (what, f"≤ {limit:g}{unit}", f"{value:.2f}{unit}", _met(value, limit))
        for what, limit, unit, value in _singles(data)
    ]
    yield from table(("what", "target", "measured", "met"), rows)


def _met(value: float, limit: float) -> str:
    return "yes" if value <= limit else "**no**"


def _cell(value: float | None, limit: float) -> str:
    return "not measured" if value is None else f"{value:.2f}" if value <= limit else f"**{value:.2f} (no)**"


def _ratios(data: Data) -> Iterator[tuple[str, float, list[float | None]]]:
    """What, its limit, and its value at every configuration."""
    every = list(data["configurations"].values())
    ours = list(OURS)
    streamed = [name + STREAMED for name in ours]
    theirs = [OV_PLAIN, OV_PLAIN_INT8]
    yield "fp32, ORT, against the plain export in ORT", 1.0, [ratio(one, [ORT], [PLAIN]) for one in every]
    yield (
        "int8 against our fp32, ORT, no convolution in fp32",
        0.33,
        [ratio(one, [ORT_INT8], [ORT]) for one in every],
    )
    yield "the same, as exported", 0.33, [ratio(one, [ORT_INT8 + AS_EXPORTED], [ORT]) for one in every]
    yield "best engine against PyTorch eager", 0.22, [ratio(one, ours, [EAGER]) for one in every]
    yield (
        "best engine against the plain export in OpenVINO at its best precision",
        1.0,
        [ratio(one, ours, theirs) for one in every],
    )
    yield (
        "best engine streaming, per prediction, against the same",
        0.75,
        [ratio(one, streamed, theirs) for one in every],
    )


def _singles(data: Data) -> Iterator[tuple[str, float, str, float]]:
    largest = data["configurations"][max(data["configurations"])]
    work = largest["streaming_gmac"] / largest["gmac"]
    yield f"streaming, work per prediction at `{max(data['configurations'])}`", 0.72, "×", work
    disk = data["disk"]
    whole = disk["fp32"] / disk["single"]
    yield f"bundle on disk, fp32, {data['rows']} rows, against one full-width file", 1.08, "×", whole
    hot = [run for run in data["running"] if run["hot"]]
    cold = [run for run in data["running"] if not run["hot"]]
    if hot:
        yield (
            "hot switch: extra delay of the next prediction, worst",
            1.0,
            " hops",
            max(run["extra_hops_worst"] for run in hot),
        )
    if cold:
        yield (
            "cold switch: p95 of the intervals during it, against normal, worst pair",
            1.5,
            "×",
            max(run["p95_during_ms"] / run["p95_usual_ms"] for run in cold),
        )
    if data["running"]:
        lost = sum(run["frames_lost"] + abs(run["frames_unaccounted"]) for run in data["running"])
        yield "frames lost over all switches", 0.0, "", float(lost)
