"""Everything round the figures: the camera, ground and walls behind, and what light and sensor do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.demo.skeleton import Array
from a3d_edge.demo.strokes import Picture

__all__ = [
    "DISTANCES",
    "Camera",
    "Sensor",
    "background",
    "draw_camera",
    "draw_clear_sensor",
    "draw_facing_camera",
    "draw_sensor",
    "draw_straight_camera",
    "room",
]

Rng = np.random.Generator


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and wavers: ``scale`` pixels a height; what is ``eye`` up is at (``u``, ``v``).

    ``nearness`` is 1 over its distance in heights.
    """

    pan: float
    pitch: float
    scale: float
    u: float
    v: float
    mirrored: bool
    width: int
    shake: float
    phases: tuple[float, ...]
    nearness: float = 0.13
    eye: float = 0.5

    def project(self, points: Array) -> Array:
        """(..., 3) in heights → (..., 4): pixel x and y, depth towards the camera, relative size."""
        view = self.turn(points)
        size = 1.0 / (1.0 - self.nearness * view[..., 2:])
        x = self.u + self.scale * view[..., :1] * size
        y = self.v - self.scale * (view[..., 1:2] - self.eye) * size
        if self.mirrored:
            x = self.width - 1 - x
        return np.concatenate([x, y, view[..., 2:], size], axis=-1)

    def turn(self, points: Array) -> Array:
        """World to view axes (..., 3): right, up, towards the camera."""
        x = points[..., 0] * np.cos(self.pan) + points[..., 2] * np.sin(self.pan)
        z = points[..., 2] * np.cos(self.pan) - points[..., 0] * np.sin(self.pan)
        up = points[..., 1] * np.cos(self.pitch) - z * np.sin(self.pitch)
        near = z * np.cos(self.pitch) + points[..., 1] * np.sin(self.pitch)
        return np.stack([x, up, near], axis=-1)

    def waver(self, time_s: float) -> tuple[float, float]:
        """How far the picture is shifted (pixels) at a moment: a slow sway and a quick tremble."""
        a, b, c, d = self.phases
        slow = np.sin(1.9 * time_s + a) + 0.6 * np.sin(4.7 * time_s + b)
        quick = np.sin(6.1 * time_s + c) + 0.5 * np.sin(13.0 * time_s + d)
        return self.shake * float(slow), self.shake * float(0.5 * quick + 0.4 * slow)


def draw_camera(rng: Rng, extent: Array, width: int, height: int) -> Camera:
    """A camera that frames the action.

    ``extent`` is every joint (K, 3) of the actors while they act, in heights. A person is 0.52 to 0.9 of the
    picture high: what does not fit beside that is cut by the picture's edges.
    """
    pan, pitch = float(rng.normal(0.0, 0.2)), float(rng.uniform(0.02, 0.42))
    plain = Camera(pan, pitch, 1.0, 0.0, 0.0, False, width, 0.0, (0.0, 0.0, 0.0, 0.0))
    view = plain.turn(extent)
    low, high = view[:, 0].min(), view[:, 0].max()
    fill = float(rng.uniform(0.64, 0.9))
    wide = width / max(high - low + 0.1, 0.3) * float(rng.uniform(0.85, 1.15))
    scale = float(np.clip(wide, 0.52 * height, fill * height))
    slack = max(width - scale * (high - low), 0.15 * width)
    u = width / 2 - scale * (low + high) / 2 + slack * float(rng.uniform(-0.4, 0.4))
    room = height * (1 - scale / height)
    v = height / 2 + room * float(rng.uniform(-0.3, 0.35))
    shake = height * float(rng.choice([0.0, 0.0, rng.uniform(0.0, 0.004), rng.uniform(0.004, 0.012)]))
    a, b, c, d = (float(p) for p in rng.uniform(0, 2 * np.pi, 4))
    return Camera(pan, pitch, scale, u, v, bool(rng.uniform() < 0.5), width, shake, (a, b, c, d))


