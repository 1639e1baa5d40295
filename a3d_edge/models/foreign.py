"""Checkpoints of PySlowFast, pytorchvideo and mmaction2, and networks of pictures, read into our networks.

    file ─ read_tensors ─ ForeignFile (names, tensors, what it says of itself) ─ choose ─ fill ─ Checkpoint

Every tensor is accounted for, by name and by shape; what the head does with several positions is kept as
theirs. What no tensor tells is how many Fast frames there are to a slow one, and which of X3D-XS, S and M a
network is: see `choose`. A ResNet for pictures, as torchvision and timm name it, is inflated into a Slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from a3d_edge.errors import CheckpointError, UsageError
from a3d_edge.models.checkpoint import FORMAT, Checkpoint, read_tensors
from a3d_edge.models.foreign_names import FAMILIES_OF, Library, as_ours, their_names, their_shape
from a3d_edge.models.foreign_settings import Settings
from a3d_edge.models.foreign_state import find_state
from a3d_edge.models.network import HeadKind, NetworkDescription, SlimNetwork
from a3d_edge.models.registry import ARCHITECTURES
from a3d_edge.task import BOXES, SINGLE, Task
from a3d_edge.video.preprocess import Preprocessing

__all__ = ["ImportReport", "importable", "read"]

RANGE_OF = {"slow": "0.016", "slowfast": "0.06", "x3d": "0.06"}
"""The families that others have, and the range of configurations the paper gives each (X3D: ours)."""

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What networks of pictures, and mmaction2's SlowOnly and SlowFast, are trained with."""

HEAD = ("head.weight", "head.bias")

ALIASES = {"slowfast_r50": ("slowfast_r50_4x16", "slowfast_r50_8x8")}

ALPHA_OF_KERNEL = {5: 8, 7: 4}
"""Published SlowFast R-50s: 4×16 (α = 8) has 5×1×1 lateral convolutions, 8×8 (α = 4) has 7×1×1."""

SHOWN = 3  # names of each kind in a message


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Whose file it was, what it was read as, and what a person should know about it."""

    library: Library
    architecture: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file of another library: its tensors by their names, and the head it was written for."""

    path: Path
    library: Library
    head: HeadKind
    tensors: Mapping[str, Tensor]
    settings: Settings
    task: Task
    beside: tuple[str, ...] = ()
    """Tensors that are no part of the network, such as a loss's weights."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A file's tensors against those of one network, in the file's names."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many tensors are wrong; 0 when the file fits."""
        return len(self.missing) + len(self.unexpected) + len(self.misshaped)

    def __str__(self) -> str:
        kinds = {"missing": self.missing, "unexpected": self.unexpected, "mis-shaped": self.misshaped}
        return ", ".join(f"{len(names)} {kind}{_few(names)}" for kind, names in kinds.items())


def importable() -> list[str]:
    """The architectures that a file can be read as; `slowfast_r50` stands for either window."""
    return [name for name, d in ARCHITECTURES.items() if d.family in RANGE_OF] + list(ALIASES)


def read(
    path: Path,
    arch: str | None = None,
    classes: Sequence[str] | None = None,
    key: str | None = None,
    task: Task | None = None,
) -> tuple[Checkpoint, ImportReport]:
    """A checkpoint of another library as one of ours; nothing in the file is executed.

    ``arch`` is one of `importable`, or None for the one that fits. ``key`` leads to one network where
    the file holds several. ``task``: what is asked of the network, which no tensor tells (default: what the
    file says, else one class). A network of pictures may have other ``classes``: its classifier then starts
    fresh. Raises `UsageError` for an ``arch`` that is unknown or must be named, or another
    number of ``classes`` than the network has, `CheckpointError` for all that is wrong with the file.
    """
    candidates = _candidates(arch)
    file = _file(path, read_tensors(path), key, task)
    description, notes = choose(file, candidates)
    description, fresh, more = _inflated(file, description, classes)
    model = fill(description, file, fresh)
    checkpoint = Checkpoint(
        model,
        _class_names(path, description.classes, classes),
        _preprocessing(file, description),
        RANGE_OF[description.family],
        {"imported_from": file.library, "file": path.name, "mutually_trained": False},
    )
    usual = ARCHITECTURES[description.name].sampling
    notes = (*notes, *more, *file.settings.notes(description, usual), *_note_of(file.beside))
    return checkpoint, ImportReport(file.library, description.name, notes)


