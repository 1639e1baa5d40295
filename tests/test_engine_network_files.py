"""What the engine is handed of a network: made without reading a file, read when it is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_bundle import LARGEST, SMALLEST, copy_of, shared_bundle

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.network_files import TensorBlock, TensorEntry
from a3d_edge.errors import BundleError, UsageError


@pytest.fixture
def bundle(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One that may be damaged."""
    return Bundle.load(copy_of(shared_bundle(tmp_path_factory), tmp_path / "copy"))


def test_a_bundle_has_one_of_each_configuration(bundle: Bundle) -> None:
    """Cheapest first; another configuration is refused."""
    assert tuple(bundle.networks) == bundle.configurations
    for configuration, files in bundle.networks.items():
        assert files == bundle.files_of(configuration)
        assert files.configuration == configuration
        assert files.weight_bytes == bundle.table.row(configuration).weight_bytes
    with pytest.raises(UsageError, match="is not in the table"):
        bundle.files_of(Configuration(0.5, 32, 3))


def test_no_file_is_read_to_make_it(bundle: Bundle) -> None:
    """It is made of a bundle whose files have gone; what they would be needed for says so."""
    for file in bundle.path.iterdir():
        file.unlink()
    files = bundle.files_of(LARGEST)
    with pytest.raises(BundleError, match=r"w1\.00\.frame\.onnx: cannot be read"):
        files.graphs()
    with pytest.raises(BundleError, match=r"statistics\.bin: cannot be read"):
        files.own.read()


def test_a_file_cut_short_is_a_bundle_error(bundle: Bundle) -> None:
    """After the bundle was verified: the last configuration's tensors are not whole."""
    file = bundle.path / "statistics.bin"
    blocks = [files.own for files in bundle.networks.values()]
    last, first = (end(blocks, key=lambda block: block.offset) for end in (max, min))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"statistics\.bin: was cut short"):
        last.read()
    assert first.read()["frame"]


def test_tensors_lie_one_after_the_other(tmp_path: Path) -> None:
    """Of several types, from an offset on; what lies after them is not read."""
    scale, point, bias = np.float32([0.25, 0.5]), np.uint8([[3]]), np.int32([-7, 1 << 20, 5])
    file = tmp_path / "scales.bin"
    file.write_bytes(b"before" + scale.tobytes() + point.tobytes() + bias.astype("<i4").tobytes() + b"after")
    block = TensorBlock(
        file,
        6,
        (
            TensorEntry("scale", "float32", (2,), "frame"),
            TensorEntry("point", "uint8", (1, 1), "clip"),
            TensorEntry("bias", "int32", (3,), "clip"),
        ),
    )
    found = block.read()
    assert {stage: set(tensors) for stage, tensors in found.items()} == {
        "frame": {"scale"},
        "clip": {"point", "bias"},
    }
    for got, expected in ((found["frame"]["scale"], scale), (found["clip"]["point"], point)):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype
    np.testing.assert_array_equal(found["clip"]["bias"], bias)
    assert found["clip"]["bias"].flags.aligned


def test_graphs_are_those_of_the_engine(bundle: Bundle) -> None:
    """The rank-5 clip stage for an engine that wants it; the frame stage is one and the same."""
    files = bundle.files_of(SMALLEST)
    assert {stage: path.name for stage, path in files.graphs().items()} == {
        "frame": "w0.50.frame.onnx",
        "clip": "w0.50.clip.onnx",
    }
    assert files.graphs(volumes=True)["clip"].name == "w0.50.volume.onnx"
