"""Everything that is not the network: what it takes per prediction, and the CPU between paced predictions.

    python benchmarks/overhead.py [--bundle DIR|NAME] [--configuration w0.50-s128-t2] [--seconds 20] [--hop N]

A 640×480 video that is written here is played at its own speed through the loop of ``a3d-edge run --json``
(the lines go nowhere). The controller decides in full, and its answer is then replaced by the configuration.
Without --bundle: Slow R-50 with random weights and only that configuration. Times are wall-clock, medians
over the predictions; the machine should be at rest. The controller and the JSON line follow a prediction,
when nothing waits for them; the other parts lie between capture and prediction.
"""

from __future__ import annotations

import functools
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO
from unittest.mock import patch

from _film import camera_video
from _options import parser_of

from a3d_edge import runtime as loop
from a3d_edge.adaptive import AdaptiveWindows
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.control.controller import BudgetController
from a3d_edge.control.policy import Decision
from a3d_edge.engine.session import BundleNetwork
from a3d_edge.events import Prediction
from a3d_edge.sinks.jsonl import JsonEvents, JsonLines
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.video import pictures
from a3d_edge.video.reader import Reader
from a3d_edge.video.sampler import Sampler
from a3d_edge.video.source import open_source

WARM_UP = 3
"""Predictions that do not count: the first ones allocate."""
BEFORE = ("resize", "normalise", "sampler", "bookkeeping")
PARTS = (*BEFORE, "controller", "JSON line")


class Stopwatch:
    """Wall-clock seconds by part, prediction by prediction; a part inside another is not counted twice."""

    def __init__(self) -> None:
        self.predictions: list[dict[str, float]] = []
        self._now: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            self._inside.append(0.0)
            try:
                return function(*args, **options)
            finally:
                taken = time.perf_counter() - begun
                self._now[part] += taken - self._inside.pop()
                if self._inside:
                    self._inside[-1] += taken

        return run

    def end_of_prediction(self) -> None:
        self.predictions.append(dict(self._now))
        self._now.clear()

    def median_ms(self, part: str) -> float:
        return 1e3 * statistics.median(one.get(part, 0.0) for one in self.predictions[WARM_UP:])


class Pinned:
    """The real controller, whose decision is made and then replaced."""

    def __init__(self, table: ConfigurationBudgetTable, configuration: Configuration, hop_s: float) -> None:
        self._real, self._configuration = BudgetController(table, hop_s=hop_s), configuration

    def decide(self) -> Decision:
        return replace(self._real.decide(), configuration=self._configuration)

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        self._real.observe(configuration, latency_ms)

    def refuse(self, configuration: Configuration) -> None:
        raise SystemExit(f"{configuration} could not be loaded")


class Processor:
    """CPU seconds of this process, of its capture threads, and of all of it while the network runs."""

    def __init__(self) -> None:
        self.capture: set[int] = set()
        self.network_s = 0.0
        self._taken: dict[int, float] = {}  # by thread: those of a file that has ended are gone

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> Any:
            begun = time.process_time() - self.capture_s()
            try:
                return function(*args, **options)
            finally:
                self.network_s += time.process_time() - self.capture_s() - begun

        return run

    def capture_s(self) -> float:
        self._taken.update({thread: taken for thread in self.capture if (taken := _thread_s(thread))})
        return sum(self._taken.values())


def threads() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def _thread_s(thread: int) -> float:
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9
    except OSError:  # it has ended
        return 0.0


