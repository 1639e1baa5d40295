"""A runtime as an iterable and a context manager: the same run in the caller's loop, always closed."""

from __future__ import annotations

import gc
import inspect
import threading
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import ListSource, Recorder, copy_of

from a3d_edge import Bundle, Prediction, Runtime, SourceError, Summary, UsageError, open_source, stream
from a3d_edge.runtime import RunOptions
from a3d_edge.video.reader import FILE_CAPACITY

PINNED = "w0.50-s32-t4"


class Reported(Recorder):
    """Remembers the summaries, and who it was bound to."""

    def __init__(self) -> None:
        super().__init__()
        self.summaries: list[tuple[Summary, int]] = []
        self.bound: list[Any] = []

    def summary(self, summary: Summary) -> None:
        self.summaries.append((summary, self.closed))

    def bind(self, runtime: Any) -> None:
        self.bound.append(runtime)


def made(bundle: Bundle, source: Any, **options: Any) -> tuple[Runtime, Reported]:
    """A pinned runtime and who it tells."""
    told = Reported()
    return Runtime(bundle, source, budget=PINNED, events=[told], threads=1, **options), told


def leave_with_an_error(runtime: Runtime) -> None:
    """Out of the body of a loop."""
    for _ in runtime:
        raise ZeroDivisionError


def told_of(predictions: list[Prediction]) -> list[tuple[Any, ...]]:
    """All of a prediction but how long it took."""
    return [(p.window_start_s, p.stream_time_s, p.label, p.score) for p in predictions]


def test_iterating_is_the_run(bundle: Bundle, clip: Path) -> None:
    """The same predictions, in order, in this thread, each as soon as it is made; sinks hear all of it."""
    ran, told = made(bundle, open_source(clip))
    ran.run()
    runtime, heard = made(bundle, clip)
    found = []
    for prediction in runtime:
        assert heard.predictions[-1] is prediction
        found.append(prediction)
        assert len(heard.predictions) == len(found)
    assert told_of(found) == told_of(told.predictions)
    assert len(found) == runtime.summary.predictions == 27
    assert runtime.summary.frames_captured == 60
    assert heard.summaries == [(runtime.summary, 0)]
    assert (heard.bound, heard.closed) == ([runtime], 1)


@pytest.mark.parametrize("word", [str, Path, lambda path: path.as_uri(), open_source])
def test_a_word_in_the_place_of_a_source(bundle: Bundle, clip: Path, word: Any) -> None:
    """A path, its text, a URL: what `open_source` takes, or what it gives."""
    assert Runtime(bundle, word(clip), budget=PINNED, threads=1).run().predictions == 27


def test_a_word_that_opens_nothing(bundle: Bundle, tmp_path: Path) -> None:
    """Is a SourceError when the runtime is made."""
    with pytest.raises(SourceError, match="no such file"):
        Runtime(bundle, tmp_path / "none.mp4")


