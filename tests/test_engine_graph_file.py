"""An engine is given a graph's bytes as they were verified; weights may lie behind links."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fixtures_bundle import LARGEST, SMALLEST, copy_of

from a3d_edge.bundle import Bundle
from a3d_edge.engine.graph_file import FileSum, GraphFile
from a3d_edge.engine.session import open_network
from a3d_edge.errors import BundleError


def test_a_graph_that_was_exchanged_is_not_run(bundle: Bundle, tmp_path: Path) -> None:
    """After the bundle was verified: found when a configuration is opened."""
    copied = Bundle.load(copy_of(bundle.path, tmp_path / "copy"))
    shutil.copy(copied.path / "w1.00.frame.onnx", copied.path / "w0.50.frame.onnx")
    with pytest.raises(BundleError, match=r"w0\.50\.frame\.onnx: altered since it was verified"):
        copied.open(SMALLEST, threads=1)
    copied.open(LARGEST, threads=1)


def test_what_is_opened_is_what_was_read(bundle: Bundle, tmp_path: Path) -> None:
    """Whatever lies there by then."""
    copied = Bundle.load(copy_of(bundle.path, tmp_path / "copy"))
    files = copied.files_of(LARGEST)
    graphs = files.graphs()
    (copied.path / "w1.00.frame.onnx").write_bytes(b"exchanged")
    from a3d_edge.engine.engines import find_engine

    stage = find_engine("ort:CPU").open(
        graphs["frame"], files.own.read()["frame"], {"pictures": (1, 3, 37, 37)}, 1
    )
    assert stage.rows >= 1


def test_a_graph_knows_what_it_needs(bundle: Bundle) -> None:
    """The files that hold its tensors, and where it lies."""
    graph = bundle.files_of(LARGEST).graphs()["frame"]
    assert graph.needs == ("statistics.bin", "weights.bin")
    assert (graph.name, str(graph)) == ("w1.00.frame.onnx", str(bundle.path / "w1.00.frame.onnx"))


@pytest.mark.parametrize("engine", ["ort:CPU", "openvino"])
def test_a_bundle_of_links_is_run(bundle: Bundle, tmp_path: Path, engine: str) -> None:
    """As model hubs keep them: every file is a link to one of another name in another folder."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    from a3d_edge.engine.engines import find_engine

    (tmp_path / "blobs").mkdir()
    (tmp_path / "hub").mkdir()
    for number, file in enumerate(sorted(bundle.path.iterdir())):
        shutil.copy(file, tmp_path / "blobs" / f"{number:04x}")
        (tmp_path / "hub" / file.name).symlink_to(f"../blobs/{number:04x}")
    linked = Bundle.load(tmp_path / "hub")
    open_network(linked.files_of(LARGEST), threads=1, engine=find_engine(engine))


def test_a_file_that_is_no_graph(tmp_path: Path) -> None:
    """By its name, its kind, or its sum."""
    (tmp_path / "a.onnx").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"must end in \.onnx"):
        GraphFile.read(tmp_path / "a.ort")
    with pytest.raises(BundleError, match="cannot be read"):
        GraphFile.read(tmp_path / "b.onnx")
    with pytest.raises(BundleError, match="SHA-256 differs"):
        GraphFile.read(tmp_path / "a.onnx", FileSum(1, "0" * 64))
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match="is no regular file"):
        GraphFile.read(tmp_path / "zero.onnx")
