"""Runs a function of ours in a process that may be lost: with limits, and ended with ours.

    parent ── a task, JSON ──► python, which calls a function ──► lines of JSON, a step each, and an end

A crash, a limit reached, or no word for too long is an error of ours, and nothing worse. The child holds its
stdin open: when that ends, the parent has ended, however that was.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from a3d_edge import errors
from a3d_edge.child import command
from a3d_edge.errors import A3DEdgeError, ResourceError
from a3d_edge.json_text import json_text

__all__ = ["Limits", "LostError", "lower", "run_limited", "serve"]

LINE_BYTES = 1_000_000


class LostError(Exception):
    """How a child ended that did not say so itself, in a few words."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of memory of its own, seconds of processor time, and seconds without a word."""

    memory: int
    cpu_s: int
    silence_s: float


def run_limited(module: str, function: str, task: Mapping[str, Any], limits: Limits) -> Iterator[Any]:
    """What the function says, step by step. To be exhausted, or closed, which ends the child.

    Raises what it raised of our errors, `LostError` when the child was lost, `ResourceError` where none can
    be started.
    """
    sent = {**task, "limits": [limits.memory, limits.cpu_s]}
    process = _start(command(module, function))
    try:
        assert process.stdin is not None
        with suppress(OSError):  # it has ended: that is told below
            process.stdin.write(json_text(sent).encode() + b"\n")
            process.stdin.flush()
        for line in _lines(process, limits.silence_s):
            said = json.loads(line)
            if "error" in said:
                raise _error(*said["error"])
            if "end" in said:
                return
            yield said["step"]
        raise LostError(_how(process.wait(5)))
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        process.wait()


def serve(work: Callable[[Mapping[str, Any]], Iterator[Any]]) -> None:
    """The child's side: reads its task, takes its limits, and says each step of ``work``. Does not return."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what an engine prints is no word of ours
    task = json.loads(sys.stdin.buffer.readline())
    _limit(*task["limits"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for step in work(task):
            print(json_text({"step": step}), file=out, flush=True)
        said: dict[str, Any] = {"end": True}
    except A3DEdgeError as error:
        said = {"error": [type(error).__name__, str(error)]}
    except MemoryError:
        said = {"error": [ResourceError.__name__, "out of memory"]}
    print(json_text(said), file=out, flush=True)
    os._exit(0)  # not waiting for a thread that waits for the parent


def lower(memory: int, cpu_s: int) -> None:
    """In the child: from here on no more than so many bytes, and seconds of processor time, are added."""
    has: int = getattr(psutil.Process().memory_info(), "data", 0)  # Linux alone tells it
    _limit(has + memory, int(time.process_time()) + cpu_s)


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    """It does not hear Ctrl-C, which is for its parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited; ours is put back
    try:
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise ResourceError(f"a process to try it in did not start ({error.strerror})") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lines(process: subprocess.Popen[bytes], silence_s: float) -> Iterator[bytes]:
    """Whole lines of its stdout. Raises `LostError` when none comes for so long, or one is endless."""
    assert process.stdout is not None
    handle, rest, until = process.stdout.fileno(), b"", time.monotonic() + silence_s
    while True:
        if not select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
            raise LostError(f"no end after {silence_s:.0f} s")
        block = os.read(handle, 65536)
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        if max(map(len, (*lines, rest))) > LINE_BYTES:
            raise LostError("a word without an end")
        if lines:
            until = time.monotonic() + silence_s
        yield from lines


def _limit(memory: int, cpu_s: int) -> None:
    for what, wanted, last in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_DATA, memory, memory),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 5),  # a word, by SIGXCPU, before it is killed
    ):
        hard = resource.getrlimit(what)[1]
        soft, most = (one if hard == resource.RLIM_INFINITY else min(one, hard) for one in (wanted, last))
        with suppress(OSError, ValueError):  # a system that does not know it
            resource.setrlimit(what, (soft, most))


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _error(name: str, message: str) -> A3DEdgeError:
    kind = getattr(errors, name, A3DEdgeError)
    found: A3DEdgeError = kind(message)
    return found


def _how(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "its processor time ran out"
    if code < 0:
        with suppress(ValueError):
            return f"it crashed, {signal.Signals(-code).name}"
    return f"it ended with exit code {code}"
