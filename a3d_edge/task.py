"""What is asked of a network for one window: one class, a set of classes, or a set for each person in a box.

    single       one of the classes: softmax, cross entropy, accuracy
    multilabel   any number of them at once, or none: a sigmoid a class, mean average precision (Charades)
    boxes        the same of every person, each in a box (AVA)

Kept in the network's description, and from there in a bundle's manifest and table; left out of files where it
is ``single``, so that those are to the byte what they were before there was a choice.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOXES", "SINGLE", "TASKS", "Task", "is_multilabel", "same_answer", "scores_of", "written"]

Task = Literal["single", "multilabel", "boxes"]
TASKS: tuple[Task, ...] = ("single", "multilabel", "boxes")
SINGLE: Task = "single"
BOXES: Task = "boxes"


def is_multilabel(task: Task) -> bool:
    """Whether every class is answered for itself, by a sigmoid: several can be true at once, or none."""
    return task != SINGLE


def scores_of(logits: NDArray[Any], task: Task, temperature: float = 1.0) -> NDArray[np.float32]:
    """Scores of logits ``(…, classes)`` over a temperature, float32: softmax, or a sigmoid a class."""
    warm = np.asarray(logits, np.float64) / temperature
    if is_multilabel(task):
        smaller = np.exp(-np.abs(warm))  # never overflows
        return np.asarray(np.where(warm >= 0, 1.0, smaller) / (1.0 + smaller), np.float32)
    raised = np.exp(warm - warm.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


def same_answer(got: NDArray[Any], expected: NDArray[Any], task: Task, tolerance: float = 0.0) -> bool:
    """Whether logits ``(classes,)`` say the same: the same class is highest, or the same classes are above
    0.5, but for those that are nearer to it than ``tolerance`` of the largest expected logit."""
    if not is_multilabel(task):
        return bool(got.argmax() == expected.argmax())
    sure = np.abs(expected) > tolerance * np.abs(expected).max()
    return bool(((got > 0) == (expected > 0))[sure].all())


def written(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a file as they are written: without the task where it is ``single``."""
    return {name: value for name, value in fields.items() if name != "task" or value != SINGLE}
