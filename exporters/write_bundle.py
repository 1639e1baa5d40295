"""Checkpoint to bundle: a chain of steps, each of which leaves what the next one needs or stops the export.

    configurations → weights.bin → statistics.bin → subgraphs → table → probes → parity → manifest → verify

Everything is written to a temporary directory beside the target, flushed to disk and renamed; an export that
is interrupted or fails leaves an older bundle as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir
import torch
from a3d_edge.exporters.onnx_graph import float32, lower_stage, save_graph
from a3d_edge.exporters.parity import check_parity
from torch import Tensor

from a3d_edge import __version__
from a3d_edge.bundle import (
    MANIFEST,
    STATISTICS,
    TABLE,
    WEIGHTS,
    Bundle,
    ConfigurationEntry,
    FileEntry,
    Manifest,
    NormEntry,
    Parity,
    WidthEntry,
    digest,
    manifest_digest,
    manifest_text,
)
from a3d_edge.configuration import Configuration, format_width
from a3d_edge.engine.session import probe_pictures
from a3d_edge.errors import A3DEdgeError, UsageError
from a3d_edge.files import new_directory
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.flops import count
from a3d_edge.models.layers import Run
from a3d_edge.models.network import Clips
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.video.sampler import pathways

__all__ = ["export_bundle", "require_calibrated", "require_replaceable", "unmeasured_table"]

CREATOR = "a3d-edge "
ALIGNMENT = 64  # bytes; keeps every tensor on a cache line when the file is memory-mapped

Progress = Callable[[str, int, int], None]


def unmeasured_table(
    checkpoint: Checkpoint, configurations: Sequence[Configuration]
) -> ConfigurationBudgetTable:
    """Rows with cost but without accuracy."""
    rows = []
    for configuration in configurations:
        cost = count(checkpoint.description, configuration)
        rows.append(Row(configuration=str(configuration), gflops=cost.gflops, params_m=cost.params_m))
    return ConfigurationBudgetTable(architecture=checkpoint.description.name, rows=tuple(rows))


def export_bundle(
    checkpoint: Checkpoint,
    table: ConfigurationBudgetTable,
    parity_clips: Mapping[int, Clips],
    out: Path,
    progress: Progress = lambda step, done, total: None,
) -> Bundle:
    """Write the bundle of a table's configurations to ``out`` and return it, verified.

    ``parity_clips[S]`` are windows, ``(N, 3, T_max, S, S)`` or ``[slow, fast]``. Raises `UsageError` for a
    configuration that is not calibrated or an ``out`` that holds anything but a bundle, `A3DEdgeError` when
    parity fails, `ResourceError` when the disk is full.
    """
    model = checkpoint.model.eval()
    require_calibrated(checkpoint, table)
    require_replaceable(out)
    with new_directory(out) as work, torch.inference_mode():
        stored = _write_weights(checkpoint, work / WEIGHTS)
        offsets = _write_statistics(checkpoint, table, work / STATISTICS)
        widths = {}
        names = sorted({c.width for c in table.configurations})
        for done, width in enumerate(names, start=1):
            default = max(c for c in table.configurations if c.width == width)
            widths[format_width(width)] = _write_width(checkpoint, width, stored, offsets[str(default)], work)
            progress("subgraphs", done, len(names))
        (work / TABLE).write_text(table.to_json(), encoding="utf-8")
        entries = {
            str(c): ConfigurationEntry(
                offset=offsets[str(c)],
                probe=_probe(checkpoint, c),
                parity=Parity(clips=0, relative_error=0, same_top1=True),
            )
            for c in table.configurations
        }
        manifest = _manifest(checkpoint, widths, entries, work)
        found = check_parity(
            model, Bundle(work, manifest, table), parity_clips, lambda d, n: progress("parity", d, n)
        )
        entries = {
            name: e.model_copy(update={"parity": found[Configuration.parse(name)]})
            for name, e in entries.items()
        }
        _write_manifest(manifest.model_copy(update={"configurations": entries}), work / MANIFEST)
        Bundle.load(work)
    return Bundle.load(out)


def require_calibrated(checkpoint: Checkpoint, table: ConfigurationBudgetTable) -> None:
    """Raise `UsageError` when a row has no batch-norm statistics."""
    for name, norm in norms(checkpoint.model).items():
        for row in table.rows:
            if row.configuration not in norm.calibrated:
                raise UsageError(
                    f"{row.configuration} is not calibrated ({name}); name training clips with --calibration"
                )


def require_replaceable(out: Path) -> None:
    """Raise `UsageError` unless ``out`` is nothing, an empty directory, or a bundle and no more.

    What an export replaces, it deletes.
    """
    if not out.exists():
        return
    refusal = f"--out {out}: exists and is not a bundle of ours alone; name another directory"
    try:
        present = {file.name for file in out.iterdir()}
        content = json.loads((out / MANIFEST).read_bytes()) if present else {"files": {}}
        known = {MANIFEST, *content["files"]}
        ours = not present or str(content["created_by"]).startswith(CREATOR)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(refusal) from error
    if not ours or present - known:
        raise UsageError(refusal)


def _write_weights(checkpoint: Checkpoint, path: Path) -> dict[str, ir.ExternalTensor]:
    """Every full-width parameter once, aligned; where each lies."""
    stored: dict[str, ir.ExternalTensor] = {}
    with path.open("wb") as file:
        for name, parameter in checkpoint.model.named_parameters():
            array = float32(parameter)
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            stored[name] = _external(name, path, file.tell(), array.shape)
            file.write(array.astype("<f4").tobytes())
    return stored


def _external(name: str, path: Path, offset: int, shape: Sequence[int]) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        path.name,
        offset,
        4 * int(np.prod(shape)),
        ir.DataType.FLOAT,
        shape=ir.Shape(shape),
        name=name,
        base_dir=str(path.parent),
    )


def _write_statistics(checkpoint: Checkpoint, table: ConfigurationBudgetTable, path: Path) -> dict[str, int]:
    """Mean and variance of every batch norm, row by row; where each configuration begins."""
    offsets = {}
    with path.open("wb") as file:
        for row in table.rows:
            offsets[row.configuration] = file.tell()
            for name, norm in norms(checkpoint.model).items():
                for vector in norm.calibrated[row.configuration]:
                    array = float32(vector)
                    if not np.isfinite(array).all():
                        raise A3DEdgeError(
                            f"statistics of {row.configuration}, {name}: not finite; train again"
                        )
                    file.write(array.astype("<f4").tobytes())
    return offsets


def _write_width(
    checkpoint: Checkpoint,
    width: float,
    stored: Mapping[str, ir.ExternalTensor],
    statistics_at: int,
    work: Path,
) -> WidthEntry:
    """The subgraphs of a width; their statistics are those that begin at ``statistics_at``."""
    model = checkpoint.model
    buffers, channels = dict(stored), {n: norm.channels_at(width) for n, norm in norms(model).items()}
    offset = statistics_at
    for name, count_ in channels.items():
        for suffix in ("running_mean", "running_var"):
            buffer = f"{name}.{suffix}"
            buffers[buffer] = _external(buffer, work / STATISTICS, offset, (count_,))
            offset += 4 * count_
    files: dict[str, str] = {}
    stages: dict[str, Literal["frame", "clip"]] = {}
    for stage, graph in _lower(checkpoint, width, buffers):
        files[stage] = f"w{format_width(width)}.{stage}.onnx"
        save_graph(graph, work / files[stage])
        stages |= {name: stage for name in channels if f"{name}.running_mean" in graph.graph.initializers}
    entries = (NormEntry(name=name, channels=count_, stage=stages[name]) for name, count_ in channels.items())
    return WidthEntry(frame=files.get("frame"), clip=files["clip"], norms=tuple(entries))


def _lower(
    checkpoint: Checkpoint, width: float, stored: Mapping[str, ir.TensorProtocol]
) -> Iterator[tuple[Literal["frame", "clip"], ir.Model]]:
    """The graphs of a width, each traced on an example that the one before it has computed."""
    model, description = checkpoint.model, checkpoint.description
    largest = Configuration(width, description.size, description.frames)
    wanted = pathways(description.sampling, largest)
    examples = [torch.zeros(len(p.instants), 3, p.size, p.size) for p in wanted]
    logits = ("logits", (1, description.classes))
    for graph in model.graphs(Run(width)):
        inputs = [(name, _shape(name, x)) for name, x in zip(graph.inputs, examples, strict=True)]
        result = graph.compute(*examples)
        outputs = ("features", _shape("features", result)) if graph.stage == "frame" else logits
        yield (
            graph.stage,
            lower_stage(
                graph.compute,
                model,
                examples,
                name=f"w{format_width(width)}.{graph.stage}",
                inputs=inputs,
                outputs=outputs,
                stored=stored,
            ),
        )
        examples = [result]


def _shape(name: str, x: Tensor) -> tuple[str | int, ...]:
    """The symbolic shape of an input or output."""
    sides = {"features": ("height", "width"), "fast": ("fast_size", "fast_size")}
    return "fast_frames" if name == "fast" else "frames", x.shape[1], *sides.get(name, ("size", "size"))


def _probe(checkpoint: Checkpoint, configuration: Configuration) -> tuple[float, ...]:
    """PyTorch's logits of the probe input: by them the runtime proves what it has loaded."""
    clips = [
        torch.from_numpy(probe_pictures(pathway)).transpose(0, 1).unsqueeze(0)
        for pathway in pathways(checkpoint.description.sampling, configuration)
    ]
    logits = checkpoint.model(clips[0] if len(clips) == 1 else clips, configuration)
    return tuple(float(f"{v:.6g}") for v in logits[0].tolist())


def _manifest(
    checkpoint: Checkpoint, widths: dict[str, WidthEntry], entries: dict[str, ConfigurationEntry], work: Path
) -> Manifest:
    description = checkpoint.description
    return Manifest(
        created_by=f"{CREATOR}{__version__}",
        architecture=description.name,
        range=checkpoint.range_name,
        classes=checkpoint.classes,
        preprocessing=checkpoint.preprocessing,
        sampling=description.sampling,
        widths=widths,
        configurations=entries,
        description=description.model_dump(mode="json"),
        origin=checkpoint.origin,
        files={f.name: FileEntry(bytes=f.stat().st_size, sha256=digest(f)) for f in sorted(work.iterdir())},
    )


def _write_manifest(manifest: Manifest, path: Path) -> None:
    content = json.loads(manifest.model_dump_json())
    content["sha256"] = manifest_digest(content)
    path.write_bytes(manifest_text(content).encode())
