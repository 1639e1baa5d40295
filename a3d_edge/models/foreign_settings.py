"""What a PySlowFast checkpoint says about itself: the YAML text it keeps under ``cfg``, read with regular
expressions, for all we need of it is a few numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from a3d_edge.models.network import NetworkDescription
from a3d_edge.task import SINGLE, Task

__all__ = ["Settings"]

Triple = tuple[float, float, float]

IMPOSSIBLE = (
    ("DATA", "REVERSE_INPUT_CHANNEL", "true", "it takes BGR"),
    ("DETECTION", "ENABLE", "true", "its head looks at boxes"),
    ("RESNET", "STRIDE_1X1", "true", "its strides are in the 1×1 convolutions"),
)
"""Settings that change what is computed and leave every tensor's shape as it is."""


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
    def task(self) -> Task:
        """What is asked of the network: one class, or by a sigmoid head many labels (Charades)."""
        return "multilabel" if self.value("MODEL", "HEAD_ACT") == "sigmoid" else SINGLE

    def contradictions(self, description: NetworkDescription) -> list[str]:
        """What the text says that is not so in a network; empty when they agree or nothing is said."""
        sampling, crop = description.sampling, self.number("DATA", "TRAIN_CROP_SIZE")
        wanted = {
            ("DATA", "NUM_FRAMES"): sampling.samples,
            ("DATA", "SAMPLING_RATE"): sampling.spacing,
            ("DATA", "TARGET_FPS"): round(sampling.rate),
        }
        if sampling.alpha > 1:
            wanted["SLOWFAST", "ALPHA"] = sampling.alpha
        told = {place: self.number(*place) for place in wanted}
        found = [
            f"{'.'.join(place)} is {told[place]}, not {value}"
            for place, value in wanted.items()
            if told[place] not in (None, value)
        ]
        window = description.head_window
        if crop is not None and not self.pools_globally and _positions(crop, description.family) != window:
            found.append(f"DATA.TRAIN_CROP_SIZE is {crop}: its head's windows are not {window}×{window}")
        return found

    def impossible(self) -> list[str]:
        """What no network here computes."""
        return [
            f"{section}.{key} is {value}: {why}"
            for section, key, value, why in IMPOSSIBLE
            if self.value(section, key) == value
        ]

    def _section(self, name: str) -> str:
        found = re.search(rf"^{name}:(.*(?:\n[ ].*)*)", self.text, re.MULTILINE)
        return found[1] if found else ""


def _positions(crop: int, family: str) -> int:
    """Side of the head's windows that PySlowFast makes of a crop: X3D's are rounded up, others down."""
    return -(-crop // 32) if family == "x3d" else crop // 32
