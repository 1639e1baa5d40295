"""All that the engine knows of a network: where its files lie, what it looks at, and what it must compute.

A bundle makes one for each of its configurations (`Bundle.files_of`). No file is read to make it: graphs are
checked, and tensors read, when a network is opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.engine.graph_file import FileSum, GraphFile, check_graphs
from a3d_edge.errors import BundleError
from a3d_edge.reading import open_regular
from a3d_edge.task import BOXES, SINGLE, Task
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Pathway, Sampling, pathways

__all__ = ["FILE_BYTES", "NetworkFiles", "TensorBlock", "TensorEntry"]

FILE_BYTES = 1 << 30
"""Of any file of a bundle, at the most: 268 million weights, four times the largest network's."""


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """A tensor that a configuration has of its own: its name in the graphs, type, shape and stage."""

    name: str
    dtype: Literal["float32", "int32", "uint8"]
    shape: tuple[int, ...]
    stage: Literal["frame", "clip"]

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # of a manifest, which holds them

    @property
    def bytes(self) -> int:
        """What it takes in the file."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class TensorBlock:
    """Tensors that lie one after the other in a file, from byte ``offset`` on."""

    file: Path
    offset: int
    tensors: tuple[TensorEntry, ...]

    def read(self) -> dict[str, dict[str, NDArray[Any]]]:
        """The tensors by stage and name. Raises `BundleError` when the file does not hold them (any more)."""
        size = sum(one.bytes for one in self.tensors)
        try:
            with open_regular(self.file, FILE_BYTES) as file:
                raw = np.fromfile(file, np.uint8, size, offset=self.offset)
        except OSError as error:
            raise BundleError(
                f"{self.file}: cannot be read ({error.strerror}); the bundle is incomplete"
            ) from error
        if len(raw) != size:
            raise BundleError(f"{self.file}: was cut short; copy or export the bundle again")
        found: dict[str, dict[str, NDArray[Any]]] = {"frame": {}, "clip": {}}
        place = 0
        for one in self.tensors:
            own = raw[place : place + one.bytes].copy()  # aligned, whatever came before it
            found[one.stage][one.name] = own.view(np.dtype(one.dtype).newbyteorder("<")).reshape(one.shape)
            place += one.bytes
        return found


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """One configuration of a bundle, as the engine takes it.

    ``folder``: the bundle's, where its graphs lie; ``digest``: what tells the bundle from every other one;
    ``frame``, ``clip``, ``volume``: graph files by form, see `a3d_edge.manifest.WidthEntry`; ``beside``: the
    bundle's files, those that graphs may read; ``own``: the tensors that the configuration has of its own,
    which replace the graphs'; ``probe``: the logits that the probe input gives; ``weight_bytes``: what the
    weights take when they are loaded; ``temperature``: what logits are divided by before they become scores;
    ``work``: the most multiplications that a graph may have; ``task``: how logits become scores.
    """

    configuration: Configuration
    folder: Path
    digest: str
    classes: tuple[str, ...]
    sampling: Sampling
    preprocessing: Preprocessing
    frame: str | None
    clip: str
    volume: str | None
    beside: Mapping[str, FileSum]
    own: TensorBlock
    probe: tuple[float, ...]
    weight_bytes: int
    temperature: float = 1.0
    work: float = math.inf
    task: Task = SINGLE

    @property
    def pathways(self) -> tuple[Pathway, ...]:
        """What the network looks at."""
        return pathways(self.sampling, self.configuration)

    def graphs(self, *, volumes: bool = False) -> dict[str, GraphFile]:
        """Graphs by stage: ``frame``, if there is one, and ``clip``: with ``volumes`` in rank 5 if the bundle
        has it so. Every engine opens what it finds here.

        Raises `BundleError` for a graph that is not as it was verified, or not such as an export writes.
        """
        clip = self.volume if volumes and self.volume else self.clip
        names = {"clip": clip} if self.frame is None else {"frame": self.frame, "clip": clip}
        read = {
            stage: GraphFile.read(self.folder / name, self.beside.get(name)) for stage, name in names.items()
        }
        inputs = ("slow", "fast") if self.frame is None else ("pictures",)
        seen = {
            name: (len(one.instants), 3, one.size, one.size)
            for name, one in zip(inputs, self.pathways, strict=True)
        }
        boxes = ("boxes", "fast_boxes")[: len(self.pathways)] if self.task == BOXES else ()
        return check_graphs(read, seen, self.beside, len(self.classes), self.work, boxes)
