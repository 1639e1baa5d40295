"""Libraries that are there and cannot be loaded, and OpenCV, of which several may be installed at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OPENCV", "installed_opencv", "several_opencv", "why_not_loaded"]

OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
"""Distributions that all install the one folder `cv2`: the last one wins."""

LIBRARIES = {
    "av": ("PyAV", "av"),
    "cv2": ("OpenCV", OPENCV[0]),
    "matplotlib": ("Matplotlib", "matplotlib"),
    "numpy": ("NumPy", "numpy"),
    "onnx_ir": ("ONNX IR", "onnx-ir"),
    "onnxruntime": ("ONNX Runtime", "onnxruntime"),
    "openvino": ("OpenVINO", "openvino"),
    "psutil": ("psutil", "psutil"),
    "pydantic": ("Pydantic", "pydantic"),
    "pydantic_core": ("Pydantic", "pydantic-core"),
    "pydantic_settings": ("pydantic-settings", "pydantic-settings"),
    "rich": ("Rich", "rich"),
    "sklearn": ("scikit-learn", "scikit-learn"),
    "torch": ("PyTorch", "torch"),
}
"""By the name that is imported: what people call it, and what pip does."""

_SHARED = re.compile(r"(?:^|[\s/])([^\s/:]+\.so(?:\.[\w.]+)?): ([\w ]+)")
_BUNDLED = re.compile(r"-[0-9a-f]{8}\.so")
"""Shared libraries that a wheel brings along carry a hash in their names."""
_TOO_OLD = re.compile(r"version `(\w+?)_([\d.]+)' not found")
_ANOTHER_NUMPY = re.compile(r"multiarray failed to import|_ARRAY_API|numpy\.\w+ size changed")

DEBIAN = {"libgthread-2.0.so.0": "libglib2.0-0", "libglib-2.0.so.0": "libglib2.0-0", "libz.so.1": "zlib1g"}
"""Packages that are not named by Debian's rule, as `_package` is."""


def why_not_loaded(error: Exception) -> str | None:
    """What is wrong with the library whose import raised this, and what to install; None if none did."""
    causes = [" ".join(str(one).split()) for one in _chain(error)]
    another_numpy = any(_ANOTHER_NUMPY.search(cause) for cause in causes)
    if not (isinstance(error, ImportError) or another_numpy or _SHARED.search(causes[0])):
        return None
    module = next((found for found in _modules(error) if found is not None), None)
    if module is None:
        return None
    people, pip = LIBRARIES[module]
    if isinstance(error, ModuleNotFoundError) and error.name == module:
        return f"{people} is not installed: pip install {pip}"
    if another_numpy:
        return f"{people} was built for another NumPy than is installed: pip install --upgrade numpy {pip}"
    for cause in causes:
        if old := _TOO_OLD.search(cause):
            return f"{people} cannot be loaded: it needs {old[1]} {old[2]}, and this system's is older"
        if (shared := _SHARED.search(cause)) and _is_of_the_system(shared[1]):
            return f"{people} cannot be loaded: {_of_the_system(shared[1], shared[2], module)}"
    said = re.sub(r"/\S*/", "", causes[0])[:160]
    return f"{people} cannot be loaded ({said}); install it anew: pip install --force-reinstall {pip}"


def installed_opencv() -> list[str]:
    """The distributions of OpenCV that are installed."""
    import importlib.metadata  # 14 ms, and seldom needed

    found = []
    for name in OPENCV:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def several_opencv(wanted: str = OPENCV[0]) -> str | None:
    """One line when several are installed; ``wanted``: the one to keep."""
    found = installed_opencv()
    if len(found) < 2:
        return None
    return (
        f"{' and '.join(found)} are installed at once, into the same folder; keep one: "
        f"pip uninstall -y {' '.join(found)} && pip install {wanted}"
    )


def _modules(error: Exception) -> Iterator[str | None]:
    """Which of our libraries an error may be of, the surest first: what it names, where it comes from."""
    for one in reversed(list(_chain(error))):
        if isinstance(one, ImportError):
            yield _known((one.name or "").split("."))
            yield _known(Path(one.path or "").parts)
    trace, modules = error.__traceback__, list[str]()
    while trace is not None:
        modules.append(str(trace.tb_frame.f_globals.get("__name__")).split(".")[0])
        trace = trace.tb_next
    yield _known(modules)


def _known(names: list[str] | tuple[str, ...]) -> str | None:
    return next((name for name in reversed(names) if name in LIBRARIES), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_the_system(library: str) -> bool:
    return library.startswith("lib") and not _BUNDLED.search(library)


def _of_the_system(library: str, why: str, module: str) -> str:
    state = "is missing" if why.startswith("cannot open") else f"cannot be used ({why.strip()})"
    said = f"the system's {library} {state}; install it (Debian, Ubuntu: apt install {_package(library)})"
    if module == "cv2" and (with_windows := [name for name in installed_opencv() if name != OPENCV[0]]):
        said += (
            f", or take the OpenCV that needs none: pip uninstall -y {' '.join(with_windows)} && "
            f"pip install --force-reinstall {OPENCV[0]}"
        )
    return said


def _package(library: str) -> str:
    """The Debian package of a shared library: its name and version, small, without signs that names lack."""
    name, _, version = library.partition(".so")
    name, version = name.lower().replace("_", "-"), version.strip(".")
    return DEBIAN.get(library, f"{name}{'-' if name[-1:].isdigit() and version else ''}{version}")
