"""`docs/results/performance.md` from what `performance.py` has measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from _perf_figures import median_ms, paragraph, ratio, share, table
from _perf_sides import EAGER, GEMM, GEMM_INT8, GEMM_SIDE, OURS, OV_PLAIN, OV_PLAIN_INT8, PLAIN, STREAMED
from _perf_targets import targets

__all__ = ["report"]

Data = dict[str, Any]
BUSY = 3.0
"""More load than this (on two cores) and the absolute figures are the neighbours' as much as ours."""


def report(data: Data) -> str:
    """The whole page."""
    sections = (_head, targets, _beside, _streaming, _roofline, _loading, _running, _disk)
    return "\n".join(line for section in sections for line in (*section(data), ""))


def _head(data: Data) -> Iterator[str]:
    machine, versions = data["machine"], data["versions"]
    loads = [load for one in data["configurations"].values() for load in one["load"]]
    yield "# Performance beside what a user would use instead"
    yield ""
    yield "`python benchmarks/performance.py --out docs/results/performance.md`"
    yield ""
    yield from paragraph(
        f"{data['date']}; {machine['name']}, {machine['memory_gb']} GB, {machine['system']}; Python "
        f"{data['python']}, " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
    )
    yield from paragraph(
        f"`{data['arch']}`, random weights, 400 classes; every side with {data['threads']} threads, all in "
        f"one process, a turn each in every round ({data['rounds']} rounds after {data['warm_up']} of "
        "warm-up). Milliseconds are medians over rounds; a ratio is the median of the rounds' own ratios."
    )
    yield ""
    yield from paragraph(
        f"The machine is shared. Its load (1 minute) was {min(loads):.1f} to {max(loads):.1f} while the "
        f"sides were timed, median {np.median(loads):.1f}, on {machine['cores']} cores, our own "
        f"{data['threads']} threads included."
        + (
            " That is more than this benchmark makes alone: ratios hold better than milliseconds."
            if np.median(loads) > BUSY
            else ""
        )
    )
    yield ""
    yield from paragraph(
        "The other sides: *PyTorch eager* is the network of that width alone in `torch.nn` layers, "
        "`inference_mode`, in the quicker of the two memory layouts; *plain export* is "
        "`torch.onnx.export` of it (rank 5, static shapes, batch norm folded on loading), with each "
        "runtime's default options; *OpenVINO int8* is NNCF's post-training quantization of that export. "
        f"For this processor OpenVINO lists {', '.join(data['openvino_precisions'])}{_bfloat16(data)}."
    )
    yield from paragraph(
        "Ours in int8 is measured twice. The exporter leaves convolutions in fp32 whose quantized input "
        f"moves the logits (*as exported*), here {_kept(data)}. Which and how many is a property of the "
        "weights, and random weights say nothing of trained ones; so the other int8 figures are without "
        "any."
    )
    yield from paragraph(
        "Memory and what is not the network: [memory](memory.md), [overhead](overhead.md); int8's "
        "accuracy: [interactions](interactions_bundle_numbers.md)."
    )


def _kept(data: Data) -> str:
    every = data["convolutions"]
    return ", ".join(f"{len(names)} of {every} at width {width}" for width, names in data["kept"].items())


def _bfloat16(data: Data) -> str:
    """Why there is no side in bfloat16, where there is none."""
    return "" if "BF16" in data["openvino_precisions"] else ": bfloat16 is not among them"


def _beside(data: Data) -> Iterator[str]:
    yield "## Whole window"
    for name, one in data["configurations"].items():
        yield ""
        yield f"`{name}`, {one['gmac']:.2f} GMAC:"
        yield ""
        rows = [
            (
                side,
                f"{median_ms(one, side):.1f}",
                "{:.1f}–{:.1f}".format(*np.percentile(one["ms"][side], (25, 75))),
                f"{one['gmac'] / median_ms(one, side) * 1e3:.0f}",
                f"{ratio(one, [side], [EAGER]):.2f}",
                f"{ratio(one, [side], [PLAIN]):.2f}",
                f"{one['errors'][side]:.0e}",
            )
            for side in one["errors"]
            if not side.endswith(STREAMED)
        ]
        header = ("side", "ms", "quartiles", "GMAC/s", "× eager", "× plain ORT", "relative difference")
        yield from table(header, rows)
    yield ""
    yield from paragraph(
        "Relative difference: of the logits from PyTorch's, against their largest. The weights are "
        "random, so int8's says nothing of accuracy; it only shows that the same network was run."
    )


