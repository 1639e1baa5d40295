"""A checkpoint: one file with the weights and all that is needed to run, calibrate, export or resume them.

Read with ``weights_only=True`` always: a file that holds anything but tensors and plain values is refused
and nothing in it is executed.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError, CheckpointError
from a3d_edge.files import write_atomically
from a3d_edge.labels import labels_of
from a3d_edge.models.archive import MOST_BYTES, check_archive, check_contents, is_finite
from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.levels import Levels
from a3d_edge.models.network import NetworkDescription, SlimNetwork
from a3d_edge.models.ranges import candidates, find_range
from a3d_edge.models.recognise import what_is
from a3d_edge.models.registry import read_description, require_small
from a3d_edge.reading import open_regular, why
from a3d_edge.shown import acts
from a3d_edge.table import validation_message
from a3d_edge.task import Task
from a3d_edge.video.preprocess import Preprocessing

__all__ = ["Checkpoint", "load", "load_checkpoint", "norms", "save"]

FORMAT = "a3d-edge checkpoint"
SCHEMA_VERSION = 1
UNSAFE = (
    "refused, it holds more than tensors and plain values; nothing in it was run; if you trust it, save its "
    "state dict alone"
)


@dataclass(slots=True)
class Checkpoint:
    """A network and what belongs to it.

    ``origin`` says in plain values how it was made (data, seed, steps); ``resume`` holds the optimizer and
    the step for `a3d-edge train --resume`, and is absent from a finished checkpoint.
    """

    model: SlimNetwork
    classes: tuple[str, ...]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    range_name: str = "0.016"
    origin: dict[str, Any] = field(default_factory=dict)
    resume: dict[str, Any] | None = None

    @property
    def description(self) -> NetworkDescription:
        """What the network is."""
        return self.model.description

    @property
    def task(self) -> Task:
        """What is asked of the network."""
        return self.description.task

    @property
    def alone(self) -> Configuration | None:
        """The only configuration it was trained at, if it was (`train --alone`)."""
        name = self.origin.get("alone")
        return None if name is None else Configuration.parse(name)

    def grid(self) -> list[Configuration]:
        """Every configuration of the range it was trained over, or the only one."""
        if self.alone is not None:
            return [self.alone]
        return find_range(self.range_name).grid(self.description.size, self.description.frames)

    def candidates(self) -> list[Configuration]:
        """The few of them that stand for all, see `a3d_edge.models.ranges.candidates`."""
        if self.alone is not None:
            return [self.alone]
        return candidates(find_range(self.range_name), self.description)


def load_checkpoint(path: str | Path) -> SlimNetwork:
    """The network of a checkpoint, in eval mode, on the CPU. Raises `CheckpointError`."""
    return load(Path(path)).model


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; an older file stays whole until the new one is on disk. Raises `ResourceError`."""
    payload = {
        "format": FORMAT,
        "schema": SCHEMA_VERSION,
        "description": checkpoint.description.model_dump(mode="json"),
        "classes": list(checkpoint.classes),
        "preprocessing": asdict(checkpoint.preprocessing),
        "range": checkpoint.range_name,
        "origin": checkpoint.origin,
        "state": checkpoint.model.state_dict(),
        "statistics": statistics(checkpoint.model),
        "tuned": tuned(checkpoint.model),
        "levels": None
        if checkpoint.model.levels is None
        else checkpoint.model.levels.model_dump(mode="json"),
        "resume": checkpoint.resume,
    }
    write_atomically(path, lambda temporary: _write(payload, temporary))


