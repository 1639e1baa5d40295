"""Real processes that train together make the update of one on the same global batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from a3d_edge.models.checkpoint import Checkpoint, load  # noqa: E402
from a3d_edge.models.network import SlimNetwork  # noqa: E402
from a3d_edge.training.start import awaken  # noqa: E402

PROGRAM = """
import sys, torch
from a3d_edge.models import registry
from a3d_edge.models.slow import SlowDescription
from a3d_edge.training import Recipe, train
from a3d_edge.models.network import SlimNetwork
from a3d_edge.training import loop
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double
loop.to_device = lambda clips, place: clips.double()
fit = SlimNetwork.fit
SlimNetwork.fit = lambda self, clips, one: fit(self, clips.double(), one)
registry.ARCHITECTURES["tiny"] = SlowDescription(
    name="tiny", blocks=(1, 1, 1, 1), base_width=8, classes=3, size=32, frames=4, stride=2, dropout=0.0)
clips, out, cache = sys.argv[1:]
recipe = Recipe(arch="tiny", epochs=1, batch=8, lr=1.0, seed=3, precision="fp32", awake=True,
                switchable=True, label_share=0.5)
train([clips], out, recipe, calibration_clips=0, cache=cache)
"""


def run(out: Path, clip_list: Path, cache: Path, processes: int) -> None:
    """Train to ``out`` in so many processes; the environment is what torchrun would set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    torchrun_s = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(clip_list), str(out), str(cache)],
            env={**os.environ, **(ours if processes > 1 else {})},
            stderr=subprocess.PIPE, text=True,
        )
        for ours in torchrun_s
    ]  # fmt: skip
    ended = [(process.communicate(timeout=240)[1], process.returncode) for process in begun]
    assert [code for _, code in ended] == [0] * processes, ended


def test_two_processes_are_as_one(clip_list: Path, tmp_path: Path) -> None:
    """Weights and running statistics after a step with all three sub-passes, students that learn from labels
    too, and batch norms that switch; only the first one writes.

    In double precision, where rounding is all that differs: in single it grows to some per cent of an update
    on its way back to the stem; batch norms of each process's own half would differ by tens of per cent.
    """
    networks = []
    for processes in (1, 2):
        (folder := tmp_path / str(processes)).mkdir()
        run(folder / "net.pth", clip_list, tmp_path / "cache", processes)
        networks.append(load(folder / "net.pth"))
        assert {file.name for file in folder.iterdir()} == {"net.pth", "net.best.pth", "net.metrics.csv"}
    alone, together = networks
    assert alone.origin["steps"] == together.origin["steps"] == 1
    begun = first_weights(alone).state_dict()
    for name, tensor in alone.model.state_dict().items():
        if tensor.is_floating_point():
            update = float((tensor - begun[name]).norm())
            assert update > 1e-4 or ".switched." in name, name  # of levels that no student was at
            assert float((together.model.state_dict()[name] - tensor).norm()) <= 1e-6 * update, name
    switched = {name: t for name, t in alone.model.state_dict().items() if ".switched." in name}
    assert any(bool(tensor.any()) for tensor in switched.values())


def first_weights(checkpoint: Checkpoint) -> SlimNetwork:
    """The network that both began with."""
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(3)
        model = checkpoint.description.build()
    finally:
        torch.set_default_dtype(torch.float32)
    assert checkpoint.model.levels is not None
    model.switch_norms(checkpoint.model.levels)
    awaken(model)
    return model.double()
