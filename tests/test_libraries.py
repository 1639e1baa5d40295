"""Libraries that cannot be loaded: one line that says what to install, and exit 5."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import a3d_edge.libraries as libraries
from a3d_edge.libraries import installed_opencv, several_opencv, why_not_loaded

NO_GL = "libGL.so.1: cannot open shared object file: No such file or directory"


def run_with(package: str, source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`a3d-edge run` where another package of that name comes first."""
    place = folder / package
    place.mkdir(exist_ok=True)
    (place / "__init__.py").write_text(source)
    command = [sys.executable, "-m", "a3d_edge", "run", "--source", "demo", "--max-predictions", "1"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(folder)}, cwd=folder,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("package", "source", "said"),
    [
        ("cv2", f"raise ImportError({NO_GL!r}, name='cv2')", "libGL.so.1 is missing"),
        ("cv2", f"raise ImportError({NO_GL!r}, name='cv2')", "apt install libgl1"),
        ("cv2", "import nothing_like_this", "pip install --force-reinstall opencv-python-headless"),
        ("onnxruntime", "raise ImportError('no reason')", "ONNX Runtime cannot be loaded (no reason)"),
        ("psutil", "from psutil import _psutil_linux", "pip install --force-reinstall psutil"),
        ("pydantic", "import pydantic_core._nothing", "Pydantic cannot be loaded"),
        (
            "cv2",
            "import sys\nprint('a page of advice', file=sys.stderr)\nprint('and more')\n"
            "raise ImportError('numpy.core.multiarray failed to import')",
            "OpenCV was built for another NumPy than is installed: pip install --upgrade numpy opencv-",
        ),
    ],
)
def test_the_command_line_says_what_to_install(package: str, source: str, said: str, tmp_path: Path) -> None:
    """In one line, without what the library printed on its way."""
    done = run_with(package, source, tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_extension(tmp_path: Path) -> None:
    """As the dynamic loader itself tells it."""
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "_native.abi3.so").touch()
    done = run_with("cv2", "from cv2 import _native", tmp_path)
    assert done.returncode == 5
    assert "file too short" in done.stderr
    assert "pip install --force-reinstall opencv-python-headless" in done.stderr


def loading(text: str, name: str | None = "cv2", path: str | None = None) -> str:
    """What is said of an import that fails so."""
    return why_not_loaded(ImportError(text, name=name, path=path)) or ""


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libGL.so.1", "libgl1"),
        ("libSM.so.6", "libsm6"),
        ("libX11.so.6", "libx11-6"),
        ("libgthread-2.0.so.0", "libglib2.0-0"),
        ("libgcc_s.so.1", "libgcc-s1"),
        ("libstdc++.so.6", "libstdc++6"),
        ("libgomp.so.1", "libgomp1"),
    ],
)
def test_debians_names(library: str, package: str) -> None:
    """Of shared libraries that headless systems lack."""
    assert f"apt install {package})" in loading(f"{library}: cannot open shared object file: No such file")


def test_what_a_wheel_brings_along_is_not_the_systems() -> None:
    """Then the wheel is damaged; the module's file tells whose it is when its name does not."""
    text = "libavcodec-5e6b81c2.so.62.28.102: cannot open shared object file: No such file or directory"
    said = loading(text, name="_core", path="/site-packages/av/_core.abi3.so")
    assert said.startswith("PyAV cannot be loaded (libavcodec")
    assert said.endswith("pip install --force-reinstall av")


def test_a_system_that_is_too_old() -> None:
    """Nothing to install helps."""
    said = loading("/lib/libc.so.6: version `GLIBC_2.28' not found (required by /x/cv2/cv2.abi3.so)")
    assert said == "OpenCV cannot be loaded: it needs GLIBC 2.28, and this system's is older"


def test_what_is_not_installed() -> None:
    """The distribution's name, not the module's."""
    assert why_not_loaded(ModuleNotFoundError("No module named 'cv2'", name="cv2")) == (
        "OpenCV is not installed: pip install opencv-python-headless"
    )


def test_the_reason_behind_the_reason() -> None:
    """NumPy tells a page, and the cause below it."""
    error = ImportError("IMPORTANT: PLEASE READ THIS")
    error.__cause__ = ImportError(
        "libgomp.so.1: cannot open shared object file", path="/x/numpy/_core/_multiarray_umath.so"
    )
    assert (why_not_loaded(error) or "").startswith("NumPy cannot be loaded: the system's libgomp.so.1")


def test_faults_of_ours_are_not_explained_away() -> None:
    """They are to be seen whole: an import of a name that we lack, an error while a library computes."""
    assert why_not_loaded(ImportError("cannot import name 'x'", name="a3d_edge.runtime")) is None
    with pytest.raises(ValueError) as caught:
        np.zeros(3).reshape(2, 2)
    assert why_not_loaded(caught.value) is None
    assert why_not_loaded(OSError(2, "No such file or directory", "clip.mp4")) is None


def test_a_library_that_another_one_loads() -> None:
    """PyTorch loads its own by hand, and an OSError tells of it."""
    error = OSError("libcudart.so.12: cannot open shared object file: No such file or directory")
    scope: dict[str, object] = {"__name__": "torch._C", "error": error}
    with pytest.raises(OSError, match="libcudart"):
        exec("raise error", scope)
    assert (why_not_loaded(error) or "").startswith("PyTorch cannot be loaded: the system's libcudart.so.12")


def test_several_opencv_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They overwrite each other; which to keep depends on what is wanted."""
    assert installed_opencv() == ["opencv-python-headless"]
    assert several_opencv() is None
    info = tmp_path / "opencv_python-5.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 5.0.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_opencv() == ["opencv-python-headless", "opencv-python"]
    said = several_opencv() or ""
    assert said.startswith("opencv-python-headless and opencv-python are installed at once")
    assert said.endswith(
        "pip uninstall -y opencv-python-headless opencv-python && pip install opencv-python-headless"
    )
    assert (several_opencv("opencv-python") or "").endswith("pip install opencv-python")
    assert "pip uninstall -y opencv-python &&" in loading(NO_GL)


def test_every_library_of_ours_has_a_name() -> None:
    """Those that pyproject.toml names, by the module that is imported."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    for _, pip in libraries.LIBRARIES.values():
        assert pip == "pydantic-core" or f'"{pip}' in text, pip
