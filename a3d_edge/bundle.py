"""The bundle: what `export` writes and `run` reads. Knows nothing of torch.

manifest.json        what the bundle is, and the SHA-256 of every other file and of itself
table.json           the configuration–budget table
weights.bin          every full-width tensor, once, float32; all subgraphs point into it
statistics.bin       batch-norm means and variances, configuration by configuration
weights_int8.bin     of a bundle with int8: the convolutions' weights once more, int8, for all widths
scales.bin           of a bundle with int8: scales, zero points and biases, configuration by configuration
w0.50.frame.onnx     subgraph of one width, frame stage: pictures (frames, 3, S, S) → features
w0.50.clip.onnx      clip stage: features (frames, S/8, S/8, C) → logits (1, classes); without a frame stage
                     (SlowFast): pictures of the slow and the Fast pathway → logits
w0.50.volume.onnx    the clip stage once more, with three-dimensional convolutions, for engines that have them
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from a3d_edge.bundles import DEFAULT, as_path, folder_of, names
from a3d_edge.configuration import Configuration
from a3d_edge.engine.network_files import NetworkFiles, TensorBlock
from a3d_edge.errors import BundleError, UsageError
from a3d_edge.manifest import (
    MANIFEST,
    MEAN,
    TABLE,
    VARIANCE,
    Manifest,
    WidthEntry,
    check_manifest,
    digest,
    manifest_digest,
    own_file,
    read_manifest,
    verify_files,
    width_key,
)
from a3d_edge.table import ConfigurationBudgetTable
from a3d_edge.task import Task
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

if TYPE_CHECKING:
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.engine.engines import Engine
    from a3d_edge.engine.session import Network

MARGIN, LEAST_WORK = 4.0, 1e8
"""A graph's multiplications against those of the table: zeros at a window's ends, for one, come on top."""

__all__ = ["Bundle", "Manifest", "digest", "manifest_digest"]


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    path: Path
    manifest: Manifest
    table: ConfigurationBudgetTable

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read a bundle and verify every byte of it. Raises `BundleError` that names the file and key."""
        folder = Path(path)
        if not folder.is_dir():
            raise BundleError(
                f"{folder}: no such bundle directory; 'a3d-edge export' writes one, built in are {names()}"
            )
        manifest = read_manifest(folder / MANIFEST)
        verify_files(folder, manifest)
        table = ConfigurationBudgetTable.load(folder / TABLE, manifest.files[TABLE].sha256)
        if {row.configuration for row in table.rows} != set(manifest.configurations):
            raise BundleError(
                f"{folder / TABLE}: its rows are not the manifest's configurations; export again"
            )
        check_manifest(folder / MANIFEST, manifest)
        _check_table(folder / TABLE, table, manifest)
        return cls(folder, manifest, table)

    @classmethod
    def find(cls, what: str | Path) -> Bundle:
        """The bundle in a folder, or a built-in one by its name (see `a3d_edge.bundles.as_path`).

        Raises `BundleError`.
        """
        return cls.load(as_path(what))

    @classmethod
    def named(cls, name: str) -> Bundle:
        """A bundle that ships with the package: ``interactions``, seven two-person actions, and its like.

        Raises `BundleError` that lists the names.
        """
        return cls.load(folder_of(name))

    @classmethod
    def default(cls) -> Bundle:
        """The built-in bundle that runs where none is named. Raises `BundleError`."""
        return cls.named(DEFAULT)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the scores."""
        return self.manifest.classes

    @property
    def task(self) -> Task:
        """What is asked of the network (`a3d_edge.task`)."""
        return self.manifest.task

    @property
    def sampling(self) -> Sampling:
        """What one window looks at."""
        return self.manifest.sampling

    @property
    def hop_s(self) -> float:
        """Seconds between two predictions at the default hop, one sampled frame."""
        return self.sampling.stride / self.sampling.rate

    @property
    def preprocessing(self) -> Preprocessing:
        """How frames become input."""
        return self.manifest.preprocessing

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Every configuration that can run, cheapest first."""
        return self.table.configurations

    def threshold(self, configuration: Configuration, label: str) -> float | None:
        """The score that a label must exceed at a configuration to count as seen; None where it is not known.

        Raises `UsageError` for a configuration or a label that the bundle lacks.
        """
        row = self.table.row(configuration)
        if label not in self.classes:
            raise UsageError(f"the bundle has no class '{label}'; it has {', '.join(self.classes)}")
        return None if row.thresholds is None else row.thresholds.get(label)

    def width_of(self, configuration: Configuration) -> WidthEntry:
        """The subgraph of a configuration. Raises `UsageError` when the bundle lacks the configuration."""
        self.table.row(configuration)
        return self.manifest.widths[width_key(configuration)]

    def files_of(self, configuration: Configuration) -> NetworkFiles:
        """What the engine needs of a configuration. Raises `UsageError` when the bundle lacks it."""
        row, manifest = self.table.row(configuration), self.manifest
        width = manifest.widths[width_key(configuration)]
        entry = manifest.configurations[configuration]
        return NetworkFiles(
            configuration=configuration,
            folder=self.path,
            digest=manifest.sha256,
            classes=manifest.classes,
            sampling=manifest.sampling,
            preprocessing=manifest.preprocessing,
            frame=width.frame,
            clip=width.clip,
            volume=width.volume,
            beside=manifest.sums,
            own=TensorBlock(self.path / own_file(configuration), entry.offset, width.block),
            probe=entry.probe,
            weight_bytes=row.weight_bytes,
            temperature=1.0 if row.temperature is None else row.temperature,
            task=manifest.task,
            work=MARGIN * row.gflops * 1e9 + LEAST_WORK,
        )

    @property
    def networks(self) -> dict[Configuration, NetworkFiles]:
        """`files_of` every configuration."""
        return {configuration: self.files_of(configuration) for configuration in self.configurations}

    def statistics(
        self, configuration: Configuration
    ) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Mean and variance, each (channels,), of every batch norm at a configuration."""
        own = self.files_of(configuration).own.read()
        return {
            norm.name: (own[norm.stage][f"{norm.name}.{MEAN}"], own[norm.stage][f"{norm.name}.{VARIANCE}"])
            for norm in self.width_of(configuration).norms
        }

    def open(
        self,
        configuration: Configuration | str,
        *,
        threads: int | None = None,
        engine: Engine | str = "ort:CPU",
        cache: PreparedNetworks | None = None,
    ) -> Network:
        """Load one configuration, ready to run.

        ``engine``: one of `find_engine`, or its name; ``cache``: keeps prepared networks on this device.

        Raises `UsageError` for a configuration that the bundle lacks, or an engine that is not here.
        """
        from a3d_edge.engine.engines import find_engine
        from a3d_edge.engine.session import open_network

        parsed = Configuration.parse(configuration) if isinstance(configuration, str) else configuration
        found = find_engine(engine) if isinstance(engine, str) else engine
        return open_network(self.files_of(parsed), threads=threads, engine=found, cache=cache)


def _check_table(path: Path, table: ConfigurationBudgetTable, manifest: Manifest) -> None:
    """Raise `BundleError` where the table is of another task, or of classes that the bundle lacks."""
    if table.task != manifest.task:
        raise BundleError(
            f"{path}: its task is {table.task}, and that of {MANIFEST} {manifest.task}; export again"
        )
    for row in table.rows:
        for name in ("thresholds", "recall", "average_precision"):
            named = getattr(row, name) or {}
            if other := sorted(set(named) - set(manifest.classes)):
                raise BundleError(f"{path}: {row.configuration}.{name} has '{other[0]}', which is no class")
