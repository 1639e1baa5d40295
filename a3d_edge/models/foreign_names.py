"""What PySlowFast and pytorchvideo call the tensors that we call ``res3.blocks.0.a.conv.weight``.

ours                         PySlowFast                      pytorchvideo
stem.conv                    s1.pathway0_stem.conv           blocks.0.conv
res3.blocks.1.a.conv         s3.pathway0_res1.branch2.a      blocks.2.res_blocks.1.branch2.conv_a
res3.blocks.0.shortcut.norm  s3.pathway0_res0.branch1_bn     blocks.2.res_blocks.0.branch1_norm
fast.stem.norm               s1.pathway1_stem.bn             blocks.0.multipathway_blocks.1.norm
fuse_res2.norm               s2_fuse.bn                      blocks.1.multipathway_fusion.norm
head                         head.projection                 blocks.5.proj (SlowFast: blocks.6.proj)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

__all__ = ["Library", "library_of", "their_names"]

Library = Literal["PySlowFast", "pytorchvideo"]

_HEAD = re.compile(r"head\.(?P<leaf>\w+)")
_FUSE = re.compile(r"fuse_(?:stem|res(?P<stage>\d))\.(?P<kind>conv|norm)\.(?P<leaf>\w+)")
_STEM = re.compile(r"(?:(?P<path>slow|fast)\.)?stem\.(?P<kind>conv|norm)\.(?P<leaf>\w+)")
_BLOCK = re.compile(
    r"(?:(?P<path>slow|fast)\.)?res(?P<stage>\d)\.blocks\.(?P<block>\d+)\.(?P<part>\w+)\."
    r"(?P<kind>conv|norm)\.(?P<leaf>\w+)"
)


def library_of(names: Iterable[str]) -> Library | None:
    """Whose names these are; None if neither's."""
    found = {name.split(".", 1)[0] for name in names}
    if "blocks" in found:
        return "pytorchvideo"
    return "PySlowFast" if "s1" in found and "head" in found else None


def their_names(ours: Iterable[str], library: Library) -> dict[str, str]:
    """Our name → a library's, for all tensors of one `Slow` or `SlowFast`.

    Raises ValueError for a tensor that neither library's networks have.
    """
    names = list(ours)
    translate = _pyslowfast if library == "PySlowFast" else _pytorchvideo
    two = any(name.startswith("fast.") for name in names)
    return {name: translate(*_parts(name), two) for name in names}


def _parts(ours: str) -> tuple[re.Pattern[str], dict[str, str]]:
    for pattern in (_HEAD, _FUSE, _STEM, _BLOCK):
        if match := pattern.fullmatch(ours):
            return pattern, match.groupdict(default="")
    raise ValueError(f"{ours} is in no network of PySlowFast or pytorchvideo")


def _pyslowfast(pattern: re.Pattern[str], part: dict[str, str], two: bool) -> str:
    leaf = part["leaf"]
    if pattern is _HEAD:
        return f"head.projection.{leaf}"
    norm = part["kind"] == "norm"
    if pattern is _FUSE:
        return f"s{part['stage'] or 1}_fuse.{'bn' if norm else 'conv_f2s'}.{leaf}"
    pathway = f"pathway{1 if part['path'] == 'fast' else 0}"
    if pattern is _STEM:
        return f"s1.{pathway}_stem.{'bn' if norm else 'conv'}.{leaf}"
    branch = "branch1" if part["part"] == "shortcut" else f"branch2.{part['part']}"
    return f"s{part['stage']}.{pathway}_res{part['block']}.{branch}{'_bn' if norm else ''}.{leaf}"


def _pytorchvideo(pattern: re.Pattern[str], part: dict[str, str], two: bool) -> str:
    leaf = part["leaf"]
    if pattern is _HEAD:
        return f"blocks.{6 if two else 5}.proj.{leaf}"  # SlowFast pools in a block of its own
    kind, stage = part["kind"], int(part.get("stage") or 1)
    if pattern is _FUSE:
        fused = "conv_fast_to_slow" if kind == "conv" else "norm"
        return f"blocks.{stage - 1}.multipathway_fusion.{fused}.{leaf}"
    pathway = f"multipathway_blocks.{1 if part['path'] == 'fast' else 0}." if part["path"] else ""
    start = f"blocks.{stage - 1}.{pathway}"
    if pattern is _STEM:
        return f"{start}{kind}.{leaf}"
    branch = f"branch1_{kind}" if part["part"] == "shortcut" else f"branch2.{kind}_{part['part']}"
    return f"{start}res_blocks.{part['block']}.{branch}.{leaf}"