def draw_straight_camera(rng: Rng, extent: Array, width: int, height: int) -> Camera:
    """Never mirrored, from about straight ahead and not shaken: sides and turns are classes.

    As near as all that is acted (``extent``, as in `draw_camera`) fits beside each other, with room for what
    hands hold; of one person that is the upper body.
    """
    pan, pitch, eye = float(rng.normal(0.0, 0.06)), float(rng.normal(0.0, 0.03)), 0.7
    plain = Camera(pan, pitch, 1.0, 0.0, 0.0, False, width, 0.0, (0.0, 0.0, 0.0, 0.0), eye=eye)
    seen = plain.project(extent)
    low, high, top = seen[:, 0].min(), seen[:, 0].max(), seen[:, 1].min()
    near = float(rng.uniform(0.85, 1.0)) * width / (high - low + 0.25)
    scale = float(np.clip(near, 0.55 * height, 1.4 * height))
    slack = max(0.0, width - scale * (high - low + 0.2))
    u = width / 2 - scale * (low + high) / 2 + slack * float(rng.uniform(-0.5, 0.5))
    v = scale * (0.16 - top) + height * float(rng.uniform(0.0, 0.08))
    return replace(plain, scale=scale, u=u, v=v)


DISTANCES: dict[str, tuple[float, float]] = {"1 m": (1.35, 1.95), "4 m": (0.54, 0.84), "6 m": (0.4, 0.56)}
"""How high a person is in the picture (1 is its height) who signals from so far away."""


def draw_facing_camera(rng: Rng, acted: Array, width: int, height: int) -> Camera:
    """A level camera that somebody signals to from 1, 4 or 6 m: the upper body, or all of it.

    ``acted`` is every joint (K, 3) of the actor while the gesture lasts; hands stay in the picture where it
    is wide enough. Never mirrored: left and right are gestures.
    """
    low, high = DISTANCES[str(rng.choice(list(DISTANCES)))]
    scale = min(float(rng.uniform(low, high)) * height, 1.6 * width)
    nearness, eye = scale / height / float(rng.uniform(1.25, 1.75)), float(rng.uniform(0.55, 0.8))
    shake = height * float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.0, 0.004)]))
    a, b, c, d = (float(p) for p in rng.uniform(0, 2 * np.pi, 4))
    pan, pitch = float(rng.normal(0.0, 0.06)), float(rng.normal(0.0, 0.03))
    camera = Camera(pan, pitch, scale, 0.0, 0.0, False, width, shake, (a, b, c, d), nearness, eye)
    x = camera.project(acted)[..., 0]
    u = width * float(rng.normal(0.5, 0.1))
    edge = 0.03 * width
    u = float(np.clip(u, edge - x.min(), width - edge - x.max())) if np.ptp(x) < width - 2 * edge else u
    u = float(np.clip(u, 0.25 * width, 0.75 * width))
    top = height * float(rng.uniform(0.05, 0.24) if scale > height else rng.uniform(0.08, 0.3))
    lowest = max(height * 0.985 - scale * 1.04, 0.02 * height)
    head = top if scale > height else min(top, lowest)
    return replace(camera, u=u, v=head + scale * (1.0 - eye))


def background(rng: Rng, width: int, height: int, floor: float) -> Picture:
    """The place (H, W, 3): ground below ``floor`` (the pixel row where it ends), a wall above."""
    ground = _ground(rng, width, height)
    if floor <= 0:
        return ground
    wall = _wall(rng, width, height)
    edge = np.clip((np.arange(height) - floor) / max(1.0, 0.01 * height) + 0.5, 0.0, 1.0)[:, None, None]
    mixed: Picture = (wall * (1 - edge) + ground * edge).astype(np.uint8)
    return mixed