def test_a_source_opened_for_it_is_closed_when_it_cannot_be_made(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was given is not: it may be used again."""
    import a3d_edge.runtime as module

    source = ListSource(10)
    monkeypatch.setattr(module, "open_source", lambda word, classes: source)
    with pytest.raises(UsageError):
        Runtime(bundle, source, budget="lots")
    assert not source.closed
    with pytest.raises(UsageError):
        Runtime(bundle, "clip.mp4", budget="lots")
    assert source.closed


@pytest.mark.parametrize("live", [False, True])
def test_leaving_the_loop_closes_everything(bundle: Bundle, live: bool) -> None:
    """At once: source, threads and sinks, with every frame accounted for."""
    before, source = threading.active_count(), ListSource(400, live=live)
    runtime, told = made(bundle, source)
    for prediction in runtime:
        assert prediction.label
        break
    assert (source.closed, told.closed, len(told.predictions)) == (True, 1, 1)
    assert threading.active_count() == before
    summary = runtime.summary
    assert told.summaries == [(summary, 0)]
    assert summary.frames_captured == summary.frames_used + sum(summary.dropped.values())


def test_a_busy_caller_holds_the_reading_up(bundle: Bundle) -> None:
    """Of a file no more than a queue of frames is read ahead, however long the caller takes."""
    source = ListSource(1000)
    runtime, told = made(bundle, source)
    with runtime:
        for number, _ in enumerate(runtime):
            assert source.read_count <= len(told.frames) + 1 + FILE_CAPACITY + 1
            if number == 50:
                break
    assert source.read_count < 200


def test_an_error_reaches_the_caller(bundle: Bundle) -> None:
    """After the predictions before it; all is closed."""
    runtime, told = made(bundle, ListSource(20, error=SourceError("the camera is gone")))
    found = []
    with pytest.raises(SourceError, match="gone"):
        found.extend(runtime)
    assert told.closed == len(told.summaries) == 1
    assert len(told.predictions) == 7


def test_an_error_of_the_caller_closes_it_too(bundle: Bundle) -> None:
    """What is raised in the body of the loop comes out, and nothing stays open."""
    source = ListSource(100)
    runtime, told = made(bundle, source)
    with pytest.raises(ZeroDivisionError):
        leave_with_an_error(runtime)
    assert (source.closed, told.closed) == (True, 1)


def test_it_runs_once(bundle: Bundle, clip: Path) -> None:
    """By run or by iterating, whichever comes first; and not after close."""
    iterated, ran, closed = (made(bundle, clip)[0] for _ in range(3))
    assert len(list(iterated)) == ran.run().predictions == 27
    closed.close()
    for runtime in (iterated, ran, closed):
        with pytest.raises(UsageError, match="this Runtime has run"):
            runtime.run()
        with pytest.raises(UsageError, match="this Runtime has run"):
            next(iter(runtime))


def test_close_before_during_and_after(bundle: Bundle) -> None:
    """It closes what is open, once."""
    source = ListSource(100)
    unused, told = made(bundle, source)
    with unused:
        pass
    unused.close()
    assert (source.closed, told.closed, len(told.summaries)) == (True, 1, 1)

    source = ListSource(100)
    runtime, told = made(bundle, source)
    with runtime:
        predictions = iter(runtime)  # kept, so that nothing but close lets go of it
        next(predictions)
        assert not told.closed
    assert (source.closed, told.closed) == (True, 1)
    assert list(predictions) == []
    runtime.close()
    assert told.closed == 1


def test_a_sink_that_closes_its_runtime_ends_it(bundle: Bundle) -> None:
    """In order, from within."""

    class Closing(Reported):
        def prediction(self, prediction: Prediction) -> None:
            super().prediction(prediction)
            if len(self.predictions) == 3:
                self.bound[0].close()

    told = Closing()
    runtime = Runtime(bundle, ListSource(100), budget=PINNED, events=[told], threads=1)
    assert runtime.run().predictions == 3
    assert told.closed == 1


def test_stream_is_the_shortest_way(bundle: Bundle, clip: Path, tmp_path: Path) -> None:
    """A word and a budget; of a bundle, its folder, or the built-in one."""
    expected = told_of(list(Runtime(bundle, clip, budget=PINNED, threads=1)))
    for given in (bundle, bundle.path, str(copy_of(bundle.path, tmp_path / "copy"))):
        assert told_of(list(stream(clip, given, budget=PINNED, threads=1))) == expected
    default = [p.configuration for p in stream("demo", budget="0.0001", max_predictions=1, threads=1)]
    assert default == [Bundle.default().configurations[0]]


def test_leaving_a_stream_closes_it(bundle: Bundle) -> None:
    """And one that is never begun opens nothing."""
    source, told = ListSource(100), Reported()
    for _ in stream(source, bundle, budget=PINNED, events=[told], threads=1):
        break
    assert (source.closed, told.closed) == (True, 1)
    before = threading.active_count()
    stream("no-such-file.mp4", "no-such-bundle")
    gc.collect()
    assert threading.active_count() == before


def test_the_options_of_stream_are_those_of_a_runtime() -> None:
    """All that are given by keyword."""
    parameters = inspect.signature(Runtime).parameters.values()
    assert set(RunOptions.__annotations__) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_seconds_of_the_default_hop(bundle: Bundle) -> None:
    """As predictions come."""
    assert bundle.hop_s == 2 / 30
