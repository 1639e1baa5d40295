"""The whole examination: each check once, whatever breaks, and the exit code is that of the worst."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures_bundle import Here

from a3d_edge.doctor import FAIL, OK, examine
from a3d_edge.doctor.trials import Trial

NAMES = [
    "versions", "opencv", "processor", "cores", "memory", "shared memory", "sensors", "network", "display",
    "caches", "disk", "clock",
]  # fmt: skip


def trying(function: str, words: tuple[str, ...], seconds: float) -> Trial:
    told = {"name": "b", "configuration": "w", "ms": 1.0, "width": 640, "height": 480}
    return Trial(None, "busy") if words == ("2",) else Trial(told)


def test_every_check_once_and_cameras_by_their_numbers(tmp_path: Path) -> None:
    """A device for data about pictures is none."""
    for number in (0, 1, 2, 10):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / f"dev/video{number}").touch()
    index = tmp_path / "sys/class/video4linux/video1"
    index.mkdir(parents=True)
    (index / "index").write_text("1\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags\t\t: sse avx512_vnni\n")
    made = list(examine("default", "ort:CPU", root=tmp_path, trying=trying))
    assert [check.name for check in made] == [*NAMES, "camera 0", "camera 2", "camera 10"]
    statuses = {check.name: check.status for check in made}
    assert (statuses["camera 0"], statuses["camera 2"], statuses["network"]) == (OK, "warn", OK)
    assert "VNNI" in next(check.found for check in made if check.name == "processor")


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The others are made all the same."""

    def broken() -> list[str]:
        raise RuntimeError("no\nmetadata")

    monkeypatch.setattr("a3d_edge.doctor.look.installed_opencv", broken)
    made = {check.name: check for check in examine("default", "ort:CPU", root=tmp_path, trying=trying)}
    assert list(made) == NAMES
    assert made["opencv"].found == "could not be looked at (RuntimeError: no metadata)"


def test_the_command(here: Here, bundle_folder: Path) -> None:
    """JSON lines of the published schema, 0 where nothing fails; a bundle that is none fails."""
    code, out, err = here("doctor", "--bundle", bundle_folder, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [line["name"] for line in lines][: len(NAMES)] == NAMES
    assert all((line["fix"] is None) == (line["status"] == "ok") for line in lines)
    code, out, _ = here("doctor", "--bundle", bundle_folder / "none")
    assert code == 1
    assert f"{FAIL}  network: " in out
    assert out.count("\n") == len(lines)
