"""What `performance.py` measures: one bundle of ours, and the same networks as a user would export them.

Slow R-50, random weights, every batch norm alive and calibrated on one clip
  ├── bundle: fp32 of all rows of a table; int8 of those that are measured, as the exporter makes them
  ├── all_int8: int8 of those that are measured, with no convolution left in fp32
  └── plain: at each measured configuration, a network of that width alone (torch.nn layers, rank 5)
        ├── PyTorch eager
        ├── torch.onnx.export ── ONNX Runtime, OpenVINO
        └── NNCF's post-training quantization of that export ── OpenVINO int8   (if nncf is installed)
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from _networks import alive, calibrate_by_size
from a3d_edge.exporters import write_int8
from a3d_edge.exporters.write_bundle import unmeasured_row, write_bundle
from torch import Tensor, nn

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import Checkpoint, load, save
from a3d_edge.models.layers import ConvNorm
from a3d_edge.models.network import SlimNetwork
from a3d_edge.models.widths import Run
from a3d_edge.table import ConfigurationBudgetTable

__all__ = ["Subject", "kept", "pictures", "plain_network", "prepare", "say"]

CALIBRATION_CLIPS = 8
"""Clips that NNCF measures ranges on; more do not change how fast the result is."""


@dataclass(frozen=True)
class Subject:
    """``plain[c]``: the rank-5 export of a configuration; ``plain_int8[c]``: OpenVINO's int8 model of it.

    The exporter leaves in fp32 what int8 would hurt (`kept`, by width). Which convolutions those are is a
    property of the weights, and random ones say nothing of a trained network: ``all_int8`` has none.
    """

    checkpoint: Checkpoint
    bundle: Bundle
    all_int8: Bundle
    measured: tuple[Configuration, ...]
    plain: dict[Configuration, Path]
    plain_int8: dict[Configuration, Path]


def prepare(
    arch: str, classes: int, rows: Sequence[Configuration], measured: Sequence[Configuration], work: Path
) -> Subject:
    """Everything that is measured, in ``work``; what lies there from an earlier run is used again."""
    checkpoint = _checkpoint(arch, classes, rows, work / "network.pth")
    int8 = [one.at("int8") for one in measured]
    _export(checkpoint, [*rows, *int8], work / "bundle")
    rule, write_int8.kept_in_float = write_int8.kept_in_float, lambda *_: frozenset()
    try:
        _export(checkpoint, [*measured, *int8], work / "all_int8")
    finally:
        write_int8.kept_in_float = rule
    plain, plain_int8 = {}, {}
    for one in measured:
        plain[one] = _plain_export(checkpoint, one, work / f"{one}.onnx")
        if importlib.util.find_spec("nncf") is not None:
            plain_int8[one] = _quantized_by_nncf(checkpoint, one, plain[one], work / f"{one}-int8.xml")
    bundles = (Bundle.load(work / name) for name in ("bundle", "all_int8"))
    return Subject(checkpoint, *bundles, tuple(measured), plain, plain_int8)


def _export(checkpoint: Checkpoint, configurations: Sequence[Configuration], out: Path) -> None:
    if not out.exists():
        rows = tuple(unmeasured_row(checkpoint, one) for one in configurations)
        table = ConfigurationBudgetTable(architecture=checkpoint.description.name, rows=rows)
        clips = {one.size: _clips(checkpoint, one.size, 1) for one in configurations}
        write_bundle(checkpoint, table, clips, out, lambda *step: say(out.name, *step))


def kept(bundle: Bundle) -> dict[str, list[str]]:
    """Convolutions that are fp32 in the int8 subgraphs of a bundle, by width."""
    widths = bundle.manifest.widths
    every = {norm.name.removesuffix(".norm") for width in widths.values() for norm in width.norms}
    found = {}
    for key, width in widths.items():
        if key.endswith("-int8"):
            quantized = {one.name.removesuffix(".weight_scale") for one in width.tensors}
            found[key.removesuffix("-int8")] = sorted(every - quantized)
    return found


def say(*words: object) -> None:
    """Progress, for people."""
    print(*words, file=sys.stderr, flush=True)


def pictures(configuration: Configuration, seed: int = 0) -> Tensor:
    """A window ``(T, 3, S, S)``: noise with structure at two scales, as wide as normalised pictures are."""
    t, s = configuration.frames, configuration.size
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(t, 3, 8, 8, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(s, s), mode="bilinear", align_corners=False)
    return smooth + 0.3 * torch.randn(t, 3, s, s, generator=generator)


def _clips(checkpoint: Checkpoint, size: int, count: int) -> Tensor:
    """Clips ``(N, 3, T, S, S)`` of the network's whole window."""
    whole = Configuration(1.0, size, checkpoint.description.frames)
    return torch.stack([pictures(whole, seed).transpose(0, 1) for seed in range(count)])


