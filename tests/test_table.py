"""The configuration–budget table: order, Pareto front, round trip, and errors that carry the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError, BundleError, UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row, pareto_front


def row(name: str, gflops: float, accuracy: float | None = None) -> Row:
    return Row(configuration=name, gflops=gflops, params_m=1.0, accuracy=accuracy)


def measured(name: str, gflops: float, accuracy: float, int8_cost: float) -> Row:
    """A row of int8 whose gain was measured at export."""
    return row(name, gflops, accuracy).model_copy(update={"int8_cost": int8_cost})


def table(*rows: Row) -> ConfigurationBudgetTable:
    return ConfigurationBudgetTable(architecture="tiny", measured_on="squares", rows=rows)


SMALL, MIDDLE, LARGE = (
    row("w0.50-s128-t2", 0.9, 0.64),
    row("w0.50-s224-t4", 5.3, 0.71),
    row("w1.00-s256-t8", 54.5, 0.75),
)


def written(path: Path, change: dict[str, Any] | None = None, **row_change: Any) -> Path:
    """A table file of three rows with some keys changed; ``row_change`` changes row 1."""
    content = json.loads(table(SMALL, MIDDLE, LARGE).to_json()) | (change or {})
    if row_change:
        content["rows"][1] |= row_change
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_rows_are_ordered_from_cheapest_to_dearest() -> None:
    """Whatever order they come in; rows of equal cost by configuration."""
    twin = row("w0.50-s192-t4", 5.3, 0.70)
    ordered = table(LARGE, MIDDLE, twin, SMALL)
    assert ordered.rows == (SMALL, twin, MIDDLE, LARGE)
    assert ordered.configurations[0] == Configuration(0.5, 128, 2)


def test_a_table_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Round trip through the file; the text is stable."""
    original = table(SMALL, row("w1.00-s224-t8", 41.7), LARGE)
    path = tmp_path / "table.json"
    path.write_text(original.to_json(), encoding="utf-8")
    again = ConfigurationBudgetTable.load(path)
    assert again == original
    assert again.to_json() == original.to_json()


def test_names_are_brought_to_one_form() -> None:
    """``w0.5`` and ``w0.50`` are one configuration, so both in one table are refused."""
    assert str(row("w0.5-s224-t4", 5.3).configuration) == "w0.50-s224-t4"
    with pytest.raises(ValueError, match="a configuration appears twice"):
        table(row("w0.5-s224-t4", 5.3), row("w0.50-s224-t4", 5.3))


def test_a_row_is_found_by_its_configuration() -> None:
    """And a missing one is answered with those there are."""
    rows = table(SMALL, LARGE)
    assert rows.row(Configuration(1.0, 256, 8)) is rows.rows[1]
    with pytest.raises(UsageError) as caught:
        rows.row(Configuration(0.7, 224, 4))
    assert str(caught.value) == (
        "configuration w0.70-s224-t4 is not in the table; it has w0.50-s128-t2, w1.00-s256-t8"
    )


def test_weights_take_four_bytes_a_parameter_or_one() -> None:
    """In fp32 and in int8."""
    rows = [
        Row(configuration=name, gflops=1.0, params_m=32.5) for name in ("w1.00-s64-t4", "w1.00-s64-t4-int8")
    ]
    assert [row.weight_bytes for row in rows] == [130_000_000, 32_500_000]


def test_the_pareto_front_drops_what_another_row_beats() -> None:
    """A dearer row stays only if it is more accurate than every cheaper one; of equal cost the better."""
    beaten = row("w0.90-s128-t8", 8.0, 0.69)
    as_good_but_dearer = row("w0.80-s224-t4", 13.4, 0.71)
    same_cost_worse = row("w0.60-s192-t4", 5.3, 0.70)
    front = table(LARGE, same_cost_worse, beaten, as_good_but_dearer, MIDDLE, SMALL).pareto()
    assert front.rows == (SMALL, MIDDLE, LARGE)
    assert (front.architecture, front.measured_on) == ("tiny", "squares")


