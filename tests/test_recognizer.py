"""Frames pushed by an application of its own: the answers of a run, whatever is pushed in between."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import CONFIGURATIONS, LARGEST, SMALLEST, ListSource, Recorder, pictures

import a3d_edge.engine.pool as pool_module
from a3d_edge import Bundle, Configuration, Prediction, Recognizer, Runtime, UsageError
from a3d_edge.control.cycle import Cycle
from a3d_edge.control.policy import Decision
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.errors import BundleError

PINNED = "w0.50-s32-t4"


class Wanting:
    """A controller that wants what it is set to."""

    def __init__(self, configuration: Configuration) -> None:
        self.wanted = configuration
        self.refused: list[Configuration] = []

    def decide(self) -> Decision:
        return Decision(self.wanted, False, "as set", "cpu")

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        pass

    def refuse(self, configuration: Configuration) -> None:
        self.refused.append(configuration)


def told_of(predictions: list[Prediction]) -> list[tuple[Any, ...]]:
    """All of a prediction but how long it took."""
    return [(p.window_start_s, p.stream_time_s, p.configuration, p.label, p.score) for p in predictions]


def push_all(recognizer: Recognizer, count: int, begin_s: float = 0.0) -> list[Prediction]:
    """Thirty frames a second."""
    return [p for i, image in enumerate(pictures(count)) for p in recognizer.push(image, begin_s + i / 30)]


@pytest.mark.parametrize("hop", [None, 1, 5])
def test_it_answers_as_a_run_of_the_same_frames(bundle: Bundle, hop: int | None) -> None:
    """Each window, at most one a frame, on the configurations that the controller goes through."""
    cycles = [Cycle(CONFIGURATIONS, every=2) for _ in range(2)]
    told = Recorder()
    Runtime(bundle, ListSource(60), hop=hop, controller=cycles[0], events=[told], threads=1).run()
    with Recognizer(bundle, live=False, hop=hop, controller=cycles[1], threads=1) as recognizer:
        found = push_all(recognizer, 60) + recognizer.flush()
    assert told_of(found) == told_of(told.predictions)
    assert len({p.configuration for p in found}) > 3


def test_a_push_gives_nothing_or_one(bundle: Bundle) -> None:
    """Eight frames make the first window, then every second one completes another, seen at its time."""
    with Recognizer(bundle, budget=PINNED, threads=1) as recognizer:
        counts = [len(recognizer.push(image, 100 + i / 30)) for i, image in enumerate(pictures(20))]
        assert counts == [0] * 6 + [1, 0] * 7
        assert recognizer.configuration == Configuration.parse(PINNED)
    summary = recognizer.summary
    assert (summary.predictions, summary.frames_captured) == (7, 20)
    assert summary.frames_used + summary.dropped["not_sampled"] == 20
    assert summary.frames_used == 10


def test_a_switch_is_prepared_beside_it(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the next configuration loads the old one answers; once ready it takes over, without a gap."""
    release = threading.Event()
    real = pool_module.open_network

    def held_up(files: NetworkFiles, **options: Any) -> Any:
        if files.configuration == LARGEST:
            assert release.wait(10)
        return real(files, **options)

    monkeypatch.setattr(pool_module, "open_network", held_up)
    told, controller = Recorder(), Wanting(SMALLEST)
    with Recognizer(bundle, controller=controller, events=[told], threads=1) as recognizer:
        found = []
        for i, image in enumerate(pictures(40)):
            if i == 10:
                controller.wanted = LARGEST
            if i == 20:
                release.set()
                assert recognizer._windows.pool.wait(LARGEST, 10)
            found += recognizer.push(image, i / 30)
    starts = [round(p.window_start_s * 30) for p in found]
    assert starts == list(range(0, 2 * len(starts), 2))
    changed = [p.configuration for p in found].index(LARGEST)
    assert {p.configuration for p in found[:changed]} == {SMALLEST}
    assert {p.configuration for p in found[changed:]} == {LARGEST}
    assert changed > 5
    assert [(s.before, s.after) for s in told.switches] == [(SMALLEST, LARGEST)]
    assert (told.predictions, told.closed) == (found, 1)