def _checkpoint(arch: str, classes: int, rows: Sequence[Configuration], path: Path) -> Checkpoint:
    if path.exists():
        return load(path)
    checkpoint = Checkpoint(alive(arch, classes), tuple(f"class {i}" for i in range(classes)))
    calibrate_by_size(checkpoint.model, rows, lambda size: _clips(checkpoint, size, 1))
    say("calibrated")
    save(checkpoint, path)
    return checkpoint


# --- the plain network


class _PlainBlock(nn.Module):
    """A convolution and its batch norm of one width, as layers of torch.nn."""

    def __init__(self, block: ConvNorm, inputs: int, configuration: Configuration) -> None:
        super().__init__()
        conv, norm = block.conv, block.norm
        outputs = conv.channels_at(configuration.width)
        kt, kh, kw = conv.kernel
        padding = (kt // 2, kh // 2, kw // 2)
        self.conv = nn.Conv3d(
            inputs, outputs, conv.kernel, (1, conv.stride, conv.stride), padding, bias=False
        )
        self.norm = nn.BatchNorm3d(outputs, eps=norm.eps)
        mean, variance = norm.statistics(str(configuration), outputs)
        self.conv.weight.data.copy_(conv.weight[:outputs, :inputs])
        for own, value in (
            (self.norm.weight, norm.weight),
            (self.norm.bias, norm.bias),
            (self.norm.running_mean, mean),
            (self.norm.running_var, variance),
        ):
            own.data.copy_(value[:outputs])

    def forward(self, x: Tensor, run: Run) -> Tensor:
        normed: Tensor = self.norm(self.conv(x))
        return normed


class _Plain(nn.Module):
    """A network of one width, called with a clip ``(1, 3, T, S, S)`` alone."""

    def __init__(self, network: SlimNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.run(x, Run())


def plain_network(model: SlimNetwork, configuration: Configuration) -> nn.Module:
    """The network of a configuration with weights and layers of its own: what has no other width to serve."""
    inputs = _input_channels(model, configuration)
    network = copy.deepcopy(model)
    for name, block in model.named_modules():
        if isinstance(block, ConvNorm):
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, _PlainBlock(block, inputs[name], configuration))
    narrow = network.head.weight.data[:, : inputs["head"]].clone()
    network.head.weight = nn.Parameter(narrow)
    return _Plain(network).eval()


def _input_channels(model: SlimNetwork, configuration: Configuration) -> dict[str, int]:
    """How many channels each layer sees at a width: of one tiny clip that goes through."""
    seen: dict[str, int] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0].shape[1]}))
        for name, module in model.named_modules()
        if isinstance(module, ConvNorm) or name == "head"
    ]
    with torch.inference_mode():
        model.run(torch.zeros(1, 3, 1, 32, 32), Run(configuration.width, str(configuration)))
    for hook in hooks:
        hook.remove()
    return seen


def _plain_export(checkpoint: Checkpoint, configuration: Configuration, path: Path) -> Path:
    """PyTorch's own export, static shapes, batch 1."""
    if not path.exists():
        clip = pictures(configuration).transpose(0, 1)[None].contiguous()
        plain = plain_network(checkpoint.model, configuration)
        torch.onnx.export(plain, (clip,), str(path), dynamo=True, optimize=True, verbose=False)
        say("plain export", configuration)
    return path


def _quantized_by_nncf(checkpoint: Checkpoint, configuration: Configuration, plain: Path, path: Path) -> Path:
    """OpenVINO's own way to int8: NNCF's post-training quantization with its default settings."""
    if not path.exists():
        import nncf
        import openvino as ov

        clips = [
            pictures(configuration, seed).transpose(0, 1)[None].numpy() for seed in range(CALIBRATION_CLIPS)
        ]
        model = ov.Core().read_model(str(plain))
        quantized = nncf.quantize(model, nncf.Dataset(clips), subset_size=len(clips))
        ov.save_model(quantized, str(path), compress_to_fp16=False)
        say("quantized by NNCF", configuration)
    return path
