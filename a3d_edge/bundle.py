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

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from a3d_edge.configuration import Configuration, format_width
from a3d_edge.errors import A3DEdgeError, BundleError
from a3d_edge.external_data import check_graph
from a3d_edge.table import ConfigurationBudgetTable, validation_message
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

if TYPE_CHECKING:
    from a3d_edge.engine.cache.prepared import PreparedNetworks
    from a3d_edge.engine.engines import Engine
    from a3d_edge.engine.session import Network

__all__ = ["Bundle", "Manifest", "digest", "manifest_digest"]

MANIFEST, TABLE, WEIGHTS, STATISTICS = "manifest.json", "table.json", "weights.bin", "statistics.bin"
INT8_WEIGHTS, SCALES = "weights_int8.bin", "scales.bin"
SCHEMA_VERSION = 1


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Strict):
    """Size and SHA-256 of a file."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class NormEntry(_Strict):
    """A batch norm of a width: its name in the graphs, its channels, and the stage it runs in."""

    name: str
    channels: int = Field(ge=1)
    stage: Literal["frame", "clip"]


class TensorEntry(_Strict):
    """A tensor that a configuration has of its own: its name in the graphs, type, shape and stage."""

    name: str
    dtype: Literal["float32", "int32", "uint8"]
    shape: tuple[int, ...]
    stage: Literal["frame", "clip"]

    @property
    def bytes(self) -> int:
        """What it takes in the file."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class WidthEntry(_Strict):
    """The subgraph of one width and precision; ``frame`` is None where the family has no frame stage
    (SlowFast), ``volume`` where the clip stage has no rank-5 form.

    What a configuration has of its own lies in one block: ``norms`` (mean, variance of each, in
    statistics.bin) of fp32, ``tensors`` (scales, zero points, biases, in scales.bin) of int8.
    """

    frame: str | None = None
    clip: str
    volume: str | None = None
    norms: tuple[NormEntry, ...] = ()
    tensors: tuple[TensorEntry, ...] = ()

    @property
    def block_bytes(self) -> int:
        """Bytes of one configuration's block."""
        return sum(8 * norm.channels for norm in self.norms) + sum(one.bytes for one in self.tensors)


class Parity(_Strict):
    """How an exported configuration compares with PyTorch on real clips."""

    clips: int = Field(ge=0)
    relative_error: float = Field(ge=0.0)
    same_top1: bool


class ConfigurationEntry(_Strict):
    """A configuration: where its statistics begin in statistics.bin (bytes), the logits that the probe input
    gives (see `a3d_edge.engine.session`), and its parity figures."""

    offset: int = Field(ge=0)
    probe: tuple[float, ...]
    parity: Parity


