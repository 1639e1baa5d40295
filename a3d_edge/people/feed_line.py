"""One message of a feed of boxes: a line of a file or pipe, or an MQTT message. Checked, bounded, typed.

    {"time": 1.2, "people": [{"id": 7, "box": [10, 20, 60, 180], "score": 0.9}]}
    {"frame": 36, "size": [1280, 720], "people": []}

``time``: seconds of the source; ``frame``: the number of its picture, from 0; without both the people are
where they are now. ``size``: width and height of the picture that the boxes are in pixels of, if not the
source's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.errors import SourceError
from a3d_edge.json_text import json_object
from a3d_edge.people.box import Box, Detection, Identity, box_trouble, clipped
from a3d_edge.shown import shown

__all__ = ["LONGEST_NAME", "MOST_BYTES", "Message", "content_of", "is_number", "message_of", "placed", "told"]

MOST_BYTES = 65_536
"""Of one message: 64 people take about 8000."""
LONGEST_NAME = 80
LARGEST = 1e9
FRAMES = 2**53


@dataclass(frozen=True, slots=True)
class Message:
    """People of one moment; ``time_s`` and ``frame`` as they are told, ``size``: (width, height)."""

    people: tuple[Detection, ...]
    time_s: float | None = None
    frame: int | None = None
    size: tuple[float, float] | None = None


def content_of(data: bytes | str, where: str) -> dict[str, Any]:
    """A message's JSON object. Raises `SourceError` for anything else."""
    if len(data) > MOST_BYTES:
        raise SourceError(f"{where}: more than {MOST_BYTES} bytes; that is no message of boxes")
    try:
        return json_object(data, strict=True)
    except ValueError as error:
        raise SourceError(f'{where}: {shown(str(error))}; write {{"time": …, "people": […]}}') from error


def message_of(content: dict[str, Any], where: str) -> Message:
    """The message. Raises `SourceError` that names the place of what cannot be meant."""
    people = content.get("people")
    if not isinstance(people, list):
        raise SourceError(f'{where}: has no list \'people\'; write {{"time": …, "people": […]}}')
    if len(people) > MOST_PEOPLE:
        raise SourceError(f"{where}: {len(people)} people; at most {MOST_PEOPLE} are taken")
    time_s, frame = content.get("time"), content.get("frame")
    if time_s is not None and frame is not None:
        raise SourceError(f"{where}: has 'time' and 'frame'; give one of them")
    if time_s is not None:
        time_s = _number(time_s, f"{where}: time")
        if time_s < 0:
            raise SourceError(f"{where}: time {time_s:g} is before the source begins")
    if frame is not None and not (_is_whole(frame) and 0 <= frame < FRAMES):
        raise SourceError(f"{where}: frame {told(frame)} is no picture's number")
    found = tuple(_detection(one, f"{where}: people[{place}]") for place, one in enumerate(people))
    named = [one.id for one in found if one.id is not None]
    if named and (len(named) < len(found) or len(set(named)) < len(found)):
        raise SourceError(f"{where}: give each of the people an 'id' of its own, or none of them")
    return Message(found, time_s, frame, _size(content.get("size"), where))


def placed(message: Message, height: int, width: int, where: str) -> tuple[Detection, ...]:
    """Its people in pixels of a frame, cut to it. Raises `SourceError` for a box that is not in it."""
    across, down = (1.0, 1.0) if message.size is None else (width / message.size[0], height / message.size[1])
    found = []
    for place, one in enumerate(message.people):
        x1, y1, x2, y2 = one.box
        box: Box = (x1 * across, y1 * down, x2 * across, y2 * down)
        if trouble := box_trouble(box, height, width):
            raise SourceError(f"{where}: people[{place}].box {trouble}; are these boxes of another video?")
        found.append(Detection(clipped(box, height, width), one.score, one.id))
    return tuple(found)


def _detection(given: Any, where: str) -> Detection:
    if not isinstance(given, dict):
        raise SourceError(f'{where}: is no object; write {{"box": [x1, y1, x2, y2]}}')
    box = given.get("box")
    if not isinstance(box, list) or len(box) != 4:
        raise SourceError(f"{where}.box: is to be [x1, y1, x2, y2]")
    x1, y1, x2, y2 = (_number(value, f"{where}.box") for value in box)
    if trouble := box_trouble((x1, y1, x2, y2)):
        raise SourceError(f"{where}.box {trouble}")
    score = _number(given.get("score", 1.0), f"{where}.score")
    if not 0.0 <= score <= 1.0:
        raise SourceError(f"{where}.score {score:g} is not from 0 to 1")
    return Detection((x1, y1, x2, y2), score, _identity(given.get("id"), where))


def _identity(given: Any, where: str) -> Identity | None:
    if given is None or (isinstance(given, str) and 0 < len(given) <= LONGEST_NAME):
        return given
    if _is_whole(given) and abs(given) < FRAMES:
        return int(given)
    raise SourceError(f"{where}.id: is to be a whole number, or a name of up to {LONGEST_NAME} letters")


def is_number(given: Any) -> TypeGuard[float]:
    """Whether it is one that can be meant: finite, and of a size that coordinates and times have."""
    return isinstance(given, (int, float)) and not isinstance(given, bool) and abs(given) <= LARGEST


def told(given: Any) -> str:
    """What was given, in a few letters; of a list or object, of whatever depth, only that it is one."""
    return f"a {type(given).__name__}" if isinstance(given, (dict, list)) else shown(str(given))[:40]


def _number(given: Any, where: str) -> float:
    if not is_number(given):
        raise SourceError(f"{where}: {told(given)} is no number that is meant here")
    return float(given)


def _size(given: Any, where: str) -> tuple[float, float] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 2:
        raise SourceError(f"{where}: size is to be [width, height]")
    width, height = (_number(value, f"{where}: size") for value in given)
    if min(width, height) < 1:
        raise SourceError(f"{where}: size {width:g}×{height:g} is no picture's")
    return width, height


def _is_whole(given: Any) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)
