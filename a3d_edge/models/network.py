"""What every slimmable network is, whatever its family: its description, and how it is called.

A family is one file with a description class (a `NetworkDescription`) and a network class (a `SlimNetwork`),
and a line in `a3d_edge.models.registry`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from torch import Tensor, nn

from a3d_edge.configuration import Configuration, pick_frames
from a3d_edge.errors import UsageError
from a3d_edge.models.batch_norm import SlimBatchNorm
from a3d_edge.models.boxed import BoxedClips, Boxes, unboxed
from a3d_edge.models.layers import SlimLinear
from a3d_edge.models.levels import Levels, is_switched
from a3d_edge.models.roi import region_features
from a3d_edge.models.symbolic import window_mean
from a3d_edge.models.widths import Run
from a3d_edge.task import BOXES, SINGLE, Task, is_multilabel, written
from a3d_edge.video.sampler import Sampling, pathways

__all__ = [
    "Clips",
    "Graph",
    "NetworkDescription",
    "SlimNetwork",
    "class_logits",
    "first_clips",
    "fit_pathway",
    "frame_and_clip",
    "pool",
    "to_device",
]

Clips = Tensor | Sequence[Tensor] | BoxedClips
"""``(N, 3, T, S, S)``, or one such tensor per pathway: ``[slow, fast]``; with boxes of people in them."""

HeadKind = Literal["global", "windows", "softmax_windows"]

HEAD_WINDOW = 7
"""Side of the pooling window of PySlowFast's and pytorchvideo's heads, in positions (224 / 32)."""


def to_device(clips: Clips, device: torch.device) -> Clips:
    """The same clips on a device."""
    if isinstance(clips, BoxedClips):
        plain = to_device(clips.clips, device)
        assert not isinstance(plain, BoxedClips)
        return BoxedClips(plain, clips.boxes.to(device))
    return clips.to(device) if isinstance(clips, Tensor) else [pathway.to(device) for pathway in clips]


def first_clips(clips: Clips, count: int) -> Clips:
    """The first so many clips, with the boxes in them."""
    if isinstance(clips, BoxedClips):
        return clips.first(count)
    return clips[:count] if isinstance(clips, Tensor) else [x[:count] for x in clips]


class NetworkDescription(BaseModel):
    """All that makes one network, and what it looks at.

    ``size`` and ``frames`` are those of γs=1 and γt=1 (a SlowFast's frames are the slow pathway's),
    ``stride`` is τ at ``rate`` frames per second. ``head``: how the last features become logits,
    see `class_logits`. ``task``: what the logits say (`a3d_edge.task`); of ``boxes`` the head is another one,
    and res5 keeps res4's positions (`a3d_edge.models.roi`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    name: str = Field(max_length=500)
    classes: int = Field(default=400, ge=1, le=20_000)
    size: int = Field(default=224, ge=32, le=4096)
    frames: int = Field(default=8, ge=1)
    stride: int = Field(default=8, ge=1)
    rate: float = Field(default=30.0, gt=0, le=1000)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    head: HeadKind = "global"
    task: Task = SINGLE

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return written(handler(self))

    @model_validator(mode="after")
    def _knows_its_head(self) -> NetworkDescription:
        if self.takes_boxes and not self.has_box_head:
            raise ValueError(f"task {self.task}: networks of family {self.family} have no head for it")
        return self

    @property
    def takes_boxes(self) -> bool:
        """Whether it takes the boxes of people beside its clips, and answers for each."""
        return self.task == BOXES

    @property
    def has_box_head(self) -> bool:
        """Whether there is a head for boxes in this family."""
        return False

    def steps(self, stage: int) -> tuple[int, int]:
        """Spatial stride and dilation of a stage, 0 (res2) to 3 (res5)."""
        if stage == 3 and self.takes_boxes:
            return 1, 2
        return (2 if stage else 1), 1

    @property
    def sampling(self) -> Sampling:
        """What one window looks at."""
        return Sampling(self.frames, self.stride, self.rate)

    @property
    def head_window(self) -> int:
        """Side of the windows that a head of other libraries pools, in positions."""
        return HEAD_WINDOW

    @abstractmethod
    def build(self) -> SlimNetwork:
        """The network, with fresh weights."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One part of a network that is exported as one ONNX graph, in rank 4 (docs/architecture.md).

    ``stage`` is ``frame`` (no frame looks at another) or ``clip``; ``compute`` takes the tensors named by
    ``inputs``: pictures ``(T, 3, S, S)``, or ``features``, which are channel-last, ``(T, H, W, C)``, because
    engines compute so and would else move every number twice between the stages; ``boxes`` ``(K, 4)``.
    ``volume`` is the same in rank 5, for engines whose three-dimensional convolutions are quicker than the
    rank-4 form.
    """

    stage: Literal["frame", "clip"]
    inputs: tuple[str, ...]
    compute: Callable[..., Tensor]
    volume: Callable[..., Tensor] | None = None


