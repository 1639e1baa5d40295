"""Which convolutions and values become integers, of the tiny network's frame stage and of graphs by hand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

import onnx_ir as ir
from a3d_edge.exporters.quantizable import (
    Choice,
    block_of,
    channels_of,
    choose,
    input_of,
    is_stored,
    is_zeros,
    moved_by,
    root_of,
    zeros_like,
)
from fixtures_lowered import FRAME_STAGE, READ_THE_STEM, tiny_frame_stage

from a3d_edge.models.checkpoint import norms

WEIGHTS = {f"{name}.conv.weight" for name in FRAME_STAGE}


def chosen(int8: Collection[str] = WEIGHTS, **options: Any) -> Choice:
    """Of the tiny frame stage."""
    _, lowered = tiny_frame_stage()
    return choose(lowered.graph, "frame", int8, **options)


def blocks(choice: Choice) -> set[str]:
    return {block_of(norm) for norm in choice.convolutions}


def exact_blocks(choice: Choice) -> set[str]:
    weights = (input_of(one, 1) for one in choice.exact)
    return {source(value).removesuffix(".conv.weight") for value in weights}


def source(value: ir.Value) -> str:
    """The stored tensor that a weight is cut from."""
    producer = value.producer()
    return str(value.name) if producer is None else source(input_of(producer, 0))


# --- of a network


def test_every_convolution_with_a_batch_norm_is_chosen() -> None:
    """Each with the batch norm that reads it, and nothing stays as it was."""
    choice = chosen()
    assert blocks(choice) == FRAME_STAGE
    assert choice.exact == frozenset()
    for norm, convolution in choice.convolutions.items():
        assert (norm.op_type, convolution.op_type) == ("BatchNormalization", "Conv")
        assert input_of(norm, 0) is convolution.outputs[0]


def test_a_convolution_without_int8_weights_is_left_alone() -> None:
    """It is not one that reads unrounded values either: it reads what there is."""
    choice = chosen(WEIGHTS - {"res3.blocks.0.b.conv.weight"})
    assert blocks(choice) == FRAME_STAGE - {"res3.blocks.0.b"}
    assert choice.exact == frozenset()


def test_values_with_a_scale_of_their_own() -> None:
    """The pictures, the stem, and of each block its a, b, c, its shortcut and its sum: 12, for pooling, time
    shifts and transposing have their operand's. The last is what the frame stage gives."""
    _, lowered = tiny_frame_stage()
    points = chosen().points
    assert len(points) == 12
    assert lowered.graph.inputs[0] in points
    assert root_of(lowered.graph.outputs[0]) in points
    kinds = [producer.op_type for value in points if (producer := value.producer()) is not None]
    assert sorted(kinds) == ["BatchNormalization"] * 4 + ["Relu"] * 7  # 4 summands are not rectified


def test_of_motion_the_stem_and_what_reads_it_stay() -> None:
    """And neither the pictures nor the stem's result is rounded for them."""
    _, lowered = tiny_frame_stage()
    choice = chosen(float_input=True)
    assert blocks(choice) == FRAME_STAGE - READ_THE_STEM - {"stem"}
    assert exact_blocks(choice) == READ_THE_STEM | {"stem"}
    assert lowered.graph.inputs[0] not in choice.points


@pytest.mark.parametrize(
    ("kept", "with_it"),
    [
        ("res3.blocks.0.b", {"res3.blocks.0.a"}),  # which gives it its input
        ("res3.blocks.0.shortcut", set()),  # it reads a sum: all before the sum stays integer
        ("res2.blocks.0.a", {"stem"}),
        ("stem", set()),
    ],
)
def test_what_is_kept_reads_floats(kept: str, with_it: set[str]) -> None:
    """The convolution that gives it its input is not chosen, but reads rounded values as any other."""
    choice = chosen(keep=[kept])
    assert blocks(choice) == FRAME_STAGE - with_it - {kept}
    assert exact_blocks(choice) == {kept}


def test_a_batch_norm_knows_its_block_and_channels() -> None:
    """At half width: the statistics are that width's."""
    model, _ = tiny_frame_stage()
    wanted = {name.removesuffix(".norm"): norm.channels_at(0.5) for name, norm in norms(model).items()}
    found = {block_of(norm): channels_of(norm) for norm in chosen().convolutions}
    assert found == {name: wanted[name] for name in FRAME_STAGE}


# --- of graphs by hand


def value(name: str) -> ir.Value:
    return ir.Value(name=name)


def stored(name: str) -> ir.Value:
    return ir.Value(name=name, const_value=ir.tensor(np.zeros(2, np.float32), name=name))


def made(op: str, *inputs: ir.Value | None) -> ir.Value:
    """The result of an operator."""
    return ir.node(op, list(inputs)).outputs[0]


def padding(like: ir.Value) -> ir.Value:
    return made("ConstantOfShape", made("Shape", like))


def test_numbers_are_followed_through_what_only_moves_them() -> None:
    """Up to what computed them."""
    x = made("Relu", value("x"))
    assert root_of(x) is x
    assert root_of(made("MaxPool", made("Transpose", made("Slice", x, stored("starts"))))) is x
    assert root_of(value("x")).name == "x"


def test_a_concatenation_has_a_root_if_all_its_parts_have_it() -> None:
    """Frames of one tensor and zeros do; two tensors have two scales, and the whole needs one of its own."""
    x, y = value("x"), value("y")
    before, after = made("Slice", x, stored("starts")), made("Slice", x, stored("ends"))
    assert root_of(made("Concat", before, padding(before), after)) is x
    both = made("Concat", x, y)
    assert root_of(both) is both
    assert moved_by(ir.node("Concat", [x, y])) == [x, y]
    assert moved_by(ir.node("Gather", [x, y])) == [x]


def test_zeros_know_what_they_are_like() -> None:
    """They are made of another value's shape."""
    x = value("x")
    assert zeros_like(padding(x)) is x
    assert is_zeros(padding(x))
    assert not is_zeros(x)
    assert not is_zeros(made("Relu", x))


def test_what_is_cut_from_stored_tensors_is_stored() -> None:
    """Through any number of operators, unless one of them reads an input of the graph."""
    weight = made("Reshape", made("Slice", stored("weight"), stored("starts"), None), stored("shape"))
    assert is_stored(ir.node("Transpose", [weight]))
    assert not is_stored(ir.node("Conv", [value("x"), weight]))
    assert not is_stored(ir.node("Add", [weight, made("Relu", value("x"))]))
