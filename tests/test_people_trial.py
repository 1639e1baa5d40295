"""A detector is opened for the first time in a process with limits: what happens there happens not here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from fixtures_people import graph, yolox  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from a3d_edge.engine import checked  # noqa: E402
from a3d_edge.errors import A3DEdgeError, ResourceError, SourceError  # noqa: E402
from a3d_edge.people import trial  # noqa: E402
from a3d_edge.people.onnx_detector import OnnxDetector  # noqa: E402


def spoiled(folder: Path, *nodes: Any, **stored: Any) -> Path:
    """A detector that does something else before; its description."""
    path = graph(folder / "net.onnx", {"output": yolox([])})
    model = onnx.load(path)
    rest = list(model.graph.node)
    rest[0].input[0] = nodes[-1].output[0]
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in stored.items())
    onnx.save(model, path)
    return described(folder)


def described(folder: Path) -> Path:
    (folder / "net.json").write_text(json.dumps({"kind": "yolox"}))
    return folder / "net.json"


def test_a_crash_is_an_error_of_one_line(tmp_path: Path) -> None:
    """The smallest whole number by -1 ends a process."""
    path = spoiled(
        tmp_path,
        helper.make_node("Div", ["low", "minus"], ["dead"]),
        helper.make_node("Cast", ["dead"], ["f"], to=1),
        helper.make_node("Add", ["images", "f"], ["sum"]),
        low=np.array([-(2**63)]), minus=np.array([-1]),
    )  # fmt: skip
    with pytest.raises(SourceError, match=r"cannot be opened \(it crashed, SIGFPE\); do not use it"):
        OnnxDetector(path)


def test_more_memory_than_its_weights_and_picture_ask_for(tmp_path: Path) -> None:
    """48 GB: what ONNX Runtime says, in one line."""
    big = np.array([1 << 20, 1, 1, 1])
    path = spoiled(tmp_path, helper.make_node("Expand", ["images", "big"], ["huge"]), big=big)
    with pytest.raises(ResourceError, match="ONNX Runtime failed") as error:
        OnnxDetector(path)
    assert "\n" not in str(error.value)


def test_what_was_tried_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as it is; altered, or described otherwise, it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    checked._folder.cache_clear()
    begun: list[Any] = []
    run = trial.run_limited
    monkeypatch.setattr(trial, "run_limited", lambda *given: begun.append(given) or run(*given))
    graph(tmp_path / "net.onnx", {"output": yolox([])})
    path = described(tmp_path)
    OnnxDetector(path)
    OnnxDetector(path)
    assert len(begun) == 1
    path.write_text(json.dumps({"kind": "yolox", "person": 1}))
    OnnxDetector(path)
    assert len(begun) == 2
    checked._folder.cache_clear()


@pytest.mark.parametrize("what", ["fifo", "device", "large", "elsewhere", "empty"])
def test_what_lies_in_the_place_of_a_graph_or_its_weights(tmp_path: Path, what: str) -> None:
    """Refused before anything is opened that may wait, or never ends."""
    path = spoiled(tmp_path, helper.make_node("Add", ["images", "w"], ["y"]), w=np.zeros(1, np.float32))
    place = tmp_path / ("net.onnx" if what in ("fifo", "empty") else "net.onnx.data")
    if what not in ("fifo", "empty"):
        model = onnx.load(tmp_path / "net.onnx")
        one = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
        one.ClearField("raw_data")
        one.data_location = onnx.TensorProto.EXTERNAL
        one.external_data.add(key="location", value="../w" if what == "elsewhere" else place.name)
        (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    place.unlink(missing_ok=True)
    if what == "fifo":
        os.mkfifo(place)
    elif what == "device":
        place.symlink_to("/dev/zero")
    else:
        place.touch()
        os.truncate(place, 1 << 40 if what == "large" else 0)
    refused = r"no regular file|more than the|no file of its weights|is empty"
    with pytest.raises(A3DEdgeError, match=refused) as error:
        OnnxDetector(path)
    assert "\n" not in str(error.value)
