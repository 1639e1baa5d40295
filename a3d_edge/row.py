"""A row of the configuration–budget table: what one configuration gives and costs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from a3d_edge.configuration import Configuration, Precision

__all__ = ["CLASSES", "LARGEST", "NamedRow", "Row", "Share", "Text"]

INT8_COST = 0.3
"""What int8 costs of the same configuration in fp32 where it was not measured: Slow R-50's, see
docs/results/performance.md. A small network gains less, so an export measures it (`Row.int8_cost`)."""
WEIGHT_BYTES = {"fp32": 4, "int8": 1}
CLASSES, LARGEST = 20_000, 1e6
"""Of a row, at the most; numbers are GFLOPs, milliseconds, megabytes, millions of parameters."""
Text = Annotated[str, Field(max_length=2_000)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
RELIABILITY = (
    "clips", "accuracy_interval", "recall", "calibration_error", "temperature", "thresholds",
    "mean_average_precision", "average_precision",
)  # fmt: skip
"""Fields of a row that tables of older versions have not: left out of files where they are not known."""


class NamedRow(BaseModel):
    """A row that is about one configuration. GFLOPs are multiply–accumulates of one window, 1e9, whatever
    their precision."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    configuration: Configuration
    gflops: float = Field(gt=0.0, le=LARGEST)


class Row(NamedRow):
    """One configuration: accuracy in [0, 1] on a validation list (None: not measured), GFLOPs, those of one
    prediction when every sampled frame is encoded once, and parameters in millions. ``precision`` is the
    configuration's, as a column; ``int8_cost`` the time of an int8 row over that of the same in fp32, as
    measured at export.

    How far to rely on it, found on the same ``clips``, so many (`a3d_edge.training.reliability` says how):
    ``accuracy_interval``, of 95 % confidence; ``recall`` of each class; ``calibration_error`` of the scores
    of single windows, at the ``temperature`` that logits are divided by (None: 1); ``thresholds``, by class:
    the score that its label must exceed to count as seen at this configuration.

    Where several classes can be true at once there is no accuracy, interval nor recall, but
    ``mean_average_precision`` and the ``average_precision`` of each class that occurs (`a3d_edge.task`).
    """

    precision: Precision = Field(default=None, validate_default=True)
    int8_cost: float | None = Field(default=None, gt=0.0, le=1e3)
    accuracy: Share | None = None
    streaming_gflops: float | None = Field(default=None, gt=0.0, le=LARGEST)
    params_m: float = Field(gt=0.0, le=1e4)
    clips: int | None = Field(default=None, ge=1, le=10**9)
    accuracy_interval: tuple[Share, Share] | None = None
    recall: dict[Text, Share] | None = Field(default=None, max_length=CLASSES)
    calibration_error: Share | None = None
    temperature: float | None = Field(default=None, gt=0.0, le=LARGEST)
    thresholds: dict[Text, Share] | None = Field(default=None, max_length=CLASSES)
    mean_average_precision: Share | None = None
    average_precision: dict[Text, Share] | None = Field(default=None, max_length=CLASSES)

    @property
    def quality(self) -> float | None:
        """What rows are compared by: the accuracy, or of many labels the mean average precision."""
        return self.accuracy if self.mean_average_precision is None else self.mean_average_precision

    @property
    def weight_bytes(self) -> int:
        """What the weights take when they are loaded."""
        return int(self.params_m * 1e6) * WEIGHT_BYTES[self.precision]

    @property
    def cost(self) -> float:
        """GFLOPs in fp32 terms, what rows are ordered, selected and budgeted by: of int8 the share of them
        that was measured, else `INT8_COST`."""
        share = INT8_COST if self.int8_cost is None else self.int8_cost
        return self.gflops * (share if self.precision == "int8" else 1.0)

    def unmeasured(self, configuration: Configuration) -> Row:
        """The row of another configuration that costs the same and was not measured."""
        bare = dict.fromkeys(("accuracy", "int8_cost", *RELIABILITY))
        return self.model_copy(
            update={**bare, "configuration": configuration, "precision": configuration.precision}
        )

    @field_validator("precision", mode="before")
    @classmethod
    def _of_the_configuration(cls, value: Any, info: ValidationInfo) -> Any:
        own = info.data.get("configuration")
        return own.precision if value is None and own is not None else value

    @model_validator(mode="after")
    def _agrees(self) -> Row:
        if self.configuration.precision != self.precision:
            raise ValueError(f"precision {self.precision} is not that of {self.configuration}")
        if self.int8_cost is not None and self.precision != "int8":
            raise ValueError(f"int8_cost is given for {self.configuration}, which is not int8")
        if self.accuracy_interval is not None and self.accuracy_interval[0] > self.accuracy_interval[1]:
            raise ValueError("accuracy_interval does not ascend")
        if self.accuracy is not None and self.mean_average_precision is not None:
            raise ValueError("has an accuracy and a mean_average_precision; a task has one of them")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {name: value for name, value in fields.items() if value is not None or name not in RELIABILITY}
