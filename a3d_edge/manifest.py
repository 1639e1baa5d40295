"""The manifest of a bundle: what it says, how it is read, and whether the files beside it are as it says."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from a3d_edge.bundles import MANIFEST as MANIFEST
from a3d_edge.configuration import Configuration, format_width
from a3d_edge.engine.graph_file import FileSum
from a3d_edge.engine.network_files import FILE_BYTES, TensorEntry
from a3d_edge.errors import A3DEdgeError, BundleError
from a3d_edge.reading import NotReadableError, open_regular, read_regular, why
from a3d_edge.shown import acts
from a3d_edge.table import validation_message
from a3d_edge.task import SINGLE, Task, written
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling, pathways

__all__ = [
    "ConfigurationEntry",
    "FileEntry",
    "Manifest",
    "NormEntry",
    "Parity",
    "TensorEntry",
    "WidthEntry",
    "check_manifest",
    "digest",
    "manifest_digest",
    "manifest_text",
    "own_file",
    "read_manifest",
    "verify_files",
    "width_key",
]

TABLE, WEIGHTS, STATISTICS = "table.json", "weights.bin", "statistics.bin"
INT8_WEIGHTS, SCALES = "weights_int8.bin", "scales.bin"
SCHEMA_VERSION = 1
MEAN, VARIANCE = "running_mean", "running_var"  # of a batch norm, as its tensors are called in the graphs


MANIFEST_BYTES = 8_000_000
"""A hundred times the built-in ones': of 240 configurations and 700 classes, 3 MB."""
BUNDLE_BYTES = 2 * FILE_BYTES
CLASSES, CONFIGURATIONS, TENSORS = 20_000, 2_000, 20_000
WINDOW = 1 << 24
"""Numbers in the pictures of one window: 100 pictures of 224², or 16 of 591²."""
UNUSUAL, LONG = ("NaN", "Infinity", "e+"), re.compile(r"\d{25}")
"""What a manifest with a number out of all bounds has in its text, and others hardly ever."""
DEPTH, LARGEST, BLOCK = 16, 1e15, 1 << 18

