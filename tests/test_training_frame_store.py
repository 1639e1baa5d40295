"""The folder of decoded clips has a bound: what was used least recently goes, nothing else."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from a3d_edge.errors import DataWarning, ResourceError
from a3d_edge.training.clips import Clip, list_clips
from a3d_edge.training.decode import FrameCache, open_cache, readable
from a3d_edge.training.frame_store import FrameStore, cache_folder

KEYS = [f"{n:024x}" for n in range(8)]


def fill(store: FrameStore, key: str, count: int = 4) -> int:
    """Write a clip of noise; its bytes."""
    store.root.mkdir(exist_ok=True)
    rng = np.random.default_rng(int(key, 16))
    store.write(key, ((rng.integers(0, 256, (30, 40, 3), np.uint8), n / 30, 0) for n in range(count)))
    return sum(file.stat().st_size for file in store.root.glob(f"{key}.*"))


def there(store: FrameStore) -> list[int]:
    """Which keys have an entry."""
    return [n for n, key in enumerate(KEYS) if store.find(key) is not None]


def used(store: FrameStore, key: str, ago_s: float) -> None:
    """Say when an entry was used last."""
    for file in store.root.glob(f"{key}.*"):
        os.utime(file, (time.time() - ago_s,) * 2)


def test_the_least_recently_used_go(tmp_path: Path) -> None:
    """The folder never holds more than its limit, and the clip just written always stays."""
    each = fill(FrameStore(tmp_path / "other", 10**9), KEYS[0])
    store = FrameStore(tmp_path / "frames", int(4.5 * each))
    for n, ago in enumerate((400, 100, 300, 200)):
        fill(store, KEYS[n])
        used(store, KEYS[n], ago)
    assert store.find(KEYS[0]) is not None  # used now
    used(store, KEYS[1], 100)
    used(store, KEYS[2], 300)
    used(store, KEYS[3], 200)
    fill(store, KEYS[4])
    assert there(store) == [0, 1, 3, 4]
    assert store.usage().entries == 4
    assert store.usage().bytes == pytest.approx(4 * each, rel=0.01)


def test_a_clip_larger_than_the_limit_is_served_and_told(clip_list: Path, tmp_path: Path) -> None:
    """It is kept until the next one is written."""
    cache = FrameCache(tmp_path, limit=1000)
    first, second = (Clip("right", clip_list.parent / "right" / f"{n}.mp4") for n in (0, 1))
    with pytest.warns(
        DataWarning, match=r"0\.mp4: its frames take .* MB, the cache of decoded frames holds 0\.0 MB"
    ):
        assert len(cache.get(first).frames) == 24
    with pytest.warns(DataWarning, match=r"1\.mp4"):
        held = cache.get(second)
    assert len(list(tmp_path.glob("*.pictures"))) == 1
    shutil.rmtree(tmp_path)
    assert held.frames[23].shape == (40, 48, 3)  # what is mapped outlives its name


def test_what_others_wrote_is_seen(tmp_path: Path) -> None:
    """Two processes that fill one folder keep its limit together."""
    each = fill(FrameStore(tmp_path / "other", 10**9), KEYS[0])
    one, other = (FrameStore(tmp_path / "frames", 4 * each) for _ in range(2))
    for n, key in enumerate(KEYS):
        fill((one, other)[n % 2], key)
    assert one.usage().bytes <= one.limit


def test_only_ours_is_counted_and_deleted(tmp_path: Path) -> None:
    """Also the plain pixels of older versions and what a killed process left; a person's files stay."""
    store = FrameStore(tmp_path, 10**9)
    fill(store, KEYS[0])
    old = tmp_path / f"{KEYS[1]}.bgr"
    old.write_bytes(bytes(5000))
    (tmp_path / f".{KEYS[2]}.pictures.0123456789ab.tmp").write_bytes(b"x")
    (tmp_path / "holiday.mp4").write_bytes(b"x")
    (tmp_path / f"{KEYS[3]}.npz").symlink_to(tmp_path / "holiday.mp4")
    cleared = store.clear()
    assert (cleared.entries, cleared.bytes > 5000) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{KEYS[3]}.npz", "holiday.mp4"]


def test_the_limit_is_a_tenth_of_the_free_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there already counts as free; never more than 2 GB; no disk, no cache."""
    usage = shutil.disk_usage(tmp_path)
    fill(FrameStore(tmp_path, 10**9), KEYS[0])
    held = FrameStore(tmp_path).usage().bytes
    for free, limit in ((10**9, (10**9 + held) // 10), (10**12, 2 * 10**9), (0, held // 10)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        assert FrameStore(tmp_path).limit == limit


def test_a_size_in_the_place_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``cache`` means: how much, or where; a folder of such a name is one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    usual = tmp_path / "a3d-edge" / "frames"
    assert (open_cache("3GB").folder, open_cache(Path("3gb")).limit) == (usual, 3 * 10**9)
    assert open_cache(None).folder == usual
    assert open_cache(tmp_path / "8 clips").folder == tmp_path / "8 clips"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "3GB").mkdir()
    assert open_cache("3GB").folder == Path("3GB")


def test_clips_that_do_not_fit_are_told(clip_list: Path, tmp_path: Path) -> None:
    """How many are decoded again and again, and what helps."""
    clips = list_clips([clip_list])
    cache = FrameCache(tmp_path / "all")
    readable(clips, cache)
    held = FrameStore(tmp_path / "all").usage().bytes
    with pytest.warns(
        DataWarning, match=r"[1-9] of 12 clips are to be decoded anew each time, .* by `cache`"
    ):
        assert readable(clips, FrameCache(tmp_path / "half", limit=held // 2)) == clips


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
