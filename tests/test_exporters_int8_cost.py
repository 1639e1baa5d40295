"""What int8 gains, as an export writes it into the table: which rows get it, and that it is a fair ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from a3d_edge.exporters.int8_cost import ROUNDS, with_int8_costs

from a3d_edge.configuration import Configuration
from a3d_edge.profiling import turns
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.video.sampler import Sampling, pathways

NARROW, WIDE = Configuration(0.5, 18, 1), Configuration(1.0, 32, 4)
SAMPLING = Sampling(frames=4, stride=2, rate=30.0, alpha=1, fast_size=32)


class Board:
    """A device with a clock of its own. ``seconds``: of each window of a configuration, in turn, the last one
    from then on; what ran is in ``ran``."""

    def __init__(self, seconds: Mapping[Configuration, list[float]]) -> None:
        self.now = 0.0
        self.ran: list[str] = []
        self.opened: list[str] = []
        self._left = {one: list(each) for one, each in seconds.items()}

    def perf_counter(self) -> float:
        return self.now

    def open(self, configuration: Configuration) -> Any:
        """As a bundle does: nobody looks into one."""
        self.opened.append(str(configuration))
        return Network(self, configuration)

    def run(self, configuration: Configuration) -> None:
        left = self._left[configuration]
        self.now += left.pop(0) if len(left) > 1 else left[0]
        self.ran.append(configuration.precision)


class Network:
    """Takes its time when a window is classified."""

    def __init__(self, board: Board, configuration: Configuration) -> None:
        self._board, self._configuration = board, configuration
        self.pathways = pathways(SAMPLING, configuration)

    def encode(self, pictures: Any, place: int) -> Any:
        pathway = self.pathways[place]
        assert pictures.shape == (len(pathway.instants), 3, pathway.size, pathway.size)
        return pictures.mean()

    def classify(self, features: Any) -> Any:
        self._board.run(self._configuration)
        return np.zeros(3) + features


def table(*names: str) -> ConfigurationBudgetTable:
    """Of 10 GFLOPs at full width and 1 at half."""
    rows = [
        Row(configuration=name, gflops=10.0 if name.startswith("w1") else 1.0, params_m=1.0, accuracy=0.5)
        for name in names
    ]
    return ConfigurationBudgetTable(architecture="tiny", measured_on="12 clips", rows=tuple(rows))


def costs_on(board: Any, given: ConfigurationBudgetTable, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(turns, "time", board)
    return with_int8_costs(board, given)


def test_the_cost_is_the_ratio_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rounds in turns after one that warms up: 3 ms against 8, whatever disturbed three of seven rounds of
    either; to three digits."""
    board = Board(
        {
            WIDE.at("int8"): [7.0, 0.9, 0.003, 0.9, 0.003, 0.001, 0.003],
            WIDE: [9.0, 0.008, 0.008, 0.5, 0.5, 0.008, 0.001, 0.008],
        }
    )
    found = costs_on(board, table(str(WIDE), f"{WIDE}-int8"), monkeypatch)
    assert {str(row.configuration): row.int8_cost for row in found.rows} == {
        f"{WIDE}-int8": 0.375,
        str(WIDE): None,
    }
    rounds = [board.ran[i : i + 2] for i in range(0, len(board.ran), 2)]
    assert [sorted(each) for each in rounds] == [["fp32", "int8"]] * (1 + ROUNDS)  # the first does not count
    assert {each[0] for each in rounds} == {"int8", "fp32"}
    assert board.opened == [f"{WIDE}-int8", str(WIDE)]
    rounded = costs_on(Board({WIDE.at("int8"): [1.0], WIDE: [3.0]}), found, monkeypatch)
    assert [row.int8_cost for row in rounded.rows] == [0.333, None]


def test_every_pair_has_its_own_and_rows_are_ordered_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where int8 is slower than fp32, the row comes after its twin; all else of the table stays."""
    board = Board({WIDE.at("int8"): [0.002], WIDE: [0.01], NARROW.at("int8"): [0.003], NARROW: [0.002]})
    given = table(f"{NARROW}-int8", str(NARROW), f"{WIDE}-int8", str(WIDE))
    found = costs_on(board, given, monkeypatch)
    assert [(str(row.configuration), row.int8_cost) for row in found.rows] == [
        (str(NARROW), None),
        (f"{NARROW}-int8", 1.5),
        (f"{WIDE}-int8", 0.2),
        (str(WIDE), None),
    ]
    assert found.measured_on == "12 clips"
    before = {row.configuration: row for row in given.rows}
    assert all(row.model_copy(update={"int8_cost": None}) == before[row.configuration] for row in found.rows)


@pytest.mark.parametrize("names", [[f"{WIDE}-int8", str(NARROW)], [str(WIDE), str(NARROW)]])
def test_without_a_twin_nothing_is_measured(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to compare with: the table is what it was, and no network is opened."""
    board = Board({})
    assert costs_on(board, table(*names), monkeypatch) == table(*names)
    assert board.opened == []


def test_a_cost_from_before_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that exports may be another one."""
    given = table(str(WIDE), f"{WIDE}-int8")
    old = given.model_copy(
        update={"rows": (given.rows[0].model_copy(update={"int8_cost": 0.9}), given.rows[1])}
    )
    assert str(old.rows[0].configuration) == f"{WIDE}-int8"
    found = costs_on(Board({WIDE.at("int8"): [0.004], WIDE: [0.01]}), old, monkeypatch)
    assert [row.int8_cost for row in found.rows] == [0.4, None]
