"""Curves of accuracy against cost: what is joined, what colour says, and that no label lies on another."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.plots.curves import (
    COLOURS,
    Curve,
    Deadline,
    curve,
    figure,
    given_up,
    save,
    short_name,
)
from a3d_edge.table import ConfigurationBudgetTable, Row, find_table

LISTS = ("a3d_slow_8x8_0.016", "a3d_slow_8x8_0.06", "a3d_slowfast_4x16_0.06")


def table(*rows: tuple[str, float, float | None]) -> ConfigurationBudgetTable:
    return ConfigurationBudgetTable(
        architecture="tiny",
        rows=tuple(Row(configuration=n, gflops=g, params_m=1.0, accuracy=a) for n, g, a in rows),
    )


THREE = table(("w0.50-s128-t2", 1.0, 0.6), ("w0.50-s224-t2", 3.0, 0.5), ("w0.50-s224-t4", 6.0, 0.7))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("w1.00-s224-t8", "w1.00-s192-t8", "spatial"),
        ("w1.00-s224-t8", "w1.00-s224-t6", "temporal"),
        ("w1.00-s224-t8", "w0.90-s224-t8", "width"),
        ("w1.00-s224-t8", "w0.90-s192-t8", "several"),
        ("w0.70-s192-t4", "w0.50-s224-t4", "several"),
    ],
)
def test_what_two_neighbours_give_up(one: str, other: str, expected: str) -> None:
    """One dimension that differs, or several, even where one of them grows; either way round."""
    first, second = Configuration.parse(one), Configuration.parse(other)
    assert given_up(first, second) == given_up(second, first) == expected


def test_a_short_table_is_joined_whole() -> None:
    """In order of cost, dominated rows too, as the paper's lists are."""
    drawn = curve("mine", THREE, pareto=False)
    assert [point.cost for point in drawn.joined] == [1.0, 3.0, 6.0]
    assert drawn.loose == ()
    assert [point.cost for point in curve("mine", THREE, pareto=True).joined] == [1.0, 6.0]


def test_a_grid_joins_its_front() -> None:
    """The other rows are loose points, or not there."""
    grid = find_table("a3d_slow_8x8_0.06_grid")
    drawn = curve("grid", grid, pareto=False)
    assert [point.configuration for point in drawn.joined] == list(grid.pareto().configurations)
    assert len(drawn.joined) + len(drawn.loose) == len(grid.rows)
    assert curve("grid", grid, pareto=True) == Curve("grid", drawn.joined)


def test_latency_replaces_gflops() -> None:
    """The order may be another one then."""
    latency = {Configuration(0.5, s, t): ms for s, t, ms in ((128, 2, 4.0), (224, 2, 2.0), (224, 4, 9.0))}
    drawn = curve("mine", THREE, latency, pareto=False)
    assert [(str(point.configuration), point.cost) for point in drawn.joined] == [
        ("w0.50-s224-t2", 2.0),
        ("w0.50-s128-t2", 4.0),
        ("w0.50-s224-t4", 9.0),
    ]


def test_what_cannot_be_drawn_is_refused() -> None:
    """Rows without accuracy, or without a latency where that is the axis."""
    with pytest.raises(UsageError, match=r"mine: w0\.50-s64-t2 has no accuracy; build the table"):
        curve("mine", table(("w0.50-s64-t2", 1.0, None)), pareto=False)
    with pytest.raises(UsageError, match=r"mine: w0\.50-s224-t2 has no measured latency"):
        curve("mine", THREE, {Configuration(0.5, 128, 2): 4.0}, pareto=False)


def texts(drawing: Any) -> list[Any]:
    (axes,) = drawing.axes
    return [text for text in axes.texts if text.get_text()]


def lines(drawing: Any) -> list[Any]:
    (axes,) = drawing.axes
    return list(axes.lines)


@pytest.mark.parametrize(
    ("names", "deadline"),
    [
        (LISTS, None),
        (("a3d_slow_8x8_0.016_grid",), Deadline(5.0, "80 ms")),
        (LISTS[:1], Deadline(50.0, "1 s")),
    ],
)
def test_every_joined_point_is_labelled_and_no_text_lies_on_another(
    names: tuple[str, ...], deadline: Deadline | None
) -> None:
    """The paper's three lists over one another, a grid with its front, and one list with a deadline."""
    curves = [curve(name, find_table(name), pareto=False) for name in names]
    drawing = figure(curves, x_label="GFLOPs", title="Kinetics-400", deadline=deadline)
    drawing.draw_without_rendering()
    written = [text.get_text() for text in texts(drawing)]
    expected = [short_name(point.configuration) for one in curves for point in one.joined]
    assert sorted(written) == sorted(expected + ([deadline.text] if deadline else []))
    boxes = [text.get_window_extent() for text in texts(drawing)]
    whole = drawing.axes[0].get_window_extent()
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(whole.x0 < box.x0 and box.x1 < whole.x1 for box in boxes)
    assert all(whole.y0 < box.y0 and box.y1 < whole.y1 for box in boxes)


