"""The int8 graph: exact integer arithmetic, and what of a stage is written as what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

import onnx_ir as ir  # noqa: E402
import onnxruntime as ort  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from a3d_edge.exporters.int8_plan import (  # noqa: E402
    Plan,
    Tensor,
    convolution_scales,
    quantize_weights,
)
from a3d_edge.exporters.onnx_graph import float32, lower_stage  # noqa: E402
from a3d_edge.exporters.quantize import quantize  # noqa: E402
from a3d_edge.exporters.ranges import best_range, scale_of  # noqa: E402
from fixtures_lowered import FRAME_STAGE, READ_THE_STEM, stored_of, tiny_frame_stage  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from a3d_edge.models.checkpoint import norms  # noqa: E402
from a3d_edge.models.slow import Bottleneck  # noqa: E402
from a3d_edge.models.widths import Run  # noqa: E402

Arrays = dict[str, NDArray[Any]]


# --- the arithmetic of a block


class Block:
    """A bottleneck as `res4` begins with one (3×1×1, 3×3 at stride 2, 1×1, and its projection), quantized."""

    def __init__(self, width: float) -> None:
        torch.manual_seed(0)
        self.run = Run(width)
        self.inputs = 16 if width == 1.0 else 8
        self.module = Bottleneck(16, 32, kernel=3, stride=2).eval()
        for name, tensor in [*self.module.named_parameters(), *self.module.named_buffers()]:
            if tensor.dim() == 1:
                tensor.data.uniform_(-0.5, 1.0)
                if name.endswith("running_var"):
                    tensor.data.uniform_(0.5, 1.5)
        self.weights: Arrays = {}
        self.scales: Arrays = {}
        for name in ("a", "b", "c", "shortcut"):
            conv, norm = self.module.get_submodule(f"{name}.conv"), self.module.get_submodule(f"{name}.norm")
            self.weights[name], self.scales[name] = quantize_weights(
                float32(conv.weight), float32(norm.weight)
            )
        self.graph, self.plan = self._quantized()

    def _quantized(self) -> tuple[ir.Graph, Plan]:
        stored = stored_of(self.module, self.run.width)
        example = torch.zeros(3, self.inputs, 6, 6)
        lowered = lower_stage(
            lambda x: self.module(x, self.run),
            self.module,
            [example],
            name="block",
            inputs=[("features", ("frames", self.inputs, "height", "width"))],
            outputs=("logits", tuple(f"d{i}" for i in range(4))),
            stored=stored,
        )
        int8 = {f"{n}.conv.weight": ir.tensor(q, name=f"{n}.int8") for n, q in self.weights.items()}
        return quantize(lowered, "clip", int8)

    def values(self, activations: Mapping[str, tuple[float, int]]) -> Arrays:
        """A configuration's tensors for scales and zero points of the activations, by their names."""
        found: Arrays = {}
        for name, (scale, zero) in activations.items():
            found |= {f"{name}.scale": np.float32(scale), f"{name}.zero": np.uint8(zero)}
        for one in self.plan.convolutions:
            norm = self.module.get_submodule(f"{one.name}.norm")
            vectors = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            cut = [float32(v)[: one.channels] for v in vectors]
            scales = convolution_scales(
                self.scales[one.name][: one.channels], *cut, np.float32(activations[one.reads][0])
            )
            found[f"{one.name}.weight_scale"] = scales.weight_scale
            found[f"{one.name}.bias"], found[f"{one.name}.bias_scale"] = scales.bias, scales.bias_scale
        return found

    def computed(self, values: Arrays, features: NDArray[np.uint8], *, optimized: bool) -> NDArray[Any]:
        """What ONNX Runtime makes of the graph with these tensors."""
        for name, array in values.items():
            self.graph.initializers[name].const_value = ir.tensor(np.asarray(array), name=name)
        proto = ir.to_proto(ir.Model(self.graph, ir_version=10))
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        if not optimized:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = ort.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
        output: NDArray[Any] = session.run(None, {"features": features})[0]
        return output


