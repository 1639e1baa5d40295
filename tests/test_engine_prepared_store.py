"""The folder of prepared networks: entries are whole or absent, checked, and bounded."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from a3d_edge.engine.prepared_store import Store, describe_entry, folder_bytes

A, B, C = (
    {"configuration": name, "bundle": "0123"} for name in ("w0.50-s32-t2", "w0.70-s32-t2", "w1.00-s32-t4")
)


def put(store: Store, identity: dict[str, str], size: int = 1000) -> Path:
    """An entry with one file of ``size`` bytes."""
    with store.making(identity, size) as work:
        (work / "weights.data").write_bytes(bytes(i % 251 for i in range(size)))
        describe_entry(work, identity)
    found = store.find(identity)
    assert found is not None
    return found


def age(folder: Path, seconds: float) -> None:
    """As if used so long ago."""
    then = folder.stat().st_mtime - seconds
    os.utime(folder, (then, then))


def test_an_entry_is_found_by_its_identity(tmp_path: Path) -> None:
    """And by nothing that differs in one value; its name says the configuration; only the user reads it."""
    store = Store(tmp_path / "made" / "folder", 10**6)
    assert store.find(A) is None
    folder = put(store, A)
    assert store.find(A) == Store(store.root, 0).find(A) == folder
    assert folder.name.startswith("w0.50-s32-t2-")
    assert store.find(B) is None
    assert store.find({**A, "bundle": "4567"}) is None
    assert [one.name for one in store.root.iterdir()] == [folder.name]
    assert (store.root.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o700, 0o700)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_not_finished_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """An error while it is made, or Ctrl-C."""
    store = Store(tmp_path, 10**6)

    def fail() -> None:
        with store.making(A, 10) as work:
            (work / "weights.data").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def flip(folder: Path) -> None:
    content = bytearray((folder / "weights.data").read_bytes())
    content[500] ^= 1
    (folder / "weights.data").write_bytes(content)


def truncate(folder: Path) -> None:
    with (folder / "weights.data").open("r+b") as file:
        file.truncate(999)


def remove(folder: Path) -> None:
    (folder / "weights.data").unlink()


def forget(folder: Path) -> None:
    (folder / "entry.json").unlink()


def garble(folder: Path) -> None:
    (folder / "entry.json").write_text('{"identity": ')


def mistype(folder: Path) -> None:
    (folder / "entry.json").write_text(json.dumps({"identity": dict(A), "files": ["weights.data"]}))


def rename(folder: Path) -> None:
    content = json.loads((folder / "entry.json").read_text())
    content["identity"]["bundle"] = "4567"
    (folder / "entry.json").write_text(json.dumps(content))


@pytest.mark.parametrize("damage", [flip, truncate, remove, forget, garble, mistype, rename])
@pytest.mark.parametrize("again", [False, True])
def test_a_damaged_entry_is_deleted(tmp_path: Path, damage: Callable[[Path], None], again: bool) -> None:
    """By this process, which has checked it before, or another; and can be made again."""
    store = Store(tmp_path, 10**6)
    folder = put(store, A)
    damage(folder)
    if again:
        store = Store(tmp_path, 10**6)
    assert store.find(A) is None
    assert list(tmp_path.iterdir()) == []
    assert put(store, A) == folder


def test_what_was_used_least_recently_makes_room(tmp_path: Path) -> None:
    """Use is what counts, not age; the one just made stays, whatever the limit."""
    store = Store(tmp_path, 3000)
    one, other = put(store, A), put(store, B)
    age(one, 20)
    age(other, 10)
    assert store.find(A) == one
    third = put(store, C, 1500)
    assert set(tmp_path.iterdir()) == {one, third}
    assert sum(map(folder_bytes, (one, third))) <= 3000
    large = put(store, B, 5000)
    assert set(tmp_path.iterdir()) == {large}


def test_room_is_made_before(tmp_path: Path) -> None:
    """A disk that is nearly full need not hold the old ones and the new one at once."""
    store = Store(tmp_path, 2500)
    put(store, A)
    with store.making(B, 2000) as work:
        assert list(tmp_path.iterdir()) == [work]
        describe_entry(work, B)


def test_a_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    """It may be deleted at any time."""
    store = Store(tmp_path / "folder", 10**6)
    folder = put(store, A)
    (tmp_path / "folder").rename(tmp_path / "elsewhere")
    assert store.find(A) is None
    assert put(store, A) == folder


def test_of_two_makers_the_first_wins(tmp_path: Path) -> None:
    """The second's is dropped; both find an entry."""
    one, other = Store(tmp_path, 10**6), Store(tmp_path, 10**6)
    with one.making(A, 10) as first, other.making(A, 10) as second:
        for work, text in ((first, "first"), (second, "second")):
            (work / "weights.data").write_text(text)
            describe_entry(work, A)
    found = one.find(A)
    assert found is not None
    assert found == other.find(A)
    assert (found / "weights.data").read_text() == "second"
    assert list(tmp_path.iterdir()) == [found]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """Once it is a minute old and nobody holds its lock; what is being made stays."""
    names = (".left.tmp", ".young.tmp", ".made.tmp")
    left, young, made = (tmp_path / name for name in names)
    for folder in (left, young, made):
        folder.mkdir()
        (folder / "weights.data").write_bytes(b"half")
    age(left, 100)
    age(made, 100)
    handle = os.open(made, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        put(Store(tmp_path, 10**6), A)
    finally:
        os.close(handle)
    assert {one.name for one in tmp_path.iterdir() if one.name.startswith(".")} == {".young.tmp", ".made.tmp"}


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """A graph is a program: only the user's own are run."""
    store = Store(tmp_path / "folder", 10**6)
    put(store, A)
    store.root.chmod(mode)
    for attempt in (store.find, lambda identity: put(store, identity)):
        with pytest.raises(PermissionError, match="may be written by others; 'chmod go-w' it"):
            attempt(A)
