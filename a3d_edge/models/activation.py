"""Class activation in space and time: what each position of each frame adds to a class's logit.

The paper's Fig. 1 in the spirit of Zhou et al., "Learning Deep Features for Discriminative Localization"
(CVPR 2016): the last features before pooling, weighted by what the head makes of them for one class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.network import Clips, SlimNetwork
from a3d_edge.models.widths import Run
from a3d_edge.task import Task, is_multilabel

__all__ = ["Activation", "class_activation"]


@dataclass(frozen=True, slots=True)
class Activation:
    """How one class's logit of one window comes about.

    ``frames`` ``(T, h, w)``: the contribution of every position of every frame that the (slow) pathway saw,
    so that ``frames.mean() + fast + bias == logit``. ``fast`` is what a Fast pathway adds, 0 without one.
    ``scores`` ``(classes,)``: softmax of all logits, over the temperature; of many labels sigmoids.
    """

    frames: NDArray[np.float64]
    logit: float
    bias: float
    fast: float
    scores: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """What each frame adds to the logit ``(T,)``: with ``fast`` and ``bias`` they sum to it."""
        means: NDArray[np.float64] = self.frames.mean(axis=(1, 2))
        return means / len(self.frames)


def class_activation(
    model: SlimNetwork,
    clips: Clips,
    configuration: Configuration,
    label_index: int,
    temperature: float = 1.0,
) -> Activation:
    """Class activation of one window, ``(1, 3, T, S, S)`` or one such tensor per pathway, in eval mode.

    A contribution is a feature times the logit's derivative by it, summed over channels. With a head that is
    linear in the pooled features, whatever windows it pools, that is the head's weight times the feature, and
    ``bias`` is the head's own; with any other head it is the linear part, and ``bias`` all that is left.
    ``temperature``: what logits are divided by for the scores. Raises `UsageError` for more than one window
    or a class the network lacks.
    """
    if isinstance(clips, BoxedClips) or model.description.takes_boxes:
        raise UsageError(
            "class activation is of whole pictures, and this network answers for people in boxes"
        )
    count = len(clips) if isinstance(clips, torch.Tensor) else len(clips[0])
    if count != 1:
        raise UsageError(f"class activation looks at one window at a time; got {count}")
    classes = model.description.classes
    if not 0 <= label_index < classes:
        raise UsageError(f"class {label_index} is not one of the network's {classes}; count from 0")
    run = Run(configuration.width, str(configuration))
    with torch.inference_mode(False), torch.no_grad():
        seen = model.features(model.fit(clips, configuration), run)
    with torch.inference_mode(False), torch.enable_grad():
        features = [x.detach().requires_grad_() for x in seen]
        logits = model.classify(tuple(features), run)[0]
        slopes = torch.autograd.grad(logits[label_index], features)
    parts = [(x * slope).detach()[0].sum(dim=0).double() for x, slope in zip(features, slopes, strict=True)]
    values = logits.detach().double()
    fast = sum((float(part.sum()) for part in parts[1:]), 0.0)
    return Activation(
        frames=(parts[0] * parts[0].numel()).numpy(),
        logit=float(values[label_index]),
        bias=float(values[label_index]) - float(parts[0].sum()) - fast,
        fast=fast,
        scores=_scores(values / temperature, model.description.task).numpy(),
    )


def _scores(logits: Tensor, task: Task) -> Tensor:
    return logits.sigmoid() if is_multilabel(task) else logits.softmax(dim=0)
