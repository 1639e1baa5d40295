"""The built-in people detector: histograms of oriented gradients, a linear classifier (Dalal, Triggs 2005).

It is weak: upright people, seen whole, from the front or back, in daylight. It is here because it needs no
weights but 3781 numbers; name a detector of your own where it matters (docs/guides/people.md).

The descriptor and the classifier's coefficients are those of OpenCV 4 (Apache-2.0, `hog.npy` is what its
``HOGDescriptor_getDefaultPeopleDetector`` returns), whose own code for it is not in the OpenCV 5 that is
installed with us. Equal to it to rounding; all windows of a picture at once, by matrices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.people.box import Detection, box_trouble, clipped, suppressed
from a3d_edge.video.opencv import cv2

__all__ = ["HogDetector", "margins"]

Array = NDArray[Any]

CELL, BINS = 8, 9
ACROSS, DOWN = 7, 15
"""Blocks of 2×2 cells, a cell apart, in a window of 64×128."""
SIGMA = 4.0
CUT = 0.2
LONGEST = 512
"""Side of the picture that is looked at: the smallest person found is a good quarter of 4:3 high."""
STEP = 1.2
PADDING = 16
LEAST = -0.25
"""Margin of the classifier from which a window counts, as a score of 0.38."""
STEEPNESS = 2.0
OVERLAP = 0.35
INSET = (10 / 64, 12 / 128)
"""Of a window: the people that it was trained on have ground around them."""


class HogDetector:
    """Finds upright people. No option: it is a last resort."""

    name = "hog"

    def detect(self, image: NDArray[np.uint8]) -> Sequence[Detection]:
        """See `a3d_edge.people.protocols.Detector`."""
        height, width = image.shape[:2]
        boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
        for picture, scale in _levels(image):
            found = margins(picture)
            down, across = np.nonzero(found > LEAST)
            corner = np.stack([across, down], axis=1) * CELL - PADDING
            inset = np.array([INSET[0] * 64, INSET[1] * 128])
            window = np.concatenate([corner + inset, corner + np.array([64, 128]) - inset], axis=1)
            boxes.append(window * scale)
            scores.append(1.0 / (1.0 + np.exp(-STEEPNESS * found[down, across])))
        every, score = np.concatenate(boxes), np.concatenate(scores)
        people = []
        for place in suppressed(every, score, OVERLAP).tolist():
            x1, y1, x2, y2 = every[place].tolist()
            if box_trouble((x1, y1, x2, y2), height, width) is None:
                people.append(Detection(clipped((x1, y1, x2, y2), height, width), float(score[place])))
        return people[:MOST_PEOPLE]

    def close(self) -> None:
        """Nothing is held."""


def margins(image: NDArray[np.uint8]) -> Array:
    """The classifier's margin ``(rows, columns)`` of every window of 64×128 in a picture ``(H, W, 3)``, a
    cell apart; above 0 it says person."""
    blocks = _blocks(image)
    rows, columns = blocks.shape[0] - DOWN + 1, blocks.shape[1] - ACROSS + 1
    if rows < 1 or columns < 1:
        return np.zeros((0, 0), np.float32)
    weights, constant = _classifier()
    parts = blocks @ weights  # of each block what it adds to a window, at each place in it
    found = np.full((rows, columns), constant, np.float32)
    for i in range(DOWN):
        for j in range(ACROSS):
            found += parts[i : i + rows, j : j + columns, i * ACROSS + j]
    return found


def _levels(image: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """The picture at falling sizes, padded, and how many of the frame's pixels one of its is."""
    height, width = image.shape[:2]
    scale = max(1.0, max(height, width) / LONGEST)
    while True:
        w, h = round(width / scale), round(height / scale)
        if w + 2 * PADDING < 64 or h + 2 * PADDING < 128:
            return
        smaller = (
            image if (w, h) == (width, height) else cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        )
        padded: Any = cv2.copyMakeBorder(smaller, *(PADDING,) * 4, cv2.BORDER_REFLECT_101)
        yield padded, scale
        scale *= STEP


