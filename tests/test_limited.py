"""A child of ours may crash, hang, eat memory or processor time: the parent says so, and lives."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from a3d_edge import limited
from a3d_edge.errors import BundleError, ResourceError
from a3d_edge.limited import Limits, LostError, run_limited, serve

LIMITS = Limits(memory=1 << 30, cpu_s=30, silence_s=60.0)


def main() -> None:
    """What the child of these tests does."""
    serve(_work)


def _work(task: Mapping[str, Any]) -> Iterator[Any]:
    what = task["what"]
    print("chatter of an engine", flush=True)
    yield {"core": resource.getrlimit(resource.RLIMIT_CORE)[0], "pid": os.getpid()}
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "hang":
        time.sleep(1000)
    if what == "spin":
        while True:
            pass
    if what == "memory":
        yield len(bytearray(4 << 30))
    if what == "error":
        raise BundleError("it is spoiled")
    if what == "exit":
        os._exit(7)
    yield 2


def said(monkeypatch: pytest.MonkeyPatch, what: str, limits: Limits = LIMITS) -> Iterator[Any]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return run_limited("test_limited", "main", {"what": what}, limits)


def test_steps_are_told_and_chatter_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no core file to be left."""
    first, second = said(monkeypatch, "well")
    assert (first["core"], second) == (0, 2)


@pytest.mark.parametrize(
    ("what", "limits", "error", "message"),
    [
        ("crash", LIMITS, LostError, "it crashed, SIGSEGV"),
        ("exit", LIMITS, LostError, "it ended with exit code 7"),
        ("error", LIMITS, BundleError, "it is spoiled"),
        ("memory", LIMITS, ResourceError, "out of memory"),
        ("spin", Limits(1 << 30, 2, 300.0), LostError, "its processor time ran out"),
        ("hang", Limits(1 << 30, 30, 3.0), LostError, "no end after 3 s"),
    ],
)
def test_however_it_ends_it_is_told(
    monkeypatch: pytest.MonkeyPatch, what: str, limits: Limits, error: type[Exception], message: str
) -> None:
    """In a few words."""
    with pytest.raises(error, match=message):
        list(said(monkeypatch, what, limits))


def test_it_ends_with_whoever_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the command is terminated."""
    steps = said(monkeypatch, "hang")
    pid = next(steps)["pid"]
    assert psutil.pid_exists(pid)
    steps.close()  # type: ignore[attr-defined]
    assert not psutil.pid_exists(pid)


def test_a_word_without_an_end_is_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not kept in memory."""
    monkeypatch.setattr(limited, "LINE_BYTES", 10)
    with pytest.raises(LostError, match="a word without an end"):
        list(said(monkeypatch, "well"))
