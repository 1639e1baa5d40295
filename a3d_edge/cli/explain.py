"""``a3d-edge explain``: where and when two configurations find their reasons in a clip (paper Fig. 1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from a3d_edge.cli.common import BUNDLE_HELP, OverwriteOption, emit, load_bundle, require
from a3d_edge.cli.notices import tell
from a3d_edge.configuration import Configuration, pick_frames
from a3d_edge.errors import UsageError
from a3d_edge.labels import label_of
from a3d_edge.outputs import claim

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.network import Clips
    from a3d_edge.plots.activation import Explained
    from a3d_edge.training.decode import DecodedClip, Stretch

KINDS = (".png", ".svg")
PICTURE_SIDE = 256  # pixels of the short side: what the figure can show


def explain(
    clip: Path = typer.Argument(..., help="Video file."),
    out: Path = typer.Option(..., "--out", help="Figure to write (.png or .svg)."),
    bundle: str = typer.Option(None, "--bundle", help=BUNDLE_HELP),
    checkpoint: Path = typer.Option(None, "--checkpoint", help="Checkpoint (.pth) instead of a bundle."),
    configuration: list[str] = typer.Option(
        None, "--configuration", help="Give it twice; default the largest and the smallest of fp32."
    ),
    label: str = typer.Option(
        None, "--label", help="Class to explain; default the larger configuration's prediction."
    ),
    start: float = typer.Option(
        None, "--start", help="Second of the clip where the window begins; default central."
    ),
    overwrite: OverwriteOption = False,
    json_lines: bool = typer.Option(False, "--json", help="JSON on stdout."),
) -> None:
    """Draw what each position of each frame adds to a class's logit, for two configurations side by side."""
    claim(out, inputs=[clip, checkpoint], overwrite=overwrite, suffixes=KINDS)
    require("train,plot", "torch", "av", "matplotlib")
    from a3d_edge.files import write_atomically
    from a3d_edge.plots.activation import draw, save
    from a3d_edge.training.decode import times_of

    loaded, pair, temperatures = _load(bundle, checkpoint, configuration or [])
    label = None if label is None else label_of(label)
    if label is not None and label not in loaded.classes:
        raise UsageError(f"unknown --label '{label}'; the network knows {', '.join(loaded.classes)}")
    times = times_of(clip)
    stretch, first = _beginning(loaded, times, start, clip)
    decoded = _decoded(loaded, clip, stretch, first, max(PICTURE_SIDE, *(c.size for c in pair)))
    windows = [_window(loaded, decoded, first, c) for c in pair]
    explained = label if label is not None else _prediction(loaded, windows[0], pair[0])
    seen = zip(windows, pair, temperatures, strict=True)
    rows = [_row(loaded, window, one, explained, temperature) for window, one, temperature in seen]
    begins_s = float(times.times[stretch.first])
    seconds = [begins_s + instant / loaded.description.rate for instant in _instants(loaded, first)]
    heading = f"What speaks for {explained} in {clip.name}"
    figure = draw(rows, _pictures(loaded, decoded, first), seconds, explained, heading)
    write_atomically(out, lambda temporary: save(figure, temporary, out.suffix.lower()[1:]))
    _say(rows, seconds, explained, clip, out, json_lines=json_lines)


def _load(
    bundle: str | None, checkpoint: Path | None, names: Sequence[str]
) -> tuple[Checkpoint, list[Configuration], list[float]]:
    """The network, the two configurations, the larger first, and their temperatures."""
    from a3d_edge.models.checkpoint import load, statistics
    from a3d_edge.models.from_bundle import checkpoint_of

    if checkpoint is None:
        source = load_bundle(bundle)
        # PyTorch computes fp32; where there is none, the network cannot be rebuilt, as will be said.
        fp32 = [c for c in source.configurations if c.precision == "fp32"]
        pair = _pair(fp32 or source.configurations, names, str(source.path))
        return checkpoint_of(source, pair), pair, [source.files_of(one).temperature for one in pair]
    if bundle is not None:
        raise UsageError("--bundle and --checkpoint exclude each other; name one of them")
    loaded = load(checkpoint)
    calibrated = [Configuration.parse(name) for name in statistics(loaded.model)]
    # Without calibration only the full width has statistics of its own.
    there = calibrated or [c for c in loaded.grid() if c.width == 1.0]
    return loaded, _pair(there, names, str(checkpoint)), [1.0, 1.0]


