"""The way back: the PyTorch network of a bundle, for what ONNX graphs cannot tell (class activation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.network_files import FILE_BYTES
from a3d_edge.engine.people import probe_boxes
from a3d_edge.engine.session import probe_pictures, relative_error
from a3d_edge.errors import BundleError
from a3d_edge.labels import labels_of
from a3d_edge.manifest import STATISTICS, WEIGHTS
from a3d_edge.models.boxed import BoxedClips
from a3d_edge.models.checkpoint import Checkpoint, norms, set_statistics
from a3d_edge.models.network import Clips, NetworkDescription, SlimNetwork
from a3d_edge.models.registry import describe, read_description
from a3d_edge.reading import read_regular
from a3d_edge.video.sampler import pathways

__all__ = ["checkpoint_of", "description_of", "probe_clips"]

ALIGNMENT = 64  # bytes, as `export` aligns the tensors of weights.bin

TOLERANCE = 1e-3
"""Relative. PyTorch gave the probe's logits itself, so only another processor's rounding is left (1e-5)."""


def checkpoint_of(bundle: Bundle, proved: Sequence[Configuration] | None = None) -> Checkpoint:
    """The checkpoint a bundle was exported from: weights, and the statistics of the bundle's configurations.

    The checkpoint's own batch-norm statistics are not in a bundle: those of its dearest full-width
    configuration stand in, if there is one. That the network computes what was exported is proved with the
    probe input of the configurations ``proved``, by default all. Raises `UsageError` when the architecture
    is not known, `BundleError` when the files do not hold the network or a proof fails.
    """
    description = description_of(bundle)
    if description.sampling != bundle.sampling:
        raise BundleError(
            f"{bundle.path}: {bundle.sampling} is not that of {description.name}; "
            "name the checkpoint it was exported from instead"
        )
    if not _fp32(bundle):
        raise BundleError(
            f"{bundle.path}: holds int8 alone, whose weights are rounded; "
            "name the checkpoint it was exported from instead"
        )
    model = description.build().eval()
    _read_weights(bundle, model)
    _read_statistics(bundle, model)
    for configuration in _fp32(bundle) if proved is None else proved:
        _prove(bundle, model, configuration)
    manifest = bundle.manifest
    return Checkpoint(
        model, labels_of(bundle.classes), bundle.preprocessing, manifest.range, dict(manifest.origin)
    )


def probe_clips(description: NetworkDescription, configuration: Configuration) -> Clips:
    """The probe input of a configuration as a batch of one clip, with its box where boxes are taken."""
    seen = pathways(description.sampling, configuration)
    every = [torch.from_numpy(probe_pictures(pathway)).transpose(0, 1).unsqueeze(0) for pathway in seen]
    clips = every[0] if len(every) == 1 else every
    if not description.takes_boxes:
        return clips
    return BoxedClips.of(clips, torch.from_numpy(probe_boxes(seen[0].size)))


def description_of(bundle: Bundle) -> NetworkDescription:
    """The description in the manifest; bundles of version 0.1 name a registered architecture instead.

    Raises `BundleError` or `UsageError` for one that this version does not have.
    """
    content = bundle.manifest.description
    if not content:
        return describe(bundle.manifest.architecture, len(bundle.classes))
    try:
        return read_description(content)
    except ValueError as error:  # pydantic's are ValueErrors
        reason = " ".join(str(error).split())[:200]
        raise BundleError(
            f"{bundle.path}: its description does not fit this version ({reason}); "
            "name the checkpoint it was exported from instead"
        ) from error


def _fp32(bundle: Bundle) -> list[Configuration]:
    return [c for c in bundle.configurations if c.precision == "fp32"]


def _read_weights(bundle: Bundle, model: SlimNetwork) -> None:
    """weights.bin holds every full-width parameter in the order of definition, each aligned."""
    content = np.frombuffer(read_regular(bundle.path / WEIGHTS, FILE_BYTES), np.uint8)
    place = 0
    for parameter in model.parameters():
        place += -place % ALIGNMENT
        values = content[place : place + 4 * parameter.numel()]
        place += len(values)
        if len(values) != 4 * parameter.numel():
            break
        parameter.data = _tensor(values.view("<f4").reshape(tuple(parameter.shape)))
    else:
        if place == len(content):
            return
    raise BundleError(
        f"{bundle.path / WEIGHTS}: does not hold the parameters of {bundle.manifest.architecture}; "
        "name the checkpoint it was exported from instead"
    )


def _read_statistics(bundle: Bundle, model: SlimNetwork) -> None:
    found = {
        str(configuration): {
            name: [_tensor(mean), _tensor(variance)]
            for name, (mean, variance) in bundle.statistics(configuration).items()
        }
        for configuration in _fp32(bundle)
    }
    try:
        set_statistics(model, found)
    except ValueError as error:
        raise BundleError(f"{bundle.path / STATISTICS}: {error}; export the bundle again") from error
    full = [c for c in _fp32(bundle) if c.width == 1.0]
    for norm in norms(model).values() if full else ():
        mean, variance = norm.calibrated[str(full[-1])]
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _tensor(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))


def _prove(bundle: Bundle, model: SlimNetwork, configuration: Configuration) -> None:
    with torch.inference_mode():
        got = model(probe_clips(model.description, configuration), configuration)[0].numpy()
    expected = np.array(bundle.manifest.configurations[configuration].probe)
    error = relative_error(got, expected)
    if not error <= TOLERANCE:
        raise BundleError(
            f"{bundle.path}: the network rebuilt from it does not compute what was exported at "
            f"{configuration} (relative error {error:.2g}); name its checkpoint instead"
        )
