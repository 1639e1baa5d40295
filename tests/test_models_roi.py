"""RoIAlign against its definition in plain loops and against ONNX Runtime's operator; the head for boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from reference_ava import by_definition
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.flops import count
from a3d_edge.models.registry import describe
from a3d_edge.models.roi import roi_align
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription

Array = NDArray[np.float64]


def some_boxes(side: float, rng: np.random.Generator) -> Array:
    """Boxes within, at and beyond the borders; of all, of one pixel, and of nothing."""
    points = rng.uniform(-8, side + 8, (24, 2, 2))
    odd = [
        [0, 0, side, side],
        [0, 0, 1, 1],
        [side - 1, side - 1, side, side],
        [side / 2, 0, side / 2 + 1, 1],
        [5, 5, 5, 5],
        [0, 0, side, 1],
    ]
    return np.concatenate([np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1), np.array(odd)])


@pytest.mark.parametrize("side", [1, 2, 4, 9, 14, 16])
def test_bins_are_the_means_of_their_samples(side: int) -> None:
    """As the definition in loops, in double precision: with owners, and for one clip without gradients."""
    rng = np.random.default_rng(side)
    features, boxes = rng.standard_normal((2, 3, side, side)), some_boxes(16.0 * side, rng)
    owners = rng.integers(0, 2, len(boxes))
    expected = np.stack([by_definition(features[o], box) for o, box in zip(owners, boxes, strict=True)])
    x, b = torch.from_numpy(features), torch.from_numpy(boxes)
    np.testing.assert_allclose(roi_align(x, b, torch.from_numpy(owners)), expected, atol=1e-12)
    alone = np.stack([by_definition(features[0], box) for box in boxes])
    np.testing.assert_allclose(roi_align(x[:1], b), alone, atol=1e-12)
    with torch.no_grad():
        np.testing.assert_allclose(roi_align(x[:1], b), alone, atol=1e-12)
        assert roi_align(x[:1], b[:0]).shape == (0, 3, 7, 7)


def onnx_operator() -> ort.InferenceSession:
    """ONNX's own RoiAlign, with what an export writes."""
    names = {"x": ("N", "C", "h", "w"), "boxes": ("K", 4), "owners": ("K",)}
    values = {
        name: ir.Value(
            name=name,
            shape=ir.Shape(shape),
            type=ir.TensorType(ir.DataType.INT64 if name == "owners" else ir.DataType.FLOAT),
        )
        for name, shape in names.items()
    }
    node = ir.node(
        "RoiAlign",
        list(values.values()),
        attributes={
            "mode": "avg", "output_height": 7, "output_width": 7, "sampling_ratio": 0,
            "spatial_scale": 1 / 16, "coordinate_transformation_mode": "half_pixel",
        },
    )  # fmt: skip
    y = node.outputs[0]
    y.name, y.type = "y", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph([*values.values()], [y], nodes=[node], opset_imports={"": 18}, name="roi")
    return ort.InferenceSession(ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString())


def test_onnx_runtime_computes_the_same() -> None:
    """``half_pixel`` is ``aligned``: the operator's bins are ours, boxes at and beyond borders included."""
    session, rng = onnx_operator(), np.random.default_rng(3)
    for side in (2, 9, 16):
        features = rng.standard_normal((3, 5, side, side)).astype(np.float32)
        boxes = some_boxes(16.0 * side, rng).astype(np.float32)
        owners = rng.integers(0, 3, len(boxes))
        expected = session.run(None, {"x": features, "boxes": boxes, "owners": owners})[0]
        got = roi_align(*(torch.from_numpy(each) for each in (features, boxes, owners)))
        np.testing.assert_allclose(got, expected, atol=2e-5)


def test_gradients_reach_the_features() -> None:
    """As finite differences say; boxes are given, not learned."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((2, 2, 4, 4))).requires_grad_()
    boxes, owners = torch.tensor([[3.0, 5.0, 40.0, 61.0], [0.0, 0.0, 64.0, 64.0]]), torch.tensor([1, 0])
    assert torch.autograd.gradcheck(lambda x: roi_align(x, boxes, owners), [features])


def boxed(description: Any, seed: int, clips: int = 2) -> BoxedClips:
    """Random clips with two to four boxes each."""
    torch.manual_seed(seed)
    side = description.size
    x = torch.randn(clips, 3, description.frames, side, side)
    rng = np.random.default_rng(seed)
    boxes = some_boxes(float(side), rng)[20:29].clip(0, side)
    owners = torch.from_numpy(rng.integers(0, clips, len(boxes)))
    there: Any = x
    if description.sampling.alpha > 1:
        there = [x, torch.randn(clips, 3, description.frames * description.alpha, side, side)]
    return BoxedClips.of(there, torch.from_numpy(boxes).float(), owners)


@pytest.fixture
def boxes_slow(tiny_description: SlowDescription) -> SlowDescription:
    return tiny_description.model_copy(update={"task": "boxes", "size": 64})


@pytest.mark.parametrize("name", ["w1.00-s64-t4", "w0.50-s48-t2", "w0.70-s71-t3"])
def test_every_box_is_recognised_by_itself(
    boxes_slow: SlowDescription, lively: Callable[..., Any], name: str
) -> None:
    """Logits ``(K, classes)`` in the order of the boxes; a box's do not depend on other boxes or clips."""
    model, x, configuration = lively(boxes_slow), boxed(boxes_slow, 1), Configuration.parse(name)
    with torch.no_grad():
        logits = model(x, configuration)
        assert logits.shape == (9, 3)
        assert x.boxes.owners is not None
        assert isinstance(x.clips, Tensor)
        for place, owner in enumerate(x.boxes.owners.tolist()):
            one = BoxedClips.of(x.clips[owner : owner + 1], x.boxes.by_pathway[0][place : place + 1])
            torch.testing.assert_close(model(one, configuration)[0], logits[place], rtol=1e-4, atol=1e-5)


