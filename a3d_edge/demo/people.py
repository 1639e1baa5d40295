"""People on the picture: clothes drawn from a seed, and solved joints painted as shaded, tapered limbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from a3d_edge.demo.closeup import face_parts, hand_parts
from a3d_edge.demo.props import Prop, prop_parts
from a3d_edge.demo.skeleton import Array, Joint
from a3d_edge.demo.strokes import Colour, Part, Picture, times

__all__ = ["Look", "draw_look", "draw_uniform", "mask_some", "paint", "paint_shadows"]

_SKIN = ((190, 205, 235), (160, 185, 225), (130, 160, 205), (95, 130, 180), (65, 95, 145), (45, 65, 100))
_HAIR = ((20, 20, 25), (30, 35, 45), (35, 55, 85), (70, 110, 150), (90, 95, 100), (25, 40, 110))
_TROUSERS = (
    (90, 65, 45),
    (120, 90, 65),
    (40, 35, 35),
    (75, 75, 75),
    (95, 120, 140),
    (60, 70, 60),
    (130, 120, 110),
)
_SHOES = ((25, 25, 28), (220, 220, 225), (50, 60, 85), (60, 60, 60))
_RING = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 13)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 13)[:-1])], axis=1
)
_SHADE, _LIT = 0.84, 1.04


@dataclass(frozen=True)
class Look:
    """One person's clothes and build; colours are BGR, ``girth`` multiplies every limb's thickness."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    stripes: Colour | None
    sleeve: float
    legwear: str
    hair_kind: str
    coat: float
    girth: float
    mask: Colour | None = None
    prop: Prop | None = None


def draw_look(rng: np.random.Generator) -> Look:
    """Clothes and build of one person."""
    return Look(
        skin=_near(rng, _SKIN[int(rng.integers(len(_SKIN)))], 8),
        hair=_near(rng, _HAIR[int(rng.integers(len(_HAIR)))], 8),
        shirt=_cloth(rng),
        trousers=_cloth(rng)
        if rng.uniform() < 0.1
        else _near(rng, _TROUSERS[int(rng.integers(len(_TROUSERS)))], 14),
        shoes=_SHOES[int(rng.integers(len(_SHOES)))],
        stripes=_cloth(rng) if rng.uniform() < 0.22 else None,
        sleeve=float(rng.choice([0.45, 0.6, 1.0, 2.0, 2.0])),
        legwear=str(rng.choice(["trousers", "trousers", "trousers", "trousers", "shorts", "skirt"])),
        hair_kind=str(rng.choice(["short", "short", "short", "long", "cap", "bald", "hood"])),
        coat=float(rng.choice([0.0, 0.0, 0.0, 0.25, 0.5])),
        girth=float(np.clip(rng.normal(1.0, 0.13), 0.78, 1.35)),
    )


def draw_uniform(rng: np.random.Generator) -> Look:
    """Much the same for everybody: dark clothes, light arms. The build differs."""
    return Look(
        skin=_near(rng, (165, 190, 215), 6), hair=_near(rng, (40, 40, 45), 4),
        shirt=_near(rng, (55, 45, 40), 5), trousers=_near(rng, (50, 50, 50), 5), shoes=_SHOES[0],
        stripes=None, sleeve=0.45, legwear="trousers", hair_kind="short", coat=0.0,
        girth=float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.25)),
    )  # fmt: skip


def mask_some(rng: np.random.Generator, look: Look) -> Look:
    """The same person, at times with a mask before mouth and nose."""
    masks = ((225.0, 225.0, 225.0), (35.0, 35.0, 38.0), (190.0, 170.0, 120.0), (100.0, 100.0, 105.0))
    return replace(look, mask=masks[int(rng.integers(len(masks)))]) if rng.uniform() < 0.3 else look


def _near(rng: np.random.Generator, colour: Sequence[int], spread: float) -> Colour:
    blue, green, red = (float(np.clip(c + rng.normal(0, spread), 8, 245)) for c in colour)
    return blue, green, red


