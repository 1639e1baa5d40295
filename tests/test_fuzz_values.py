"""Whatever a file says, it is refused in one line of ours, or meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import sign_again
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Budget, Configuration
from a3d_edge.errors import A3DEdgeError, UsageError
from a3d_edge.manifest import check_manifest, manifest_digest, manifest_text, read_manifest
from a3d_edge.table import ConfigurationBudgetTable, DeviceProfile

MANIFEST = json.loads((Bundle.default().path / "manifest.json").read_text())
TABLE = json.loads((Bundle.default().path / "table.json").read_text())
FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.floats() | st.integers() | st.sampled_from([10**400, -(10**30), 1e308, 5e-324, 0, -1])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key path, the first two of long lists."""
    found = [path] if path else []
    if isinstance(content, dict):
        for key, value in list(content.items())[:40]:
            found += places(value, (*path, key))
    elif isinstance(content, list):
        for place, value in enumerate(content[:2]):
            found += places(value, (*path, place))
    return found


def put(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value there."""
    if not path:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[path[0]] = put(content[path[0]], path[1:], value)
    return copy


def refused(what: Callable[[], object]) -> A3DEdgeError | None:
    """Our own error, if it is one."""
    try:
        what()
    except A3DEdgeError as error:
        return error
    return None


def one_line(error: BaseException) -> bool:
    from a3d_edge.shown import shown

    return len(shown(str(error)).splitlines()) == 1


@FUZZ
@given(path=st.sampled_from(places(MANIFEST)), value=values)
def test_any_value_in_a_manifest(tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    """Signed, as by somebody who means it."""
    content = put(MANIFEST, path, value)
    file = tmp_path / "manifest.json"
    try:
        content["sha256"] = manifest_digest(content)
        file.write_bytes(manifest_text(content).encode())
    except ValueError:  # Python writes no integer of so many digits, nor half letters
        return
    said = refused(lambda: check_manifest(file, read_manifest(file)))
    assert said is None or one_line(said)


@FUZZ
@given(path=st.sampled_from(places(TABLE)), value=values)
def test_any_value_in_a_table(tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    """A table that is read can be ordered, selected from, and written."""
    file = tmp_path / "table.json"
    try:
        file.write_text(json.dumps(put(TABLE, path, value)), encoding="utf-8")
    except ValueError:
        return
    if (said := refused(lambda: ConfigurationBudgetTable.load(file))) is not None:
        assert one_line(said)
        return
    table = ConfigurationBudgetTable.load(file)
    assert table.worthwhile
    assert "NaN" not in table.to_json()
    assert "Infinity" not in table.to_json()


@FUZZ
@given(st.binary(max_size=200) | values.map(lambda value: repr(value).encode("utf-8", "replace")))
def test_any_bytes_as_a_file(tmp_path: Path, data: bytes) -> None:
    """In the place of a manifest, a table and a profile."""
    file = tmp_path / "manifest.json"
    file.write_bytes(data)
    for read in (read_manifest, ConfigurationBudgetTable.load, DeviceProfile.load):
        with pytest.raises(A3DEdgeError) as caught:
            read(file)
        assert one_line(caught.value)


@FUZZ
@given(st.text(max_size=40) | st.from_regex(r"w?[0-9.]{1,9}(-s[0-9]{1,5})?(-t[0-9]{1,4})?[a-zA-Z]{0,6}"))
def test_any_text_as_a_budget_or_a_configuration(text: str) -> None:
    """What is parsed is written as it is read."""
    with suppress(UsageError):
        budget = Budget.parse(text)
        assert budget.amount > 0
        assert Budget.parse(str(budget)).kind == budget.kind
    with suppress(UsageError):
        configuration = Configuration.parse(text)
        assert Configuration.parse(str(configuration)) == configuration


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda m: m["classes"].__setitem__(0, "\x1b]0;x\x07"),
            r"classes\[0\]: .* is no name that can be shown",
        ),
        (lambda m: m["origin"].update(x=[float("nan")]), r"origin\.x\[0\]: nan is no number"),
        (lambda m: m["sampling"].update(rate=1e300), r"sampling\.rate: 1e\+300 is no number"),
        (lambda m: m["sampling"].update(frames=10**6), "sampling of 1000000 frames"),
        (lambda m: m.update(classes=[str(i) for i in range(30_000)]), "classes: Tuple should have at most"),
        (
            lambda m: m["files"]["weights.bin"].update(bytes=1 << 50),
            r"files\.weights\.bin\.bytes|is no number",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Any, why: str) -> None:
    """By its key."""
    import shutil

    folder = tmp_path / "bundle"
    shutil.copytree(Bundle.default().path, folder)
    sign_again(folder, change)
    with pytest.raises(A3DEdgeError, match=why):
        Bundle.load(folder)


def test_a_manifest_that_is_too_large_or_deep_is_not_parsed(tmp_path: Path) -> None:
    """Whatever it would say."""
    file = tmp_path / "manifest.json"
    for text, why in (
        ('"' + "x" * 9_000_000 + '"', "more than the 8 MB that are read"),
        ("[" * 100_000, "nested too deep"),
        ('{"origin": ' * 975 + "1" + "}" * 975, "nested too deep|schema_version"),
    ):
        file.write_text(text)
        with pytest.raises(A3DEdgeError, match=why):
            read_manifest(file)
