"""`docs/results/performance.md` from what `performance.py` has measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from _perf_rounds import median_of_ratios
from _perf_sides import EAGER, GEMM, GEMM_INT8, OURS, OV_PLAIN, OV_PLAIN_INT8, PLAIN, STREAMED

__all__ = ["report"]

Data = dict[str, Any]
ORT, ORT_INT8 = "ours, ORT fp32", "ours, ORT int8"
BUSY = 3.0
"""More load than this (on two cores) and the absolute figures are the neighbours' as much as ours."""


def report(data: Data) -> str:
    """The whole page."""
    sections = (_head, _targets, _beside, _streaming, _roofline, _loading, _running, _disk)
    return "\n".join(line for section in sections for line in (*section(data), ""))


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] * len(header)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _head(data: Data) -> Iterator[str]:
    machine, versions = data["machine"], data["versions"]
    loads = [load for one in data["configurations"].values() for load in one["load"]]
    yield "# Performance beside what a user would use instead"
    yield ""
    yield "`python benchmarks/performance.py --out docs/results/performance.md`"
    yield ""
    yield from _paragraph(
        f"{data['date']}; {machine['name']}, {machine['memory_gb']} GB, {machine['system']}; Python "
        f"{data['python']}, " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    )
    yield from _paragraph(
        f"`{data['arch']}`, random weights, 400 classes; every side with {data['threads']} threads, all in one "
        f"process, a turn each in every round ({data['rounds']} rounds after {data['warm_up']} of warm-up). "
        "Milliseconds are medians over rounds; a ratio is the median of the rounds' own ratios."
    )
    yield ""
    yield from _paragraph(
        f"The machine is shared. Its load (1 minute) was {min(loads):.1f} to {max(loads):.1f} while the sides "
        f"were timed, median {np.median(loads):.1f}, on {machine['cores']} cores, our own "
        f"{data['threads']} threads included."
        + (
            " That is more than this benchmark makes alone: ratios hold better than milliseconds."
            if np.median(loads) > BUSY
            else ""
        )
    )
    yield ""
    yield from _paragraph(
        "The other sides: *PyTorch eager* is the network of that width alone in `torch.nn` layers, "
        "`inference_mode`, in the quicker of the two memory layouts; *plain export* is `torch.onnx.export` of "
        "it (rank 5, static shapes, batch norm folded on loading), with each runtime's default options; "
        "*OpenVINO int8* is NNCF's post-training quantization of that export. This processor has no bfloat16."
    )
    yield from _paragraph(
        "Memory and what is not the network: [memory](memory.md), [overhead](overhead.md); int8's accuracy: "
        "[default bundle](default_bundle_int8.md)."
    )


# --- the targets


def _targets(data: Data) -> Iterator[str]:
    yield "## Targets"
    yield ""
    names = list(data["configurations"])
    rows = [
        (what, f"≤ {limit:g}", *(_cell(value, limit) for value in values))
        for what, limit, values in _ratios(data)
    ]
    yield from _table(("what", "target", *names), rows)
    yield ""
    rows = [
        (what, f"≤ {limit:g}{unit}", f"{value:.2f}{unit}", _met(value, limit))
        for what, limit, unit, value in _singles(data)
    ]
    yield from _table(("what", "target", "measured", "met"), rows)


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
    yield "fp32, ORT, against the plain export in ORT", 1.0, [_ratio(one, [ORT], [PLAIN]) for one in every]
    yield "int8 against our fp32, ORT", 0.33, [_ratio(one, [ORT_INT8], [ORT]) for one in every]
    yield "best engine against PyTorch eager", 0.22, [_ratio(one, ours, [EAGER]) for one in every]
    yield (
        "best engine against the plain export in OpenVINO at its best precision",
        1.0,
        [_ratio(one, ours, theirs) for one in every],
    )
    yield (
        "the same, ours streaming, per prediction",
        0.75,
        [_ratio(one, streamed, theirs) for one in every],
    )


def _ratio(one: Data, ours: Sequence[str], theirs: Sequence[str]) -> float | None:
    """Of the quickest of each, by their medians."""
    best = [_quickest(one, names) for names in (ours, theirs)]
    if None in best:
        return None
    return median_of_ratios(*(one["ms"][name] for name in best))


def _quickest(one: Data, names: Sequence[str]) -> str | None:
    there = [name for name in names if name in one["ms"]]
    return min(there, key=lambda name: _median(one, name)) if there else None


def _median(one: Data, side: str) -> float:
    return float(np.median(one["ms"][side]))


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


# --- the sections


def _beside(data: Data) -> Iterator[str]:
    yield "## Whole window"
    for name, one in data["configurations"].items():
        yield ""
        yield f"`{name}`, {one['gmac']:.2f} GMAC:"
        yield ""
        rows = [
            (
                side,
                f"{_median(one, side):.1f}",
                "{:.1f}–{:.1f}".format(*np.percentile(one["ms"][side], (25, 75))),
                f"{one['gmac'] / _median(one, side) * 1e3:.0f}",
                f"{_ratio(one, [side], [EAGER]):.2f}",
                f"{_ratio(one, [side], [PLAIN]):.2f}",
                f"{one['errors'][side]:.0e}",
            )
            for side in one["errors"]
            if not side.endswith(STREAMED)
        ]
        header = ("side", "ms", "quartiles", "GMAC/s", "× eager", "× plain ORT", "relative difference")
        yield from _table(header, rows)
    yield ""
    yield from _paragraph(
        "Relative difference: of the logits from PyTorch's, against their largest. The weights are random, so "
        "int8's says nothing of accuracy; it only shows that the same network was run."
    )


