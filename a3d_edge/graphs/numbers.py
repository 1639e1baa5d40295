"""Operators that compute: the type and shape of what each gives, of what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from a3d_edge.graphs.model import FLOAT, INT8, INT32, INT64, UINT8
from a3d_edge.graphs.values import KERNEL, Known, RefusedError, axis_of, bounded, broadcast, integers, sizes

Inputs = list[Known | None]
Attributes = Mapping[str, Any]


def _floats(*values: Known | None) -> list[Known]:
    found = [value for value in values if value is not None]
    if any(value.type != FLOAT for value in found):
        raise RefusedError("reads integers where numbers are due")
    return found


def same(xs: Inputs, a: Attributes) -> Known:
    (x,) = _floats(xs[0])
    if "axis" in a:
        axis_of(a["axis"], len(x.shape))
    return Known(FLOAT, x.shape)


def divided(x: int, y: int) -> int:
    if y == 0 or x < 0 or y < 0:
        raise RefusedError("an integer division that an export does not write")
    return x // y


def number_by_number(integer: Callable[[int, int], int]) -> Callable[[Inputs, Attributes], Known]:
    """Of two values that fit each other; of integers also the numbers."""

    def found(xs: Inputs, a: Attributes) -> Known:
        x, y = xs[0], xs[1]
        assert x is not None
        assert y is not None
        shape = broadcast(x.shape, y.shape)
        if x.type == y.type == FLOAT:
            return Known(FLOAT, shape)
        if x.type != INT64 or y.type != INT64 or len(shape) > 1:
            raise RefusedError("integers where numbers are due")
        count = prod(shape)
        left, right = ((given * count if len(given) == 1 else given) for given in (integers(x), integers(y)))
        return Known(INT64, shape, bounded([integer(i, j) for i, j in zip(left, right, strict=True)]))

    return found


def cast(xs: Inputs, a: Attributes) -> Known:
    x = xs[0]
    assert x is not None
    if a.get("to") != FLOAT or x.type not in (FLOAT, INT64):
        raise RefusedError("a conversion that an export does not write")
    return Known(FLOAT, x.shape)


def _windowed(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Positions of a window along an axis. Raises `RefusedError` without any."""
    reach = dilation * (kernel - 1) + 1
    found = (size + before + after - reach) // stride + 1
    if not (0 < kernel <= KERNEL and 0 < stride <= KERNEL and 0 < dilation <= KERNEL) or found < 1:
        raise RefusedError(f"a window of {kernel} over {size}, {stride} apart")
    if not (0 <= before <= KERNEL and 0 <= after <= KERNEL):
        raise RefusedError(f"padding of {before} and {after}")
    return found


def _places(x: Known, kernel: tuple[int, ...], a: Attributes) -> tuple[int, ...]:
    axes = len(kernel)
    strides, pads, dilations = a.get("strides", [1] * axes), a.get("pads", [0] * 2 * axes), a.get("dilations")
    dilations = [1] * axes if dilations is None else dilations
    if len(x.shape) != axes + 2 or [len(strides), len(pads), len(dilations)] != [axes, 2 * axes, axes]:
        raise RefusedError("a window with other axes than what it reads")
    return tuple(
        _windowed(x.shape[2 + i], kernel[i], strides[i], pads[i], pads[axes + i], dilations[i])
        for i in range(axes)
    )


def convolution(xs: Inputs, a: Attributes) -> Known:
    x, weight, *bias = _floats(*xs)
    group = a.get("group", 1)
    if len(x.shape) not in (4, 5) or len(weight.shape) != len(x.shape):
        raise RefusedError(f"a convolution of shapes {x.shape} and {weight.shape}")
    outputs, inputs, *kernel = weight.shape
    if group < 1 or x.shape[1] != inputs * group or outputs % group:
        raise RefusedError(f"a convolution of {x.shape[1]} channels by {weight.shape} in {group} groups")
    if any(one.shape != (outputs,) for one in bias):
        raise RefusedError("a bias that does not fit")
    return Known(FLOAT, (x.shape[0], outputs, *_places(x, tuple(kernel), a)))


def pooling(xs: Inputs, a: Attributes) -> Known:
    x = xs[0]
    assert x is not None
    kernel, pads = a.get("kernel_shape", []), a.get("pads", [])
    if (
        x.type not in (FLOAT, UINT8)
        or len(kernel) != len(x.shape) - 2
        or len(x.shape) < 3
        or any(pad >= min(kernel) for pad in pads)
    ):
        raise RefusedError("a pooling that an export does not write")
    return Known(x.type, (*x.shape[:2], *_places(x, tuple(kernel), a)))


