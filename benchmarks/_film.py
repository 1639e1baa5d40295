"""Drawn videos that benchmarks read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.demo.rendered import CLASSES, render_clip

__all__ = ["camera_video", "scenes", "write_video"]

Image = NDArray[np.uint8]


def write_video(path: Path, pictures: Iterable[Image]) -> Path:
    """Pictures of one size, 30 a second."""
    writer = None
    for picture in pictures:
        if writer is None:
            size = picture.shape[1], picture.shape[0]
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, size)
        writer.write(picture)
    assert writer is not None
    writer.release()
    return path


def camera_video(path: Path, seconds: float) -> Path:
    """As from a camera: 640×480, scenes of 4 s."""
    pictures = 120 * -(-int(seconds) // 4)
    return write_video(path, islice(scenes(120, width=640, height=480), pictures))


def scenes(frames: int, **size: int) -> Iterator[Image]:
    """The classes acted out in turn without end, ``frames`` pictures of each."""
    for scene in count():
        yield from render_clip(CLASSES[scene % len(CLASSES)], scene, frames=frames, **size)
