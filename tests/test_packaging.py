"""What is installed: the wheel's content, its requirements, and that it runs from where it lies."""

from __future__ import annotations

import email
import email.message
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUNTIME = {"numpy", "onnxruntime", "opencv-python-headless", "av", "pydantic", "psutil", "typer", "rich"}
BEFORE_3_11 = {"tomli"}
"""In place of the standard library's."""

LAYOUT = """
import importlib.util
import a3d_edge, a3d_edge.exporters, a3d_edge.budget_tables, a3d_edge.bundles
for name in ("exporters", "budget_tables", "tests", "examples"):
    assert importlib.util.find_spec(name) is None, name
print(a3d_edge.__file__)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the source tree stays clean."""
    place = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, place / "source", ignore=unwanted)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), "source"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    """Every file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def metadata(wheel: Path) -> email.message.Message:
    """The wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(path))


def test_one_top_level_package(names: list[str]) -> None:
    """`exporters` is another project's name: ours installs below a3d_edge, and nothing else beside it."""
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"a3d_edge"}


def test_every_module_is_in_it(names: list[str]) -> None:
    """A new folder that pyproject.toml does not list would be missing from the wheel, and only there."""
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "a3d_edge").rglob("*.py")}
    for folder in ("exporters", "budget_tables"):
        expected |= {
            f"a3d_edge/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / folder).rglob("*.py")
        }
    assert {"a3d_edge/exporters/write_bundle.py", "a3d_edge/bundles/__init__.py"} <= expected
    assert expected - set(names) == set()
    assert {name for name in names if name.endswith(".py")} - expected == set()


def test_data_files_are_in_it(names: list[str]) -> None:
    """The type marker, the licence, and every JSON, graph and weight that lies in a package."""
    assert "a3d_edge/py.typed" in names
    assert any(re.fullmatch(r"a3d_edge-[^/]+\.dist-info/licenses/LICENSE", name) for name in names)
    data = {".json", ".onnx", ".bin"}
    expected = {
        f"a3d_edge/{path.relative_to(base).as_posix()}"
        for base, folder in ((ROOT / "a3d_edge", "bundles"), (ROOT, "budget_tables"))
        for path in (base / folder).rglob("*")
        if path.suffix in data
    }
    assert expected <= set(names)
    assert not [name for name in names if Path(name).suffix in {".pth", ".pyc", ".mp4", ".avi"}]


def test_the_runtime_requires_eight_packages(metadata: email.message.Message) -> None:
    """And no torch: that is in the extras."""
    lines = metadata.get_all("Requires-Dist") or []
    plain = {re.split(r"[^A-Za-z0-9-]", line)[0] for line in lines if "extra ==" not in line}
    assert plain == RUNTIME | BEFORE_3_11
    extras = set(metadata.get_all("Provides-Extra") or [])
    assert extras == {
        "export",
        "train",
        "tensorboard",
        "plot",
        "mqtt",
        "openvino",
        "docs",
        "dev",
    }
    assert any(line.startswith("torch") and 'extra == "export"' in line for line in lines)


def test_what_it_says_of_itself(metadata: email.message.Message) -> None:
    """Name, version, licence, Python; the version is that of the package."""
    from a3d_edge import __version__

    assert (metadata["Name"], metadata["Version"]) == ("a3d-edge", __version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"


def test_pypi_can_show_the_readme(metadata: email.message.Message) -> None:
    """Pictures and links are absolute, at the project's own address; what they name is there."""
    addresses = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL") or [])
    assert set(addresses) == {"Homepage", "Documentation", "Changelog", "Issues", "Security"}
    home = addresses["Homepage"]
    assert all(address.startswith(home) for address in addresses.values())
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(targets) > 5
    raw = home.replace("github.com", "raw.githubusercontent.com") + "/main/"
    for target in targets:
        base = next((base for base in (raw, f"{home}/blob/main/") if target.startswith(base)), None)
        assert base is not None, target
        assert (ROOT / target.removeprefix(base)).is_file(), target
        assert target.endswith(".png") == (base == raw), "a page is no picture"


def test_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Unpacked and first on the path, it is what is imported, and its entry point answers."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "a3d-edge = a3d_edge.entry:main" in archive.read(points).decode()
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for code, said in ((LAYOUT, str(site / "a3d_edge" / "__init__.py")), ("", "0.1.0")):
        code = (
            code or "import sys; sys.argv = ['a3d-edge', '--version']; from a3d_edge.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment,
            timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip() == said


def test_what_is_installed_here_has_the_same_layout(tmp_path: Path) -> None:
    """The environment of these tests, be it an editable install or a wheel."""
    done = subprocess.run(
        [sys.executable, "-c", LAYOUT], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
