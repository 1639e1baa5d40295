"""The runtime never needs torch, onnx or matplotlib: imports are looked at in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from fixtures_bundle import shared_bundle, write_video

import a3d_edge

NOT_OURS = ("torch", "onnx", "onnx_ir", "onnxscript", "matplotlib", "fvcore")
HEAVY = (*NOT_OURS, "av")  # which is loaded when a video is opened

BLOCK = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {NOT_OURS!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}' (blocked)", name=name)
sys.meta_path.insert(0, Blocked())
"""

LOADED = f"""
import sys
print("loaded:", sorted({{name.split(".")[0] for name in sys.modules}} & set({HEAVY!r})), file=sys.stderr)
"""


def python(code: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 30 frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", 30)


@pytest.mark.parametrize(
    "statement",
    [
        "import a3d_edge",
        "from a3d_edge import A3DEdgeError, Budget, BudgetController, Bundle, Configuration, Runtime",
        "from a3d_edge import *",
        "import a3d_edge.cli",
        "import a3d_edge.budget_tables",
    ],
)
def test_importing_is_light(statement: str, tmp_path: Path) -> None:
    """Nothing heavy is loaded, and nothing is printed."""
    done = python(statement + LOADED, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "loaded: []\n")


def test_the_package_itself_loads_next_to_nothing(tmp_path: Path) -> None:
    """``import a3d_edge`` is for `--help` too: no numpy, OpenCV or ONNX Runtime until they are used."""
    done = python(
        "import sys, a3d_edge, a3d_edge.cli\n"
        "print(sorted({'numpy', 'cv2', 'onnxruntime', 'pydantic', 'rich', 'psutil'} & set(sys.modules)))",
        cwd=tmp_path,
    )
    assert done.stdout == "[]\n"


def test_a_run_works_where_they_are_not_installed(
    clip: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With their imports blocked a run with a recording gives its predictions all the same."""
    code = (
        BLOCK + "import atexit\n" + f"atexit.register(lambda: exec({LOADED!r}))\n"
        "from a3d_edge.cli import main\nmain()\n"
    )
    done = python(
        code, "run", "--source", clip, "--bundle", shared_bundle(tmp_path_factory), "--json",
        "--save", "out.mp4", "--switch-every", 4, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "loaded: ['av']\n"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["event"] == "summary"
    assert lines[-1]["predictions"] > 10
    assert (tmp_path / "out.mp4").is_file()


def test_the_demo_is_shown_without_ffmpeg(tmp_path: Path) -> None:
    """PyAV is 100 MB of libraries, which only a video file or a network stream needs."""
    code = f"import atexit\natexit.register(lambda: exec({LOADED!r}))\n"
    code += "from a3d_edge.cli import main\nmain()\n"
    done = python(code, "run", "--source", "demo", "--max-predictions", 1, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "loaded: []"


def test_what_needs_them_says_what_to_install(tmp_path: Path) -> None:
    """Exit 5 with the extra's name, not a traceback."""
    code = BLOCK.replace("raise ModuleNotFoundError", "return None; raise ModuleNotFoundError") + (
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name in {HEAVY!r} else real(name)\n"
        "from a3d_edge.cli import main\nmain()\n"
    )
    for arguments, extra in (
        (["flops"], "export"),
        (["export", "x.pth", "--out", "y"], "export"),
        (["train", "--out", "y.pth"], "train"),
        (["eval", "x.pth", "--data", "z"], "train"),
        (["table", "build", "x.pth", "--data", "z", "--out", "y"], "train"),
        (["info", "x.pth"], "export"),
    ):
        (tmp_path / "x.pth").touch()
        done = python(code, *arguments, cwd=tmp_path)
        assert done.returncode == 5
        assert f"pip install 'a3d-edge[{extra}]'" in done.stderr
        assert done.stderr.count("\n") == 1


def test_imports_go_one_way(tmp_path: Path) -> None:
    """The contracts of pyproject.toml hold; an import against them, if only a lazy one, breaks them."""
    pytest.importorskip("importlinter")
    settings = Path(__file__).parents[1] / "pyproject.toml"
    package = tmp_path / "a3d_edge"
    copytree(
        Path(a3d_edge.__file__).parent, package, ignore=ignore_patterns("*.onnx", "*.bin", "__pycache__")
    )
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    kept = python(code, "--no-cache", "--config", settings, cwd=tmp_path)
    assert kept.returncode == 0, kept.stdout
    with (package / "engine" / "protocols.py").open("a") as module:
        module.write("\n\ndef later():\n    from a3d_edge.engine.engines import find_engine\n")
    with (package / "table.py").open("a") as module:
        module.write("\n\ndef later():\n    from a3d_edge.runtime import Runtime\n")
    broken = python(code, "--no-cache", "--config", settings, cwd=tmp_path)
    assert broken.returncode == 1
    for said in ("Layers: imports go down BROKEN", "No cycle of modules, not even a lazy one BROKEN"):
        assert said in broken.stdout
    assert "a3d_edge.table -> a3d_edge.runtime" in broken.stdout


def test_the_public_names_are_there() -> None:
    """Those promised to stay; an unknown one is an AttributeError."""
    for name in a3d_edge.__all__:
        assert getattr(a3d_edge, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        a3d_edge.nothing  # noqa: B018


def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """Its telemetry, on by default on Linux, leaves its queue of events in the user's cache folder."""
    code = "from a3d_edge import Bundle; b = Bundle.default(); b.open(b.configurations[0])"
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=True)
    assert list(tmp_path.rglob("*.db")) == []