Name = Annotated[str, Field(max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Strict):
    """Size and SHA-256 of a file."""

    bytes: int = Field(ge=0, le=FILE_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class NormEntry(_Strict):
    """A batch norm of a width: its name in the graphs, its channels, and the stage it runs in."""

    name: Name
    channels: int = Field(ge=1, le=1 << 20)
    stage: Literal["frame", "clip"]


class WidthEntry(_Strict):
    """The subgraph of one width and precision; ``frame`` is None where the family has no frame stage
    (SlowFast), ``volume`` where the clip stage has no rank-5 form.

    What a configuration has of its own lies in one block: ``norms`` (mean, variance of each, in
    statistics.bin) of fp32, ``tensors`` (scales, zero points, biases, in scales.bin) of int8.
    """

    frame: Name | None = None
    clip: Name
    volume: Name | None = None
    norms: tuple[NormEntry, ...] = Field(default=(), max_length=TENSORS)
    tensors: tuple[TensorEntry, ...] = Field(default=(), max_length=TENSORS)

    @cached_property
    def block(self) -> tuple[TensorEntry, ...]:
        """The tensors of one configuration's block, in their order."""
        norms = (
            TensorEntry(f"{norm.name}.{moment}", "float32", (norm.channels,), norm.stage)
            for norm in self.norms
            for moment in (MEAN, VARIANCE)
        )
        return (*norms, *self.tensors)

    @property
    def block_bytes(self) -> int:
        """Bytes of one configuration's block."""
        return sum(one.bytes for one in self.block)


class Parity(_Strict):
    """How an exported configuration compares with PyTorch on real clips. ``same_top1``: whether it gives the
    same answers (`a3d_edge.task.same_answer`)."""

    clips: int = Field(ge=0)
    relative_error: float = Field(ge=0.0)
    same_top1: bool


class ConfigurationEntry(_Strict):
    """A configuration: where its statistics begin in statistics.bin (bytes), the logits that the probe input
    gives (see `a3d_edge.engine.session`), and its parity figures."""

    offset: int = Field(ge=0, le=FILE_BYTES)
    probe: tuple[float, ...] = Field(max_length=CLASSES)
    parity: Parity


class Manifest(_Strict):
    """What a bundle is. ``description``: the network's, by which `a3d_edge.models` can build it again;
    ``task``: what is asked of it (`a3d_edge.task`)."""

    schema_version: Literal[1] = 1
    created_by: Name
    architecture: Name
    task: Task = SINGLE
    range: Name
    classes: tuple[Name, ...] = Field(min_length=1, max_length=CLASSES)
    preprocessing: Preprocessing
    sampling: Sampling
    widths: dict[Name, WidthEntry] = Field(max_length=CONFIGURATIONS)
    configurations: dict[Configuration, ConfigurationEntry] = Field(min_length=1, max_length=CONFIGURATIONS)
    description: dict[str, Any] = Field(default_factory=dict)
    origin: dict[str, Any] = Field(default_factory=dict)
    files: dict[Name, FileEntry] = Field(max_length=CONFIGURATIONS)
    sha256: str = ""

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return written(handler(self))

    @cached_property
    def sums(self) -> Mapping[str, FileSum]:
        """Of every file, as the engine takes them."""
        return {name: FileSum(entry.bytes, entry.sha256) for name, entry in self.files.items()}

    @field_validator("files")
    @classmethod
    def _plain_names(cls, value: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in value:
            if not name or Path(name).name != name or name.startswith(".") or set(name) & set("\0\\:"):
                raise ValueError(f"'{name}' is not a plain file name")
        return value


def width_key(configuration: Configuration) -> str:
    """A subgraph's key in the manifest: ``0.50``, or ``0.50-int8``."""
    width = format_width(configuration.width)
    return width if configuration.precision == "fp32" else f"{width}-{configuration.precision}"


def own_file(configuration: Configuration) -> str:
    """The file that holds what a configuration has of its own."""
    return STATISTICS if configuration.precision == "fp32" else SCALES


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises `BundleError` unless every byte is as it was exported."""
    try:
        text = read_regular(path, MANIFEST_BYTES).decode()
        content = json.loads(text)
        digest = manifest_digest(content) if isinstance(content, dict) else ""
        is_unusual = any(word in text for word in UNUSUAL) or LONG.search(text)
        unusual = _out_of_bounds(content) if is_unusual else None
    except FileNotFoundError as error:
        raise BundleError(
            f"{path.parent}: not a bundle, it has no {MANIFEST}; 'a3d-edge export' writes one"
        ) from error
    except RecursionError as error:
        raise BundleError(f"{path}: is nested too deep; export the bundle again") from error
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, not JSON, a huge number
        raise BundleError(f"{path}: cannot be read ({why(error)}); export the bundle again") from error
    if unusual is not None:
        raise BundleError(f"{path}: {unusual}; export the bundle again")
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"{path}: schema_version is not {SCHEMA_VERSION}; export with this version of a3d-edge"
        )
    if content.get("sha256") != digest or text != manifest_text(content):
        raise BundleError(
            f"{path}: altered since the export (sha256 differs); copy or export the bundle again"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise BundleError(f"{path}: {validation_message(error)}") from error
    except A3DEdgeError as error:
        raise BundleError(f"{path}: {error}") from error


def _out_of_bounds(content: Any) -> str | None:
    """Where a number is none, or larger than any here, or what is nested too deep; None if nothing is."""
    waiting: list[tuple[str, int, Any]] = [("", 0, content)]
    while waiting:
        where, depth, value = waiting.pop()
        if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:
            return f"{where or 'file'}: {value!s:.30} is no number that can be meant"
        if isinstance(value, dict | list):
            if depth == DEPTH:
                return f"{where:.200}: is nested too deep"
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((_below(where, key), depth + 1, item) for key, item in items)
    return None


def _below(where: str, key: Any) -> str:
    return f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key:.60}" if where else str(key)


def check_manifest(path: Path, manifest: Manifest) -> None:
    """Raise `BundleError` where the parts of a manifest, read from ``path``, do not fit each other."""
    for place, name in enumerate(manifest.classes):
        if acts(name) or not name.strip():
            raise BundleError(f"{path}: classes[{place}]: {name[:60]!a} is no name that can be shown")
    if manifest.description and manifest.description.get("task", SINGLE) != manifest.task:
        raise BundleError(f"{path}: task is not that of description.task; export again")
    for key, subgraph in manifest.widths.items():
        if (subgraph.frame is None) == (manifest.sampling.alpha == 1):  # two pathways: no frame stage
            raise BundleError(
                f"{path}: widths.{key}.frame does not suit sampling.alpha "
                f"{manifest.sampling.alpha}; export again"
            )
    for configuration, entry in manifest.configurations.items():
        where = f"{path}: configurations.{configuration}"
        width = manifest.widths.get(width_key(configuration))
        if width is None:
            raise BundleError(f"{path}: widths lacks the width of {configuration}")
        file = manifest.files.get(own_file(configuration))
        end = entry.offset + width.block_bytes
        if file is None or end > file.bytes or len(entry.probe) != len(manifest.classes):
            raise BundleError(f"{where} does not fit the bundle's files")
        if configuration.frames > manifest.sampling.frames:
            raise BundleError(f"{where} has more frames than a window, {manifest.sampling.frames}")
        seen = pathways(manifest.sampling, configuration)
        if (numbers := sum(3 * len(one.instants) * one.size**2 for one in seen)) > WINDOW:
            raise BundleError(
                f"{where} looks at {numbers / 1e6:.0f} million numbers a window, too many to run"
            )


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
    if (whole := sum(entry.bytes for entry in manifest.files.values())) > BUNDLE_BYTES:
        raise BundleError(f"{folder / MANIFEST}: files of {whole / 1e9:.1f} GB, more than a bundle has")
    for check in (_check_size, _check_sum):  # all sizes first: sums take long where they are wrong
        for name, entry in manifest.files.items():
            try:
                check(folder / name, entry)
            except OSError as error:
                raise BundleError(
                    f"{folder / name}: cannot be read ({error.strerror}); the bundle is incomplete"
                ) from error


def _check_size(file: Path, entry: FileEntry) -> None:
    size = file.stat().st_size
    if size != entry.bytes and file.is_file():
        raise BundleError(f"{file}: {size} bytes instead of {entry.bytes}; copy or export the bundle again")


def _check_sum(file: Path, entry: FileEntry) -> None:
    if digest(file, most=entry.bytes) != entry.sha256:
        raise BundleError(
            f"{file}: altered since the export (SHA-256 differs); copy or export the bundle again"
        )


def digest(path: Path, most: int = 1 << 40) -> str:
    """SHA-256 of a regular file of at most so many bytes, hexadecimal. Raises `OSError`."""
    sha, left = hashlib.sha256(), most
    view = memoryview(bytearray(BLOCK))
    with open_regular(path, most) as file:
        while count := file.readinto(view):  # type: ignore[attr-defined]
            sha.update(view[:count])
            left -= count
            if left < 0:
                raise NotReadableError("grows while it is read")
    return sha.hexdigest()


def manifest_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over a manifest's canonical JSON, its own ``sha256`` left out."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def manifest_text(content: Mapping[str, Any]) -> str:
    """A manifest as it is written, to the byte: a reader notices any other spelling of the same values."""
    return json.dumps(content, indent=1) + "\n"