def _blocks(image: NDArray[np.uint8]) -> Array:
    """Normalised block histograms ``(rows, columns, 36)``, cells column by column as OpenCV orders them."""
    votes = _votes(image)
    rows, columns = votes.shape[0] // CELL, votes.shape[2] // CELL
    if rows < 2 or columns < 2:
        return np.zeros((0, 0, 4 * BINS), np.float32)
    halves = np.concatenate([_kernels()[:CELL], _kernels()[CELL:]], axis=1)  # (8, 2 + 2)
    # Every pixel is gone over once a direction: a cell is one half of one block and the other of the next.
    tiled = votes[: rows * CELL].reshape(rows, CELL, -1)
    down = halves.T @ tiled
    down = (down[:-1, :2] + down[1:, 2:]).reshape(rows - 1, 2, BINS, -1)[..., : columns * CELL]
    across = down.reshape(rows - 1, 2, BINS, columns, CELL) @ halves
    found = across[..., :-1, :2] + across[..., 1:, 2:]  # (rows, cell down, bin, columns, cell across)
    found = found.transpose(0, 3, 4, 1, 2).reshape(rows - 1, columns - 1, 4 * BINS)
    found = found / (np.linalg.norm(found, axis=2, keepdims=True) + 0.1 * 4 * BINS)
    np.minimum(found, CUT, out=found)
    normalised: Array = found / (np.linalg.norm(found, axis=2, keepdims=True) + 1e-3)
    return normalised


def _votes(image: NDArray[np.uint8]) -> Array:
    """Of each pixel its gradient, spread over two neighbouring bins of orientation ``(H, 9, W)``."""
    root = np.sqrt(np.arange(256, dtype=np.float32))[image]
    framed = cv2.copyMakeBorder(root, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    across = framed[1:-1, 2:] - framed[1:-1, :-2]
    down = framed[2:, 1:-1] - framed[:-2, 1:-1]
    strongest = (across * across + down * down).argmax(axis=2)[..., np.newaxis]
    across = np.take_along_axis(across, strongest, axis=2)[..., 0]
    down = np.take_along_axis(down, strongest, axis=2)[..., 0]
    size, angle = cv2.cartToPolar(np.ascontiguousarray(across), np.ascontiguousarray(down))
    place = angle * np.float32(BINS / np.pi) - np.float32(0.5)
    first = np.floor(place)
    part = place - first
    lower = first.astype(np.intp) % BINS
    votes = np.zeros((size.shape[0], BINS, size.shape[1]), np.float32)
    np.put_along_axis(votes, lower[:, np.newaxis], (size * (1 - part))[:, np.newaxis], axis=1)
    np.put_along_axis(votes, ((lower + 1) % BINS)[:, np.newaxis], (size * part)[:, np.newaxis], axis=1)
    return votes


@lru_cache(maxsize=1)
def _kernels() -> Array:
    """How much a pixel of a block of 16 counts in each of its two cells, along one direction ``(16, 2)``."""
    pixel = np.arange(2 * CELL)
    bell = np.exp(-((pixel - CELL) ** 2) / (2 * SIGMA**2))
    place = (pixel + 0.5) / CELL - 0.5  # of cells, the centre of the first is 0
    share = np.stack([(1 - np.abs(place - cell)).clip(0) for cell in (0, 1)], axis=1)
    return np.asarray(bell[:, np.newaxis] * share, np.float32)


@lru_cache(maxsize=1)
def _classifier() -> tuple[Array, float]:
    """Weights ``(36, 105)``, by rows of blocks, and the constant."""
    numbers = np.load(Path(__file__).with_name("hog.npy"), allow_pickle=False)
    columns = numbers[:-1].reshape(ACROSS, DOWN, 4 * BINS)  # OpenCV goes down each column of blocks
    weights = columns.transpose(2, 1, 0).reshape(4 * BINS, DOWN * ACROSS)
    return np.ascontiguousarray(weights), float(numbers[-1])
