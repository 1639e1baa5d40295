"""Graphs that others have exported: what one run tells all of is read, anything else refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from a3d_edge.graphs.foreign import read_foreign  # noqa: E402
from a3d_edge.graphs.wire import MalformedError  # noqa: E402

INT, FLOAT = TensorProto.INT64, TensorProto.FLOAT
node = helper.make_node


def model(*nodes: Any, change: Callable[[Any], Any] = lambda made: None, **stored: Any) -> bytes:
    """A graph of those operators on ``x``, with stored tensors by their names."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", FLOAT, [1, 3, 8, "w"])],
        [helper.make_tensor_value_info(nodes[-1].output[0], FLOAT, None)],
        [numpy_helper.from_array(np.array(value), name) for name, value in stored.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    change(made)
    return bytes(made.SerializeToString())


def test_shapes_may_follow_from_the_shape_of_the_picture() -> None:
    """As exporters write them: Shape, Gather, a whole number divided, Concat, Reshape; the input is told."""
    data = model(
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["w"]), node("Div", ["w", "two"], ["half"]),
        node("Concat", ["rest", "half"], ["to"], axis=0), node("Reshape", ["x", "to"], ["y"]),
        node("TopK", ["y", "two"], ["best", "where"]), node("GatherElements", ["y", "where"], ["z"]),
        node("ReduceMean", ["z"], ["m"]), node("Div", ["z", "m"], ["out"]),
        i=[3], two=[2], rest=[1, 3, -1],
    )  # fmt: skip
    found = read_foreign(data)
    assert [(one.name, one.shape) for one in found.inputs] == [("x", (1, 3, 8, None))]
    assert found.files == frozenset()


REFUSED: dict[str, bytes] = {
    "gives more or less by what is seen": model(
        node("Cast", ["x"], ["n"], to=INT), node("Tile", ["x", "n"], ["out"])
    ),
    "'NonZero' gives more or less by what is seen": model(node("NonZero", ["x"], ["out"])),
    "'Div' divides whole numbers by what is seen": model(
        node("Cast", ["x"], ["n"], to=INT), node("Div", ["one", "n"], ["out"]), one=[1]
    ),
    "'Mod' divides whole numbers by what is seen": model(
        node("TopK", ["x", "one"], ["v", "n"]), node("Mod", ["n", "one"], ["out"]), one=[1]
    ),
    "'Div' divides whole": model(
        node("Greater", ["x", "zero"], ["is"]), node("Where", ["is", "one", "one"], ["n"]),
        node("Div", ["one", "n"], ["out"]), one=[1], zero=np.float32(0),
    ),
    "'Gelu' of 'com.microsoft' is no standard one": model(
        node("Gelu", ["x"], ["out"], domain="com.microsoft")
    ),
    "'RandomNormal' is none that a detector needs": model(node("RandomNormal", [], ["out"], shape=[1 << 40])),
    "reads 'later', which is not there before it": model(node("Relu", ["later"], ["out"])),
    "'x' is there twice": model(node("Relu", ["x"], ["x"])),
    "a graph within it": model(
        node("If", ["yes"], ["out"], then_branch=helper.make_graph([], "t", [], []),
             else_branch=helper.make_graph([], "e", [], [])), yes=True,
    ),
    "functions of its own": model(
        node("Relu", ["x"], ["out"]),
        change=lambda made: made.functions.append(
            helper.make_function("own", "f", ["a"], ["b"], [node("Relu", ["a"], ["b"])], [])
        ),
    ),
    "of no numbers that a detector needs": model(
        node("Relu", ["x"], ["out"]),
        change=lambda made: made.graph.initializer.append(
            helper.make_tensor("t", TensorProto.COMPLEX64, [1], [1j])
        ),
    ),
    "texts": model(
        node("Relu", ["x"], ["out"]),
        change=lambda made: made.graph.initializer.append(
            helper.make_tensor("t", TensorProto.STRING, [1], [b"x"])
        ),
    ),
    "a sparse tensor": model(
        node("Relu", ["x"], ["out"]), change=lambda made: made.graph.sparse_initializer.add()
    ),
    "more than 10000 operators": model(*(node("Abs", ["x"], [f"y{i}"]) for i in range(10_001))),
    "it has no graph": b"",
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_what_may_take_more_in_another_run_is_refused(said: str) -> None:
    """In a few words; no engine sees it."""
    with pytest.raises(MalformedError, match=said):
        read_foreign(REFUSED[said])


def test_files_beside_it_are_told(tmp_path: Path) -> None:
    """Of constants within operators, too."""

    def outside(made: Any) -> None:
        for one in (made.graph.initializer[0], made.graph.node[0].attribute[0].t):
            one.ClearField("raw_data")
            one.data_location = TensorProto.EXTERNAL
            one.external_data.add(key="location", value=f"{one.name}.bin")

    value = numpy_helper.from_array(np.zeros(4, np.float32), "constant")
    data = model(node("Constant", [], ["c"], value=value), node("Add", ["x", "c"], ["y"]),
                 node("Add", ["y", "w"], ["out"]), w=np.zeros(4, np.float32), change=outside)  # fmt: skip
    assert read_foreign(data).files == {"w.bin", "constant.bin"}
