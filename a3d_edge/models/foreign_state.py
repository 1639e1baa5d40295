"""Where the network's tensors are in a file of others: below any keys, behind any prefix, beside others.

    {'state_dict': {'model._orig_mod.s1.pathway0_stem.conv.weight': …, 'criterion.weight': …}, 'epoch': 3}
      └ keys         └ prefix         └ a name that a library gives     └ left out, and noted

Every mapping of the file is looked through for names as one of the libraries gives them; what stands
before such a name is its prefix. One place is the network; several are an error that names them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from a3d_edge.errors import CheckpointError
from a3d_edge.models.foreign_names import Library, library_of

__all__ = ["ForeignState", "find_state"]

KEYS = "model_state, state_dict, model_state_dict, model, …"
PREFIXES = "module., model., _orig_mod., …"
DEEPEST = 6  # mappings inside each other
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Modules that hold another and add nothing: of parallel training, compiling, and saving memory."""

_NAME = re.compile(
    r"(?P<prefix>(?:[^.]+\.)*?)"
    r"(?:s\d\.pathway\d_\w+\.|s\d_fuse\.|head\.projection\."
    r"|blocks\.\d+\.(?:conv|norm|res_blocks|multipathway_blocks|multipathway_fusion|pool|proj)\."
    r"|backbone\.(?:(?:slow|fast)_path\.)?(?:conv\d\w*|layer\d_lateral|layer\d\.\d+\.\w+)\.(?:conv|bn|fc\d)\."
    r"|cls_head\.fc(?:_cls|\d)\."
    r"|layer\d\.\d+\.(?:conv\d|bn\d|downsample\.\d)\.).+"
)
_FILMS = re.compile(r"s\d|s\d_fuse|head|blocks")
_OWN = {  # the first words of a library's names
    "PySlowFast": _FILMS,
    "pytorchvideo": _FILMS,
    "mmaction2": re.compile(r"backbone|cls_head"),
    "torchvision": re.compile(r"conv1|bn1|layer\d|fc"),
}


@dataclass(frozen=True, slots=True)
class ForeignState:
    """The tensors of one network by its library's names, where they were, and what was beside them.

    ``keys`` lead to the mapping, ``prefix`` is what stood before each name without `WRAPPERS`; ``settings``
    is the text under ``cfg`` beside the mapping, or empty.
    """

    library: Library
    tensors: Mapping[str, Tensor]
    keys: tuple[str, ...]
    prefix: str
    beside: tuple[str, ...]
    settings: str

    @property
    def place(self) -> str:
        """How `key` names it."""
        return ".".join((*self.keys, self.prefix.rstrip("."))).strip(".")


def find_state(path: Path, payload: Mapping[Any, Any], key: str | None = None) -> ForeignState:
    """The one network in a file; of several the one at ``key``. Raises `CheckpointError`."""
    found = [
        state for keys, mapping, cfg in _mappings(payload) for state in _states(path, keys, mapping, cfg)
    ]
    places = [state.place or "the file itself" for state in found]
    if key is not None:
        chosen = [state for state in found if state.place == key.strip(".")]
        if not chosen:
            there = ", ".join(places) or "none"
            raise CheckpointError(f"{path}: `key` {key}: no network is there; there is {there}")
        return chosen[0]
    if not found:
        raise _unknown(path, payload)
    if len(found) > 1 and not all(_equal(found[0], other) for other in found[1:]):
        raise CheckpointError(
            f"{path}: holds {len(found)} networks ({', '.join(places)}); say which with `key`, such as "
            f"`key` {found[0].place or places[-1]}"
        )
    return found[0]


def _mappings(payload: Any) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any], str]]:
    """Every mapping of a file once, the outer first: the keys that lead to it, and the settings above it."""
    waiting: deque[tuple[tuple[str, ...], Any, str]] = deque([((), payload, "")])
    seen: set[int] = set()  # a file may hold a thing in two places, or in itself
    while waiting:
        keys, value, cfg = waiting.popleft()
        if id(value) in seen or len(keys) > DEEPEST:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            yield keys, value, cfg
            text = value.get("cfg")
            cfg = text if isinstance(text, str) else cfg
        inside = value.items() if isinstance(value, Mapping) else enumerate(value)
        waiting.extend(((*keys, str(n)), v, cfg) for n, v in inside if isinstance(v, Mapping | list | tuple))


def _states(
    path: Path, keys: tuple[str, ...], mapping: Mapping[Any, Any], cfg: str
) -> Iterator[ForeignState]:
    """The networks in one mapping, by prefix."""
    names = {name: _unwrapped(name) for name in mapping if isinstance(name, str)}
    prefixes = {m["prefix"] for name in names.values() if (m := _NAME.fullmatch(name))}
    for prefix in sorted(prefixes):
        inside = {n: short.removeprefix(prefix) for n, short in names.items() if short.startswith(prefix)}
        library = library_of(inside.values()) or _headless(inside.values())
        if library is not None:
            words = _OWN[library]
            own = {n: short for n, short in inside.items() if words.fullmatch(short.split(".", 1)[0])}
            beside = tuple(n for n in names if n not in own and isinstance(mapping[n], Tensor))
            yield ForeignState(library, _tensors(path, mapping, own), keys, prefix, beside, cfg)


def _headless(names: Iterable[str]) -> Library | None:
    """PySlowFast's body alone: its head will be said to be missing."""
    return "PySlowFast" if any(name.startswith("s1.pathway0_") for name in names) else None


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _tensors(path: Path, mapping: Mapping[Any, Any], names: Mapping[str, str]) -> dict[str, Tensor]:
    """A network's tensors without batch norm's counters, which nothing computes with."""
    found: dict[str, Tensor] = {}
    for name, short in names.items():
        value = mapping[name]
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: '{name}' is a {type(value).__name__}, not a tensor by name")
        if short in found:
            raise CheckpointError(f"{path}: {short} is there twice, once as '{name}'; save one network alone")
        if not short.endswith(".num_batches_tracked"):
            found[short] = value
    return found


def _equal(one: ForeignState, other: ForeignState) -> bool:
    """Whether two places hold the same network: the same tensors, of the same values."""
    return one.tensors.keys() == other.tensors.keys() and all(
        tensor is other.tensors[name] or _same_values(tensor, other.tensors[name])
        for name, tensor in one.tensors.items()
    )


def _same_values(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype or one.layout != other.layout:
        return False
    if one.numel() * one.element_size() > one.untyped_storage().nbytes():  # a claim, not values: see `fill`
        return False
    return bool((one == other).all())


def _unknown(path: Path, payload: Mapping[Any, Any]) -> CheckpointError:
    """What a file has instead, by its first tensor in the mapping with the most of them."""
    most = max((m for _, m, _ in _mappings(payload)), key=_count)
    first = next((name for name, value in most.items() if isinstance(value, Tensor)), "nothing")
    return CheckpointError(
        f"{path}: neither PySlowFast, pytorchvideo, mmaction2 nor torchvision names tensors so ({first}, …); "
        "looked for are s1.pathway0_stem.conv.weight, blocks.0.conv.weight, backbone.conv1.conv.weight, "
        "layer1.0.conv1.weight and the like, below any key "
        f"({KEYS}) and behind any prefix ({PREFIXES})"
    )


def _count(mapping: Mapping[Any, Any]) -> int:
    return sum(isinstance(value, Tensor) for value in mapping.values())
