"""Frigate's events (its MQTT topic ``frigate/events``) as who is where.

    {"type": "new" | "update" | "end",
     "after": {"id": …, "camera": …, "label": "person", "score": …, "box": [x1, y1, x2, y2], …}}

Each event is of one person, and comes when something about them changes: whoever has not ended is still where
they were last told to be. Boxes are in pixels of the camera's detect stream.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from a3d_edge.engine.people import MOST_PEOPLE
from a3d_edge.errors import SourceError
from a3d_edge.people.feed_line import LONGEST_NAME, Message, is_number, message_of, told
from a3d_edge.shown import shown

__all__ = ["FrigateEvents", "is_frigate"]

SILENT_S = 120.0
"""Of whom Frigate says no word for so long, the end was missed: it tells of who stands still, too."""


def is_frigate(content: dict[str, Any]) -> bool:
    """Whether a message is an event of Frigate's."""
    return "type" in content and "after" in content


class FrigateEvents:
    """Who is there by the events so far; ``camera``: of that one alone. ``size``: of its detect stream."""

    def __init__(self, camera: str | None, size: tuple[float, float] | None) -> None:
        self._camera, self._size = camera, size
        self._there: dict[str, tuple[float, Message]] = {}

    def hear(self, content: dict[str, Any], now_s: float, where: str) -> None:
        """An event. Raises `SourceError` for one that cannot be meant."""
        after = content["after"]
        if not isinstance(after, dict):
            raise SourceError(f"{where}: 'after' is no object; is it Frigate?")
        if after.get("label") != "person" or (self._camera and after.get("camera") != self._camera):
            return
        who = after.get("id")
        if not isinstance(who, str) or not who:
            raise SourceError(f"{where}: its 'id' is {told(who)}, and no text; is it Frigate?")
        who = who[:LONGEST_NAME]
        if content["type"] == "end" or after.get("false_positive"):
            self._there.pop(who, None)
            return
        given = after.get("score")
        score = given if is_number(given) else 1.0  # of an object that was just found it is not told
        one = {"id": who, "box": after.get("box"), "score": min(1.0, max(0.0, score))}
        self._there.pop(who, None)
        self._there[who] = (now_s, message_of({"people": [one]}, f"{where}: {shown(who)}"))
        while len(self._there) > MOST_PEOPLE:
            del self._there[next(iter(self._there))]

    def message(self, now_s: float) -> Message:
        """Everybody who is there."""
        self._there = {who: one for who, one in self._there.items() if now_s - one[0] <= SILENT_S}
        people = tuple(one for _, told in self._there.values() for one in told.people)
        return replace(Message(people), size=self._size)
