"""Graphs are read and held to what an export writes, before any engine sees them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.bundle import Bundle
from a3d_edge.bundles import built_in
from a3d_edge.graphs.check import GraphError, Limits, check_static, parsed
from a3d_edge.graphs.model import FLOAT, UINT8
from a3d_edge.graphs.operators import OPERATORS
from a3d_edge.graphs.values import Known

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

FILES = {
    "weights.bin": 1 << 24,
    "statistics.bin": 1 << 24,
    "weights_int8.bin": 1 << 24,
    "scales.bin": 1 << 24,
}
LIMITS = Limits(FILES, 1e10)
PICTURES = {"pictures": Known(FLOAT, (2, 3, 32, 32))}
FRAME = Bundle.default().path / "w0.50.frame.onnx"


def checked(data: bytes, inputs: dict[str, Known] = PICTURES, limits: Limits = LIMITS) -> tuple[str, Known]:
    return check_static(parsed(data), inputs, limits)


@pytest.mark.parametrize("name", sorted(built_in()))
def test_what_ships_passes(name: str) -> None:
    """Every graph, also those that only other engines open; what it gives is known."""
    bundle = Bundle.named(name)
    for configuration in bundle.configurations:
        files = bundle.files_of(configuration)
        assert files.graphs(volumes=True).keys() == {"frame", "clip"}
        given = files.pathways[0]
        inputs = {"pictures": Known(FLOAT, (len(given.instants), 3, given.size, given.size))}
        out, found = checked((bundle.path / str(files.frame)).read_bytes(), inputs)
        kind = UINT8 if configuration.precision == "int8" else FLOAT
        assert (out, found.type, found.shape[0]) == ("features", kind, len(given.instants))


def test_a_frame_stage_is_the_same_for_any_number_of_frames() -> None:
    """One by one, or all of a window's."""
    shapes = [
        checked(FRAME.read_bytes(), {"pictures": Known(FLOAT, (n, 3, 32, 32))})[1].shape for n in (1, 2, 7)
    ]
    assert [shape[0] for shape in shapes] == [1, 2, 7]
    assert len({shape[1:] for shape in shapes}) == 1


def checked_for_all(data: bytes) -> None:
    """For a window's frames at once, and one by one."""
    checked(data)
    checked(data, {"pictures": Known(FLOAT, (1, 3, 32, 32))})


def cases() -> dict[str, tuple[str, Callable[[Any], None]]]:
    """The hostile graphs of the benchmark, which gives each to the real commands."""
    pytest.importorskip("onnx")
    from _hostile_cases import changes

    found: dict[str, tuple[str, Callable[[Any], None]]] = changes()
    return found


def test_hostile_graphs_are_refused() -> None:
    """Each in a few words, in memory: nothing runs."""
    onnx = pytest.importorskip("onnx")
    for name, (stage, change) in cases().items():
        if stage != FRAME.name:
            continue
        model = onnx.load(FRAME, load_external_data=False)
        change(model)
        with pytest.raises(GraphError) as caught:
            checked_for_all(model.SerializeToString())
        assert str(caught.value).isprintable(), name
        assert len(str(caught.value)) < 300, name


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits({**FILES, "weights.bin": 100}, 1e10), "lies behind the end of weights.bin"),
        (Limits({"statistics.bin": 1 << 24}, 1e10), "would read 'weights.bin'"),
        (Limits(FILES, 1e5), "more than its configuration"),
    ],
)
def test_what_it_needs_is_there(limits: Limits, why: str) -> None:
    """Files and their sizes, and no more work than the table says."""
    with pytest.raises(GraphError, match=why):
        checked(FRAME.read_bytes(), limits=limits)


@pytest.mark.parametrize(
    "inputs",
    [
        {"features": PICTURES["pictures"]},
        {"pictures": Known(FLOAT, (2, 4, 32, 32))},
        {"pictures": Known(UINT8, (2, 3, 32, 32))},
        {"pictures": Known(FLOAT, (2, 3, 32))},
        {**PICTURES, "more": PICTURES["pictures"]},
    ],
)
def test_other_inputs_are_refused(inputs: dict[str, Known]) -> None:
    """By name, type, rank and what is fixed of the shape."""
    with pytest.raises(GraphError, match=r"inputs are not|is not of the type or shape"):
        checked(FRAME.read_bytes(), inputs)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    """In words."""
    with pytest.raises(GraphError):
        checked(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 9000), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_graph_that_was_tampered_with_ends_well(place: int, new: bytes, insert: bool) -> None:
    """Any bytes put anywhere: the graph passes or is refused, and nothing else happens."""
    whole = FRAME.read_bytes()
    data = whole[:place] + new + whole[place + (0 if insert else len(new)) :]
    with suppress(GraphError):
        checked(data)


def test_the_operators_are_those_that_are_written() -> None:
    """Of every lowering and of int8: all are allowed, and none that nobody writes."""
    source = "".join(
        (Path(__file__).parent.parent / "exporters" / name).read_text()
        for name in ("onnx_operators.py", "quantize.py")
    )
    missing = [op for op in OPERATORS if f'"{op}"' not in source and op not in ("Relu", "Sigmoid")]
    assert missing == []
    assert 30 <= len(OPERATORS) <= 35
