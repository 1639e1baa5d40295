"""The published schema of JSON events, closed: in a test a field that it does not know is a mistake too."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema


@cache
def schema() -> dict[str, Any]:
    """As it is shipped."""
    found: dict[str, Any] = json.loads((files("a3d_edge") / "events.schema.json").read_text(encoding="utf-8"))
    return found


@cache
def kinds() -> dict[str, str]:
    """Which definitions are events: their names in ``$defs``, and what ``event`` is in them."""
    names = [one["$ref"].rpartition("/")[2] for one in schema()["anyOf"]]
    return {name: schema()["$defs"][name]["properties"]["event"]["const"] for name in names}


def kind_of(line: dict[str, Any]) -> str:
    """The definition that a line fits. Raises the validator's error of the likeliest if there is none."""
    named = [name for name, event in kinds().items() if event == line.get("event")]
    assert named, f"the schema has no event {line.get('event')!r}"
    errors = {name: list(_validator(name).iter_errors(line)) for name in named}
    fitting = [name for name, found in errors.items() if not found]
    if len(fitting) != 1:
        raise AssertionError(f"{line} fits {fitting} of {named}: {min(errors.values(), key=len)[:3]}")
    return fitting[0]


def kinds_of(out: str) -> list[str]:
    """The same of every line of a command's output."""
    return [kind_of(json.loads(line)) for line in out.splitlines()]


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    definitions = _closed(schema()["$defs"])
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})


def _closed(part: Any) -> Any:
    """Objects whose fields are listed have no others."""
    if isinstance(part, list):
        return [_closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    inner = {key: _closed(value) for key, value in part.items()}
    listed = isinstance(inner.get("properties"), dict) and isinstance(inner.get("required"), list)
    return {**inner, "additionalProperties": False} if listed else inner
