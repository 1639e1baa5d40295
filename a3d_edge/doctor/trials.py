"""What can hang or crash is tried in a process of its own, which is killed when it does not answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a3d_edge.child import command
from a3d_edge.doctor.check import Check, ok, unwell
from a3d_edge.errors import A3DEdgeError, ResourceError

__all__ = ["Trial", "camera", "display", "network", "tried"]

CAMERA_S, DISPLAY_S, NETWORK_S = 8.0, 10.0, 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """``told``: what the process found; None where it failed. ``said``: why, in words."""

    told: dict[str, Any] | None
    said: str = ""


Try = Callable[[str, tuple[str, ...], float], Trial]


def tried(function: str, words: tuple[str, ...], seconds: float) -> Trial:
    """Call a function of this module with ``words`` in another process. Never hangs, never raises."""
    try:
        started = subprocess.Popen(
            [*command("a3d_edge.doctor.trials", function), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ResourceError) as error:
        return Trial(None, f"no process could be started ({error})")
    try:
        out, _ = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Trial(None, f"no answer within {seconds:.0f} s")
    finally:
        with suppress(OSError):
            os.killpg(started.pid, signal.SIGKILL)  # and its own helpers
        if started.stdout is not None:
            started.stdout.close()  # one that cannot be killed (a driver's read) is not waited for
    return _answer(out, started.returncode)


def _answer(out: bytes, code: int) -> Trial:
    try:
        told = json.loads(out.decode("utf-8", "replace").strip().rpartition("\n")[2])
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Trial(None, f"it crashed ({signal.Signals(-code).name if code < 0 else f'code {code}'})")
    return Trial(None, str(told["error"])) if "error" in told else Trial(told)


def camera(number: int, trying: Try = tried) -> Check:
    """One picture of a camera."""
    name = f"camera {number}"
    trial = trying("try_camera", (str(number),), CAMERA_S)
    if trial.told is None:
        return unwell(
            name, trial.said,
            "check its cable and who else uses it (fuser /dev/video*); the user must be in the group video",
        )  # fmt: skip
    return ok(name, f"{trial.told['width']}x{trial.told['height']}")


def display(has_windows: bool, named: str | None, trying: Try = tried) -> Check:
    """A window, where there is a display and an OpenCV that has any."""
    if named is None:
        return ok("display", "none: --show cannot be used, all else can")
    if not has_windows:
        return unwell(
            "display", f"{named}, but this OpenCV has no windows: --show cannot be used",
            "pip uninstall -y opencv-python-headless && pip install opencv-python",
        )  # fmt: skip
    trial = trying("try_display", (), DISPLAY_S)
    if trial.told is None:
        return unwell(
            "display",
            f"{named}: {trial.said}",
            "check DISPLAY and who may connect to it (xhost), or unset it",
        )
    return ok("display", named)


def network(bundle: str, engine: str, trying: Try = tried) -> Check:
    """A bundle, verified and opened by an engine, and a window of its smallest configuration."""
    trial = trying("try_network", (bundle, engine), NETWORK_S)
    if trial.told is None:
        return unwell(
            "network", trial.said,
            f"export the bundle again, or name another --bundle or --engine; a3d-edge verify {bundle}",
            fails=True,
        )  # fmt: skip
    told = trial.told
    return ok("network", f"{told['name']}, {engine}: {told['configuration']} in {told['ms']:.1f} ms")


def try_camera() -> None:
    """What that process does."""
    from a3d_edge.video.opencv import Capture

    def picture() -> dict[str, Any]:
        capture = Capture(int(sys.argv[1]))
        found = capture.read()
        if found is None:
            return {"error": "it opens, and gives no picture"}
        height, width = found[0].shape[:2]
        return {"width": width, "height": height}

    _tell(picture)


def try_display() -> None:
    """The same for a window."""

    def window() -> dict[str, Any]:
        from a3d_edge.sinks.overlay import open_trial_window

        open_trial_window()
        return {}

    _tell(window)


def try_network() -> None:
    """The same for a bundle."""

    def opened() -> dict[str, Any]:
        from a3d_edge.bundle import Bundle
        from a3d_edge.engine.engines import find_engine
        from a3d_edge.engine.rehearsal import rehearsal_ms

        bundle = Bundle.find(sys.argv[1])
        smallest = bundle.configurations[0]
        opened = bundle.open(smallest, engine=find_engine(sys.argv[2]))
        name = Path(bundle.path).name
        return {"name": name, "configuration": str(smallest), "ms": rehearsal_ms(opened)}

    _tell(opened)


def _tell(find: Callable[[], dict[str, Any]]) -> None:
    try:
        told = find()
    except (A3DEdgeError, ImportError, OSError) as error:
        told = {"error": " ".join(str(error).split())}
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    sys.stdout.flush()
    os._exit(0)  # a driver's thread may not let go