class Ages(JsonEvents):
    """The events of ``--json`` that also keep how old each answer is: capture to prediction."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(JsonLines(out), out)
        self.age_ms: list[float] = []

    def prediction(self, prediction: Prediction) -> None:
        self.age_ms.append(prediction.age_ms)
        super().prediction(prediction)


@contextmanager
def watched(watch: Stopwatch, processor: Processor) -> Iterator[None]:
    """Every part of the loop with a stopwatch on it."""

    def ending(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            result = function(*args)
            watch.end_of_prediction()
            return result

        return run

    def whole(function: Callable[..., Any]) -> Callable[..., Any]:
        """All that a generator does, at once: to make one takes no time."""
        return lambda *args: iter(list(function(*args)))

    with ExitStack() as stack:
        for owner, name, part in (
            (pictures, "fit", "resize"),
            (pictures, "picture_of", "normalise"),
            (Pinned, "decide", "controller"),
            (Pinned, "observe", "controller"),
            (Sampler, "push", "sampler"),
            (Reader, "get", "waiting"),
            (Ages, "prediction", "JSON line"),
        ):
            stack.enter_context(patch.object(owner, name, watch.timed(part, getattr(owner, name))))
        for name in ("take", "answer"):
            function = whole(getattr(AdaptiveWindows, name))
            stack.enter_context(patch.object(AdaptiveWindows, name, watch.timed("bookkeeping", function)))
        for name in ("encode", "classify"):
            function = processor.timed(getattr(BundleNetwork, name))
            stack.enter_context(patch.object(BundleNetwork, name, watch.timed("network", function)))
        stack.enter_context(patch.object(AdaptiveWindows, "_predict", ending(AdaptiveWindows._predict)))
        yield


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--bundle")
    parser.add_argument("--configuration", default="w0.50-s128-t2")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hop", type=int)
    arguments = parser.parse_args()
    configuration = Configuration.parse(arguments.configuration)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.bundle is None:
            from memory import random_bundle

            random_bundle(Path(folder) / "bundle", [configuration])
        bundle = Bundle.find(arguments.bundle or Path(folder) / "bundle")
        video = camera_video(Path(folder) / "video.mp4", arguments.seconds)
        measure(bundle, configuration, video, arguments.hop or bundle.sampling.stride)


def measure(bundle: Bundle, configuration: Configuration, video: Path, hop: int) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        _measure(bundle, configuration, video, hop, Ages(nowhere))


def _measure(bundle: Bundle, configuration: Configuration, video: Path, hop: int, ages: Ages) -> None:
    watch, processor = Stopwatch(), Processor()
    before = threads()
    source = open_source(str(video), realtime=True)
    processor.capture = threads() - before
    controller = Pinned(bundle.table, configuration, hop / bundle.sampling.rate)
    with watched(watch, processor):
        runtime = loop.Runtime(bundle, source, hop=hop, controller=controller, events=[ages])
        begun: list[float] = []
        starting = loop.Runtime._loop

        def start(self: Any, reader: Reader, *rest: Any) -> Iterator[Prediction]:
            processor.capture.add(reader._thread.native_id or 0)
            begun.extend([time.monotonic(), time.process_time() - processor.capture_s()])
            processor.network_s = 0.0
            yield from starting(self, reader, *rest)
            begun.extend([time.monotonic(), time.process_time() - processor.capture_s()])

        with patch.object(loop.Runtime, "_loop", start):
            runtime.run()
    report(bundle, configuration, watch, ages)
    wall, used = begun[2] - begun[0], begun[3] - begun[1] - processor.network_s
    print(f"CPU between predictions, beyond capture: {100 * used / wall:.2f} % of a core")


def report(bundle: Bundle, configuration: Configuration, watch: Stopwatch, ages: Ages) -> None:
    network = watch.median_ms("network")
    count = len(watch.predictions) - WARM_UP
    print(f"{bundle.manifest.architecture} {configuration}, 640×480 at 30 fps, {count} predictions")
    print(f"{'network':28} {network:8.2f} ms")
    for part in PARTS:
        print(f"{part:28} {watch.median_ms(part):8.2f} ms {100 * watch.median_ms(part) / network:6.1f} %")
    for name, parts in (("all but the network", PARTS), ("… before the prediction", BEFORE)):
        took = [1e3 * sum(one.get(part, 0.0) for part in parts) for one in watch.predictions[WARM_UP:]]
        other, mean = statistics.median(took), statistics.mean(took)
        print(f"{name:28} {other:8.2f} ms {100 * other / network:6.1f} %  (mean {mean:.2f} ms)")
    print(f"{'capture to prediction':28} {statistics.median(ages.age_ms[WARM_UP:]):8.2f} ms")


if __name__ == "__main__":
    main()