def test_boxes_are_scaled_with_the_input(boxes_slow: SlowDescription, lively: Callable[..., Any]) -> None:
    """A clip at half its size, with boxes of half their sides, gives the same as when it is fitted."""
    model, x = lively(boxes_slow), boxed(boxes_slow, 2)
    half = Configuration(1.0, 32, 4)
    fitted = model.fit(x, half)
    torch.testing.assert_close(fitted.boxes.by_pathway[0], x.boxes.by_pathway[0] / 2)
    with torch.no_grad():
        torch.testing.assert_close(model(fitted, half), model(x, half))


def test_res5_keeps_res4_s_positions(boxes_slow: SlowDescription) -> None:
    """Stride 1 and dilation 2 in space: a tap two positions away, and none between."""
    model = boxes_slow.build().eval()
    from a3d_edge.models.widths import Run

    assert model.features(torch.zeros(1, 3, 4, 64, 64), Run())[0].shape[2:] == (4, 4, 4)
    convolution = model.res5.blocks[0].b.conv
    x = torch.zeros(1, 16, 1, 9, 9)
    x[..., 4, 4] = 1.0
    reached = convolution(x, Run()).abs().sum(dim=(0, 1, 2)) > 0
    assert reached.nonzero().tolist() == [[i, j] for i in (2, 4, 6) for j in (2, 4, 6)]
    torch.testing.assert_close(
        convolution(x[0].transpose(0, 1), Run()), convolution(x, Run())[0].transpose(0, 1)
    )


def test_slowfast_cuts_each_box_from_both_pathways(
    tiny_slowfast: SlowFastDescription, lively: Callable[..., Any]
) -> None:
    """The Fast pathway keeps its own size, and a box its place in it."""
    description = tiny_slowfast.model_copy(update={"task": "boxes", "size": 64})
    model, x = lively(description), boxed(description, 3)
    at = Configuration(0.5, 48, 2)
    fitted = model.fit(x, at)
    slow, fast = fitted.boxes.by_pathway
    torch.testing.assert_close(slow * (64 / 48), fast)
    with torch.no_grad():
        logits = model(x, at)
        one = BoxedClips.of([each[:1] for each in x.clips], x.boxes.by_pathway[0][x.boxes.of_clip(0)])
        torch.testing.assert_close(model(one, at), logits[x.boxes.owners == 0], rtol=1e-4, atol=1e-5)


def test_the_network_of_the_paper_s_table_4() -> None:
    """Slow R-50 8×8 at 224²: the head is one linear layer a person; res5 has four times the positions."""
    description = describe("slow_r50", 60).model_copy(update={"task": "boxes"})
    largest = Configuration(1.0, 224, 8)
    without, one, ten = (count(description, largest, boxes).gflops for boxes in (0, 1, 10))
    assert one - without == pytest.approx(2048 * 60 / 1e9)
    assert ten - without == pytest.approx(10 * 2048 * 60 / 1e9)
    classified = count(describe("slow_r50", 60), largest).gflops
    assert without > classified * 1.4  # 63.6 instead of 41.7


def test_what_is_no_box_is_refused(boxes_slow: SlowDescription, tiny_description: SlowDescription) -> None:
    """In one line: clips without boxes, boxes for a network that has none, NaN, another shape."""
    model, x = boxes_slow.build().eval(), boxed(boxes_slow, 4)
    assert isinstance(x.clips, Tensor)
    with pytest.raises(UsageError, match="takes boxes beside its clips"):
        model(x.clips)
    with pytest.raises(UsageError, match="takes clips without boxes"):
        tiny_description.build()(x)
    with pytest.raises(UsageError, match="not finite"):
        model(BoxedClips.of(x.clips, torch.full((1, 4), torch.nan)))
    with pytest.raises(UsageError, match=r"\(K, 4\) of x1, y1, x2, y2; these are \(2, 5\)"):
        model(BoxedClips.of(x.clips, torch.zeros(2, 5)))


def test_families_without_such_a_head_say_so() -> None:
    """X3D and R(2+1)D."""
    with pytest.raises(ValidationError, match="family x3d have no head for it"):
        type(describe("x3d_xs")).model_validate({**describe("x3d_xs").model_dump(), "task": "boxes"})
