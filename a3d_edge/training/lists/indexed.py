"""Lists of PySlowFast and mmaction2: a clip and its class's number on every line, without a header.

Names of the classes come from the one file beside the list whose name has ``class`` or ``label`` in it and
that has enough of them: a name a line (also after its number), or JSON of names and numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from a3d_edge.errors import SourceError
from a3d_edge.reading import read_regular
from a3d_edge.training.lists.class_folders import VIDEO_SUFFIXES
from a3d_edge.training.lists.row import ListRow

__all__ = ["read_rows", "recognised"]

LINE = re.compile(r"\s*(?P<path>\S.*?)[\s,;]+(?P<index>\d+)\s*")
FRAMES = re.compile(r"\s*(?P<folder>\S+)\s+\d+\s+\d+\s*")
"""Of mmaction2: a folder of pictures, how many, the class."""
NAMES_BYTES = 16_000_000
NAMES = re.compile(r"class|label", re.IGNORECASE)


def recognised(text: str) -> bool:
    """Whether the first lines all are something and a number, the first of them a video or frames."""
    lines = [line for line in text.splitlines() if line.strip()][:20]
    if not lines or not all(LINE.fullmatch(line) for line in lines):
        return False
    return _is_video(lines[0]) or FRAMES.fullmatch(lines[0]) is not None


def _is_video(line: str) -> bool:
    found = LINE.fullmatch(line)
    return found is not None and Path(found["path"]).suffix.lower() in VIDEO_SUFFIXES


def read_rows(path: Path, text: str) -> Iterator[ListRow]:
    """The rows of a list. Raises `SourceError` for one of frames, or a line of another kind."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not _is_video(lines[0][1]) and FRAMES.fullmatch(lines[0][1]):
        raise SourceError(
            f"{path}: lists folders of frames (mmaction2's rawframes), which are not read; list the videos "
            "they were taken from, as 'path label' or in a CSV with path,label"
        )
    found = []
    for number, line in lines:
        row = LINE.fullmatch(line)
        if row is None:
            raise SourceError(f"{path}:{number}: is no 'path number' like the lines above it")
        found.append((number, row["path"], int(row["index"])))
    names = _class_names(path, 1 + max(index for _, _, index in found))
    for number, clip, index in found:
        yield ListRow(f"{path}:{number}", {"path": clip, "label": names[index] if names else str(index)})


def _class_names(path: Path, count: int) -> Sequence[str] | None:
    """The names of at least ``count`` classes; None where no file beside the list has them."""
    for file in sorted(path.parent.iterdir()):
        if file != path and NAMES.search(file.stem) and file.suffix.lower() in (".txt", ".json", ".csv"):
            names = _names_in(file)
            if len(names) >= count:
                return names
    return None


def _names_in(file: Path) -> Sequence[str]:
    """Class names by their numbers; none where it is another kind of file."""
    try:
        text = read_regular(file, NAMES_BYTES).decode("utf-8-sig")
        if file.suffix.lower() == ".json":
            return _of_json(json.loads(text))
    except (OSError, ValueError):
        return ()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or any(_is_video(line) or "," in line for line in lines):
        return ()
    numbered = [re.fullmatch(r"(\d+)\s+(\S.*)", line) for line in lines]
    pairs = [(int(one[1]), one[2]) for one in numbered if one is not None]
    if len(pairs) == len(lines):
        first = min(number for number, _ in pairs)
        return _ordered([(number - (first == 1), name) for number, name in pairs])
    return lines


def _of_json(content: object) -> Sequence[str]:
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if isinstance(content, dict) and all(type(number) is int for number in content.values()):
        return _ordered([(number, str(name).strip('"')) for name, number in content.items()])
    return ()


def _ordered(pairs: list[tuple[int, str]]) -> Sequence[str]:
    """Names by number, if those are 0, 1, 2, …"""
    pairs = sorted(pairs)
    return [name for _, name in pairs] if [n for n, _ in pairs] == list(range(len(pairs))) else ()
