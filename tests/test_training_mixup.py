"""Clips mixed with one another, and their labels with them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.errors import UsageError
from a3d_edge.training.mixup import mixed
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.settings import Settings

CLIPS = torch.arange(4.0).reshape(4, 1, 1, 1, 1).expand(4, 3, 2, 5, 5)
LABELS = torch.tensor([0, 1, 2, 0])


@settings(deadline=None)
@given(st.floats(0.05, 4.0), st.text(max_size=8))
def test_each_clip_is_mostly_itself_and_its_label_tells_of_both(alpha: float, seed: str) -> None:
    """The first with the third, the second with the fourth, by the share that their labels tell."""
    clips, labels = mixed(CLIPS, LABELS, 3, alpha, seed)
    assert isinstance(clips, torch.Tensor)
    share = float(labels[0, 0])
    assert 0.5 <= share <= 1.0
    expected = torch.tensor([2 - 2 * share, 3 - 2 * share, 2 * share, 1 + 2 * share])
    torch.testing.assert_close(clips[:, 0, 0, 0, 0], expected)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(4))
    assert labels[1].tolist() == pytest.approx([1 - share, share, 0.0])


def test_it_depends_on_the_seed_alone() -> None:
    """A run that goes on mixes as it would have."""
    shares = [float(mixed(CLIPS, LABELS, 3, 0.4, f"0:{step}")[1][0, 0]) for step in (1, 1, 2)]
    assert shares[0] == shares[1] != shares[2]


def test_pathways_and_sets_of_labels() -> None:
    """Both pathways by one share; of sets each label by itself."""
    sets = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    (slow, fast), labels = mixed([CLIPS, CLIPS.repeat(1, 1, 4, 1, 1)], sets, 2, 0.4, "a")
    assert fast.shape == (4, 3, 8, 5, 5)
    assert torch.equal(slow[:, 0, 0, 0, 0], fast[:, 0, 0, 0, 0])
    assert labels[0].tolist() == pytest.approx([float(labels[0, 0]), 1.0])


def test_two_processes_mix_as_one() -> None:
    """Each has every other clip of the batch."""
    clips, labels = torch.randn(8, 3, 2, 4, 4), torch.arange(8) % 3
    whole, told = mixed(clips, labels, 3, 0.4, "7")
    for rank in (0, 1):
        part, said = mixed(clips[rank::2], labels[rank::2], 3, 0.4, "7")
        assert torch.equal(part, whole[rank::2])  # type: ignore[arg-type, index]
        assert torch.equal(said, told[rank::2])


def test_it_can_be_told_and_refused() -> None:
    """A checkpoint tells of it where it is used; older ones had none."""
    assert "mixup" not in Settings().told()
    assert Settings(mixup=0.2).told()["mixup"] == 0.2
    assert Recipe(mixup=0.2).settings().mixup == 0.2
    with pytest.raises(UsageError, match=r"`mixup` -0\.1 is below 0"):
        Settings(mixup=-0.1)
    with pytest.raises(UsageError, match="`mixup`: boxes of two clips are not those of their mixture"):
        Recipe(task="boxes", mixup=0.2).check()
