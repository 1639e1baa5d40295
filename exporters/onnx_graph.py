"""Lower a stage of a network to a rank-4 ONNX graph that takes any number of frames and any size.

The stage is run once on one example with PyTorch's own tracer, which records the ATen operators that really
ran at that width; each is written as one or two of ONNX (`onnx_operators`). None of them holds a frame count
or a picture size, so the graph serves every configuration of its width (the parity step checks each).

`torch.onnx.export` is not used: it folds the slices of small weights and batch norms into constants of their
own, merges equal tensors, and takes 5 to 12 s a graph where this takes a tenth. Every weight must stay the
one full-width tensor that all widths share, and every batch-norm statistic must stay replaceable by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from a3d_edge.exporters.onnx_operators import OPERATORS, Nodes
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.levels import is_switched

__all__ = ["OPSET", "float32", "lower_stage", "save_graph"]

OPSET = 18
IR_VERSION = 10
_LAYOUT = {"dtype", "layout", "device", "pin_memory", "memory_format"}  # say nothing about a float32 value

Traced = Any  # ir.Value, numbers, lists: the arguments of a recorded operator


Named = tuple[str, Sequence[str | int]]  # a name and a shape, symbolic dimensions by name


def lower_stage(
    stage: Callable[..., Tensor],
    module: nn.Module,
    examples: Sequence[Tensor],
    *,
    name: str,
    inputs: Sequence[Named],
    outputs: Named,
    stored: Mapping[str, ir.TensorProtocol],
) -> ir.Model:
    """The ONNX model of ``stage(*x)``, whose tensors (parameters and buffers of ``module``) are ``stored``.

    Raises `A3DEdgeError` on an operator that has no lowering, naming it.
    """
    graph, names = _record(stage, module, examples)
    nodes = Nodes(stored)
    xs = [_value(*given) for given in inputs]
    y = _lower(nodes, graph, [*(nodes.tensor(n) for n in names), *xs])
    nodes.drop_unused(y)
    y.name, y.shape, y.type = outputs[0], ir.Shape(outputs[1]), ir.TensorType(ir.DataType.FLOAT)
    onnx_graph = ir.Graph(
        xs,
        [y],
        nodes=nodes.nodes,
        initializers=nodes.initializers(),
        opset_imports={"": OPSET},
        name=name,
    )
    return ir.Model(onnx_graph, ir_version=IR_VERSION, producer_name="a3d-edge")


def _value(name: str, shape: Sequence[str | int]) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))


def _record(
    stage: Callable[..., Tensor], module: nn.Module, examples: Sequence[Tensor]
) -> tuple[fx.Graph, list[str]]:
    """The operators that ran, and the names of the graph's inputs before the last ones, the examples."""
    stored = [*module.named_parameters(), *module.named_buffers()]
    tensors = {n: t.detach() for n, t in stored if not is_switched(n)}  # those are in the statistics
    names = list(tensors)

    def call(values: list[Tensor], xs: list[Tensor]) -> Tensor:
        replaced = dict(zip(names, values, strict=True))
        result: Tensor = torch.func.functional_call(
            _Stage(module, stage), {f"module.{n}": t for n, t in replaced.items()}, tuple(xs)
        )
        return result

    with torch.no_grad():
        graph = make_fx(call)(list(tensors.values()), list(examples)).graph
    return graph, names


class _Stage(nn.Module):
    """A method of a module as a module, so that its tensors can be swapped for traced ones."""

    def __init__(self, module: nn.Module, stage: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.stage = module, stage

    def forward(self, *xs: Tensor) -> Tensor:
        return self.stage(*xs)


def _lower(nodes: Nodes, graph: fx.Graph, inputs: Sequence[ir.Value]) -> ir.Value:
    """Write a recorded graph down in ``nodes``; its single output."""
    values: dict[fx.Node, Traced] = {}
    waiting = iter(inputs)
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = next(waiting)
        elif node.op == "call_function":
            arguments = fx.map_arg(node.args, lambda n: values[n])
            values[node] = _lower_one(nodes, node.target, arguments, set(node.kwargs) - _LAYOUT)
        elif node.op == "get_attr":
            raise A3DEdgeError("export: the stage uses a tensor that is no parameter or buffer of the model")
        elif node.op == "output":
            result = fx.map_arg(node.args[0], lambda n: values[n])
            return result if isinstance(result, ir.Value) else result[0]
    raise A3DEdgeError("the traced stage has no output")


def _lower_one(nodes: Nodes, target: Any, arguments: Any, options: set[str]) -> Traced:
    if target is operator.getitem:
        return arguments[0] if arguments[1] == 0 else None
    name = target.name() if hasattr(target, "name") else str(target)
    if name not in OPERATORS or options:
        used = f"{name} with {', '.join(sorted(options))}" if options else name
        raise A3DEdgeError(
            f"export: the operator {used} has no ONNX lowering; add it to exporters/onnx_operators.py"
        )
    return OPERATORS[name](nodes, *arguments)


def save_graph(model: ir.Model, path: Path) -> None:
    """Write a graph without what a reader can infer (types of stored tensors, node names): half the size."""
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        node.ClearField("name")
    path.write_bytes(proto.SerializeToString())


def float32(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor's values as a contiguous float32 array."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
