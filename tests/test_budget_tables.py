"""The paper's tables by name: what they hold, what they cost, and what Pareto selection makes of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from a3d_edge.configuration import Configuration
from a3d_edge.errors import BundleError, UsageError
from a3d_edge.table import ConfigurationBudgetTable, Row, find_table, shipped_tables

ROOT = Path(__file__).parent.parent
TRANSCRIBED = ROOT.parent / "shared/paper/tables.json"
LISTS = {"a3d_slow_8x8_0.016": "9", "a3d_slow_8x8_0.06": "10", "a3d_slowfast_4x16_0.06": "11"}
GRIDS = {"a3d_slow_8x8_0.016_grid": "12", "a3d_slow_8x8_0.06_grid": "13", "a3d_slowfast_4x16_0.06_grid": "14"}
ALL = {**LISTS, **GRIDS}
MUTUALNET = "mutualnet_x3d_m"

WIDE, NARROW = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (0.63, 0.73, 0.83, 0.93, 1.0)
SWEPT = {  # widths, sizes, frames of each grid; its largest configuration comes on top
    "a3d_slow_8x8_0.016_grid": (WIDE, (128, 160, 192, 224), (2, 4, 6, 8)),
    "a3d_slow_8x8_0.06_grid": (NARROW, (142, 178, 224), (3, 5, 8)),
    "a3d_slowfast_4x16_0.06_grid": (NARROW, (142, 178, 224), (2, 3, 4)),
}


def test_seven_tables_have_names() -> None:
    """The three lists and the three grids, which say which table of the paper they are and of which network;
    and one of another paper."""
    assert set(shipped_tables()) == {*ALL, MUTUALNET}
    for name, number in ALL.items():
        table = find_table(name)
        assert table.measured_on == f"Kinetics-400, 30 views, as printed in the paper (Table {number})"
        assert table.architecture == ("slowfast_r50_4x16" if "slowfast" in name else "slow_r50")


def test_a_table_is_found_by_path_too(tmp_path: Path) -> None:
    """A file is read as a file, whatever it is called; a name is not looked for on disk."""
    table = find_table("a3d_slow_8x8_0.06")
    for name in ("mine.json", "mine"):
        (tmp_path / name).write_text(table.pareto().to_json(), encoding="utf-8")
        assert find_table(str(tmp_path / name)) == table.pareto()


def test_an_unknown_name_is_answered_with_the_names() -> None:
    """One line, exit code 2."""
    with pytest.raises(UsageError) as caught:
        find_table("a3d_slow")
    assert str(caught.value) == (
        "'a3d_slow' is no table: no file or bundle has that path, and the names are "
        + ", ".join(sorted([*ALL, MUTUALNET]))
    )


def test_a_missing_file_is_a_missing_file() -> None:
    """What ends in .json is a path, never a name."""
    with pytest.raises(BundleError, match=r"a3d_slow_8x8_0\.06\.json: cannot read the table"):
        find_table("a3d_slow_8x8_0.06.json")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_holds_the_printed_rows(name: str) -> None:
    """Configurations and accuracies of Tables 9, 10 and 11; costs equal the printed ones to the digit."""
    with (ROOT / "benchmarks/paper_cells.csv").open(encoding="utf-8", newline="") as file:
        printed = [row for row in csv.DictReader(file) if row["table"] == LISTS[name]]
    table = find_table(name)
    assert len(table.rows) == len(printed)
    for row in printed:
        ours = table.row(Configuration(float(row["width"]), int(row["size"]), int(row["frames"])))
        assert ours.accuracy == pytest.approx(float(row["top1"]) / 100, abs=1e-9)
        assert (f"{ours.gflops:.1f}", f"{ours.params_m:.1f}") == (row["gflops"], row["params_m"])


@pytest.mark.parametrize("name", GRIDS)
def test_a_grid_holds_every_configuration(name: str) -> None:
    """Every width at every size and number of frames, and the largest at 256²."""
    widths, sizes, frames = SWEPT[name]
    expected = {Configuration(w, s, t) for w in widths for s in sizes for t in frames}
    assert set(find_table(name).configurations) == expected | {Configuration(1.0, 256, max(frames))}


@pytest.mark.skipif(not TRANSCRIBED.is_file(), reason="the transcribed tables lie beside the repository only")
@pytest.mark.parametrize("name", ALL)
def test_accuracies_are_the_transcribed_ones(name: str) -> None:
    """Row by row."""
    content = json.loads(TRANSCRIBED.read_text(encoding="utf-8"))
    (key,) = [key for key in content if key.startswith(f"table_{ALL[name]}_")]
    ours = {row.configuration: row.accuracy for row in find_table(name).rows}
    theirs = {
        Configuration(row["width"], row["size"], row["frames"]): row["top1"] / 100 for row in content[key]
    }
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("name", GRIDS)
def test_costs_are_those_of_our_counter(name: str) -> None:
    """The cheapest and a middle row counted anew; parameters depend on the width alone."""
    from a3d_edge.models.flops import count
    from a3d_edge.models.registry import describe

    table = find_table(name)
    for row in (table.rows[0], table.rows[len(table.rows) // 2]):
        cost = count(describe(table.architecture), row.configuration)
        assert (row.gflops, row.params_m) == (round(cost.gflops, 6), round(cost.params_m, 6))
    assert len({(row.configuration.width, row.params_m) for row in table.rows}) == len(SWEPT[name][0])


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_a_part_of_its_grid(name: str) -> None:
    """Same costs; same accuracies but for the one that the paper prints in two ways."""
    listed, grid = find_table(name), find_table(f"{name}_grid")
    differ = {}
    for row in listed.rows:
        twin = grid.row(row.configuration)
        assert (twin.gflops, twin.params_m) == (row.gflops, row.params_m)
        if twin.accuracy != row.accuracy:
            differ[str(row.configuration)] = (row.accuracy, twin.accuracy)
    assert differ == ({"w1.00-s224-t4": (0.742, 0.736)} if name == "a3d_slow_8x8_0.016" else {})


@pytest.mark.torch
def test_mutualnets_curve_has_the_two_ends_that_are_known() -> None:
    """Read off a figure, and said so; the configurations are those that cost what it draws them at: X3D-M
    itself, and the smallest of the range 0.06, whose table we have for Slow."""
    from a3d_edge.models.flops import count
    from a3d_edge.models.ranges import RANGES
    from a3d_edge.models.registry import describe

    table = find_table(MUTUALNET)
    assert "read off a figure" in table.measured_on
    assert "arXiv 2105.07085" in table.measured_on
    assert [(row.accuracy, str(row.configuration)) for row in table.rows] == [
        (0.661, "w0.63-s142-t6"),
        (0.751, "w1.00-s224-t16"),
    ]
    network, smallest = describe(table.architecture), RANGES["0.06"].grid(224, 16)[-1]
    assert table.rows[0].configuration == smallest
    for row, drawn in zip(table.rows, (0.35, 4.75), strict=True):
        cost = count(network, row.configuration)
        assert (row.gflops, row.params_m) == (round(cost.gflops, 6), round(cost.params_m, 6))
        assert row.gflops == pytest.approx(drawn, abs=0.02)


def dominated(row: Row, table: ConfigurationBudgetTable) -> bool:
    """By brute force: some other row costs no more, is no worse, and differs in at least one."""
    return any(
        other.gflops <= row.gflops
        and (other.accuracy or 0) >= (row.accuracy or 0)
        and (other.gflops, other.accuracy) != (row.gflops, row.accuracy)
        for other in table.rows
    )


@pytest.mark.parametrize("name", GRIDS)
def test_the_front_is_what_brute_force_says(name: str) -> None:
    """Exactly the rows that none dominates."""
    grid = find_table(name)
    assert set(grid.pareto().rows) == {row for row in grid.rows if not dominated(row, grid)}


def test_the_fronts_contain_the_hand_made_lists_but_for_one_row() -> None:
    """Table 11's 224²×3 at 0.73: 224²×4 at 0.63 is as accurate and costs less."""
    lost = {}
    for name in LISTS:
        grid = find_table(f"{name}_grid")
        front = set(grid.pareto().configurations)
        lost[name] = [str(c) for c in find_table(name).configurations if c not in front]
    assert lost == {name: [] for name in LISTS} | {"a3d_slowfast_4x16_0.06": ["w0.73-s224-t3"]}
    grid = find_table("a3d_slowfast_4x16_0.06_grid")
    beaten, better = (grid.row(Configuration.parse(text)) for text in ("w0.73-s224-t3", "w0.63-s224-t4"))
    assert better.accuracy == beaten.accuracy
    assert better.gflops < beaten.gflops
