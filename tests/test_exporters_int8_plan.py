"""Closed forms of what int8 stores: the shared weights, a configuration's own vectors, and their order."""

from __future__ import annotations

import numpy as np
import pytest
from a3d_edge.exporters.int8_plan import (
    Convolution,
    Plan,
    Tensor,
    convolution_scales,
    quantize_weights,
)

# --- the shared weights


def test_every_filter_has_its_own_scale() -> None:
    """The largest weight of a filter is ±127 steps, and no weight is off by more than half a step."""
    weight = np.random.default_rng(0).normal(size=(4, 3, 1, 5, 5)).astype(np.float32)
    weight *= np.array([1e-4, 0.1, 1.0, 300.0], np.float32).reshape(4, 1, 1, 1, 1)
    int8, scale = quantize_weights(weight, np.ones(4, np.float32))
    assert (int8.dtype, int8.shape, scale.dtype) == (np.int8, weight.shape, np.float32)
    np.testing.assert_array_equal(np.abs(int8.astype(int)).reshape(4, -1).max(axis=1), 127)
    np.testing.assert_allclose(scale, np.abs(weight).reshape(4, -1).max(axis=1) / 127, rtol=1e-6)
    steps = scale.reshape(4, 1, 1, 1, 1)
    assert (np.abs(int8 * steps - weight) <= 0.5001 * steps).all()


def test_the_sign_of_gamma_is_in_the_weights() -> None:
    """Scales are positive, so a filter whose γ is negative is stored negated; γ = 0 counts as positive."""
    weight = np.array([[1.0, -0.5], [1.0, -0.5], [1.0, -0.5]], np.float32).reshape(3, 2, 1, 1, 1)
    int8, scale = quantize_weights(weight, np.array([2.0, -2.0, 0.0], np.float32))
    assert int8.reshape(3, 2).tolist() == [[127, -64], [-127, 64], [127, -64]]
    assert (scale > 0).all()


def test_a_filter_of_zeros_stays_zero() -> None:
    """It has some scale, and nothing is divided by zero."""
    int8, scale = quantize_weights(np.zeros((2, 3, 1, 1, 1), np.float32), np.ones(2, np.float32))
    assert not int8.any()
    assert (np.isfinite(scale) & (scale > 0)).all()


# --- a configuration's own vectors


def folded(
    filter_scale: float, gamma: float, beta: float, mean: float, variance: float, x: float = 0.02
) -> tuple[float, float, float]:
    """Weight scale, bias in float and bias scale of one channel."""
    vectors = (np.array([v], np.float32) for v in (filter_scale, gamma, beta, mean, variance))
    found = convolution_scales(*vectors, np.float32(x))
    assert (found.weight_scale.dtype, found.bias.dtype, found.bias_scale.dtype) == (
        np.dtype(np.float32), np.dtype(np.int32), np.dtype(np.float32)
    )  # fmt: skip
    weight_scale, bias_scale = float(found.weight_scale[0]), float(found.bias_scale[0])
    return weight_scale, int(found.bias[0]) * bias_scale, bias_scale


@pytest.mark.parametrize("gamma", [1.3, -0.7])
def test_the_scales_are_batch_norm_folded(gamma: float) -> None:
    """filter scale · |γ| / √(variance + ε), and β − γ·mean / √(variance + ε) within half a step."""
    g = gamma / np.sqrt(0.25 + 1e-5)
    weight_scale, bias, bias_scale = folded(0.004, gamma, 0.3, -1.7, 0.25)
    assert weight_scale == pytest.approx(0.004 * abs(g), rel=1e-6)
    assert bias_scale == pytest.approx(0.02 * weight_scale, rel=1e-6)
    assert abs(bias - (0.3 + g * 1.7)) <= 0.51 * bias_scale


def test_a_quantized_convolution_is_batch_norm_of_the_convolution() -> None:
    """On inputs that are steps already, what differs is the rounding of weights and bias alone."""
    rng = np.random.default_rng(1)
    channels, taps, step = 16, 24, np.float32(0.05)
    weight = rng.normal(size=(channels, taps)).astype(np.float32)
    gamma, beta, mean = (rng.normal(size=channels).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.2, 2.0, channels).astype(np.float32)
    steps = rng.integers(-128, 128, (taps, 50))
    int8, filter_scale = quantize_weights(weight, gamma)
    found = convolution_scales(filter_scale, gamma, beta, mean, variance, step)
    got = (int8.astype(np.int64) @ steps + found.bias[:, None]) * found.bias_scale[:, None].astype(np.float64)
    g = gamma / np.sqrt(variance + 1e-5)
    expected = (weight @ (steps * step)) * g[:, None] + (beta - g * mean)[:, None]
    off = 0.5 * (np.abs(steps).sum(axis=0) + 1) * found.bias_scale[:, None]
    assert (np.abs(got - expected) <= off * 1.001 + 1e-5).all()
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("gamma", [0.0, 1e-12, -1e-9])
@pytest.mark.parametrize("beta", [0.8, -3.0])
def test_the_bias_of_a_dead_filter_survives(gamma: float, beta: float) -> None:
    """Where γ is almost 0, |γ| alone would make the bias more steps than int32 has."""
    weight_scale, bias, _ = folded(0.004, gamma, beta, 0.5, 1.0)
    assert bias == pytest.approx(beta, rel=1e-6)
    assert 127 * 255 * 0.02 * weight_scale < 1e-4 * abs(beta)  # and one product stays negligible beside it


def test_a_filter_of_zeros_gives_its_bias() -> None:
    """The same where the weights are what is almost 0."""
    assert folded(1e-12 / 127, 1.0, 0.25, 0.0, 1.0)[1] == pytest.approx(0.25, rel=1e-6)


# --- the order in which they are stored


def test_a_plan_lists_its_tensors_in_order() -> None:
    """Activations, then convolutions, then statistics of what stays fp32; each with type and shape."""
    plan = Plan(
        activations={"frame.x0": "pictures", "features": "v9"},
        convolutions=[Convolution("stem", "frame.x0", 8), Convolution("res2.blocks.0.a", "features", 16)],
        statistics={"res2.blocks.0.b.norm.running_mean": 24},
    )
    assert plan.tensors == [
        Tensor("frame.x0.scale", "float32", ()),
        Tensor("frame.x0.zero", "uint8", ()),
        Tensor("features.scale", "float32", ()),
        Tensor("features.zero", "uint8", ()),
        Tensor("stem.weight_scale", "float32", (8,)),
        Tensor("stem.bias", "int32", (8,)),
        Tensor("stem.bias_scale", "float32", (8,)),
        Tensor("res2.blocks.0.a.weight_scale", "float32", (16,)),
        Tensor("res2.blocks.0.a.bias", "int32", (16,)),
        Tensor("res2.blocks.0.a.bias_scale", "float32", (16,)),
        Tensor("res2.blocks.0.b.norm.running_mean", "float32", (24,)),
    ]
