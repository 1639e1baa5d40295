"""Real bundles of tiny networks, real videos, and sources and events of our own to run them with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.events import Prediction, Switch
from a3d_edge.manifest import digest, manifest_digest, manifest_text
from a3d_edge.video.frame import Frame
from a3d_edge.video.sampler import pathways

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.network import Clips, NetworkDescription, SlimNetwork

CLASSES = ("right", "down", "still")
CONFIGURATIONS = tuple(
    Configuration.parse(name)
    for name in (
        "w0.50-s18-t1",
        "w0.50-s32-t2",
        "w0.50-s32-t4",
        "w0.70-s23-t3",
        "w1.00-s32-t4",
        "w1.00-s37-t4",
    )
)
SMALLEST, LARGEST = CONFIGURATIONS[0], CONFIGURATIONS[-1]
TWO_PATHWAYS = tuple(
    Configuration.parse(name)
    for name in (
        "w0.50-s32-t1",
        "w0.50-s19-t2",
        "w0.70-s27-t3",
        "w1.00-s32-t4",
        "w1.00-s37-t4",
    )
)
"""Of the tiny SlowFast: odd sizes, and one larger than 32, where the Fast pathway's pictures grow too."""
_BUILT: dict[str, Path] = {}


def tiny_slow() -> NetworkDescription:
    """4-frame windows, 2 apart, of 32×32."""
    from a3d_edge.models.slow import SlowDescription

    return SlowDescription(
        name="tiny", blocks=(1, 1, 1, 1), base_width=8, classes=3, size=32, frames=4, stride=2, dropout=0.0
    )


def tiny_slowfast(**changes: Any) -> NetworkDescription:
    """The slow pathway sees 4 frames, 4 apart, the Fast one 16 of 32×32 and always all of them."""
    from a3d_edge.models.slowfast import SlowFastDescription

    description = SlowFastDescription(
        name="tiny_slowfast", blocks=(1, 1, 1, 1), base_width=16, alpha=4, beta_inv=4, classes=3, size=32,
        frames=4, stride=4, dropout=0.0,
    )  # fmt: skip
    return description.model_copy(update=changes)


def tiny_x3d(**changes: Any) -> NetworkDescription:
    """4-frame windows, 2 apart, of 32×32; a stage with and a block without squeeze–excitation."""
    from a3d_edge.models.x3d import X3DDescription

    description = X3DDescription(
        name="tiny_x3d", blocks=(2, 1, 1, 1), base_width=8, features=32, classes=3, size=32, frames=4,
        stride=2, dropout=0.0,
    )  # fmt: skip
    return description.model_copy(update=changes)


def tiny_r2plus1d(**changes: Any) -> NetworkDescription:
    """4-frame windows, 2 apart, of 32×32."""
    from a3d_edge.models.r2plus1d import R2Plus1DDescription

    description = R2Plus1DDescription(
        name="tiny_r2plus1d", blocks=(1, 2, 1, 1), base_width=8, classes=3, size=32, frames=4, stride=2,
        dropout=0.0,
    )  # fmt: skip
    return description.model_copy(update=changes)


def lively(description: NetworkDescription) -> SlimNetwork:
    """A network in eval mode whose every layer is alive, also the last ones of residual blocks."""
    import torch

    torch.manual_seed(0)
    model = description.build().eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            low = 0.5 if name.endswith("norm.weight") else -0.3
            parameter.data.uniform_(low, low + 1.0)
    model.head.weight.data.normal_(std=0.3 if description.sampling.alpha == 1 else 0.04)
    return model


def noise(description: NetworkDescription, size: int, count: int, scale: float = 1.0) -> Clips:
    """Windows of every pathway, whole, with the slow pathway (or the only one) of that size."""
    import torch

    whole = pathways(description.sampling, Configuration(1.0, size, description.frames))
    clips = [scale * torch.randn(count, 3, len(p.instants), p.size, p.size) for p in whole]
    return clips[0] if len(clips) == 1 else clips