def _write(payload: Mapping[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(payload, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch's zip writer hides the full disk
                raise error.__context__ from error
            raise


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and execute nothing in it. Raises `CheckpointError` with the key that is wrong."""
    payload = read_tensors(path)
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not an a3d-edge checkpoint; bring others in with 'a3d-edge import'")
    if payload.get("schema") != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path}: schema {payload.get('schema')} is not one this version reads ({SCHEMA_VERSION})"
        )
    try:
        check_contents(payload, tensors=True)
        return _from_payload(payload)
    except ValidationError as error:
        raise CheckpointError(f"{path}: description.{validation_message(error)}") from error
    except KeyError as error:
        raise CheckpointError(f"{path}: the key {error} is missing; the checkpoint is incomplete") from error
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, A3DEdgeError) as error:
        first_line = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path}: the checkpoint does not hold together: {first_line}") from error


def read_tensors(path: Path) -> Any:
    """Whatever a ``.pth`` holds, if it is only tensors and plain values. Raises `CheckpointError`."""
    if not path.is_file():
        there = what_is(path) if path.is_dir() else "is no regular file; name a .pth file"
        raise CheckpointError(f"{path}: {there if path.exists() else 'no such checkpoint; name a .pth file'}")
    try:
        with warnings.catch_warnings(), open_regular(path, MOST_BYTES) as file:
            warnings.simplefilter("ignore")  # what it suspects of a foreign file; the error below says enough
            check_archive(path)
            payload = torch.load(file, map_location="cpu", weights_only=True)
            check_contents(payload)
            return payload
    except Exception as error:  # a damaged file makes the unpickler raise nearly anything
        raise CheckpointError(f"{path}: {_why_unread(path, error)}") from error


def _why_unread(path: Path, error: Exception) -> str:
    said = what_is(path)
    if said is not None:
        return f"cannot be read as a checkpoint: it {said}"
    if isinstance(error, pickle.UnpicklingError):
        return UNSAFE
    if isinstance(error, OSError):
        return f"cannot be read as a checkpoint: it {why(error)}"
    if isinstance(error, ValueError) and error.__traceback__ is not None and _is_ours(error):
        return f"refused, it {error}"
    return "cannot be read as a checkpoint; is it complete?"


def _is_ours(error: Exception) -> bool:
    """Whether it was raised by what looks at an archive and its contents."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == check_archive.__module__


def _from_payload(payload: Mapping[str, Any]) -> Checkpoint:
    description, state = read_description(payload["description"]), payload["state"]
    require_small(description, sum(tensor.numel() for tensor in state.values()))
    model = description.build()
    if (levels := payload.get("levels")) is not None:  # older ones have none
        model.switch_norms(_levels_of(levels, model, state))
    model.eval().load_state_dict(state)
    if lost := [name for name, tensor in state.items() if not is_finite(tensor)]:
        raise ValueError(f"state.{lost[0]}: not finite, as of a training that diverged; take an earlier one")
    classes = labels_of(str(name) for name in payload["classes"])
    if hidden := [place for place, name in enumerate(classes) if acts(name)]:
        raise ValueError(f"classes[{hidden[0]}]: {classes[hidden[0]][:60]!a} is no name that can be shown")
    if len(classes) != description.classes:
        raise ValueError(f"classes: {len(classes)} names for {description.classes} outputs")
    fields = dict(payload["preprocessing"])
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    preprocessing = Preprocessing(**values)
    find_range(payload["range"])
    set_statistics(model, payload["statistics"])
    _set_tuned(model, payload.get("tuned", {}))  # older ones have none
    origin = {str(key): value for key, value in dict(payload["origin"]).items()}
    resume = _resume_state(payload["resume"])
    return Checkpoint(model, classes, preprocessing, payload["range"], origin, resume)


def _levels_of(found: Any, model: SlimNetwork, state: Mapping[str, Tensor]) -> Levels:
    """Raises ValueError for what is none, and, before any memory is taken, where the state has not all of
    their tensors."""
    try:
        levels = Levels.model_validate(found)
    except ValidationError as error:
        raise ValueError(f"levels.{validation_message(error)}") from error
    for layer, norm in norms(model).items():
        for level in levels.names:
            for part in ("stretch", "shift"):
                key = f"{layer}.switched.{level}.{part}"
                if key not in state or state[key].shape != norm.weight.shape:
                    raise ValueError(
                        f"levels: state.{key} is not there, or not of {len(norm.weight)} channels"
                    )
    return levels


def _resume_state(found: Any) -> dict[str, Any] | None:
    """What a run goes on from. Raises ValueError where it is none."""
    if found is None:
        return None
    kinds = {"step": int, "settings": dict, "optimizer": dict}
    for key, kind in kinds.items():
        if not isinstance(found, dict) or not isinstance(found.get(key), kind):
            raise ValueError(f"resume.{key}: is no {kind.__name__}")
    if not 0 <= found["step"] < 1 << 40:
        raise ValueError(f"resume.step: {found['step']} is no step")
    return dict(found)


def norms(model: SlimNetwork) -> dict[str, SlimBatchNorm]:
    """Every batch norm by its name, in forward order of definition."""
    return {name: module for name, module in model.named_modules() if isinstance(module, SlimBatchNorm)}


def statistics(model: SlimNetwork) -> dict[str, dict[str, list[Tensor]]]:
    """Calibrated statistics: configuration → batch norm → [mean, variance]."""
    found: dict[str, dict[str, list[Tensor]]] = {}
    for layer, norm in norms(model).items():
        for configuration, moments in norm.calibrated.items():
            found.setdefault(configuration, {})[layer] = list(moments)
    return found


def tuned(model: SlimNetwork) -> dict[str, dict[str, list[Tensor]]]:
    """What is tuned: configuration → batch norm → [stretch, shift], see `SlimBatchNorm`."""
    found: dict[str, dict[str, list[Tensor]]] = {}
    for layer, norm in norms(model).items():
        for configuration, pair in norm.tuned.items():
            found.setdefault(configuration, {})[layer] = [each.detach() for each in pair]
    return found


def untrained_note(checkpoint: Checkpoint) -> str | None:
    """What is to be known of a checkpoint whose narrow widths were never trained (an imported one)."""
    if checkpoint.origin.get("mutually_trained") is not False:
        return None
    source = checkpoint.origin.get("imported_from", "elsewhere")
    return (
        f"note: imported from {source} and never mutually trained: only width 1.00 is as trained, narrower "
        "ones are not; train it ('a3d-edge train --init'), or pin a w1.00 configuration"
    )


def forget_statistics(model: SlimNetwork) -> None:
    """Drop all calibrated statistics: every configuration then runs with slices of the full network's own."""
    for norm in norms(model).values():
        norm.calibrated.clear()


def set_statistics(model: SlimNetwork, wanted: Mapping[str, Mapping[str, list[Tensor]]]) -> None:
    """Put calibrated statistics into the network. Raises ValueError when they are not of its batch norms."""
    for name, configuration, norm, (mean, variance) in _of_norms(model, wanted, "statistics"):
        if not (is_finite(mean) and is_finite(variance) and bool((variance >= 0).all())):
            raise ValueError(f"{name}: not finite, or below 0")
        norm.calibrated[configuration] = (mean, variance)


def _set_tuned(model: SlimNetwork, wanted: Mapping[str, Mapping[str, list[Tensor]]]) -> None:
    for name, configuration, norm, (stretch, shift) in _of_norms(model, wanted, "tuned"):
        if not (is_finite(stretch) and is_finite(shift)):
            raise ValueError(f"{name}: not finite")
        norm.tuned[configuration] = (stretch, shift)


def _of_norms(
    model: SlimNetwork, wanted: Mapping[str, Mapping[str, list[Tensor]]], key: str
) -> Iterator[tuple[str, str, SlimBatchNorm, tuple[Tensor, Tensor]]]:
    """(its name in the file, configuration, batch norm, two tensors of as many channels as it has there)."""
    layers = norms(model)
    for configuration, by_layer in wanted.items():
        width = Configuration.parse(configuration).width
        if set(by_layer) != set(layers):
            raise ValueError(f"{key}.{configuration}: not the batch norms of this network")
        for layer, (one, other) in by_layer.items():
            name, channels = f"{key}.{configuration}.{layer}", layers[layer].channels_at(width)
            if one.shape != (channels,) or other.shape != (channels,):
                raise ValueError(f"{name}: not of {channels} channels")
            yield name, configuration, layers[layer], (one, other)
