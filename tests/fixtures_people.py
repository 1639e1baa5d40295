"""Detectors as real ONNX graphs whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from a3d_edge.people.decode import grid


def graph(path: Path, outputs: dict[str, Any], size: tuple[int, int] = (64, 64), shape: Any = None) -> Path:
    """A graph that gives these arrays, plus nothing times its input: as a detector would, but known."""
    import onnx_ir as ir

    kind = ir.TensorType(ir.DataType.FLOAT)
    picture = ir.Value(name="images", shape=ir.Shape(shape or (1, 3, *size)), type=kind)
    nodes, given, initializers = [], [], []
    axes = ir.Value(name="axes", const_value=ir.tensor(np.array([0, 1, 2, 3]), name="axes"))
    nothing = ir.Value(name="zero", const_value=ir.tensor(np.zeros(1, np.float32), name="zero"))
    initializers += [axes, nothing]
    least = ir.node("ReduceMax", [picture, axes], attributes={"keepdims": 0})
    none = ir.node("Mul", [least.outputs[0], nothing])
    nodes += [least, none]
    for name, array in outputs.items():
        value = ir.Value(name=f"{name}_", const_value=ir.tensor(array.astype(np.float32), name=f"{name}_"))
        initializers.append(value)
        node = ir.node("Add", [value, none.outputs[0]])
        node.outputs[0].name, node.outputs[0].type = name, ir.TensorType(ir.DataType.FLOAT)
        node.outputs[0].shape = ir.Shape(array.shape)
        nodes.append(node)
        given.append(node.outputs[0])
    made = ir.Graph(
        [picture], given, nodes=nodes, initializers=initializers, opset_imports={"": 18}, name="detector"
    )
    ir.save(ir.Model(made, ir_version=9), path)
    return path


def yolox(people: list[tuple[int, list[float], float]], width: int = 64, height: int = 64) -> Any:
    """Raw rows: nothing anywhere, but (row, cx cy w h in pixels, score) of class 0 encoded in its cell."""
    corners, strides = grid(width, height)
    rows = np.zeros((1, len(corners), 7), np.float32)
    for row, (cx, cy, w, h), score in people:
        stride = strides[row, 0]
        rows[0, row, :2] = np.array([cx, cy]) / stride - corners[row]
        rows[0, row, 2:4] = np.log(np.array([w, h]) / stride)
        rows[0, row, 4:6] = 1.0, score
    return rows