def test_of_equal_cost_the_better_is_on_the_front() -> None:
    """And of equal accuracy the cheaper, whatever the order and whatever they are."""
    a, b, c = (2.0, 0.6), (2.0, 0.7), (3.0, 0.7)
    for given in ([a, b, c], [c, a, b], [b, c, a]):
        assert pareto_front(given, lambda one: one) == (b,)


def test_a_row_of_accuracy_zero_can_be_on_the_front() -> None:
    """The cheapest row is never beaten by a dearer one, however bad it is."""
    worst = row("w0.50-s64-t1", 0.1, 0.0)
    assert table(SMALL, worst).pareto().rows == (worst, SMALL)


def test_the_front_of_unmeasured_rows_is_refused() -> None:
    """No accuracy, no selection; the message names the row."""
    with pytest.raises(A3DEdgeError, match=r"w1\.00-s224-t8 has no accuracy; build the table"):
        table(row("w1.00-s224-t8", 41.7)).pareto()


# --- precision


def test_the_precision_of_a_row_is_that_of_its_name() -> None:
    """As a column too, also where it was left out: tables from before there was one load as they are."""
    assert [row(name, 1.0).precision for name in ("w0.50-s128-t2", "w0.50-s128-t2-int8")] == ["fp32", "int8"]
    assert str(row("w0.5-s128-t2-int8", 1.0).configuration) == "w0.50-s128-t2-int8"
    said = Row(configuration="w0.50-s128-t2-int8", precision="int8", gflops=1.0, params_m=1.0)
    assert said == row("w0.50-s128-t2-int8", 1.0)


@pytest.mark.parametrize(("name", "precision"), [("w0.50-s128-t2", "int8"), ("w0.50-s128-t2-int8", "fp32")])
def test_a_precision_that_contradicts_the_name_is_refused(tmp_path: Path, name: str, precision: str) -> None:
    """With the row that it is in."""
    path = written(tmp_path / "table.json", configuration=name, precision=precision)
    with pytest.raises(BundleError) as caught:
        ConfigurationBudgetTable.load(path)
    assert str(caught.value).endswith(f"rows[1]: Value error, precision {precision} is not that of {name}")


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    """There are two."""
    path = written(tmp_path / "table.json", precision="bf16")
    with pytest.raises(BundleError, match=r"rows\[1\]\.precision: Input should be 'fp32' or 'int8'"):
        ConfigurationBudgetTable.load(path)


def test_a_table_without_the_column_loads(tmp_path: Path) -> None:
    """As version 0.1 wrote it, and equal to one that says fp32."""
    path = tmp_path / "table.json"
    content = json.loads(table(SMALL, MIDDLE, LARGE).to_json())
    for one in content["rows"]:
        for key in ("precision", "int8_cost", "streaming_gflops"):
            del one[key]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert ConfigurationBudgetTable.load(path) == table(SMALL, MIDDLE, LARGE)


def test_both_precisions_are_read_back(tmp_path: Path) -> None:
    """Round trip with the column and what int8 gains."""
    original = table(SMALL, measured("w1.00-s256-t8-int8", 54.5, 0.74, 0.26), LARGE)
    path = tmp_path / "table.json"
    path.write_text(original.to_json(), encoding="utf-8")
    assert ConfigurationBudgetTable.load(path) == original
    assert [json.loads(original.to_json())["rows"][i]["precision"] for i in range(3)] == [
        "fp32",
        "int8",
        "fp32",
    ]


