"""Starts Python for a helper process: it finds the modules that we found, and none in the working folder.

``python -m`` and ``python -c`` look for modules in the working folder before any other place: a
``psutil.py`` in it, or in a bundle that somebody stands in, would be executed. ``-I`` keeps it out (Python
3.10 has no other switch for that), but ``PYTHONPATH`` and the user's own packages too: they are handed over.
Nor are shared libraries to come from there, which importing OpenCV would have every program do.
"""

from __future__ import annotations

import os
import re
import site
import sys
from collections.abc import Collection
from pathlib import Path

from a3d_edge.errors import ResourceError

__all__ = ["command", "forget_working_folder", "module_places"]

PROGRAM = """\
import site, sys
for place in {users!a}: site.addsitedir(place)
sys.path[:] = list(dict.fromkeys([*{places!a}, *sys.path]))
from {module} import {function}
{function}()
"""


def command(module: str, function: str) -> list[str]:
    """The words that start a fresh interpreter, which calls a function without arguments.

    Raises `ResourceError` where there is no interpreter to start (a frozen application).
    """
    forget_working_folder()
    if getattr(sys, "frozen", False) or not sys.executable:
        raise ResourceError("this application brings no Python interpreter to start a helper process with")
    # As a site folder, not only a place: what is installed there editably is found by hooks that it sets up.
    users = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    program = PROGRAM.format(users=users, places=module_places(), module=module, function=function)
    # File names must be spelled as the parent spells them; -I also forgets a wish for no byte code.
    flags = ["-I", f"-Xutf8={sys.flags.utf8_mode}", *(["-B"] if sys.dont_write_bytecode else [])]
    return [sys.executable, *flags, "-c", program]


def forget_working_folder() -> None:
    """Take the working folder out of ``LD_LIBRARY_PATH``, unless it is spelled out there.

    Importing cv2 appends an empty place to that variable, for subprocesses, and empty means the working
    folder: any program that this process starts (a helper, matplotlib's ``fc-list``) would look there.
    """
    given = os.environ.get("LD_LIBRARY_PATH")
    if given is None:
        return
    kept = [place for place in re.split("[:;]", given) if Path(place).is_absolute() or _is_elsewhere(place)]
    if kept:
        os.environ["LD_LIBRARY_PATH"] = ":".join(kept)
    else:
        del os.environ["LD_LIBRARY_PATH"]


def module_places() -> list[str]:
    """The places of `sys.path`, without the working folder, however it came there.

    It stays where ``PYTHONPATH`` spells it out: an empty or relative entry of that means another folder
    wherever one stands, and nobody can have meant all of them. It comes last where this package itself was
    found in it: then we run from a checkout, but the other modules are still the installed ones.
    """
    spelled = {Path(one) for one in os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    found = [place for place in sys.path if _is_elsewhere(place) or _is_spelled(place, spelled)]
    ours = str(Path(__file__).absolute().parent.parent)
    return found if _is_elsewhere(ours) or ours in found else [*found, ours]


def _is_elsewhere(place: str) -> bool:
    if not place:
        return False
    try:
        return not Path(place).samefile(Path())
    except OSError:  # no such place, or the working folder has been removed
        return True


def _is_spelled(place: str, spelled: Collection[Path]) -> bool:
    return Path(place).is_absolute() and Path(place) in spelled