def room(rng: Rng, width: int, height: int, floor: float) -> Picture:
    """A room (H, W, 3) as behind somebody who faces a camera: furniture, windows, lamps, things about."""
    picture = background(rng, width, height, min(max(floor, 1.0), 4.0 * height))
    base = picture[: max(2, height // 3)].reshape(-1, 3).mean(axis=0)
    most = (0, 12, 30)[int(rng.integers(3))]
    for _ in range(int(rng.integers(most // 4, most + 1))):
        wide, tall = height * float(rng.uniform(0.03, 0.35)), height * float(rng.uniform(0.03, 0.35))
        x = float(rng.uniform(-0.1, 1.0)) * width
        y = min(float(rng.uniform(0.0, 1.0)) * height, floor - 0.5 * tall)
        tone = base * rng.uniform(0.15, 1.7) + rng.normal(0, 22, 3)
        corners = (int(x), int(y)), (int(x + wide), int(y + tall))
        cv2.rectangle(picture, *corners, np.clip(tone, 0, 255).tolist(), -1)
        if rng.uniform() < 0.4:
            edge = np.clip(tone * float(rng.uniform(0.4, 1.6)), 0, 255).tolist()
            cv2.rectangle(picture, *corners, edge, max(1, height // 160))
    if rng.uniform() < 0.5:
        _windows(rng, picture)
    soft: Picture = cv2.GaussianBlur(picture, (0, 0), max(0.4, height * float(rng.uniform(0.001, 0.005))))
    return soft


def _windows(rng: Rng, picture: Picture) -> None:
    """A row of bright panes, or of lamps at the ceiling."""
    height, width = picture.shape[:2]
    top, tall = height * float(rng.uniform(0.0, 0.4)), height * float(rng.uniform(0.02, 0.25))
    wide, gap = height * float(rng.uniform(0.1, 0.4)), height * float(rng.uniform(0.02, 0.3))
    bright = float(rng.uniform(170, 255)) * np.clip(rng.normal(1.0, 0.04, 3), 0, 1)
    for x in np.arange(
        float(rng.uniform(-0.3, 0.5)) * width, width * float(rng.uniform(0.5, 1.1)), wide + gap
    ):
        cv2.rectangle(picture, (int(x), int(top)), (int(x + wide), int(top + tall)), bright.tolist(), -1)


def _noise(rng: Rng, width: int, height: int, cells: float, stretch: float = 1.0) -> NDArray[np.float32]:
    """Smooth noise (H, W) in about [-1, 1] with ``cells`` bumps across the height."""
    rows, columns = max(2, round(cells)), max(2, round(cells * width / height / stretch))
    coarse = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    smooth: NDArray[np.float32] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth


def _ground(rng: Rng, width: int, height: int) -> Picture:
    kind = str(rng.choice(["asphalt", "grass", "indoor", "sand", "tiles"], p=[0.35, 0.25, 0.2, 0.1, 0.1]))
    base = _tone(rng, kind)
    rough = 26.0 if kind == "grass" else 9.0
    texture = rough * 0.5 * _noise(rng, width, height, 5, 1.8) + rough * 0.35 * _noise(
        rng, width, height, 22, 2.0
    )
    texture += rough * float(rng.uniform(0.2, 0.8)) * _noise(rng, width, height, height / 2.5, 1.5)
    slope = float(rng.uniform(-30, 30)) * (np.arange(height) / height - 0.5)[:, None]
    picture = np.clip(base + (texture + slope)[..., None], 0, 255).astype(np.float32)
    if kind == "grass":
        bare = np.clip(1.6 * _noise(rng, width, height, 6, 2.0), 0, 1)[..., None]
        picture = picture * (1 - 0.6 * bare) + 0.6 * bare * (_tone(rng, "sand") * 0.75 + texture[..., None])
    painted: Picture = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    _lines(rng, painted, base, kind)
    return painted


def _tone(rng: Rng, kind: str) -> Array:
    tones = {
        "asphalt": (118, 126, 130),
        "grass": (62, 108, 98),
        "indoor": (120, 132, 145),
        "sand": (128, 150, 168),
        "tiles": (150, 155, 160),
    }
    colour: Array = np.array(tones[kind]) * rng.uniform(0.65, 1.25) + rng.normal(0, 7, 3)
    return colour


def _lines(rng: Rng, picture: Picture, base: Array, kind: str) -> None:
    """Cracks, seams, painted marks and stains on the ground."""
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(0, 4)) + (4 if kind == "tiles" else 0)):
        y1, y2 = rng.uniform(0, height, 2)
        if kind == "tiles" or rng.uniform() < 0.6:
            y2 = y1 + rng.normal(0, 0.04) * height
        tone = base * float(rng.choice([0.72, 0.85, 1.15, 1.4]))
        thick = max(1, round(height * float(rng.uniform(0.004, 0.014))))
        cv2.line(picture, (-5, int(y1)), (width + 5, int(y2)), tone.tolist(), thick, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 7))):
        spot = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (1 + int(rng.uniform(0, 0.03) * height), 1 + int(rng.uniform(0, 0.012) * height))
        cv2.ellipse(
            picture, spot, axes, float(rng.uniform(-20, 20)), 0, 360, (base * 0.7).tolist(), -1, cv2.LINE_AA
        )


def _wall(rng: Rng, width: int, height: int) -> Picture:
    base = np.array([150.0, 155.0, 160.0]) * rng.uniform(0.5, 1.35) + rng.normal(0, 9, 3)
    slope = float(rng.uniform(-25, 25)) * (np.arange(width) / width - 0.5)[None, :]
    texture = 8 * _noise(rng, width, height, 4) + 5 * _noise(rng, width, height, 30)
    painted: Picture = np.ascontiguousarray(
        np.clip(base + (texture + slope)[..., None], 0, 255).astype(np.uint8)
    )
    for _ in range(int(rng.integers(0, 6))):
        _object(rng, painted, base)
    soft: Picture = cv2.GaussianBlur(painted, (0, 0), max(0.5, height * 0.006))
    return soft


def _object(rng: Rng, picture: Picture, base: Array) -> None:
    """A pole, door, window or hedge far behind."""
    height, width = picture.shape[:2]
    tone = (base * rng.uniform(0.5, 1.4) + rng.normal(0, 12, 3)).clip(0, 255).tolist()
    x, y = int(rng.uniform(0, width)), int(rng.uniform(0, 0.6) * height)
    wide = int(height * float(rng.choice([0.02, 0.12, 0.3])))
    tall = int(height * float(rng.uniform(0.15, 1.0)))
    cv2.rectangle(picture, (x, y), (x + wide, y + tall), tone, -1)


@dataclass(frozen=True)
class Sensor:
    """What light, lens, sensor and codec make of a picture."""

    gains: tuple[float, float, float]
    gamma: float
    drift: float
    phase: float
    blur: float
    quality: int
    grain: NDArray[np.int16]

    def expose(self, picture: Picture, time_s: float) -> Picture:
        """The picture (H, W, 3) as recorded at a moment; the same moment gives the same grain."""
        recorded: Picture = cv2.GaussianBlur(picture, (0, 0), self.blur) if self.blur > 0 else picture
        recorded = cv2.LUT(recorded, self._curve(time_s))
        recorded = cv2.add(recorded, self._grain(picture.shape, time_s), dtype=cv2.CV_8U)
        return recorded if self.quality >= 100 else self._packed(recorded)

    def _packed(self, picture: Picture) -> Picture:
        """The picture after a lossy codec."""
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        unpacked = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return picture if unpacked is None else unpacked.astype(np.uint8, copy=False)

    def _curve(self, time_s: float) -> Picture:
        level = 1.0 + self.drift * np.sin(0.9 * time_s + self.phase)
        ramp = (np.arange(256) / 255.0) ** self.gamma * 255.0 * level
        curve: Picture = np.clip(ramp[None, :, None] * np.array(self.gains), 0, 255).astype(np.uint8)
        return curve

    def _grain(self, shape: tuple[int, ...], time_s: float) -> NDArray[np.int16]:
        """A window into the fixed grain, at a place hashed from the moment."""
        spin = (round(time_s * 10_000) * 2_654_435_761) % (1 << 32)
        y, x = (spin >> 8) % (self.grain.shape[0] - shape[0]), (spin >> 20) % (self.grain.shape[1] - shape[1])
        return self.grain[y : y + shape[0], x : x + shape[1]]


def draw_sensor(rng: Rng, width: int, height: int) -> Sensor:
    """Light and sensor of one scene."""
    level = float(rng.uniform(0.6, 1.25))
    blue, green, red = (level * float(g) for g in rng.normal(1.0, 0.03, 3))
    sigma = float(rng.choice([rng.uniform(0.5, 2.0), rng.uniform(2.0, 6.0)], p=[0.65, 0.35]))
    grain = rng.normal(0.0, sigma, (height + 61, width + 67, 3)).round().astype(np.int16)
    return Sensor(
        gains=(blue, green, red),
        gamma=float(rng.uniform(0.8, 1.3)),
        drift=float(rng.choice([0.0, rng.uniform(0.0, 0.04)])),
        phase=float(rng.uniform(0, 2 * np.pi)),
        blur=float(rng.choice([0.0, rng.uniform(0.3, 0.9)])) * height / 144,
        quality=int(rng.choice(np.array([100, 100, rng.integers(30, 80)]))),
        grain=grain,
    )


def draw_clear_sensor(rng: Rng, width: int, height: int) -> Sensor:
    """The same light without grain, blur and codec: what is fine stays fine, and is kept in a few bytes."""
    sensor = draw_sensor(rng, width, height)
    return replace(sensor, blur=0.0, quality=100, grain=np.zeros_like(sensor.grain))