def test_lines_have_the_colours_of_the_dimension_given_up() -> None:
    """A segment a step, in order of cost: here size, then frames."""
    drawing = figure([curve("mine", THREE, pareto=False)], x_label="GFLOPs")
    segments = [line for line in lines(drawing) if line.get_linestyle() != "None"]
    assert [line.get_color() for line in segments] == [COLOURS["spatial"], COLOURS["temporal"]]
    assert [list(line.get_xdata()) for line in segments] == [[1.0, 3.0], [3.0, 6.0]]
    assert [list(line.get_ydata()) for line in segments] == [[60.0, 50.0], [50.0, 70.0]]


def test_intervals_are_bars_where_they_are_known() -> None:
    """At the joined points alone, from end to end, explained in the legend; elsewhere nothing is added."""
    known = THREE.with_rows(
        row.model_copy(update={"accuracy_interval": (0.5, 0.75)}) if row.gflops > 1 else row
        for row in THREE.rows
    )
    plain, barred = (figure([curve("mine", of, pareto=False)], x_label="GFLOPs") for of in (THREE, known))
    lines, more = ([line.get_xydata().tolist() for line in one.axes[0].lines] for one in (plain, barred))
    assert [line for line in more if line not in lines] == [
        [[cost, 50.0], [cost, 75.0]] for cost in (3.0, 6.0)
    ]
    assert [line for line in lines if line not in more] == []
    words = [{text.get_text() for text in one.legends[0].get_texts()} for one in (plain, barred)]
    assert words[1] - words[0] == {"95 % interval of confidence"}
    grid = curve("mine", many(known.rows[1]), pareto=False)
    assert grid.loose
    drawn = figure([grid], x_label="GFLOPs").axes[0].lines
    assert sum(line.get_linestyle() == "-" and line.get_marker() == "_" for line in drawn) == len(grid.joined)


def many(row: Row) -> ConfigurationBudgetTable:
    """A grid of rows like this one, each dearer than the last and, but for the first, no better."""
    names = [f"w1.00-s{size}-t2" for size in range(100, 120)]
    return ConfigurationBudgetTable(
        architecture="tiny",
        rows=tuple(
            row.model_copy(update={"configuration": Configuration.parse(name), "gflops": float(cost)})
            for cost, name in enumerate(names, start=1)
        ),
    )


def test_tables_have_markers_of_their_own_and_a_legend() -> None:
    """Names above, the colour key below; a dollar sign in a name is no formula."""
    curves = [curve(name, THREE, pareto=False) for name in ("a $x$ $b", "other")]
    drawing = figure(curves, x_label="GFLOPs")
    named, key = drawing.legends
    assert [text.get_text() for text in named.get_texts()] == ["a $x$ $b", "other"]
    assert [text.get_text() for text in key.get_texts()] == ["spatial", "temporal", "width", "several"]
    assert len({handle.get_marker() for handle in named.legend_handles}) == 2
    drawing.draw_without_rendering()


def test_the_deadline_is_inside_the_picture() -> None:
    """Even when every row is far from it."""
    for at in (0.01, 900.0):
        drawing = figure([curve("mine", THREE, pareto=False)], x_label="ms", deadline=Deadline(at, "80 ms"))
        low, high = drawing.axes[0].get_xlim()
        assert low < at < high
        assert [at, at] in [list(line.get_xdata()) for line in lines(drawing)]


def test_pictures_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    """PNG and SVG are what their names say; text in the SVG is text."""
    for format, magic in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        for number in (1, 2):
            save(
                figure([curve("mine", THREE, pareto=False)], x_label="GFLOPs"), tmp_path / f"{number}", format
            )
        first = (tmp_path / "1").read_bytes()
        assert first.startswith(magic)
        assert first == (tmp_path / "2").read_bytes()
    assert set(re.findall(r">(\d+²×\d+, [\d.]+)<", first.decode())) == {
        "128²×2, 0.5",
        "224²×2, 0.5",
        "224²×4, 0.5",
    }


def test_one_row_is_a_picture_too() -> None:
    """Nothing to join."""
    drawing = figure([curve("mine", table(("w0.50-s64-t2", 1.0, 0.5)), pareto=False)], x_label="GFLOPs")
    assert [text.get_text() for text in texts(drawing)] == ["64²×2, 0.5"]
