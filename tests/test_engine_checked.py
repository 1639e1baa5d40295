"""What was checked on this device is known again, where nobody else can say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures_bundle import LARGEST

from a3d_edge.bundle import Bundle
from a3d_edge.engine import checked, graph_file
from a3d_edge.engine.checked import key_of, recall, remember

NEEDS = {"frame": ("weights.bin",), "clip": ("statistics.bin", "weights.bin")}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of the test's own."""
    monkeypatch.setattr(checked, "_place", lambda: tmp_path / "checked")
    checked._folder.cache_clear()
    return tmp_path / "checked"


def test_what_was_checked_is_known(folder: Path) -> None:
    """And nothing else."""
    key = key_of(b"graph", (1, 3), "x")
    assert recall(key) is None
    remember(key, NEEDS)
    assert recall(key) == NEEDS
    assert recall(key_of(b"graph", (1, 3), "y")) is None
    assert folder.stat().st_mode & 0o077 == 0


def test_parts_do_not_run_together() -> None:
    """What belongs to one is not of the next."""
    assert key_of(b"ab", b"c") != key_of(b"a", b"bc")


def test_a_folder_that_others_may_write_to_says_nothing(folder: Path) -> None:
    """They could have a graph pass that was never looked at."""
    key = key_of(b"graph")
    remember(key, NEEDS)
    folder.chmod(0o777)
    checked._folder.cache_clear()
    assert recall(key) is None
    remember(key_of(b"other"), NEEDS)
    assert [file.name for file in folder.iterdir()] == [key]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"frame": 1}', b"{" * 5000, b"\xff"])
def test_damage_is_nothing_known(folder: Path, content: bytes) -> None:
    """It is checked again."""
    key = key_of(b"graph")
    remember(key, NEEDS)
    (folder / key).write_bytes(content)
    assert recall(key) is None


def test_the_folder_does_not_grow_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is emptied when it is full."""
    monkeypatch.setattr(checked, "MOST", 5)
    for number in range(12):
        remember(key_of(number), NEEDS)
    assert len(list(folder.iterdir())) <= 5


def test_a_graph_is_taken_apart_once(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time its digest is enough; other bytes are others."""
    files, calls = bundle.files_of(LARGEST), []
    monkeypatch.setattr(graph_file, "check_static", lambda *given: calls.append(1) or real(*given))
    first = files.graphs()
    assert calls
    calls.clear()
    assert files.graphs() == first
    assert not calls


real = graph_file.check_static
