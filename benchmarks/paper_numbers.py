"""Every GFLOPs and parameter cell of the paper for these networks, beside what our counter gives.

    python benchmarks/paper_numbers.py [--out docs/results/paper_numbers.md]
    python benchmarks/paper_numbers.py --write-tables --tables tables.json

The printed cells are in ``paper_cells.csv`` beside this file. ``--write-tables`` makes
``budget_tables/*.json`` anew from the transcribed appendix tables (Tables 9–14): their accuracies, our GFLOPs
and parameters. About a minute.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from _options import parser_of

from a3d_edge.configuration import Configuration
from a3d_edge.models.flops import Cost, count
from a3d_edge.models.registry import describe
from a3d_edge.table import ConfigurationBudgetTable, Row, find_table

T, K = TypeVar("T"), TypeVar("K")
ROOT = Path(__file__).parent.parent
LARGEST_OF_2 = Configuration(1.0, 256, 2)
CELLS = Path(__file__).with_name("paper_cells.csv")


@dataclass(frozen=True)
class Printed:
    """One table of the appendix: its number, our name for it, the A3D it is of, and that network's name."""

    number: int
    name: str
    model: str
    network: str

    @property
    def is_grid(self) -> bool:
        return self.name.endswith("_grid")


TABLES = (
    Printed(9, "a3d_slow_8x8_0.016", "A3D-Slow-8×8-[0.016,1]", "slow_r50"),
    Printed(10, "a3d_slow_8x8_0.06", "A3D-Slow-8×8-[0.06,1]", "slow_r50"),
    Printed(11, "a3d_slowfast_4x16_0.06", "A3D-SlowFast-4×16-[0.06,1]", "slowfast_r50_4x16"),
    Printed(12, "a3d_slow_8x8_0.016_grid", "A3D-Slow-8×8-[0.016,1]", "slow_r50"),
    Printed(13, "a3d_slow_8x8_0.06_grid", "A3D-Slow-8×8-[0.06,1]", "slow_r50"),
    Printed(14, "a3d_slowfast_4x16_0.06_grid", "A3D-SlowFast-4×16-[0.06,1]", "slowfast_r50_4x16"),
)


@dataclass(frozen=True)
class Cell:
    """One row of a printed table; Table 1 prints no configuration, that of the same row elsewhere stands."""

    table: int
    model: str
    network: str
    configuration: Configuration
    top1: float
    gflops: float
    params_m: float


def read_cells(path: Path = CELLS) -> list[Cell]:
    """The printed cells of Tables 1, 5, 6, 8, 9, 10 and 11."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Cell(
                int(row["table"]),
                row["model"],
                row["network"],
                Configuration(float(row["width"]), int(row["size"]), int(row["frames"])),
                *(float(row[key]) for key in ("top1", "gflops", "params_m")),
            )
            for row in csv.DictReader(file)
        ]


@cache
def cost(name: str, configuration: Configuration) -> Cost:
    return count(describe(name), configuration)


def write_tables(source: Path, folder: Path) -> None:
    """Each transcribed table as a `ConfigurationBudgetTable`, costs rounded to six decimals."""
    content = json.loads(source.read_text(encoding="utf-8"))
    for printed in TABLES:
        (key,) = [key for key in content if key.startswith(f"table_{printed.number}_")]
        table = ConfigurationBudgetTable(
            architecture=printed.network,
            measured_on=f"Kinetics-400, 30 views, as printed in the paper (Table {printed.number})",
            rows=tuple(_row(printed.network, entry) for entry in content[key]),
        )
        (folder / f"{printed.name}.json").write_text(table.to_json(), encoding="utf-8")


def _row(name: str, entry: dict[str, float]) -> Row:
    configuration = Configuration(entry["width"], int(entry["size"]), int(entry["frames"]))
    ours = cost(name, configuration)
    return Row(
        configuration=configuration,
        accuracy=round(entry["top1"] / 100, 3),
        gflops=round(ours.gflops, 6),
        params_m=round(ours.params_m, 6),
    )


def page(cells: list[Cell]) -> str:
    """The whole of docs/results/paper_numbers.md."""
    parts = [
        HEAD.format(two_by_32=_two_by_32()),
        *_summary(cells),
        "",
        *_contradictions(cells),
        "",
        *_pareto(),
    ]
    for number in sorted({cell.table for cell in cells}):
        parts += ["", *_table(number, [cell for cell in cells if cell.table == number])]
    return "\n".join(parts) + "\n"


HEAD = """\
# The paper's numbers from our counter

