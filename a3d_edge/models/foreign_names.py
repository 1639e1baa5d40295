"""What other libraries call the tensors that we call ``res3.blocks.0.a.conv.weight``, and their shapes.

ours                         PySlowFast                      pytorchvideo
stem.conv                    s1.pathway0_stem.conv           blocks.0.conv
res3.blocks.1.a.conv         s3.pathway0_res1.branch2.a      blocks.2.res_blocks.1.branch2.conv_a
res3.blocks.0.shortcut.norm  s3.pathway0_res0.branch1_bn     blocks.2.res_blocks.0.branch1_norm
fast.stem.norm               s1.pathway1_stem.bn             blocks.0.multipathway_blocks.1.norm
fuse_res2.norm               s2_fuse.bn                      blocks.1.multipathway_fusion.norm
head                         head.projection                 blocks.5.proj (SlowFast: blocks.6.proj)

ours                         mmaction2                       torchvision, timm (pictures)
stem.conv                    backbone.conv1.conv             conv1
res3.blocks.1.a.conv         backbone.layer2.1.conv1.conv    layer2.1.conv1
res3.blocks.0.shortcut.norm  backbone.layer2.0.downsample.bn layer2.0.downsample.1
fast.stem.norm               backbone.fast_path.conv1.bn     -
fuse_res2.conv               backbone.slow_path.layer1_lateral.conv
head                         cls_head.fc_cls (X3D: fc2)      fc
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from torch import Tensor

__all__ = ["FAMILIES_OF", "Library", "as_ours", "library_of", "their_names", "their_shape"]

Library = Literal["PySlowFast", "pytorchvideo", "mmaction2", "torchvision"]

FAMILIES_OF: Mapping[Library, tuple[str, ...]] = {
    "PySlowFast": ("slow", "slowfast", "x3d"),
    "pytorchvideo": ("slow", "slowfast", "x3d"),
    "mmaction2": ("slow", "slowfast", "x3d"),
    "torchvision": ("slow",),
}
"""What each library's networks can become. torchvision stands for all networks of pictures named so."""

_PLACE = re.compile(
    r"(?:(?P<path>slow|fast)\.)?(?:fuse_)?(?P<at>stem|res\d)(?:\.blocks\.(?P<block>\d+))?(?P<part>.*)"
)

_BLOCKS: Mapping[Library, Mapping[str, str]] = {
    "PySlowFast": {
        **{f"{k}.conv": f"branch2.{k}" for k in "abc"},
        **{f"{k}.norm": f"branch2.{k}_bn" for k in "abc"},
        **{"shortcut.conv": "branch1", "shortcut.norm": "branch1_bn"},
        **{"excite.reduce": "branch2.se.fc1", "excite.expand": "branch2.se.fc2"},
    },
    "pytorchvideo": {
        **{f"{k}.conv": f"branch2.conv_{k}" for k in "abc"},
        **{f"{k}.norm": f"branch2.norm_{k}" for k in "abc"},
        **{"shortcut.conv": "branch1_conv", "shortcut.norm": "branch1_norm"},
        **{"excite.reduce": "branch2.norm_b.1.block.0", "excite.expand": "branch2.norm_b.1.block.2"},
    },
    "mmaction2": {
        **{f"{k}.conv": f"conv{n}.conv" for n, k in enumerate("abc", 1)},
        **{f"{k}.norm": f"conv{n}.bn" for n, k in enumerate("abc", 1)},
        **{"shortcut.conv": "downsample.conv", "shortcut.norm": "downsample.bn"},
        **{"excite.reduce": "se_module.fc1", "excite.expand": "se_module.fc2"},
    },
    "torchvision": {
        **{f"{k}.conv": f"conv{n}" for n, k in enumerate("abc", 1)},
        **{f"{k}.norm": f"bn{n}" for n, k in enumerate("abc", 1)},
        **{"shortcut.conv": "downsample.0", "shortcut.norm": "downsample.1"},
    },
}
"""What follows a block's own name."""

_X3D: Mapping[Library, Mapping[str, str]] = {
    "PySlowFast": {
        **{"stem": "s1.pathway0_stem.conv_xy", "stem_time.conv": "s1.pathway0_stem.conv"},
        **{"stem_time.norm": "s1.pathway0_stem.bn", "widen.conv": "head.conv_5"},
        **{"widen.norm": "head.conv_5_bn", "project": "head.lin_5", "head": "head.projection"},
    },
    "pytorchvideo": {  # its Conv2plus1d calls the first convolution conv_t, and here that is the spatial one
        **{"stem": "blocks.0.conv.conv_t", "stem_time.conv": "blocks.0.conv.conv_xy"},
        **{"stem_time.norm": "blocks.0.norm", "widen.conv": "blocks.5.pool.pre_conv"},
        **{"widen.norm": "blocks.5.pool.pre_norm", "project": "blocks.5.pool.post_conv"},
        **{"head": "blocks.5.proj"},
    },
    "mmaction2": {
        **{"stem": "backbone.conv1_s.conv", "stem_time.conv": "backbone.conv1_t.conv"},
        **{"stem_time.norm": "backbone.conv1_t.bn", "widen.conv": "backbone.conv5.conv"},
        **{"widen.norm": "backbone.conv5.bn", "project": "cls_head.fc1", "head": "cls_head.fc2"},
    },
    "torchvision": {},
}
"""X3D's ends, which no other network has."""

