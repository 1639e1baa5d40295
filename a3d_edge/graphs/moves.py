"""Operators that move, cut, join and repeat values, or make them: what each gives, of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from a3d_edge.graphs.model import FLOAT, INT64
from a3d_edge.graphs.values import (
    KERNEL,
    NUMBERS,
    Known,
    RefusedError,
    axis_of,
    bounded,
    broadcast,
    integers,
    sizes,
)

Inputs = list[Known | None]
Attributes = Mapping[str, Any]


def joined(xs: Inputs, a: Attributes) -> Known:
    values = [x for x in xs if x is not None]
    first, axis = values[0], axis_of(a.get("axis", 0), len(values[0].shape))
    rest = [x.shape[:axis] + x.shape[axis + 1 :] for x in values if len(x.shape) == len(first.shape)]
    if len({x.type for x in values}) != 1 or len(set(rest)) != 1 or len(rest) != len(values):
        raise RefusedError("joins what does not fit")
    shape = (*first.shape[:axis], sum(x.shape[axis] for x in values), *first.shape[axis + 1 :])
    if first.type != INT64:
        return Known(first.type, shape)
    return Known(INT64, shape, bounded([number for x in values for number in integers(x)]))


def filled(xs: Inputs, a: Attributes) -> Known:
    value = a.get("value")
    if value is not None and value.type == INT64 and value.elements == 1 and value.raw == bytes(8):
        shape = sizes(xs[0])
        if len(shape) != 1:
            raise RefusedError("integers of more than one axis")
        return Known(INT64, shape, bounded((0,) * min(prod(shape), NUMBERS + 1)))
    if value is not None and (value.type != FLOAT or value.elements != 1 or not value.raw):
        raise RefusedError("filled with what an export does not write")
    return Known(FLOAT, sizes(xs[0]))


def picked(xs: Inputs, a: Attributes) -> Known:
    x, picked = xs[0], integers(xs[1])
    assert x is not None
    assert xs[1] is not None
    axis = axis_of(a.get("axis", 0), len(x.shape))
    size = x.shape[axis]
    if any(not -size <= place < size for place in picked):
        raise RefusedError(f"picks {max(picked)} of {size}")
    shape = (*x.shape[:axis], *xs[1].shape, *x.shape[axis + 1 :])
    if x.type != INT64:
        return Known(x.type, shape)
    if len(x.shape) != 1:
        raise RefusedError("picks of integers")
    numbers = integers(x)
    return Known(INT64, shape, bounded([numbers[place] for place in picked]))


def shape_of(xs: Inputs, a: Attributes) -> Known:
    assert xs[0] is not None
    found = xs[0].shape[a.get("start", 0) : a.get("end", len(xs[0].shape))]
    if not found or a.get("start", 0) < 0 or a.get("end", 1) < 0:
        raise RefusedError("no shape")
    return Known(INT64, (len(found),), found)


def cut(xs: Inputs, a: Attributes) -> Known:
    x = xs[0]
    assert x is not None
    starts, ends, axes = integers(xs[1]), integers(xs[2]), integers(xs[3])
    steps = integers(xs[4]) if len(xs) > 4 else (1,) * len(axes)
    if not len(starts) == len(ends) == len(axes) == len(steps) or len(set(axes)) != len(axes):
        raise RefusedError("cuts that do not fit each other")
    cuts = [slice(None)] * len(x.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not 1 <= step <= KERNEL:
            raise RefusedError(f"a cut in steps of {step}")
        cuts[axis_of(axis, len(x.shape))] = slice(start, end, step)
    shape = tuple(len(range(*cut.indices(size))) for cut, size in zip(cuts, x.shape, strict=True))
    numbers = integers(x)[cuts[0]] if x.type == INT64 and len(shape) == 1 else None
    return Known(x.type, shape, numbers)


def reshaped(xs: Inputs, a: Attributes) -> Known:
    x, wanted = xs[0], list(integers(xs[1]))
    assert x is not None
    if len(wanted) > 6 or wanted.count(-1) > 1 or any(size < -1 for size in wanted):
        raise RefusedError("a new shape that an export does not write")
    for place, size in enumerate(wanted):
        if size == 0 and place < len(x.shape):
            wanted[place] = x.shape[place]
    if -1 in wanted:
        rest = prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = x.elements // rest if rest else 0
    if prod(wanted) != x.elements:
        raise RefusedError(f"{x.elements} numbers in a new shape {tuple(wanted)}")
    return Known(x.type, tuple(wanted), x.numbers)


def transposed(xs: Inputs, a: Attributes) -> Known:
    x, order = xs[0], a.get("perm", [])
    assert x is not None
    if sorted(order) != list(range(len(x.shape))) or x.type == INT64:
        raise RefusedError("an exchange of axes that do not fit")
    return Known(x.type, tuple(x.shape[place] for place in order))


def unsqueezed(xs: Inputs, a: Attributes) -> Known:
    x, axes = xs[0], integers(xs[1])
    assert x is not None
    rank = len(x.shape) + len(axes)
    places = {axis_of(axis, rank) for axis in axes}
    if len(places) != len(axes) or rank > 6:
        raise RefusedError("new axes that do not fit")
    sizes = iter(x.shape)
    return Known(x.type, tuple(1 if place in places else next(sizes) for place in range(rank)), x.numbers)


def squeezed(xs: Inputs, a: Attributes) -> Known:
    x = xs[0]
    assert x is not None
    return Known(x.type, tuple(size for size in x.shape if size != 1), x.numbers)


def expanded(xs: Inputs, a: Attributes) -> Known:
    x = xs[0]
    assert x is not None
    if x.type == INT64:
        raise RefusedError("repeats integers")
    return Known(x.type, broadcast(x.shape, sizes(xs[1])))


def counted(xs: Inputs, a: Attributes) -> Known:
    begin, end, step = (integers(x) for x in xs)
    if not len(begin) == len(end) == len(step) == 1 or step[0] < 1 or end[0] - begin[0] > 4096 * step[0]:
        raise RefusedError("a range that an export does not write")
    numbers = bounded(range(begin[0], end[0], step[0]))
    if not numbers:
        raise RefusedError("an empty range")
    return Known(INT64, (len(numbers),), numbers)


def padded(xs: Inputs, a: Attributes) -> Known:
    x, pads = xs[0], integers(xs[1])
    assert x is not None
    rank = len(x.shape)
    if x.type != FLOAT or len(pads) != 2 * rank or any(not 0 <= pad <= KERNEL for pad in pads):
        raise RefusedError(f"padding of {max(pads, default=0)}")
    return Known(FLOAT, tuple(pads[i] + size + pads[rank + i] for i, size in enumerate(x.shape)))
