"""Tensors in a bundle's files: aligned, read back to the bit, each configuration's own in its place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

from a3d_edge.exporters.onnx_graph import float32  # noqa: E402
from a3d_edge.exporters.store import (  # noqa: E402
    ALIGNMENT,
    append,
    external,
    write_statistics,
    write_weights,
)
from a3d_edge.exporters.write_bundle import in_precisions, unmeasured_table  # noqa: E402
from fixtures_bundle import CONFIGURATIONS, calibrated_checkpoint  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from a3d_edge.errors import A3DEdgeError  # noqa: E402
from a3d_edge.models.checkpoint import norms  # noqa: E402

TWO = (CONFIGURATIONS[0], CONFIGURATIONS[3])  # of widths 0.5 and 0.7

ARRAYS: list[NDArray[np.generic]] = [
    np.arange(-3, 4, dtype=np.int8),
    np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5),
    np.array(7, np.uint8),
    np.array([-(2**31), 2**31 - 1], np.int32),
    np.zeros((0, 3), np.float32),
]


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    """Any of the types that a bundle has, in any order and shape, at an aligned place."""
    path = tmp_path / "tensors.bin"
    with path.open("wb") as file:
        stored = [append(file, path, f"t{i}", array) for i, array in enumerate(ARRAYS)]
    for i, (tensor, array) in enumerate(zip(stored, ARRAYS, strict=True)):
        assert (tensor.name, tuple(tensor.shape.numpy())) == (f"t{i}", array.shape)
        assert (tensor.location, tensor.offset % ALIGNMENT) == ("tensors.bin", 0)
        assert tensor.length == array.nbytes
        if array.size:
            np.testing.assert_array_equal(tensor.numpy(), array)
            assert tensor.numpy().dtype == array.dtype


def test_a_tensor_at_a_place_of_a_file(tmp_path: Path) -> None:
    """Where an unaligned one lies is said by whoever knows."""
    path = tmp_path / "block.bin"
    path.write_bytes(bytes(5) + np.array([1.5, -2.0], "<f4").tobytes())
    assert external("x", path, 5, (2,)).numpy().tolist() == [1.5, -2.0]
    assert external("y", path, 5, (), "uint8").numpy() == 0


def test_every_parameter_is_written_whole(tmp_path: Path) -> None:
    """In the order of definition, one after the other."""
    checkpoint = calibrated_checkpoint([TWO[0]])
    stored = write_weights(checkpoint, tmp_path / "weights.bin")
    parameters = dict(checkpoint.model.named_parameters())
    assert list(stored) == list(parameters)
    places = [(tensor.offset, tensor.length) for tensor in stored.values()]
    for (offset, length), (after, _) in pairwise(places):
        assert offset + length <= after < offset + length + ALIGNMENT
    for name, parameter in parameters.items():
        np.testing.assert_array_equal(stored[name].numpy(), float32(parameter))


def test_statistics_are_those_of_fp32_rows_alone(tmp_path: Path) -> None:
    """An int8 row has its batch norms folded into its scales: it takes no room here."""
    checkpoint = calibrated_checkpoint(TWO)
    path = tmp_path / "statistics.bin"
    table = in_precisions(unmeasured_table(checkpoint, TWO), ("fp32", "int8"))
    assert len(table.rows) == 4
    offsets = write_statistics(checkpoint, table, path)
    assert list(offsets) == list(TWO)
    values = np.fromfile(path, "<f4")
    wanted = [
        float32(vector)
        for configuration in TWO
        for norm in norms(checkpoint.model).values()
        for vector in norm.calibrated[str(configuration)]
    ]
    np.testing.assert_array_equal(values, np.concatenate(wanted))
    first = sum(2 * norm.channels_at(0.5) for norm in norms(checkpoint.model).values())
    assert [offsets[c] for c in TWO] == [0, 4 * first]


def test_statistics_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    """With the configuration and the layer."""
    checkpoint = calibrated_checkpoint(TWO)
    checkpoint.model.res4.blocks[0].a.norm.calibrated[str(TWO[1])][0][2] = float("inf")
    with pytest.raises(A3DEdgeError, match=r"w0\.70-s23-t3, res4\.blocks\.0\.a\.norm: not finite"):
        write_statistics(checkpoint, unmeasured_table(checkpoint, TWO), tmp_path / "statistics.bin")
