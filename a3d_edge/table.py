"""The configuration–budget table: one row per configuration, ordered by cost, Pareto-selected.

And the device profile: the same rows measured on one device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError, BundleError, UsageError
from a3d_edge.reading import read_regular
from a3d_edge.row import NamedRow, Row, Text
from a3d_edge.task import SINGLE, Task, is_multilabel, written

__all__ = [
    "ConfigurationBudgetTable",
    "DeviceProfile",
    "Latency",
    "ProfileRow",
    "Row",
    "find_table",
    "pareto_front",
    "shipped_tables",
    "slope",
    "validation_message",
]


FILE_BYTES = 32_000_000
ROWS = 2_000
"""Of a table or profile, at the most."""


class ConfigurationBudgetTable(BaseModel):
    """Rows ordered from the cheapest to the dearest configuration; names are unique.

    ``task``: what is asked of the network, and so what its rows were measured by (`metric`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    architecture: Text
    task: Task = SINGLE
    measured_on: Text = ""
    rows: tuple[Row, ...] = Field(min_length=1, max_length=ROWS)

    @field_validator("rows")
    @classmethod
    def _ordered_and_unique(cls, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return _cheapest_first(rows, lambda row: row.cost)

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return written(handler(self))

    @property
    def metric(self) -> str:
        """The name of what `Row.quality` is in this table, as people read it."""
        return "mAP" if is_multilabel(self.task) else "accuracy"

    def row(self, configuration: Configuration) -> Row:
        """The row of a configuration. Raises `UsageError` that names those there are."""
        for row in self.rows:
            if row.configuration == configuration:
                return row
        known = ", ".join(str(row.configuration) for row in self.rows)
        raise UsageError(f"configuration {configuration} is not in the table; it has {known}")

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """All configurations, cheapest first."""
        return tuple(row.configuration for row in self.rows)

    @cached_property
    def worthwhile(self) -> tuple[tuple[Configuration, float], ...]:
        """What is worth running, cheapest first, each with its share of the dearest row's cost: the Pareto
        front where the quality of every row is known, else all rows."""
        known = all(row.quality is not None for row in self.rows)
        rows = pareto_front(self.rows, _cost_and_quality) if known else self.rows
        return tuple((row.configuration, row.cost / self.rows[-1].cost) for row in rows)

    def with_rows(self, rows: Iterable[Row], measured_on: str | None = None) -> ConfigurationBudgetTable:
        """The same table with other rows, put in order; ``measured_on`` as it was if not given."""
        where = self.measured_on if measured_on is None else measured_on
        return ConfigurationBudgetTable(
            architecture=self.architecture, task=self.task, measured_on=where, rows=tuple(rows)
        )

    def pareto(self) -> ConfigurationBudgetTable:
        """The same table with only the rows that no other row beats in both cost and quality.

        Raises `A3DEdgeError` for a row that was not measured.
        """
        return self.with_rows(pareto_front(self.rows, _cost_and_quality))

    def to_json(self) -> str:
        """Stable, indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> ConfigurationBudgetTable:
        """Read a table file, with that sum if given. Raises `BundleError` with the key that is wrong."""
        return _read(path, cls, "table", "configuration–budget table", sha256)


class Latency(BaseModel):
    """Milliseconds: the median, and what 95 and 99 of 100 measurements stay below."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    p50: float = Field(gt=0.0, le=1e9)
    p95: float = Field(gt=0.0, le=1e9)
    p99: float = Field(gt=0.0, le=1e9)

    @model_validator(mode="after")
    def _ordered(self) -> Latency:
        if not self.p50 <= self.p95 <= self.p99:
            raise ValueError(f"p50 {self.p50:g}, p95 {self.p95:g} and p99 {self.p99:g} do not ascend")
        return self


class ProfileRow(NamedRow):
    """One configuration measured; its GFLOPs are those of the bundle's table. None: not measured, or unknown.

    ``latency_ms``: the network alone, one whole window; ``other_ms``: all else that such a window takes
    (preprocessing). ``streaming_ms``: all the work of one prediction that follows another. Of a run at the
    camera's rate: ``paced_ms``, from a frame's arrival to the prediction; ``cpu_s`` and ``energy_j``, CPU
    seconds and joules of one prediction, what is idle meanwhile included. ``peak_mb``, ``steady_mb``:
    anonymous memory of the whole process while loading and when loaded (MB, 1e6 bytes). ``noisy``: measured
    twice, and the medians differ too much to rely on.
    """

    latency_ms: Latency
    other_ms: Latency | None = None
    streaming_ms: Latency | None = None
    paced_ms: Latency | None = None
    cpu_s: float | None = Field(default=None, ge=0.0, le=1e9)
    energy_j: float | None = Field(default=None, ge=0.0, le=1e9)
    peak_mb: float | None = Field(default=None, gt=0.0, le=1e9)
    steady_mb: float | None = Field(default=None, gt=0.0, le=1e9)
    noisy: bool = False


class DeviceProfile(BaseModel):
    """What one bundle costs on one device.

    ``device`` says which one; its ``name`` is what people read. ``bundle_sha256`` is the manifest's.
    ``hop``: model frames between two predictions of ``streaming_ms``. ``measured_at``: ISO 8601.
    Rows are ordered by what they took here (median of a whole window), whatever they cost elsewhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    device: dict[Text, Text] = Field(max_length=100)
    bundle_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    engine: Text
    threads: int | None = Field(default=None, ge=1, le=10_000)
    hop: int | None = Field(default=None, ge=1, le=100_000)
    measured_at: Text = ""
    rows: tuple[ProfileRow, ...] = Field(min_length=1, max_length=ROWS)

    @field_validator("rows")
    @classmethod
    def _ordered_and_unique(cls, rows: tuple[ProfileRow, ...]) -> tuple[ProfileRow, ...]:
        return _cheapest_first(rows, lambda row: row.latency_ms.p50)

    @property
    def ms_per_gflop(self) -> float:
        """The line through the origin that fits p50 over GFLOPs best (least squares)."""
        return slope([(row.gflops, row.latency_ms.p50) for row in self.rows])

    def to_json(self) -> str:
        """Stable, indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> DeviceProfile:
        """Read a profile file. Raises `BundleError` with the key that is wrong."""
        return _read(path, cls, "profile", "device profile")


def slope(points: Sequence[tuple[float, float]]) -> float:
    """y over x of the line through the origin that fits points (x, y) best: Σxy / Σx²."""
    return sum(x * y for x, y in points) / sum(x * x for x, _ in points)


def shipped_tables() -> dict[str, Path]:
    """The papers' tables that come with the package, by name."""
    folder = Path(str(files("a3d_edge.budget_tables")))
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def find_table(text: str) -> ConfigurationBudgetTable:
    """A table by the path of its JSON file, or by the name of one that comes with the package.

    Raises `UsageError` that lists the names, or `BundleError` for a file that is missing or not a table.
    """
    path = Path(text)
    if path.suffix == ".json" or path.exists():
        return ConfigurationBudgetTable.load(path)
    shipped = shipped_tables()
    if text not in shipped:
        names = ", ".join(shipped)
        raise UsageError(f"'{text}' is no table: no file or bundle has that path, and the names are {names}")
    return ConfigurationBudgetTable.load(shipped[text])


Item = TypeVar("Item")


def pareto_front(
    items: Iterable[Item], cost_and_accuracy: Callable[[Item], tuple[float, float]]
) -> tuple[Item, ...]:
    """Those that none of lower or equal cost matches in accuracy, cheapest first."""
    front: list[tuple[float, Item]] = []
    priced = [(*cost_and_accuracy(item), item) for item in items]
    for _, accuracy, item in sorted(priced, key=lambda one: (one[0], -one[1])):
        if not front or accuracy > front[-1][0]:
            front.append((accuracy, item))
    return tuple(item for _, item in front)


def _cost_and_quality(row: Row) -> tuple[float, float]:
    if row.quality is None:
        raise A3DEdgeError(f"{row.configuration} has no accuracy; build the table before selecting from it")
    return row.cost, row.quality


_AnyRow = TypeVar("_AnyRow", Row, ProfileRow)
_AnyFile = TypeVar("_AnyFile", ConfigurationBudgetTable, DeviceProfile)


def _cheapest_first(rows: tuple[_AnyRow, ...], cost: Callable[[_AnyRow], float]) -> tuple[_AnyRow, ...]:
    names = [row.configuration for row in rows]
    if len(set(names)) != len(names):
        raise ValueError("a configuration appears twice")
    return tuple(sorted(rows, key=lambda row: (cost(row), row.configuration)))


def _read(path: Path, kind: type[_AnyFile], what: str, full: str, sha256: str | None = None) -> _AnyFile:
    try:
        data = read_regular(path, FILE_BYTES)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: cannot read the {what} ({error})") from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise BundleError(f"{path}: altered since it was verified (SHA-256 differs); copy the bundle again")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise BundleError(f"{path}: not a {full}: {validation_message(error)}") from error


def validation_message(error: ValidationError) -> str:
    """The first problem with its key path, such as ``rows[3].gflops: Input should be greater than 0``."""
    problems: Sequence[object] = error.errors()
    first = error.errors()[0]
    where = ""
    for part in first["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where or 'file'}: {first['msg']}{more}"
