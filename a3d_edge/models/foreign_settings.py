"""What a PySlowFast checkpoint says about itself: the YAML text it keeps under ``cfg``, read with regular
expressions, for all we need of it is a few numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import CheckpointError, UsageError
from a3d_edge.models.network import NetworkDescription
from a3d_edge.task import BOXES, SINGLE, TASKS, Task
from a3d_edge.video.sampler import Sampling

__all__ = ["Settings"]

Triple = tuple[float, float, float]

IMPOSSIBLE = (("RESNET", "STRIDE_1X1", "true", "its strides are in the 1×1 convolutions"),)
"""Settings that change what is computed and leave every tensor's shape as it is."""

READ_AS_BGR = ("charades", "ssv2")
"""Data sets that PySlowFast reads by OpenCV, and leaves so unless it is to reverse channels."""
NORMALISED_AS_BGR = (*READ_AS_BGR, "ava")
CHARADES_RATE = 24.0
"""Pictures a second of what Charades gives to download."""
MOST_FRAMES = 256
"""Of a window, and from one to the next: beyond it a file is not believed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A checkpoint's ``cfg`` text; empty when it has none."""

    text: str = ""

    def value(self, section: str, key: str) -> str | None:
        """A plain value in lower case, such as ``8`` or ``true``; None when it is not there."""
        found = re.search(rf"\b{key}:[ ]*([^\s,}}]+)", self._section(section))
        return found[1].lower() if found else None

    def number(self, section: str, key: str) -> int | None:
        """A whole number."""
        value = self.value(section, key)
        return int(value) if value is not None and re.fullmatch(r"\d{1,9}", value) else None

    def triple(self, key: str, default: Triple) -> Triple:
        """Three numbers of the section DATA: one per colour channel."""
        gap = r"[\s,\[-]+"
        found = re.search(rf"\b{key}:{gap}([\d.]+){gap}([\d.]+){gap}([\d.]+)", self._section("DATA"))
        try:
            return (float(found[1]), float(found[2]), float(found[3])) if found else default
        except ValueError:
            return default

    @property
    def pools_globally(self) -> bool:
        """Whether the head averages everything: PySlowFast builds it so for training at several sizes."""
        return self.value("MULTIGRID", "SHORT_CYCLE") == "true"

    @property
    def normalised_as_bgr(self) -> bool:
        """Whether its mean and deviation are blue's first, though the network may take RGB."""
        return self.value("TRAIN", "DATASET") in NORMALISED_AS_BGR

    def window(self, alpha: int) -> dict[str, float]:
        """Frames (the slow pathway's), how far apart, and how many a second, as far as they are told; empty
        where there are none that can be."""
        samples, spacing = self.number("DATA", "NUM_FRAMES"), self.number("DATA", "SAMPLING_RATE")
        if samples is None or spacing is None or samples % alpha or not 0 < spacing <= MOST_FRAMES:
            return {}
        if not alpha <= samples <= MOST_FRAMES:
            return {}
        found: dict[str, float] = {"frames": samples // alpha, "stride": spacing * alpha}
        return found | ({"rate": CHARADES_RATE} if self._is_charades else {})

    @property
    def _is_charades(self) -> bool:
        return self.value("TRAIN", "DATASET") == "charades"

    @property
    def task(self) -> Task:
        """What is asked of the network: one class, by a sigmoid head many labels (Charades), or people in
        boxes (AVA)."""
        if self.value("DETECTION", "ENABLE") == "true":
            return BOXES
        return "multilabel" if self.value("MODEL", "HEAD_ACT") == "sigmoid" else SINGLE

    def agreed_task(self, path: Path, task: Task | None) -> Task:
        """What is asked of a file's network: the ``task`` that is named, else what the text says.

        Raises `UsageError` for an unknown one, `CheckpointError` where the text says otherwise.
        """
        if task is None:
            return self.task
        if task not in TASKS:
            raise UsageError(f"unknown `task` '{task}'; there are {', '.join(TASKS)}")
        if self.text and task != self.task:
            raise CheckpointError(f"{path}: its own settings say that its task is {self.task}, not {task}")
        return task

    def notes(self, description: NetworkDescription, usual: Sampling) -> Iterator[str]:
        """What a person should know of a network as it was read: what is not as ours, or as ``usual``."""
        if description.takes_boxes and self.value("DETECTION", "ALIGNED") == "false":
            yield (
                "DETECTION.ALIGNED is false: its head looked at each box half a position, 8 pixels, farther "
                "right and down than ours does"
            )
        here = description.sampling
        if here != usual:
            yield (
                f"its windows are {here.samples} frames, {here.spacing} apart at {here.rate:g} a second, as "
                "its settings say"
            )

    def contradictions(self, description: NetworkDescription) -> list[str]:
        """What the text says that is not so in a network; empty when they agree or nothing is said."""
        sampling, crop = description.sampling, self.number("DATA", "TRAIN_CROP_SIZE")
        wanted = {
            ("DATA", "NUM_FRAMES"): sampling.samples,
            ("DATA", "SAMPLING_RATE"): sampling.spacing,
        }
        if not self._is_charades:  # whose pictures come at their own rate, whatever is written there
            wanted["DATA", "TARGET_FPS"] = round(sampling.rate)
        if sampling.alpha > 1:
            wanted["SLOWFAST", "ALPHA"] = sampling.alpha
        told = {place: self.number(*place) for place in wanted}
        found = [
            f"{'.'.join(place)} is {told[place]}, not {value}"
            for place, value in wanted.items()
            if told[place] not in (None, value)
        ]
        found += self._steps(description)
        window = description.head_window
        if description.takes_boxes:
            return found
        if crop is not None and not self.pools_globally and _positions(crop, description.family) != window:
            found.append(f"DATA.TRAIN_CROP_SIZE is {crop}: its head's windows are not {window}×{window}")
        return found

    def _steps(self, description: NetworkDescription) -> list[str]:
        """Spatial strides and dilations of its stages that are not the network's."""
        found: list[str] = []
        if description.family == "x3d":  # which has none to be told
            return found
        for key, which in (("SPATIAL_STRIDES", 0), ("SPATIAL_DILATIONS", 1)):
            told = self._numbers("RESNET", key)
            stages = [description.steps(stage)[which] for stage in range(4)]
            each = len(told) // 4
            if told and told != [step for step in stages for _ in range(each)]:
                found.append(f"RESNET.{key} is {told}, not {stages} a pathway")
        return found

    def impossible(self) -> list[str]:
        """What no network here computes."""
        found = [
            f"{section}.{key} is {value}: {why}"
            for section, key, value, why in IMPOSSIBLE
            if self.value(section, key) == value
        ]
        if self._takes_bgr:
            told = self.value("DATA", "REVERSE_INPUT_CHANNEL") or "false"
            found.append(f"DATA.REVERSE_INPUT_CHANNEL is {told}: it takes BGR")
        return found

    @property
    def _takes_bgr(self) -> bool:
        of = self.value("TRAIN", "DATASET")
        read_so = of in READ_AS_BGR or (of == "ava" and self.value("AVA", "BGR") == "true")
        return read_so != (self.value("DATA", "REVERSE_INPUT_CHANNEL") == "true")

    def _numbers(self, section: str, key: str) -> list[int]:
        """The whole numbers of a list, nested or not, in their order; empty where there is none."""
        found = re.search(rf"\b{key}:([\s\d,\[\]-]*)", self._section(section))
        return [int(number) for number in re.findall(r"\d{1,9}", found[1])] if found else []

    def _section(self, name: str) -> str:
        found = re.search(rf"^{name}:(.*(?:\n[ ].*)*)", self.text, re.MULTILINE)
        return found[1] if found else ""


def _positions(crop: int, family: str) -> int:
    """Side of the head's windows that PySlowFast makes of a crop: X3D's are rounded up, others down."""
    return -(-crop // 32) if family == "x3d" else crop // 32
