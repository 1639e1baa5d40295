"""Batch norms of slimmable networks: shared affine parameters, statistics and more by configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from a3d_edge.models.widths import Run, channels_at, first

__all__ = ["Affine", "Moments", "SlimBatchNorm"]


class Affine(nn.Module):
    """A stretch (a logarithm) and a shift of what a batch norm normalises, each (channels,)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stretch = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def first(self, channels: int) -> tuple[Tensor, Tensor]:
        """Those of the first so many channels."""
        return first(self.stretch, channels), first(self.shift, channels)


class SlimBatchNorm(nn.Module):
    """Batch norm with one set of affine parameters, sliced, and statistics per configuration.

    In training mode it normalises by its own batch, whatever the width. In eval mode it uses the statistics
    named by the run, or ``running_mean``/``running_var`` (full width, kept while training at full width).
    ``whole``: it follows a convolution that runs whole at any width.

    ``switched``: by level (`a3d_edge.models.levels`), by how much its affine parameters differ from the
    shared ones, as a logarithm that stretches what is normalised and a shift of it, each (channels,); those
    of a run's levels add up. ``tuned``: the same of single configurations (`a3d_edge.training.tuning`). They
    apply where a batch's own statistics do; those that are kept have them folded in, so that whatever runs
    the network needs to know of nothing but statistics.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, *, whole: bool = False, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        self.whole, self.eps, self.momentum = whole, eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.switched: nn.ModuleDict | None = None
        self.calibrated: dict[str, tuple[Tensor, Tensor]] = {}
        self.tuned: dict[str, tuple[Tensor, Tensor]] = {}
        self.collected: dict[Run, Moments] = {}

    def switch_at(self, levels: Iterable[str]) -> None:
        """Have affine parameters of its own at each of these levels, at first of no effect."""
        self.switched = nn.ModuleDict({name: Affine(len(self.weight)) for name in levels})

    def forward(self, x: Tensor, run: Run) -> Tensor:
        channels = x.shape[1]
        weight, bias = first(self.weight, channels), first(self.bias, channels)
        if run.collect:
            before = self.collected.get(run) or Moments.none(channels)
            self.collected[run] = before.add(x)
            weight, bias = self._affine(run, weight, bias)
            return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)
        if self.training:
            # a random width may round to as many channels, and a named configuration is no full network
            own = run.width == 1.0 and run.statistics is None
            weight, bias = self._affine(run, weight, bias)
            if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
                return self._normalised_together(x, weight, bias, own=own)
            mean, var = (self.running_mean, self.running_var) if own else (None, None)
            return F.batch_norm(
                x, mean, var, weight, bias, training=True, momentum=self.momentum, eps=self.eps
            )
        mean, var = self.statistics(run.statistics, channels)
        return F.batch_norm(x, mean.to(x), var.to(x), weight, bias, training=False, eps=self.eps)

    def _normalised_together(self, x: Tensor, weight: Tensor, bias: Tensor, *, own: bool) -> Tensor:
        """By the batch of all processes that train together, so that they are as one; the gradient too."""
        from torch.distributed.nn.functional import all_reduce  # not there where `dist` is not

        dims = [d for d in range(x.dim()) if d != 1]
        shape = [1, -1, *[1] * (x.dim() - 2)]
        values = x.float()
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean: Tensor = all_reduce(values.sum(dims)) / count  # type: ignore[no-untyped-call]
        centred = values - mean.view(shape)
        var: Tensor = all_reduce((centred * centred).sum(dims)) / count  # type: ignore[no-untyped-call]
        if own:
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var * (count / max(1, count - 1)), self.momentum)
        scale = (weight * torch.rsqrt(var + self.eps)).view(shape)
        return (centred * scale + bias.view(shape)).to(x.dtype)

    def _affine(self, run: Run, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The shared weight and bias as they are at a run's configuration."""
        differs = self._differs(run, len(weight))
        if differs is None:
            return weight, bias
        stretch, shift = differs
        return weight * stretch.exp(), bias + weight * shift

    def _differs(self, run: Run, channels: int) -> tuple[Tensor, Tensor] | None:
        """Stretch and shift of a run, what its levels have and what was tuned together; None: neither."""
        found = [] if run.statistics not in self.tuned else [self.tuned[run.statistics]]
        if self.switched is not None:
            for name in run.levels:
                affine = self.switched[name]
                assert isinstance(affine, Affine)
                found.append(affine.first(channels))
        if not found:
            return None
        place = self.weight.device
        stretches, shifts = zip(*found, strict=True)
        stretch, shift = (torch.stack([a.to(place) for a in each]).sum(0) for each in (stretches, shifts))
        return stretch, shift

    def calibrate(self, run: Run, moments: Moments) -> None:
        """Keep the statistics of a run's configuration, and in them what its affine parameters differ by.

        With weight γ and bias β, γ·eᵃ·(x − μ)/σ + β + γ·b is γ·(x − μ′)/σ′ + β where σ′ = σ·e⁻ᵃ and
        μ′ = μ − b·σ′.
        """
        mean, variance = moments.mean_and_variance()
        differs = self._differs(run, len(mean))
        if differs is not None:
            stretch, shift = (each.detach().cpu() for each in differs)
            scale = torch.sqrt(variance + self.eps) * torch.exp(-stretch)
            variance = (scale**2 - self.eps).clamp_min(0.0)
            mean = mean - shift * torch.sqrt(variance + self.eps)
        self.calibrated[str(run.statistics)] = (mean, variance)

    def channels_at(self, width: float) -> int:
        """Channels at a width factor."""
        return len(self.weight) if self.whole else channels_at(len(self.weight), width)

    def statistics(self, name: str | None, channels: int) -> tuple[Tensor, Tensor]:
        """Mean and variance, each (channels,), of a calibrated configuration, else the checkpoint's own."""
        if name is not None and name in self.calibrated:
            return self.calibrated[name]
        return first(self.running_mean, channels), first(self.running_var, channels)


@dataclass(frozen=True, slots=True)
class Moments:
    """Exact running sums of a batch norm's input, per channel, in double precision."""

    count: int
    total: Tensor
    squares: Tensor

    @classmethod
    def none(cls, channels: int) -> Moments:
        """Nothing seen yet."""
        zero = torch.zeros(channels, dtype=torch.float64)
        return cls(0, zero, zero)

    def add(self, x: Tensor) -> Moments:
        """With one more batch ``(N, C, …)``. The batch's mean is split off first: no cancellation."""
        dims = [d for d in range(x.dim()) if d != 1]
        count = x.numel() // x.shape[1]
        variance, mean = torch.var_mean(x.detach(), dim=dims, correction=0)
        mean64, variance64 = mean.double().cpu(), variance.double().cpu()
        return Moments(
            self.count + count,
            self.total + count * mean64,
            self.squares + count * (variance64 + mean64**2),
        )

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """Mean and population variance over everything seen, float32."""
        mean = self.total / self.count
        return mean.float(), (self.squares / self.count - mean**2).clamp_min(0.0).float()
