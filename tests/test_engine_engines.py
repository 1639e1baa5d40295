"""Engines by name, and the one that is asked for is the one that loads every network."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest
from fixtures_bundle import CONFIGURATIONS, LARGEST, SMALLEST, ListSource, Recorder

from a3d_edge.bundle import Bundle
from a3d_edge.engine.engines import Engine, Stage, Tensors, find_engine, reason, trim_heap
from a3d_edge.engine.pool import SessionPool
from a3d_edge.errors import UsageError
from a3d_edge.runtime import Cycle, Runtime


class Counting:
    """``ort:CPU`` that keeps what it was asked to open."""

    name = "counting"
    volumes = False

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.shapes: list[dict[str, tuple[int, ...]]] = []
        self._real: Engine = find_engine("ort:CPU")

    def open(
        self, graph: Path, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> Stage:
        self.opened.append(graph.name)
        self.shapes.append(dict(shapes))
        return self._real.open(graph, replaced, shapes, threads)


@pytest.mark.parametrize("name", ["ort:CPU", "ort:cpu", "ORT:Cpu", "ort"])
def test_the_engine_that_is_always_there(name: str) -> None:
    """In any case, and by its family alone; its name is always written the same way."""
    assert find_engine(name).name == "ort:CPU"


@pytest.mark.parametrize("name", ["warp", "", "tensorrt:0", "openvinox"])
def test_an_unknown_engine_is_a_usage_error(name: str) -> None:
    """It names the ones there are."""
    with pytest.raises(UsageError) as caught:
        find_engine(name)
    assert str(caught.value) == (
        f"unknown `engine` '{name}'; there are ort:CPU, ort:<execution provider> and openvino"
    )


def test_an_engine_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra, not a traceback."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"OpenVINO is not installed; pip install 'a3d-edge\[openvino\]'"):
        find_engine("OpenVINO:CPU")


def test_a_bundle_opens_on_the_engine_that_is_given(bundle: Bundle) -> None:
    """By name, or one of the caller's own; both stages, with the shapes of the configuration."""
    engine = Counting()
    network = bundle.open(LARGEST, threads=1, engine=engine)
    assert network.configuration == LARGEST
    assert engine.opened == ["w1.00.frame.onnx", "w1.00.clip.onnx"]
    pictures, features = (next(iter(one.values())) for one in engine.shapes)
    assert (pictures[1:], pictures[0] <= 4) == ((3, 37, 37), True)
    assert features == (4, 5, 5, 64)
    assert bundle.open(SMALLEST, threads=1, engine="ort").configuration == SMALLEST
    with pytest.raises(UsageError, match="unknown `engine` 'warp'"):
        bundle.open(SMALLEST, engine="warp")


def test_a_pool_loads_on_its_engine(bundle: Bundle) -> None:
    """Every network of it."""
    engine = Counting()
    pool = SessionPool(bundle.networks, threads=1, engine=engine)
    try:
        pool.take(SMALLEST)
        pool.take(LARGEST)
    finally:
        pool.close()
    assert len(engine.opened) == 4


def test_a_run_computes_on_its_engine(bundle: Bundle) -> None:
    """The first configuration and those it switches to."""
    engine, events = Counting(), Recorder()
    Runtime(
        bundle,
        ListSource(16),
        controller=Cycle(CONFIGURATIONS[:2]),
        events=[events],
        threads=1,
        engine=engine,
    ).run()
    assert {p.configuration for p in events.predictions} == set(CONFIGURATIONS[:2])
    assert engine.opened == 2 * ["w0.50.frame.onnx", "w0.50.clip.onnx"]


def test_messages_of_engines_become_one_short_line() -> None:
    """They span lines and pages."""
    assert reason(RuntimeError("two\n  lines\t and tabs")) == "two lines and tabs"
    assert len(reason(RuntimeError("long " * 1000))) == 200


def test_trimming_the_heap_is_harmless() -> None:
    """Also where the C library cannot."""
    trim_heap()
