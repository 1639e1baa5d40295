"""Checkpoint to bundle: a chain of steps, each of which leaves what the next one needs or stops the export.

    configurations → weights.bin → statistics.bin → subgraphs → (int8: weights_int8.bin → ranges →
    scales.bin → subgraphs) → probes → parity → table → manifest → verify

Everything is written to a temporary directory beside the target, flushed to disk and renamed; an export that
is interrupted or fails leaves an older bundle as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from a3d_edge.exporters.int8_cost import with_int8_costs
from a3d_edge.exporters.parity import check_parity
from a3d_edge.exporters.store import write_statistics, write_weights
from a3d_edge.exporters.subgraphs import Form, lower_width, write_width
from a3d_edge.exporters.write_int8 import write_int8
from numpy.typing import NDArray

from a3d_edge import __version__
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration, Precision, format_width
from a3d_edge.engine.ort import OrtEngine
from a3d_edge.engine.people import boxes_of_pathways, probe_boxes
from a3d_edge.engine.session import available_threads, probe_pictures
from a3d_edge.errors import UsageError
from a3d_edge.files import new_directory
from a3d_edge.manifest import (
    MANIFEST,
    STATISTICS,
    TABLE,
    WEIGHTS,
    ConfigurationEntry,
    FileEntry,
    Manifest,
    Parity,
    WidthEntry,
    digest,
    manifest_digest,
    manifest_text,
)
from a3d_edge.models.checkpoint import Checkpoint, norms
from a3d_edge.models.flops import count
from a3d_edge.models.from_bundle import probe_clips
from a3d_edge.models.network import Clips
from a3d_edge.table import ConfigurationBudgetTable, Row
from a3d_edge.task import BOXES
from a3d_edge.training.reports import Note, unheard
from a3d_edge.video.sampler import pathways

__all__ = [
    "in_precisions",
    "literal_logits",
    "require_calibrated",
    "require_replaceable",
    "unmeasured_row",
    "unmeasured_table",
    "write_bundle",
]

CREATOR = "a3d-edge "
Progress = Callable[[str, int, int], None]
Measured = Callable[[Bundle], ConfigurationBudgetTable]


def unmeasured_table(
    checkpoint: Checkpoint, configurations: Sequence[Configuration]
) -> ConfigurationBudgetTable:
    """Rows with cost but without accuracy."""
    rows = tuple(unmeasured_row(checkpoint, configuration) for configuration in configurations)
    return ConfigurationBudgetTable(
        architecture=checkpoint.description.name, task=checkpoint.description.task, rows=rows
    )


def unmeasured_row(checkpoint: Checkpoint, configuration: Configuration) -> Row:
    """A row with cost but without accuracy."""
    cost = count(checkpoint.description, configuration)
    return Row(
        configuration=configuration,
        gflops=cost.gflops,
        streaming_gflops=cost.streaming_gflops,
        params_m=cost.params_m,
    )


def in_precisions(
    table: ConfigurationBudgetTable, precisions: Sequence[Precision]
) -> ConfigurationBudgetTable:
    """The rows of a table in these precisions. A row that the table lacks in one has no accuracy there."""
    rows = {row.configuration: row for row in table.rows}
    for row in table.rows:
        for precision in precisions:
            twin = row.configuration.at(precision)
            rows.setdefault(twin, row.unmeasured(twin))
    kept = tuple(row for row in rows.values() if row.precision in precisions)
    return table.with_rows(kept)


def write_bundle(
    checkpoint: Checkpoint,
    table: ConfigurationBudgetTable,
    parity_clips: Mapping[int, Clips],
    out: Path,
    progress: Progress = lambda step, done, total: None,
    *,
    range_clips: Mapping[int, Clips] | None = None,
    measured: Measured | None = None,
    note: Note = unheard,
) -> Bundle:
    """Write the bundle of a table's configurations to ``out`` and return it, verified.

    ``parity_clips[S]`` are windows, ``(N, 3, T_max, S, S)`` or ``[slow, fast]``; ``range_clips`` the same, to
    measure int8's activation ranges on (else the parity clips). ``measured``: called with the bundle before
    it is in place, for the accuracy of its rows. ``note`` hears what is uncertain. Raises `UsageError` for a
    configuration that is not calibrated or an ``out`` that holds anything but a bundle, `A3DEdgeError` when
    parity fails, `ResourceError` when the disk is full.
    """
    checkpoint.model.eval()
    require_calibrated(checkpoint, table)
    require_replaceable(out)
    with new_directory(out) as work, torch.inference_mode():
        widths, offsets = _write_graphs(checkpoint, table, range_clips or parity_clips, work, progress)
        unproved = Parity(clips=0, relative_error=0, same_top1=True)
        entries = {
            one: ConfigurationEntry(offset=offset, probe=(0.0,) * len(checkpoint.classes), parity=unproved)
            for one, offset in offsets.items()
        }
        bundle = Bundle(work, _manifest(checkpoint, widths, entries, work), table)
        entries = {
            one: entry.model_copy(update={"probe": _probe(checkpoint, bundle, one)})
            for one, entry in entries.items()
        }
        bundle = replace(bundle, manifest=bundle.manifest.model_copy(update={"configurations": entries}))
        found = check_parity(checkpoint.model, bundle, parity_clips, lambda d, n: progress("parity", d, n))
        entries = {one: entry.model_copy(update={"parity": found[one]}) for one, entry in entries.items()}
        final = with_int8_costs(bundle, table if measured is None else measured(bundle), note)
        (work / TABLE).write_text(final.to_json(), encoding="utf-8")
        _write_manifest(_manifest(checkpoint, widths, entries, work), work / MANIFEST)
        Bundle.load(work)
    return Bundle.load(out)


def _write_graphs(
    checkpoint: Checkpoint,
    table: ConfigurationBudgetTable,
    range_clips: Mapping[int, Clips],
    work: Path,
    progress: Progress,
) -> tuple[dict[str, WidthEntry], dict[Configuration, int]]:
    """All graphs and what they point into; the subgraphs, and where each configuration's block begins."""
    stored = write_weights(checkpoint, work / WEIGHTS)
    offsets = dict(write_statistics(checkpoint, table, work / STATISTICS))
    fp32, int8 = ([c for c in table.configurations if c.precision == p] for p in ("fp32", "int8"))
    begins = {c.width: offsets[c] for c in sorted(fp32)}  # of every width's largest
    lowered: dict[float, dict[Form, ir.Model]] = {}
    every = sorted({c.width for c in table.configurations})
    for done, width in enumerate(every, start=1):
        place = (work / STATISTICS, begins.get(width, 0))  # int8 alone: the statistics go into its scales
        lowered[width] = lower_width(checkpoint, width, stored, place)
        progress("subgraphs", done, len(every))
    widths = {format_width(w): write_width(checkpoint, w, lowered[w], work) for w in begins}
    if int8:
        report = partial(progress, "int8 ranges")
        part = write_int8(checkpoint, int8, range_clips, lowered, stored, work, report)
        widths, offsets = widths | part.widths, offsets | part.offsets
    if not fp32:  # int8 alone needs none of the fp32 files
        (work / WEIGHTS).unlink()
        (work / STATISTICS).unlink()
    return widths, offsets


