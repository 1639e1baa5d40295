"""Does training see what running sees? Every picture of every clip below some folders, by both ways.

    python benchmarks/same_pictures.py FOLDER … [--out docs/results/same_pictures.md]

For each clip: the pictures that `run` gets from its source beside those that training decodes (pixels,
instants and takes), and for every sample of a run, at the default bundle's sampling, the frames that a window
of training picks for it. Files that neither can read count as the same.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import cv2
import numpy as np
from _options import parser_of

from a3d_edge import Bundle
from a3d_edge.device.machine import processor_name
from a3d_edge.errors import SourceError
from a3d_edge.training.decode import DecodedClip, decode
from a3d_edge.video.sampler import TIE_S, Sample, Sampler
from a3d_edge.video.source import open_source

SUFFIXES = frozenset(
    [".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".ts", ".gif", ".m3u8", ".m4a"]
)
WHOLE = 1 << 20  # a short side that no clip is shrunk to


def compare(path: Path, sampler: Sampler, counts: Counter[str]) -> list[str]:
    """What differs, in words; ``counts`` grows."""
    try:
        source = open_source(str(path))
    except SourceError:
        source = None
    try:
        clip = decode(path, WHOLE)
    except SourceError:
        clip = None
    if source is None or clip is None:
        counts["unreadable"] += 1
        return [] if source is clip is None else [f"{path}: one of the two cannot read it"]
    wrong, samples, count = 0, [], 0
    while (frame := source.read()) is not None:
        same = (
            count < len(clip.times) and frame.time_s == clip.times[count] and frame.take == clip.takes[count]
        )
        wrong += not (same and np.array_equal(frame.image, clip.frames[count]))
        samples += sampler.push(frame)
        count += 1
    samples += sampler.finish()
    source.close()
    wrong += abs(len(clip.times) - count)
    counts["clips"] += 1
    counts["pictures"] += count
    counts["sampled"] += sum(len(sample.frames) for sample in samples)
    counts["differing pictures"] += wrong
    picked = differing(clip, samples)
    counts["differing sampled"] += picked
    return [f"{path}: {wrong} of {count} pictures, {picked} sampled ones differ"] if wrong or picked else []


def differing(clip: DecodedClip, samples: list[Sample]) -> int:
    bundle = Bundle.default()
    sampling, offsets = bundle.sampling, np.array(bundle.preprocessing.offsets)
    stretches = clip.stretches(sampling.span_s)
    first = samples[0].epoch if samples else 0
    wrong = 0
    for sample in samples:
        seconds = np.maximum(0, sample.instant - offsets) / sampling.rate - TIE_S / 2
        mine = stretches[sample.epoch - first].at(seconds).tolist()
        wrong += sum(a != frame.index for a, frame in zip(mine, sample.frames, strict=True))
    return wrong


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    bundle = Bundle.default()
    counts: Counter[str] = Counter()
    found: list[str] = []
    for folder in given.folders:
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
            sampler = Sampler(bundle.sampling, bundle.sampling.stride, bundle.preprocessing.offsets)
            found += compare(path, sampler, counts)
    cpu = processor_name()
    text = f"""# Training sees what running sees

`python benchmarks/same_pictures.py FOLDER …`; {cpu}, PyAV {av.__version__}, OpenCV {cv2.__version__}.

| | |
|---|---|
| clips read by both | {counts["clips"]} |
| files that neither reads as video | {counts["unreadable"]} |
| pictures | {counts["pictures"]} |
| of them different (pixels, instant or take) | **{counts["differing pictures"]}** |
| pictures in samples of a run | {counts["sampled"]} |
| of them another one in training | **{counts["differing sampled"]}** |
"""
    text += "".join(f"\n- {line}" for line in found)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
