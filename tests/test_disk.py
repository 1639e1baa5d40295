"""A real disk of 1 MB that fills up: what was there is intact, what can go on does, and bytes are named."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path

import pytest
from fixtures_bundle import Here, frames_of, write_video

from a3d_edge.disk import free_bytes, why
from a3d_edge.errors import ResourceError

BYTES = re.compile(r"needs (more than )?[\d.]+ (MB|bytes), (its disk has )?[\d.]+ (MB|bytes) (left|free)")


def test_what_is_free_below_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """That of the nearest folder above."""
    below, above = free_bytes(tmp_path / "no" / "such"), free_bytes(tmp_path)
    assert below is not None
    assert above is not None
    assert abs(below - above) < 1e9  # others write meanwhile


def test_only_a_full_disk_is_told_in_bytes(small_disk: Path) -> None:
    """Another error is as the system says it."""
    denied = PermissionError(errno.EACCES, "Permission denied")
    full = OSError(errno.ENOSPC, "No space left on device")
    assert why(denied, small_disk, 5) == "Permission denied"
    assert why(full, small_disk, 2_500_000) == "No space left on device: needs 2.50 MB, 1.05 MB free"
    assert why(full, small_disk) == "No space left on device: 1.05 MB free"
    assert why(None, small_disk, 812) == "No space left on device: needs 812 bytes, 1.05 MB free"
    ours = ResourceError("x: writing failed")
    ours.__cause__ = full
    assert why(ours, small_disk) == why(full, small_disk)
    assert why(ResourceError("x: no such thing"), small_disk, 5) == "x: no such thing"


@pytest.mark.parametrize(
    ("name", "filled"), [("out.mp4", 830_000), ("out.avi", 830_000), ("out.mp4", 1_048_576)]
)
def test_a_run_goes_on_without_its_recording(
    here: Here, bundle_folder: Path, small_disk: Path, tmp_path: Path, name: str, filled: int
) -> None:
    """Exit 0, one warning with the bytes, every frame accounted for, and what was recorded can be played."""
    (small_disk / "filler").write_bytes(bytes(filled))
    source = write_video(tmp_path / "source.avi", 250)
    path = small_disk / name
    code, out, err = here(
        "run", "--source", source, "--bundle", bundle_folder, "--json", "--save", path,
        "--budget", "w0.50-s18-t1",
    )  # fmt: skip
    summary = json.loads(out.splitlines()[-1])
    recording = summary["recording"]
    assert code == 0
    assert summary["predictions"] > 100
    assert err.count(f"{path}: cannot record on (") == 1
    assert BYTES.search(err)
    assert BYTES.search(recording["ended"])
    assert recording["missed"] > 0
    assert bool(recording["frames"]) == (filled < 1_000_000)
    assert recording["frames"] + recording["missed"] == summary["frames_captured"] == 250
    assert (frames_of(path) if path.exists() else 0) == recording["frames"]
    assert {entry.name for entry in small_disk.iterdir()} <= {name, "filler"}


def test_a_place_that_is_full_before_the_work(small_disk: Path) -> None:
    """Refused with the bytes, before anything is computed."""
    from a3d_edge.outputs import claim, require_room

    (small_disk / "filler").write_bytes(bytes(1_000_000))
    with pytest.raises(ResourceError, match=r"needs 0\.07 MB, 0\.05 MB free"):
        claim(small_disk / "net.pth")
    with pytest.raises(ResourceError, match=r"needs 80 MB, its disk has 0\.05 MB left"):
        require_room(small_disk / "net.pth", 80_000_000)
