"""What a bundle's graphs point into: full-width weights once, and each configuration's own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx_ir as ir
from a3d_edge.exporters.onnx_graph import float32
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["ALIGNMENT", "append", "external", "write_statistics", "write_weights"]

ALIGNMENT = 64  # bytes; keeps every tensor on a cache line when the file is memory-mapped

_TYPES = {
    "float32": ir.DataType.FLOAT,
    "int32": ir.DataType.INT32,
    "int8": ir.DataType.INT8,
    "uint8": ir.DataType.UINT8,
}


def external(
    name: str, path: Path, offset: int, shape: Sequence[int], dtype: str = "float32"
) -> ir.ExternalTensor:
    """A tensor that lies in a file of the bundle."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    return ir.ExternalTensor(
        path.name, offset, size, _TYPES[dtype], shape=ir.Shape(shape), name=name, base_dir=str(path.parent)
    )


def append(file: BinaryIO, path: Path, name: str, array: NDArray[np.generic]) -> ir.ExternalTensor:
    """Write a tensor, aligned, to the end of an open file; where it lies."""
    file.write(b"\0" * (-file.tell() % ALIGNMENT))
    stored = external(name, path, file.tell(), array.shape, array.dtype.name)
    file.write(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return stored


def write_weights(checkpoint: Checkpoint, path: Path) -> dict[str, ir.ExternalTensor]:
    """Every full-width parameter once; where each lies. What levels have is in the statistics already."""
    with path.open("wb") as file:
        return {
            name: append(file, path, name, float32(parameter))
            for name, parameter in checkpoint.model.shared_parameters()
        }


def write_statistics(
    checkpoint: Checkpoint, table: ConfigurationBudgetTable, path: Path
) -> dict[Configuration, int]:
    """Mean and variance of every batch norm, row by row of fp32; where each configuration begins.

    Raises `A3DEdgeError` for statistics that are not finite.
    """
    offsets = {}
    with path.open("wb") as file:
        for configuration in (one for one in table.configurations if one.precision == "fp32"):
            offsets[configuration], name = file.tell(), str(configuration)
            for layer, norm in norms(checkpoint.model).items():
                for vector in norm.calibrated[name]:
                    array = float32(vector)
                    if not np.isfinite(array).all():
                        raise A3DEdgeError(f"statistics of {name}, {layer}: not finite; train again")
                    file.write(array.astype("<f4").tobytes())
    return offsets
