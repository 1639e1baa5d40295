"""Configurations and budgets: what is read, what is written, and what is refused with which words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a3d_edge.configuration import (
    Budget,
    BudgetKind,
    Configuration,
    Precision,
    format_width,
    pick_frames,
)
from a3d_edge.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w0.50-s224-t4", Configuration(0.5, 224, 4)),
        ("w1.00-s256-t8", Configuration(1.0, 256, 8)),
        ("w0.5-s16-t1", Configuration(0.5, 16, 1)),
        ("w0.625-s112-t2", Configuration(0.625, 112, 2)),
        ("  w0.63-s142-t3\n", Configuration(0.63, 142, 3)),
        ("w0.50-s224-t4-int8", Configuration(0.5, 224, 4, "int8")),
        (" w1.0-s16-t1-int8 ", Configuration(1.0, 16, 1, "int8")),
    ],
)
def test_a_name_is_read(text: str, expected: Configuration) -> None:
    """Width, size, frames and precision come back as they were written; without one it is fp32. Spaces around
    the name do not matter."""
    assert Configuration.parse(text) == expected


@given(st.integers(1, 10_000), st.integers(16, 9_999), st.integers(1, 999), st.sampled_from(["fp32", "int8"]))
def test_a_written_name_is_read_back(width: int, size: int, frames: int, precision: Precision) -> None:
    """Format then parse gives the same configuration, for every width of four decimals, in fp32 and int8."""
    configuration = Configuration(width / 10_000, size, frames, precision)
    assert Configuration.parse(str(configuration)) == configuration


@pytest.mark.parametrize(
    ("width", "text"), [(0.5, "0.50"), (1.0, "1.00"), (0.625, "0.625"), (0.9, "0.90"), (0.6875, "0.6875")]
)
def test_a_width_has_two_decimals_or_as_many_as_it_needs(width: float, text: str) -> None:
    """``0.50``, but ``0.625``."""
    assert format_width(width) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "w0.5",
        "0.5-224-4",
        "w.5-s224-t4",
        "w0.50_s224_t4",
        "w0.50-s22.4-t4",
        "wx",
        "w0.50-s224-t4-fp32",
        "w0.50-s224-t4-int4",
        "w0.50-s224-t4-",
        "w0.50-s224-t4-int8-int8",
        "int8",
    ],
)
def test_another_text_is_refused_with_the_form(text: str) -> None:
    """The message quotes what was given and shows how a name is written."""
    with pytest.raises(UsageError) as caught:
        Configuration.parse(text)
    assert (
        str(caught.value) == f"'{text}' is not a configuration; write width, size and frames as w0.50-s224-t4"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0, 224, 4), "width 0.0 of a configuration is outside (0, 1]"),
        ((1.5, 224, 4), "width 1.5 of a configuration is outside (0, 1]"),
        ((math.nan, 224, 4), "width nan of a configuration is outside (0, 1]"),
        ((0.5, 15, 4), "size 15 of a configuration is below 16 pixels"),
        ((0.5, 224, 0), "frames 0 of a configuration is below 1"),
        ((0.5, 224, 4, "int4"), "precision 'int4' of a configuration is neither fp32 nor int8"),
    ],
)
def test_values_no_network_takes_are_refused(values: tuple[Any, ...], message: str) -> None:
    """Each field has its own bound and its own words."""
    with pytest.raises(UsageError) as caught:
        Configuration(*values)
    assert str(caught.value) == message


def test_widths_are_the_same_to_four_decimals() -> None:
    """A computed width equals the one a name gives, and a random one equals what its name reads back."""
    assert Configuration(0.6 + 0.3, 224, 8) == Configuration.parse("w0.90-s224-t8")
    drawn = Configuration(0.7348123, 96, 4)
    assert Configuration.parse(str(drawn)) == drawn == Configuration(0.7348, 96, 4)


def test_configurations_are_ordered_and_hashable() -> None:
    """By width, then size, then frames, fp32 before int8; equal ones are one key."""
    a, b, c = Configuration(0.5, 224, 8), Configuration(0.5, 256, 2), Configuration(1.0, 128, 2)
    a8 = Configuration(0.5, 224, 8, "int8")
    assert sorted([c, b, a8, a]) == [a, a8, b, c]
    assert len({a, Configuration(0.5, 224, 8), a8}) == 2


def test_the_same_in_another_precision() -> None:
    """Nothing else changes, and back again it is equal."""
    fp32 = Configuration(0.63, 142, 3)
    assert str(fp32.at("int8")) == "w0.63-s142-t3-int8"
    assert fp32.at("int8") != fp32
    assert fp32.at("int8").at("fp32") == fp32 == fp32.at("fp32")
    assert fp32.at("int8").at("int8") == fp32.at("int8")


@pytest.mark.parametrize(
    ("available", "frames", "picked"),
    [
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (8, 4, [0, 2, 4, 6]),  # the paper's figure 1
        (8, 6, [0, 1, 2, 4, 5, 6]),
        (8, 2, [0, 4]),
        (8, 3, [0, 2, 5]),
        (8, 5, [0, 1, 3, 4, 6]),
        (1, 1, [0]),
    ],
)
def test_frames_are_picked_by_the_floor_of_i_over_gamma(
    available: int, frames: int, picked: list[int]
) -> None:
    """floor(i/γt) with γt = frames/available."""
    assert pick_frames(available, frames) == picked


@pytest.mark.parametrize(("available", "frames"), [(4, 5), (4, 0), (0, 1)])
def test_frames_that_are_not_there_cannot_be_picked(available: int, frames: int) -> None:
    """More than there are, or none."""
    with pytest.raises(UsageError, match=f"{frames} frames cannot be picked from a window of {available}"):
        pick_frames(available, frames)


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("auto", BudgetKind.AUTO, math.inf),
        (" AUTO ", BudgetKind.AUTO, math.inf),
        ("0.25", BudgetKind.FRACTION, 0.25),
        (".5", BudgetKind.FRACTION, 0.5),
        ("1.0", BudgetKind.FRACTION, 1.0),
        ("1", BudgetKind.FRACTION, 1.0),
        ("5GFLOPs", BudgetKind.GFLOPS, 5.0),
        ("0.9 gflops", BudgetKind.GFLOPS, 0.9),
        ("80ms", BudgetKind.LATENCY, 80.0),
        ("0.5s", BudgetKind.LATENCY, 500.0),
    ],
)
def test_every_form_of_budget_is_read(text: str, kind: BudgetKind, amount: float) -> None:
    """auto, fraction, GFLOPs and latency in milliseconds or seconds; case and spaces do not matter."""
    budget = Budget.parse(text)
    assert (budget.kind, budget.amount, budget.configuration) == (kind, amount, None)


def test_a_configuration_s_name_pins_it() -> None:
    """A budget may be a configuration."""
    both: tuple[tuple[str, Precision], ...] = (("w0.5-s224-t4", "fp32"), ("w0.5-s224-t4-int8", "int8"))
    for text, precision in both:
        budget = Budget.parse(text)
        assert budget.kind is BudgetKind.PINNED
        assert budget.configuration == Configuration(0.5, 224, 4, precision)


@pytest.mark.parametrize("text", ["auto", "0.25", "5GFLOPs", "80ms", "w0.50-s224-t4", "w0.50-s224-t4-int8"])
def test_a_budget_is_written_as_it_is_read(text: str) -> None:
    """``str`` gives a form that parses to the same budget."""
    assert str(Budget.parse(text)) == text


@pytest.mark.parametrize("text", ["", "fast", "5 bananas", "-0.5", "1,5", "nan", "inf", "5GFLOPs!", "w0.50"])
def test_an_unknown_budget_is_refused_with_the_forms(text: str) -> None:
    """The message lists what may be written."""
    with pytest.raises(UsageError) as caught:
        Budget.parse(text)
    assert str(caught.value) == (
        f"unknown budget '{text}'; write auto, a fraction such as 0.25, 5GFLOPs, 80ms, "
        "trace:FILE, or a configuration such as w0.50-s224-t4"
    )


@pytest.mark.parametrize("text", ["0", "1.01", "0ms", "0GFLOPs"])
def test_a_budget_out_of_range_is_refused(text: str) -> None:
    """A fraction lies in (0, 1]; nothing costs zero."""
    with pytest.raises(UsageError, match=f"budget '{text}' is out of range"):
        Budget.parse(text)


def test_a_pinned_configuration_that_cannot_be_is_refused_by_its_field() -> None:
    """A name of the right form with a wrong width is told its width, not that it is no budget."""
    with pytest.raises(UsageError, match=r"width 2\.0 of a configuration"):
        Budget.parse("w2.00-s224-t4")


def test_a_trace_is_a_budget() -> None:
    """A file, or a name of those that come along; it is looked for where it is used."""
    assert Budget.parse("trace:battery.jsonl").trace == "battery.jsonl"
    assert str(Budget.parse("trace:drain")) == "trace:drain"
    with pytest.raises(UsageError, match="names no trace"):
        Budget.parse("trace:")
