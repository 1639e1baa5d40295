"""People in boxes through a run: each person's own answer, with who it is, and every frame accounted for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import Here, ListSource, Recorder, boxes_bundle, frames_of
from fixtures_events import kinds_of

from a3d_edge.bundle import Bundle
from a3d_edge.control.controller import BudgetController
from a3d_edge.errors import SourceError, UsageError
from a3d_edge.people.box import Detection
from a3d_edge.people.watch import PeopleWatch
from a3d_edge.recognizer import Recognizer
from a3d_edge.runtime import Runtime
from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import preprocess

pytestmark = pytest.mark.torch

LEFT, RIGHT = (2.0, 4.0, 14.0, 36.0), (30.0, 4.0, 44.0, 38.0)


@pytest.fixture(scope="session")
def people_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return boxes_bundle(tmp_path_factory)


def moved(box: Sequence[float], number: int) -> list[float]:
    """A fifth of a pixel to the right every frame."""
    return [box[0] + 0.2 * number, box[1], box[2] + 0.2 * number, box[3]]


def lines(path: Path, count: int = 60, key: str = "time", **fields: Any) -> Path:
    """One person walks, the other stands."""
    with path.open("w") as file:
        for number in range(count):
            people = [{"id": "walks", "box": moved(LEFT, number)}, {"id": 2, "box": RIGHT, "score": 0.9}]
            at = number / 30 if key == "time" else number
            file.write(json.dumps({key: at, "people": people, **fields}) + "\n")
    return path


@pytest.mark.parametrize("key", ["time", "frame"])
def test_each_person_is_answered_for(
    here: Here, people_bundle: Bundle, clip: Path, tmp_path: Path, key: str
) -> None:
    """JSON with who, where in the window's middle, and the labels that are seen; all frames are counted."""
    boxes = lines(tmp_path / "boxes.jsonl", key=key)
    code, out, err = here(
        "run", "--source", clip, "--bundle", people_bundle.path, "--people", boxes, "--json"
    )
    assert (code, err) == (0, "")
    assert set(kinds_of(out)) == {"prediction", "run_summary"}
    *predictions, summary = [json.loads(line) for line in out.splitlines()]
    sampling = people_bundle.sampling
    assert len(predictions) > 20
    for one in predictions:
        assert [person["id"] for person in one["people"]] == ["walks", 2]
        middle = round(30 * one["window_start_s"]) + sampling.frames * sampling.stride // 2
        assert one["people"][0]["box"] == pytest.approx(moved(LEFT, middle), abs=1e-5)
        assert one["people"][1]["box"] == list(RIGHT)
        best = {entry["label"]: entry["score"] for entry in one["top"]}
        for person in one["people"]:
            assert all(entry["score"] <= best[entry["label"]] for entry in person["labels"])
    assert summary["people"] == {"source": str(boxes), "sightings": 60}
    assert (
        summary["frames_captured"]
        == frames_of(clip)
        == summary["frames_used"] + sum(summary["dropped"].values())
    )


def test_scores_are_those_of_the_network_asked_by_hand(people_bundle: Bundle) -> None:
    """The box of the middle frame, brought to the input; the picture's answer is what anybody does."""
    source = ListSource(8)
    frames = [source.read() for _ in range(8)]
    configuration = people_bundle.configurations[-1]
    network: Any = people_bundle.open(configuration)
    spec, side = people_bundle.preprocessing, configuration.size
    pictures = [preprocess([f.image], side, spec) for f in frames[:7:2] if f is not None]
    expected = network.classify_people([f.image for f in frames if f is not None], [LEFT, RIGHT])
    features = network.encode_window([np.stack(pictures)])
    assert features[0].shape[0] == 4

    feed = Told([Detection(LEFT, id=1), Detection(RIGHT, id=2)])
    (prediction, *_) = Runtime(
        people_bundle, ListSource(8), budget=str(configuration), people=feed, max_predictions=1
    )
    assert prediction.people is not None
    for person, scores in zip(prediction.people, expected, strict=True):
        assert [score for _, score in person.top] == pytest.approx(sorted(scores, reverse=True), rel=1e-4)
    assert dict(prediction.top)["down"] == pytest.approx(expected.max(axis=0)[1], rel=1e-4)