def batch_norm(xs: Inputs, a: Attributes) -> Known:
    x, *own = _floats(*xs)
    epsilon = a.get("epsilon", 1e-5)
    if len(x.shape) < 2 or any(one.shape != (x.shape[1],) for one in own) or not 0.0 < epsilon < 1.0:
        raise RefusedError("a batch norm that does not fit")
    return Known(FLOAT, x.shape)


def product(xs: Inputs, a: Attributes) -> Known:
    x, weight, bias = _floats(*xs)
    if len(x.shape) != 2 or len(weight.shape) != 2 or x.shape[1] != weight.shape[0]:
        raise RefusedError(f"a product of shapes {x.shape} and {weight.shape}")
    if bias.shape != (weight.shape[1],):
        raise RefusedError("a bias that does not fit")
    return Known(FLOAT, (x.shape[0], weight.shape[1]))


def reduced(xs: Inputs, a: Attributes) -> Known:
    (x,) = _floats(xs[0])
    axes = {axis_of(axis, len(x.shape)) for axis in integers(xs[1])}
    if not axes:
        raise RefusedError("a mean over nothing")
    kept = a.get("keepdims", 1)
    shape = [1 if i in axes else size for i, size in enumerate(x.shape) if kept or i not in axes]
    return Known(FLOAT, tuple(shape))


def resize(xs: Inputs, a: Attributes) -> Known:
    (x,) = _floats(xs[0])
    shape = sizes(xs[3])
    how = (a.get("mode"), a.get("coordinate_transformation_mode"))
    if xs[1] is not None or xs[2] is not None or how != ("linear", "half_pixel"):
        raise RefusedError("a resizing that an export does not write")
    if len(x.shape) != 4 or len(shape) != 4 or shape[:2] != x.shape[:2]:
        raise RefusedError(f"a resizing of {x.shape} to {shape}")
    return Known(FLOAT, shape)


def regions(xs: Inputs, a: Attributes) -> Known:
    """Features of boxes, as `a3d_edge.models.roi` has them. How far a box goes is the caller's to bound."""
    x, boxes = _floats(xs[0], xs[1])
    owners = integers(xs[2])
    sides = a.get("output_height", 1), a.get("output_width", 1)
    how = a.get("mode"), a.get("coordinate_transformation_mode"), a.get("sampling_ratio")
    if how != ("avg", "half_pixel", 0) or not 0.0 < a.get("spatial_scale", 1.0) <= 1.0:
        raise RefusedError("regions in a way that an export does not write")
    if len(x.shape) != 4 or len(boxes.shape) != 2 or boxes.shape[1] != 4 or min(sides) < 1:
        raise RefusedError(f"regions of shapes {x.shape} and {boxes.shape}")
    if max(sides) > KERNEL or len(owners) != boxes.shape[0]:
        raise RefusedError(f"{len(owners)} owners of {boxes.shape[0]} regions of {sides}")
    if any(not 0 <= owner < x.shape[0] for owner in owners):
        raise RefusedError("regions of what is not there")
    return Known(FLOAT, (boxes.shape[0], x.shape[1], *sides))


def running_sum(xs: Inputs, a: Attributes) -> Known:
    (x,), axis = _floats(xs[0]), integers(xs[1])
    if len(axis) != 1:
        raise RefusedError("sums along several axes")
    axis_of(axis[0], len(x.shape))
    return Known(FLOAT, x.shape)


def quantize(xs: Inputs, a: Attributes) -> Known:
    x, scale, zero = xs
    assert x is not None
    assert scale is not None
    assert zero is not None
    if x.type != FLOAT or scale.type != FLOAT or zero.type != UINT8 or scale.shape or zero.shape:
        raise RefusedError("a quantization that an export does not write")
    return Known(UINT8, x.shape)


def dequantize(xs: Inputs, a: Attributes) -> Known:
    x, scale = xs[0], xs[1]
    assert x is not None
    assert scale is not None
    by_first = a.get("axis") == 0 and bool(x.shape) and scale.shape == (x.shape[0],)
    zero = xs[2] if len(xs) > 2 else None
    if scale.type != FLOAT or x.type not in (UINT8, INT8, INT32) or not (scale.shape == () or by_first):
        raise RefusedError("scales that do not fit")
    if zero is not None and (zero.type != x.type or zero.shape != scale.shape):
        raise RefusedError("a zero point that does not fit")
    return Known(FLOAT, x.shape)
