"""Settings from a file and the environment: what they may say, and how a mistake is named."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from a3d_edge.control.configured import configured, default_file, usual_file
from a3d_edge.control.settings import Settings, at
from a3d_edge.errors import UsageError


@pytest.fixture(autouse=True)
def _nothing_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def test_the_documented_file_says_the_defaults() -> None:
    """Every one of them, with a comment."""
    found = configured(default_file())
    assert found.settings == Settings()
    assert set(found.origins.values()) == {str(default_file())}
    tomllib = pytest.importorskip("tomllib")
    assert set(tomllib.loads(default_file().read_text())["control"]) == {one.name for one in fields(Settings)}
    said = [line for line in default_file().read_text().splitlines() if " = " in line]
    assert all("#" in line for line in said)


def test_the_usual_file_is_read_unasked(tmp_path: Path) -> None:
    """And only where it is."""
    assert set(configured().origins.values()) == {"default"}
    usual_file().parent.mkdir(parents=True)
    usual_file().write_text("[control]\ndwell_s = 9\n")
    assert configured().settings.dwell_s == 9.0
    assert configured().origins["dwell_s"] == str(usual_file())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[control\n", "not read as TOML"),
        ("a = 1", "unknown section [a]; there is [control]"),
        ("control = 3", "control is no section"),
        ("[control]\nfoo = 1", "[control] 'foo' is unknown; 'a3d-edge config show' lists all"),
        ("[control]\ndwell_s = nan", "control.dwell_s: nan is not a finite number of at least 0"),
        ("[control]\ndwell_s = -1", "control.dwell_s: -1.0 is not a finite number of at least 0"),
        ("[control]\ndwell_s = 'x'", "control.dwell_s: Input should be a valid number"),
        ("[control]\nheadroom = 2", "control.headroom: 2.0 is not above 0 and at most 1"),
        ("[control]\nup_step = 0.5", "control.up_step: 0.5 is below 1"),
        ("[control]\nbackoff_jitter = 1", "control.backoff_jitter: 1.0 is not below 1"),
        ("[control]\nwarmup_observations = 1.5", "control.warmup_observations: Input should be a valid int"),
        ("[control]\nbattery = 3", "control.battery: Input should be a valid list"),
        ("[control]\nbattery = [[20, 0.1], [10, 1]]", "control.battery[1]: 10 is not above 20 before it"),
        ("[control]\nbattery = [[20, 3]]", "control.battery[0]: (20.0, 3.0) is not [reading, share"),
        ("[control]\nbattery = [[20, 'x']]", "control.battery[0][1]: Input should be a valid number"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """The file, the key, and what is wrong."""
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        configured(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DWELL", "1", "'dwell' is unknown"),
        ("DWELL_S", "soon", "A3D_EDGE_CONTROL_DWELL_S: control.dwell_s: Input should be a valid number"),
        ("BATTERY", "low", "curves are JSON, such as"),
        ("BATTERY", "[[1, 2]]", "A3D_EDGE_CONTROL_BATTERY: control.battery[0]"),
    ],
)
def test_a_mistake_in_the_environment_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """A variable that is misspelt is one too."""
    monkeypatch.setenv(f"A3D_EDGE_CONTROL_{name}", value)
    with pytest.raises(UsageError) as caught:
        configured()
    assert message in str(caught.value)


def test_a_curve_is_lines_between_points() -> None:
    """Beyond its ends it stays; without points it caps nothing."""
    curve = ((10.0, 0.2), (20.0, 0.4), (40.0, 1.0))
    assert [at(curve, x) for x in (-5, 10, 15, 20, 30, 40, 99)] == pytest.approx(
        [0.2, 0.2, 0.3, 0.4, 0.7, 1.0, 1.0]
    )
    assert at((), 5.0) == 1.0
    assert at(((5.0, 0.3),), 0.0) == at(((5.0, 0.3),), 9.0) == 0.3


def test_settings_are_checked_in_python_too() -> None:
    """Lists become tuples, so that they can be hashed and compared."""
    assert Settings(battery=[[10, 0.5]]).battery == ((10.0, 0.5),)  # type: ignore[arg-type,list-item]
    with pytest.raises(UsageError, match=r"control\.cpu\[0\]: 'x' is not"):
        Settings(cpu=("x",))  # type: ignore[arg-type]
    assert asdict(Settings())["headroom"] == 0.8
