"""Helper processes, plots and commands execute nothing of the folder that somebody stands in."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import LARGEST, SMALLEST, shared_bundle

import a3d_edge
from a3d_edge.bundle import Bundle
from a3d_edge.child import command, forget_working_folder, module_places
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.session import open_network
from a3d_edge.errors import ResourceError
from a3d_edge.profiling.apart import Task, measure_apart
from a3d_edge.sinks.overlay import Window

MODULES = (
    "a3d_edge", "cv2", "json", "matplotlib", "numpy", "onnxruntime", "openvino", "pathlib", "pickle",
    "psutil", "pydantic", "runpy", "sitecustomize", "typing", "usercustomize",
)  # fmt: skip
LIBRARIES = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libz.so.1", "libdl.so.2", "libutil.so.1")
"""Shared libraries of Python: whoever loads them from here cannot start, for they are none."""
LEAVES_A_MARK = "from os import open as o; o(__file__ + '.executed', 0o102)\n"
SCRIPT = shutil.which("a3d-edge", path=str(Path(sys.executable).parent))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Opened once, so that all that this process itself needs is loaded."""
    loaded = Bundle.load(shared_bundle(tmp_path_factory))
    loaded.open(SMALLEST)
    return loaded


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: every module in it, and matplotlib's backend, leaves a mark when it is executed."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in (*MODULES, "evil"):
        (folder / f"{name}.py").write_text(LEAVES_A_MARK)
    (folder / "matplotlibrc").write_text("backend: module://evil\ntext.usetex: True\nfigure.facecolor: red\n")
    for name in LIBRARIES:
        (folder / name).write_text("no library")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    return folder


