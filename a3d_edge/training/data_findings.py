"""What is odd about clips: every rule is a function from clips to findings, each a line for people."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Literal

from a3d_edge.errors import SourceError
from a3d_edge.training.clips import Clip

__all__ = [
    "ClipFacts",
    "Finding",
    "Kind",
    "names_of",
    "odd_facts",
    "odd_lists",
    "some_of",
    "unreadable",
]

Kind = Literal[
    "unreadable", "list", "one_class", "few", "duplicate", "group", "label", "overlap", "short", "still",
    "key", "proposals",
]  # fmt: skip

STILL = 10.0
"""Grey levels of the cell that changes most, below which nothing moves. In clips of one person it was 8 to 40
where somebody stands still, and 60 and more where somebody acts, 1 to 6 m away."""
FEW = 4
"""Clips of a class, below which it can hardly be trained and measured."""
SHOWN = 3
"""Names in a line."""
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """A clip's seconds, frames a second, frames, and by how many grey levels it changes most anywhere."""

    seconds: float
    rate: float
    frames: int
    motion: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What is odd, in one line; ``clips``: which ones it is about, by file and part."""

    kind: Kind
    message: str
    clips: tuple[str, ...] = ()


def unreadable(errors: Sequence[tuple[Clip, SourceError]]) -> Iterator[Finding]:
    """Of clips that cannot be read, and why."""
    if errors:
        told = list(dict.fromkeys(str(error) for _, error in errors))  # parts of a file have one cause
        why = "; ".join(told[:SHOWN])
        more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        yield Finding(
            "unreadable", f"{_clips(len(errors))} cannot be read: {why}{more}", names_of(c for c, _ in errors)
        )


def odd_lists(clips: Sequence[Clip], people: Mapping[str, int] | None = None) -> Iterator[Finding]:
    """What can be seen by how clips are listed, and by the content of their files.

    ``people``: how many do what, where it is they who have the labels.
    """
    counts = people or Counter(label for clip in clips for label in clip.labels)
    if len(counts) == 1 and not any(clip.many for clip in clips):
        yield Finding("one_class", f"there is one class, {clips[0].label}: nothing to tell it from")
    for label, count in sorted(counts.items()):
        if count < FEW:
            here = [clip for clip in clips if label in clip.labels]
            has = _clips(count) if people is None else f"{count} {'person' if count == 1 else 'people'}"
            yield Finding("few", f"the class '{label}' has {has}; record more of it", names_of(here))
    yield from _duplicates(clips)
    yield from _across(clips, "split", lambda clip: clip.split or None)
    yield from _across(clips, "fold", lambda clip: clip.fold)
    for one, other in combinations(sorted(counts), 2):
        if _by_a_letter(one, other):
            yield Finding("label", f"the labels '{one}' and '{other}' differ by one letter; are they one?")
    yield from _overlaps(clips)


def odd_facts(clips: Sequence[Clip], facts: Sequence[ClipFacts], window_s: float) -> Iterator[Finding]:
    """What can be seen by their pictures."""
    short = [clip for clip, one in zip(clips, facts, strict=True) if one.seconds < window_s]
    if short:
        yield Finding(
            "short",
            f"{_clips(len(short))} shorter than a window ({window_s:.1f} s), whose last picture is held "
            f"({some_of(short)}); record longer ones, or take a shorter `window`",
            names_of(short),
        )
    still = [clip for clip, one in zip(clips, facts, strict=True) if one.motion < STILL]
    if still:
        by_label = Counter(label for clip in still for label in clip.labels or ("none of the classes",))
        where = ", ".join(f"{count} of '{label}'" for label, count in sorted(by_label.items()))
        yield Finding(
            "still", f"nothing moves in {_clips(len(still))}: {where} ({some_of(still)})", names_of(still)
        )


def _duplicates(clips: Sequence[Clip]) -> Iterator[Finding]:
    """Clips with the same content: they weigh twice, and on two sides of a split give the answer away."""
    same = [group for group in _same_files(clips) if len(group) > 1]
    if not same:
        return
    differing = [group for group in same if len({clip.label for clip in group}) > 1]
    for group in differing:
        labels = ", ".join(sorted({f"'{clip.label}'" for clip in group}))
        yield Finding("duplicate", f"{some_of(group)} are the same clip, labelled {labels}", names_of(group))
    plain = [group for group in same if group not in differing]
    if plain:
        extra = sum(len(group) - 1 for group in plain)
        yield Finding(
            "duplicate",
            f"{_clips(extra)} of the same content as another ({some_of(plain[0])})",
            names_of(clip for group in plain for clip in group),
        )


def _same_files(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips of the same part of files with the same content; only those of one size are read."""
    files = {
        os.path.realpath(clip.path): clip.path
        for clip in clips
        if clip.path is not None and clip.pictures is None
    }
    sizes = Counter(path.stat().st_size for path in files.values())
    digests = {
        real: _digest(path) if sizes[path.stat().st_size] > 1 else real for real, path in files.items()
    }
    groups: dict[Hashable, dict[str, Clip]] = {}
    for clip in clips:
        if clip.path is not None and clip.pictures is None:
            real = os.path.realpath(clip.path)  # the same file twice is told by its list
            groups.setdefault((digests[real], clip.part), {}).setdefault(real, clip)
    return [list(group.values()) for group in groups.values()]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _across(clips: Sequence[Clip], what: str, side: Callable[[Clip], Hashable | None]) -> Iterator[Finding]:
    """Groups, or files, on several sides of a split."""
    sides: dict[str, set[Hashable]] = {}
    for clip in clips:
        if (there := side(clip)) is not None:
            sides.setdefault(clip.belongs_to, set()).add(there)
    torn = sorted(name for name, there in sides.items() if len(there) > 1)
    if torn:
        more = f" and {len(torn) - SHOWN} more" if len(torn) > SHOWN else ""
        yield Finding(
            "group",
            f"{', '.join(torn[:SHOWN])}{more}: in more than one {what}; what is learnt there by heart would "
            "count as known",
            names_of(clip for clip in clips if clip.belongs_to in torn),
        )


