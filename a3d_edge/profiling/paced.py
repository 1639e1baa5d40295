"""What a configuration takes in a run at the camera's rate: latency, CPU time and energy of a prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from a3d_edge.events import Events
from a3d_edge.profiling.windows import FEWEST
from a3d_edge.runtime import Runtime
from a3d_edge.video.frame import Frame
from a3d_edge.video.paced import Paced

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.device.energy import Meter, Reading
    from a3d_edge.engine.engines import Engine
    from a3d_edge.events import Prediction, Stoppable

__all__ = ["PACED_WARM_UP", "Pace", "paced"]

Image = NDArray[np.uint8]

PACED_WARM_UP = 1
"""Predictions before those that count: the first encodes its whole window."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a run at the camera's rate gave: ms from a frame's arrival to its prediction, of every prediction;
    CPU seconds and joules of one prediction, with what passed between them. None: no meter."""

    age_ms: tuple[float, ...]
    cpu_s: float
    energy_j: float | None


def paced(
    bundle: Bundle,
    configuration: Configuration,
    images: Sequence[Image],
    seconds: float,
    *,
    threads: int | None = None,
    engine: Engine | None = None,
    meter: Meter | None = None,
) -> Pace:
    """Run a configuration as `Runtime` does, on frames that come at the camera's rate, for ``seconds``.

    At least `FEWEST` predictions. What fills the first window, and the first prediction, is not counted.
    """
    source = Paced(_Camera(images, bundle.sampling.rate))
    clock = _Stopwatch(seconds, meter)
    Runtime(bundle, source, budget=str(configuration), events=(clock,), threads=threads, engine=engine).run()
    return clock.pace(meter)


class _Camera:
    """Frames in turn, without end, at once: `Paced` makes it a camera."""

    name, live, unreadable = "frames from memory", False, 0

    def __init__(self, images: Sequence[Image], rate: float) -> None:
        self.frame_rate: float | None = rate
        self._images, self._rate, self._numbers = images, rate, count()

    def read(self) -> Frame | None:
        """The next frame."""
        number = next(self._numbers)
        image = self._images[number % len(self._images)]
        return Frame(number, number / self._rate, image, time.monotonic())

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class _Stopwatch(Events):
    """Notes age, CPU time and meter at every prediction, and ends the run after a while."""

    seconds: float
    meter: Meter | None
    at_s: list[float] = field(default_factory=list)
    age_ms: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    readings: list[Reading | None] = field(default_factory=list)

    def bind(self, runtime: Stoppable) -> None:
        self.runtime = runtime

    def prediction(self, prediction: Prediction) -> None:
        """The first is the start: it is not counted itself."""
        self.at_s.append(time.monotonic())
        self.age_ms.append(prediction.age_ms)
        self.cpu_s.append(time.process_time())
        self.readings.append(self.meter.read() if self.meter else None)
        done = len(self.at_s) - PACED_WARM_UP
        if done >= FEWEST and self.at_s[-1] - self.at_s[0] >= self.seconds:
            self.runtime.stop()

    def pace(self, meter: Meter | None) -> Pace:
        """What was noted, for one prediction."""
        done = len(self.at_s) - PACED_WARM_UP
        joules = meter.joules(self.readings[PACED_WARM_UP - 1 :]) if meter else None
        cpu_s = (self.cpu_s[-1] - self.cpu_s[PACED_WARM_UP - 1]) / done
        return Pace(tuple(self.age_ms[PACED_WARM_UP:]), cpu_s, None if joules is None else joules / done)
