"""Prepares a configuration's graphs in a process of its own, at a low priority.

parent ── Task, pickled ──► python, which calls `main` ──► a folder; on stdout why not, if not

So the peak of memory and the holes in the heap that optimizing leaves are not the running process's, and
the network that runs meanwhile keeps the processor. The parent holds stdin open: when that ends, the parent
has ended, and the helper with it.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from a3d_edge.child import command
from a3d_edge.engine.cache.store import describe_entry
from a3d_edge.engine.engines import PreparingEngine, Tensors, find_engine, reason
from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.errors import ResourceError

__all__ = ["NotPreparedError", "StageTask", "Task", "prepare", "prepare_apart"]

NICE = 10
"""A tenth of a core that another thread wants too: a running network is slowed by no more than that."""
PATIENCE_S = 120.0
"""A helper that has not ended by then starves; the network is opened without it."""
LOOK_S = 0.02


class NotPreparedError(Exception):
    """Why it could not be done, in a few words."""


@dataclass(frozen=True, slots=True)
class StageTask:
    """A graph, what is replaced in it, and the shapes of its inputs; those of a clip stage that reads
    features are None: they are what the frame stage gives, ``frames`` of them."""

    graph: GraphFile
    replaced: Tensors
    shapes: Mapping[str, tuple[int, ...]] | None
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Task:
    """What to write into ``folder``, by which engine; ``identity``: the entry's."""

    engine: str
    folder: str
    identity: Mapping[str, str]
    stages: tuple[StageTask, ...]


def prepare(task: Task) -> None:
    """Prepare here. Raises what the engine and the disk raise."""
    engine, folder = find_engine(task.engine), Path(task.folder)
    assert isinstance(engine, PreparingEngine)
    features: dict[str, tuple[int, ...]] = {}
    for stage in task.stages:
        graph, shapes = stage.graph, features if stage.shapes is None else stage.shapes
        engine.write_prepared(graph, stage.replaced, shapes, folder)
        opened = engine.open_prepared(folder, graph.name, shapes, 1)  # what was cut short is noticed here
        if stage.shapes is not None and len(task.stages) > 1:
            row = {name: np.zeros((1, *shape[1:]), np.float32) for name, shape in shapes.items()}
            features = {"features": (stage.frames, *opened.run(row).shape[1:])}
    describe_entry(folder, task.identity)


def prepare_apart(task: Task, stop: threading.Event) -> None:
    """Prepare in a fresh process, and wait for it. Raises `NotPreparedError`, also when told to stop."""
    process = _start()
    try:
        _hand_over(process, task)
        until = time.monotonic() + PATIENCE_S
        while process.poll() is None:
            if stop.wait(LOOK_S) or time.monotonic() > until:
                raise NotPreparedError("stopped" if stop.is_set() else f"no end after {PATIENCE_S:.0f} s")
        if process.returncode:
            raise NotPreparedError(_why(process))
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


def _start() -> subprocess.Popen[bytes]:
    """The helper: it does not hear Ctrl-C, which is for its parent."""
    try:
        words = command("a3d_edge.engine.cache.apart", "main")
    except ResourceError as error:
        raise NotPreparedError(str(error)) from error
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited; ours is put back
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise NotPreparedError(f"its process did not start: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with suppress(OSError):  # from here, so that its imports count too
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
    return process


def _hand_over(process: subprocess.Popen[bytes], task: Task) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it has ended: its exit code says so
        pickle.dump(task, process.stdin)
        process.stdin.flush()


def _why(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    if process.returncode < 0:
        return f"its process was killed by signal {-process.returncode}"
    said = process.stdout.read().decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"its process ended with exit code {process.returncode}"


def main() -> None:
    """The process: a task on stdin; exit code 0 when the folder is an entry."""
    task = pickle.load(sys.stdin.buffer)  # from our parent, through a pipe of its own
    threading.Thread(target=_end_with_parent, daemon=True).start()
    code = 0
    try:
        prepare(task)
    except Exception as error:  # whatever it is, the parent opens the network without us
        code = 1
        sys.stdout.write(reason(error) + "\n")
        sys.stdout.flush()
    os._exit(code)  # not waiting for a thread that waits for the parent


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
