"""The bundles that ship with the package: whole, small, measured, and right about scenes not seen before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest
from fixtures_bundle import main_here, run_cli

from a3d_edge import Bundle, Runtime
from a3d_edge.bundles import built_in
from a3d_edge.configuration import Configuration, Precision
from a3d_edge.control.policy import Decision
from a3d_edge.demo.rendered import SETS, render_clip
from a3d_edge.runtime import Cycle
from a3d_edge.table import Row
from a3d_edge.video.frame import Frame

ROOT = Path(__file__).parent.parent
MOST_BYTES = 12_000_000


@dataclass(frozen=True)
class Least:
    """Accuracy of the largest and the smallest configuration, clips that int8 may lose, scenes named right
    of two a class."""

    largest: float
    smallest: float
    lost: int
    scenes: int


LEAST = {"interactions": Least(0.8, 0.7, 2, 9), "gestures": Least(0.6, 0.55, 10, 12)}


@pytest.fixture(scope="module", params=sorted(built_in()))
def bundle(request: pytest.FixtureRequest) -> Bundle:
    """Loading verifies every byte."""
    return Bundle.named(request.param)


@pytest.fixture
def at_least(bundle: Bundle) -> Least:
    """What its model card says, less what another run might lose."""
    return LEAST[bundle.path.name]


def test_it_knows_what_can_be_drawn(bundle: Bundle) -> None:
    """All classes of the set of its name, and nothing else: the demo shows what it names."""
    assert set(bundle.classes) == set(SETS[bundle.path.name])


def test_they_are_small() -> None:
    """Together at most 12 MB with everything in them, both precisions."""
    files = [file for folder in built_in().values() for file in folder.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


def test_the_wheel_takes_every_file_of_it(bundle: Bundle) -> None:
    """Whatever the manifest lists matches a pattern of the package data."""
    for name in ("manifest.json", *bundle.manifest.files):
        assert any(fnmatch(name, pattern) for pattern in ("*.json", "*.onnx", "*.bin")), name


def test_every_configuration_opens(bundle: Bundle) -> None:
    """Each computes what it computed at the export, and there is something to choose from,
    every configuration in both precisions."""
    fp32 = [c for c in bundle.configurations if c.precision == "fp32"]
    assert len(fp32) >= 4
    assert set(bundle.configurations) == {c.at(precision) for c in fp32 for precision in ("fp32", "int8")}
    for configuration in bundle.configurations:
        bundle.open(configuration, threads=1)
    cheapest, dearest = bundle.table.rows[0], bundle.table.rows[-1]
    assert cheapest.cost < 0.25 * dearest.cost


def test_its_table_is_measured_and_selected(bundle: Bundle, at_least: Least) -> None:
    """Every row has an accuracy far above chance; in fp32 a cheaper one beats at most the largest."""
    assert bundle.table.measured_on
    fp32 = bundle.table.model_copy(update={"rows": tuple(of_precision(bundle, "fp32").values())})
    assert set(fp32.configurations) - set(fp32.pareto().configurations) <= {fp32.rows[-1].configuration}
    assert bundle.table.rows[-1].accuracy >= at_least.largest  # type: ignore[operator]
    assert bundle.table.rows[0].accuracy >= at_least.smallest  # type: ignore[operator]


def of_precision(bundle: Bundle, precision: Precision) -> dict[Configuration, Row]:
    """The rows of a precision, by their configuration in fp32."""
    return {row.configuration.at("fp32"): row for row in bundle.table.rows if row.precision == precision}


def test_int8_names_the_actions_that_fp32_names(bundle: Bundle, at_least: Least) -> None:
    """Each int8 row was measured and lost few clips; on the average of the rows, none to speak of. What it
    gains in time was measured too."""
    fp32, int8 = of_precision(bundle, "fp32"), of_precision(bundle, "int8")
    changes = [(int8[c].accuracy or 0.0) - (fp32[c].accuracy or 0.0) for c in fp32]
    clips = 90 if bundle.path.name == "interactions" else 360
    assert min(changes) >= -(at_least.lost + 0.01) / clips
    assert sum(changes) / len(changes) >= -0.01
    assert all(row.int8_cost is not None for row in int8.values())
    largest = max(int8)
    assert (int8[largest].int8_cost or 1.0) < 1.0


def test_parity_was_proved(bundle: Bundle) -> None:
    """On clips, of every configuration; int8 rounds, and where two labels are nearly tied it may name the
    other: what that costs in accuracy is measured (above)."""
    for one, entry in bundle.manifest.configurations.items():
        assert entry.parity.clips > 0, one
        assert entry.parity.relative_error <= (0.15 if one.precision == "int8" else 1e-3), one
        assert entry.parity.same_top1 or one.precision == "int8", one


class Clip:
    """A rendered clip as a source."""

    live, unreadable, name, frame_rate = False, 0, "clip", 30.0

    def __init__(self, label: str, seed: int, of: str) -> None:
        width, height = (192, 144) if of == "interactions" else (320, 240)
        images = render_clip(label, seed, frames=100, width=width, height=height, of=of)
        self._frames = iter([Frame(i, i / 30, image, 0.0) for i, image in enumerate(images)])

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None:
        self._frames = iter([])


class Sums:
    """Adds up the scores of a run."""

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}

    def prediction(self, prediction: object) -> None:
        for label, score in prediction.top:  # type: ignore[attr-defined]
            self.scores[label] = self.scores.get(label, 0.0) + score

    def frame(self, frame: object, latest: object) -> None: ...
    def switch(self, switch: object) -> None: ...
    def warning(self, message: str) -> None: ...
    def close(self) -> None: ...


def test_it_names_scenes_it_has_not_seen(bundle: Bundle, at_least: Least) -> None:
    """Rendered clips of seeds beyond any training: the highest summed score is right for most of them."""
    right = 0
    for label in bundle.classes:
        for seed in (900_001, 900_002):
            sums = Sums()
            largest = str(bundle.configurations[-1])
            clip = Clip(label, seed, bundle.path.name)
            Runtime(bundle, clip, budget=largest, events=[sums], threads=2).run()
            right += max(sums.scores, key=sums.scores.__getitem__) == label
    assert right >= at_least.scenes, f"{right} of {2 * len(bundle.classes)} (chance is 2)"


def test_a_switch_of_it_skips_nothing(bundle: Bundle) -> None:
    """Through its first configurations, one a window."""

    class Starts(Sums):
        starts: list[float]

        def prediction(self, prediction: object) -> None:
            self.starts.append(prediction.window_start_s)  # type: ignore[attr-defined]

    told = Starts()
    told.starts = []
    controller = Cycle(bundle.configurations[:3])
    assert isinstance(controller.decide(), Decision)
    Runtime(
        bundle, Clip(bundle.classes[1], 1, bundle.path.name), controller=controller, events=[told], threads=2
    ).run()
    hop_s = bundle.sampling.stride / bundle.sampling.rate
    assert told.starts == pytest.approx([i * hop_s for i in range(len(told.starts))], abs=0.02)
    assert (
        len(told.starts) >= (100 - bundle.sampling.frames * bundle.sampling.stride) / bundle.sampling.stride
    )


def test_the_demo_runs_on_it(tmp_path: Path) -> None:
    """The first command of the README, shortened: it needs no option but the source."""
    code, out, _ = run_cli("run", "--source", "demo", "--json", "--max-predictions", 2, cwd=tmp_path)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines if line["event"] != "switch"] == ["prediction"] * 2 + ["summary"]
    assert lines[0]["truth"] in Bundle.default().classes


def test_it_is_what_info_shows(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``a3d-edge info --json`` without an argument: path, classes, configurations of the default."""
    bundle = Bundle.default()
    code, out, _ = main_here(capfd, monkeypatch, "info", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["path"] == str(bundle.path)
    assert found["classes"] == list(bundle.classes)
    assert found["configurations"] == [str(c) for c in bundle.configurations]
