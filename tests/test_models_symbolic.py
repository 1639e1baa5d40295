"""Operations whose size follows from another tensor's: both layouts are plain PyTorch, frame by frame."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.errors import UsageError
from a3d_edge.models.symbolic import pick_frames_like, resize_like, window_mean


def frames(x: Tensor) -> Tensor:
    """The frames (T, C, H, W) of a clip (1, C, T, H, W)."""
    return x[0].transpose(0, 1)


@pytest.mark.parametrize("to", [(4, 4), (7, 9), (3, 2), (1, 1), (12, 5)])
def test_resizing_is_bilinear_frame_by_frame(to: tuple[int, int]) -> None:
    """Half-pixel centres, no anti-aliasing, up and down; other clips and frames do not matter."""
    torch.manual_seed(0)
    x, like = torch.randn(2, 5, 3, 7, 9), torch.empty(2, 1, 8, *to)
    resized = resize_like(x, like)
    assert resized.shape == (2, 5, 3, *to)
    for clip in range(2):
        for frame in range(3):
            alone = F.interpolate(
                x[clip : clip + 1, :, frame], size=to, mode="bilinear", align_corners=False, antialias=False
            )
            torch.testing.assert_close(resized[clip, :, frame], alone[0])
    with torch.no_grad():
        torch.testing.assert_close(resize_like(frames(x[:1]), frames(like[:1])), frames(resized[:1]))


def test_halving_by_hand_takes_the_mean_of_two() -> None:
    """Of 0, 1, 2, 3 the half-pixel centres of two lie between the first and between the last two."""
    row = torch.arange(4.0).view(1, 1, 1, 1, 4).expand(1, 1, 1, 4, 4)
    assert resize_like(row, torch.empty(1, 1, 1, 4, 2))[0, 0, 0, 0].tolist() == [0.5, 2.5]


@pytest.mark.parametrize(("available", "wanted"), [(8, 4), (8, 5), (8, 3), (4, 3), (4, 1), (1, 1), (6, 6)])
def test_frames_are_picked_as_the_slow_pathway_s(available: int, wanted: int) -> None:
    """Frame floor(i / γt) for every i, in both layouts."""
    x = torch.arange(float(available)).view(1, 1, available, 1, 1).expand(2, 3, available, 2, 2)
    expected = [float(int(i * available / wanted)) for i in range(wanted)]
    picked = pick_frames_like(x, torch.empty(2, 7, wanted, 9, 9))
    assert picked.shape == (2, 3, wanted, 2, 2)
    assert picked[1, 2, :, 0, 0].tolist() == expected
    rank4 = pick_frames_like(frames(x[:1]), torch.empty(wanted, 7, 9, 9))
    assert rank4.shape == (wanted, 3, 2, 2)
    assert rank4[:, 0, 0, 0].tolist() == expected


def test_frames_are_never_invented() -> None:
    """More than there are is an error, not a repetition."""
    with pytest.raises(UsageError, match="5 frames cannot be picked from a window of 4"):
        pick_frames_like(torch.zeros(1, 1, 4, 2, 2), torch.zeros(1, 1, 5, 2, 2))


@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 8), (9, 7), (5, 8), (5, 5), (1, 3), (7, 12)])
def test_window_means_are_those_of_every_position(height: int, width: int) -> None:
    """7×7 at stride 1, of all where a side is shorter; alike with and without gradients."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width)
    h, w = min(7, height), min(7, width)
    expected = torch.stack(
        [
            torch.stack([x[:, :, i : i + h, j : j + w].mean(dim=(2, 3)) for j in range(width - w + 1)], dim=2)
            for i in range(height - h + 1)
        ],
        dim=2,
    )
    torch.testing.assert_close(window_mean(x, 7), expected)
    with torch.no_grad():
        torch.testing.assert_close(window_mean(x, 7), expected)


def test_what_fits_already_is_not_touched() -> None:
    """At γ = 1 the fusion changes no value; the exported form may copy."""
    x, like = torch.randn(2, 3, 4, 5, 6), torch.empty(2, 8, 4, 5, 6)
    assert resize_like(x, like) is x
    assert pick_frames_like(x, like) is x
    with torch.no_grad():
        assert torch.equal(resize_like(frames(x), frames(like)), frames(x))
        assert torch.equal(pick_frames_like(frames(x), frames(like)), frames(x))


def test_gradients_pass_through_in_training() -> None:
    """Rank 5: to the frames that were picked and no other, and through the resize and the windows."""
    x = torch.randn(1, 2, 4, 6, 6, requires_grad=True)
    pick_frames_like(x, torch.empty(1, 1, 2, 6, 6)).sum().backward()
    assert x.grad[0, 0, :, 0, 0].tolist() == [1.0, 0.0, 1.0, 0.0]
    x.grad = None
    resize_like(x, torch.empty(1, 1, 4, 3, 3)).square().sum().backward()
    assert x.grad.abs().sum(dim=(1, 3, 4)).gt(0).all()
    x.grad = None
    window_mean(x[:, :, 0], 7).sum().backward()
    assert torch.allclose(x.grad[:, :, 0], torch.full((1, 2, 6, 6), 1 / 36))
