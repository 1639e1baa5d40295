"""JSON that every reader takes: no NaN or infinity, and no half letters of names that are no text.

And objects as others have written them, with one kind of error for all that may be wrong.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

__all__ = ["json_object", "json_text"]

_STRICT = json.JSONEncoder(allow_nan=False)
_SURROGATE = "\\ud"


def json_text(value: Any) -> str:
    """``value`` as one line of ASCII. NaN and infinity are null, bytes that are no text ``\\xe9``."""
    try:
        text = _STRICT.encode(value)
    except ValueError:  # a number that JSON does not have
        return _STRICT.encode(_cleaned(value))
    return _STRICT.encode(_cleaned(value)) if _SURROGATE in text else text


def json_object(text: str | bytes, *, strict: bool = False) -> dict[str, Any]:
    """An object; ``strict``: without NaN and infinity. Raises `ValueError` that says why in a few words."""
    try:
        found = json.loads(text, parse_constant=_no_number if strict else None)
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON, a huge number
        raise ValueError(f"no JSON ({str(error)[:100]})") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _readable(value) if isinstance(value, str) else value


def _readable(text: str) -> str:
    """With the letters that its bytes are, where the locale hid them: Python keeps such bytes apart."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that no byte of a name was
        data = text.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")
