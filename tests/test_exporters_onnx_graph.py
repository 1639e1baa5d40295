"""Lowering a stage to ONNX: equal to PyTorch at any frames and size, shared weights, loud refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from a3d_edge.exporters.onnx_graph import OPSET, float32, lower_stage
from fixtures_bundle import lively, noise, tiny_r2plus1d, tiny_slow, tiny_slowfast, tiny_x3d
from torch import Tensor, nn

from a3d_edge.configuration import pick_frames
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.network import NetworkDescription
from a3d_edge.models.slow import Slow
from a3d_edge.models.symbolic import pick_frames_like, resize_like, window_mean
from a3d_edge.models.widths import Run, md8


def stored_of(module: nn.Module) -> dict[str, ir.TensorProtocol]:
    """Every parameter and buffer at full width."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: ir.tensor(float32(tensor), name=name) for name, tensor in tensors}


def lower(module: nn.Module, stage: Callable[..., Tensor], *examples: Tensor, rank: int = 4) -> ir.Model:
    """One graph with the inputs x0, x1, … of any shape, and the output y."""
    return lower_stage(
        stage,
        module,
        examples,
        name="test",
        inputs=[(f"x{i}", [f"x{i}_{d}" for d in range(x.dim())]) for i, x in enumerate(examples)],
        outputs=("y", [f"y_{d}" for d in range(rank)]),
        stored=stored_of(module),
    )


_LOWERED: dict[float, tuple[ir.Model, ir.Model]] = {}


def lower_both(model: Slow, width: float) -> tuple[ir.Model, ir.Model]:
    """Frame and clip stage; once a width, for the tiny network is the same in every test."""
    if width not in _LOWERED:
        _LOWERED[width] = lower_both_now(model, width)
    return _LOWERED[width]


def lower_both_now(model: Slow, width: float) -> tuple[ir.Model, ir.Model]:
    """Frame and clip stage, traced on one small example."""
    run, pictures = Run(width), torch.zeros(3, 3, 32, 32)
    with torch.inference_mode():
        features = model.frame_stage(pictures, run).clone()
    return (
        lower_stage(
            lambda x: model.frame_stage(x, run),
            model,
            [pictures],
            name="frame",
            inputs=[("pictures", ("frames", 3, "size", "size"))],
            outputs=("features", ("frames", features.shape[1], "height", "width")),
            stored=stored_of(model),
        ),
        lower_stage(
            lambda x: model.clip_stage(x, run),
            model,
            [features],
            name="clip",
            inputs=[("features", ("frames", features.shape[1], "height", "width"))],
            outputs=("logits", (1, 3)),
            stored=stored_of(model),
        ),
    )


def session(graph: ir.Model) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(ir.to_proto(graph).SerializeToString(), options, ["CPUExecutionProvider"])


@pytest.mark.parametrize("width", [0.5, 0.63, 0.8, 1.0])
def test_one_graph_serves_every_size_and_frame_count(tiny_network: Slow, width: float) -> None:
    """Both stages, traced once at 32×32×3, equal PyTorch in ONNX Runtime at sizes and frames never traced."""
    frame, clip = (session(graph) for graph in lower_both(tiny_network, width))
    rng = np.random.default_rng(0)
    for size, frames in [(32, 3), (32, 1), (24, 8), (45, 2), (71, 5), (16, 4)]:
        pictures = rng.normal(size=(frames, 3, size, size)).astype(np.float32)
        features = frame.run(None, {"pictures": pictures})[0]
        logits = clip.run(None, {"features": features})[0]
        with torch.inference_mode():
            expected = tiny_network.frame_stage(torch.from_numpy(pictures), Run(width))
            wanted = tiny_network.run(torch.from_numpy(pictures).transpose(0, 1).unsqueeze(0), Run(width))
        assert _relative(features, expected.numpy()) < 1e-5, (size, frames)
        assert _relative(logits, wanted.numpy()) < 1e-4, (size, frames)
        assert logits.shape == (1, 3)


def _relative(got: np.ndarray, expected: np.ndarray) -> float:
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


Shapes = list[tuple[int, ...]]


