"""The runtime on every Python that is here, and with the oldest libraries that it allows.

    nox                      every interpreter of 3.10 to 3.14 that is found on the PATH
    nox -s runtime-3.13      one of them; what follows -- goes to pytest
    nox -s floors            each dependency at its floor, on Python 3.11
    nox -s lint              style, the docs, and types and import directions of the built wheel

The environments of the first three have no PyTorch: the tests that need it are left out (tests/conftest.py).
The tiny bundles that the others run are exported by the Python that nox itself runs on, which is that of the
development tools (``pip install --editable '.[dev]'``); ``lint`` uses these as they are.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import nox
from packaging.requirements import Requirement

nox.options.sessions = ["runtime"]
nox.options.error_on_missing_interpreters = False
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
TOOLS = (
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6",
    "jsonschema>=4.20",
    "build>=1.2",
    "setuptools>=77",
)
NO_TORCH = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is not None)"


@nox.session(python=PYTHONS)
def runtime(session: nox.Session) -> None:
    """The wheel with the newest libraries for this Python: tests, and three seconds of the demo."""
    session.install(f"{_wheel(session)}[plot]", *TOOLS)
    _try(session)


@nox.session(python="3.11")
def floors(session: nox.Session) -> None:
    """The same with each dependency at the oldest version that pyproject.toml allows."""
    session.install(f"{_wheel(session)}[plot]", *TOOLS, *_floors(str(session.python)))
    _try(session)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Types and imports are the wheel's: only there `exporters` and `budget_tables` are where they belong."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", str(_folder() / "site"))
    unpacked = _folder() / "unpacked"
    install = ("install", "--quiet", "--no-deps", "--target", str(unpacked), str(_wheel(session)))
    session.run(sys.executable, "-m", "pip", *install)
    session.chdir(unpacked)  # which comes before the checkout
    settings = str(ROOT / "pyproject.toml")
    session.run("mypy", "--config-file", settings, "-p", "a3d_edge")
    session.run("mypy", "--config-file", settings, "--strict", str(ROOT / "examples"))
    session.run("lint-imports", "--no-cache", "--config", settings)


def _try(session: nox.Session) -> None:
    session.run("python", "-c", NO_TORCH)
    session.run("pip", "list")
    bundles = str(_bundles(session))
    session.chdir(session.create_tmp())  # away from the source tree, which tests would import
    session.run(
        "pytest", f"--config-file={ROOT / 'pyproject.toml'}", f"--rootdir={ROOT}", str(ROOT / "tests"),
        "-n", "2", "--dist", "loadfile", *session.posargs, env={"A3D_EDGE_TEST_BUNDLES": bundles},
    )  # fmt: skip
    session.run("a3d-edge", "run", "--source", "demo", "--seconds", "3")


def _floors(python: str) -> list[str]:
    wanted = []
    for text in nox.project.load_toml("pyproject.toml")["project"]["dependencies"]:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            (floor,) = [one.version for one in requirement.specifier if one.operator == ">="]
            wanted.append(f"{requirement.name}=={floor}.*")
    return wanted


@cache
def _folder() -> Path:
    """Of what all sessions of this call share."""
    return Path(mkdtemp(prefix="a3d-edge-nox-"))


def _wheel(session: nox.Session) -> Path:
    built = _folder() / "wheel"
    if not built.exists():
        session.run(
            sys.executable, "-m", "build", "--wheel", "--outdir", str(built), external=True, silent=True
        )
    (wheel,) = built.glob("*.whl")
    return wheel


def _bundles(session: nox.Session) -> Path:
    folder = _folder() / "bundles"
    if not folder.exists():
        session.run(sys.executable, "tests/fixtures_bundle.py", str(folder), external=True)
    return folder