def _inflated(
    file: ForeignFile, description: NetworkDescription, classes: Sequence[str] | None
) -> tuple[NetworkDescription, tuple[str, ...], tuple[str, ...]]:
    """Of a network of pictures: its description with the wanted classes, tensors that start fresh, notes."""
    if file.library == "mmaction2":
        return (
            description,
            (),
            ("the file does not say how its input was scaled: as mmaction2's configurations",),
        )
    if file.library != "torchvision":
        return description, (), ()
    note = "a network of pictures: its kernels are repeated over time; it never saw movement, so train it"
    if classes is None or len(classes) == description.classes:
        return description, (), (note,)
    counts = f"its classifier is of {description.classes} classes, not {len(classes)}: left out"
    return description.model_copy(update={"classes": len(classes)}), HEAD, (note, counts)


def _class_names(path: Path, count: int, names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return tuple(f"class {k}" for k in range(count))
    if len(names) != count:
        raise UsageError(f"`classes`: {len(names)} names; {path} has {count} classes")
    return tuple(names)


def _note_of(beside: Sequence[str]) -> tuple[str, ...]:
    tensors = "1 tensor" if len(beside) == 1 else f"{len(beside)} tensors"
    return (f"left out, as no part of the network: {tensors}{_few(beside)}",) if beside else ()


def _candidates(arch: str | None) -> list[NetworkDescription]:
    known = importable()
    if arch is not None and arch not in known:
        raise UsageError(f"`arch` '{arch}' cannot be imported; there are {', '.join(known)}")
    names = known if arch is None else ALIASES.get(arch, (arch,))
    return [ARCHITECTURES[name] for name in names if name in ARCHITECTURES]


def _file(path: Path, payload: Any, key: str | None = None, task: Task | None = None) -> ForeignFile:
    """What a file holds, taken apart."""
    if not isinstance(payload, Mapping):
        raise CheckpointError(f"{path}: holds a {type(payload).__name__}, not a state dict by name")
    if payload.get("format") == FORMAT:
        raise CheckpointError(f"{path}: is an a3d-edge checkpoint already; use it as it is")
    state = find_state(path, payload, key)
    settings = Settings(state.settings)
    # PySlowFast can wrap pytorchvideo's networks: their tensors below `model.`, its own head
    wrapped = state.prefix == "model." and state.keys[-1:] == ("model_state",)
    head: HeadKind = "softmax_windows" if state.library == "PySlowFast" or wrapped else "windows"
    if settings.pools_globally or state.library in ("mmaction2", "torchvision"):
        head = "global"
    wanted = settings.agreed_task(path, task)
    if wanted == BOXES:  # which has no windows
        head = "global"
    return ForeignFile(path, state.library, head, state.tensors, settings, wanted, state.beside)


def choose(
    file: ForeignFile, candidates: Sequence[NetworkDescription]
) -> tuple[NetworkDescription, tuple[str, ...]]:
    """The candidate that a file fits, as the file has it, and notes for people.

    Several may fit by their tensors, for neither α nor X3D's input has any. Then the file's own settings
    tell; failing those the kernel of the lateral convolutions, by which published SlowFasts differ, and a
    note says so. Raises `CheckpointError` when none fits or the file's settings say otherwise, `UsageError`
    when nothing tells.
    """
    if problems := file.settings.impossible():
        raise CheckpointError(f"{file.path}: {'; '.join(problems)}; no network here computes that")
    if file.task == BOXES and not (candidates := [d for d in candidates if d.has_box_head]):
        raise UsageError("`task` boxes: Slow and SlowFast have a head for it; name one with `arch`")
    fitted = [_as_in(file, d) for d in candidates if d.family in FAMILIES_OF[file.library]]
    if not fitted:
        names = ", ".join(d.name for d in candidates)
        raise CheckpointError(f"{file.path}: is a network of pictures; it becomes a Slow one, not {names}")
    fitting = [d for d in fitted if compare(file, d).count == 0]
    if not fitting:
        raise _misfit(file, min(fitted, key=lambda d: compare(file, d).count))
    agreeing = [d for d in fitting if not file.settings.contradictions(d)]
    if not agreeing:
        raise _contradiction(file, fitting[0])
    if len(agreeing) == 1:
        return agreeing[0], ()
    return _by_kernel(file, agreeing)


def _by_kernel(
    file: ForeignFile, fitting: Sequence[NetworkDescription]
) -> tuple[NetworkDescription, tuple[str, ...]]:
    kernel = _lateral_kernel(file)
    chosen = [d for d in fitting if d.sampling.alpha == ALPHA_OF_KERNEL.get(kernel)]
    names = ", ".join(d.name for d in fitting)
    if len(chosen) != 1:
        raise UsageError(f"{file.path} fits {names} alike; name one with `arch`")
    note = (
        f"the file does not say how many Fast frames there are to a slow one; its {kernel}×1×1 lateral "
        f"convolutions are those of {chosen[0].name}; if that is wrong, name another with `arch` ({names})"
    )
    return chosen[0], (note,)


def _as_in(file: ForeignFile, description: NetworkDescription) -> NetworkDescription:
    """A description with what a file may have otherwise: head, classes, lateral kernel, some batch norms."""
    changes: dict[str, Any] = {"head": file.head, "task": file.task}
    if file.task != SINGLE:  # fine-tuned with windows of another length than what they are called by
        changes |= file.settings.window(description.sampling.alpha)
    names = their_names(_shapes(description), file.library)
    head = file.tensors.get(names["head.weight"])
    if head is not None and head.dim() == 2:
        changes["classes"] = head.shape[0]
    if description.family == "slowfast":
        changes["fusion_kernel"] = _lateral_kernel(file)
        changes["fusion_norm"] = names["fuse_stem.norm.weight"] in file.tensors
    if description.family == "x3d":
        changes["first_shortcut_norm"] = names["res2.blocks.0.shortcut.norm.weight"] in file.tensors
        if file.head == "windows":  # pytorchvideo's X3D, unlike its others, takes each position's softmax
            changes["head"] = "softmax_windows"
    try:
        return type(description).model_validate({**description.model_dump(), **changes})
    except ValidationError:  # a kernel or a class count that no network has: the comparison shows it
        return description.model_copy(update={"head": file.head})


def _lateral_kernel(file: ForeignFile) -> int:
    """Temporal size of the first lateral convolution; 0 when there is none."""
    name = their_names(["fuse_stem.conv.weight"], file.library)["fuse_stem.conv.weight"]
    weight = file.tensors.get(name)
    return weight.shape[2] if weight is not None and weight.dim() == 5 else 0


def compare(file: ForeignFile, description: NetworkDescription) -> Comparison:
    """A file's tensors against those of a network."""
    shapes = _shapes(description)
    theirs = their_names(shapes, file.library)
    wanted = {theirs[ours]: their_shape(ours, shape, file.library) for ours, shape in shapes.items()}
    misshaped = (
        f"{name} is {tuple(file.tensors[name].shape)}, not {shape}"
        for name, shape in wanted.items()
        if name in file.tensors and tuple(file.tensors[name].shape) != shape
    )
    missing = (name for name in wanted if name not in file.tensors)
    unexpected = (name for name in file.tensors if name not in wanted)
    return Comparison(tuple(missing), tuple(unexpected), tuple(misshaped))


@lru_cache(maxsize=16)
def _shapes(description: NetworkDescription) -> Mapping[str, tuple[int, ...]]:
    """Our tensors' shapes by name; on the meta device nothing is allocated, whatever a file claims."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in description.build().state_dict().items()}


def fill(description: NetworkDescription, file: ForeignFile, fresh: Sequence[str] = ()) -> SlimNetwork:
    """The network of a description, in eval mode, with a file's tensors, which fit it by name and shape.

    Those of ``fresh`` keep what a network begins with, the same at every import. Raises `CheckpointError`
    for a tensor whose values cannot be weights.
    """
    shapes, library = _shapes(description), file.library
    names = their_names(shapes, library)
    state = {ours: _weights(file, theirs) for ours, theirs in names.items() if ours not in fresh}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = description.build().eval()
    fast = model.head.tail
    ours = {name: as_ours(name, tensor, shapes[name], library, fast) for name, tensor in state.items()}
    model.load_state_dict({**model.state_dict(), **ours})
    return model


def _weights(file: ForeignFile, name: str) -> Tensor:
    """One tensor in float32: half and double precision are converted, other kinds refused."""
    tensor = file.tensors[name].detach()
    if tensor.layout != torch.strided or not tensor.dtype.is_floating_point:
        raise CheckpointError(f"{file.path}: {name} is {tensor.layout} {tensor.dtype}, not plain numbers")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{file.path}: {name} claims more values than the file holds")
    values = tensor.float()
    if not bool(torch.isfinite(values).all()):
        raise CheckpointError(f"{file.path}: {name} has values that are not finite numbers")
    if name.endswith("running_var") and bool((values < 0).any()):
        raise CheckpointError(f"{file.path}: {name} has a negative variance")
    return values


def _preprocessing(file: ForeignFile, description: NetworkDescription) -> Preprocessing:
    imagenet = file.library in ("mmaction2", "torchvision") and description.family != "x3d"
    usual = IMAGENET if imagenet else Preprocessing()
    mean, std = file.settings.triple("MEAN", usual.mean), file.settings.triple("STD", usual.std)
    if file.settings.normalised_as_bgr:
        mean, std = (mean[2], mean[1], mean[0]), (std[2], std[1], std[0])
    if not min(std) > 0:
        raise CheckpointError(f"{file.path}: its DATA.STD {std} is not above 0")
    return Preprocessing(mean=mean, std=std)


def _misfit(file: ForeignFile, assumed: NetworkDescription) -> CheckpointError:
    others = [d.name for d in _every(file) if compare(file, d).count == 0]
    advice = f"it fits {', '.join(others)}: try that with `arch`" if others else "no architecture here fits"
    found = compare(file, assumed)
    return CheckpointError(f"{file.path}: not {assumed.name} as {file.library} names it: {found}; {advice}")


def _contradiction(file: ForeignFile, assumed: NetworkDescription) -> CheckpointError:
    fit = [d for d in _every(file) if not compare(file, d).count]
    others = [d.name for d in fit if not file.settings.contradictions(d)]
    advice = f"try `arch` {others[0]}" if others else "no architecture here agrees"
    said = "; ".join(file.settings.contradictions(assumed))
    return CheckpointError(f"{file.path}: not {assumed.name}: its own settings say {said}; {advice}")


def _every(file: ForeignFile) -> list[NetworkDescription]:
    """Each architecture that a file's library has, as the file has it."""
    families = FAMILIES_OF[file.library]
    there = [d for d in ARCHITECTURES.values() if file.task != BOXES or d.has_box_head]
    return [_as_in(file, d) for d in there if d.family in families]


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return f" ({shown}{', …' if len(names) > SHOWN else ''})" if names else ""
