"""The loop on a real tiny bundle: nothing lost, nothing skipped, whatever happens on the way."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import (
    CONFIGURATIONS,
    LARGEST,
    SMALLEST,
    TWO_PATHWAYS,
    ListSource,
    Recorder,
    copy_of,
    pictures,
    shared_bundle,
    write_video,
)

import a3d_edge.control.controller as controller_module
import a3d_edge.engine.pool as pool_module
from a3d_edge import Bundle, Configuration, Runtime, adaptive
from a3d_edge.control.policy import Decision
from a3d_edge.device.signals import Signals
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.engine.stream import WindowStream
from a3d_edge.errors import BundleError, ResourceError, SourceError, UsageError
from a3d_edge.events import Prediction
from a3d_edge.runtime import Cycle
from a3d_edge.video.frame import Frame
from a3d_edge.video.source import open_source

PINNED = "w0.50-s32-t4"


@pytest.fixture(scope="session")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 1,000 frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "long.avi", 1000)


def run(bundle: Bundle, source: Any, **options: Any) -> tuple[Runtime, Recorder]:
    """A finished run and what it told."""
    recorder = Recorder()
    options.setdefault("budget", PINNED)
    runtime = Runtime(bundle, source, events=[recorder], threads=1, **options)
    runtime.run()
    return runtime, recorder


def assert_accounted(runtime: Runtime) -> None:
    """Every captured frame was used or is dropped for a reason."""
    summary = runtime.summary
    assert summary.frames_captured == summary.frames_used + sum(summary.dropped.values())
    assert min(summary.dropped.values()) >= 0


def by_start(predictions: Sequence[Prediction]) -> dict[float, Prediction]:
    """Predictions by the start of their window."""
    found = {round(p.window_start_s, 4): p for p in predictions}
    assert len(found) == len(predictions)
    return found


def scores(prediction: Prediction) -> list[float]:
    """In the order of the class names."""
    return [score for _, score in sorted(prediction.top)]


class Script:
    """A controller that goes through a list and then stays; remembers what it is told."""

    def __init__(self, *configurations: Configuration) -> None:
        self.wanted = list(configurations)
        self.current = self.wanted[0]
        self.refused: list[Configuration] = []
        self.observed: list[tuple[Configuration, float]] = []

    def decide(self) -> Decision:
        if self.wanted:
            self.current = self.wanted.pop(0)
        return Decision(self.current, False, "as the script says", "cpu")

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        self.observed.append((configuration, latency_ms))

    def refuse(self, configuration: Configuration) -> None:
        self.refused.append(configuration)
        self.current = LARGEST


# Files: nothing is lost


def test_forced_switches_over_a_thousand_frames(bundle: Bundle, long_file: Path) -> None:
    """A switch at every window: no frame lost, no window skipped, and every prediction is what a pinned run
    of that configuration says of the same frames."""
    cycle = [LARGEST, Configuration.parse("w0.50-s32-t2"), Configuration.parse("w0.70-s23-t3")]
    runtime, told = run(bundle, open_source(long_file), controller=Cycle(cycle))
    assert runtime.summary.frames_captured == 1000
    assert len(told.frames) == 1000
    assert_accounted(runtime)
    assert runtime.summary.dropped["overrun"] == runtime.summary.dropped["unread"] == 0
    starts = [round(p.window_start_s * 30) for p in told.predictions]
    assert starts == list(range(0, 2 * len(starts), 2))
    assert len(starts) >= (1000 - 8) // 2
    assert [p.configuration for p in told.predictions[:6]] == cycle * 2
    assert runtime.summary.switches == len(told.switches) >= len(starts) - 1
    for configuration in cycle:
        pinned = by_start(run(bundle, open_source(long_file), budget=str(configuration))[1].predictions)
        for start, prediction in by_start(told.predictions).items():
            if prediction.configuration == configuration:
                np.testing.assert_allclose(scores(prediction), scores(pinned[start]), rtol=1e-3, atol=1e-5)
                assert prediction.label == pinned[start].label
                assert prediction.stream_time_s == pinned[start].stream_time_s
    different = {tuple(np.round(scores(p), 3)) for p in told.predictions}
    assert len(different) > 50, "a test that could not tell predictions apart"


def test_switching_through_all_configurations(bundle: Bundle, tmp_path: Path) -> None:
    """More configurations than the pool keeps: each is loaded again in time, no window is skipped."""
    path = write_video(tmp_path / "clip.mp4", 120)
    _, told = run(bundle, open_source(path), controller=Cycle(bundle.configurations, every=2))
    starts = [round(p.window_start_s * 30) for p in told.predictions]
    assert starts == list(range(0, 2 * len(starts), 2))
    assert len(starts) >= 56
    assert {p.configuration for p in told.predictions} == set(CONFIGURATIONS)
    for first, second in zip(told.predictions[0:48:2], told.predictions[1:48:2], strict=True):
        assert first.configuration == second.configuration


def test_a_prediction_tells_why_its_configuration_runs(bundle: Bundle, tmp_path: Path) -> None:
    """What was last decided for it: not what once led to it."""

    class Told(Script):
        def decide(self) -> Decision:
            return replace(super().decide(), reason=f"{len(self.wanted)} left of {self.current}")

    path = write_video(tmp_path / "clip.avi", 24)
    small, large = SMALLEST, LARGEST
    script = Told(large, large, small, small, large)
    _, told = run(bundle, open_source(path), controller=script, max_predictions=6)
    assert [(p.reason, p.limiting_signal) for p in told.predictions] == [
        (f"{left} left of {which}", "cpu")
        for left, which in ((4, large), (3, large), (2, small), (1, small), (0, large), (0, large))
    ]
    assert {p.source for p in told.predictions} == {str(path)}


def test_what_counts_as_seen_depends_on_the_configuration_that_answered(
    bundle: Bundle, tmp_path: Path
) -> None:
    """Each has thresholds, and a temperature, of its own; without them, nothing is said of it."""
    known = {
        SMALLEST: {"thresholds": dict.fromkeys(bundle.classes, 0.0)},
        LARGEST: {"thresholds": dict.fromkeys(bundle.classes, 1.0), "temperature": 50.0},
    }
    rows = [row.model_copy(update=known.get(row.configuration, {})) for row in bundle.table.rows]
    path = write_video(tmp_path / "clip.avi", 24)
    plain, told = (
        run(one, open_source(path), controller=Cycle([SMALLEST, LARGEST, CONFIGURATIONS[1]]))[1].predictions
        for one in (bundle, replace(bundle, table=bundle.table.with_rows(rows)))
    )
    expected = {SMALLEST: True, LARGEST: False, CONFIGURATIONS[1]: None}
    assert {p.configuration for p in told} == set(expected)
    assert [p.seen for p in told] == [expected[p.configuration] for p in told]
    assert {p.seen for p in plain} == {None}
    assert [p.label for p in plain] == [p.label for p in told]
    for before, after in zip(plain, told, strict=True):
        assert (after.score < before.score) == (after.configuration == LARGEST)


@pytest.mark.parametrize("hop", [1, 3, 5, 16])
def test_a_windows_prediction_does_not_depend_on_the_hop(bundle: Bundle, tmp_path: Path, hop: int) -> None:
    """On a real file, window by window."""
    path = write_video(tmp_path / "clip.avi", 60)
    reference = by_start(run(bundle, open_source(path), hop=1)[1].predictions)
    told = run(bundle, open_source(path), hop=hop)[1].predictions
    assert [round(p.window_start_s * 30) for p in told] == list(range(0, 60 - 6, hop))
    for start, prediction in by_start(told).items():
        np.testing.assert_allclose(scores(prediction), scores(reference[start]), atol=1e-5)


@pytest.mark.parametrize("rate", [12.5, 25.0, 30.0, 59.94])
def test_every_frame_is_accounted_for_at_any_rate(bundle: Bundle, tmp_path: Path, rate: float) -> None:
    """Slower and faster sources; predictions come one a hop of stream time."""
    path = write_video(tmp_path / "clip.avi", 100, rate)
    runtime, told = run(bundle, open_source(path))
    assert runtime.summary.frames_captured == len(told.frames) == 100
    assert_accounted(runtime)
    assert len(told.predictions) == pytest.approx((100 / rate * 30 - 6) / 2, abs=1)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_short_file_gives_one_padded_prediction(bundle: Bundle, tmp_path: Path, frames: int) -> None:
    """From the frames it has, with the last one held."""
    runtime, told = run(bundle, open_source(write_video(tmp_path / "clip.avi", frames)))
    assert [p.padded for p in told.predictions] == [True]
    assert told.predictions[0].stream_time_s <= (frames - 1) / 30 + 1e-6
    assert told.predictions[0].window_start_s == 0.0
    assert runtime.summary.predictions == 1
    assert_accounted(runtime)


def test_a_full_window_is_not_padded(bundle: Bundle, tmp_path: Path) -> None:
    """A file of exactly one window, and the rest of a longer file, give no padded prediction."""
    for frames, windows in ((7, 1), (8, 1), (20, 7)):
        told = run(bundle, open_source(write_video(tmp_path / f"{frames}.avi", frames)))[1]
        assert [p.padded for p in told.predictions] == [False] * windows


def test_a_source_without_a_frame_is_an_end(bundle: Bundle) -> None:
    """No prediction and no error; everything is closed."""
    source = ListSource(0)
    runtime, told = run(bundle, source)
    assert (runtime.summary.frames_captured, runtime.summary.predictions) == (0, 0)
    assert (source.closed, told.closed, told.predictions) == (True, 1, [])


def test_a_gap_loses_no_frame_and_mixes_none(bundle: Bundle) -> None:
    """Windows before and after a hole in time; none across it."""
    runtime, told = run(bundle, ListSource(40, gap_before=20))
    assert_accounted(runtime)
    times = [(p.window_start_s, p.stream_time_s) for p in told.predictions]
    assert all(end - start < 0.3 for start, end in times)
    assert len([1 for start, _ in times if start < 1]) == 7
    assert len([1 for start, _ in times if start > 10]) == 7


def test_latency_and_age_are_told(bundle: Bundle) -> None:
    """The controller hears of every prediction what one more costs, under the configuration that made it: of
    one that encoded many frames, as the first does, a part."""
    script = Script(SMALLEST, LARGEST)
    _, told = run(bundle, ListSource(30), controller=script)
    assert [c for c, _ in script.observed] == [p.configuration for p in told.predictions]
    pairs = zip(script.observed, told.predictions, strict=True)
    assert all(0 < heard <= p.latency_ms for (_, heard), p in pairs)
    assert all(0 < p.latency_ms < 10_000 and 0 < p.age_ms < 60_000 for p in told.predictions)


def test_truth_of_the_source_goes_along(bundle: Bundle) -> None:
    """A source that knows what it shows: the summary counts how often the prediction agrees."""

    class Telling(ListSource):
        def read(self) -> Frame | None:
            frame = super().read()
            return frame and Frame(frame.index, frame.time_s, frame.image, frame.captured_s, "still")

    runtime, told = run(bundle, Telling(40))
    assert {p.truth for p in told.predictions} == {"still"}
    agreed = sum(p.label == "still" for p in told.predictions)
    assert (runtime.summary.agreed, runtime.summary.with_truth) == (agreed, len(told.predictions))


# How a run ends


@pytest.mark.parametrize("most", [1, 4])
def test_max_predictions_is_exact(bundle: Bundle, most: int) -> None:
    """Also where one frame completes several windows, and on a live source."""
    runtime, told = run(bundle, ListSource(300, rate=10.0), max_predictions=most, hop=1)
    assert len(told.predictions) == runtime.summary.predictions == most
    assert_accounted(runtime)
    source = Bursts(7, 2, 2, 2, 2, 2)
    live = Asking(source)
    Runtime(bundle, source, budget=PINNED, events=[live], max_predictions=most, threads=1).run()
    assert len(live.predictions) == most


def test_seconds_end_a_run(bundle: Bundle) -> None:
    """By the runtime's clock, with everything closed and accounted for."""
    ticks = count()
    runtime, told = run(bundle, ListSource(100_000 // 100), seconds=20, clock=lambda: float(next(ticks)))
    assert 0 < len(told.frames) < 25
    assert runtime.summary.seconds >= 20
    assert told.closed == 1
    assert_accounted(runtime)


def test_stop_from_another_thread(bundle: Bundle, long_file: Path) -> None:
    """Soon, with the summary; frames that were read ahead are counted as unread."""
    source = open_source(long_file)
    recorder, begun = Recorder(), threading.Event()
    runtime = Runtime(bundle, source, budget=PINNED, events=[recorder, Signalling(begun)], threads=1)
    thread = threading.Thread(target=runtime.run)
    thread.start()
    assert begun.wait(10)
    runtime.stop()
    thread.join(2)
    assert not thread.is_alive()
    assert 0 < runtime.summary.frames_captured < 1000
    assert runtime.summary.seconds > 0
    assert recorder.closed == 1
    assert_accounted(runtime)


class Signalling(Recorder):
    """Says when the third prediction is there."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._event = event

    def prediction(self, prediction: Prediction) -> None:
        super().prediction(prediction)
        if len(self.predictions) == 3:
            self._event.set()


def test_stopped_before_it_runs(bundle: Bundle) -> None:
    """It ends at once and has closed its source."""
    source, recorder = ListSource(100), Recorder()
    runtime = Runtime(bundle, source, budget=PINNED, events=[recorder], threads=1)
    runtime.stop()
    assert runtime.run().predictions == 0
    assert (source.closed, recorder.closed) == (True, 1)


def test_an_error_of_the_source_comes_after_all_it_gave(bundle: Bundle) -> None:
    """The frames before it are used, the summary is made, sinks are closed; then the error is raised."""
    source = ListSource(40, error=SourceError("the cable is out"))
    recorder = Recorder()
    runtime = Runtime(bundle, source, budget=PINNED, events=[recorder], threads=1)
    with pytest.raises(SourceError, match="the cable is out"):
        runtime.run()
    assert runtime.summary.frames_captured == 40
    assert len(recorder.predictions) == runtime.summary.predictions == 17
    assert (source.closed, recorder.closed) == (True, 1)
    assert_accounted(runtime)


class Breaking(Recorder):
    """A sink whose ``where`` fails."""

    def __init__(self, where: str, error: Exception) -> None:
        super().__init__()
        self._where, self._error = where, error

    def prediction(self, prediction: Prediction) -> None:
        super().prediction(prediction)
        if self._where == "prediction":
            raise self._error

    def close(self) -> None:
        super().close()
        if self._where == "close":
            raise self._error


@pytest.mark.parametrize("where", ["prediction", "close"])
def test_a_sink_that_fails_does_not_keep_others_open(bundle: Bundle, where: str) -> None:
    """All are closed, the source and the pool's thread too, and the error is told."""
    source, first, last = ListSource(40), Recorder(), Recorder()
    broken = Breaking(where, ResourceError("the disk is full"))
    runtime = Runtime(bundle, source, budget=PINNED, events=[first, broken, last], threads=1)
    with pytest.raises(ResourceError, match="the disk is full"):
        runtime.run()
    assert (first.closed, broken.closed, last.closed, source.closed) == (1, 1, 1, True)
    assert runtime.summary.predictions == (1 if where == "prediction" else 17)
    assert not [t for t in threading.enumerate() if t.name.startswith(("a3d-edge-prepare", "read list"))]


@pytest.mark.parametrize("live", [False, True])
def test_a_sink_that_raises_does_not_end_the_run(bundle: Bundle, live: bool) -> None:
    """The prediction, the others and the summary are as without it; what happened is told once."""
    source, recorder = ListSource(40, live=live), Recorder()
    broken = Breaking("prediction", ZeroDivisionError("of a sink"))
    runtime = Runtime(bundle, source, budget=PINNED, events=[broken, recorder, object()], threads=1)  # type: ignore[list-item]
    runtime.run()
    assert runtime.summary.predictions == len(recorder.predictions) == len(broken.predictions) > 0
    assert "(ZeroDivisionError: of a sink" in recorder.warnings[0]
    assert len(recorder.warnings) == (1 if runtime.summary.predictions == 1 else 2)
    assert (broken.closed, recorder.closed, source.closed) == (1, 1, True)
    assert_accounted(runtime)


@pytest.mark.parametrize("where", ["prediction", "close"])
def test_a_process_whose_sink_fails_ends_in_order(
    where: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No abort when the interpreter ends: the reader's thread is joined whatever the sinks do."""
    path = write_video(tmp_path / "clip.mp4", 300)
    code = f"""
from a3d_edge import Bundle, Runtime
from a3d_edge.video.source import open_source
class Sink:
    def {where}(self, *given):
        raise RuntimeError("of a sink")
bundle = Bundle.load({str(shared_bundle(tmp_path_factory))!r})
print(Runtime(bundle, open_source({str(path)!r}), events=[Sink()], max_predictions=3).run().predictions)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "3\n")
    assert done.stderr.startswith(f"the sink Sink failed in '{where}' (RuntimeError: of a sink")


def test_a_runtime_runs_once(bundle: Bundle) -> None:
    """A second time it says so, and what the first one closed is not closed again; likewise while it runs."""
    source, recorder = ListSource(40), Recorder()
    runtime = Runtime(bundle, source, budget=PINNED, events=[recorder], threads=1)
    predictions = runtime.run().predictions
    for _ in range(2):
        with pytest.raises(UsageError, match="this Runtime has run; make a new one"):
            runtime.run()
    assert (recorder.closed, runtime.summary.predictions) == (1, predictions)

    class Again(Recorder):
        def prediction(self, prediction: Prediction) -> None:
            inner.run()

    inner = Runtime(bundle, ListSource(40), budget=PINNED, events=[Again()], threads=1)
    with pytest.raises(UsageError, match="has run"):
        inner.run()


def test_stop_at_any_time(bundle: Bundle) -> None:
    """From every method of a sink, after the run, and more than once."""

    class Stopping(Recorder):
        def frame(self, frame: Frame, latest: Prediction | None) -> None:
            super().frame(frame, latest)
            runtime.stop()

        def close(self) -> None:
            super().close()
            runtime.stop()

    stopping = Stopping()
    runtime = Runtime(bundle, ListSource(40), budget=PINNED, events=[stopping], threads=1)
    runtime.run()
    runtime.stop()
    assert (len(stopping.frames), stopping.closed, runtime.summary.predictions) == (1, 1, 0)
    assert_accounted(runtime)


def test_a_source_that_was_closed_before(bundle: Bundle) -> None:
    """It has nothing to give: an end."""
    source, recorder = ListSource(40), Recorder()
    source.close()
    assert Runtime(bundle, source, budget=PINNED, events=[recorder], threads=1).run().predictions == 0
    assert recorder.closed == 1


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda frame: frame.image,
            "list: a source gives a3d_edge.video.frame.Frame.* this one gave ndarray",
        ),
        (lambda frame: replace(frame, image=frame.image[..., 0]), "a frame must be .* this one is an array"),
        (lambda frame: replace(frame, image=frame.image / 255.0), "of float64: convert it first"),
        (lambda frame: replace(frame, image=None), "a frame must be .* this one is NoneType"),
    ],
)
def test_a_source_of_wrong_frames_is_told_what_a_frame_is(
    bundle: Bundle, live: bool, change: Callable[[Frame], Any], said: str
) -> None:
    """A `UsageError`, never one of OpenCV's; everything is closed."""

    class Wrong(ListSource):
        def read(self) -> Any:
            frame = super().read()
            return frame and change(frame)

    source, recorder = Wrong(40, live=live), Recorder()
    with pytest.raises(UsageError, match=said):
        Runtime(bundle, source, budget=PINNED, events=[recorder], threads=1).run()
    assert (source.closed, recorder.closed) == (True, 1)


def test_a_first_configuration_that_does_not_load_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    """There is nothing to run on; source and sinks are closed."""
    damaged = Bundle.load(copy_of(bundle.path, tmp_path / "copy"))
    (damaged.path / "w0.50.clip.onnx").unlink()
    source, recorder = ListSource(10), Recorder()
    runtime = Runtime(damaged, source, budget=PINNED, events=[recorder], threads=1)
    with pytest.raises(BundleError, match=r"w0\.50\.clip\.onnx"):
        runtime.run()
    assert (source.closed, recorder.closed) == (True, 1)


def test_a_configuration_that_does_not_load_is_refused_and_the_run_goes_on(
    bundle: Bundle, tmp_path: Path
) -> None:
    """The controller is told, a warning says so, the old configuration answers: no window is skipped."""
    damaged = Bundle.load(copy_of(bundle.path, tmp_path / "copy"))
    (damaged.path / "w0.50.clip.onnx").unlink()
    script = Script(LARGEST, LARGEST, SMALLEST)
    runtime, told = run(damaged, ListSource(40), controller=script)
    assert script.refused == [SMALLEST]
    assert len(told.warnings) == 1
    assert told.warnings[0].startswith("w0.50-s18-t1 could not be loaded, w1.00-s37-t4 runs on")
    assert [round(p.window_start_s * 30) for p in told.predictions] == list(range(0, 34, 2))
    assert {p.configuration for p in told.predictions} == {LARGEST}
    assert (runtime.summary.switches, told.switches) == (0, [])


def test_a_better_beginning_that_does_not_load_leaves_the_run_where_it_is(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal says that the largest would do; it is damaged, and the smallest answers instead."""
    monkeypatch.setattr(controller_module, "DeviceSensors", lambda: Signals)
    monkeypatch.setattr(adaptive, "rehearsal_ms", lambda network: 1e-3)
    damaged = Bundle.load(copy_of(bundle.path, tmp_path / "copy"))
    (damaged.path / "w1.00.clip.onnx").unlink()
    told = Recorder()
    Runtime(damaged, ListSource(40, live=True), events=(told,), threads=1, max_predictions=1).run()
    assert told.predictions[0].configuration.width == 0.5
    assert "could not be loaded, w0.50-s18-t1 runs on" in told.warnings[0]


def test_a_pinned_budget_is_not_rehearsed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to choose."""
    monkeypatch.setattr(adaptive, "rehearsal_ms", lambda network: pytest.fail("was rehearsed"))
    told = Recorder()
    Runtime(
        bundle, ListSource(40, live=True), budget=str(SMALLEST), events=(told,), threads=1, max_predictions=1
    ).run()
    assert told.predictions[0].configuration == SMALLEST


def test_the_real_controller_recovers_from_a_configuration_that_does_not_load(
    bundle: Bundle, tmp_path: Path
) -> None:
    """`BudgetController` under a budget that asks for a damaged width: the run ends with every window."""
    damaged = Bundle.load(copy_of(bundle.path, tmp_path / "copy"))
    for graph in damaged.path.glob("w1.00.*.onnx"):
        graph.unlink()
    _, told = run(damaged, ListSource(60), controller=Insistent(damaged))
    assert len(told.predictions) >= 27  # windows of fewer frames answer sooner
    assert {p.configuration.width for p in told.predictions} <= {0.5, 0.7}
    assert told.warnings


class Insistent:
    """A `BudgetController` that is asked for the smallest first and for the largest from then on."""

    def __init__(self, bundle: Bundle) -> None:
        from a3d_edge import BudgetController

        self._controllers = [
            BudgetController(bundle.table, budget=budget, sensors=Signals) for budget in ("0.001", "1.0")
        ]
        self._asked = 0

    def decide(self) -> Decision:
        self._asked += 1
        return self._controllers[self._asked > 3].decide()

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        for controller in self._controllers:
            controller.observe(configuration, latency_ms)

    def refuse(self, configuration: Configuration) -> None:
        self._controllers[1].refuse(configuration)


# Live sources: what is newest counts


class Bursts:
    """A live source that delivers so many frames at once, each time it is told to; ends after the last."""

    live, unreadable, name, frame_rate = True, 0, "bursts", None

    def __init__(self, *sizes: int) -> None:
        self._images = list(pictures(sum(sizes)))
        self._sizes = list(sizes)
        self._left = self._sizes.pop(0)
        self._index = 0
        self._go, self._asking = threading.Event(), threading.Event()
        self.closed = False

    def read(self) -> Frame | None:
        if self._left == 0:
            self._asking.set()
            if not self._sizes or not self._go.wait(10):
                return None
            self._go.clear()
            self._left = self._sizes.pop(0)
        self._left -= 1
        self._index += 1
        number = self._index - 1
        return Frame(number, number / 30, self._images[number], 0.0)

    def deliver(self) -> None:
        """The next burst, and wait until all of it has been read."""
        assert self._asking.wait(10)
        if self._sizes:
            self._asking.clear()
            self._go.set()
            assert self._asking.wait(10)

    def asked(self) -> bool:
        """Waits until a burst is over and the next one is asked for."""
        return self._asking.wait(10)

    def close(self) -> None:
        self.closed = True
        self._sizes.clear()
        self._go.set()


class Asking(Recorder):
    """Lets the source deliver while a prediction is being reported, as if the loop had been slow."""

    def __init__(self, source: Bursts, then: Callable[[int], None] = lambda number: None) -> None:
        super().__init__()
        self._source, self._then = source, then

    def prediction(self, prediction: Prediction) -> None:
        super().prediction(prediction)
        self._then(len(self.predictions))
        self._source.deliver()


def test_of_a_live_source_only_the_newest_window_is_answered(bundle: Bundle) -> None:
    """Windows that have been overtaken are skipped and counted; frames are all accounted for."""
    source = Bursts(7, 20, 2, 9)
    told = Asking(source)
    runtime = Runtime(bundle, source, budget=PINNED, events=[told], threads=1)
    runtime.run()
    starts = [round(p.window_start_s * 30) for p in told.predictions]
    assert starts == [0, 20, 22, 30]
    assert runtime.summary.windows_skipped == 9 + 0 + 3
    assert runtime.summary.frames_captured == len(told.frames) == 38
    assert_accounted(runtime)


def test_a_live_switch_is_prepared_beside_the_run(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the next configuration loads the old one answers; once ready it takes over, without a gap."""
    slow = threading.Event()
    real = pool_module.open_network

    def held_up(files: NetworkFiles, **options: Any) -> Any:
        if files.configuration == LARGEST:
            assert slow.wait(10)
        return real(files, **options)

    monkeypatch.setattr(pool_module, "open_network", held_up)
    ahead: list[int] = []
    monkeypatch.setattr(WindowStream, "encode_ahead", lambda stream: ahead.append(len(told.predictions)))
    source = Bursts(7, *[2] * 9)

    def then(number: int) -> None:
        if number == 5:
            slow.set()
            runtime._pool.take(LARGEST)

    told = Asking(source, then)
    script = Script(Configuration.parse(PINNED), Configuration.parse(PINNED), LARGEST)
    runtime = Runtime(bundle, source, controller=script, events=[told], threads=1)
    runtime.run()
    assert [round(p.window_start_s * 30) for p in told.predictions] == list(range(0, 20, 2))
    assert [str(p.configuration) for p in told.predictions] == [PINNED] * 5 + [str(LARGEST)] * 5
    assert [(s.before, s.after, s.reason, s.limiting_signal) for s in told.switches] == [
        (Configuration.parse(PINNED), LARGEST, "as the script says", "cpu")
    ]
    assert ahead == [5]  # between two predictions, not when the next window is ready
    assert runtime.summary.windows_skipped == 0


class NoFrames(Recorder):
    """Does not care for frames."""

    every_frame = False


def test_frames_nobody_looks_at_are_slept_through(bundle: Bundle, tmp_path: Path) -> None:
    """Of a paced source: predictions and account are as with a sink that looks at every frame."""
    video = write_video(tmp_path / "clip.avi", 30, rate=60.0)
    runs = []
    for told in (Recorder(), NoFrames()):
        source = open_source(video, realtime=True)
        runtime = Runtime(bundle, source, budget=PINNED, hop=8, events=[told], threads=1)
        runtime.run()
        assert_accounted(runtime)
        runs.append((runtime, told))
    (all_of_them, every), (some, few) = runs
    both = [by_start(told.predictions) for told in (every, few)]  # a busy machine may skip one in either
    common = both[0].keys() & both[1].keys()
    assert common
    assert all(scores(both[0][start]) == scores(both[1][start]) for start in common)
    assert len(every.frames) == 30
    assert len(few.frames) < 30
    assert some.summary.frames_captured == all_of_them.summary.frames_captured == 30
    assert some.summary.dropped == all_of_them.summary.dropped


def test_a_live_decision_is_made_while_nothing_waits_for_it(bundle: Bundle) -> None:
    """It is asked for right after a prediction, and not again when the window is ready."""
    source = Bursts(7, 2, 2)
    script = Script(Configuration.parse(PINNED))
    decided: list[int] = []
    decide = script.decide
    told = Asking(source)

    def watched() -> Decision:
        decided.append(len(told.predictions))
        return decide()

    script.decide = watched  # type: ignore[method-assign]
    Runtime(bundle, source, controller=script, events=[told], threads=1).run()
    assert len(told.predictions) == 3
    assert decided == [0, 1, 2, 3]


def test_decisions_go_on_while_no_window_comes(bundle: Bundle) -> None:
    """A scene that is cut, or a camera that is away, completes no window; a device may change meanwhile."""
    source = Bursts(7, 1)  # of which the second never comes
    script = Script(Configuration.parse(PINNED))
    decide, seconds, decided, told = script.decide, count(0.0, 0.25), list[int](), Recorder()

    def watched() -> Decision:
        decided.append(len(told.predictions))
        if len(decided) == 6:
            runtime.stop()
        return decide()

    script.decide = watched  # type: ignore[method-assign]
    clock = lambda: next(seconds)  # noqa: E731
    runtime = Runtime(bundle, source, controller=script, events=[told], threads=1, clock=clock)
    runtime.run()
    assert decided[-4:] == [1, 1, 1, 1]
    assert len(told.predictions) == 1


class Flood(ListSource):
    """A live source that gives two frames while one is looked at, so that there is always one more."""

    def __init__(self) -> None:
        super().__init__(50, live=True)
        self._changed = threading.Condition()
        self._looked_at = 0

    def looked_at(self) -> None:
        """Another frame has been looked at."""
        with self._changed:
            self._looked_at += 1
            self._changed.notify()

    def read(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self.read_count < 80 + 2 * self._looked_at)
        if self.closed:
            return None
        self.read_count += 1
        number = self.read_count - 1
        return Frame(number, number / 30, self._frames[number % 50], 0.0)

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify()


class Looking(Recorder):
    """Tells the flood of every frame that was looked at, so that two more come."""

    def __init__(self, source: Flood) -> None:
        super().__init__()
        self._source = source

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        super().frame(frame, latest)
        self._source.looked_at()


def test_frames_that_come_faster_than_they_are_looked_at(bundle: Bundle) -> None:
    """There are still answers, the run can be stopped, and what was overrun is counted."""
    source = Flood()
    told = Looking(source)
    runtime = Runtime(bundle, source, budget=PINNED, events=[told], max_predictions=3, threads=1)
    thread = threading.Thread(target=runtime.run, daemon=True)
    thread.start()
    thread.join(20)
    ended = not thread.is_alive()
    runtime.stop()
    source.close()
    assert ended
    assert runtime.summary.predictions == 3
    assert runtime.summary.dropped["overrun"] > 0
    assert_accounted(runtime)


def test_a_live_run_is_stopped_within_a_moment(bundle: Bundle) -> None:
    """Also while no frame comes."""

    source = Bursts(3, 1)  # the second burst is never delivered
    runtime = Runtime(bundle, source, budget=PINNED, threads=1)
    thread = threading.Thread(target=runtime.run)
    thread.start()
    assert source.asked()
    runtime.stop()
    thread.join(2)
    assert not thread.is_alive()
    assert runtime.summary.frames_captured == 3
    assert_accounted(runtime)


# What cannot be meant


def test_wrong_options_are_refused(bundle: Bundle) -> None:
    """Before anything runs."""
    for options in ({"hop": 0}, {"budget": "cheap"}, {"budget": "w0.60-s32-t4"}):
        with pytest.raises(UsageError):
            Runtime(bundle, ListSource(1), **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`every` 0 is below 1"):
        Cycle(CONFIGURATIONS, 0)


def test_the_cycle_repeats(bundle: Bundle) -> None:
    """Each configuration so many times in a row, for ever."""
    cycle = Cycle([SMALLEST, LARGEST], every=2)
    decisions = [cycle.decide() for _ in range(6)]
    assert [d.configuration for d in decisions] == [SMALLEST, SMALLEST, LARGEST, LARGEST, SMALLEST, SMALLEST]
    assert [d.changed for d in decisions] == [True, False, True, False, True, False]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Whatever a run does, its threads end with it."""
    yield
    left = [t.name for t in threading.enumerate() if t.name.startswith("a3d-edge-prepare")]
    assert left == []


# Two pathways


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 100 frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "hundred.avi", 100)


def test_two_pathways_over_a_file(slowfast: Bundle, clip: Path) -> None:
    """A window every slow frame; the Fast pathway looks at every frame, so that all are used."""
    runtime, told = run(slowfast, open_source(clip), budget="w0.50-s32-t1")
    assert [round(p.window_start_s * 30) for p in told.predictions] == list(range(0, 100 - 15, 4))
    assert [round(p.stream_time_s * 30) for p in told.predictions] == list(range(15, 100, 4))
    assert_accounted(runtime)
    assert (runtime.summary.frames_captured, runtime.summary.frames_used) == (100, 100)
    assert not any(p.padded for p in told.predictions)


@pytest.mark.parametrize("hop", [1, 3, 16, 20])
def test_two_pathways_predict_the_same_at_any_hop(slowfast: Bundle, clip: Path, hop: int) -> None:
    """As with the default hop, which is the slow pathway's stride; frames beyond all windows are told."""
    budget = "w0.70-s27-t3"
    reference = by_start(run(slowfast, open_source(clip), budget=budget)[1].predictions)
    runtime, told = run(slowfast, open_source(clip), budget=budget, hop=hop)
    assert [round(p.window_start_s * 30) for p in told.predictions] == list(range(0, 100 - 15, hop))
    assert_accounted(runtime)
    assert runtime.summary.dropped["not_sampled"] == (20 if hop == 20 else 0)
    compared = 0
    for start, prediction in by_start(told.predictions).items():
        if start in reference:
            np.testing.assert_allclose(scores(prediction), scores(reference[start]), atol=1e-5)
            compared += 1
    assert compared >= 5


def test_two_pathways_switched_at_every_window(slowfast: Bundle, clip: Path) -> None:
    """No window is lost, and each prediction is that of a pinned run of its configuration."""
    runtime, told = run(slowfast, open_source(clip), controller=Cycle(slowfast.configurations))
    starts = [round(p.window_start_s * 30) for p in told.predictions]
    assert starts == list(range(0, 100 - 15, 4))
    assert [p.configuration for p in told.predictions[:5]] == list(TWO_PATHWAYS)
    assert runtime.summary.switches == len(told.switches) >= len(starts) - 1
    assert_accounted(runtime)
    for configuration in TWO_PATHWAYS:
        pinned = by_start(run(slowfast, open_source(clip), budget=str(configuration))[1].predictions)
        for start, prediction in by_start(told.predictions).items():
            if prediction.configuration == configuration:
                np.testing.assert_allclose(scores(prediction), scores(pinned[start]), rtol=1e-3, atol=1e-5)
    assert len({tuple(np.round(scores(p), 3)) for p in told.predictions}) > 15


@pytest.mark.parametrize("rate", [12.5, 25.0, 59.94])
def test_two_pathways_at_any_rate(slowfast: Bundle, tmp_path: Path, rate: float) -> None:
    """Every frame is accounted for where frames answer for several instants, or for none."""
    path = write_video(tmp_path / "clip.avi", 80, rate)
    runtime, told = run(slowfast, open_source(path), budget="w0.50-s32-t1")
    assert_accounted(runtime)
    assert len(told.predictions) == pytest.approx((80 / rate * 30 - 15) / 4, abs=1)
    assert (runtime.summary.dropped["not_sampled"] > 30) == (rate > 30)


@pytest.mark.parametrize("frames", [1, 6, 15])
def test_a_file_shorter_than_the_fast_pathway_s_window(slowfast: Bundle, tmp_path: Path, frames: int) -> None:
    """One padded prediction, also where the slow pathway's own frames have all come."""
    path = write_video(tmp_path / "short.avi", frames)
    runtime, told = run(slowfast, open_source(path), budget="w0.50-s32-t1")
    assert [p.padded for p in told.predictions] == [True]
    assert_accounted(runtime)


@pytest.mark.parametrize("configuration", [TWO_PATHWAYS[1], TWO_PATHWAYS[4]])
def test_a_clip_of_frames_is_classified_as_the_run_does(
    slowfast: Bundle, configuration: Configuration
) -> None:
    """``classify_clip`` on the 16 frames of a window gives that window's label and score."""
    frames = list(pictures(28))
    _, told = run(slowfast, ListSource(28), budget=str(configuration))
    network = slowfast.open(configuration, threads=1)
    assert len(told.predictions) == 4
    for prediction in told.predictions:
        first = round(prediction.window_start_s * 30)
        label, score = network.classify_clip(frames[first : first + 16])
        assert (label, score) == (prediction.label, pytest.approx(prediction.score, abs=1e-5))
