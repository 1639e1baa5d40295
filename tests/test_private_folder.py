"""A folder is the user's alone only if every folder and link on the way to it is."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from a3d_edge import private_folder
from a3d_edge.private_folder import make_private, refuse_shared, shared_place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three levels below a folder of our own."""
    made = tmp_path / "one" / "two" / "three"
    make_private(made)
    return made


def test_what_is_made_is_private(folder: Path, tmp_path: Path) -> None:
    """With all that lacked above it, whatever the umask; what was there stays as it is."""
    before = os.umask(0)
    try:
        make_private(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [(tmp_path / one).stat().st_mode & 0o777 for one in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "a").chmod(0o755)
    make_private(tmp_path / "a" / "c")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    refuse_shared(folder)


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o733])
def test_a_folder_above_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    """They could exchange what is below; not where only owners may rename."""
    above = folder.parent
    above.chmod(mode)
    with pytest.raises(PermissionError, match=f"^{above} may be written by others; 'chmod go-w' it"):
        refuse_shared(folder)
    above.chmod(mode | 0o1000)
    refuse_shared(folder)


def test_a_group_counts_as_others_unless_it_is_the_users_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a umask of 002 every folder of such a user is its group's."""
    folder.parent.chmod(0o775)
    group, name = folder.parent.stat().st_gid, pwd.getpwuid(os.geteuid()).pw_name
    for found, members, refused in ((name, [], False), (name, [name], False), (name, ["eve"], True),
                                    ("users", [], True)):  # fmt: skip
        entry = SimpleNamespace(gr_name=found, gr_mem=members)
        monkeypatch.setattr(private_folder.grp, "getgrgid", lambda number, entry=entry: entry)
        monkeypatch.setattr(private_folder.os, "getegid", lambda: group)
        if refused:
            with pytest.raises(PermissionError, match="may be written by others"):
                refuse_shared(folder)
        else:
            refuse_shared(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_folder_of_another_user_is_refused(folder: Path, tmp_path: Path) -> None:
    """Anywhere on the way; also a link of theirs."""
    os.chown(folder.parent, 12345, -1)
    with pytest.raises(PermissionError, match=f"^{folder.parent} belongs to another user"):
        refuse_shared(folder)
    os.chown(folder.parent, 0, -1)
    (tmp_path / "link").symlink_to(folder.parent)
    refuse_shared(tmp_path / "link" / "three")
    os.chown(tmp_path / "link", 12345, -1, follow_symlinks=False)
    with pytest.raises(PermissionError, match=f"^{tmp_path / 'link'} belongs to another user"):
        refuse_shared(tmp_path / "link" / "three")


def test_where_a_link_leads_counts_too(folder: Path, tmp_path: Path) -> None:
    """The way to its target, relative or absolute; and the folder itself must not be one."""
    (tmp_path / "open" / "deep").mkdir(parents=True)
    (tmp_path / "open" / "deep" / "folder").mkdir()
    (tmp_path / "one" / "up").symlink_to("../open/deep")
    refuse_shared(tmp_path / "one" / "up" / "folder")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(PermissionError, match="may be written by others"):
        refuse_shared(tmp_path / "one" / "up" / "folder")
    (tmp_path / "itself").symlink_to(folder)
    with pytest.raises(PermissionError, match="is a link; name the folder itself"):
        refuse_shared(tmp_path / "itself")


def test_a_link_that_leads_to_itself_is_an_error(tmp_path: Path) -> None:
    """Of the disk's, not one without end."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        refuse_shared(tmp_path / "a" / "folder")


def test_what_others_may_write_to_is_named(tmp_path: Path) -> None:
    """The folder, or the first file of it."""
    folder = tmp_path / "bundle"
    folder.mkdir(mode=0o755)
    file = folder / "weights.bin"
    file.write_bytes(b"")
    folder.chmod(0o755)
    file.chmod(0o644)
    assert shared_place(folder) is None
    file.chmod(0o646)
    assert shared_place(folder) == file
    folder.chmod(0o777)
    assert shared_place(folder) == folder
    assert shared_place(tmp_path / "nothing") is None
