"""The folder of prepared networks: entries are whole or absent, checked, and bounded."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from a3d_edge.engine.cache.store import Store, describe_entry, folder_bytes, own_entries

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


def test_it_is_counted_and_cleared(tmp_path: Path) -> None:
    """Entries alone: what a person put there stays. A folder that is not there holds nothing."""
    assert Store(tmp_path / "none", 10**6).usage() == Store(tmp_path / "none", 10**6).clear() == (0, 0, 10**6)
    store = Store(tmp_path / "folder", 10**6)
    held = sum(folder_bytes(put(store, one)) for one in (A, B))
    (store.root / "notes.txt").write_text("mine")
    assert store.usage() == (2, held, 10**6)
    assert store.clear() == (2, held, 10**6)
    assert [path.name for path in store.root.iterdir()] == ["notes.txt"]
    assert store.find(A) is None


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
    names = [f".a3d-edge-{digit * 16}.tmp" for digit in "123"]
    left, young, made = (tmp_path / name for name in names)
    for folder in (left, young, made):
        folder.mkdir()
        (folder / "entry.json").write_text(json.dumps({"identity": B, "files": {}}))
        (folder / "weights.data").write_bytes(b"half")
    age(left, 100)
    age(made, 100)
    handle = os.open(made, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        put(Store(tmp_path, 10**6), A)
    finally:
        os.close(handle)
    assert {one.name for one in tmp_path.iterdir() if one.name.startswith(".")} == set(names[1:])


def test_being_killed_leaves_what_is_swept(tmp_path: Path) -> None:
    """From the first moment it is known as ours."""
    store = Store(tmp_path, 10**6)
    with store.making(A, 10) as work:
        (work / "weights.data").write_bytes(b"half")
        (copy := tmp_path / f".a3d-edge-{'0' * 16}.tmp").mkdir()
        for path in work.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        describe_entry(work, A)
    age(copy, 100)
    put(store, B)
    assert not copy.exists()


# What is not ours


def record(identity: dict[str, str], files: object) -> str:
    return json.dumps({"identity": identity, "files": files})


def own_name(identity: dict[str, str]) -> str:
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return f"{identity['configuration']}-{key}"


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Every path below, with its content, or where a link leads."""
    return {
        str(one.relative_to(folder)): str(one.readlink())
        if one.is_symlink()
        else one.read_bytes()
        if one.is_file()
        else None
        for one in folder.rglob("*")
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which somebody works, with all that only looks like ours; and what its links lead to."""
    root, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    entry, wrong = "w1.00-s224-t8-0123456789abcdef", {**B, "bundle": "other"}
    work = f".a3d-edge-{'4' * 16}.tmp"
    for name in ("src", "data", ".git", ".cache.tmp", f".a3d-edge-{'5' * 16}.tmp", "w0.50-s32-t2-x", entry):
        (root / name).mkdir(parents=True)
        (root / name / "w1.00.frame.onnx").write_bytes(b"precious" * 1000)
    # Records: of another name, of another kind, ours but with more beside, ours in a link.
    (root / entry / "entry.json").write_text(record(B, {"w1.00.frame.onnx": {}}))
    for name, text in ((own_name(wrong), "[]"), (own_name(B), record(B, {})), (work, record(B, {}))):
        (root / name / "deep").mkdir(parents=True)
        (root / name / "deep" / "file").write_bytes(b"precious")
        (root / name / "entry.json").write_text(text)
    elsewhere.mkdir()
    (elsewhere / "entry.json").write_text(record(C, {"weights.data": {}}))
    (elsewhere / "weights.data").write_bytes(b"precious")
    (root / own_name(C)).symlink_to(elsewhere)
    (root / f".a3d-edge-{'6' * 16}.tmp").symlink_to(elsewhere)
    (root / "notes.txt").write_bytes(b"precious")
    for one in root.iterdir():
        if not one.is_symlink():
            os.utime(one, (0, 0))
    os.utime(elsewhere, (0, 0))
    return tmp_path


def test_nothing_that_is_not_ours_is_counted_or_deleted(project: Path) -> None:
    """Making room, sweeping, whatever the limit: folders of others, links, our names with other content."""
    root, before = project / "project", tree(project)
    assert own_entries(root) == []
    store = Store(root, 1)
    folder = put(store, A)
    assert own_entries(root) == [folder]
    put(Store(root, 1), {**A, "bundle": "another"})
    assert not folder.exists()
    store.discard({**A, "bundle": "another"})
    assert tree(project) == before


@pytest.mark.parametrize("identity", [B, C])
def test_what_has_our_name_but_is_not_ours_stays(project: Path, identity: dict[str, str]) -> None:
    """A folder with more in it, and a link, where an entry would be: neither used nor deleted."""
    before, store = tree(project), Store(project / "project", 10**6)
    for attempt in (store.find, store.discard):
        with pytest.raises(PermissionError, match="is none of our folders; move it away"):
            attempt(identity)
    assert tree(project) == before


@pytest.mark.parametrize("name", ["../outside.data", "/etc/passwd", "link.data", "folder.data"])
def test_a_record_that_leads_elsewhere_is_damage(tmp_path: Path, name: str) -> None:
    """Only plain files in the entry itself count as its files."""
    store = Store(tmp_path / "folder", 10**6)
    folder = put(store, A)
    (tmp_path / "folder" / "outside.data").write_bytes(b"x")
    (tmp_path / "outside.data").write_bytes(b"x")
    content = json.loads((folder / "entry.json").read_text())
    content["files"][name] = {"bytes": 1, "crc32": 0}
    (folder / "entry.json").write_text(json.dumps(content))
    if name == "link.data":
        (folder / name).symlink_to(tmp_path / "outside.data")
    if name == "folder.data":
        (folder / name).mkdir()
    with contextlib.suppress(PermissionError):
        assert store.find(A) is None
    assert (tmp_path / "outside.data").exists()
    assert (tmp_path / "folder" / "outside.data").exists()


def test_an_entry_that_others_may_write_is_made_again(tmp_path: Path) -> None:
    """What is in it may be anybody's."""
    store = Store(tmp_path, 10**6)
    folder = put(store, A)
    folder.chmod(0o777)
    assert store.find(A) is None
    assert put(store, A) == folder


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """A graph is a program: only the user's own are run."""
    store = Store(tmp_path / "folder", 10**6)
    put(store, A)
    store.root.chmod(mode)
    for attempt in (store.find, lambda identity: put(store, identity)):
        with pytest.raises(PermissionError, match="may be written by others; 'chmod go-w' it"):
            attempt(A)