def require_calibrated(checkpoint: Checkpoint, table: ConfigurationBudgetTable) -> None:
    """Raise `UsageError` when a row has no batch-norm statistics."""
    for name, norm in norms(checkpoint.model).items():
        for row in table.rows:
            if str(row.configuration.at("fp32")) not in norm.calibrated:
                raise UsageError(
                    f"{row.configuration} is not calibrated ({name}); name training clips with `calibration`"
                )


def require_replaceable(out: Path) -> None:
    """Raise `UsageError` unless ``out`` is nothing, an empty directory, or a bundle and no more.

    What an export replaces, it deletes.
    """
    if not out.exists():
        return
    refusal = f"`out` {out}: exists and is not a bundle of ours alone; name another directory"
    try:
        present = {file.name for file in out.iterdir()}
        content = json.loads((out / MANIFEST).read_bytes()) if present else {"files": {}}
        known = {MANIFEST, *content["files"]}
        ours = not present or str(content["created_by"]).startswith(CREATOR)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(refusal) from error
    if not ours or present - known:
        raise UsageError(refusal)


def _probe(checkpoint: Checkpoint, bundle: Bundle, configuration: Configuration) -> tuple[float, ...]:
    """Logits of the probe input: by them the runtime proves what it has loaded.

    PyTorch's of fp32. Of int8, those of the graphs run as they are written: quantized, computed in float,
    quantized again; the integer kernels that the optimizer puts in are proved against them.
    """
    given = [probe_pictures(p) for p in pathways(checkpoint.description.sampling, configuration)]
    if configuration.precision == "int8":
        return _rounded(literal_logits(bundle, configuration, given))
    clips = probe_clips(checkpoint.description, configuration)
    return _rounded(checkpoint.model(clips, configuration)[0].tolist())


def literal_logits(
    bundle: Bundle, configuration: Configuration, inputs: Sequence[NDArray[np.float32]]
) -> list[float]:
    """Logits of pictures ``(T, 3, S, S)`` of every pathway, by the graphs without any optimization."""
    literal = replace(OrtEngine.of("CPU"), optimize=False)
    files, values = bundle.files_of(configuration), list(inputs)
    replaced, sizes = files.own.read(), tuple(pathway.size for pathway in files.pathways)
    people = boxes_of_pathways(probe_boxes(sizes[0]), sizes) if files.task == BOXES else {}
    for stage, graph in files.graphs().items():
        session = literal.open(graph, replaced[stage], {}, available_threads()).session
        names = [given.name for given in session.get_inputs() if given.name not in people]
        boxes = people if stage == "clip" else {}
        values = session.run(None, {**dict(zip(names, values, strict=True)), **boxes})[:1]
    return [float(value) for value in values[0][0]]


def _rounded(logits: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in logits)


def _manifest(
    checkpoint: Checkpoint,
    widths: dict[str, WidthEntry],
    entries: dict[Configuration, ConfigurationEntry],
    work: Path,
) -> Manifest:
    description = checkpoint.description
    return Manifest(
        created_by=f"{CREATOR}{__version__}",
        architecture=description.name,
        task=description.task,
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
