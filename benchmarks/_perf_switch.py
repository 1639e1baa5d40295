"""What a switch costs: by loading one file per configuration, as a user would, and in a running loop."""

from __future__ import annotations

import gc
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _perf_sides import plain_session

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.control.policy import Decision
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import find_engine, trim_heap
from a3d_edge.engine.pool import SessionPool
from a3d_edge.engine.session import open_network
from a3d_edge.events import Prediction, Summary
from a3d_edge.profiling.turns import in_turns, timed_ms
from a3d_edge.runtime import Runtime
from a3d_edge.video.files import VideoFile
from a3d_edge.video.paced import Paced

__all__ = ["WAYS", "loading_ms", "running"]

HOLD = 6
"""Windows before the script asks for the other configuration; more if that is not ready by then."""
WARM_UP = 2
"""The first windows of a run fill the ring."""


def loading_ms(
    plain: Path, bundle: Bundle, configuration: Configuration, threads: int, rounds: int, work: Path
) -> dict[str, float]:
    """Medians until a configuration can answer: a file of its own opened, ours cold, ours from the folder of
    prepared networks (in ``work``), ours in the pool already."""
    cache = PreparedNetworks(work / "prepared", limit=2**40)
    int8 = configuration.at("int8")
    pool = SessionPool(bundle.networks, memory=2**40, threads=threads)
    pool.take(configuration)
    ways: dict[str, Callable[[], Any]] = {
        "file of its own": lambda: plain_session(plain, threads),
        "ours cold, fp32": lambda: open_network(bundle.files_of(configuration), threads=threads),
        "ours cold, int8": lambda: open_network(bundle.files_of(int8), threads=threads),
        "ours kept, fp32": lambda: open_network(bundle.files_of(configuration), threads=threads, cache=cache),
        "ours kept, int8": lambda: open_network(bundle.files_of(int8), threads=threads, cache=cache),
        "ours prepared": lambda: pool.take(configuration),
    }
    if (engine := _openvino()) is not None:
        ways["ours cold, OpenVINO int8"] = lambda: open_network(
            bundle.files_of(int8), threads=threads, engine=engine
        )
    taken = in_turns({name: partial(_loaded_ms, load) for name, load in ways.items()}, rounds, warm_up=1)
    pool.close()
    trim_heap()
    return {name: float(np.median(values)) for name, values in taken.items()}


def _loaded_ms(load: Callable[[], Any]) -> float:
    taken = timed_ms(load)
    gc.collect()
    return taken


def _openvino() -> Any:
    try:
        return find_engine("openvino")
    except Exception:
        return None


@dataclass(frozen=True)
class _Shown:
    """A prediction: when it came (s), how old its newest frame was, which window, and whether another
    configuration was being loaded."""

    at_s: float
    age_ms: float
    configuration: str
    start_s: float
    newest_s: float
    loading: bool


@dataclass
class _Script:
    """A controller that goes to and fro between two configurations; and the events of the run."""

    pair: Sequence[Configuration]
    stop_after: int
    stop: Any = None
    at: int = 0
    held: int = 0
    switches: int = 0
    shown: list[_Shown] = field(default_factory=list)

    def decide(self) -> Decision:
        changed = self.held >= HOLD
        if changed:
            self.at, self.held = 1 - self.at, 0
        return Decision(self.pair[self.at], changed, "the script's", "none")

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        """A window counts for the configuration that is wanted only once that one runs."""
        self.held += configuration == self.pair[self.at]

    def refuse(self, configuration: Configuration) -> None:
        raise RuntimeError(f"{configuration} could not be loaded")

    def prediction(self, one: Prediction) -> None:
        """Note it."""
        loading, name = one.configuration != self.pair[self.at], str(one.configuration)
        self.shown.append(
            _Shown(time.monotonic(), one.age_ms, name, one.window_start_s, one.stream_time_s, loading)
        )

    def switch(self, switch: Any) -> None:
        self.switches += 1
        if self.switches >= self.stop_after:
            self.stop()

    def frame(self, frame: Any, latest: Any) -> None:
        """Not used."""

    def warning(self, message: str) -> None:
        raise RuntimeError(message)

    def close(self) -> None:
        """Nothing is held."""


WAYS = ("hot", "cold", "made", "kept")