def _cloth(rng: np.random.Generator) -> Colour:
    """Mostly dull cloth, at times white, black or loud."""
    value = float(
        rng.choice([rng.uniform(30, 70), rng.uniform(70, 170), rng.uniform(180, 240)], p=[0.3, 0.4, 0.3])
    )
    strength = float(rng.choice([rng.uniform(0, 45), rng.uniform(60, 180)], p=[0.6, 0.4]))
    hsv = np.array([[[rng.integers(180), strength, value]]], dtype=np.uint8)
    blue, green, red = (float(c) for c in cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0])
    return blue, green, red


def paint(
    canvas: Picture, people: Sequence[tuple[Array, Look]], scale: float, light: tuple[float, float] | None
) -> None:
    """Draw ``people`` into ``canvas``, far parts first.

    Joints are (`Joint.COUNT`, 4): pixel x, pixel y, depth in heights towards the camera, and relative size;
    more rows are the fingers of a figure seen from near (see `a3d_edge.demo.hands`), which has a face too;
    ``scale`` is pixels a height; ``light`` points on the picture to where the light comes from (None: all is
    flat, which is quicker).
    """
    parts = [part for joints, look in people for part in _parts(joints, look, scale)]
    parts.sort(key=lambda part: part.depth)
    centres, radii = (
        np.concatenate([part.centres for part in parts]),
        np.concatenate([part.radii for part in parts]),
    )
    shapes = _rims(centres, radii)
    lit = None if light is None else _rims(centres + 0.3 * radii[:, None] * np.array(light), radii * 0.7)
    row = 0
    for part in parts:
        rows = slice(row, row + len(part.radii))
        row = rows.stop
        _fill(canvas, shapes[rows], times(part.colour, _SHADE if part.shaded else 1.0))
        if part.shaded and lit is not None:
            _fill(canvas, lit[rows], times(part.colour, _LIT))


def _rims(centres: Array, radii: Array) -> NDArray[np.int32]:
    """Points (K, 12, 2) round every circle, in sixteenths of a pixel."""
    rims: NDArray[np.int32] = ((centres[:, None] + radii[:, None, None] * _RING) * 16).astype(np.int32)
    return rims


def _fill(canvas: Picture, rims: NDArray[np.int32], colour: Colour) -> None:
    outline = cv2.convexHull(rims.reshape(-1, 2))
    cv2.fillConvexPoly(canvas, outline, colour, lineType=cv2.LINE_8, shift=4)


def _parts(joints: Array, look: Look, scale: float) -> list[Part]:
    unit = scale * float(joints[Joint.PELVIS, 3])
    parts = _trunk_parts(joints, look, unit) + _head_parts(joints, look, unit)
    if _from_near(joints):
        parts += face_parts(joints, look.hair, look.skin, look.mask, unit)
    for side in (0, 1):
        parts += _leg_parts(joints, look, unit, side) + _arm_parts(joints, look, unit, side)
    return parts if look.prop is None else parts + prop_parts(joints, look.prop, unit)


def _from_near(joints: Array) -> bool:
    """Whether the figure has fingers, and a face."""
    return len(joints) > Joint.COUNT


def _swell(joints: Array, row: int) -> float:
    """How much thicker perspective makes a limb there; only figures seen from near are painted so."""
    return float(joints[row, 3] / joints[Joint.PELVIS, 3]) if _from_near(joints) else 1.0


def _limb(
    joints: Array, ends: tuple[int, int], radii: tuple[float, float], colour: Colour, bias: float = 0.0
) -> Part:
    start, end = joints[ends[0]], joints[ends[1]]
    depth = 0.5 * (float(start[2]) + float(end[2])) + bias
    swell = np.array([_swell(joints, ends[0]), _swell(joints, ends[1])])
    return Part(depth, colour, np.stack([start[:2], end[:2]]), np.array(radii) * swell)


def _cut(joints: Array, ends: tuple[int, int], share: float) -> Array:
    """The point ``share`` of the way along a limb, as another joint row."""
    row: Array = joints[ends[0]] + share * (joints[ends[1]] - joints[ends[0]])
    return row


