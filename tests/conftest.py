"""Shared fixtures: a tiny network with every weight alive, its checkpoint, and small real clips on disk."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from fixtures_bundle import Here, main_here, shared_bundle, shared_slowfast, write_video

from a3d_edge.bundle import Bundle

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.network import NetworkDescription
    from a3d_edge.models.slow import Slow, SlowDescription
    from a3d_edge.models.slowfast import SlowFastDescription
    from a3d_edge.models.x3d import X3DDescription
    from a3d_edge.training.decode import DecodedClip, FrameCache

try:
    import torch
except ImportError:  # the runtime's own tests need none
    pass
else:
    torch.set_num_threads(1)

# A background job, as CI may be, ignores Ctrl-C, and its children with it: the tests send it for real.
signal.signal(signal.SIGINT, signal.default_int_handler)

HAS_TORCH = importlib.util.find_spec("torch") is not None
if not HAS_TORCH:  # what is left is the runtime's; bundles to run come from elsewhere (see noxfile.py)
    collect_ignore_glob = [
        "test_benchmarks_performance.py",
        "test_benchmarks_kills.py",
        "test_cli_import.py",
        "test_cli_table.py",
        "test_docs_commands.py",
        "test_exporters_*.py",
        "test_external_data.py",
        "test_models_*.py",
        "test_training_batches.py",
        "test_training_begin.py",
        "test_training_start.py",
        "test_training_tabulate.py",
        "test_training_threads.py",
        "test_training_calibrate.py",
        "test_training_distillation.py",
        "test_training_evaluation.py",
        "test_training_loop.py",
        "test_training_mixup.py",
        "test_training_multilabel.py",
        "test_training_tuning.py",
        "test_cli_multilabel.py",
    ]

CLASSES = ("right", "down", "still")
WIDTH, HEIGHT, RATE, FRAMES = 48, 40, 30.0, 24


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without PyTorch, tests with the mark ``torch`` are skipped; the modules above are not looked at."""
    if not HAS_TORCH:
        for item in items:
            if item.get_closest_marker("torch"):
                item.add_marker(pytest.mark.skip(reason="needs PyTorch"))


@pytest.fixture(autouse=True)
def _no_saved_profiles(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own device profiles and settings do not change what `run` does in a test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))
    monkeypatch.setattr("a3d_edge.engine.checked._place", lambda: tmp_path_factory.getbasetemp() / "checked")


@pytest.fixture(autouse=True)
def _no_leaving_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that some test abandoned is no reason for a command in this process to end it."""
    monkeypatch.setattr("a3d_edge.cli._leave", sys.exit)


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs a command line inside this process: (exit code, stdout, stderr)."""
    return lambda *arguments: main_here(capfd, monkeypatch, *arguments)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a 1 MB disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False).returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle on disk; not to be altered."""
    return shared_bundle(tmp_path_factory)


@pytest.fixture(scope="session")
def bundle(bundle_folder: Path) -> Bundle:
    """The tiny bundle, loaded."""
    return Bundle.load(bundle_folder)


@pytest.fixture(scope="session")
def slowfast_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny SlowFast's bundle on disk; not to be altered."""
    return shared_slowfast(tmp_path_factory)


@pytest.fixture(scope="session")
def slowfast(slowfast_folder: Path) -> Bundle:
    """The tiny SlowFast's bundle, loaded."""
    return Bundle.load(slowfast_folder)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 60 frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", 60)


@pytest.fixture
def tiny_description() -> SlowDescription:
    """The smallest useful member of the Slow family: windows of 4 frames, 2 apart, of 32×32."""
    from a3d_edge.models.slow import SlowDescription

    return SlowDescription(
        name="tiny", blocks=(1, 1, 1, 1), base_width=8, classes=3, size=32, frames=4, stride=2, dropout=0.0
    )


@pytest.fixture
def tiny_slowfast() -> SlowFastDescription:
    """A small SlowFast: 4 slow frames, 4 apart, and 16 Fast ones, all of 32×32."""
    from a3d_edge.models.slowfast import SlowFastDescription

    return SlowFastDescription(
        name="tiny_slowfast", blocks=(1, 1, 1, 1), base_width=16, alpha=4, beta_inv=4,
        classes=3, size=32, frames=4, stride=4, dropout=0.0,
    )  # fmt: skip


@pytest.fixture
def tiny_x3d() -> X3DDescription:
    """A small X3D: windows of 4 frames, 2 apart, of 32×32; res3 also has a block without excitation."""
    from a3d_edge.models.x3d import X3DDescription

    return X3DDescription(
        name="tiny_x3d", blocks=(1, 2, 1, 1), base_width=8, features=64,
        classes=3, size=32, frames=4, stride=2, dropout=0.0,
    )  # fmt: skip


@pytest.fixture
def lively() -> Callable[..., Any]:
    """Builds a description's network in eval mode, with no weight, bias or statistic at its initial value.

    Fresh blocks are the identity (their last batch norm is 0), which would hide mistakes inside them.
    """

    def build(description: NetworkDescription, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        model = description.build().eval()
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.dim() == 1:
                low = 0.5 if name.endswith(("norm.weight", "running_var")) else -0.3
                tensor.data.uniform_(low, low + 1.0)
        return model

    return build


@pytest.fixture
def tiny_network(tiny_description: SlowDescription, lively: Callable[..., Slow]) -> Slow:
    """A lively tiny network in eval mode."""
    return lively(tiny_description)


@pytest.fixture
def tiny_checkpoint(tiny_network: Slow) -> Checkpoint:
    """The tiny network as a checkpoint of the three classes."""
    from a3d_edge.models.checkpoint import Checkpoint

    return Checkpoint(tiny_network, CLASSES)


@pytest.fixture(scope="session")
def clip_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV (path, label, group, fold) of 12 real mp4 clips in class folders.

    A square moves right, down, or not, for 24 frames of 48×40 at 30 fps.
    Scene i of every class is group ``scene<i>`` and lies in fold i % 2.
    """
    root = tmp_path_factory.mktemp("clips")
    with (root / "list.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "group", "fold"))
        for label in CLASSES:
            (root / label).mkdir()
            for scene in range(4):
                _write_square(root / label / f"{scene}.mp4", label, scene)
                rows.writerow((f"{label}/{scene}.mp4", label, f"scene{scene}", scene % 2))
    return root / "list.csv"


@pytest.fixture(scope="session")
def frame_cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    """One cache of decoded frames for all tests that only read clips."""
    from a3d_edge.training.decode import FrameCache

    return FrameCache(tmp_path_factory.mktemp("cache"))


def _write_square(path: Path, label: str, scene: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(FRAMES):
        image = np.full((HEIGHT, WIDTH, 3), 40 + 15 * scene, np.uint8)
        left = 4 + (number if label == "right" else 3 * scene)
        top = 4 + (number if label == "down" else 3 * scene)
        image[top : top + 10, left : left + 10] = (60, 140, 230)
        writer.write(image)
    writer.release()


@pytest.fixture
def real_clip(clip_list: Path, frame_cache: FrameCache) -> DecodedClip:
    """A square that moves right, through the cache."""
    from a3d_edge.training.clips import Clip

    return frame_cache.get(Clip("right", clip_list.parent / "right" / "0.mp4"))