class Told:
    """A feed that says the same of every frame."""

    name = "told"

    def __init__(self, people: Sequence[Detection]) -> None:
        self.people, self.closed = tuple(people), 0

    def until(self, frame: Any) -> Any:
        from a3d_edge.people.protocols import Sighting

        return [Sighting(frame.time_s, self.people)]

    def warnings(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        self.closed += 1


def test_nobody_and_who_is_not_in_the_picture(
    here: Here, people_bundle: Bundle, clip: Path, tmp_path: Path
) -> None:
    """Windows without anybody are answered, with no score; text says so, and of two people tells both."""
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text('{"frame": 0, "people": []}\n')
    words = ("run", "--source", clip, "--bundle", people_bundle.path, "--max-predictions", 2)
    _, out, _ = here(*words, "--people", boxes, "--json")
    first = json.loads(out.splitlines()[0])
    assert (first["people"], first["labels"], first["score"]) == ([], [], 0)
    _, out, _ = here(*words, "--people", boxes)
    assert out.splitlines()[0].split()[2] == "nobody"
    _, out, _ = here(*words, "--people", lines(tmp_path / "two.jsonl"))
    assert [line.split()[2:4] for line in out.splitlines()] == [["person", "walks:"], ["person", "2:"]] * 2


REFUSED = {
    '{"time": 0, "people": [{"box": [1, 2, 3, NaN]}]}': "no JSON (NaN is no number of JSON)",
    '{"time": 0, "people": [{"box": [60, 2, 70, 9]}]}': "no part in the picture of 48×40; are these",
    '{"time": 0, "people": [{"box": [9, 2, 3, 9]}]}': "has no extent",
    '{"time": 0, "people": [{"box": [9, 2, 3]}]}': "people[0].box: is to be [x1, y1, x2, y2]",
    '{"time": 0, "people": [{"box": [1, 2, 3, 1e99]}]}': "1e+99 is no number that is meant here",
    json.dumps({"time": 0, "people": [{"box": [1, 2, 3, 4]}] * 65}): "65 people; at most 64 are taken",
    '{"people": []}': "has neither 'time' nor 'frame'",
    '{"time": 1, "people": []}\n{"time": 1, "people": []}': "line 2: is not later than the line before",
    '{"time": 1, "people": []}\n{"frame": 9, "people": []}': "line 2: some lines have 'time', others 'frame'",
    '{"time": 0, "people": [{"box": [1, 2, 3, 4], "id": 1}, {"box": [1, 2, 3, 4]}]}': "an 'id' of its own",
    "[]": "no JSON object",
    "": "has no line",
    '{"time": 0, "people": [], "pad": "' + 70_000 * "x" + '"}': "more than 65536 bytes",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_a_file_that_cannot_be_meant_is_told_in_one_line(
    here: Here, people_bundle: Bundle, clip: Path, tmp_path: Path, text: str
) -> None:
    """Which line, what is wrong; exit code 3."""
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text(text + "\n" if text else "")
    code, _, err = here("run", "--source", clip, "--bundle", people_bundle.path, "--people", boxes, "--json")
    (line,) = err.splitlines()
    assert code == 3
    assert REFUSED[text] in line
    assert str(boxes) in line


def test_people_belong_to_bundles_that_ask_for_them(
    here: Here, bundle: Bundle, people_bundle: Bundle, clip: Path, tmp_path: Path
) -> None:
    """Named by its option, both ways; so is a word that names no source, and a period that is none."""
    words = ("run", "--source", clip, "--bundle")
    boxes = lines(tmp_path / "boxes.jsonl")
    code, _, err = here(*words, bundle.path, "--people", boxes)
    assert (code, "answers for the whole picture" in err, "--people" in err) == (2, True, True)
    code, _, err = here(*words, people_bundle.path)
    assert (code, "answers for each person in a box" in err, "--people" in err) == (2, True, True)
    code, _, err = here(*words, people_bundle.path, "--people", "boxes.txt")
    assert (code, "is no source of boxes" in err) == (2, True)
    code, _, err = here(*words, people_bundle.path, "--people", boxes, "--people-every", 0)
    assert (code, "--people-every" in err) == (2, True)


class Slow:
    """A detector that takes a while by the watch's own clock, and counts."""

    name = "slow"

    def __init__(self, people: Sequence[Detection] = ()) -> None:
        self.people, self.asked, self.closed = people, 0, 0

    def detect(self, image: Any) -> Sequence[Detection]:
        self.asked += 1
        return self.people

    def close(self) -> None:
        self.closed += 1


def test_a_detector_runs_once_a_hop_and_is_tracked(people_bundle: Bundle) -> None:
    """Not at every frame; who it finds gets a number that stays."""
    detector = Slow([Detection(LEFT, 0.9)])
    heard = Recorder()
    with Runtime(people_bundle, ListSource(60), people=detector, events=[heard]) as runtime:
        summary = runtime.run()
    assert 28 <= detector.asked - 2 <= 31  # two of a grey picture, before it begins
    assert detector.closed >= 1
    assert {person.id for one in heard.predictions for person in one.people or ()} == {1}
    assert summary.people is not None
    assert set(summary.people["detector_ms"]) == {"p50", "p95"}
    assert summary.frames_captured == summary.frames_used + sum(summary.dropped.values()) == 60


def test_detections_keep_to_their_beat() -> None:
    """At any rate of frames as many as the period asks for; after a gap at once, and no more to catch up."""
    for rate in (30.0, 25.0, 29.97, 12.5):
        detector = Slow()
        watch = PeopleWatch(detector, period_s=8 / 30, span_s=2.0)
        image = np.zeros((4, 4, 3), np.uint8)
        for number in range(int(20 * rate)):
            watch.see(Frame(number, round(number / rate, 3), image, 0.0))
        assert detector.asked == pytest.approx(20 / (8 / 30), abs=1), rate
        for number in range(3):
            watch.see(Frame(number, 100 + number / rate, image, 0.0))
        assert detector.asked == pytest.approx(20 / (8 / 30) + 1, abs=1), rate


def test_a_detector_that_fails_ends_the_run(people_bundle: Bundle) -> None:
    """With its error, and closed."""

    class Broken(Slow):
        def detect(self, image: Any) -> Sequence[Detection]:
            if image.shape[0] == 40:
                raise SourceError("gone")
            return ()

    detector = Broken()
    with (
        pytest.raises(SourceError, match="gone"),
        Runtime(people_bundle, ListSource(20), people=detector) as run,
    ):
        run.run()
    assert detector.closed >= 1


def test_the_decision_sees_detector_and_head(people_bundle: Bundle) -> None:
    """What is beside the network counts in every expectation, and is not scaled with GFLOPs."""
    table = people_bundle.table
    small, large = table.rows[0].configuration, table.rows[-1].configuration
    controller = BudgetController(table, hop_s=0.1, sensors=None, clock=lambda: 0.0, seed=0)
    for _ in range(3):
        controller.observe(large, 70.0, beside_ms=50.0)
    model = controller._latency
    assert model.latest(large) == pytest.approx(70.0)
    ratio = table.rows[0].cost / table.rows[-1].cost
    assert model.estimate(small) == pytest.approx(50.0 + 20.0 * ratio)
    assert model.is_late(large, 60.0)
    assert not model.is_late(large, 80.0)


def test_an_application_tells_of_its_own_boxes(people_bundle: Bundle) -> None:
    """`Recognizer.push` with the people of that frame; without any, nobody is there."""
    frames = list(iter(ListSource(24).read, None))
    with Recognizer(people_bundle, live=False) as recognizer:
        told = [
            one
            for frame in frames
            for one in recognizer.push(
                frame.image, frame.time_s, [Detection(LEFT, 0.9), Detection(RIGHT, 0.8)]
            )
        ]
    assert told
    assert all([person.id for person in one.people or ()] == [1, 2] for one in told)
    with Recognizer(people_bundle, live=False) as recognizer:
        alone = [one for frame in frames for one in recognizer.push(frame.image, frame.time_s)]
    assert [one.people for one in alone] == [()] * len(told)


def test_boxes_told_to_a_network_of_whole_pictures_are_refused(bundle: Bundle) -> None:
    """In one line."""
    with Recognizer(bundle, live=False) as recognizer, pytest.raises(UsageError, match="`people`"):
        recognizer.push(np.zeros((40, 48, 3), np.uint8), 0.0, [Detection(LEFT)])