def _streaming(data: Data) -> Iterator[str]:
    yield "## Streaming: hop of one sampled frame"
    yield ""
    yield from paragraph(
        "One picture encoded, the whole window's features classified; against the same engine's whole "
        "window. The largest difference of any logit from the whole window's is relative to the largest "
        "logit."
    )
    yield ""
    rows = []
    for name, one in data["configurations"].items():
        work = one["streaming_gmac"] / one["gmac"]
        for side in OURS:
            if side in one["ms"]:
                streamed = side + STREAMED
                error = one["streamed_errors"][streamed]
                against = f"{ratio(one, [streamed], [side]):.2f}"
                took = f"{median_ms(one, streamed):.1f}"
                rows.append((f"`{name}`", side, f"{work:.2f}", took, against, f"{error:.0e}"))
    yield from table(
        ("configuration", "side", "work", "ms", "time × whole window", "largest difference"), rows
    )


def _roofline(data: Data) -> Iterator[str]:
    yield "## Against the machine's peak"
    yield ""
    every = data["configurations"]
    peaks = {
        peak: GEMM_SIDE**3 / 1e6 / float(np.median([ms for one in every.values() for ms in one["ms"][peak]]))
        for peak in (GEMM, GEMM_INT8)
        if all(peak in one["ms"] for one in every.values())
    }
    shown = ", ".join(f"{name} {value:.0f} GMAC/s" for name, value in peaks.items())
    yield f"{GEMM_SIDE}³ matrix products in PyTorch, timed in the same rounds: {shown}."
    yield ""
    rows = []
    for side in (*OURS, PLAIN, OV_PLAIN, OV_PLAIN_INT8):
        peak = GEMM_INT8 if "int8" in side else GEMM
        if peak in peaks and all(side in one["ms"] for one in every.values()):
            shares = (f"{share(one, side, peak):.0%}" for one in every.values())
            rows.append((side, *shares))
    yield from table(("share of that peak", *every), rows)


def _loading(data: Data) -> Iterator[str]:
    yield "## Until another configuration can answer"
    yield ""
    yield from paragraph(
        "Milliseconds, medians of 5, files cached. *File of its own*: an ONNX Runtime session opened on "
        "the plain export. *Cold*: ours loaded and proved on its probe. *Prepared*: taken from the pool."
    )
    yield ""
    ways = list(next(iter(data["loading"].values())))
    rows = [
        (f"`{name}`", *(f"{times[way]:.2f}" if times[way] < 1 else f"{times[way]:.0f}" for way in ways))
        for name, times in data["loading"].items()
    ]
    yield from table(("configuration", *ways), rows)


def _running(data: Data) -> Iterator[str]:
    yield "## Switches in a running loop"
    yield ""
    if not data["running"]:
        yield "Not measured in this run."
        return
    yield from paragraph(
        "640×480 video at its own 30 frames a second, a prediction every sampled frame (267 ms), a script "
        "that goes to and fro. *Hot*: both networks are kept; extra delay is that of the first prediction "
        "after the switch, which encodes its whole window, beyond the same configuration's usual age. "
        "*Cold*: nothing is kept, each switch loads in the background. Intervals between predictions are "
        "without the wait for a window of more frames, which ends later; *loading*: those while the other "
        "network is loaded, *during*: with the one in which the switch is made."
    )
    yield ""
    rows = []
    for run in data["running"]:
        usual, loading = run["p95_usual_ms"], run["p95_loading_ms"]
        slower = "" if run["hot"] or loading is None else f"{loading / usual:.2f}"
        rows.append(
            (
                " ↔ ".join(f"`{name}`" for name in run["pair"]),
                run["way"],
                f"{run['switches']}",
                f"{run['extra_hops_median']:.2f} / {run['extra_hops_worst']:.2f}",
                f"{usual:.0f}",
                slower,
                "" if run["hot"] else f"{run['p95_during_ms'] / usual:.2f}",
                f"{run['frames_captured']}, {run['frames_lost']}, {run['frames_unaccounted']}",
                f"{run['windows_skipped']}, {run['windows_missing']}",
                f"{run['load']:.1f}",
            )
        )
    header = (
        "pair", "", "switches", "extra hops, median / worst", "usual p95 interval, ms",
        "× loading", "× during", "frames: captured, lost, unaccounted", "windows: skipped, missing", "load",
    )  # fmt: skip
    yield from table(header, rows)
    yield ""
    yield from paragraph(
        "Windows skipped: going to fewer frames, the windows that are ready at once are all but the "
        "newest left out, so that the answer is new; and where the machine is too slow for the hop."
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
    yield from table(("what", "bytes", "× one full-width file"), shown)
