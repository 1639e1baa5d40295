"""A checkpoint's file is held against what it declares, and what it holds against itself."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from a3d_edge.models.archive import check_archive, check_contents, is_finite


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """As PyTorch writes it."""
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(100), "b": [1, "x", None]}, path)
    return path


def test_what_pytorch_writes_passes(sound: Path, tmp_path: Path) -> None:
    """In its format of today and of before."""
    check_archive(sound)
    old = tmp_path / "old.pth"
    torch.save({"a": torch.zeros(3)}, old, _use_new_zipfile_serialization=False)
    check_archive(old)
    check_contents(torch.load(sound, weights_only=True))


def test_a_zip_bomb_is_refused(sound: Path, tmp_path: Path) -> None:
    """By its table of contents: nothing of it is unpacked."""
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    with pytest.raises(ValueError, match="is compressed"):
        check_archive(bomb)


def test_more_than_there_is_is_refused(sound: Path) -> None:
    """An entry that says that it is larger than the file."""
    data = bytearray(sound.read_bytes())
    place = data.find(b"PK\x01\x02")
    data[place + 20 : place + 28] = (1 << 30).to_bytes(4, "little") * 2
    sound.write_bytes(data)
    with pytest.raises(ValueError, match=r"declares .* bytes and has|cut off or damaged"):
        check_archive(sound)


def test_a_million_entries_are_not_listed(sound: Path) -> None:
    """The number alone is enough."""
    data = bytearray(sound.read_bytes())
    larger = data.rfind(b"PK\x06\x06")
    if larger < 0:
        data += b"PK\x06\x06" + bytes(28) + (10**6).to_bytes(8, "little") + bytes(16)
    else:
        data[larger + 32 : larger + 40] = (10**6).to_bytes(8, "little")
    sound.write_bytes(data)
    with pytest.raises(ValueError, match="declares more than"):
        check_archive(sound)


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def doubled() -> list[Any]:
    found: list[Any] = []
    for _ in range(60):
        found = [found, found]
    return found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (circle(), "without an end"),
        (doubled(), "without an end"),
        ({"x": 1 << 5000}, "integer of 5001 bits"),
        ({"x": torch.zeros(1).expand(1 << 40)}, "repeats what is stored once"),
        ({"x": torch.eye(3).to_sparse()}, "sparse"),
        ({"x": torch.zeros(3, device="meta")}, "without values"),
    ],
)
def test_what_has_no_end_is_refused(content: Any, why: str) -> None:
    """Before anybody walks through it."""
    with pytest.raises(ValueError, match=why):
        check_contents(content)


def test_what_is_finite() -> None:
    """Integers always are."""
    assert is_finite(torch.ones(3, dtype=torch.int64))
    assert is_finite(torch.ones(3))
    assert not is_finite(torch.tensor([1.0, float("nan")]))