def _arm_parts(joints: Array, look: Look, unit: float, side: int) -> list[Part]:
    shoulder, elbow, wrist, hand = (j + side for j in (Joint.SHOULDER, Joint.ELBOW, Joint.WRIST, Joint.HAND))
    g = unit * look.girth
    upper = look.shirt if look.sleeve >= 1.0 else look.skin
    lower = look.shirt if look.sleeve >= 2.0 else look.skin
    dim = 1.0 if joints[shoulder, 2] >= joints[Joint.NECK, 2] - 0.03 else 0.88
    parts = [
        _limb(joints, (shoulder, elbow), (0.036 * g, 0.029 * g), times(upper, dim)),
        _limb(joints, (elbow, wrist), (0.027 * g, 0.02 * g), times(lower, dim), 0.001),
    ]
    if _from_near(joints):
        parts += hand_parts(joints, side, times(look.skin, dim), unit * _swell(joints, wrist))
    else:
        parts.append(_limb(joints, (wrist, hand), (0.019 * unit, 0.021 * unit), times(look.skin, dim), 0.002))
    if look.sleeve < 1.0:
        rows = np.stack([joints[shoulder], _cut(joints, (shoulder, elbow), look.sleeve)])
        depth = parts[0].depth + 0.0005
        parts.append(Part(depth, times(look.shirt, dim), rows[:, :2], np.array([0.041, 0.037]) * g))
    return parts


def _leg_parts(joints: Array, look: Look, unit: float, side: int) -> list[Part]:
    hip, knee, ankle, toe = (j + side for j in (Joint.HIP, Joint.KNEE, Joint.ANKLE, Joint.TOE))
    g = unit * look.girth
    dim = 1.0 if joints[hip, 2] >= joints[Joint.PELVIS, 2] - 0.015 else 0.86
    cloth, shin = times(look.trousers, dim), times(look.trousers, dim)
    if look.legwear != "trousers":
        shin = times(look.skin, dim)
    thigh = shin if look.legwear == "skirt" else cloth
    back = 0.08 if _from_near(joints) else 0.0  # knees bent to the camera stay below the hem
    wide = 0.036 if look.legwear == "trousers" else 0.028
    return [
        _limb(joints, (hip, knee), (0.058 * g, 0.043 * g), thigh, -0.05 - back),
        _limb(joints, (knee, ankle), (0.042 * g, wide * 0.85 * g), shin, -0.052 - back),
        _limb(joints, (ankle, toe), (0.026 * unit, 0.018 * unit), times(look.shoes, dim), -0.055 - back),
    ]


def _trunk_parts(joints: Array, look: Look, unit: float) -> list[Part]:
    g = unit * look.girth
    pelvis, neck = joints[Joint.PELVIS], joints[Joint.NECK]
    shoulders, hips = joints[[Joint.SHOULDER, Joint.SHOULDER + 1]], joints[[Joint.HIP, Joint.HIP + 1]]
    inner = shoulders[:, :2] + 0.25 * (neck[:2] - shoulders[:, :2])
    low = hips[:, :2] + 0.12 * (neck[:2] - pelvis[:2])
    depth = float(0.5 * (pelvis[2] + neck[2]))
    shirt = Part(depth, look.shirt, np.vstack([inner, low]), np.array([0.056, 0.056, 0.062, 0.062]) * g)
    parts = [shirt, Part(depth - 0.02, look.trousers, hips[:, :2], np.array([0.064, 0.064]) * g)]
    parts.append(_limb(joints, (Joint.NECK, Joint.HEAD), (0.034 * g, 0.03 * unit), look.skin, 0.004))
    if look.stripes is not None:
        parts += _stripe_parts(inner, low, depth, look.stripes, g)
    if look.legwear == "skirt" or look.coat > 0.0:
        parts.append(_hem_part(joints, look, g, depth))
    return parts


def _stripe_parts(inner: Array, low: Array, depth: float, colour: Colour, g: float) -> list[Part]:
    stripes = []
    for share in (0.12, 0.36, 0.6, 0.84):
        ends = inner + share * (low - inner)
        across = np.array([-(low - inner).mean(axis=0)[1], (low - inner).mean(axis=0)[0]])
        across = across / max(float(np.hypot(*across)), 1e-6) * 0.042 * g
        centres = np.vstack([ends + across, ends - across])
        stripes.append(
            Part(depth + 0.0005, times(colour, 0.92), centres, np.full(4, 0.011 * g), shaded=False)
        )
    return stripes