def test_int8_is_ordered_by_what_it_costs() -> None:
    """Its multiply–accumulates are as many, and cost 0.3 of fp32's each, or what was measured: a full-width
    int8 row (12.5, in fp32 terms) comes before a fp32 row of 13.4 GFLOPs, one that gains little after it."""
    int8, middle = row("w1.00-s224-t8-int8", 41.7), row("w0.80-s224-t4", 13.4)
    assert (int8.gflops, int8.cost) == (41.7, pytest.approx(0.3 * 41.7))
    assert (middle.gflops, middle.cost) == (13.4, 13.4)
    ordered = table(LARGE, middle, int8, SMALL)
    assert [str(r.configuration) for r in ordered.rows] == [
        "w0.50-s128-t2", "w1.00-s224-t8-int8", "w0.80-s224-t4", "w1.00-s256-t8"
    ]  # fmt: skip
    slow_int8 = measured("w1.00-s224-t8-int8", 41.7, 0.7, 0.9)
    assert slow_int8.cost == pytest.approx(0.9 * 41.7)
    assert [str(r.configuration) for r in table(LARGE, middle, slow_int8).rows][1] == "w1.00-s224-t8-int8"


def test_twins_are_two_rows() -> None:
    """The same configuration may be there once in each precision."""
    both = table(MIDDLE, row("w0.50-s224-t4-int8", 5.3))
    assert [str(c) for c in both.configurations] == ["w0.50-s224-t4-int8", "w0.50-s224-t4"]
    assert both.row(Configuration(0.5, 224, 4, "int8")).precision == "int8"
    with pytest.raises(ValueError, match="a configuration appears twice"):
        table(row("w0.50-s224-t4-int8", 5.3), row("w0.50-s224-t4-int8", 5.3))


def test_the_front_mixes_precisions() -> None:
    """A row of int8 drops the fp32 rows that cost more and know less, its own twin only if it is as good; and
    is itself dropped where a cheaper fp32 row is as accurate."""
    large8 = row("w1.00-s256-t8-int8", 54.5, 0.745)  # costs 16.35
    middle8 = row("w0.50-s224-t4-int8", 5.3, 0.71)  # 1.59, as good as its twin
    small8 = measured("w0.50-s128-t2-int8", 0.9, 0.63, 1.1)  # 0.99: dearer than its twin, and no better
    beaten = row("w0.90-s224-t8", 33.6, 0.74)
    front = table(LARGE, MIDDLE, SMALL, beaten, large8, middle8, small8).pareto()
    assert [str(r.configuration) for r in front.rows] == [
        "w0.50-s128-t2", "w0.50-s224-t4-int8", "w1.00-s256-t8-int8", "w1.00-s256-t8"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "row_change", "message"),
    [
        ({}, {"gflops": -1.0}, "rows[1].gflops: Input should be greater than 0"),
        ({}, {"accuracy": 75.2}, "rows[1].accuracy: Input should be less than or equal to 1"),
        ({}, {"latency": 3}, "rows[1].latency: Extra inputs are not permitted"),
        (
            {},
            {"configuration": "w0.5"},
            "rows[1].configuration: Value error, 'w0.5' is not a configuration; "
            "write width, size and frames as w0.50-s224-t4",
        ),
        ({}, {"configuration": "w1.00-s256-t8"}, "rows: Value error, a configuration appears twice"),
        ({"rows": []}, {}, "rows: Tuple should have at least 1 item after validation, not 0"),
        ({"schema_version": 2}, {}, "schema_version: Input should be 1"),
        ({"schema_version": 2, "architecture": 3}, {}, "schema_version: Input should be 1 (and 1 more)"),
    ],
)
def test_a_wrong_key_is_named_with_its_path(
    tmp_path: Path, change: dict[str, Any], row_change: dict[str, Any], message: str
) -> None:
    """The first problem, where it lies, and how many more there are."""
    path = written(tmp_path / "table.json", change, **row_change)
    with pytest.raises(BundleError) as caught:
        ConfigurationBudgetTable.load(path)
    assert str(caught.value) == f"{path}: not a configuration–budget table: {message}"


@pytest.mark.parametrize("content", [b"", b"not json", b"[1, 2]", b"\xff\xfe\x00", b'{"rows": ['])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, text, another structure, binary, cut off: always a `BundleError` that names the file."""
    path = tmp_path / "table.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"table\.json: (not a configuration|cannot read)"):
        ConfigurationBudgetTable.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A folder, or nothing."""
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(BundleError, match="cannot read the table"):
            ConfigurationBudgetTable.load(path)


