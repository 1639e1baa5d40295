"""The files of a list: its own text, and the clips that it names, which may have moved since."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from a3d_edge.errors import SourceError
from a3d_edge.reading import read_regular
from a3d_edge.training.lists.class_folders import VIDEO_SUFFIXES

__all__ = ["files_below", "find_clip", "is_file", "moved_clip", "rate_of", "text_of"]

LIST_BYTES = 64_000_000
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
BESIDE = ("", "data", "videos", "images")
"""Folders beside an export that hold its clips."""
UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""


def text_of(path: Path) -> str:
    """A list's text. Raises `SourceError` that says what the file is where it is no text."""
    try:
        content = read_regular(path, LIST_BYTES)
    except OSError as error:
        raise SourceError(f"{path}: cannot read the list of clips ({error.strerror or error})") from error
    encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise _no_text(path, content) from error
        line = content.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path}:{line}: cannot read the list of clips, it is no {encoding.upper()}; save it as UTF-8"
        ) from error
    if "\0" in text:
        raise _no_text(path, content)
    return text


def _no_text(path: Path, content: bytes) -> SourceError:
    what = "a spreadsheet or another archive; save it as CSV" if content.startswith(b"PK") else (
        "no text; name a CSV with the columns path,label, or a folder of class folders"
    )  # fmt: skip
    return SourceError(f"{path}: cannot read the list of clips, it is {what}")


def is_file(path: Path) -> bool:
    """Whether a file is there; no for what can be no file's name, such as a cell of a thousand letters."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def find_clip(folder: Path, name: str) -> Path | None:
    """The file that is meant: a list and a disk may write the same accents in different ways."""
    spelled = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return next((folder / each for each in spelled if is_file(folder / each)), None)


def moved_clip(export: Path, name: str) -> Path | None:
    """The clip that another tool's export names by where the tool had it: a path, a URL, an upload.

    It is looked for where it was, then beside the export by ever less of its path.
    """
    folders = [export.parent / beside for beside in BESIDE]
    tried = (find_clip(folder, spelled) for spelled in _spellings(name) for folder in folders)
    return next((found for found in tried if found is not None), None)


def _spellings(name: str) -> Iterator[str]:
    yield name
    parts = urlsplit(name)
    inner = parse_qs(parts.query).get("d", [parts.path])[0]  # Label Studio: /data/local-files/?d=videos/a.mp4
    pieces = [piece for piece in unquote(inner).replace("\\", "/").split("/") if piece not in ("", "..")]
    for first in range(len(pieces)):
        yield "/".join(pieces[first:])
    if pieces:
        yield UPLOADED.sub("", pieces[-1], count=1)


@lru_cache(maxsize=4096)
def rate_of(clip: Path) -> float:
    """Frames a second of a clip, by which frame numbers become seconds. Raises `SourceError`."""
    from a3d_edge.video.files import VideoFile

    video = VideoFile(str(clip.absolute()), str(clip))
    try:
        rate = video.frame_rate
    finally:
        video.close()
    if not rate:
        raise SourceError(f"{clip}: does not say its frames a second, so frame numbers cannot be placed")
    return rate


def files_below(folder: Path) -> dict[str, Path]:
    """Every video below a folder by its name without suffix."""
    found = (Path(place) / name for place, _, names in os.walk(folder.absolute()) for name in sorted(names))
    return {file.stem: file for file in found if file.suffix.lower() in VIDEO_SUFFIXES}