def _pair(there: Iterable[Configuration], names: Sequence[str], where: str) -> list[Configuration]:
    """The two that are named, else the largest and the smallest by the paper's Eq. 1, the larger first."""
    ordered = sorted(there, key=_cost)
    wanted = {Configuration.parse(name) for name in names} or {ordered[0], ordered[-1]}
    if missing := [c for c in wanted if c not in ordered]:
        raise UsageError(
            f"--configuration {missing[0]} is not in {where} with statistics of its own; "
            f"it has {', '.join(map(str, ordered))}"
        )
    if len(wanted) != 2:
        raise UsageError(
            f"--configuration: two are compared, there is {len(wanted)}; name two different ones"
        )
    return sorted(wanted, key=_cost, reverse=True)


def _cost(configuration: Configuration) -> float:
    return configuration.width**2 * configuration.size**2 * configuration.frames


def _beginning(
    loaded: Checkpoint, times: DecodedClip, start: float | None, clip: Path
) -> tuple[Stretch, int]:
    """Where the window begins: as asked for, else so that it lies in the middle of what goes on longest."""
    from a3d_edge.training.windows import window_starts_of

    sampling = loaded.description.sampling
    stretches = times.stretches(sampling.span_s)
    if start is None:
        longest = max(stretches, key=lambda one: one.duration)
        return longest, window_starts_of(longest, sampling, 1)[0]
    for stretch in stretches:
        begins = start - float(times.times[stretch.first])
        if 0.0 <= begins <= window_starts_of(stretch, sampling, 2)[-1] / sampling.rate:
            return stretch, round(begins * sampling.rate)
    last = times.times[stretches[-1].first] + window_starts_of(stretches[-1], sampling, 2)[-1] / sampling.rate
    cuts = f", none across its {len(stretches) - 1} cuts" if len(stretches) > 1 else ""
    raise UsageError(f"--start {start:g}: the windows of {clip} begin between 0 and {last:.2f} s{cuts}")


def _decoded(loaded: Checkpoint, clip: Path, stretch: Stretch, first: int, short_side: int) -> DecodedClip:
    """The stretch with the pictures that the window shows, and no others."""
    import numpy as np

    from a3d_edge.training.decode import DecodedClip, pictures_at
    from a3d_edge.training.windows import runtime_view

    sampling, spec = loaded.description.sampling, loaded.preprocessing
    sampled = runtime_view(stretch, first, sampling, spec).frames
    places = {*np.unique(sampled).tolist(), *stretch.at(_seconds(loaded, first)).tolist()}
    pictures = pictures_at(clip, short_side, places)
    return DecodedClip({place - stretch.first: image for place, image in pictures.items()}, stretch.times)


def _seconds(loaded: Checkpoint, first: int) -> NDArray[np.float64]:
    """When the slow pathway's pictures are, from the stretch's beginning."""
    import numpy as np

    from a3d_edge.video.sampler import TIE_S

    return np.array(_instants(loaded, first)) / loaded.description.rate - TIE_S / 2


def _instants(loaded: Checkpoint, first: int) -> list[int]:
    sampling = loaded.description.sampling
    return [first + i * sampling.stride for i in range(sampling.frames)]