def _streaming(data: Data) -> Iterator[str]:
    yield "## Streaming: hop of one sampled frame"
    yield ""
    yield from _paragraph(
        "One picture encoded, the whole window's features classified; against the same engine's whole window. "
        "The largest difference of any logit from the whole window's is relative to the largest logit."
    )
    yield ""
    rows = []
    for name, one in data["configurations"].items():
        work = one["streaming_gmac"] / one["gmac"]
        for side in OURS:
            if side in one["ms"]:
                streamed = side + STREAMED
                error = one["streamed_errors"][streamed]
                ratio = f"{_ratio(one, [streamed], [side]):.2f}"
                took = f"{_median(one, streamed):.1f}"
                rows.append((f"`{name}`", side, f"{work:.2f}", took, ratio, f"{error:.0e}"))
    yield from _table(
        ("configuration", "side", "work", "ms", "time × whole window", "largest difference"), rows
    )


def _roofline(data: Data) -> Iterator[str]:
    yield "## Against the machine's peak"
    yield ""
    every = data["configurations"]
    peaks = {
        peak: 2048**3 / 1e6 / float(np.median([ms for one in every.values() for ms in one["ms"][peak]]))
        for peak in (GEMM, GEMM_INT8)
        if all(peak in one["ms"] for one in every.values())
    }
    shown = ", ".join(f"{name} {value:.0f} GMAC/s" for name, value in peaks.items())
    yield f"2048³ matrix products in PyTorch, timed in the same rounds: {shown}."
    yield ""
    rows = []
    for side in (*OURS, PLAIN, OV_PLAIN, OV_PLAIN_INT8):
        peak = GEMM_INT8 if "int8" in side else GEMM
        if peak in peaks and all(side in one["ms"] for one in every.values()):
            shares = (f"{_share(one, side, peak):.0%}" for one in every.values())
            rows.append((side, *shares))
    yield from _table(("share of that peak", *every), rows)


def _share(one: Data, side: str, peak: str) -> float:
    """GMAC/s over the matrix product's, round by round."""
    rate = one["gmac"] / np.array(one["ms"][side])
    return float(np.median(rate / (2048**3 / 1e9 / np.array(one["ms"][peak]))))


def _loading(data: Data) -> Iterator[str]:
    yield "## Until another configuration can answer"
    yield ""
    yield from _paragraph(
        "Milliseconds, medians of 5, files cached. *File of its own*: an ONNX Runtime session opened on the "
        "plain export. *Cold*: ours loaded and proved on its probe. *Prepared*: taken from the pool."
    )
    yield ""
    ways = list(next(iter(data["loading"].values())))
    rows = [
        (f"`{name}`", *(f"{times[way]:.2f}" if times[way] < 1 else f"{times[way]:.0f}" for way in ways))
        for name, times in data["loading"].items()
    ]
    yield from _table(("configuration", *ways), rows)


def _running(data: Data) -> Iterator[str]:
    yield "## Switches in a running loop"
    yield ""
    if not data["running"]:
        yield "Not measured in this run."
        return
    yield from _paragraph(
        "640×480 video at its own 30 frames a second, a prediction every sampled frame (267 ms), a script that "
        "goes to and fro. *Hot*: both networks are kept; extra delay is that of the first prediction after the "
        "switch, which encodes its whole window, beyond the same configuration's usual age. *Cold*: nothing is "
        "kept, each switch loads in the background; intervals between predictions, without the wait for a "
        "window of more frames, which ends later."
    )
    yield ""
    rows = []
    for run in data["running"]:
        ratio = run["p95_during_ms"] / run["p95_usual_ms"]
        rows.append(
            (
                " ↔ ".join(f"`{name}`" for name in run["pair"]),
                "hot" if run["hot"] else "cold",
                f"{run['switches']}",
                f"{run['extra_hops_median']:.2f} / {run['extra_hops_worst']:.2f}",
                f"{run['p95_during_ms']:.0f} / {run['p95_usual_ms']:.0f} = {ratio:.2f}",
                f"{run['frames_captured']}, {run['frames_lost']}, {run['frames_unaccounted']}",
                f"{run['windows_skipped']}, {run['windows_missing']}",
                f"{run['load']:.1f}",
            )
        )
    header = (
        "pair", "", "switches", "extra hops, median / worst", "p95 interval during / usual, ms",
        "frames: captured, lost, unaccounted", "windows: skipped, missing", "load",
    )  # fmt: skip
    yield from _table(header, rows)
    yield ""
    yield from _paragraph(
        "Windows skipped: going to fewer frames, the windows that are ready at once are all but the newest "
        "left out, so that the answer is new; and where the machine is too slow for the hop."
    )


def _disk(data: Data) -> Iterator[str]:
    disk = data["disk"]
    yield "## On disk"
    yield ""
    rows = [
        (f"ours, fp32: {data['rows']} rows, {disk['widths']} widths", disk["fp32"]),
        ("of which batch-norm statistics", disk["statistics"]),
        (f"int8 of {len(data['configurations'])} configurations in addition", disk["int8"]),
        ("one full-width ONNX file (plain export)", disk["single"]),
        (f"one file per row, {data['rows']} of them (4 bytes a parameter)", disk["one_per_row"]),
    ]
    shown = [(what, f"{size:,}", f"{size / disk['single']:.3f}") for what, size in rows]
    yield from _table(("what", "bytes", "× one full-width file"), shown)