def _hem_part(joints: Array, look: Look, g: float, depth: float) -> Part:
    """A skirt, or the lower part of a coat."""
    share, colour = (0.75, look.trousers) if look.legwear == "skirt" else (look.coat, look.shirt)
    ends = [_cut(joints, (Joint.HIP + s, Joint.KNEE + s), share)[:2] for s in (0, 1)]
    hips = joints[[Joint.HIP, Joint.HIP + 1], :2]
    return Part(depth - 0.01, colour, np.vstack([hips, *ends]), np.array([0.058, 0.058, 0.056, 0.056]) * g)


def _head_parts(joints: Array, look: Look, unit: float) -> list[Part]:
    head, face, crown = joints[Joint.HEAD], joints[Joint.FACE], joints[Joint.CROWN]
    ahead, up = face[:2] - head[:2], crown[:2] - head[:2]
    away = float(face[2] - head[2])
    skull = np.vstack([head[:2] + 0.3 * up, head[:2] - 0.25 * up + 0.15 * ahead])
    base = float(head[2]) + 0.01
    parts = [
        Part(base, look.skin, skull, np.array([0.056, 0.048]) * unit),
        Part(
            base + 0.001, look.skin, (head[:2] + 0.85 * ahead)[None], np.array([0.013]) * unit, shaded=False
        ),
    ]
    behind = away >= (0.0 if _from_near(joints) else 0.045)
    return parts + _hair_parts(head, ahead, up, behind, base, look, unit)


def _hair_parts(
    head: Array, ahead: Array, up: Array, behind: bool, base: float, look: Look, unit: float
) -> list[Part]:
    if look.hair_kind == "bald":
        return []
    colour = look.shirt if look.hair_kind == "hood" else look.hair
    over = base + (-0.001 if behind else 0.002)
    back, top = head[:2] - 0.38 * ahead, head[:2] + 0.55 * up
    low = back + (0.1 if look.hair_kind == "short" else -0.3) * up
    parts = [
        Part(
            base + 0.003,
            colour,
            np.vstack([top - 0.35 * ahead, top + 0.35 * ahead]),
            np.array([0.04, 0.029]) * unit,
        ),
        Part(over, colour, np.vstack([top - 0.3 * ahead, low]), np.array([0.046, 0.043]) * unit),
    ]
    if look.hair_kind == "long":
        parts.append(
            Part(over - 0.0005, colour, np.vstack([low, low - 0.9 * up]), np.array([0.043, 0.036]) * unit)
        )
    if look.hair_kind == "cap":
        brim = np.vstack([top, top + 1.1 * ahead - 0.15 * up])
        parts.append(
            Part(base + 0.004, times(look.stripes or look.shirt, 0.8), brim, np.array([0.02, 0.012]) * unit)
        )
    return parts


def paint_shadows(
    mask: Picture, grounds: Sequence[Array], scale: float, shrink: float, strength: float
) -> Picture:
    """Darkening (h, w) uint8 of the ground: each figure's joints (k, 2) cast on it, soft at the edges."""
    limbs = ((Joint.PELVIS, Joint.NECK), (Joint.NECK, Joint.CROWN))
    paired = (
        (Joint.HIP, Joint.KNEE),
        (Joint.KNEE, Joint.ANKLE),
        (Joint.SHOULDER, Joint.ELBOW),
        (Joint.ELBOW, Joint.HAND),
    )
    tone = int(255 * (1 - strength))
    for cast in grounds:
        rows = (cast * shrink * 16).astype(np.int32)
        links = [(a, b, 0.11) for a, b in limbs] + [(a + s, b + s, 0.06) for a, b in paired for s in (0, 1)]
        for start, end, wide in links:
            thickness = max(1, round(wide * scale * shrink))
            cv2.line(mask, rows[start].tolist(), rows[end].tolist(), tone, thickness, cv2.LINE_8, 4)
    soft: Picture = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.018 * scale * shrink))
    return soft
