"""The example of the README: a user's own loop over a real video file, with a hand-written network."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from fixtures_bundle import TWO_PATHWAYS, frames_of, shared_slowfast, write_video

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.device.signals import Signals
from a3d_edge.errors import ResourceError
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.video.sampler import Sampling

EXAMPLE = Path(__file__).parent.parent / "examples" / "embed_controller.py"
SMALL, LARGE = Configuration(0.5, 128, 2), Configuration(1.0, 128, 4)


class FakeBundle:
    """Two configurations over windows of 4 frames, 2 apart; remembers what was opened and seen."""

    def __init__(self, *, refuses: Configuration | None = None) -> None:
        rows = tuple(Row(configuration=str(one), gflops=one.width, params_m=1.0) for one in (SMALL, LARGE))
        self.table = ConfigurationBudgetTable(architecture="test", rows=rows)
        self.sampling = Sampling(frames=4, stride=2)
        self.refuses = refuses
        self.opened: list[Configuration] = []
        self.seen: list[list[int]] = []

    def default(self) -> FakeBundle:
        return self

    def open(self, configuration: Configuration) -> FakeBundle:
        if configuration == self.refuses:
            raise ResourceError("no memory")
        self.opened.append(configuration)
        return self

    def classify_clip(self, images: Sequence[Any]) -> tuple[str, float]:
        self.seen.append([round(float(image.mean()) / 4) for image in images])
        return "wave", 0.75


def run(bundle: FakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as a user would start it, on 40 frames whose brightness is 4 times their number."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for number in range(40):
        writer.write(np.full((48, 64, 3), 4 * number, np.uint8))
    writer.release()
    start(bundle, path, monkeypatch)


def start(bundle: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example on a file, with ``bundle.default()`` for the default bundle."""
    module: Any = ModuleType("a3d_edge.bundle")
    module.Bundle = bundle
    monkeypatch.setitem(sys.modules, "a3d_edge.bundle", module)
    code = runpy.run_path(str(EXAMPLE))
    code["main"](str(path))


def test_the_loop_answers_every_hop_with_the_frames_of_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight frames a window, a new one every second frame; a file runs the largest configuration."""
    bundle = FakeBundle()
    run(bundle, tmp_path, monkeypatch)
    assert bundle.seen == [list(range(first, first + 8)) for first in range(1, 33, 2)]
    assert bundle.opened == [LARGE]
    assert capsys.readouterr().out.splitlines() == ["wave 0.75 with w1.00-s128-t4"] * 16


@pytest.mark.parametrize("refuses", [None, LARGE])
def test_the_loop_follows_the_controller_and_survives_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: Configuration | None
) -> None:
    """Short of memory it starts small; allowed more, it opens the larger, or stays if that cannot be."""
    import a3d_edge.control.controller as controller

    clock = iter(range(1000))
    readings = iter([Signals(memory_available=0.01), *[Signals()] * 1000])
    kept = controller.BudgetController.__init__
    fakes = {"clock": lambda: float(next(clock)), "sensors": lambda: next(readings)}
    monkeypatch.setattr(
        controller.BudgetController,
        "__init__",
        lambda self, table, **options: kept(self, table, **options, **fakes),
    )
    bundle = FakeBundle(refuses=refuses)
    run(bundle, tmp_path, monkeypatch)
    assert bundle.opened == ([SMALL] if refuses else [SMALL, LARGE])
    assert len(bundle.seen) == 16


def test_the_loop_runs_a_network_of_two_pathways(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a word about them: it hands over the frames of a window, here 16, every fourth frame."""
    import a3d_edge.control.controller as controller

    monkeypatch.setattr(controller, "DeviceSensors", lambda: Signals)
    real, path = Bundle.load(shared_slowfast(tmp_path_factory)), write_video(tmp_path / "clip.mp4", 40)

    class Default:
        @staticmethod
        def default() -> Bundle:
            return real

    start(Default, path, monkeypatch)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6
    network = real.open(TWO_PATHWAYS[-1], threads=1)
    frames = decoded(path)
    for line, first in zip(said, range(1, 24, 4), strict=True):
        label, score = network.classify_clip(frames[first : first + 16])
        assert line == f"{label} {score:.2f} with {TWO_PATHWAYS[-1]}"
    assert len(set(said)) > 1


def decoded(path: Path) -> list[Any]:
    """All frames of a video."""
    capture = cv2.VideoCapture(str(path))
    return [capture.read()[1] for _ in range(frames_of(path))]
