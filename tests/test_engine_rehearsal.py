"""A window of blank pictures, timed before there is a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.configuration import Configuration
from a3d_edge.engine.rehearsal import blank_pictures, rehearsal_ms
from a3d_edge.video.sampler import Sampling, pathways


class Timed:
    """A network whose windows take what the test says, on a clock of its own."""

    configuration = Configuration(1.0, 16, 4)
    task = "single"
    pathways = pathways(Sampling(4, 4, alpha=2, fast_size=16), configuration)

    def __init__(self, *seconds: float) -> None:
        self.seconds, self.now, self.windows = list(seconds), 0.0, 0

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        assert pictures.shape == (len(self.pathways[pathway].instants), 3, 16, 16)
        return pictures

    def classify(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.now += self.seconds[self.windows]
        self.windows += 1
        return np.zeros(2, np.float32)

    @property
    def clock(self) -> Callable[[], float]:
        return lambda: self.now


@pytest.mark.parametrize(
    ("seconds", "expected", "windows"),
    [((0.04, 0.003, 0.009, 0.001), 3.0, 4), ((0.2, 9.0), 200.0, 1)],
)
def test_the_median_of_three_or_the_first_if_it_is_slow(
    seconds: tuple[float, ...], expected: float, windows: int
) -> None:
    """The first allocates; a device that takes long for it is not kept waiting for more."""
    network = Timed(*seconds)
    assert rehearsal_ms(network, network.clock) == pytest.approx(expected)
    assert network.windows == windows


def test_blank_pictures_are_those_of_every_pathway() -> None:
    """The Fast one's too."""
    assert [len(pictures) for pictures in blank_pictures(Timed())] == [4, 8]
