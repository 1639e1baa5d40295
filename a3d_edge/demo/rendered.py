"""Articulated figures that act interactions or gestures, drawn from a seed: labelled clips without end.

Bodies, clothes, viewpoint, distance, speed, background, light, shake and noise vary with the seed; the same
arguments always give the same pictures, whatever was drawn before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.demo.people import Look, draw_look, draw_uniform, mask_some, paint, paint_shadows
from a3d_edge.demo.scenery import (
    Camera,
    Sensor,
    background,
    draw_camera,
    draw_clear_sensor,
    draw_facing_camera,
    draw_sensor,
    draw_straight_camera,
    room,
)
from a3d_edge.demo.sets import (
    CLASSES,
    CROWDED,
    INTERACTIONS,
    PEOPLE,
    SETS,
    SIGNALS,
    TESTS,
    check_label,
    drawn_of,
    number_of,
    set_of,
)
from a3d_edge.demo.skeleton import RATE, Array
from a3d_edge.demo.stages import LEAD_S, Stage, act_out, crowd_out, people_out, signal_out, test_out
from a3d_edge.demo.strokes import Picture
from a3d_edge.errors import UsageError
from a3d_edge.labels import joined_labels

__all__ = [
    "CLASSES",
    "CROWDED",
    "PEOPLE",
    "SETS",
    "RenderedScene",
    "RenderedStream",
    "drawn_of",
    "render_clip",
    "set_of",
]


@dataclass(frozen=True)
class _Manner:
    """How the scenes of a set are made: ``first`` is the random stream of its first class."""

    first: int
    stage: Callable[[np.random.Generator, str, float], Stage]
    camera: Callable[[np.random.Generator, Array, int, int], Camera]
    sensor: Callable[[np.random.Generator, int, int], Sensor]
    indoors: bool = False
    shaded: bool = True
    plain: bool = False  # everybody is dressed alike, before a grey wall


_MANNERS = {
    INTERACTIONS: _Manner(0, act_out, draw_camera, draw_sensor),
    SIGNALS: _Manner(100, signal_out, draw_facing_camera, draw_sensor, indoors=True),
    TESTS: _Manner(200, test_out, draw_straight_camera, draw_clear_sensor, shaded=False, plain=True),
    CROWDED: _Manner(300, crowd_out, draw_straight_camera, draw_clear_sensor, shaded=False, plain=True),
    PEOPLE: _Manner(1000, people_out, draw_straight_camera, draw_clear_sensor, shaded=False, plain=True),
}

_MARGIN = 0.04
_THICKNESS = 0.045
"""Of a limb or a head, in heights, about the joints."""
_FINE_PIXELS = 120_000
_SHADOW_SHRINK = 0.25


def render_clip(
    label: str,
    seed: int,
    *,
    frames: int = 96,
    width: int = 192,
    height: int = 144,
    rate: float = 30.0,
    of: str = INTERACTIONS,
) -> NDArray[np.uint8]:
    """One clip (T, H, W, 3) BGR of ``label`` in the set ``of`` `SETS`; the same arguments, the same clip.

    A whole interaction lies inside a clip of 3 s or more, at a random time when the clip is longer than it.
    In a shorter one it is acted up to 1.5 times faster, then what surrounds its heart is cut. A gesture
    begins in the first half and goes on to the end or almost. Raises `UsageError`.
    """
    _positive("frames", frames)
    _positive("rate", rate)
    scene = RenderedScene(label, seed, width, height, frames / rate, of)
    return np.stack([scene.draw(index / rate) for index in range(frames)])


class RenderedScene:
    """One scene of ``duration_s`` seconds: a cast, a place, an action of ``label``. Raises `UsageError`."""

    def __init__(
        self, label: str, seed: int, width: int, height: int, duration_s: float, of: str = INTERACTIONS
    ) -> None:
        if of not in SETS:
            raise UsageError(f"cannot render the set '{of}'; known are {', '.join(SETS)}")
        check_label(label, of)
        for name, value in (("width", width), ("height", height), ("duration_s", duration_s)):
            _positive(name, value)
        if seed < 0:
            raise UsageError(f"seed {seed} is negative; give 0 or more")
        self.label, self.seed, self.duration_s, self.of = label, seed, duration_s, of
        self._size = (width, height)
        self._fine = 2 if width * height <= _FINE_PIXELS else 1
        manner = self._manner = _MANNERS[of]
        rng = np.random.default_rng([seed, manner.first + number_of(label, of)])
        stage = manner.stage(rng, label, duration_s)
        self._looks = [(draw_uniform if manner.plain else draw_look)(rng) for _ in stage.joints]
        self._camera = manner.camera(rng, stage.extent(), width, height)
        self._joints = [self._camera.project(joints) for joints in stage.joints]
        self._shadow = _draw_shadow(rng)
        self._casts = [self._camera.project(_cast(joints, self._shadow))[..., :2] for joints in stage.joints]
        self._light = (float(rng.choice([-0.8, 0.8])), -0.5)
        if manner.plain:
            self._place = self._draw_wall(rng)
        else:
            self._place = self._draw_room(rng) if manner.indoors else self._draw_place(rng)
        if manner.indoors:
            self._looks = [mask_some(rng, look) for look in self._looks]
        for place, prop in enumerate(stage.props):
            self._looks[place] = replace(self._looks[place], prop=prop)
        self._sensor = manner.sensor(rng, width, height)

    def draw(self, time_s: float) -> NDArray[np.uint8]:
        """The picture (H, W, 3) BGR at a moment in [0, ``duration_s``]; the same moment, the same picture."""
        fine = self._fine
        shift = self._camera.waver(time_s)
        canvas = self._backdrop(shift)
        index, part = self._moment(time_s)
        if self._manner.shaded:
            self._darken(canvas, [_between(cast, index, part) for cast in self._casts], shift)
        people: list[tuple[Array, Look]] = []
        for joints, look in zip(self._joints, self._looks, strict=True):
            now = _between(joints, index, part)
            now[:, 0], now[:, 1] = (now[:, 0] + shift[0]) * fine, (now[:, 1] + shift[1]) * fine
            people.append((now, look))
        paint(canvas, people, self._camera.scale * fine, self._light if self._manner.shaded else None)
        if fine > 1:
            canvas = cv2.resize(canvas, self._size, interpolation=cv2.INTER_AREA)
        return self._sensor.expose(canvas, time_s)

    def boxes(self, time_s: float) -> NDArray[np.float64]:
        """Where each person is at a moment, ``(P, 4)`` of x1, y1, x2, y2 in pixels, cut to the picture."""
        shift, (index, part) = self._camera.waver(time_s), self._moment(time_s)
        found = []
        for joints in self._joints:
            now = _between(joints, index, part)
            thick = _THICKNESS * self._camera.scale * now[:, 3]
            x, y = now[:, 0] + shift[0], now[:, 1] + shift[1]
            found.append([(x - thick).min(), (y - thick).min(), (x + thick).max(), (y + thick).max()])
        return np.clip(np.array(found), 0.0, np.array(self._size * 2))

    def _moment(self, time_s: float) -> tuple[int, float]:
        position = float(np.clip((time_s + LEAD_S) * RATE, 0, len(self._joints[0]) - 1.001))
        return int(position), position - int(position)

    def _draw_place(self, rng: np.random.Generator) -> Picture:
        width, height = self._size
        feet = self._camera.v + 0.5 * self._camera.scale
        floor = -1.0
        if self._camera.pitch < 0.22 and rng.uniform() < 0.75:
            floor = float(feet - rng.uniform(0.06, 0.3 + 1.5 * self._camera.pitch) * self._camera.scale)
        margin = self._margin()
        wide, high = (width + 2 * margin) * self._fine, (height + 2 * margin) * self._fine
        return background(rng, wide, high, (floor + margin) * self._fine)

    def _draw_room(self, rng: np.random.Generator) -> Picture:
        """A place whose floor ends where a wall behind the actor would meet it."""
        width, height = self._size
        margin, camera = self._margin(), self._camera
        behind = float(rng.uniform(0.3, 4.0))
        floor = camera.v + camera.scale * camera.eye / (1 + behind * camera.nearness)
        wide, high = (width + 2 * margin) * self._fine, (height + 2 * margin) * self._fine
        return room(rng, wide, high, (floor + margin) * self._fine)

    def _draw_wall(self, rng: np.random.Generator) -> Picture:
        width, height = ((side + 2 * self._margin()) * self._fine for side in self._size)
        return np.full((height, width, 3), np.uint8(rng.integers(95, 125)))

    def _margin(self) -> int:
        return 2 + int(_MARGIN * self._size[1])

    def _backdrop(self, shift: tuple[float, float]) -> Picture:
        width, height = self._size[0] * self._fine, self._size[1] * self._fine
        margin = self._margin() * self._fine
        x, y = (margin - round(float(np.clip(s * self._fine, -margin, margin))) for s in shift)
        return self._place[y : y + height, x : x + width].copy()

    def _darken(self, canvas: Picture, casts: list[Array], shift: tuple[float, float]) -> None:
        height, width = canvas.shape[:2]
        shrink = _SHADOW_SHRINK * (1 if self._fine > 1 else 2)
        mask = np.full((max(1, round(height * shrink)), max(1, round(width * shrink))), 255, np.uint8)
        casts = [(cast + shift) * self._fine for cast in casts]
        soft = paint_shadows(mask, casts, self._camera.scale * self._fine, shrink, self._shadow[2])
        shade = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(canvas, cv2.merge([shade, shade, shade]), canvas, 1 / 255)


class RenderedStream:
    """Endless scenes of 3.2 to 4.5 s one after the other, classes shuffled, each with a new cast.

    ``classes``: what a network tells apart; those that can be drawn are shown, or all interactions where none
    can but ``none``. Stateless in ``index``; at most a few scenes are kept, the oldest goes first. Raises
    `UsageError`.
    """

    _KEPT = 2

    def __init__(
        self,
        seed: int = 0,
        width: int = 320,
        height: int = 240,
        rate: float = 30.0,
        classes: Sequence[str] = CLASSES,
    ) -> None:
        for name, value in (("width", width), ("height", height), ("rate", rate)):
            _positive(name, value)
        if seed < 0:
            raise UsageError(f"seed {seed} is negative; give 0 or more")
        self._seed, self._size, self._rate = seed, (width, height), rate
        self._classes = drawn_of(classes) if set(drawn_of(classes)) - {"none"} else CLASSES
        self._of = set_of(self._classes)
        self._scenes: OrderedDict[tuple[int, int], RenderedScene] = OrderedDict()

    def frame(self, index: int) -> tuple[NDArray[np.uint8], str]:
        """Frame ``index`` (H, W, 3) BGR from 0 on, and the label being acted. Raises `UsageError`."""
        if index < 0:
            raise UsageError(f"frame index {index} is negative; give 0 or more")
        cycle, place, first, programme = self._locate(index)
        scene = self._scene(cycle, place, programme)
        return scene.draw((index - first) / self._rate), scene.label

    def take(self, index: int) -> int:
        """Number of the scene of frame ``index``; the picture does not go on from one to the next."""
        cycle, place, _, programme = self._locate(index)
        return cycle * len(programme) + place

    def _locate(self, index: int) -> tuple[int, int, int, list[tuple[str, int]]]:
        """Cycle, scene in it, the scene's first frame, and the cycle's programme of (label, frames)."""
        length = sum(frames for _, frames in self._programme(0))
        cycle, rest = divmod(index, length)
        programme, first = self._programme(cycle), cycle * length
        for place, (_, frames) in enumerate(programme):
            if rest < frames:
                return cycle, place, first, programme
            rest, first = rest - frames, first + frames
        raise AssertionError("a programme covers its cycle")

    def _programme(self, cycle: int) -> list[tuple[str, int]]:
        """Every class once, in a new order; durations differ but sum to the same in each cycle."""
        rng = np.random.default_rng([self._seed, 71, cycle])
        count = len(self._classes)
        frames = [max(1, round(s * self._rate)) for s in np.linspace(3.2, 4.5, count)]
        labels, lengths = rng.permutation(count), rng.permutation(frames)
        acted = [self._acted(int(label), rng) for label in labels]
        return [(label, int(length)) for label, length in zip(acted, lengths, strict=True)]

    def _acted(self, place: int, rng: np.random.Generator) -> str:
        """A class, in a crowd with up to two others."""
        if self._of != CROWDED:
            return self._classes[place]
        others = [name for name in self._classes if name != self._classes[place]]
        more = rng.choice(len(others), min(len(others), int(rng.integers(3))), replace=False)
        return joined_labels([self._classes[place], *(others[i] for i in more)])

    def _scene(self, cycle: int, place: int, programme: list[tuple[str, int]]) -> RenderedScene:
        key = (cycle, place)
        if key not in self._scenes:
            label, frames = programme[place]
            seed = int(np.random.default_rng([self._seed, 72, cycle, place]).integers(2**31))
            self._scenes[key] = RenderedScene(label, seed, *self._size, frames / self._rate, self._of)
            while len(self._scenes) > self._KEPT:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(key)
        return self._scenes[key]


def _draw_shadow(rng: np.random.Generator) -> tuple[float, float, float]:
    """Where a height's shadow falls (x, z, in heights) and how dark it is."""
    long = float(rng.choice([0.05, rng.uniform(0.1, 0.9)]))
    angle = float(rng.uniform(0, 2 * np.pi))
    return long * np.cos(angle), long * np.sin(angle), float(rng.uniform(0.1, 0.5))


def _cast(joints: Array, shadow: tuple[float, float, float]) -> Array:
    ground = joints.copy()
    ground[..., 0] += shadow[0] * joints[..., 1]
    ground[..., 2] += shadow[1] * joints[..., 1]
    ground[..., 1] = 0.0
    return ground


def _between(track: Array, index: int, part: float) -> Array:
    moment: Array = (1 - part) * track[index] + part * track[index + 1]
    return moment


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise UsageError(f"{name} {value} of a rendered picture is not above 0")