def executed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.executed"))


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """In the working folder."""
    return subprocess.run(
        [str(word) for word in words], env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_the_folder_is_hostile_indeed(hostile: Path) -> None:
    """What Python does there without us."""
    run(sys.executable, "-c", "import psutil, matplotlib.pyplot as p; p.figure()")
    assert "psutil.py.executed" in executed(hostile)
    code = "import cv2, subprocess, sys; subprocess.run([sys.executable, '-I', '-c', ''])"
    done = run(sys.executable, "-I", "-c", code)
    assert "error while loading shared libraries" in done.stderr


@pytest.mark.parametrize("first", ["", ".", None])
def test_no_helper_runs_what_lies_there(
    bundle: Bundle, hostile: Path, tmp_path: Path, first: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring, preparing and the trial of a window, whatever `python` has put first in our own path."""
    monkeypatch.setattr(sys, "path", [str(hostile) if first is None else first, *sys.path])
    monkeypatch.setenv("LD_LIBRARY_PATH", ":")
    measured = measure_apart(Task(str(bundle.path), str(SMALLEST), "ort:CPU", 1, 1, 0.01, paced=False))
    assert len(measured.network_ms) == 1
    cache = PreparedNetworks(tmp_path / "prepared", limit=10**8, least=0)
    open_network(bundle.files_of(LARGEST), threads=1, cache=cache)
    assert (cache.made, cache.notes()) == (1, [])
    monkeypatch.setenv("DISPLAY", ":4321")
    with pytest.raises(ResourceError):
        Window()
    assert executed(hostile) == []


def test_no_command_runs_what_lies_there(bundle: Bundle, hostile: Path, tmp_path: Path) -> None:
    """The installed script measures and draws; the picture is as in any other folder."""
    assert SCRIPT is not None
    (calm := tmp_path / "calm").mkdir()
    measured = ("--configuration", SMALLEST, "--windows", 1, "--seconds", 0.01)
    done = run(SCRIPT, "bench", bundle.path, *measured, "--out", hostile / "bench.png")
    assert (done.returncode, done.stderr) == (0, "")
    pictures = []
    for folder in (hostile, calm):
        words = [SCRIPT, "table", "plot", "a3d_slow_8x8_0.06", "--out", folder / "table.png"]
        done = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        pictures.append((folder / "table.png").read_bytes())
    assert pictures[0] == pictures[1]
    assert executed(hostile) == []


def test_a_matplotlibrc_of_the_users_own_counts(hostile: Path, tmp_path: Path) -> None:
    """Named by MATPLOTLIBRC it is read; that of the folder is not; we stand where we stood."""
    (tmp_path / "own").write_text("figure.facecolor: green\n")
    code = (
        "import os\n"
        "from a3d_edge.plots.curves import load_matplotlib\n"
        "m = load_matplotlib(); print(m.rcParams['figure.facecolor'], m.rcParams['text.usetex'], os.getcwd())"
    )
    done = run(sys.executable, "-Ic", code, MATPLOTLIBRC=str(tmp_path / "own"))
    assert done.stdout.split() == ["green", "False", str(hostile)], done.stderr
    assert executed(hostile) == []


def test_the_module_form_forgets_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m a3d_edge`` has it first; once we are running nothing more is taken from it."""
    for name in ("psutil", "cv2", "numpy", "typer", "json"):
        (tmp_path / f"{name}.py").write_text(LEAVES_A_MARK)
    monkeypatch.chdir(tmp_path)
    done = run(sys.executable, "-m", "a3d_edge", "info", "--json")
    assert done.returncode == 0, done.stderr
    assert executed(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("", None),
        (":", None),
        ("/x:", "/x"),
        (":/x;;.:/y/", "/x:/y/"),
        ("{here}", "{here}"),
        ("lib:../there", "lib:../there"),
    ],
)
def test_no_program_takes_libraries_from_there(
    places: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, kept: str | None
) -> None:
    """An empty place in LD_LIBRARY_PATH is the working folder; only where it is spelled out it is meant."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    if given is not None:
        monkeypatch.setenv("LD_LIBRARY_PATH", given.format(here=places / "here"))
    forget_working_folder()
    assert os.environ.get("LD_LIBRARY_PATH") == (kept and kept.format(here=places / "here"))


@pytest.mark.parametrize(
    "code",
    ["import a3d_edge.video.opencv",
     "import cv2; from a3d_edge.plots.curves import load_matplotlib as l; l()",
     "import cv2; from a3d_edge.child import command as c; c('a', 'b')"],
)  # fmt: skip
def test_what_opencv_adds_is_taken_back(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started: our own helpers, and what matplotlib starts."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    show = "; import os; print(os.environ.get('LD_LIBRARY_PATH', '').split(':'))"
    words = (sys.executable, "-I", "-c")
    before, after = (run(*words, one + show).stdout.strip() for one in ("import cv2", code))
    assert "''" in before
    assert "''" not in after
    assert after != ""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules beside the working folder."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_the_working_folder_is_no_place(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By any name: empty, dots, absolute, a link; others stay, in their order."""
    (places / "link").symlink_to(places / "here")
    names = ["", ".", str(places / "here"), str(places / "link"), "../here"]
    monkeypatch.setattr(sys, "path", [*names, str(places / "there"), "/x.zip", "lib", *names])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert module_places() == [str(places / "there"), "/x.zip", "lib"]


@pytest.mark.parametrize(("value", "stays"), [("{}", True), ("/x:{}/", True), (":/x", False), (".", False)])
def test_it_stays_where_it_is_spelled_out(
    places: Path, monkeypatch: pytest.MonkeyPatch, value: str, stays: bool
) -> None:
    """In PYTHONPATH, absolutely; an empty entry is an accident."""
    here = str(places / "here")
    monkeypatch.setattr(sys, "path", [here, "/x"])
    monkeypatch.setenv("PYTHONPATH", value.format(here))
    assert module_places() == ([here, "/x"] if stays else ["/x"])


def test_our_own_checkout_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standing in it, without an installation."""
    ours = Path(a3d_edge.__file__).parent.parent
    monkeypatch.chdir(ours)
    monkeypatch.setattr(sys, "path", ["", "/x"])
    assert module_places() == ["/x", str(ours)]


def test_a_folder_that_was_removed_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standing in one is no error."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", ["", "/x"])
    assert module_places() == ["/x"]


def helper(module: str, **options: Any) -> str:
    """What ``module.main`` prints in a process of its own."""
    done = subprocess.run(
        command(module, "main"), capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_helper_finds_what_we_find(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a place that was put into `sys.path`, as PYTHONPATH does; names with any letter."""
    folder = places / "there" / "größe '\"\\ {x}"
    folder.mkdir()
    (folder / "mine.py").write_text("def main(): print(__file__)\n")
    monkeypatch.syspath_prepend(str(folder))
    assert helper("mine", env={**os.environ, "PYTHONUTF8": "1"}) == str(folder / "mine.py")


def test_a_helper_finds_the_users_own_packages(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that a hook finds which is set up there, as of an editable installation."""
    user = places / "there"
    (places / "hidden").mkdir()
    (places / "hidden" / "mine.py").write_text("def main(): print('found')\n")
    (user / "mine.pth").write_text(f"import sys; sys.path.append({str(places / 'hidden')!r})\n")
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(user))
    assert helper("mine") == "found"


def test_an_application_without_an_interpreter_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen one's executable is itself: starting that would start it again."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ResourceError, match="brings no Python interpreter"):
        command("mine", "main")
