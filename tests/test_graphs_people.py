"""Regions in a graph: those that are given, and cut as an export cuts them; everything else is refused."""

from __future__ import annotations

from typing import Any

import pytest

from a3d_edge.graphs.check import GraphError, Limits, check_static, parsed
from a3d_edge.graphs.model import FLOAT
from a3d_edge.graphs.values import Known

ir = pytest.importorskip("onnx_ir")
np = pytest.importorskip("numpy")

LIMITS = Limits({}, 1e10)
ATTRIBUTES = {
    "mode": "avg", "output_height": 7, "output_width": 7, "sampling_ratio": 0, "spatial_scale": 1 / 16,
    "coordinate_transformation_mode": "half_pixel",
}  # fmt: skip


def graph(*, scaled: bool = False, owner: int = 0, **changes: Any) -> bytes:
    """RoIAlign over one clip's features, and its maximum, as a file. ``scaled``: boxes made larger first."""
    features, boxes = (
        ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))
        for name, shape in (("features", (1, 8, 6, 6)), ("boxes", ("people", 4)))
    )
    nodes = [ir.node("Shape", [boxes], attributes={"start": 0, "end": 1})]
    value = ir.tensor(np.full(1, owner, np.int64))
    nodes.append(ir.node("ConstantOfShape", nodes[0].outputs, attributes={"value": value}))
    given = boxes
    if scaled:
        nodes.append(ir.node("Mul", [boxes, boxes]))
        given = nodes[-1].outputs[0]
    operands = [features, given, nodes[1].outputs[0]]
    nodes.append(ir.node("RoiAlign", operands, attributes={**ATTRIBUTES, **changes}))
    axes = ir.Value(name="axes", const_value=ir.tensor(np.array([2, 3]), name="axes"))
    axes.shape, axes.type = ir.Shape((2,)), ir.TensorType(ir.DataType.INT64)
    nodes.append(ir.node("ReduceMax", [nodes[-1].outputs[0], axes], attributes={"keepdims": 0}))
    for place, node in enumerate(nodes):
        node.outputs[0].name = f"v{place}"
    out = nodes[-1].outputs[0]
    out.name, out.shape, out.type = "logits", ir.Shape(("people", 8)), ir.TensorType(ir.DataType.FLOAT)
    made = ir.Graph(
        [features, boxes], [out], nodes=nodes, initializers=[axes], opset_imports={"": 18}, name="g"
    )
    data: bytes = ir.to_proto(ir.Model(made, ir_version=10)).SerializeToString()
    return data


def checked(data: bytes, people: int = 5) -> tuple[str, Known]:
    inputs = {"features": Known(FLOAT, (1, 8, 6, 6)), "boxes": Known(FLOAT, (people, 4))}
    return check_static(parsed(data), inputs, LIMITS)


def test_regions_as_an_export_cuts_them() -> None:
    """As many rows as there are boxes."""
    for people in (1, 5, 64):
        assert checked(graph(), people) == ("logits", Known(FLOAT, (people, 8)))


REFUSED: dict[str, dict[str, Any]] = {
    "regions that it makes itself": {"scaled": True},
    "filled with what an export does not write": {"owner": 1},
    "in a way that an export does not write": {"mode": "max"},
    "in a way that an export": {"sampling_ratio": 1000},
    "regions in a way": {"spatial_scale": 1e6},
    "owners of 5 regions": {"output_height": 4000},
    "attribute 'more'": {"more": 1},
}


@pytest.mark.parametrize("said", REFUSED)
def test_other_regions_are_refused(said: str) -> None:
    """How long they take would not be known, or what they read."""
    with pytest.raises(GraphError, match=said):
        checked(graph(**REFUSED[said]))