Written by `python benchmarks/paper_numbers.py`; do not edit. GFLOPs are multiply–accumulates of one view
(1e9), parameters are millions, both counted by `a3d_edge.models.flops` on the modules that run. "Ours" is
given to the printed digit and, in brackets, with two more. Table 1 prints no configurations: each of its rows
is held against the configuration that Tables 5, 8, 9, 10 or 11 give for the same model and GFLOPs.
Slow-4×16 and Slow-2×32 are Slow-8×8 at 4 and 2 frames. SlowFast-2×32 has the configuration and the figures of
A3D-SlowFast-4×16 at 2 slow frames in Table 8, and is counted as that
{two_by_32}.

![The three trade-off lists: accuracy against GFLOPs](paper_curves.png)

The figure is from
`a3d-edge table plot a3d_slow_8x8_0.016 a3d_slow_8x8_0.06 a3d_slowfast_4x16_0.06 --out paper_curves.png`.
"""


def _two_by_32() -> str:
    changes = {"frames": 2, "stride": 32, "alpha": 16}
    apart = describe("slowfast_r50_4x16").model_copy(update=changes)
    return f"(with lateral strides of 16 it would have {count(apart, LARGEST_OF_2).gflops:.2f} GFLOPs)"


def _summary(cells: list[Cell]) -> Iterator[str]:
    unequal = [cell for cell in cells if not (_gflops_equal(cell) and _params_equal(cell))]
    for what, equal in (("GFLOPs", _gflops_equal), ("parameter", _params_equal)):
        yield f"- {sum(map(equal, cells))} of {len(cells)} {what} cells are equal to the printed digit."
    for (table, name, width, wrong), group in _grouped(
        unequal, lambda c: (c.table, c.network, c.configuration.width, _wrong(c))
    ):
        yield f"- Not equal, Table {table}, {name} at γw {width}: {wrong}; {_rows(len(group))}."


def _wrong(cell: Cell) -> str:
    ours = cost(cell.network, cell.configuration)
    gflops = "" if _gflops_equal(cell) else f"GFLOPs {cell.gflops:.1f}, ours {ours.gflops:.3f}"
    params = "" if _params_equal(cell) else f"parameters {cell.params_m:.1f}, ours {ours.params_m:.3f}"
    return ", ".join(filter(None, (gflops, params)))


def _contradictions(cells: list[Cell]) -> Iterator[str]:
    yield "## Where the paper contradicts itself"
    yield ""
    params = _grouped(cells, lambda c: (c.network.split("_")[0], c.configuration.width))
    for (family, width), group in params:
        values = sorted({(f"{cell.params_m:.1f}", cell.table) for cell in group})
        if len({value for value, _ in values}) > 1:
            ours = cost(group[0].network, group[0].configuration).params_m
            digits = f"{ours:.3f} (rounded {ours:.1f}, cut off {int(10 * ours) / 10})"
            yield f"- Parameters of {family} at γw {width}: {_said(values)}. Ours: {digits}."
    accuracies = _grouped(_accuracies(cells), lambda a: (a[1].split(" ×")[0], a[2]))
    for (model, configuration), group in accuracies:
        values = sorted({(f"{top1:.1f}", table) for table, _, _, top1 in group})
        if len({value for value, _ in values}) > 1:
            yield f"- Accuracy of {model} at {_short(configuration)}: {_said(values)}."


def _accuracies(cells: list[Cell]) -> list[tuple[int, str, Configuration, float]]:
    """Every accuracy the paper prints: (table, model, configuration, top-1)."""
    found = [(c.table, c.model, c.configuration, c.top1) for c in cells]
    for printed in (table for table in TABLES if table.is_grid):
        for row in find_table(printed.name).rows:
            found.append((printed.number, printed.model, row.configuration, 100 * (row.accuracy or 0.0)))
    return found


def _said(values: list[tuple[str, int]]) -> str:
    by_value = _grouped(values, lambda pair: pair[0])
    return ", ".join(
        f"{value} in Table{'s' * (len(group) > 1)} {', '.join(str(table) for _, table in group)}"
        for value, group in by_value
    )


def _pareto() -> Iterator[str]:
    yield "## Pareto selection on the paper's grids"
    yield ""
    yield "A row is dominated when another one of the grid costs no more (our GFLOPs) and is at least as"
    yield "accurate; accuracies are the grid's."
    yield ""
    for listed, grid in zip(TABLES[:3], TABLES[3:], strict=True):
        rows, full = find_table(listed.name).configurations, find_table(grid.name)
        front = set(full.pareto().configurations)
        lost = [configuration for configuration in rows if configuration not in front]
        yield (
            f"- Table {grid.number}: {len(front)} of {len(full.rows)} rows are on the front; of the "
            f"{len(rows)} rows of the hand-made list (Table {listed.number}), {len(rows) - len(lost)} are."
        )
        for configuration in lost:
            yield f"  Dominated: {_beaten(full, full.row(configuration))}."


def _beaten(grid: ConfigurationBudgetTable, row: Row) -> str:
    better = next(other for other in reversed(grid.pareto().rows) if other.gflops <= row.gflops)
    return f"{_point(row)}, by {_point(better)}"


def _point(row: Row) -> str:
    return f"{_short(row.configuration)} ({100 * (row.accuracy or 0):.1f} % at {row.gflops:.2f} GFLOPs)"


def _table(number: int, cells: list[Cell]) -> Iterator[str]:
    yield f"## Table {number}"
    yield ""
    yield "| model | S²×T, γw | GFLOPs, paper | ours | equal | parameters, paper | ours | equal |"
    yield "|---|---|--:|--:|---|--:|--:|---|"
    for cell in cells:
        ours = cost(cell.network, cell.configuration)
        yield (
            f"| {cell.model} | {_short(cell.configuration)} "
            f"| {cell.gflops:.1f} | {_figure(ours.gflops)} | {_yes(_gflops_equal(cell))} "
            f"| {cell.params_m:.1f} | {_figure(ours.params_m)} | {_yes(_params_equal(cell))} |"
        )


def _gflops_equal(cell: Cell) -> bool:
    return f"{cost(cell.network, cell.configuration).gflops:.1f}" == f"{cell.gflops:.1f}"


def _params_equal(cell: Cell) -> bool:
    return f"{cost(cell.network, cell.configuration).params_m:.1f}" == f"{cell.params_m:.1f}"


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Items by key, in the order in which the keys first come."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _figure(value: float) -> str:
    return f"{value:.1f} ({value:.3f})"


def _short(configuration: Configuration) -> str:
    return f"{configuration.size}²×{configuration.frames}, {configuration.width}"


def _yes(equal: bool) -> str:
    return "yes" if equal else "**no**"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/paper_numbers.md")
    parser.add_argument("--write-tables", action="store_true", help="write budget_tables/*.json")
    parser.add_argument("--tables", type=Path, help="the transcribed Tables 9-14 (JSON), for --write-tables")
    arguments = parser.parse_args()
    if not arguments.write_tables:
        arguments.out.write_text(page(read_cells()), encoding="utf-8")
    elif arguments.tables is None:
        parser.error("--write-tables needs --tables FILE, the transcribed Tables 9-14")
    else:
        write_tables(arguments.tables, ROOT / "budget_tables")


if __name__ == "__main__":
    main()
