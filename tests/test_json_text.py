"""JSON for every reader: no NaN, no halves of letters."""

from __future__ import annotations

import json
import math

from a3d_edge.json_text import json_text


def test_plain_values_are_as_json_writes_them() -> None:
    """Emoji, which are pairs of surrogates in JSON, among them."""
    value = {"a": [1, 2.5, None, True], "grün": "🙂", "b": {"c": ()}}
    assert json.loads(json_text(value)) == {"a": [1, 2.5, None, True], "grün": "🙂", "b": {"c": []}}
    assert json_text(value).isascii()


def test_numbers_that_json_lacks_are_null() -> None:
    """At any depth."""
    assert json_text({"a": [math.nan, {"b": math.inf}], "c": (-math.inf, 1.0)}) == (
        '{"a": [null, {"b": null}], "c": [null, 1.0]}'
    )


def test_bytes_of_names_that_are_no_text() -> None:
    """Shown; letters beside them, and those that an ASCII locale hid, are letters. Keys too."""
    assert json.loads(json_text({"caf\udce9\U0001f642": ["\udcc3\udca9", "\ud800", "ü\udcff"]})) == {
        "caf\\xe9🙂": ["é", "\\ud800", "ü\\xff"]
    }
