"""A configuration (width, size, frames) and the budget that chooses among them: parse and format."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from a3d_edge.errors import UsageError

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = ["Budget", "BudgetKind", "Configuration", "Precision", "pick_frames"]

Precision = Literal["fp32", "int8"]

_NAME = re.compile(
    r"w(?P<width>\d\.\d{1,4})-s(?P<size>\d{1,4})-t(?P<frames>\d{1,3})(?:-(?P<precision>int8))?"
)
LARGEST = 1e9
"""Of a budget's amount."""
_AMOUNT = re.compile(r"(?P<amount>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>[a-z]*)", re.IGNORECASE)


@dataclass(frozen=True, order=True, slots=True)
class Configuration:
    """One way to run the network: width factor γw, input side S in pixels, frames T, precision.

    Written ``w0.50-s224-t4``, with int8 ``w0.50-s224-t4-int8``, also in files. Raises `UsageError` when a
    value is outside what any network takes.
    Source: paper §3 (γw, γs, γt).
    """

    width: float
    size: int
    frames: int
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        # 0.6 + 0.3 and the 0.90 of a name are the same width.
        object.__setattr__(self, "width", round(self.width, 4))
        if not (0.0 < self.width <= 1.0):
            raise UsageError(f"width {self.width} of a configuration is outside (0, 1]")
        if self.size < 16:
            raise UsageError(f"size {self.size} of a configuration is below 16 pixels")
        if self.frames < 1:
            raise UsageError(f"frames {self.frames} of a configuration is below 1")
        if self.precision not in ("fp32", "int8"):
            raise UsageError(f"precision '{self.precision}' of a configuration is neither fp32 nor int8")

    @classmethod
    def parse(cls, text: str) -> Configuration:
        """Read ``w0.50-s224-t4`` or ``w0.50-s224-t4-int8``. Raises `UsageError`."""
        match = _NAME.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"'{text:.60}' is not a configuration; write width, size and frames as w0.50-s224-t4"
            )
        precision: Precision = "int8" if match["precision"] else "fp32"
        return cls(float(match["width"]), int(match["size"]), int(match["frames"]), precision)

    def at(self, precision: Precision) -> Configuration:
        """The same in another precision."""
        return replace(self, precision=precision)

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            _of_file, serialization=core_schema.to_string_ser_schema(when_used="json")
        )

    def __str__(self) -> str:
        suffix = "" if self.precision == "fp32" else f"-{self.precision}"
        return f"w{format_width(self.width)}-s{self.size}-t{self.frames}{suffix}"


def _of_file(value: Any) -> Configuration:
    """What a file's field or key says. Raises `ValueError`, as pydantic wants it."""
    if isinstance(value, Configuration):
        return value
    if not isinstance(value, str):
        raise ValueError(f"a configuration is written as a string, not as {type(value).__name__}")
    return Configuration.parse(value)


def format_width(width: float) -> str:
    """Two decimals, more only where the width has them: ``0.50``, ``0.625``."""
    text = f"{width:.4f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def pick_frames(available: int, frames: int) -> list[int]:
    """Indices of the ``frames`` frames that γt = frames/available picks: floor(i/γt) (paper Fig. 1).

    ``pick_frames(8, 4) == [0, 2, 4, 6]``. Raises `UsageError` when more are asked for than there are.
    """
    if not 1 <= frames <= available:
        raise UsageError(f"{frames} frames cannot be picked from a window of {available}")
    return [i * available // frames for i in range(frames)]


class BudgetKind(str, Enum):
    """What a budget limits."""

    AUTO = "auto"
    FRACTION = "fraction"
    GFLOPS = "gflops"
    LATENCY = "latency"
    PINNED = "pinned"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Budget:
    """What the controller may spend.

    ``auto`` (whatever the device allows), ``0.25`` (fraction of the largest configuration's GFLOPs),
    ``5GFLOPs``, ``80ms``, a configuration's name (pinned), or ``trace:FILE`` (as ``auto``, on a
    trace's signals in the place of the device's).
    """

    kind: BudgetKind
    amount: float = math.inf
    configuration: Configuration | None = None
    trace: str | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read any form. Raises `UsageError` that lists the forms."""
        word = text.strip()
        if word.lower() == "auto":
            return cls(BudgetKind.AUTO)
        if word.lower().startswith("trace:"):
            if not word[6:]:
                raise UsageError("`budget` trace: names no trace; write trace:FILE, or trace:drain")
            return cls(BudgetKind.TRACE, trace=word[6:])
        if _NAME.fullmatch(word):
            return cls(BudgetKind.PINNED, configuration=Configuration.parse(word))
        match = _AMOUNT.fullmatch(word)
        kind = _UNITS.get(match["unit"].lower()) if match else None
        if match is None or kind is None:
            raise UsageError(
                f"unknown budget '{text:.60}'; write auto, a fraction such as 0.25, 5GFLOPs, 80ms, trace:FILE, "
                "or a configuration such as w0.50-s224-t4"
            )
        amount = float(match["amount"]) * (1000.0 if match["unit"].lower() == "s" else 1.0)
        if not 0 < amount <= LARGEST or (kind is BudgetKind.FRACTION and amount > 1):
            raise UsageError(
                f"budget '{text:.40}' is out of range; a fraction lies in (0, 1], other amounts above 0 and "
                f"below {LARGEST:g}"
            )
        return cls(kind, amount)

    def __str__(self) -> str:
        if self.kind is BudgetKind.PINNED:
            return str(self.configuration)
        if self.kind is BudgetKind.AUTO:
            return "auto"
        if self.kind is BudgetKind.TRACE:
            return f"trace:{self.trace}"
        unit = {BudgetKind.FRACTION: "", BudgetKind.GFLOPS: "GFLOPs", BudgetKind.LATENCY: "ms"}[self.kind]
        return f"{self.amount:g}{unit}"


_UNITS = {
    "": BudgetKind.FRACTION,
    "gflops": BudgetKind.GFLOPS,
    "gflop": BudgetKind.GFLOPS,
    "ms": BudgetKind.LATENCY,
    "s": BudgetKind.LATENCY,
}
