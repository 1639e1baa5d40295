"""The boxes that an export is proved with where clips have none."""

from __future__ import annotations

from itertools import pairwise

import torch
from a3d_edge.exporters.people import with_moving_boxes


def test_people_move_and_some_are_odd() -> None:
    """In every clip: at the borders, of one pixel, and who is elsewhere in the next; all in the picture."""
    found = with_moving_boxes(torch.zeros(6, 3, 2, 64, 64))
    boxes, owners = found.boxes.by_pathway[0], found.boxes.owners
    assert owners is not None
    assert sorted(set(owners.tolist())) == list(range(6))
    assert ((boxes >= 0) & (boxes <= 64)).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides > 0).all()
    assert ((sides == 1).all(dim=1)).sum() == 6
    assert (boxes == torch.tensor([0.0, 0.0, 64.0, 64.0])).all(dim=1).any()
    first = [boxes[owners == number][0] for number in range(6)]
    assert all(not torch.equal(one, other) for one, other in pairwise(first))


def test_the_same_people_at_every_size() -> None:
    """But for the pixel."""
    one, other = (with_moving_boxes(torch.zeros(2, 3, 2, side, side)) for side in (32, 64))
    kept = torch.tensor([True] * 5 + [False]).repeat(2)
    torch.testing.assert_close(one.boxes.by_pathway[0][kept] * 2, other.boxes.by_pathway[0][kept])
    slow, fast = with_moving_boxes(
        [torch.zeros(1, 3, 2, 32, 32), torch.zeros(1, 3, 8, 64, 64)]
    ).boxes.by_pathway
    torch.testing.assert_close(slow * 2, fast)