def test_what_cannot_be_loaded_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one runs on and the sinks hear why; the first one cannot do without, and is raised."""
    real = pool_module.open_network

    def failing(files: NetworkFiles, **options: Any) -> Any:
        if files.configuration == LARGEST:
            raise BundleError("damaged")
        return real(files, **options)

    monkeypatch.setattr(pool_module, "open_network", failing)
    told, controller = Recorder(), Wanting(SMALLEST)
    with Recognizer(bundle, live=False, controller=controller, events=[told], threads=1) as recognizer:
        controller.wanted = LARGEST
        assert {p.configuration for p in push_all(recognizer, 12)} == {SMALLEST}
    assert set(controller.refused) == {LARGEST}
    assert "damaged" in told.warnings[0]
    with pytest.raises(BundleError, match="damaged"):
        Recognizer(bundle, budget=str(LARGEST), threads=1)


def test_a_wrong_frame_or_time_is_as_if_it_had_not_come(bundle: Bundle) -> None:
    """It is named in a UsageError, and the answers are those without it."""
    with Recognizer(bundle, budget=PINNED, threads=1) as plain:
        expected = push_all(plain, 20)
    with Recognizer(bundle, budget=PINNED, threads=1) as recognizer:
        found = []
        for i, image in enumerate(pictures(20)):
            found += recognizer.push(image, i / 30)
            for wrong in (None, "clip.mp4", image[..., 0], image.astype(np.float32), image[:0]):
                with pytest.raises(UsageError, match=r"a frame must be \(H, W, 3\) uint8"):
                    recognizer.push(wrong, i / 30 + 0.01)
            for late in (i / 30, i / 30 - 1):
                with pytest.raises(UsageError, match="is not later than the frame before"):
                    recognizer.push(image, late)
            for no_time in (math.nan, math.inf, None, "noon"):
                with pytest.raises(UsageError, match="is no time; give seconds"):
                    recognizer.push(image, no_time)  # type: ignore[arg-type]
    assert told_of(found) == told_of(expected)
    assert recognizer.summary.frames_captured == 20


def test_a_buffer_may_be_used_again(bundle: Bundle) -> None:
    """As cameras do: frames are copied."""
    with Recognizer(bundle, budget=PINNED, threads=1) as plain:
        expected = push_all(plain, 20)
    with Recognizer(bundle, budget=PINNED, threads=1) as recognizer:
        buffer = np.empty((40, 48, 3), np.uint8)
        found = []
        for i, image in enumerate(pictures(20)):
            buffer[...] = image
            found += recognizer.push(buffer, i / 30)
            buffer[...] = 0
    assert told_of(found) == told_of(expected)


def test_recordings_one_after_the_other(bundle: Bundle) -> None:
    """Flush ends one, a short one padded, and the next begins as if it were the first, at any time."""
    with Recognizer(bundle, live=False, budget=PINNED, threads=1) as recognizer:
        first = push_all(recognizer, 20, begin_s=5) + recognizer.flush()
        short = push_all(recognizer, 3) + recognizer.flush()
        again = push_all(recognizer, 20, begin_s=5) + recognizer.flush()
        assert recognizer.flush() == []
    assert [p.padded for p in short] == [True]
    assert told_of(again) == told_of(first)
    assert not any(p.padded for p in first)


def test_of_several_windows_only_the_newest_is_answered(bundle: Bundle) -> None:
    """After a pause, of a camera; of a recording each is."""
    for live, answered, skipped in ((True, 1, 2), (False, 3, 0)):
        with Recognizer(bundle, live=live, budget=PINNED, threads=1) as recognizer:
            images = list(pictures(9))
            for i, image in enumerate(images[:8]):
                recognizer.push(image, i / 30)
            assert len(recognizer.push(images[8], 12 / 30)) == answered
        assert recognizer.summary.windows_skipped == skipped


def test_closed_is_closed(bundle: Bundle) -> None:
    """Twice is as once, no thread is left, and nothing more is taken."""
    before, told = threading.active_count(), Recorder()
    recognizer = Recognizer(bundle, budget=PINNED, events=[told], threads=1)
    recognizer.close()
    recognizer.close()
    assert told.closed == 1
    for late in (lambda: recognizer.push(next(pictures(1)), 0.0), recognizer.flush):
        with pytest.raises(UsageError, match="this Recognizer is closed"):
            late()
    assert threading.active_count() == before


def test_options_that_cannot_be_meant(bundle: Bundle, tmp_path: Path) -> None:
    """Are refused when it is made, and leave nothing behind."""
    before = threading.active_count()
    for options in ({"budget": "lots"}, {"hop": 0}, {"threads": 10_000}):
        with pytest.raises(UsageError):
            Recognizer(bundle, **options)  # type: ignore[arg-type]
    assert threading.active_count() == before
