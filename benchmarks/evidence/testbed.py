"""Draws the testbed: clips of `a3d_edge.demo.testbed` to train, validate and test on, from disjoint seeds.

    python benchmarks/evidence/testbed.py --out testbed [--train 2000] [--validate 480] [--test 2000]

Writes train.csv, val.csv and test.csv, which `a3d-edge train`, `eval` and `data check` read, and fills
OUT/frames-train and OUT/frames-test (of val too), which are their `--cache`, in several processes
(`--workers`): a cache holds 2 GB at the most. The same seeds are the
same pictures to the byte: `--digest` draws the first clip of each list and says the sha256. Prints the
CPU-seconds and bytes a clip.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2

from a3d_edge.demo.rendered import SETS
from a3d_edge.files import write_atomically
from a3d_edge.training.clips import Clip
from a3d_edge.training.decode import FrameCache

__all__ = ["FIRST", "SIDE", "clips_of", "draw", "opened"]

SET = "testbed"
FIRST = {"train": 0, "val": 10_000_000, "test": 20_000_000}
"""First seed of each list; so far apart that no two lists share one."""
SIDE = 160
"""Short side that small networks' caches are opened with (`a3d_edge.training.inputs`); clips are smaller."""


def clips_of(name: str, count: int) -> list[Clip]:
    """So many clips of a list, the classes in turn: the same ones however many come after them."""
    classes, first = SETS[SET], FIRST[name]
    return [Clip(classes[i % len(classes)], None, seed=first + i, drawn=SET) for i in range(count)]


def opened(folder: Path, grey: bool = False) -> FrameCache:
    """The cache of drawn frames in a folder."""
    return FrameCache(folder, SIDE, grey=grey)


def draw(clips: Sequence[Clip], folder: Path, workers: int, grey: bool = False) -> float:
    """Draw what the cache in ``folder`` does not hold yet; CPU-seconds that it took."""
    cache = opened(folder, grey)
    missing = [clip for clip in clips if not cache.holds(clip)]
    if not missing:
        return 0.0
    parts = [(missing[first :: 4 * workers], folder, grey) for first in range(4 * workers)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_drawn, parts))


def _drawn(part: tuple[Sequence[Clip], Path, bool]) -> float:
    clips, folder, grey = part
    cv2.setNumThreads(1)
    cache, begun = opened(folder, grey), time.process_time()
    for clip in clips:
        cache.get(clip)
    return time.process_time() - begun


def write_list(path: Path, clips: Sequence[Clip]) -> None:
    """A list that names drawn clips."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("path", "label"))
            rows.writerows((clip.name, clip.label) for clip in clips)

    write_atomically(path, write)


def digest(clips: Sequence[Clip], folder: Path) -> str:
    """The sha256 of the clips' pictures as the cache gives them."""
    cache, whole = opened(folder), hashlib.sha256()
    for clip in clips:
        for picture in cache.get(clip).frames:  # type: ignore[attr-defined]
            whole.update(picture.tobytes())
    return whole.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--validate", type=int, default=480)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=max(1, len(os.sched_getaffinity(0)) - 1))
    parser.add_argument("--digest", action="store_true", help="draw nothing but the first clip of each list")
    given = parser.parse_args()
    counts = {"train": given.train, "val": given.validate, "test": given.test}
    lists = {name: clips_of(name, count) for name, count in counts.items()}
    given.out.mkdir(parents=True, exist_ok=True)
    if given.digest:
        print(digest([clips[0] for clips in lists.values() if clips], given.out / "frames-test"))
        return
    begun = time.perf_counter()
    spent = draw(lists["train"], given.out / "frames-train", given.workers)
    spent += draw([*lists["val"], *lists["test"]], given.out / "frames-test", given.workers)
    for name, clips in lists.items():
        write_list(given.out / f"{name}.csv", clips)
    took = time.perf_counter() - begun
    total = sum(counts.values())
    size = sum(file.stat().st_size for file in given.out.glob("frames-*/*"))
    print(
        f"{total} clips in {took:.0f} s; {spent / total:.3f} CPU-seconds and {size / total / 1e3:.0f} kB each"
    )


if __name__ == "__main__":
    main()
