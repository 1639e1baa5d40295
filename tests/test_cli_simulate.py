"""``simulate``, ``record-signals`` and ``config show``: what they print, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures_bundle import Here
from fixtures_events import kinds_of

from a3d_edge.control.trace import Trace

TABLE = ("--table", "a3d_slow_8x8_0.016")


def short(folder: Path) -> Path:
    """Half a minute of a device that becomes three times slower."""
    path = folder / "short.jsonl"
    path.write_text('{"trace": 1, "seconds": 30}\n{"t": 0}\n{"t": 15, "slowdown": 3}\n')
    return path


def test_the_same_bytes_every_time(here: Here, tmp_path: Path) -> None:
    """JSON of the controller alone, and of all that it is compared with."""
    trace = short(tmp_path)
    first = here("simulate", trace, *TABLE, "--json", "--compare")
    assert first == here("simulate", trace, *TABLE, "--json", "--compare")
    code, out, err = first
    assert (code, err) == (0, "")
    assert set(kinds_of(out)) == {"simulation"}
    names = [json.loads(line)["name"] for line in out.splitlines()]
    assert names == ["controller", "no_hysteresis", "smallest", "largest", "best_fixed"]
    alone = here("simulate", trace, *TABLE, "--json")[1]
    assert alone == out.splitlines()[0] + "\n"


def test_people_get_a_sentence(here: Here, tmp_path: Path) -> None:
    """Also on a bundle, whose accuracies are its own."""
    code, out, _ = here("simulate", short(tmp_path), "--bundle", "interactions")
    assert code == 0
    assert ", controller: accuracy " in out
    assert " switches, score " in out


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_plot(here: Here, tmp_path: Path, kind: str) -> None:
    """The same bytes every time; not over a file that is there."""
    pytest.importorskip("matplotlib")
    trace, picture = short(tmp_path), tmp_path / f"plot.{kind}"
    assert here("simulate", trace, *TABLE, "--plot", picture)[0] == 0
    before = picture.read_bytes()
    assert len(before) > 5000
    assert here("simulate", trace, *TABLE, "--plot", picture)[0] == 2
    assert here("simulate", trace, *TABLE, "--plot", picture, "--overwrite")[0] == 0
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nothing", *TABLE], "error: nothing: no such trace file; shipped ones are"),
        (["drain", *TABLE, "--bundle", "x"], "error: --table stands in the place of --bundle"),
        (["drain", *TABLE, "--config", "none.toml"], "error: --config none.toml: no such file"),
        (["drain", *TABLE, "--budget", "much"], "error: unknown budget 'much'"),
        (["drain", *TABLE, "--plot", "x.pdf"], "error: --plot x.pdf: unknown kind of file"),
    ],
)
def test_refusals(here: Here, options: list[str], message: str) -> None:
    """One line, exit code 2."""
    code, out, err = here("simulate", *options)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_settings_change_what_is_simulated(here: Here, tmp_path: Path) -> None:
    """A file's curve, and the environment's over it, each with its origin."""
    config = tmp_path / "my.toml"
    config.write_text("[control]\nheadroom = 0.2\nbattery = [[10, 0.5]]\n")
    trace = short(tmp_path)
    usual, less = (
        json.loads(here("simulate", trace, *TABLE, "--json", *more)[1]) for more in ([], ["--config", config])
    )
    assert less["expected_accuracy"] < usual["expected_accuracy"]


def test_config_show_says_where_each_value_comes_from(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Default, file, environment; the last counts."""
    config = tmp_path / "my.toml"
    config.write_text("[control]\ndwell_s = 3\nbattery = [[10, 0.5], [20, 1]]\n")
    monkeypatch.setenv("A3D_EDGE_CONTROL_DWELL_S", "7")
    code, out, _ = here("config", "show", "--config", config, "--json")
    assert (code, set(kinds_of(out))) == (0, {"setting"})
    said = {one["name"]: (one["value"], one["origin"]) for one in map(json.loads, out.splitlines())}
    assert said["dwell_s"] == (7.0, "A3D_EDGE_CONTROL_DWELL_S")
    assert said["battery"] == ([[10.0, 0.5], [20.0, 1.0]], str(config))
    assert said["room_s"] == (1.0, "default")
    text = here("config", "show")[1]
    assert "battery = [[15, 0.1], [50, 1]]  (default)\n" in text


def test_signals_of_this_device_are_recorded(here: Here, tmp_path: Path) -> None:
    """A trace that can be read, with the memory and cores that every device has."""
    path = tmp_path / "mine.jsonl"
    code, _, err = here("record-signals", "--out", path, "--seconds", 1, "--interval", 0.3)
    assert (code, err) == (0, f"{path}: 3 readings\n")
    trace = Trace.load(path)
    assert [point.t for point in trace.points] == [0.0, 0.3, 0.6]
    assert trace.points[-1].signals.memory_available is not None
    assert trace.cores == trace.points[-1].signals.cores
    assert here("record-signals", "--out", path, "--seconds", 1)[0] == 2
    assert here("record-signals", "--out", tmp_path / "x", "--interval", 0)[0] == 2


def test_a_trace_s_name_does_nothing_to_a_terminal(here: Here, tmp_path: Path) -> None:
    """It comes from a file: an escape in it is shown, not obeyed."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"trace": 1, "name": "\\u001b]0;owned\\u0007", "seconds": 10}\n{"t": 0}\n')
    code, out, _ = here("simulate", path)
    assert (code, "\x1b" in out, "owned" in out) == (0, False, True)
