"""CPU time of decoding: our reader (PyAV) against OpenCV's, every picture as BGR, in turns in one process.

    python benchmarks/decoding.py [--rounds 9] [--out docs/results/decoding.md] [FILE …]

Without files, two H.264 films are drawn: a textured scene that drifts, 640×480 and 1920×1080. One thread and
two: both readers are told how many to decode with, and the process is kept on so many cores.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from _options import parser_of

from a3d_edge.device.machine import processor_name
from a3d_edge.profiling.turns import in_turns
from a3d_edge.video import playback
from a3d_edge.video.decoder import Decoder
from a3d_edge.video.opencv import cv2 as quiet

SIZES = {"640×480": (480, 640, 300), "1920×1080": (1080, 1920, 120)}


def film(path: Path, height: int, width: int, count: int) -> Path:
    """A drifting texture with some sensor noise, at x264's usual quality."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
    scene = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "medium", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            at = int(0.4 * height * (1 + np.sin(number / 40)))
            shown = scene[at : at + height, 2 * number % width : 2 * number % width + width].astype(np.int16)
            noisy = np.clip(shown + rng.integers(-2, 3, shown.shape, np.int16), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="bgr24")))
        container.mux(stream.encode())
    return path


def by_opencv(path: Path, threads: int) -> int:
    capture = quiet.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def by_us(path: Path, threads: int) -> int:
    playback.MOST_THREADS = threads
    reader = Decoder(str(path), path.name)
    count = 0
    while reader.read() is not None:
        count += 1
    reader.close()
    return count


def ms_a_picture(read: Callable[[Path, int], int], path: Path, threads: int) -> tuple[float, float]:
    """(CPU, wall clock)."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    count = read(path, threads)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e3 * cpu / count, 1e3 * wall / count


def row(name: str, path: Path, threads: int, rounds: int) -> str:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:threads])
    try:
        readers = {read: partial(ms_a_picture, read, path, threads) for read in (by_opencv, by_us)}
        sides = in_turns(readers, rounds, warm_up=1)  # after that the files do not come from the disk
    finally:
        os.sched_setaffinity(0, cores)
    cpu = {read: statistics.median(one[0] for one in found) for read, found in sides.items()}
    wall = {read: statistics.median(one[1] for one in found) for read, found in sides.items()}
    pairs = zip(sides[by_us], sides[by_opencv], strict=True)
    ratio = statistics.median(us[0] / theirs[0] for us, theirs in pairs)
    return (
        f"| {name} | {threads} | {cpu[by_opencv]:.2f} ms | {cpu[by_us]:.2f} ms | **{ratio:.2f}** | "
        f"{wall[by_us] / wall[by_opencv]:.2f} |"
    )


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        films = {path.name: path.absolute() for path in given.files} or {
            f"H.264 {name}": film(Path(folder) / f"{name}.mp4", *size) for name, size in SIZES.items()
        }
        rows = [row(name, path, threads, given.rounds) for name, path in films.items() for threads in (1, 2)]
    cpu = processor_name()
    text = f"""# Decoding: our reader against OpenCV's

`python benchmarks/decoding.py`; {cpu}, OpenCV {cv2.__version__}, PyAV {av.__version__}.
Every picture as BGR, a picture's share; medians of {given.rounds} rounds in turns, the ratio that of pairs.

| film | threads | CPU, OpenCV | CPU, ours | ratio | ratio of wall clock |
|---|---|---|---|---|---|
"""
    text += "\n".join(rows) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
