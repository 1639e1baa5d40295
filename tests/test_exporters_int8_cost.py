"""What int8 gains, as an export writes it into the table: which rows get it, and that it is a fair ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from a3d_edge.exporters.int8_cost import AGREEING, DEAREST, MOST_ROUNDS, WINDOWS, steady_gain, with_int8_costs

from a3d_edge.configuration import Configuration
from a3d_edge.profiling import turns
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.task import SINGLE
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

    task = SINGLE

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


def costs_on(
    board: Any,
    given: ConfigurationBudgetTable,
    monkeypatch: pytest.MonkeyPatch,
    notes: list[str] | None = None,
) -> Any:
    """The table; ``notes`` takes what is said."""
    monkeypatch.setattr(turns, "time", board)
    said: list[str] = [] if notes is None else notes
    return with_int8_costs(board, given, said.append)


def test_the_cost_is_the_ratio_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of windows in turns after one that warms up: 3 ms against 8, whatever disturbed three of seven of
    either in the first round; to three digits, and nothing to note."""
    board = Board(
        {
            WIDE.at("int8"): [7.0, 0.9, 0.003, 0.9, 0.003, 0.001, 0.003],
            WIDE: [9.0, 0.008, 0.008, 0.5, 0.5, 0.008, 0.001, 0.008],
        }
    )
    notes: list[str] = []
    found = costs_on(board, table(str(WIDE), f"{WIDE}-int8"), monkeypatch, notes)
    assert {str(row.configuration): row.int8_cost for row in found.rows} == {
        f"{WIDE}-int8": 0.375,
        str(WIDE): None,
    }
    assert notes == []
    turns_taken = [board.ran[i : i + 2] for i in range(0, len(board.ran), 2)]
    assert [sorted(each) for each in turns_taken] == [["fp32", "int8"]] * (1 + WINDOWS) * AGREEING
    assert {each[0] for each in turns_taken} == {"int8", "fp32"}
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


def rounds(*ratios: float, each_ms: float = 1.0) -> Any:
    """What measures rounds of these ratios, the last one from then on; ``asked`` counts."""
    left = list(ratios)

    def measure() -> tuple[list[float], list[float]]:
        measure.asked += 1  # type: ignore[attr-defined]
        ratio = left.pop(0) if len(left) > 1 else left[0]
        return [ratio * each_ms] * 7, [each_ms] * 7

    measure.asked = 0  # type: ignore[attr-defined]
    return measure


def test_it_is_measured_until_rounds_agree() -> None:
    """Within 5 %; what came before does not count."""
    measure = rounds(0.9, 0.5, 0.41, 0.40, 0.42)
    gain = steady_gain(measure)
    assert measure.asked == 5
    assert (gain.ratio, gain.steady) == (pytest.approx(0.41), True)
    assert gain.noise == pytest.approx(0.01 / 0.41)


def test_a_busy_machine_does_not_keep_it_forever() -> None:
    """After nine rounds, or ten seconds, it is the median of all, and said to be uncertain."""
    unrest = [0.3, 0.6, 0.4, 0.7, 0.3, 0.6, 0.4, 0.5, 0.9, 0.1]
    measure = rounds(*unrest)
    gain = steady_gain(measure)
    assert measure.asked == MOST_ROUNDS == 9
    assert (gain.ratio, gain.steady, gain.noise) == (0.5, False, pytest.approx(0.6))
    slow = rounds(0.4, 0.6, 0.5, each_ms=500.0)  # 4.9 and 5.6 s
    assert (steady_gain(slow).ratio, slow.asked) == (0.5, 2)


def test_what_is_uncertain_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence with every row and by how much; the figure is in the table all the same."""
    unrest = [ms / 1000 for ms in (2, 6) * 5 for _ in range(1 + WINDOWS)]
    board = Board({WIDE.at("int8"): unrest, WIDE: [0.010]})
    notes: list[str] = []
    found = costs_on(board, table(str(WIDE), f"{WIDE}-int8"), monkeypatch, notes)
    assert [row.int8_cost for row in found.rows] == [0.2, None]
    assert notes == [f"the cost of int8 is uncertain, this machine is busy or slow: {WIDE}-int8 (± 100%)"]


def test_no_cost_is_above_one_and_a_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """A larger one is clamped, and what it was is said."""
    board = Board({WIDE.at("int8"): [0.040], WIDE: [0.010]})
    notes: list[str] = []
    found = costs_on(board, table(str(WIDE), f"{WIDE}-int8"), monkeypatch, notes)
    assert [row.int8_cost for row in found.rows] == [None, DEAREST]
    assert notes == [
        f"int8 was slower than fp32 here, 1.5 is written as its cost: {WIDE}-int8 (4.00 of fp32)"
    ]