def calibrated_checkpoint(
    configurations: Sequence[Configuration] = CONFIGURATIONS, description: NetworkDescription | None = None
) -> Checkpoint:
    """A lively network (`tiny_slow` unless told otherwise); the statistics of all configurations differ."""
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.calibrate import calibrate_one

    description = description or tiny_slow()
    model = lively(description)
    for number, configuration in enumerate(configurations):
        calibrate_one(model, configuration, [noise(description, configuration.size, 4, 1 + 0.2 * number)])
    return Checkpoint(model, CLASSES, origin={"data": "noise"})


def parity_clips(
    configurations: Sequence[Configuration] = CONFIGURATIONS, description: NetworkDescription | None = None
) -> dict[int, Any]:
    """Two whole windows of every size."""
    import torch

    torch.manual_seed(1)
    return {c.size: noise(description or tiny_slow(), c.size, 2) for c in configurations}


def export(
    out: Path,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
    description: NetworkDescription | None = None,
    **options: Any,
) -> Bundle:
    """Export a tiny network to ``out``."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    checkpoint = calibrated_checkpoint(configurations, description)
    table = unmeasured_table(checkpoint, configurations)
    return write_bundle(checkpoint, table, parity_clips(configurations, description), out, **options)


def shared_bundle(factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, exported once a session; not to be altered."""
    return _shared("slow", factory, export)


def shared_slowfast(factory: pytest.TempPathFactory) -> Path:
    """The tiny SlowFast's bundle, exported once a session; not to be altered."""
    return _shared("slowfast", factory, _export_slowfast)


def _export_slowfast(out: Path) -> Bundle:
    return export(out, TWO_PATHWAYS, tiny_slowfast())


def _shared(name: str, factory: pytest.TempPathFactory, build: Callable[[Path], Bundle]) -> Path:
    """Exported now; where there is no PyTorch, as another interpreter has exported it (see noxfile.py)."""
    if name not in _BUILT:
        exported = os.environ.get("A3D_EDGE_TEST_BUNDLES")
        _BUILT[name] = Path(exported, name) if exported else build(factory.mktemp(name) / "bundle").path
    return _BUILT[name]


def copy_of(bundle: Path, to: Path) -> Path:
    """A copy to damage."""
    shutil.copytree(bundle, to)
    return to


def sign_again(bundle: Path, change: Callable[[dict[str, Any]], None] = lambda manifest: None) -> None:
    """List the files as they are now, change the manifest and sign it: an exporter with a mistake."""
    content = json.loads((bundle / "manifest.json").read_text())
    for name in content["files"]:
        if (file := bundle / name).is_file():
            content["files"][name] = {"bytes": file.stat().st_size, "sha256": digest(file)}
    change(content)
    content["sha256"] = manifest_digest(content)
    (bundle / "manifest.json").write_text(manifest_text(content))


