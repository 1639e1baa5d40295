"""A few rounds of what `benchmarks/kills.py` does in many: processes killed while they write."""

from __future__ import annotations

import importlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a3d_edge.bundle import Bundle
from a3d_edge.files import new_directory

pytest.importorskip("torch")
from fixtures_bundle import SMALLEST, calibrated_checkpoint, copy_of

from a3d_edge.models.checkpoint import load, save

ROUNDS = 6


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("kills")


def killed_again_and_again(write: Callable[[], object], whole: Callable[[], object]) -> None:
    """A child that writes without end, killed at a random moment each time."""
    rng = random.Random(0)
    for _ in range(ROUNDS):
        child = os.fork()
        if child == 0:
            while True:
                write()
        time.sleep(rng.uniform(0.02, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole()


def test_a_checkpoint_is_whole_after_every_kill(tmp_path: Path) -> None:
    """The one before, or the new one."""
    checkpoint, path = calibrated_checkpoint([SMALLEST]), tmp_path / "net.pth"
    save(checkpoint, path)
    killed_again_and_again(lambda: save(checkpoint, path), lambda: load(path))


def test_a_bundle_is_whole_after_every_kill(bundle_folder: Path, tmp_path: Path) -> None:
    """Every file by its sum; what was being written has a name that nobody reads."""
    out = copy_of(bundle_folder, tmp_path / "bundle")

    def write() -> None:
        with new_directory(out) as work:
            for file in bundle_folder.iterdir():
                (work / file.name).write_bytes(file.read_bytes())

    killed_again_and_again(write, lambda: Bundle.load(out))
    assert all(path.name.startswith(".bundle.") for path in tmp_path.iterdir() if path != out)


def test_half_a_thing_is_noticed(kills: Any, tmp_path: Path, bundle_folder: Path) -> None:
    """Also the script can fail: on a bundle without its last bytes, and on one that has gone."""
    out = copy_of(bundle_folder, tmp_path / "bundle")
    weights = out / "weights.bin"
    damage = [lambda: weights.write_bytes(weights.read_bytes()[:-9]), lambda: kills.shutil.rmtree(out)]
    for done, said in zip(
        damage, ("what a kill left is accepted", "what was there before is gone"), strict=True
    ):
        work = kills.Work("export", lambda there: [], out, kills.whole_bundle)
        kills.killed = lambda words, log, after_s, done=done: done() or True
        with pytest.raises(SystemExit, match=said):
            kills.one_round(work, tmp_path / "log", 0.1, random.Random(0))
