"""What an int8 graph needs, and the closed forms of its numbers.

What all widths and configurations share are the int8 weights: one per filter and full width, w ≈ scale · q,
of which a narrower width slices its part. What differs is small and is stored configuration by configuration,
in the order of `Plan.tensors`:

    x.scale, x.zero       of every quantized activation, from its range on calibration clips
    c.weight_scale        (O,) the filter's scale · |γ| / √(var + ε): batch norm's scale lives here
    c.bias, c.bias_scale  (O,) int32: β − γ·mean/√(var + ε) in units of x.scale · c.weight_scale

The sign of γ is in the shared weights, for scales are positive.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Convolution", "ConvolutionScales", "Plan", "Tensor", "convolution_scales", "quantize_weights"]

LEAST_BIAS_STEP = 2.0**30
"""A bias is stored as int32: its step is never below 1/2³⁰ of it, also where γ is almost zero."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of a configuration's own tensors: name, numpy type, shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A quantized convolution: its name (`res2.blocks.0.a`), the activation it reads, its output channels."""

    name: str
    reads: str
    channels: int


@dataclass(slots=True)
class Plan:
    """What a quantized graph needs: activations by name (of the fp32 graph's values), and convolutions."""

    activations: dict[str, str] = field(
        default_factory=dict
    )  # quantized name -> value name in the fp32 graph
    convolutions: list[Convolution] = field(default_factory=list)
    statistics: dict[str, int] = field(default_factory=dict)  # of batch norms that stay fp32: channels

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of one configuration, in the order in which they are stored."""
        found = []
        for name in self.activations:
            found += [Tensor(f"{name}.scale", "float32", ()), Tensor(f"{name}.zero", "uint8", ())]
        for one in self.convolutions:
            shape = (one.channels,)
            found += [
                Tensor(f"{one.name}.weight_scale", "float32", shape),
                Tensor(f"{one.name}.bias", "int32", shape),
                Tensor(f"{one.name}.bias_scale", "float32", shape),
            ]
        return found + [Tensor(name, "float32", (n,)) for name, n in self.statistics.items()]


def quantize_weights(
    weight: NDArray[np.float32], gamma: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Full-width weights ``(O, I, …)`` as int8, and the scale of each filter ``(O,)``; with γ's signs."""
    rows = weight.reshape(len(weight), -1)
    scale = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-12)) / np.float32(127)
    signed = rows / scale[:, None] * np.where(gamma < 0, -1, 1)[:, None]
    return np.rint(signed).astype(np.int8).reshape(weight.shape), scale.astype(np.float32)


@dataclass(frozen=True, slots=True)
class ConvolutionScales:
    """A convolution's own tensors at one configuration, each ``(O,)``."""

    weight_scale: NDArray[np.float32]
    bias: NDArray[np.int32]
    bias_scale: NDArray[np.float32]


def convolution_scales(
    filter_scale: NDArray[np.float32],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    input_scale: np.float32,
    eps: float = 1e-5,
) -> ConvolutionScales:
    """Batch norm folded: weight scale = filter scale · |g|, bias = β − g·mean; g = γ / √(variance + ε)."""
    g = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + eps)
    bias = beta.astype(np.float64) - g * mean.astype(np.float64)
    least = np.maximum(np.abs(bias) / (float(input_scale) * LEAST_BIAS_STEP), 1e-30)
    weight_scale = np.maximum(filter_scale * np.abs(g), least).astype(np.float32)
    bias_scale = np.float32(input_scale) * weight_scale
    steps = np.rint(bias / bias_scale.astype(np.float64)).clip(-(2.0**31) + 1, 2.0**31 - 1)
    return ConvolutionScales(weight_scale, steps.astype(np.int32), bias_scale)
