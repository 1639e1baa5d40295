"""Only regular files are read, links to them included, and no more of them than they may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from a3d_edge.reading import open_regular, read_regular, why


def test_a_file_is_read_also_by_a_link(tmp_path: Path) -> None:
    """To its last byte."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        assert read_regular(tmp_path / name, 5) == b"12345"


def test_a_pipe_a_device_and_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    """Nor by a link; each says what it is."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in (("pipe", "is no regular file"), ("zero", "is no regular file"), (".", "is a folder")):
        with pytest.raises(OSError, match=said) as caught:
            read_regular(tmp_path / name, 100)
        assert why(caught.value) == said
    with pytest.raises(OSError, match="symbolic links"):
        read_regular(tmp_path / "loop", 100)


def test_a_sparse_file_of_terabytes_is_not_read(tmp_path: Path) -> None:
    """It takes no room on the disk, and would not end."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2 << 40)
    with pytest.raises(OSError, match=r"2\.2e\+06 MB, more than the 1e\+03 MB that are read"):
        open_regular(tmp_path / "sparse", 10**9)


def test_a_file_that_grew_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its size was looked at."""
    file = tmp_path / "file"
    file.write_bytes(b"1234567")
    monkeypatch.setattr("a3d_edge.reading._check", lambda status, most: None)
    with pytest.raises(OSError, match="grew beyond the 5 bytes"):
        read_regular(file, 5)
