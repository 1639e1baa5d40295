"""Operations whose result size follows from another tensor's, so that an exported graph holds no size.

PyTorch's tracer records the numbers it saw: a resize to 28×28, the frames 0 and 2 of 4. Exported so, a graph
would serve one size and one frame count. In the rank-4 layout (export only, no gradients) these three are
therefore recorded as operators of their own, which `exporters/onnx_operators.py` has as ONNX that computes
the sizes where it runs. In the rank-5 layout they are plain PyTorch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from a3d_edge.configuration import pick_frames

__all__ = ["pick_frames_like", "resize_like", "window_mean"]


def resize_like(x: Tensor, like: Tensor) -> Tensor:
    """Frame by frame bilinear (half-pixel centres, no anti-aliasing) to the height and width of ``like``.

    Both ``(N, C, T, H, W)`` or both ``(T, C, H, W)``. The same size is returned as it is.
    """
    if x.dim() == 4:
        resized: Tensor = _resize_like(x, like)
        return resized
    if x.shape[3:] == like.shape[3:]:
        return x
    flat = F.interpolate(x.transpose(1, 2).flatten(0, 1), size=like.shape[3:], mode="bilinear")
    return flat.reshape(x.shape[0], x.shape[2], *flat.shape[1:]).transpose(1, 2)


def pick_frames_like(x: Tensor, like: Tensor) -> Tensor:
    """As many frames as ``like`` has, picked as γt picks them: floor(i/γt). Either layout."""
    if x.dim() == 4:
        picked: Tensor = _pick_frames_like(x, like)
        return picked
    if x.shape[2] == like.shape[2]:
        return x
    return x[:, :, pick_frames(x.shape[2], like.shape[2])]


def window_mean(x: Tensor, window: int) -> Tensor:
    """Mean of every ``window × window`` part of ``(N, C, H, W)`` at stride 1; of all where it is smaller."""
    # The layouts look alike here; what is exported is recorded without gradients, which the operator lacks.
    means: Tensor = _average(x, window) if torch.is_grad_enabled() else _window_mean(x, window)
    return means


def _average(x: Tensor, window: int) -> Tensor:
    return F.avg_pool2d(x, (min(window, x.shape[2]), min(window, x.shape[3])), stride=1)


@torch.library.custom_op("a3d_edge::resize_like", mutates_args=())
def _resize_like(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x.clone()
    return F.interpolate(x, size=like.shape[2:], mode="bilinear")


@torch.library.custom_op("a3d_edge::pick_frames_like", mutates_args=())
def _pick_frames_like(x: Tensor, like: Tensor) -> Tensor:
    return x[pick_frames(x.shape[0], like.shape[0])]


@torch.library.custom_op("a3d_edge::window_mean", mutates_args=())
def _window_mean(x: Tensor, window: int) -> Tensor:
    return _average(x, window).clone()


@_window_mean.register_fake
def _(x: Tensor, window: int) -> Tensor:
    return _average(x, window)