def running(
    bundle: Bundle,
    video: Path,
    pair: Sequence[Configuration],
    *,
    way: str,
    switches: int,
    threads: int,
    work: Path,
) -> dict[str, Any]:
    """Figures of a run on a camera-paced video that switches between two configurations.

    ``hot``: both fit the memory that is allowed, so that all switches but the first are to a loaded network;
    else nothing fits but what is in use, and every switch loads in the background. ``cold``: by optimizing
    the graphs anew; ``made``: prepared by the helper process, each time, for the folder holds only the larger
    one; ``kept``: from the folder, where both lie.
    """
    hot = way == "hot"
    script = _Script(pair, switches + hot)
    runtime = Runtime(
        bundle,
        Paced(VideoFile(str(video.absolute()), video.name)),
        controller=script,
        events=(script,),
        threads=threads,
        memory=2**40 if hot else 1,
        cache=_cache(bundle, pair, way, work / "prepared"),
    )
    script.stop = runtime.stop
    load = os.getloadavg()[0]
    summary = runtime.run()
    return {
        "pair": [str(one) for one in pair],
        "way": way,
        "hot": hot,
        "load": load,
        "switches": summary.switches,
        "predictions": len(script.shown),
        **_accounts(summary, script.shown, hop_s := bundle.sampling.stride / bundle.sampling.rate),
        **_delays(script.shown[WARM_UP:], 1e3 * hop_s, skip=1 if hot else 0),
        **_intervals(script.shown[WARM_UP:], 1e3 * hop_s),
    }


def _cache(bundle: Bundle, pair: Sequence[Configuration], way: str, folder: Path) -> PreparedNetworks | None:
    """The folder of prepared networks as this way of switching has it."""
    if way not in ("made", "kept"):
        return None
    engine = find_engine("ort:CPU")
    shutil.rmtree(folder, ignore_errors=True)
    cache = PreparedNetworks(folder, limit=2**40)
    for one in pair if way == "kept" else ():
        cache.get(bundle.files_of(one), engine)
    if way == "kept":
        return cache
    least = max(bundle.files_of(one).weight_bytes for one in pair)
    return PreparedNetworks(folder, limit=int(1.2 * least))


def _accounts(summary: Summary, shown: Sequence[_Shown], hop_s: float) -> dict[str, Any]:
    """What became of every frame and every window."""
    dropped = summary.dropped
    begun = round(shown[-1].start_s / hop_s) + 1
    return {
        "frames_captured": summary.frames_captured,
        "frames_lost": dropped["overrun"] + dropped["unreadable"],
        "frames_unaccounted": summary.frames_captured - summary.frames_used - sum(dropped.values()),
        "windows_skipped": summary.windows_skipped,
        "windows_missing": begun - len(shown) - summary.windows_skipped,
    }


def _delays(shown: Sequence[_Shown], hop_ms: float, skip: int) -> dict[str, Any]:
    """By how many hops the first prediction after a switch is older than that configuration's usual one."""
    usual: dict[str, list[float]] = {}
    first: list[_Shown] = []
    for before, one in pairwise(shown):
        if one.configuration != before.configuration:
            first.append(one)
        elif not one.loading:
            usual.setdefault(one.configuration, []).append(one.age_ms)
    median = {name: float(np.median(values)) for name, values in usual.items()}
    extra = [(one.age_ms - median[one.configuration]) / hop_ms for one in first[skip:]]
    return {
        "usual_age_ms": median,
        "extra_hops_median": float(np.median(extra)),
        "extra_hops_worst": float(np.max(extra)),
    }


def _intervals(shown: Sequence[_Shown], hop_ms: float) -> dict[str, Any]:
    """Milliseconds between predictions: while another configuration is loaded, and otherwise.

    ``during`` has the intervals that end with the first prediction after a switch too: there the new
    configuration encodes its window. A window of more frames ends later, by the stream's time; that is not
    counted.
    """
    loading, swaps, usual = [], [], []
    for before, one in pairwise(shown):
        interval = 1e3 * (one.at_s - before.at_s) - (1e3 * (one.newest_s - before.newest_s) - hop_ms)
        swap = one.configuration != before.configuration
        (swaps if swap else loading if one.loading else usual).append(interval)
    return {
        "intervals_loading": len(loading),
        "p95_loading_ms": float(np.percentile(loading, 95)) if loading else None,
        "p95_during_ms": float(np.percentile(loading + swaps, 95)),
        "p95_usual_ms": float(np.percentile(usual, 95)),
        "p50_usual_ms": float(np.median(usual)),
    }
