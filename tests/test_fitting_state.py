"""What a fit remembers: done is what was made from the same and is still as it was left."""

from __future__ import annotations

from pathlib import Path

import pytest

from a3d_edge.errors import UsageError
from a3d_edge.fitting.state import State, fingerprint


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_a_step_is_done_once_it_is_recorded(state: State, tmp_path: Path) -> None:
    """With its result, and only for what it was made from; other steps stay as they were."""
    file = tmp_path / "net.pth"
    file.write_bytes(b"weights")
    assert state.done("train", "a") is None
    state.record("train", "a", {"seconds": 3.0}, {"net.pth": file})
    state.record("export", "b", {}, {})
    assert state.done("train", "a") == {"seconds": 3.0}
    assert State(tmp_path).done("export", "b") == {}
    assert state.done("train", "another") is None


@pytest.mark.parametrize("change", ["altered", "gone"])
def test_a_file_that_is_not_as_it_was_left(state: State, tmp_path: Path, change: str) -> None:
    """Its step is done again."""
    file = tmp_path / "net.pth"
    file.write_bytes(b"weights")
    state.record("train", "a", {}, {"net.pth": file})
    file.write_bytes(b"other") if change == "altered" else file.unlink()
    assert state.done("train", "a") is None


def test_a_folder_is_known_by_all_its_files(state: State, tmp_path: Path) -> None:
    """A file more, or another content, and it is another one."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    state.record("export", "b", {}, {"bundle": folder})
    assert state.done("export", "b") == {}
    (folder / "c").write_bytes(b"2")
    assert state.done("export", "b") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 9}', "\0"])
def test_a_record_that_is_none_is_refused(state: State, tmp_path: Path, content: str) -> None:
    """In one line that says what to do."""
    (tmp_path / "fit.json").write_text(content)
    with pytest.raises(UsageError, match=r"fit\.json: .*; delete it to fit anew"):
        state.done("train", "a")


def test_a_fingerprint_tells_values_apart() -> None:
    """The same for the same, whatever the order of keys."""
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", 1) != fingerprint("a", 2)
