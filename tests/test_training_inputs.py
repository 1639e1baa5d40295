"""Where frames of a network's clips are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.errors import DataWarning, ResourceError
from a3d_edge.training.inputs import cache_folder


def test_the_usual_place_of_decoded_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made when it is asked for; another one if it is named, which is not looked at here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / "a3d-edge" / "frames"
    assert list((tmp_path / "a3d-edge" / "frames").iterdir()) == []
    assert cache_folder(tmp_path / "named") == tmp_path / "named"
    assert not (tmp_path / "named").exists()


def test_without_a_home_frames_are_kept_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a warning that says where; where nothing can be written either, an error that says what to do."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/" + "x" * 300)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.warns(DataWarning) as caught:
        place = cache_folder(None)
    assert place.parent == tmp_path
    said = str(caught[0].message)
    assert said.endswith(f"(File name too long); they are in {place} until the end, see `cache`")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ResourceError, match="name one by `cache`"):
        cache_folder(None)
