"""``a3d-edge verify --engine``: what another engine computes is compared, configuration by configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import CONFIGURATIONS, Here
from numpy.typing import NDArray

import a3d_edge.engine.engines as engines
from a3d_edge.bundle import Bundle
from a3d_edge.cli.verify import EngineParity, _require_same
from a3d_edge.configuration import Configuration
from a3d_edge.engine.engines import Stage, Tensors
from a3d_edge.engine.ort import OrtEngine
from a3d_edge.errors import BundleError

WINDOWS = 8  # the probe and one of every action that can be rendered


@dataclass
class Off:
    """``ort:CPU`` whose clip stage adds a fraction of the largest logit to the smallest."""

    fraction: float
    name: str = "off"
    volumes: bool = False

    def open(
        self, graph: Path, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> Stage:
        stage = OrtEngine.of("CPU").open(graph, replaced, shapes, threads)
        return OffStage(stage, self.fraction) if "clip" in graph.name else stage


@dataclass
class OffStage:
    """See `Off`."""

    stage: Stage
    fraction: float
    rows: int = 1

    def run(self, inputs: Tensors) -> NDArray[Any]:
        logits = self.stage.run(inputs)
        logits[0, logits[0].argmin()] += self.fraction * np.abs(logits).max()
        return logits


def test_the_default_engine_is_proved_by_the_probe(here: Here, bundle_folder: Path) -> None:
    """It is what others are compared with: nothing to compare."""
    code, out, err = here("verify", bundle_folder, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["engine"], found["parity"], found["configurations"]) == ("ort:CPU", [], 6)


def test_openvino_computes_the_same(here: Here, bundle_folder: Path) -> None:
    """Every configuration: the same labels, and how far apart."""
    pytest.importorskip("openvino")
    code, out, err = here("verify", bundle_folder, "--engine", "openvino", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["engine"] == "openvino"
    assert {one["configuration"] for one in found["parity"]} == set(map(str, CONFIGURATIONS))
    for one in found["parity"]:
        assert (one["windows"], one["same_label"]) == (WINDOWS, WINDOWS)
        assert 0 <= one["relative_error"] < 1e-4


def test_an_engine_that_is_off_is_named(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than the probe notices, more than fp32 may differ: exit 4, after the table of all."""
    monkeypatch.setattr(engines, "find_engine", lambda name: Off(0.005))
    code, out, err = here("verify", bundle_folder, "--engine", "off")
    assert code == 4
    lines = out.splitlines()
    assert len(lines) == len(CONFIGURATIONS) + 1
    assert lines[0] == "off w0.50-s18-t1: relative error 5.0e-03, the same label on 8 of 8 windows"
    assert err.count("\n") == 1
    assert "off differs from ort:CPU at w0.50-s18-t1: relative error 5.0e-03" in err


def test_an_engine_that_computes_something_else_fails_the_probe(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before windows are looked at."""
    monkeypatch.setattr(engines, "find_engine", lambda name: Off(0.5))
    code, out, err = here("verify", bundle_folder, "--engine", "off")
    assert (code, out) == (4, "")
    assert "does not compute what was exported on off (relative error 0.5)" in err


def test_an_engine_that_is_not_there_is_a_usage_error(here: Here, bundle_folder: Path) -> None:
    """Before the bundle is read."""
    code, out, err = here("verify", bundle_folder / "nothing", "--engine", "warp")
    assert (code, out) == (2, "")
    assert "unknown --engine 'warp'" in err


@pytest.mark.parametrize(
    ("parity", "passes"),
    [
        (EngineParity(Configuration(0.5, 32, 2), 8, 8, 9e-4), True),
        (EngineParity(Configuration(0.5, 32, 2), 8, 8, 2e-3), False),
        (EngineParity(Configuration(0.5, 32, 2), 8, 7, 1e-6), False),
        (EngineParity(Configuration(0.5, 32, 2), 8, 8, float("nan")), False),
        (EngineParity(Configuration(0.5, 32, 2, "int8"), 8, 7, 0.1), True),
        (EngineParity(Configuration(0.5, 32, 2, "int8"), 8, 8, 0.3), False),
    ],
)
def test_what_is_the_same(bundle_folder: Path, parity: EngineParity, passes: bool) -> None:
    """fp32: the same labels and a thousandth. int8: its own error, in which labels may change."""
    loaded = Bundle.load(bundle_folder)
    if passes:
        _require_same(loaded, "other", parity)
        return
    with pytest.raises(BundleError, match=r"other differs from ort:CPU at w0\.50-s32-t2"):
        _require_same(loaded, "other", parity)