class Manifest(_Strict):
    """What a bundle is. ``description``: the network's, by which `a3d_edge.models` can build it again."""

    schema_version: Literal[1] = 1
    created_by: str
    architecture: str
    range: str
    classes: tuple[str, ...] = Field(min_length=1)
    preprocessing: Preprocessing
    sampling: Sampling
    widths: dict[str, WidthEntry]
    configurations: dict[Configuration, ConfigurationEntry] = Field(min_length=1)
    description: dict[str, Any] = Field(default_factory=dict)
    origin: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, FileEntry]
    sha256: str = ""

    @field_validator("files")
    @classmethod
    def _plain_names(cls, value: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in value:
            if not name or Path(name).name != name or name.startswith(".") or set(name) & set("\0\\:"):
                raise ValueError(f"'{name}' is not a plain file name")
        return value


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
            raise BundleError(f"{folder}: no such bundle directory; 'a3d-edge export' writes one")
        manifest = _read_manifest(folder / MANIFEST)
        verify_files(folder, manifest)
        bundle = cls(folder, manifest, ConfigurationBudgetTable.load(folder / TABLE))
        bundle._check_consistency()
        return bundle

    @classmethod
    def default(cls) -> Bundle:
        """The bundle that ships with the package: seven two-person actions. Raises `BundleError`."""
        return cls.load(Path(str(files("a3d_edge.default_bundle"))))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the scores."""
        return self.manifest.classes

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

    @cached_property
    def _statistics(self) -> NDArray[np.float32]:
        return np.fromfile(self.path / STATISTICS, dtype="<f4")

    @cached_property
    def _scales(self) -> NDArray[np.uint8]:
        return np.fromfile(self.path / SCALES, dtype=np.uint8)

    def width_of(self, configuration: Configuration) -> WidthEntry:
        """The subgraph of a configuration. Raises `UsageError` when the bundle lacks the configuration."""
        self.table.row(configuration)
        return self.manifest.widths[width_key(configuration)]

    def graphs_of(self, configuration: Configuration, *, volumes: bool = False) -> dict[str, Path]:
        """Graph files by stage: ``frame``, if there is one, and ``clip``: with ``volumes`` in rank 5 if the
        bundle has it so. Every engine opens what it finds here.

        Raises `BundleError` for a graph that would read another file than the bundle's.
        """
        width = self.width_of(configuration)
        clip = width.volume if volumes and width.volume else width.clip
        stages = {"clip": clip} if width.frame is None else {"frame": width.frame, "clip": clip}
        graphs = {stage: self.path / name for stage, name in stages.items()}
        for graph in graphs.values():
            check_graph(graph, self.manifest.files)
        return graphs

    def replaced(self, configuration: Configuration) -> dict[str, dict[str, NDArray[Any]]]:
        """The tensors that a configuration has of its own, by stage and name in the graphs."""
        width = self.width_of(configuration)
        found: dict[str, dict[str, NDArray[Any]]] = {"frame": {}, "clip": {}}
        if configuration.precision == "fp32":
            for norm, values in zip(width.norms, self.statistics(configuration).values(), strict=True):
                for suffix, array in zip(("running_mean", "running_var"), values, strict=True):
                    found[norm.stage][f"{norm.name}.{suffix}"] = array
        place = self.manifest.configurations[configuration].offset
        for one in width.tensors:
            raw = self._scales[place : place + one.bytes].copy()
            found[one.stage][one.name] = raw.view(np.dtype(one.dtype).newbyteorder("<")).reshape(one.shape)
            place += one.bytes
        return found

    def statistics(
        self, configuration: Configuration
    ) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Mean and variance, each (channels,), of every batch norm at a configuration."""
        entry = self.manifest.configurations[configuration]
        place, found = entry.offset // 4, {}
        for norm in self.width_of(configuration).norms:
            values = self._statistics[place : place + 2 * norm.channels].reshape(2, norm.channels)
            found[norm.name] = (values[0].copy(), values[1].copy())
            place += 2 * norm.channels
        return found

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
        return open_network(self, parsed, threads=threads, engine=found, cache=cache)

    def _check_consistency(self) -> None:
        manifest = self.manifest
        rows = {row.configuration for row in self.table.rows}
        if rows != set(manifest.configurations):
            raise BundleError(
                f"{self.path / TABLE}: its rows are not the manifest's configurations; export again"
            )
        for key, subgraph in manifest.widths.items():
            if (subgraph.frame is None) == (manifest.sampling.alpha == 1):  # two pathways: no frame stage
                raise BundleError(
                    f"{self.path / MANIFEST}: widths.{key}.frame does not suit sampling.alpha "
                    f"{manifest.sampling.alpha}; export again"
                )
        for configuration, entry in manifest.configurations.items():
            width = manifest.widths.get(width_key(configuration))
            if width is None:
                raise BundleError(f"{self.path / MANIFEST}: widths lacks the width of {configuration}")
            file = manifest.files.get(STATISTICS if configuration.precision == "fp32" else SCALES)
            end = entry.offset + width.block_bytes
            if file is None or end > file.bytes or len(entry.probe) != len(manifest.classes):
                raise BundleError(
                    f"{self.path / MANIFEST}: configurations.{configuration} does not fit the bundle's files"
                )


def width_key(configuration: Configuration) -> str:
    """A subgraph's key in the manifest: ``0.50``, or ``0.50-int8``."""
    width = format_width(configuration.width)
    return width if configuration.precision == "fp32" else f"{width}-{configuration.precision}"


def _read_manifest(path: Path) -> Manifest:
    try:
        text = path.read_bytes().decode()
        content = json.loads(text)
    except FileNotFoundError as error:
        raise BundleError(
            f"{path.parent}: not a bundle, it has no {MANIFEST}; 'a3d-edge export' writes one"
        ) from error
    except (OSError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON, a huge number
        raise BundleError(f"{path}: cannot be read ({error}); export the bundle again") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema_version is not {SCHEMA_VERSION}; export with this version of a3d-edge"
        )
    if content.get("sha256") != manifest_digest(content) or text != manifest_text(content):
        raise BundleError(
            f"{path}: altered since the export (sha256 differs); copy or export the bundle again"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise BundleError(f"{path}: {validation_message(error)}") from error
    except A3DEdgeError as error:
        raise BundleError(f"{path}: {error}") from error


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file's size and SHA-256 with the manifest.

    Raises `BundleError` naming the first that differs.
    """
    needed = {TABLE}
    if any(width.norms for width in manifest.widths.values()):
        needed |= {WEIGHTS, STATISTICS}
    if any(width.tensors for width in manifest.widths.values()):
        needed |= {INT8_WEIGHTS, SCALES}
    for width in manifest.widths.values():
        needed |= {name for name in (width.frame, width.clip, width.volume) if name is not None}
    if missing := sorted(needed - set(manifest.files)):
        raise BundleError(f"{folder / MANIFEST}: files lacks {', '.join(missing)}")
    for name, entry in manifest.files.items():
        file = folder / name
        try:
            size = file.stat().st_size
            if size != entry.bytes:
                raise BundleError(
                    f"{file}: {size} bytes instead of {entry.bytes}; copy or export the bundle again"
                )
            if digest(file) != entry.sha256:
                raise BundleError(
                    f"{file}: altered since the export (SHA-256 differs); copy or export the bundle again"
                )
        except OSError as error:
            raise BundleError(
                f"{file}: cannot be read ({error.strerror}); the bundle is incomplete"
            ) from error


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _digest(file)
        )


def _digest(file: Any) -> str:  # Python 3.10
    sha = hashlib.sha256()
    while block := file.read(1 << 20):
        sha.update(block)
    return sha.hexdigest()


def manifest_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over a manifest's canonical JSON, its own ``sha256`` left out."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def manifest_text(content: Mapping[str, Any]) -> str:
    """A manifest as it is written, to the byte: a reader notices any other spelling of the same values."""
    return json.dumps(content, indent=1) + "\n"