@pytest.mark.parametrize(
    ("stage", "shapes"),
    [
        (lambda x: x.sigmoid(), [[(2, 3, 4, 4)], [(1, 3, 7, 5)]]),
        (lambda x: nn.functional.silu(x), [[(2, 3, 4, 4)], [(5, 3, 7, 1)]]),
        (lambda x: x.softmax(dim=2), [[(1, 2, 3)], [(1, 9, 3)], [(2, 1, 8)]]),
        (lambda x: x.softmax(dim=1), [[(1, 2, 3)], [(2, 5, 4)]]),
        (lambda x: x.sigmoid().log(), [[(1, 2, 3)], [(1, 9, 3)]]),
        (lambda x: x.logsumexp(dim=2), [[(1, 2, 3)], [(2, 5, 7)]]),
        (lambda x: x.logsumexp(dim=1, keepdim=True), [[(1, 2, 3)], [(2, 5, 7)]]),
        (lambda x, y: x * y, [[(2, 3, 4, 4), (1, 3, 1, 1)], [(5, 3, 7, 2), (1, 3, 1, 1)]]),
    ],
    ids=["sigmoid", "silu", "softmax", "softmax 1", "log", "logsumexp", "logsumexp keep", "multiply"],
)
def test_elementwise_operators_equal_pytorch(stage: Callable[..., Tensor], shapes: list[Shapes]) -> None:
    """Traced at the first shapes, right at the others too, with values far from 0 among them."""
    assert_one_graph_serves(stage, shapes, 1e-5)


def assert_one_graph_serves(stage: Callable[..., Tensor], shapes: list[Shapes], tolerance: float) -> None:
    """A graph traced on zeros of the first shapes computes what PyTorch does on noise of all of them."""
    with torch.inference_mode():
        examples = [torch.zeros(shape) for shape in shapes[0]]
        graph = session(lower(nn.Module(), stage, *examples, rank=stage(*examples).dim()))
        for number, given in enumerate(shapes):
            torch.manual_seed(number)
            xs = [4 * torch.randn(shape) for shape in given]
            got = graph.run(None, {f"x{i}": x.numpy() for i, x in enumerate(xs)})[0]
            assert _relative(got, stage(*xs).numpy()) < tolerance, given