def pictures(count: int, seed: int = 0, height: int = 40, width: int = 48) -> Iterator[np.ndarray[Any, Any]]:
    """Smooth drifting noise, no two windows alike: (H, W, 3) BGR."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 256, (height // 8, width // 8 + 40, 3), np.uint8)
    wide = cv2.resize(scene, (width + 320, height), interpolation=cv2.INTER_CUBIC)
    for number in range(count):
        left = (3 * number) % 320
        light = 0.75 + 0.25 * np.sin(number / 7)
        yield np.ascontiguousarray(wide[:, left : left + width] * light, np.uint8)


def write_video(path: Path, count: int, rate: float = 30.0, seed: int = 0) -> Path:
    """A real video of ``count`` frames."""
    codec = {".mp4": "mp4v", ".avi": "MJPG"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (48, 40))
    assert writer.isOpened()
    for picture in pictures(count, seed):
        writer.write(picture)
    writer.release()
    return path


def frames_of(path: Path) -> int:
    """How many frames of a video can be decoded."""
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    capture.release()
    return count


class ListSource:
    """Frames from memory; ``live``, ``fails_after`` (raises ``error`` once so many were read) as told."""

    name = "list"
    unreadable = 0

    def __init__(
        self,
        count: int,
        *,
        live: bool = False,
        rate: float = 30.0,
        error: Exception | None = None,
        gap_before: int | None = None,
    ) -> None:
        self.live, self.frame_rate = live, rate
        self.closed = False
        self.read_count = 0
        self._frames = list(pictures(count))
        self._error, self._gap_before, self._rate = error, gap_before, rate

    def read(self) -> Frame | None:
        number = self.read_count
        if number >= len(self._frames) or self.closed:
            if self._error is not None:
                raise self._error
            return None
        self.read_count += 1
        late = 10.0 if self._gap_before is not None and number >= self._gap_before else 0.0
        return Frame(number, number / self._rate + late, self._frames[number], time.monotonic())

    def close(self) -> None:
        self.closed = True


class Recorder:
    """Events that keeps everything it is told, in order."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.predictions: list[Prediction] = []
        self.switches: list[Switch] = []
        self.warnings: list[str] = []
        self.closed = 0

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        self.frames.append(frame.index)

    def prediction(self, prediction: Prediction) -> None:
        self.predictions.append(prediction)

    def switch(self, switch: Switch) -> None:
        self.switches.append(switch)

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def close(self) -> None:
        self.closed += 1


Here = Callable[..., tuple[int, str, str]]
"""A command line's words to its exit code, stdout and stderr (the fixture `here`)."""

CLI = (sys.executable, "-c", "from a3d_edge.cli import main; main()")


def start_cli(*arguments: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """``a3d-edge`` in a process of its own, not in the source tree."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [*CLI, *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, text=True, cwd=cwd, env=environment, **streams)


def run_cli(*arguments: object, cwd: Path, timeout: float = 60.0, **options: Any) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``a3d-edge``."""
    process = start_cli(*arguments, cwd=cwd, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        raise
    return process.returncode, out, err


def main_here(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """The same inside this process: quicker, for commands whose process does not matter.

    Every line of ``--json`` is held against the published schema.
    """
    from fixtures_events import kinds_of

    from a3d_edge.cli import main

    monkeypatch.setattr(sys, "argv", ["a3d-edge", *(str(argument) for argument in arguments)])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    if "--json" in arguments:
        kinds_of(out)
    return int(ended.value.code or 0), out, err


if __name__ == "__main__":  # what `A3D_EDGE_TEST_BUNDLES` names: python tests/fixtures_bundle.py FOLDER
    export(Path(sys.argv[1], "slow"))
    _export_slowfast(Path(sys.argv[1], "slowfast"))


def boxes_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny Slow of the task ``boxes``, of 64×64, in four configurations of both precisions."""
    import torch
    from a3d_edge.exporters.people import with_moving_boxes
    from a3d_edge.exporters.write_bundle import in_precisions, unmeasured_table, write_bundle

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.calibrate import calibrate_one

    if "boxes" not in _BUILT:
        described = tiny_slow().model_copy(update={"task": "boxes", "size": 64})
        checkpoint = Checkpoint(lively(described), CLASSES)
        names = ("w0.50-s48-t2", "w0.70-s64-t3", "w1.00-s64-t4", "w1.00-s71-t4")
        configurations = [Configuration.parse(name) for name in names]
        generator = torch.Generator().manual_seed(0)
        clips = {
            c.size: with_moving_boxes(torch.randn(3, 3, 4, c.size, c.size, generator=generator))
            for c in configurations
        }
        for one in configurations:
            calibrate_one(checkpoint.model, one, [clips[one.size]])
        rows = in_precisions(unmeasured_table(checkpoint, configurations), ("fp32", "int8"))
        folder = tmp_path_factory.mktemp("boxes") / "bundle"
        write_bundle(checkpoint, rows, clips, folder)
        _BUILT["boxes"] = folder
    return Bundle.load(_BUILT["boxes"])