class SlimNetwork(nn.Module):
    """A network that runs at any (γw, S, T) in place with shared weights.

    ``model(x, configuration=None)`` takes ``(N, 3, T, S, S)``, or ``[slow, fast]`` for two pathways, RGB,
    normalised, and returns logits ``(N, classes)``. With a head for boxes it takes `BoxedClips`, and returns
    those of each box, ``(K, classes)``.
    """

    head: SlimLinear
    dropout: nn.Dropout

    def __init__(self, description: NetworkDescription) -> None:
        super().__init__()
        self.description = description
        self.levels: Levels | None = None

    def switch_norms(self, levels: Levels) -> None:
        """Give every batch norm affine parameters of its own at these levels, at first of no effect."""
        self.levels = levels
        for module in self.modules():
            if isinstance(module, SlimBatchNorm):
                module.switch_at(levels.names)

    def shared_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters by name without those of single levels: what a bundle holds."""
        return ((name, one) for name, one in self.named_parameters() if not is_switched(name))

    def run_at(
        self, configuration: Configuration, *, statistics: str | None = None, collect: bool = False
    ) -> Run:
        """How a forward pass runs at a configuration, in training or to calibrate."""
        levels = () if self.levels is None else self.levels.at(configuration)
        return Run(configuration.width, statistics, collect, levels)

    def forward(self, x: Clips, configuration: Configuration | None = None) -> Tensor:
        """Logits ``(N, classes)`` of clips.

        With a configuration: its width, its calibrated batch-norm statistics, and the clip brought to its
        size and frames. Without: full width at whatever size and frames come in, with the checkpoint's own
        statistics. Raises `UsageError` on other ranks or pathways, or too few frames.
        """
        self._require_clips(x)
        if configuration is None:
            return self.run(x, Run())
        return self.run(self.fit(x, configuration), Run(configuration.width, str(configuration)))

    def fit(self, x: Clips, configuration: Configuration) -> Clips:
        """Clips brought to a configuration, pathway by pathway, and their boxes with them; what fits already
        is returned as it is."""
        if isinstance(x, BoxedClips):
            return x.fitted(self.fit(x.clips, configuration))
        if isinstance(x, Tensor):
            return fit_pathway(x, configuration.frames, configuration.size)
        wanted = pathways(self.description.sampling, configuration)
        return [fit_pathway(t, len(p.instants), p.size) for t, p in zip(x, wanted, strict=True)]

    @abstractmethod
    def run(self, x: Clips, run: Run) -> Tensor:
        """Logits of clips that already have the size and frames they are to run at."""

    @abstractmethod
    def features(self, x: Clips, run: Run) -> tuple[Tensor, ...]:
        """The last features before pooling, one ``(N, C, T, h, w)`` a pathway."""

    def classify(self, features: Sequence[Tensor], run: Run, boxes: Boxes | None = None) -> Tensor:
        """Logits ``(N, classes)`` of the last features, in either layout; of boxes ``(K, classes)``."""
        if self.description.takes_boxes:
            regions = self.dropout(region_features(features, boxes or Boxes.none(features)))
            found: Tensor = self.head(regions, run)
            return found
        description = self.description
        pooled = self.dropout(pool(features, description.head, description.head_window))
        return class_logits(pooled, self.head, run, description.head, description.task)

    @abstractmethod
    def graphs(self, run: Run) -> tuple[Graph, ...]:
        """The parts to export, in the order in which they run; the last gives logits ``(1, classes)``."""

    def _require_clips(self, x: Clips) -> None:
        boxed = isinstance(x, BoxedClips)
        if boxed != (self.description.takes_boxes):
            wants = "clips without boxes" if boxed else "boxes beside its clips (`BoxedClips`)"
            raise UsageError(f"{self.description.name} takes {wants}")
        clips, boxes = unboxed(x)
        if boxes is not None:
            boxes.check()
        count = 1 if self.description.sampling.alpha == 1 else 2
        given = [clips] if isinstance(clips, Tensor) else list(clips)
        if len(given) == count and all(t.dim() == 5 and t.shape[1] == 3 for t in given):
            return
        wanted = "(N, 3, T, S, S)" if count == 1 else "[slow, fast], each (N, 3, T, S, S)"
        shapes = ", ".join(str(tuple(t.shape)) for t in given)
        raise UsageError(f"{self.description.name} takes clips {wanted}; got {shapes}")


def frame_and_clip(
    frame: Callable[[Tensor], Tensor],
    clip: Callable[..., Tensor],
    *,
    takes_boxes: bool = False,
) -> tuple[Graph, Graph]:
    """The graphs of a network whose first part, ``frame``, looks at each frame by itself.

    ``frame``: ``(T, 3, S, S) -> (T, C, H, W)``; ``clip``: of those, or of ``(1, C, T, H, W)``, logits; if it
    ``takes_boxes``, those of the `Boxes` that it is given too.
    """

    def given(boxes: tuple[Tensor, ...]) -> tuple[Boxes, ...]:
        return (Boxes(boxes),) if boxes else ()

    return (
        Graph("frame", ("pictures",), lambda x: frame(x).permute(0, 2, 3, 1)),
        Graph(
            "clip",
            ("features", "boxes") if takes_boxes else ("features",),
            lambda x, *boxes: clip(x.permute(0, 3, 1, 2), *given(boxes)),
            lambda x, *boxes: clip(x.unsqueeze(0).permute(0, 4, 1, 2, 3), *given(boxes)),
        ),
    )


def fit_pathway(x: Tensor, frames: int, size: int) -> Tensor:
    """Bring clips ``(N, 3, T, S, S)`` to a number of frames (paper Fig. 1) and a size.

    Bilinear, anti-aliased. A clip that fits already is returned as it is. Raises `UsageError` when there are
    too few frames.
    """
    if x.shape[2] != frames:
        x = x[:, :, pick_frames(x.shape[2], frames)]
    if x.shape[3:] == (size, size):
        return x
    n, c, t = x.shape[:3]
    flat = x.transpose(1, 2).reshape(n * t, c, *x.shape[3:])
    resized = F.interpolate(flat, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    fitted: Tensor = resized.reshape(n, t, c, size, size).transpose(1, 2)
    return fitted.contiguous(memory_format=torch.channels_last_3d)


def pool(features: Sequence[Tensor], head: HeadKind, window: int = HEAD_WINDOW) -> Tensor:
    """The last features of one or two pathways, averaged over time and positions and joined: ``(N, C, P)``.

    Each is ``(N, C, T, h, w)``, or ``(T, C, h, w)`` of one clip. ``global`` averages everything (P = 1). The
    others average every ``window × window`` of positions, as PySlowFast and pytorchvideo do: of 7×7 there is
    one at 224² and there are four at 256².
    """
    frames = [x.mean(dim=2) if x.dim() == 5 else x.mean(dim=0, keepdim=True) for x in features]
    if head == "global":
        return torch.cat([x.mean(dim=(2, 3)) for x in frames], dim=1).unsqueeze(2)
    windows = torch.cat([window_mean(x, window) for x in frames], dim=1)
    n, channels = windows.shape[:2]
    return windows.view(n, channels, -1)


def class_logits(pooled: Tensor, linear: SlimLinear, run: Run, head: HeadKind, task: Task = SINGLE) -> Tensor:
    """Logits ``(N, classes)`` of pooled features ``(N, C, P)``.

    ``windows`` (pytorchvideo) averages the logits of the P windows. ``softmax_windows`` (PySlowFast) averages
    their softmax scores, and the logits returned are those whose softmax is that average: log of the mean
    score, plus the mean of the windows' log-sum-exp, so that one window, or windows that agree, give just
    their own logits. Of many labels it is the windows' sigmoid scores that are averaged, class by class, as
    PySlowFast's head does for Charades.
    """
    if head == "global":
        return linear(pooled[:, :, 0], run)  # type: ignore[no-any-return]
    n, channels = pooled.shape[:2]
    flat = pooled.permute(0, 2, 1).contiguous().view(-1, channels)
    logits: Tensor = linear(flat, run).view(n, -1, linear.bias.shape[0])
    if head == "windows":
        return logits.mean(dim=1)
    if is_multilabel(task):
        both = torch.cat([logits.unsqueeze(3), torch.zeros_like(logits).unsqueeze(3)], dim=3)
        sums = both.log_softmax(dim=3).logsumexp(dim=1)  # of σ and 1 − σ over the windows, (N, classes, 2)
        return sums[:, :, 0] - sums[:, :, 1]
    count = torch.zeros_like(logits[:, :, :1]).logsumexp(dim=1)  # log P, of the P that runs
    log_mean = logits.log_softmax(dim=2).logsumexp(dim=1) - count
    return log_mean + logits.logsumexp(dim=2).mean(dim=1, keepdim=True)
