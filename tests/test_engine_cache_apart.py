"""The helper process that prepares: it answers, and it ends, whatever becomes of it or of its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fixtures_bundle import LARGEST, TWO_PATHWAYS, shared_bundle, shared_slowfast

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.cache.apart import NICE, NotPreparedError, Task, prepare, prepare_apart
from a3d_edge.engine.cache.prepared import stages_of
from a3d_edge.engine.engines import find_engine

PATIENCE_S = 20.0


def children() -> list[int]:
    """Processes that this one has started and that have not ended, but for multiprocessing's own.

    Its trackers live as long as the process, whichever module's tests needed one.
    """
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += [int(word) for word in (thread / "children").read_text().split()]
    return [one for one in found if b"from multiprocessing." not in command_line(one)]


def first_child() -> int:
    """The helper being started, once it is a program of its own: until then its parent waits for it."""
    until = time.monotonic() + PATIENCE_S
    while not (found := [one for one in children() if is_helper(one)]):
        assert time.monotonic() < until
    return found[0]


def is_helper(process: int) -> bool:
    return b"a3d_edge.engine.cache.apart" in command_line(process)


def command_line(process: int) -> bytes:
    """Empty once it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def state(process: int) -> str:
    """As the kernel says it: R, S, T … or nothing once it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


@pytest.fixture
def task(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Task:
    """The largest configuration of the tiny bundle."""
    return task_of(Bundle.load(shared_bundle(tmp_path_factory)), LARGEST, tmp_path)


def task_of(bundle: Bundle, configuration: Configuration, folder: Path) -> Task:
    engine = find_engine("ort:CPU")
    identity = {"configuration": str(configuration)}
    return Task(engine.name, str(folder), identity, stages_of(bundle.files_of(configuration), engine))


class Apart(threading.Thread):
    """`prepare_apart` beside the test."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.stop, self.task, self.error = threading.Event(), task, None

    error: Exception | None

    def run(self) -> None:
        try:
            prepare_apart(self.task, self.stop)
        except NotPreparedError as error:
            self.error = error


@pytest.fixture
def apart(task: Task) -> Iterator[Apart]:
    """Started, and ended whatever happens."""
    thread = Apart(task)
    thread.start()
    yield thread
    thread.stop.set()
    thread.join(PATIENCE_S)


def test_what_is_made_apart_is_what_is_made_here(
    task: Task, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same files with the same weights, of both stages and of two pathways; nothing is left running."""
    slowfast = task_of(Bundle.load(shared_slowfast(tmp_path_factory)), TWO_PATHWAYS[0], Path(task.folder))
    for one in (task, slowfast):
        made = []
        for way in (lambda given: prepare_apart(given, threading.Event()), prepare):
            folder = tmp_path_factory.mktemp("made")
            way(Task(one.engine, str(folder), one.identity, one.stages))
            made.append({file.name: file.read_bytes() for file in folder.iterdir()})
        assert made[0].keys() == made[1].keys()
        weights = [name for name in made[0] if name.endswith(".data")]  # nodes are numbered as it happens
        assert [made[0][name] for name in weights] == [made[1][name] for name in weights]
        assert len(made[0]) == 1 + 2 * len(one.stages)
    assert children() == []


def test_it_has_a_low_priority_and_does_not_hear_ctrl_c(apart: Apart) -> None:
    """Ctrl-C goes to every process of the terminal: what it means to the run, the run decides."""
    helper = first_child()
    os.kill(helper, signal.SIGINT)
    own, found = os.getpriority(os.PRIO_PROCESS, 0), None
    while apart.is_alive() and found != min(19, own + NICE):
        with suppress(OSError):
            found = os.getpriority(os.PRIO_PROCESS, helper)
    assert found == min(19, own + NICE)
    apart.join(PATIENCE_S)
    assert apart.error is None


def test_it_is_ended_at_once_when_told_to_stop(apart: Apart) -> None:
    """Also one that does not move."""
    helper = first_child()
    os.kill(helper, signal.SIGSTOP)
    begun = time.monotonic()
    apart.stop.set()
    apart.join(PATIENCE_S)
    assert time.monotonic() - begun < 1.0
    assert str(apart.error) == "stopped"
    assert state(helper) == ""


def test_a_killed_one_is_noticed(apart: Apart) -> None:
    """By the out-of-memory killer, as a rule."""
    os.kill(first_child(), signal.SIGKILL)
    apart.join(PATIENCE_S)
    assert str(apart.error) == "its process was killed by signal 9"


def test_it_says_why_it_failed_and_nothing_else(task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    """On its own stdout, in one line; nothing of it reaches ours or stderr."""
    Path(task.folder).rmdir()
    with pytest.raises(
        NotPreparedError, match=r"w1\.00\.frame\.onnx: ONNX Runtime refuses the graph"
    ) as caught:
        prepare_apart(task, threading.Event())
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("executable", ["", "/nowhere/python", "/bin/false"])
def test_without_an_interpreter_it_says_so(
    task: Task, monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    """An application that brings its own; one that was moved; one that is no Python."""
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(NotPreparedError, match=r"brings no Python|did not start: No such file|exit code 1"):
        prepare_apart(task, threading.Event())
    assert children() == []


ORPHAN = """
import threading
from a3d_edge.engine.cache import apart as prepare_apart
threading.Thread(target=prepare_apart._end_with_parent).start()
print("ready", flush=True)
threading.Event().wait()
"""


def test_it_ends_with_its_parent() -> None:
    """However that ends: its end of the pipe is closed then."""
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 1
