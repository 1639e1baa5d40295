"""Feeds that are live: a pipe, and a real broker, with boxes of ours and with Frigate's events."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_delivery import Mosquitto, eventually, mosquitto, needs_mosquitto  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.people.box import Detection
from a3d_edge.people.feed_file import BoxesPipe
from a3d_edge.people.feed_line import content_of, message_of, placed
from a3d_edge.people.frigate import SILENT_S, FrigateEvents
from a3d_edge.people.opening import open_people
from a3d_edge.video.frame import Frame

CANARY = "c4n4ry"
IMAGE = np.zeros((40, 48, 3), np.uint8)


def frame(number: int = 0) -> Frame:
    return Frame(number, number / 30, IMAGE, time.monotonic())


def line(*people: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"people": list(people), **fields}).encode() + b"\n"


def gathered(feed: Any, count: int) -> list[Any]:
    """So many sightings, at least, however they come."""
    found: list[Any] = []
    eventually(lambda: found.extend(feed.until(frame(3))) or len(found) >= count)
    return found


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "boxes")
    return tmp_path / "boxes"


def test_a_pipe_is_read_as_it_is_written(pipe: Path) -> None:
    """Lines without a time are of the newest frame; a writer may leave and come again; cut to the frame."""
    feed = open_people(pipe)
    assert isinstance(feed, BoxesPipe)
    assert list(feed.until(frame())) == []  # and does not wait
    with pipe.open("wb") as file:
        file.write(line({"box": [40, -5, 60, 20]}))
    (first,) = gathered(feed, 1)
    assert (first.time_s, first.people) == (0.1, (Detection((40, 0, 48, 20), 1.0),))
    with pipe.open("wb") as file:
        file.write(line({"box": [400, 0, 600, 400], "id": "a"}, time=0.05, size=[480, 400]))
    (second,) = gathered(feed, 1)
    assert (second.time_s, second.people) == (0.05, (Detection((40, 0, 48, 40), 1.0, "a"),))
    feed.close()
    feed.close()


def test_what_is_wrong_in_a_pipe_is_warned_of_once_a_kind(pipe: Path) -> None:
    """The line is left out, and those after it are read; of a line without an end little is kept."""
    feed = open_people(pipe)
    with pipe.open("wb") as file:
        for number in range(3):
            file.write(b"{nonsense %d\n" % number)
        file.write(line({"box": [1, 2, 3, float("nan")]}))
        file.write(line({"box": [100, 2, 130, 9]}))
        file.write(line({"box": [1, 2, 3, 4]}, time=time.time()))  # which would make all else too old
        file.write(b"x" * 200_000 + b"\n")
        file.write(line({"box": [1, 2, 30, 40]}))
    (found,) = gathered(feed, 1)
    assert found.people[0].box == (1, 2, 30, 40)
    warnings = list(feed.warnings())
    assert len(warnings) == 5
    assert all(one.endswith("the message is left out") and "\n" not in one for one in warnings)
    assert feed.warnings() == []
    feed.close()


def test_of_a_flood_the_newest_is_kept(pipe: Path) -> None:
    """A bounded number of lines between two frames."""
    feed = open_people(pipe)
    with pipe.open("wb") as file:
        for number in range(2000):
            file.write(line({"box": [1, 2, 30, 40], "id": number}))
    found: list[Any] = []
    eventually(lambda: found.extend(feed.until(frame())) or (found and found[-1].people[0].id == 1999))
    feed.close()


def test_of_a_line_without_an_end_little_is_kept(pipe: Path) -> None:
    """It is told before it ends, counted once, and what comes after it is read."""
    feed = open_people(pipe)
    with pipe.open("wb") as file:
        file.write(b"x" * 5_000_000)
        eventually(lambda: feed.until(frame()) is not None and feed.warnings())
        assert feed.left_out == 1
        file.write(b"x" * 5_000 + b"\n" + line({"box": [1, 2, 30, 40]}))
    (found,) = gathered(feed, 1)
    assert found.people[0].box == (1, 2, 30, 40)
    assert feed.left_out == 1
    feed.close()


FILES = {
    b"\n" * 5000: "line 1000: 1000 lines are empty",
    b"".join(line(time=i * 1e-6) for i in range(2000)): "line 1001: more than 1000 lines of one second",
}


@pytest.mark.parametrize("said", FILES.values())
def test_a_file_that_is_none_of_boxes_ends_soon(tmp_path: Path, said: str) -> None:
    """However long it is: gigabytes of line ends, or moments."""
    (tmp_path / "boxes.jsonl").write_bytes(next(data for data, told in FILES.items() if told == said))
    with pytest.raises(SourceError, match=said):
        list(open_people(tmp_path / "boxes.jsonl").until(frame(30)))


def test_numbers_and_depths_that_no_message_has_are_told_in_one_line() -> None:
    """4000 digits, 900 lists: of a box, a score, an identity, by lines and by Frigate."""
    digits, deep = b"1" + b"0" * 4000, b"[" * 900 + b"]" * 900
    for odd in (digits, deep):
        for place in (
            (b"[1, 2, %s, 4]", b"1", b"1"),
            (b"[1, 2, 3, 4]", b"%s", b"1"),
            (b"[1, 2, 3, 4]", b"1", b"%s"),
        ):
            box, score, who = (part.replace(b"%s", odd) for part in place)
            text = b'{"people": [{"box": %s, "score": %s, "id": %s}]}' % (box, score, who)
            with pytest.raises(SourceError) as error:
                message_of(content_of(text, "x"), "x")
            assert "\n" not in str(error.value)
            assert len(str(error.value)) < 200
        events = FrigateEvents(None, None)
        content = json.loads(b'{"score": %s, "id": %s}' % (odd, odd))
        events.hear(event("new", score=content["score"]), 0.0, "x")
        assert events.message(0.0).people[0].score == 1.0
        with pytest.raises(SourceError, match="and no text"):
            events.hear(event("new", id=content["id"]), 0.0, "x")


def event(kind: str = "update", **after: Any) -> dict[str, Any]:
    """As Frigate sends it, shortened."""
    usual = {"id": "1718.5-abc", "camera": "yard", "label": "person", "score": 0.8, "box": [10, 5, 20, 35]}
    return {"type": kind, "before": {}, "after": {**usual, **after}}


def test_frigate_tells_of_one_person_an_event() -> None:
    """All who have not ended are there; other labels and cameras are not ours; silence ends."""
    events = FrigateEvents("yard", None)
    events.hear(event("new"), 0.0, "x")
    events.hear(event(id="other", box=[1, 1, 5, 30]), 1.0, "x")
    events.hear(event(id="car", label="car"), 1.0, "x")
    events.hear(event(id="away", camera="door"), 1.0, "x")
    assert [one.id for one in events.message(1.0).people] == ["1718.5-abc", "other"]
    events.hear(event("end"), 2.0, "x")
    assert [one.id for one in events.message(2.0).people] == ["other"]
    assert events.message(2.0 + SILENT_S).people == ()
    with pytest.raises(SourceError, match="is to be"):
        events.hear(event(box=None), 0.0, "x")


REFUSED = {
    f"mqtt://me:{CANARY}@host": "which topic is not said",
    f"mqtt://me:{CANARY}@host/topic?sise=3x4": "camera=NAME and size=1280x720",
    f"mqtt://me:{CANARY}@host/topic?size=3": "camera=NAME and size=1280x720",
    f"http://me:{CANARY}@host/topic": "is no address of a broker",
    f"mqtt://me:{CANARY}@:x/topic": "is no address of a broker",
}


@pytest.mark.parametrize("url", REFUSED)
def test_addresses_are_checked_and_no_password_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; from the environment as well."""
    pytest.importorskip("paho.mqtt")
    monkeypatch.setenv("FEED", url)
    for word in (url, "env:FEED"):
        with pytest.raises(UsageError, match=REFUSED[url]) as error:
            open_people(word)
        assert CANARY not in str(error.value)
        assert "`people`" in str(error.value)