_FUSE: Mapping[Library, tuple[str, str, str]] = {  # of stage 1 to 4, then convolution and batch norm
    "PySlowFast": ("s{0}_fuse", "conv_f2s", "bn"),
    "pytorchvideo": ("blocks.{1}.multipathway_fusion", "conv_fast_to_slow", "norm"),
    "mmaction2": ("backbone.slow_path.{2}_lateral", "conv", "bn"),
    "torchvision": ("", "", ""),
}

_HEADS: Mapping[Library, str] = {
    "PySlowFast": "head.projection",
    "pytorchvideo": "blocks.5.proj",
    "mmaction2": "cls_head.fc_cls",
    "torchvision": "fc",
}


def library_of(names: Iterable[str]) -> Library | None:
    """Whose names these are; None if nobody's."""
    found = {name.split(".", 1)[0] for name in names}
    if "blocks" in found:
        return "pytorchvideo"
    if "backbone" in found:
        return "mmaction2"
    if {"conv1", "layer1"} <= found:
        return "torchvision"
    return "PySlowFast" if "s1" in found and "head" in found else None


def their_names(ours: Iterable[str], library: Library) -> dict[str, str]:
    """Our name → a library's, for all tensors of one network of `FAMILIES_OF` the library.

    Raises ValueError for a tensor that none of these networks has.
    """
    names = list(ours)
    ends = dict(_X3D[library]) if "project.weight" in names else {"head": _HEADS[library]}
    if library == "pytorchvideo" and any(name.startswith("fast.") for name in names):
        ends["head"] = "blocks.6.proj"  # SlowFast pools in a block of its own
    return {name: _translated(name, library, ends) for name in names}


def _translated(ours: str, library: Library, ends: Mapping[str, str]) -> str:
    module, leaf = ours.rsplit(".", 1)
    if module in ends:
        return f"{ends[module]}.{leaf}"
    found = _PLACE.fullmatch(module)
    if found is None:
        raise ValueError(f"{ours} is in no network of {library}")
    part = found["part"].lstrip(".")
    stage = 1 if found["at"] == "stem" else int(found["at"][3:])
    if module.startswith("fuse_"):
        place, convolution, norm = _FUSE[library]
        layer = "conv1" if stage == 1 else f"layer{stage - 1}"
        return f"{place.format(stage, stage - 1, layer)}.{norm if part == 'norm' else convolution}.{leaf}"
    start = _start(library, stage, found["path"], found["block"])
    if found["block"] is None:
        return f"{start}{_stem(library, part)}.{leaf}"
    if part not in _BLOCKS[library]:
        raise ValueError(f"{ours} is in no network of {library}")
    inside = _BLOCKS[library][part]
    if library == "pytorchvideo" and part == "b.norm" and "stem_time.norm" in ends:
        inside += ".0"  # X3D's batch norm is the first of two, the second being squeeze–excitation or nothing
    return f"{start}{inside}.{leaf}"


def _start(library: Library, stage: int, path: str | None, block: str | None) -> str:
    """What stands before the parts of a stem or a block."""
    fast = path == "fast"
    if library == "PySlowFast":
        return f"s{stage}.pathway{int(fast)}_" + ("stem." if block is None else f"res{block}.")
    if library == "pytorchvideo":
        pathway = f"multipathway_blocks.{int(fast)}." if path else ""
        return f"blocks.{stage - 1}.{pathway}" + ("" if block is None else f"res_blocks.{block}.")
    whose = "" if library == "torchvision" else f"backbone.{path}_path." if path else "backbone."
    return whose if block is None else f"{whose}layer{stage - 1}.{block}."


def _stem(library: Library, part: str) -> str:
    norm = part == "norm"
    if library == "torchvision":
        return "bn1" if norm else "conv1"
    if library == "mmaction2":
        return "conv1.bn" if norm else "conv1.conv"
    return ("bn" if library == "PySlowFast" else "norm") if norm else "conv"


def their_shape(ours: str, shape: tuple[int, ...], library: Library) -> tuple[int, ...]:
    """The shape in a library's file of a tensor that has ``shape`` here."""
    if library == "torchvision" and len(shape) == 5:
        return (*shape[:2], *shape[3:])
    return shape[:2] if library == "mmaction2" and ours == "project.weight" else shape


def as_ours(ours: str, tensor: Tensor, shape: tuple[int, ...], library: Library, fast: int) -> Tensor:
    """A library's tensor as ours of that name and shape; ``fast``: features of the Fast pathway.

    A picture's kernel is repeated over time and divided by how often (I3D's rule): of frames that are all
    the same it computes what it did of one.
    """
    if library == "torchvision" and len(shape) == 5:
        return tensor.unsqueeze(2).expand(shape) / shape[2]
    if library == "mmaction2" and ours == "project.weight":
        return tensor.view(shape)
    if library == "mmaction2" and ours == "head.weight" and fast:
        return tensor.roll(-fast, dims=1)  # its head has the Fast features first
    return tensor
