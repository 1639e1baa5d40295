"""Atomic writing, against real failures: a full disk, a read-only place, Ctrl-C in the middle."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from a3d_edge.errors import ResourceError
from a3d_edge.files import new_directory, write_atomically


@pytest.fixture
def full_disk(small_disk: Path) -> Path:
    """A real 1 MB disk, nearly full."""
    (small_disk / "filler").write_bytes(b"x" * 600_000)
    return small_disk


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_appears_whole(tmp_path: Path) -> None:
    """Written, and nothing else is left in the folder; an older file is replaced."""
    path = tmp_path / "a.bin"
    for content in (b"first", b"second"):
        write_atomically(path, lambda temporary, content=content: temporary.write_bytes(content))
        assert path.read_bytes() == content
    assert names(tmp_path) == ["a.bin"]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set meanwhile."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


UMASKS = pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002, 0], indirect=True)


@UMASKS
def test_what_is_new_has_what_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    """Files and directories, and what is in them, as any program makes them; also if a writer is stricter."""

    def write(temporary: Path) -> None:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))

    for name, how in (("a.bin", Path.touch), ("b.bin", write)):
        write_atomically(tmp_path / name, how)
        assert mode(tmp_path / name) == 0o666 & ~umask
    with new_directory(tmp_path / "bundle") as work:
        (work / "x").touch()
    assert mode(tmp_path / "bundle") == 0o777 & ~umask
    assert mode(tmp_path / "bundle" / "x") == 0o666 & ~umask


@UMASKS
@pytest.mark.parametrize("kept", [0o600, 0o640, 0o666, 0o400])
def test_what_replaces_something_keeps_its_mode(tmp_path: Path, umask: int, kept: int) -> None:
    """What only its owner reads stays so, also while it is written."""
    path, seen = tmp_path / "a.bin", []

    def write(temporary: Path) -> None:
        seen.append(mode(temporary))
        temporary.write_bytes(b"new")

    path.write_bytes(b"old")
    path.chmod(kept)
    write_atomically(path, write)
    assert (path.read_bytes(), mode(path)) == (b"new", kept)
    assert seen[0] & ~(kept | 0o600) == 0
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle").chmod(kept | 0o100)
    with new_directory(tmp_path / "bundle") as work:
        assert mode(work) & ~(kept | 0o700) == 0
    assert mode(tmp_path / "bundle") == kept | 0o100


def test_the_old_file_is_there_while_the_new_one_is_written(tmp_path: Path) -> None:
    """Until the rename a reader sees the old content."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    seen = []

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"new")
        seen.append(path.read_bytes())

    write_atomically(path, write)
    assert seen == [b"old"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    """The error passes through, the half-written file is gone, the old one as it was."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"ne")
        raise error

    with pytest.raises(error):
        write_atomically(path, write)
    assert tree(tmp_path) == {"a.bin": b"old"}


def test_a_full_disk_is_a_resource_error_and_harms_nothing(full_disk: Path) -> None:
    """The message says which file and why; the old file is whole and the half-written one gone."""
    path = full_disk / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(ResourceError) as caught:
        write_atomically(path, lambda temporary: temporary.write_bytes(b"n" * 900_000))
    assert str(caught.value) == (
        f"{path}: writing failed (No space left on device: needs more than 0.44 MB, 0.44 MB free); "
        "nothing was changed"
    )
    assert path.read_bytes() == b"old"
    assert names(full_disk) == ["a.bin", "filler"]


def test_numpy_s_short_write_is_told_in_words(full_disk: Path) -> None:
    """numpy reports a full disk without an error number; the message still says what happened."""
    with pytest.raises(
        ResourceError, match=r"writing failed \(112500 requested and \d+ written: needs more than .*\)"
    ):
        write_atomically(full_disk / "a.npy", lambda temporary: _save(temporary, np.zeros(112_500)))
    assert names(full_disk) == ["filler"]


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def test_a_checkpoint_on_a_full_disk_is_a_resource_error(full_disk: Path) -> None:
    """PyTorch hides the disk's error behind its own; the older checkpoint stays loadable."""
    torch = pytest.importorskip("torch")
    from a3d_edge.models.checkpoint import Checkpoint, load, save
    from a3d_edge.models.slow import SlowDescription

    tiny = SlowDescription(name="tiny", blocks=(1, 1, 1, 1), base_width=8, classes=3, size=32, frames=4)
    path = full_disk / "c.pth"
    (full_disk / "filler").unlink()
    save(Checkpoint(tiny.build(), ("a", "b", "c")), path)
    before = path.read_bytes()
    larger = Checkpoint(tiny.build(), ("a", "b", "c"), resume={"momentum": torch.zeros(100_000)})
    with pytest.raises(ResourceError, match="No space left on device"):
        save(larger, path)
    assert path.read_bytes() == before
    assert names(full_disk) == ["c.pth"]
    assert load(path).classes == ("a", "b", "c")


def test_a_folder_that_is_not_there_cannot_be_written_to(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    path = tmp_path / "none" / "a.bin"
    with pytest.raises(ResourceError) as caught:
        write_atomically(path, lambda temporary: temporary.touch())
    assert str(caught.value) == f"{path}: cannot be written (No such file or directory); name another place"


def test_a_new_directory_takes_the_old_one_s_place(tmp_path: Path) -> None:
    """Parents are made; nothing of the old directory remains; nothing else is left beside it."""
    target = tmp_path / "deep" / "bundle"
    for number in range(2):
        with new_directory(target) as work:
            (work / "sub").mkdir()
            (work / f"{number}.bin").write_bytes(b"%d" % number)
            (work / "sub" / "x").write_bytes(b"x")
            assert not target.exists() or names(target) == ["0.bin", "sub"]
        assert tree(target) == {f"{number}.bin": b"%d" % number, "sub/x": b"x"}
    assert names(target.parent) == ["bundle"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("existed", [True, False])
def test_an_interrupted_directory_leaves_the_old_one(
    tmp_path: Path, error: type[BaseException], existed: bool
) -> None:
    """Ctrl-C or an error in the block: the old directory is as it was, or there is none; no leftovers."""
    target = tmp_path / "bundle"
    if existed:
        target.mkdir()
        (target / "old.bin").write_bytes(b"old")
    before = tree(tmp_path)

    def write() -> None:
        with new_directory(target) as work:
            (work / "new.bin").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert tree(tmp_path) == before
    assert names(tmp_path) == (["bundle"] if existed else [])


def test_a_full_disk_leaves_the_old_directory(full_disk: Path) -> None:
    """A bundle that does not fit is a `ResourceError`; the old one is as it was."""
    target = full_disk / "bundle"
    target.mkdir()
    (target / "weights.bin").write_bytes(b"old")
    words = r"bundle: writing failed \(No space left on device: needs more than \d"
    with pytest.raises(ResourceError, match=words), new_directory(target) as work:
        (work / "weights.bin").write_bytes(b"n" * 900_000)
    assert tree(target) == {"weights.bin": b"old"}
    assert names(full_disk) == ["bundle", "filler"]


def test_an_old_directory_that_cannot_be_moved_stays(tmp_path: Path) -> None:
    """A mount point cannot be renamed: the error is typed and the directory is as it was."""
    target = tmp_path / "bundle"
    target.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", target], check=False).returncode:
        pytest.skip("only root may mount, and not on every system")
    try:
        (target / "old.bin").write_bytes(b"old")
        with pytest.raises(ResourceError, match="nothing was changed"), new_directory(target) as work:
            (work / "new.bin").write_bytes(b"new")
        assert tree(target) == {"old.bin": b"old"}
        assert names(tmp_path) == ["bundle"]
    finally:
        subprocess.run(["umount", "-l", target], check=True)


def test_a_directory_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    """The message names the target."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    words = r"file/bundle: cannot be written .*; name another place"
    with pytest.raises(ResourceError, match=words), new_directory(tmp_path / "file" / "bundle"):
        pass