@needs_mosquitto
def test_boxes_come_by_a_real_broker(mosquitto: Mosquitto) -> None:  # noqa: F811
    """Ours and Frigate's on their topics; the size in the address scales; nonsense is survived."""
    client = pytest.importorskip("paho.mqtt.client")
    from paho.mqtt.enums import CallbackAPIVersion

    sender = client.Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", mosquitto.port)
    sender.loop_start()
    base = f"mqtt://user:{CANARY}@127.0.0.1:{mosquitto.port}"
    ours, frigate = open_people(f"{base}/edge/people"), open_people(f"{base}/frigate/events?size=96x80")
    assert CANARY not in ours.name + frigate.name

    def told(feed: Any, topic: str, payload: bytes) -> Sequence[Any]:
        found: list[Any] = []

        def published() -> bool:  # until it is subscribed
            sender.publish(topic, payload)
            found.extend(feed.until(frame(3)))
            return bool(found)

        eventually(published)
        return found

    first = told(ours, "edge/people", line({"box": [1, 2, 30, 40]}))[0]
    assert first.people == (Detection((1, 2, 30, 40)),)
    there = told(frigate, "frigate/events", json.dumps(event()).encode())[-1]
    assert there.people == (Detection((5, 2.5, 10, 17.5), 0.8, "1718.5-abc"),)
    sender.publish("edge/people", b"nonsense")
    eventually(lambda: ours.until(frame(3)) is not None and ours.warnings())
    for feed in (ours, frigate):
        feed.close()
    sender.disconnect()
    sender.loop_stop()


KEYS = st.sampled_from(["people", "box", "id", "time", "after", "label"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
PERSON = st.fixed_dictionaries(
    {}, optional={"box": st.lists(st.floats() | JSON, max_size=5), "score": JSON, "id": JSON}
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={"people": st.lists(PERSON, max_size=4) | JSON, "time": JSON, "frame": JSON, "size": JSON},
    )
    | JSON
)
def test_whatever_is_sent_is_boxes_of_the_frame_or_one_line_of_error(content: Any) -> None:
    """No other exception, and nothing but finite boxes within the frame."""
    said, found = "", ()
    try:
        message = message_of(content_of(json.dumps(content), "x"), "x")
        found = placed(message, 40, 48, "x")
    except SourceError as error:
        message, said = None, str(error)
    assert "\n" not in said
    if message is None:
        return
    for one in found:
        x1, y1, x2, y2 = one.box
        assert 0 <= x1 < x2 <= 48
        assert 0 <= y1 < y2 <= 40
        assert 0 <= one.score <= 1
    assert message.time_s is None or message.time_s >= 0


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "type": JSON,
            "after": JSON
            | st.fixed_dictionaries({"label": st.just("person"), "box": JSON, "score": JSON, "id": JSON}),
        }
    )
)
def test_whatever_frigate_sends_is_survived(content: Any) -> None:
    """As above."""
    events, said = FrigateEvents(None, None), ""
    try:
        events.hear(content, 0.0, "x")
        placed(events.message(1.0), 40, 48, "x")
    except SourceError as error:
        said = str(error)
    assert "\n" not in said
