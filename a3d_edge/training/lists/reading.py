"""Which list it is, by its content: our CSV, or what another tool writes.

    text ─┬ <xml          CVAT for video
          ├ boxes         AVA
          ├ { or [        Label Studio, FiftyOne
          ├ youtube_id    Kinetics
          ├ id, actions   Charades
          ├ clip number   PySlowFast, mmaction2
          └ else          CSV

Each reader gives the same rows; nothing has to be said of what a file is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from a3d_edge.errors import SourceError
from a3d_edge.training.lists import ava_list, charades, cvat, fiftyone, indexed, kinetics, label_studio
from a3d_edge.training.lists.csv_list import read_rows
from a3d_edge.training.lists.files import text_of
from a3d_edge.training.lists.row import ListRow

__all__ = ["rows_of"]

ADVICE = "write a CSV with the columns path,label,start,end (s) instead"
MANIFESTS = {
    frozenset(("images", "annotations", "categories")): "boxes on pictures (COCO)",
    frozenset(("database",)): "ActivityNet or THUMOS",
    frozenset(("categories", "items")): "Datumaro's JSON; export from CVAT as 'CVAT for video 1.1'",
    frozenset(("metadata", "project")): "VIA, the VGG Image Annotator",
    frozenset(("metadata", "instances")): "SuperAnnotate",
    frozenset(("bundle", "configurations")): "a table or bundle of ours, no list of clips",
}
"""What a JSON object is whose keys hold all of these."""


def rows_of(path: Path) -> Iterable[ListRow]:
    """The rows of a list of any kind. Warns with `DataWarning` of what is not used.

    Raises `SourceError` that names the file and the place in it, or says what the file looks like.
    """
    text = text_of(path)
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start == "<":
        return _of_xml(path, text)
    if start and start in "[{":
        return _of_json(path, text)
    if ava_list.recognised(text):
        return ava_list.read_rows(path)
    if kinetics.recognised(text):
        return kinetics.read_rows(path, text)
    if charades.recognised(text):
        return charades.read_rows(path, text)
    if indexed.recognised(text):
        return indexed.read_rows(path, text)
    return read_rows(path, text)


def _of_xml(path: Path, text: str) -> Iterable[ListRow]:
    if "<!ENTITY" in text:
        raise SourceError(f"{path}: defines XML entities, which no export of annotations does; not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise SourceError(f"{path}: cannot be read as XML ({error})") from error
    if root.tag == "annotations":
        return cvat.read_rows(path, root)
    looks = {"annotation": "boxes on one picture (Pascal VOC)", "ANNOTATION_DOCUMENT": "ELAN"}
    raise SourceError(
        f"{path}: looks like {looks.get(root.tag, f'XML of another tool, <{root.tag}>')}; {ADVICE}"
    )


def _of_json(path: Path, text: str) -> Iterable[ListRow]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}); {ADVICE}") from error
    for reader, tool in ((label_studio, "Label Studio"), (fiftyone, "FiftyOne")):
        if reader.recognised(content):
            return _guarded(reader.read_rows(path, content), f"{path}: looks like an export of {tool}")
    raise SourceError(f"{path}: looks like {_looks_like(content)}; {ADVICE}")


def _guarded(rows: Iterator[ListRow], what: str) -> Iterator[ListRow]:
    """The rows; where a value is of another kind than the tool writes, one line instead of a traceback."""
    try:
        yield from rows
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{what}, but a value is not as it writes them ({error!r}); {ADVICE}") from error


def _looks_like(content: object) -> str:
    if isinstance(content, dict):
        known = (what for keys, what in MANIFESTS.items() if keys <= content.keys())
        return next(known, f"JSON of another tool, with {_keys(content)}")
    first = content[0] if isinstance(content, list) and content else {}
    if not isinstance(first, dict) or not first:
        return "JSON without any clip"
    if {"tags", "tracks"} <= first.keys():
        return "a backup of CVAT; export as 'CVAT for video 1.1'"
    if "annotation_id" in first and "annotator" in first:
        return "Label Studio's JSON-MIN; export as JSON"
    return f"a JSON list of another tool, with {_keys(first)}"


def _keys(content: dict[str, object]) -> str:
    return ", ".join(sorted(map(str, content))[:6]) or "nothing"
