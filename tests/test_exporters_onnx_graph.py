"""Lowering a stage to ONNX: equal to PyTorch at any frames and size, shared weights, loud refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from a3d_edge.exporters.onnx_graph import OPSET, float32, lower_stage
from torch import Tensor, nn

from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import norms
from a3d_edge.models.layers import Run, md8
from a3d_edge.models.slow import Slow


def stored_of(module: nn.Module) -> dict[str, ir.TensorProtocol]:
    """Every parameter and buffer at full width."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: ir.tensor(float32(tensor), name=name) for name, tensor in tensors}


def lower(module: nn.Module, stage: Callable[[Tensor], Tensor], example: Tensor) -> ir.Model:
    shape = ("frames", example.shape[1], "height", "width")
    return lower_stage(
        stage,
        module,
        example,
        name="test",
        inputs=("x", shape),
        outputs=("y", ("a", "b")),
        stored=stored_of(module),
    )


def lower_both(model: Slow, width: float) -> tuple[ir.Model, ir.Model]:
    """Frame and clip stage, traced on one small example."""
    run, pictures = Run(width), torch.zeros(3, 3, 32, 32)
    with torch.inference_mode():
        features = model.frame_stage(pictures, run).clone()
    return (
        lower_stage(
            lambda x: model.frame_stage(x, run),
            model,
            pictures,
            name="frame",
            inputs=("pictures", ("frames", 3, "size", "size")),
            outputs=("features", ("frames", features.shape[1], "height", "width")),
            stored=stored_of(model),
        ),
        lower_stage(
            lambda x: model.clip_stage(x, run),
            model,
            features,
            name="clip",
            inputs=("features", ("frames", features.shape[1], "height", "width")),
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
        torch.zeros(2, 3, 32, 32),
        name="frame",
        inputs=("x", ("frames", 3, "size", "size")),
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
    lower_both(tiny_network, 0.5)
    for name, parameter in tiny_network.named_parameters():
        assert (id(parameter), parameter.requires_grad) == (before[name][0], True)
        assert torch.equal(parameter, before[name][1])


def test_an_operator_without_lowering_is_named(tiny_network: Slow) -> None:
    """Nothing is approximated: the export stops and says where to add it."""
    with pytest.raises(A3DEdgeError) as caught:
        lower(tiny_network, lambda x: torch.erfinv(x), torch.zeros(2, 3, 8, 8))
    assert str(caught.value) == (
        "export: the operator aten::erfinv has no ONNX lowering; add it to exporters/onnx_graph.py"
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
