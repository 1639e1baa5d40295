"""The configuration–budget table: one row per configuration, ordered by cost, Pareto-selected."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError, BundleError, UsageError

__all__ = ["ConfigurationBudgetTable", "Row", "pareto_front", "validation_message"]


class Row(BaseModel):
    """One configuration: accuracy in [0, 1] on a validation list (None: not measured), GFLOPs
    (multiply–accumulates of one window, 1e9) and parameters in millions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration: str
    accuracy: float | None = Field(default=None, ge=0.0, le=1.0)
    gflops: float = Field(gt=0.0)
    params_m: float = Field(gt=0.0)

    @field_validator("configuration")
    @classmethod
    def _is_a_configuration(cls, value: str) -> str:
        try:
            return str(Configuration.parse(value))
        except UsageError as error:
            raise ValueError(str(error)) from error

    @property
    def parsed(self) -> Configuration:
        """The row's configuration as a value."""
        return Configuration.parse(self.configuration)


class ConfigurationBudgetTable(BaseModel):
    """Rows ordered from the cheapest to the dearest configuration; names are unique."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    architecture: str
    measured_on: str = ""
    rows: tuple[Row, ...] = Field(min_length=1)

    @field_validator("rows")
    @classmethod
    def _ordered_and_unique(cls, rows: tuple[Row, ...]) -> tuple[Row, ...]:
        names = [row.configuration for row in rows]
        if len(set(names)) != len(names):
            raise ValueError("a configuration appears twice")
        return tuple(sorted(rows, key=lambda row: (row.gflops, row.parsed)))

    def row(self, configuration: Configuration) -> Row:
        """The row of a configuration. Raises `UsageError` that names those there are."""
        for row in self.rows:
            if row.parsed == configuration:
                return row
        known = ", ".join(row.configuration for row in self.rows)
        raise UsageError(f"configuration {configuration} is not in the table; it has {known}")

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """All configurations, cheapest first."""
        return tuple(row.parsed for row in self.rows)

    def pareto(self) -> ConfigurationBudgetTable:
        """The same table with only the rows that no other row beats in both cost and accuracy."""
        return self.model_copy(update={"rows": pareto_front(self.rows)})

    def to_json(self) -> str:
        """Stable, indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> ConfigurationBudgetTable:
        """Read a table file. Raises `BundleError` with the key that is wrong."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path}: cannot read the table ({error})") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise BundleError(
                f"{path}: not a configuration–budget table: {validation_message(error)}"
            ) from error


def pareto_front(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows that no cheaper-or-equal row matches in accuracy, cheapest first.

    Raises `A3DEdgeError` for a row without accuracy.
    """
    best = -1.0
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.gflops, -_accuracy(row))):
        if _accuracy(row) > best:
            best = _accuracy(row)
            front.append(row)
    return tuple(front)


def _accuracy(row: Row) -> float:
    if row.accuracy is None:
        raise A3DEdgeError(f"{row.configuration} has no accuracy; build the table before selecting from it")
    return row.accuracy


def validation_message(error: ValidationError) -> str:
    """The first problem with its key path, such as ``rows[3].gflops: Input should be greater than 0``."""
    problems: Sequence[object] = error.errors()
    first = error.errors()[0]
    where = ""
    for part in first["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else str(part)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where or 'file'}: {first['msg']}{more}"