def of_both_layouts(operation: Callable[..., Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The rank-4 result, which must be the rank-5 one."""
    result = operation(x, y)
    batch = [z.transpose(0, 1).unsqueeze(0) for z in (x, y)]
    torch.testing.assert_close(operation(*batch)[0].transpose(0, 1), result)
    return result


@pytest.mark.parametrize("traced", [(9, 9), (5, 8)])
def test_resizing_follows_the_other_tensor(traced: tuple[int, int]) -> None:
    """Smaller, larger, other aspects and the same size, from one graph, as in rank 5."""
    sizes = [traced, (4, 4), (9, 9), (6, 5), (13, 17), (1, 1), (3, 12)]
    shapes: list[Shapes] = [[(3, 4, 9, 9), (2, 5, *size)] for size in sizes]
    shapes += [[(1, 4, 28, 28), (1, 5, 18, 18)], [(1, 4, 7, 7), (1, 5, 8, 8)]]
    assert_one_graph_serves(resize_like, shapes, 1e-5)
    with torch.inference_mode():
        for size in sizes:
            of_both_layouts(resize_like, torch.randn(3, 4, 9, 9), torch.randn(3, 5, *size))


@pytest.mark.parametrize("traced", [1, 3, 8])
def test_picking_follows_the_other_tensor(traced: int) -> None:
    """Every number of frames of every window up to 9, from one graph, as γt picks them."""
    pairs = [(8, traced), *((t, n) for t in range(1, 10) for n in range(1, t + 1))]
    assert_one_graph_serves(pick_frames_like, [[(t, 2, 3, 3), (n, 5, 2, 2)] for t, n in pairs], 1e-9)
    x = torch.arange(8.0).view(8, 1, 1, 1)
    with torch.inference_mode():
        for frames in range(1, 9):
            picked = of_both_layouts(pick_frames_like, x, torch.zeros(frames, 1, 1, 1))
            assert picked.flatten().tolist() == pick_frames(8, frames)


@pytest.mark.parametrize("traced", [(7, 7), (5, 5), (8, 8), (3, 10)])
def test_windows_are_averaged_whatever_the_size(traced: tuple[int, int]) -> None:
    """One window, several along either axis, or fewer positions than a window has, from one graph."""
    sizes = [traced, (7, 7), (8, 8), (8, 7), (7, 9), (9, 12), (4, 4), (1, 1), (3, 10), (20, 6)]
    shapes: list[Shapes] = [[(2, 3, *size)] for size in sizes]
    assert_one_graph_serves(lambda x: window_mean(x, 7), shapes, 1e-5)
    x = torch.randn(2, 3, 8, 9)
    by_hand = [x[:, :, i : i + 7, j : j + 7].mean((2, 3)) for i in range(2) for j in range(3)]
    with torch.inference_mode():
        torch.testing.assert_close(window_mean(x, 7).flatten(2), torch.stack(by_hand, dim=2))


class Weighted(nn.Module):
    """A single stored weight, to be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(60.0).view(5, 4, 3))


@pytest.mark.parametrize(
    "cut",
    [
        lambda w: w[:3, :2],
        lambda w: w[:4][:, -2:],
        lambda w: w[:3][1:],
        lambda w: w[1:][:2, :, :1],
        lambda w: w[:, 1:-1][:, :1],
        lambda w: w[::2][:2],
        lambda w: w[:99],
    ],
    ids=["both axes", "a tail", "twice", "twice and another", "negative end", "steps", "nothing cut off"],
)
def test_slices_of_a_weight_are_those_of_pytorch(cut: Callable[[Tensor], Tensor]) -> None:
    """Slices of one weight are merged into one, also where an axis is cut again."""
    module = Weighted()
    wanted = cut(module.weight).detach()
    graph = lower(module, lambda x: cut(module.weight) * x, torch.zeros(1), rank=3)
    got = session(graph).run(None, {"x0": np.ones(1, np.float32)})[0]
    np.testing.assert_array_equal(got, wanted.numpy())


@cache
def graphs_of(description: NetworkDescription) -> list[bytes]:
    """The graphs of half width of a lively network, traced at the description's own size and frames."""
    model = lively(description)
    whole = noise(description, description.size, 1)
    examples = [x[0].transpose(0, 1) for x in ([whole] if isinstance(whole, Tensor) else whole)]
    lowered = []
    for graph in model.graphs(Run(0.5)):
        with torch.inference_mode():
            result = graph.compute(*examples).clone()
        inputs = [(name, [f"{name}_{d}" for d in range(4)]) for name in graph.inputs]
        outputs = (graph.stage, [f"y_{d}" for d in range(result.dim())])
        lowered.append(
            lower_stage(
                graph.compute, model, examples, name="test", inputs=inputs, outputs=outputs,
                stored=stored_of(model),
            )
        )  # fmt: skip
        examples = [result]
    return [ir.to_proto(graph).SerializeToString() for graph in lowered]


@pytest.mark.parametrize(
    "description",
    [tiny_slow(), tiny_slowfast(), tiny_x3d(), tiny_x3d(exact=True, name="exact_x3d"), tiny_r2plus1d()],
    ids=lambda d: d.name,
)
def test_a_graph_holds_no_size_and_no_frame_count(description: NetworkDescription) -> None:
    """Traced at another size and other frames it is the same, byte for byte."""
    other = description.model_copy(update={"size": 45, "frames": 3})
    assert graphs_of(description) == graphs_of(other)


def test_tensors_of_the_fast_pathway_are_never_cut() -> None:
    """At half width only the slow pathway's weights are; those after a fusion keep their first and last."""
    (graph,) = (onnx.load_model_from_string(content) for content in graphs_of(tiny_slowfast()))
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in graph.graph.initializer if i.data_type == 7}
    stored = {i.name: i for i in graph.graph.initializer if i.data_type == 1}
    cuts: dict[str, list[dict[int, tuple[int, int]]]] = {}
    for node in graph.graph.node:
        if node.op_type == "Slice" and node.input[0] in stored:
            starts, ends, axes = (constants[name] for name in node.input[1:4])
            cuts.setdefault(node.input[0], []).append(
                {int(a): (int(b), int(e)) for a, b, e in zip(axes, starts, ends, strict=True)}
            )
    assert {name.split(".")[0] for name in stored} >= {"fast", "fuse_stem", "fuse_res4", "slow", "head"}
    assert {name.split(".")[0] for name in cuts} == {"slow", "head"}
    fused = {
        "slow.res2.blocks.0.a.conv.weight": 8,
        "slow.res3.blocks.0.shortcut.conv.weight": 32,
        "slow.res5.blocks.0.a.conv.weight": 128,
        "head.weight": 128,
    }
    for name, tail in fused.items():
        first, last = cuts[name]
        inputs = stored[name].dims[1] - tail
        assert (first.get(1), last[1]) == ((0, max(8, inputs // 2)), (-tail, np.iinfo(np.int64).max)), name


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_graphs_are_valid_and_plain(tiny_network: Slow, width: float) -> None:
    """The ONNX checker accepts them, shapes are inferred, and nothing but standard operators is used."""
    for graph in lower_both(tiny_network, width):
        proto = ir.to_proto(graph)
        onnx.checker.check_model(proto, full_check=True)
        assert [(opset.domain, opset.version) for opset in proto.opset_import] == [("", OPSET)]
        assert {node.domain for node in proto.graph.node} == {""}


@pytest.mark.parametrize("width", [0.5, 0.8, 1.0])
def test_initializers_keep_their_full_width_and_their_name(tiny_network: Slow, width: float) -> None:
    """Every weight is in exactly one of the graphs, whole, under PyTorch's name: widths can share it."""
    weights = dict(tiny_network.named_parameters())
    found: dict[str, tuple[int, ...]] = {}
    for graph in lower_both(tiny_network, width):
        for name, value in graph.graph.initializers.items():
            if name in weights:
                assert name not in found
                assert value.shape is not None
                found[name] = tuple(value.shape.numpy())
    assert found == {name: tuple(parameter.shape) for name, parameter in weights.items()}


def test_no_other_constant_is_large(tiny_network: Slow) -> None:
    """No slice of a weight and no zero padding is folded into a constant of its own."""
    known = {name for name, _ in [*tiny_network.named_parameters(), *tiny_network.named_buffers()]}
    for graph in lower_both(tiny_network, 0.5):
        proto = ir.to_proto(graph)
        for initializer in proto.graph.initializer:
            assert initializer.name in known or np.prod(initializer.dims) <= 8, initializer.name
        attributes = [a for node in proto.graph.node for a in node.attribute if a.HasField("t")]
        assert all(np.prod(a.t.dims) <= 1 for a in attributes)


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_statistics_are_replaceable_by_name(tiny_network: Slow, width: float, tmp_path: Path) -> None:
    """Narrow statistics stored in place of full-width ones give what PyTorch gives with them."""
    run, name = Run(width, "w0.50-s32-t4"), "w0.50-s32-t4"
    stored = stored_of(tiny_network)
    torch.manual_seed(8)
    for layer, norm in norms(tiny_network).items():
        channels = md8(len(norm.weight) * width)
        norm.calibrated[name] = (torch.randn(channels) * 0.2, torch.rand(channels) + 0.5)
        for suffix, value in zip(("running_mean", "running_var"), norm.calibrated[name], strict=True):
            stored[f"{layer}.{suffix}"] = ir.tensor(float32(value), name=f"{layer}.{suffix}")
    graph = lower_stage(
        lambda x: tiny_network.frame_stage(x, Run(width)),
        tiny_network,
        [torch.zeros(2, 3, 32, 32)],
        name="frame",
        inputs=[("x", ("frames", 3, "size", "size"))],
        outputs=("y", ("frames", None, "height", "width")),
        stored=stored,
    )
    pictures = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        expected = tiny_network.frame_stage(pictures, run).numpy()
        without = tiny_network.frame_stage(pictures, Run(width)).numpy()
    got = session(graph).run(None, {"x": pictures.numpy()})[0]
    assert _relative(got, expected) < 1e-5
    assert _relative(got, without) > 1e-2


def test_lowering_leaves_the_model_as_it_was(tiny_network: Slow) -> None:
    """Tracing swaps tensors; afterwards the module holds its own, with gradients on."""
    before = {name: (id(p), p.clone()) for name, p in tiny_network.named_parameters()}
    lower_both_now(tiny_network, 0.5)
    for name, parameter in tiny_network.named_parameters():
        assert (id(parameter), parameter.requires_grad) == (before[name][0], True)
        assert torch.equal(parameter, before[name][1])


def test_an_operator_without_lowering_is_named(tiny_network: Slow) -> None:
    """Nothing is approximated: the export stops and says where to add it."""
    with pytest.raises(A3DEdgeError) as caught:
        lower(tiny_network, lambda x: torch.erfinv(x), torch.zeros(2, 3, 8, 8))
    assert str(caught.value) == (
        "export: the operator aten::erfinv has no ONNX lowering; add it to exporters/onnx_operators.py"
    )


def test_an_option_without_lowering_is_named(tiny_network: Slow) -> None:
    """``x + 2·y`` is an addition with an option that would silently be lost."""
    with pytest.raises(A3DEdgeError, match=r"the operator aten::add\.Tensor with alpha has no ONNX lowering"):
        lower(tiny_network, lambda x: torch.add(x, x, alpha=2), torch.zeros(2, 3, 8, 8))


def test_a_model_in_training_mode_is_refused(tiny_network: Slow) -> None:
    """Its batch norms normalise by the batch, which no graph of fixed statistics computes."""
    tiny_network.train()
    with pytest.raises(A3DEdgeError, match="training mode; put the model in eval mode first"):
        lower(tiny_network, lambda x: tiny_network.frame_stage(x, Run()), torch.zeros(2, 3, 32, 32))


def test_a_tensor_that_is_not_the_model_s_is_refused(tiny_network: Slow) -> None:
    """Calibrated statistics, for one, are no buffers: a graph that used them could not be shared."""
    foreign = torch.ones(3, 1, 1)
    with pytest.raises(A3DEdgeError, match="a tensor that is no parameter or buffer of the model"):
        lower(tiny_network, lambda x: x + foreign, torch.zeros(2, 3, 8, 8))
