"""Slow R-50 with AVA's head against PySlowFast's, written in plain ``nn.Conv3d`` and RoIAlign in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference_networks import Plan, PySlowFast
from test_models_roi import by_definition
from torch import Tensor, nn

from a3d_edge.configuration import Configuration
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.foreign_names import their_names
from a3d_edge.models.registry import describe

SIDE, FRAMES, CLASSES = 96, 4, 80


def for_ava(plan: Plan) -> PySlowFast:
    """PySlowFast's network with ``SPATIAL_STRIDES`` 1, ``SPATIAL_DILATIONS`` 2 in res5, and lively norms."""
    torch.manual_seed(0)
    model = PySlowFast(plan).eval()
    for block in model.s5.children():
        b = block.branch2.b
        b.stride, b.dilation, b.padding = (1, 1, 1), (1, 2, 2), (0, 2, 2)
        if hasattr(block, "branch1"):
            block.branch1.stride = (1, 1, 1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            for tensor, low in ((module.weight, 0.5), (module.bias, -0.2), (module.running_mean, -0.2)):
                assert tensor is not None
                tensor.data.uniform_(low, low + 0.6)
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 1.5)
    return model


def scored(model: PySlowFast, clips: list[Tensor], boxes: Tensor, owners: list[int]) -> Tensor:
    """Its logits ``(K, classes)``: mean over time, RoIAlign, maximum, projection."""
    joined = []
    for features in model.features(clips):
        means = features.mean(dim=2).double().numpy()
        bins = [by_definition(means[o], box) for o, box in zip(owners, boxes.double().numpy(), strict=True)]
        joined.append(np.stack(bins).max(axis=(2, 3)))
    pooled = torch.from_numpy(np.concatenate(joined, axis=1)).float()
    logits: Tensor = model.head.projection(pooled)
    return logits


@pytest.mark.parametrize(("arch", "alpha"), [("slow_r50", 0), ("slowfast_r50_4x16", 8)])
def test_random_weights_give_the_same_logits(arch: str, alpha: int) -> None:
    """1e-4 of the largest logit; boxes within, at the borders, of all and of one pixel, in two clips."""
    theirs = for_ava(Plan(classes=CLASSES, frames=FRAMES, alpha=alpha))
    changes = {"task": "boxes", "size": SIDE, "frames": FRAMES}
    ours = describe(arch, CLASSES).model_copy(update=changes).build().eval()
    state = theirs.state_dict()
    names = their_names(list(ours.state_dict()), "PySlowFast")
    if alpha:  # theirs has the Fast pathway's features last too
        assert ours.head.tail == 256
    ours.load_state_dict({name: state[other] for name, other in names.items()})
    clips = [torch.randn(2, 3, FRAMES, SIDE, SIDE)]
    if alpha:
        clips.append(torch.randn(2, 3, FRAMES * alpha, SIDE, SIDE))
    boxes = torch.tensor(
        [
            [0, 0, SIDE, SIDE],
            [0, 0, 1, 1],
            [SIDE - 1, SIDE - 1, SIDE, SIDE],
            [40, 0, 41, SIDE],
            [0, 30, 20, SIDE],
            [13.5, 7.25, 61.0, 88.75],
        ]
    )
    owners = [0, 1, 0, 1, 1, 0]
    with torch.no_grad():
        expected = scored(theirs, clips, boxes, owners)
        given = BoxedClips.of(clips if alpha else clips[0], boxes, torch.tensor(owners))
        for configuration in (None, Configuration(1.0, SIDE, FRAMES)):
            got = ours(given, configuration)
            assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert expected.std(dim=0).max() > 0.01 * expected.abs().max()  # boxes differ