@cache
def block(width: float) -> Block:
    """Built once a width."""
    return Block(width)


class Emulated:
    """The same in whole numbers, over a rank-5 clip: nothing of the graph's rank-4 form is in it."""

    def __init__(self, block: Block, values: Arrays) -> None:
        self.block, self.values = block, values

    def convolved(self, name: str, steps: Any, stride: int) -> NDArray[Any]:
        """``(1, C, T, H, W)`` steps from the zero point -> floats: Σ steps · int8 weights + bias, exactly."""
        scale = self.values[f"{name}.bias_scale"].astype(np.float64)
        weight = self.block.weights[name][: len(scale), : steps.shape[1]].astype(np.float64)
        pads = tuple(k // 2 for k in weight.shape[2:])  # a step of 0 is 0: so are the frames beyond the ends
        total = F.conv3d(
            torch.from_numpy(steps.astype(np.float64)),
            torch.from_numpy(weight),
            torch.from_numpy(self.values[f"{name}.bias"].astype(np.float64)),
            (1, stride, stride),
            pads,
        )
        return total.numpy() * scale.reshape(1, -1, 1, 1, 1)  # type: ignore[no-any-return]

    def steps(self, activation: str, x: NDArray[Any]) -> NDArray[Any]:
        """Rounded to the activation's steps, counted from its zero point."""
        scale, zero = float(self.values[f"{activation}.scale"]), int(self.values[f"{activation}.zero"])
        return np.clip(np.rint(x / scale) + zero, 0, 255) - zero

    def rounded(self, activation: str, x: NDArray[Any]) -> NDArray[Any]:
        return self.steps(activation, x) * float(self.values[f"{activation}.scale"])

    def output(self, features: NDArray[np.uint8], reads: Mapping[str, str], sums: list[str]) -> NDArray[Any]:
        """``(T, C, H, W)``; ``reads``: the activation a convolution reads, ``sums``: what is added."""
        x = features.astype(int).transpose(1, 0, 2, 3)[None] - int(self.values["features.zero"])
        a = np.maximum(self.convolved("a", x, 1), 0)
        b = np.maximum(self.convolved("b", self.steps(reads["b"], a), 2), 0)
        c = self.rounded(sums[0], self.convolved("c", self.steps(reads["c"], b), 1))
        shortcut = self.rounded(sums[1], self.convolved("shortcut", x, 2))
        return np.maximum(c + shortcut, 0)[0].transpose(1, 0, 2, 3)


def float_ranges(block: Block, features: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What the float block computes at every activation, by the plan's names."""
    x = torch.from_numpy(features.transpose(1, 0, 2, 3)[None].astype(np.float32))
    m, run = block.module, block.run
    with torch.inference_mode():
        a = F.relu(m.a(x, run))
        b = F.relu(m.b(a, run))
        c, shortcut = m.c(b, run), m.shortcut(x, run)
    reads = {one.name: one.reads for one in block.plan.convolutions}
    sums = [name for name in block.plan.activations if name not in reads.values()]
    return {reads["b"]: a.numpy(), reads["c"]: b.numpy(), sums[0]: c.numpy(), sums[1]: shortcut.numpy()}


@pytest.mark.parametrize("optimized", [False, True])
@pytest.mark.parametrize(
    ("width", "zero", "frames"), [(1.0, 0, 4), (1.0, 37, 3), (0.5, 200, 2), (0.5, 128, 1)]
)
def test_a_block_computes_whole_numbers(width: float, zero: int, frames: int, optimized: bool) -> None:
    """As written and as optimized, equal to integer arithmetic at the same scales: also with a zero point
    other than 0, which pads the picture's rim and stands for frames before the first and after the last."""
    one = block(width)
    rng = np.random.default_rng(zero + frames)
    features = rng.integers(0, 256, (frames, one.inputs, 6, 7), np.uint8)
    step = 0.03
    real = (features.astype(np.float32) - zero) * step
    ranges = {name: best_range(x) for name, x in float_ranges(one, real).items()}
    activations = {name: scale_of(*limits) for name, limits in ranges.items()} | {"features": (step, zero)}
    assert set(activations) == set(one.plan.activations)
    values = one.values(activations)
    reads = {conv.name: conv.reads for conv in one.plan.convolutions}
    assert (reads["a"], reads["shortcut"]) == ("features", "features")
    sums = list(float_ranges(one, real))[2:]
    assert all(activations[name][1] > 0 for name in sums)  # summands have zero points other than 0 too
    expected = Emulated(one, values).output(features, reads, sums)
    got = one.computed(values, features, optimized=optimized)
    assert got.shape == expected.shape == (frames, expected.shape[1], 3, 4)
    assert expected.max() > 10 * max(activations[name][0] for name in sums)
    # Half-way between two steps, another processor's float may be rounded to the other one; here none is.
    assert np.isclose(got, expected, atol=1e-4 * expected.max()).mean() > 0.99
    assert np.abs(got - expected).max() <= 2 * max(activations[name][0] for name in sums)


def test_it_is_near_the_float_block() -> None:
    """Within a few of 255 steps of the largest value."""
    one = block(1.0)
    features = np.random.default_rng(5).integers(0, 256, (4, one.inputs, 6, 6), np.uint8)
    real = (features.astype(np.float32) - 90) * 0.03
    ranges = {name: best_range(x) for name, x in float_ranges(one, real).items()}
    activations = {name: scale_of(*limits) for name, limits in ranges.items()} | {"features": (0.03, 90)}
    got = one.computed(one.values(activations), features, optimized=True)
    with torch.inference_mode():
        expected = one.module(torch.from_numpy(real), one.run).numpy()
    assert np.abs(got - expected).max() < 0.05 * expected.max()
    assert np.abs(got - expected).mean() < 0.01 * expected.max()


# --- what is quantized


def quantized_frame_stage(float_input: bool, keep: Collection[str] = ()) -> tuple[ir.Graph, Plan]:
    model, lowered = tiny_frame_stage()
    int8 = {
        name: ir.tensor(quantize_weights(float32(p), np.ones(len(p), np.float32))[0], name=f"{name}.int8")
        for name, p in model.named_parameters()
        if name.endswith("conv.weight")
    }
    return quantize(lowered, "frame", int8, float_input=float_input, keep=keep)


def convolutions_of(plan: Plan) -> set[str]:
    return {one.name for one in plan.convolutions}


def test_every_convolution_of_pictures_is_quantized() -> None:
    """Of the frame stage all nine, the stem too; no statistic is left, for batch norm is folded."""
    graph, plan = quantized_frame_stage(float_input=False)
    assert convolutions_of(plan) == FRAME_STAGE
    assert plan.statistics == {}
    kinds = [node.op_type for node in graph]
    assert kinds.count("Conv") == 9
    assert "BatchNormalization" not in kinds
    assert graph.outputs[0].type == ir.TensorType(ir.DataType.UINT8)
    assert graph.inputs[0].type == ir.TensorType(ir.DataType.FLOAT)


def test_of_motion_the_stem_and_what_reads_it_stay_float() -> None:
    """Differences between frames are mostly near zero, which 256 even steps lose."""
    graph, plan = quantized_frame_stage(float_input=True)
    assert convolutions_of(plan) == FRAME_STAGE - READ_THE_STEM - {"stem"}
    left = {name.rpartition(".norm.")[0] for name in plan.statistics}
    assert left == READ_THE_STEM | {"stem"}
    assert [node.op_type for node in graph].count("BatchNormalization") == 3
    assert set(plan.activations.values()).isdisjoint({"pictures"})
    assert "stem.conv.weight" in graph.initializers
    assert "stem.conv.weight.int8" not in graph.initializers.keys() | {t.name for t in plan.tensors}
    assert graph.outputs[0].type == ir.TensorType(ir.DataType.UINT8)


@pytest.mark.parametrize(
    ("kept", "with_it"),
    [
        ("res3.blocks.0.b", {"res3.blocks.0.a"}),  # which gives it its input
        ("res3.blocks.0.shortcut", set()),  # it reads a sum: all before the sum stays integer
        ("res2.blocks.0.a", {"stem"}),  # the pooled stem, here and in the next
        ("res2.blocks.0.shortcut", {"stem"}),
    ],
)
def test_what_is_kept_reads_what_was_not_rounded(kept: str, with_it: set[str]) -> None:
    """Its input quantized is what hurts. A convolution that gives it its input stays float as well: it could
    not be an integer one."""
    graph, plan = quantized_frame_stage(float_input=False, keep=[kept])
    assert convolutions_of(plan) == FRAME_STAGE - with_it - {kept}
    assert {f"{kept}.norm.running_mean", f"{kept}.norm.running_var"} <= plan.statistics.keys()
    (convolution,) = (
        node for node in graph if node.op_type == "Conv" and f"{kept}.conv.weight" in sources(node.inputs[1])
    )
    value = convolution.inputs[0]
    assert value is not None
    producer = value.producer()
    assert producer is not None
    assert producer.op_type in ("Relu", "MaxPool")
    assert producer.op_type == "Relu" or sources(producer.inputs[0]) >= {"stem.conv.weight"}


def sources(value: ir.Value | None) -> set[str]:
    """The initializers and inputs that a value is computed from."""
    assert value is not None
    producer = value.producer()
    if producer is None:
        return {str(value.name)}
    return set().union(*(sources(one) for one in producer.inputs if one is not None))


@pytest.mark.parametrize("float_input", [False, True])
def test_a_plan_lists_what_the_graph_wants(float_input: bool) -> None:
    """Every tensor of a configuration's own is an initializer of its type and shape, and named once."""
    graph, plan = quantized_frame_stage(float_input)
    names = [tensor.name for tensor in plan.tensors]
    assert len(set(names)) == len(names)
    for tensor in plan.tensors:
        value = graph.initializers[tensor.name].const_value
        assert value is not None
        assert tensor == Tensor(tensor.name, value.numpy().dtype.name, tuple(value.shape.numpy()))
    model, _ = tiny_frame_stage()
    for name, norm in norms(model).items():
        if (conv := name.removesuffix(".norm")) in convolutions_of(plan):
            assert Tensor(f"{conv}.bias", "int32", (norm.channels_at(0.5),)) in plan.tensors
    stored = {name for name in graph.initializers if name.endswith(".int8")}
    assert stored == {f"{name}.conv.weight.int8" for name in convolutions_of(plan)}


def test_a_convolution_that_nothing_integer_follows_is_quantized_to_its_end() -> None:
    """Its result gets a scale of its own: without, the integer kernel could not be fused, and the convolution
    would be a float one over rounded numbers."""
    module = torch.nn.ModuleDict({"only": Bottleneck(8, 32, 1, 1).a}).eval()
    conv: Any = module["only"]

    def lowered(after: Callable[[Any], Any]) -> ir.Model:
        return lower_stage(
            lambda x: after(conv(x, Run())), module, [torch.zeros(1, 8, 4, 4)], name="one",
            inputs=[("features", ("frames", 8, "height", "width"))], outputs=("logits", ("n", 8, "h", "w")),
            stored=stored_of(module, 1.0),
        )  # fmt: skip

    int8 = {"only.conv.weight": ir.tensor(np.zeros((8, 8, 1, 1, 1), np.int8), name="q")}
    for after, last in ((lambda x: F.relu(x).sigmoid(), "Relu"), (torch.sigmoid, "Conv")):
        graph, _ = quantize(lowered(after), "clip", int8)
        (end,) = [node for node in graph if node.op_type == "QuantizeLinear"]
        value = end.inputs[0]
        assert value is not None
        producer = value.producer()
        assert producer is not None
        assert producer.op_type == last