def _overlaps(clips: Sequence[Clip]) -> Iterator[Finding]:
    """Parts of one file that overlap and have different labels."""
    parts: dict[Path, list[Clip]] = {}
    for clip in clips:
        if clip.path is not None and clip.key is None:
            parts.setdefault(clip.path, []).append(clip)
    found: list[Clip] = []
    for there in parts.values():
        ordered = sorted(there, key=lambda clip: clip.start or 0.0)
        for one, other in pairwise(ordered):
            ends = float("inf") if one.end is None else one.end
            if one.label != other.label and (other.start or 0.0) < ends:
                found += [one, other]
    if found:
        yield Finding(
            "overlap",
            f"parts of different labels overlap ({some_of(found)}); each would teach both",
            names_of(found),
        )


def _by_a_letter(one: str, other: str) -> bool:
    """Whether a letter was left out, added or mistaken; numbers differ by a digit, and short words anyhow."""
    short, long = sorted((one, other), key=len)
    if len(long) < 4 or len(long) - len(short) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    same = len(short) == len(long)
    if same and len(short) < 5:
        return False
    differing = long[start] + (short[start] if same and start < len(short) else "")
    return not any(map(str.isdigit, differing)) and short[start + same :] == long[start + 1 :]


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"


def names_of(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Of each its file and part."""
    return tuple(f"{clip.path or f'rendered {clip.seed}'}{clip.part}" for clip in clips)


def some_of(clips: Sequence[Clip]) -> str:
    """The first few, for a message."""
    names = [f"{clip.path.name if clip.path else clip.seed}{clip.part}" for clip in clips[:SHOWN]]
    return ", ".join(names) + (f" and {len(clips) - SHOWN} more" if len(clips) > SHOWN else "")
