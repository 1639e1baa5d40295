"""Slow R-50 with AVA's head against PySlowFast's, written in plain ``nn.Conv3d`` and RoIAlign in loops."""

from __future__ import annotations

import pytest
import torch
from reference_ava import for_ava, narrowed, scored, some_people
from reference_networks import Plan

from a3d_edge.configuration import Configuration
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.foreign_names import their_names
from a3d_edge.models.registry import describe

SIDE, FRAMES, CLASSES = 96, 4, 80


@pytest.mark.parametrize(("arch", "alpha"), [("slow_r50", 0), ("slowfast_r50_4x16", 8)])
def test_random_weights_give_the_same_logits(arch: str, alpha: int) -> None:
    """1e-4 of the largest logit; boxes within, at the borders, of all and of one pixel, in two clips. A
    narrower Slow is the network that has the first part of every tensor."""
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
    boxes, owners = some_people(SIDE)
    given = BoxedClips.of(clips if alpha else clips[0], boxes, torch.tensor(owners))
    cases = [(theirs, None), (theirs, Configuration(1.0, SIDE, FRAMES))]
    if not alpha:
        cases.append((narrowed(theirs, 32), Configuration(0.5, SIDE, FRAMES)))
    with torch.no_grad():
        for their, configuration in cases:
            expected = scored(their, clips, boxes, owners)
            got = ours(given, configuration)
            assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
            assert expected.std(dim=0).max() > 0.01 * expected.abs().max()  # boxes differ
