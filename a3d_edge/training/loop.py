"""The training loop: typed settings, progress, checkpoints, and resuming bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from a3d_edge.errors import A3DEdgeError, ResourceError, UsageError
from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.checkpoint import Checkpoint, save
from a3d_edge.models.network import Clips, to_device
from a3d_edge.models.ranges import find_range
from a3d_edge.training.batches import Batches
from a3d_edge.training.distillation import StepLosses, backward, seed_step
from a3d_edge.training.mixup import mixed
from a3d_edge.training.reports import Note, StepReport, unheard
from a3d_edge.training.settings import Settings, drawn
from a3d_edge.training.together import agreed, averaged

if TYPE_CHECKING:
    from a3d_edge.training.watch import Watch

__all__ = ["Settings", "StepReport", "learning_rate", "make_optimizer", "train"]


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """Rate of a step: linear warm-up, then half a cosine to zero, or a tenth at some shares of the run."""
    warm = max(1, round(settings.warmup * steps))
    if step < warm:
        return settings.lr * (0.1 + 0.9 * step / warm)
    if settings.tenth_at:
        return settings.lr * 0.1 ** sum(step >= round(share * steps) for share in settings.tenth_at)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def train(
    checkpoint: Checkpoint,
    batches: Batches,
    settings: Settings,
    out: Path,
    *,
    device: str = "cpu",
    save_every_s: float = 120.0,
    report: Callable[[StepReport], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    watch: Watch | None = None,
    note: Note = unheard,
) -> Checkpoint:
    """Train in place and return the checkpoint, saved to ``out``; continues from ``checkpoint.resume``.

    ``watch`` looks at it now and then, and may end the run. Ctrl-C saves the last whole step and is raised
    again, and so does a `ResourceError` of whoever makes the batches; in the instant when the weights change
    there is none, and the last saved checkpoint is kept. Of processes that train together the first one saves
    and looks. Raises `A3DEdgeError` when the loss is not finite; the last saved checkpoint is kept then too.
    A save that fails for want of room is noted, and tried again; at the end it is a `ResourceError`.
    """
    model = checkpoint.model.to(device).train()
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, settings)
    first, steps = _resume(checkpoint, optimizer, settings), settings.epochs * batches.per_epoch
    saved_at, done, whole, stop = clock(), first, True, False
    place = next(model.parameters()).device
    since: list[StepReport] = []  # the watch's last look
    alone = batches.rank == 0  # or the first
    if watch is not None and alone:
        watch.begin(checkpoint, first)
    try:
        for waited, (step, clips, labels) in _waited_for(batches.stream(first, steps)):
            begun, lr = time.perf_counter(), learning_rate(settings, step, steps)
            losses = _gradients(checkpoint, optimizer, batches, settings, step, steps, clips, labels)
            losses = averaged(model, losses, batches.processes, place)
            if not math.isfinite(losses.cross_entropy + losses.distillation):
                raise A3DEdgeError(_not_finite(step, settings, checkpoint, out))
            _set_rate(optimizer, lr)
            whole = False  # from here the weights change one by one
            optimizer.step()
            done, whole = step + 1, True
            took = waited + time.perf_counter() - begun
            since.append(StepReport(done, steps, batches.per_epoch, losses, lr, took, waited))
            report(since[-1])
            looked = watch is not None and (done % watch.every == 0 or done == steps)
            if watch is not None and looked:
                stop = agreed(alone and watch.look(checkpoint, since), batches.processes, place)
                since = []
            if alone and (looked or clock() - saved_at >= save_every_s) and done < steps and not stop:
                _try_to_save(checkpoint, optimizer, settings, done, out, note)
                saved_at = clock()
            if stop:
                break
    except (KeyboardInterrupt, ResourceError):  # Ctrl-C, or a process that made batches has died
        if done > first and whole and alone:
            _save(checkpoint, optimizer, settings, done, out)
        raise
    model.eval()
    return _finished(checkpoint, settings, done, out if alone else None)


def _finished(checkpoint: Checkpoint, settings: Settings, steps: int, out: Path | None) -> Checkpoint:
    """Saved without what a run needs to go on; as it was before where that fails: as the file on disk is."""
    before = checkpoint.resume, checkpoint.origin
    checkpoint.resume = None
    checkpoint.origin = {**checkpoint.origin, "settings": settings.told(), "steps": steps}
    try:
        if out is not None:
            save(checkpoint, out)
    except ResourceError:
        checkpoint.resume, checkpoint.origin = before
        raise
    return checkpoint


def _gradients(
    checkpoint: Checkpoint,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    settings: Settings,
    step: int,
    steps: int,
    clips: Clips,
    labels: Tensor,
) -> StepLosses:
    """Those of one mutual step; only the weights are left to change."""
    model, device = checkpoint.model, next(checkpoint.model.parameters()).device
    frames, within = batches.sampling.frames, find_range(checkpoint.range_name)
    first, students = drawn(settings, within, batches.size, frames, step, steps)
    seed_step(settings.seed + OTHERS * batches.rank, step)
    optimizer.zero_grad(set_to_none=True)
    clips, labels = to_device(clips, device), labels.to(device)
    if settings.mixup:
        seed = f"{settings.seed}:{step}"
        clips, labels = mixed(clips, labels, len(checkpoint.classes), settings.mixup, seed)
    with _statistics_kept_on_error(model):
        return backward(
            model, clips, labels, students, settings.smoothing,
            settings.precision, first=first, label_share=settings.labels_of_students,
        )  # fmt: skip


def _set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


OTHERS = 104_729
"""Seeds of processes that train together lie so far apart: each drops out units of its own."""

Item = TypeVar("Item")


def _waited_for(stream: Iterator[Item]) -> Iterator[tuple[float, Item]]:
    """(seconds until it came, item)."""
    asked = time.perf_counter()
    for item in stream:
        yield time.perf_counter() - asked, item
        asked = time.perf_counter()


def _not_finite(step: int, settings: Settings, checkpoint: Checkpoint, out: Path) -> str:
    kept = f"; {out} keeps step {checkpoint.resume['step']}" if checkpoint.resume else ""
    instead = ", or train in `precision` fp32" if settings.precision != "fp32" else ""
    return f"the loss of step {step} is not finite; lower `lr` (now {settings.lr}){instead}{kept}"


@contextmanager
def _statistics_kept_on_error(model: nn.Module) -> Iterator[None]:
    """Batch norms move their running statistics in each forward; a step that is not finished must not."""
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    except BaseException:
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
        raise


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """No weight decay on batch norm and biases."""
    plain = {id(p) for m in model.modules() if isinstance(m, SlimBatchNorm) for p in m.parameters()}
    plain |= {id(p) for name, p in model.named_parameters() if name.endswith("bias")}
    groups = [
        {
            "params": [p for p in model.parameters() if id(p) not in plain],
            "weight_decay": settings.weight_decay,
        },
        {"params": [p for p in model.parameters() if id(p) in plain], "weight_decay": 0.0},
    ]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, foreach=True)  # to the bit, in a quarter of the time
    return torch.optim.SGD(groups, lr=settings.lr, momentum=0.9, nesterov=True, foreach=True)


def _save(
    checkpoint: Checkpoint, optimizer: torch.optim.Optimizer, settings: Settings, step: int, out: Path
) -> None:
    checkpoint.resume = {"step": step, "settings": settings.told(), "optimizer": optimizer.state_dict()}
    save(checkpoint, out)


def _try_to_save(
    checkpoint: Checkpoint,
    optimizer: torch.optim.Optimizer,
    settings: Settings,
    step: int,
    out: Path,
    note: Note,
) -> None:
    before = checkpoint.resume
    try:
        _save(checkpoint, optimizer, settings, step, out)
    except ResourceError as error:
        checkpoint.resume = before
        note(f"{error}; training goes on, and step {step} is not kept")


def _resume(checkpoint: Checkpoint, optimizer: torch.optim.Optimizer, settings: Settings) -> int:
    """Restore the optimizer; the first step to run. Raises `UsageError` for another run's checkpoint."""
    state: dict[str, Any] | None = checkpoint.resume
    if state is None:
        return 0
    there = asdict(Settings()) | state["settings"]  # an older checkpoint's run had what is the default now
    if there != asdict(settings):
        changed = [f"{k} {there[k]}, now {v}" for k, v in asdict(settings).items() if there[k] != v]
        raise UsageError(f"`resume`: the checkpoint was trained with other settings ({'; '.join(changed)})")
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