def _window(loaded: Checkpoint, decoded: DecodedClip, first: int, configuration: Configuration) -> Clips:
    """Network input of one window at a configuration: ``(1, 3, T, S, S)``, or one such tensor per pathway."""
    import torch

    from a3d_edge.training.windows import plain_window

    arrays = plain_window(
        decoded, first, configuration.size, loaded.description.sampling, loaded.preprocessing
    )
    tensors = [torch.from_numpy(array).unsqueeze(0) for array in arrays]
    return tensors[0] if len(tensors) == 1 else tensors


def _prediction(loaded: Checkpoint, window: Clips, configuration: Configuration) -> str:
    import torch

    with torch.inference_mode():
        return loaded.classes[int(loaded.model(window, configuration)[0].argmax())]


def _row(
    loaded: Checkpoint, window: Clips, configuration: Configuration, label: str, temperature: float
) -> Explained:
    from a3d_edge.models.activation import class_activation
    from a3d_edge.models.flops import count
    from a3d_edge.plots.activation import Explained

    index = loaded.classes.index(label)
    found = class_activation(loaded.model, window, configuration, index, temperature)
    best = int(found.scores.argmax())
    return Explained(
        configuration=configuration,
        gflops=count(loaded.description, configuration).gflops,
        prediction=loaded.classes[best],
        score=float(found.scores[best]),
        label_score=float(found.scores[index]),
        logit=found.logit,
        bias=found.bias,
        fast=found.fast,
        slots=tuple(pick_frames(loaded.description.frames, configuration.frames)),
        heat=found.frames,
        shares=found.shares,
    )


def _pictures(loaded: Checkpoint, decoded: DecodedClip, first: int) -> list[NDArray[np.uint8]]:
    """The visible part of the frame of every instant, RGB ``(H, W, 3)``."""
    import numpy as np

    from a3d_edge.training.windows import region_of, runtime_view
    from a3d_edge.video.preprocess import shown_roi

    sampling, spec = loaded.description.sampling, loaded.preprocessing
    region = region_of(decoded, runtime_view(decoded, first, sampling, spec).frames, spec)
    shown = []
    for place in decoded.at(_seconds(loaded, first)):
        image = decoded.frames[int(place)]
        roi = shown_roi(image.shape[0], image.shape[1], spec.aspect, region)
        rows, columns = slice(roi.top, roi.top + roi.height), slice(roi.left, roi.left + roi.width)
        shown.append(np.ascontiguousarray(image[rows, columns, ::-1]))
    return shown


def _say(
    rows: Sequence[Explained], times: Sequence[float], label: str, clip: Path, out: Path, *, json_lines: bool
) -> None:
    if json_lines:
        fields = {"clip": str(clip), "out": str(out), "label": label, "window_s": [times[0], times[-1]]}
        emit("explanation", {**fields, "configurations": [_fields(row, times) for row in rows]})
        return
    tell(f"{clip}: what speaks for {label} from {times[0]:.2f} to {times[-1]:.2f} s")
    for row in rows:
        fast = f" {row.fast:+.2f} (Fast pathway)" if row.fast else ""
        tell(
            f"{row.configuration} ({row.gflops:.3g} GFLOPs) predicts {row.prediction} {row.score:.1%}; "
            f"logit {row.logit:+.2f} = {sum(row.shares):+.2f} (frames){fast} {row.bias:+.2f} (bias)"
        )
        pairs = zip(row.slots, row.shares, strict=True)
        tell("  " + "  ".join(f"{times[slot]:.2f} s {share:+.2f}" for slot, share in pairs))


def _fields(row: Explained, times: Sequence[float]) -> dict[str, Any]:
    frames = [
        {"time_s": round(times[slot], 6), "logit": float(share)}
        for slot, share in zip(row.slots, row.shares, strict=True)
    ]
    return {
        "configuration": str(row.configuration),
        "gflops": row.gflops,
        "label": row.prediction,
        "score": row.score,
        "label_score": row.label_score,
        "logit": row.logit,
        "bias": row.bias,
        "fast": row.fast,
        "frames": frames,
    }