def test_other_rows_are_put_in_order() -> None:
    """With all else as it was, and what is worth running found anew."""
    one = table(SMALL, LARGE)
    assert [share for _, share in one.worthwhile] == [SMALL.cost / LARGE.cost, 1.0]
    more = one.with_rows((LARGE, MIDDLE, SMALL), measured_on="here")
    assert more.configurations == tuple(row.configuration for row in (SMALL, MIDDLE, LARGE))
    assert (more.architecture, more.measured_on, one.measured_on) == (one.architecture, "here", "squares")
    assert [one for one, _ in more.worthwhile] == list(more.configurations)


def test_what_is_worth_running() -> None:
    """The front where every accuracy is known; else every row."""
    beaten = row("w0.90-s224-t8", 33.6, 0.1)
    assert [one for one, _ in table(SMALL, beaten, LARGE).worthwhile] == [
        SMALL.configuration,
        LARGE.configuration,
    ]
    unknown = row("w0.90-s224-t8", 33.6, None)
    assert len(table(SMALL, unknown, LARGE).worthwhile) == 3


def test_a_row_holds_a_configuration_and_a_file_its_name() -> None:
    """Given either way; nothing else is one."""
    one = row("w0.5-s128-t2", 1.0)
    assert one.configuration == Configuration(0.5, 128, 2)
    assert one.model_dump(mode="json")["configuration"] == f"{one.configuration:s}" == "w0.50-s128-t2"
    with pytest.raises(ValueError, match="a configuration is written as a string, not as int"):
        Row.model_validate({"configuration": 5, "gflops": 1.0, "params_m": 1.0})


def test_what_is_not_known_of_reliability_is_not_written() -> None:
    """A table of an older version is byte for byte what it was; one that has it is read back whole."""
    old = table(SMALL, LARGE)
    names = {"clips", "accuracy_interval", "recall", "calibration_error", "temperature", "thresholds"}
    assert not any(name in old.to_json() for name in names)
    assert [*json.loads(old.to_json())["rows"][0]] == [
        "configuration", "gflops", "precision", "int8_cost", "accuracy", "streaming_gflops", "params_m",
    ]  # fmt: skip
    known = {
        "clips": 72,
        "accuracy_interval": (0.6, 0.8),
        "recall": {"hug": 0.5, "point": 0.9},
        "calibration_error": 0.04,
        "temperature": 1.7,
        "thresholds": {"hug": 0.4, "point": 0.6},
    }
    full = table(Row(configuration="w0.50-s128-t2", gflops=0.9, params_m=1.0, accuracy=0.64, **known), LARGE)
    again = ConfigurationBudgetTable.model_validate_json(full.to_json())
    assert again == full
    assert again.rows[0].model_dump(include=names) == known
    assert names <= set(json.loads(full.to_json())["rows"][0])
    assert full.rows[0].unmeasured(Configuration(0.5, 128, 2, "int8")) == Row(
        configuration="w0.50-s128-t2-int8", gflops=0.9, params_m=1.0
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0}, r"rows\[1\].temperature: Input should be greater than 0"),
        ({"thresholds": {"hug": 1.5}}, r"rows\[1\].thresholds.hug: Input should be less than or equal to 1"),
        ({"recall": {"hug": -0.1}}, r"rows\[1\].recall.hug: Input should be greater than or equal to 0"),
        ({"accuracy_interval": [0.8, 0.6]}, r"rows\[1\]: Value error, accuracy_interval does not ascend"),
        ({"clips": 0}, r"rows\[1\].clips: Input should be greater than or equal to 1"),
    ],
)
def test_reliability_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """By its key."""
    with pytest.raises(BundleError, match=message):
        ConfigurationBudgetTable.load(written(tmp_path / "table.json", **change))
