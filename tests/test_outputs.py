"""Where commands may write: asked before the work, and nothing that is there is lost."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from a3d_edge.errors import A3DEdgeError, ResourceError, UsageError
from a3d_edge.outputs import claim, claim_folder, require_room, require_writable


def refusal(call: Any, *arguments: Any, kind: type[A3DEdgeError] = UsageError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_a_new_file_in_a_folder_is_granted_and_nothing_left(tmp_path: Path) -> None:
    """What was tried is removed again."""
    claim(tmp_path / "net.pth", inputs=[tmp_path / "in.pth", None])
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    """A file, and a link that leads nowhere; the message says what else helps."""
    old, link = tmp_path / "net.pth", tmp_path / "link.pth"
    old.write_bytes(b"old")
    link.symlink_to("nowhere")
    for path in (old, link):
        assert refusal(claim, path, instead="`resume` to go on, ") == (
            f"`out` {path}: exists; add `overwrite` to replace it, `resume` to go on, or name another"
        )
        claim(path, overwrite=True)
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["in.csv", "hard.csv", "soft.csv", "sub/../in.csv"])
def test_an_input_is_never_replaced(tmp_path: Path, name: str) -> None:
    """By whatever name it is called, and with `overwrite` too."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "in.csv").write_bytes(b"in")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "in.csv")
    (tmp_path / "soft.csv").symlink_to("in.csv")
    said = refusal(claim, tmp_path / name, inputs=[None, tmp_path / "in.csv"], overwrite=True, name="save")
    assert said == f"`save` {tmp_path / name}: is {tmp_path}/in.csv, which is read; name another"


def test_an_input_that_is_yet_to_come_is_one(tmp_path: Path) -> None:
    """``--scores x `out` x``, where there is no x."""
    said = refusal(claim, tmp_path / "x", inputs=[tmp_path / "sub" / ".." / "x"])
    assert said.endswith("which is read; name another")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "is a folder; name a file to write, such as"),
        ("no/net.pth", "no such folder {}/no"),
        ("file/net.pth", "no such folder {}/file"),
        ("pipe", "is no plain file; name another"),
        ("x" * 300, "cannot be written (File name too long); name another"),
        ("x" * 250, "cannot be written (File name too long); name another place"),
    ],
)
def test_what_cannot_be_a_file(tmp_path: Path, name: str, said: str) -> None:
    """A folder, a place in none, a pipe, and a name too long for the temporary file beside it."""
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    message = refusal(claim, tmp_path / name, overwrite=True)
    assert message.startswith(f"`out` {tmp_path / name}: ")
    assert said.format(tmp_path) in message


def test_a_device_is_not_replaced() -> None:
    """As ```out` /dev/null`` would be, by whoever may."""
    assert (
        refusal(claim, Path("/dev/null"), overwrite=True) == "`out` /dev/null: is no plain file; name another"
    )


def test_the_name_s_end_says_the_kind(tmp_path: Path) -> None:
    """In any case."""
    claim(tmp_path / "a.PNG", suffixes=(".png", ".svg"))
    said = refusal(claim, tmp_path / "a.gif", suffixes=(".png", ".svg"))
    assert said.endswith("a.gif: unknown kind of file; end its name with .png or .svg")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, ResourceError), (errno.EDQUOT, ResourceError), (errno.EROFS, UsageError)],
)
def test_a_place_that_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[A3DEdgeError]
) -> None:
    """Tried for real: a full disk is a lack of resources, a read-only one a place that cannot be meant."""

    def sync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)
    said = refusal(require_writable, tmp_path / "net.pth", kind=kind)
    assert said.startswith(f"`out` {tmp_path}/net.pth: cannot be written ({os.strerror(number)}")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_closed(tmp_path: Path) -> None:
    """A folder of the kernel's takes no file, whoever asks."""
    assert "cannot be written" in refusal(claim, Path("/proc/net.pth"))


def test_room_for_what_is_known_to_come(tmp_path: Path) -> None:
    """Such as a checkpoint of so many weights."""
    require_room(tmp_path / "net.pth", 1)
    said = refusal(require_room, tmp_path / "net.pth", 10**18, kind=ResourceError)
    assert said.startswith(f"`out` {tmp_path}/net.pth: needs 1000000000000 MB, its disk has ")


def test_a_new_or_empty_folder_is_granted(tmp_path: Path) -> None:
    """Also one whose parents are not there yet; nothing is made."""
    (tmp_path / "empty").mkdir()
    claim_folder(tmp_path / "empty")
    claim_folder(tmp_path / "a" / "b" / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_folder_with_something_in_it(tmp_path: Path) -> None:
    """Is replaced on demand alone, and never with what is read in it."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "net.pth").write_bytes(b"x")
    assert "exists; add `overwrite`" in refusal(claim_folder, tmp_path / "old")
    claim_folder(tmp_path / "old", overwrite=True)
    read = [tmp_path / "old" / "net.pth"]
    assert "holds " in refusal(claim_folder, tmp_path / "old", inputs=read, overwrite=True)


def test_what_cannot_be_swapped_for_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one stands, above it, a link to a folder, a file, below a file."""
    (tmp_path / "here").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    for path in (".", "..", str(tmp_path / "here")):
        said = refusal(claim_folder, Path(path), overwrite=True)
        assert said == f"`out` {path}: is the folder you are in, or above it; name a new folder"
    for name in ("file", "link"):
        assert "is no plain folder" in refusal(claim_folder, tmp_path / name, overwrite=True)
    assert "no such folder" in refusal(claim_folder, tmp_path / "file" / "bundle")


def test_the_try_leaves_nothing_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file goes whatever happens."""
    made: list[str] = []
    real = tempfile.NamedTemporaryFile

    def named(**options: Any) -> Any:
        file = real(**options)
        made.append(file.name)
        return file

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", named)
    require_writable(tmp_path / "net.pth")
    assert [Path(name).parent for name in made] == [tmp_path]
    assert list(tmp_path.iterdir()) == []
