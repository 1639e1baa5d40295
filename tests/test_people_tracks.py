"""Who is who over time, where they were, and the built-in detector against OpenCV's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.people.box import Box, Detection, Person
from a3d_edge.people.hog import HogDetector, margins
from a3d_edge.people.tracks import MOST_TRACKS, Tracks, TrackSettings, step
from a3d_edge.people.whereabouts import Whereabouts


def at(left: float, score: float = 0.9, top: float = 0.0) -> Detection:
    return Detection((left, top, left + 40, top + 100), score)


def followed(moments: list[list[Detection]], dt: float = 0.1) -> list[tuple[Person, ...]]:
    """Who is told of at each moment."""
    tracks, told = Tracks(), []
    for number, found in enumerate(moments):
        tracks = step(tracks, found, number * dt)
        told.append(tracks.people(number * dt))
    return told


def test_two_people_keep_their_numbers() -> None:
    """Whatever order they are found in."""
    moments = [[at(10 + 3 * n), at(200 - 3 * n)][:: (-1) ** n] for n in range(20)]
    told = followed(moments)
    assert all(sorted(one.id for one in people) == [1, 2] for people in told)
    assert all(
        next(one.box[0] for one in people if one.id == 1) == 10 + 3 * n for n, people in enumerate(told)
    )


def test_a_faint_box_keeps_a_track_and_begins_none() -> None:
    """ByteTrack's idea: half hidden, somebody is found with a low score; alone that is a false alarm."""
    half_hidden = [[at(10)], [at(11)], [at(12, 0.2)], [at(13, 0.2)], [at(14)]]
    assert [[one.id for one in people] for people in followed(half_hidden)] == [[1]] * 5
    assert followed([[at(10, 0.3)]] * 5) == [()] * 5


def test_a_new_person_counts_from_the_second_time() -> None:
    """One false alarm with a high score is nobody; of the first moment all count."""
    told = followed([[at(0)], [at(0), at(300)], [at(0)], [at(0), at(500)], [at(0), at(501)]])
    assert [[one.id for one in people] for people in told] == [[1], [1], [1], [1], [1, 3]]


def test_who_is_hidden_is_found_where_expected_until_lost() -> None:
    """By the velocity before; after `lost_s` it is somebody else."""
    walking = [[at(20 * n)] for n in range(6)]
    hidden: list[list[Detection]] = [[]] * 5
    told = followed([*walking, *hidden, [at(20 * 11)], [at(20 * 12)]])
    assert [one.id for one in told[-1]] == [1]
    told = followed([*walking, *hidden * 3, [at(20 * 21)], [at(20 * 22)]])
    assert [one.id for one in told[-1]] == [2]


def test_people_who_cross_are_told_apart_by_where_they_go() -> None:
    """Both walk on: overlap with where each is expected, not with where each was."""
    moments = [[at(12 * n), at(300 - 12 * n, top=20)] for n in range(26)]
    told = followed(moments)
    last = {one.id: one.box[0] for one in told[-1]}
    assert last == {1: 300, 2: 0}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(*[st.floats(0, 600)] * 2, *[st.floats(1, 300)] * 2, st.floats(0, 1)), max_size=8),
        max_size=12,
    )
)
def test_whatever_is_found_numbers_are_never_shared(moments: list[list[tuple[float, ...]]]) -> None:
    """Each track has one number, never used again, and nobody is told of who was not found then."""
    tracks, used = Tracks(), 0
    for number, rows in enumerate(moments):
        found = [Detection((x, y, x + w, y + h), score) for x, y, w, h, score in rows]
        before = {track.id for track in tracks.going}
        tracks = step(tracks, found, number / 10, TrackSettings())
        ids = [track.id for track in tracks.going]
        assert len(set(ids)) == len(ids)
        assert all(one in before or one > used for one in ids)
        used = max([used, *ids])
        people = tracks.people(number / 10)
        assert len(people) <= len(found)
        assert {person.box for person in people} <= {one.box for one in found}


def box(left: float) -> Box:
    return (left, 0.0, left + 10, 20.0)


def test_tracks_are_as_many_as_a_picture_may_have() -> None:
    """A feed that tells of others all the time, each twice: those seen last go on, the others end."""
    tracks = Tracks()
    for moment in range(40):
        place = 1000.0 * (moment // 2)
        boxes = [Detection((place, 10.0 * row, place + 5, 10.0 * row + 5)) for row in range(64)]
        tracks = step(tracks, boxes, moment * 0.001)
        assert len(tracks.going) <= MOST_TRACKS
    assert len(tracks.people(0.039)) == 64


def test_between_two_sightings_a_box_is_interpolated() -> None:
    """Over a moment in which nobody saw them too; beyond, it is held for a while."""
    where = Whereabouts(2.0, held_s=0.5)
    where.see(1.0, [Person("a", box(0), 0.9)])
    where.see(1.2, [])
    where.see(1.4, [Person("a", box(40), 0.5)])
    assert where.at(1.1)[0].box == pytest.approx(box(10))
    assert where.at(1.3)[0] == Person("a", pytest.approx(box(30)), 0.5)  # type: ignore[arg-type]
    assert where.at(0.6)[0].box == box(0)
    assert where.at(0.4) == ()
    assert where.at(1.9)[0].box == box(40)
    assert where.at(2.0) == ()
    where.see(1.6, [])
    assert where.at(1.7) == ()  # looked at without them
    assert where.latest() == {}


def test_what_is_kept_is_bounded() -> None:
    """By how far back it may be asked, and in number."""
    where = Whereabouts(1.0, held_s=0.5)
    for number in range(20_000):
        where.see(number * 1e-5, [Person(1, box(0), 1.0)])
    assert len(where._seen) == 4096
    where.see(10.0, [])
    assert len(where._seen) == 1


# What cv2.HOGDescriptor of OpenCV 4.14.0 gives for `drawn`: compute(), times its own classifier.
OPENCV = [
    [-4.0928984, -3.9702265, -3.2294712, -1.8578949, -4.1641645],
    [-3.1565604, -2.0722618, -3.2529900, -3.0555081, -3.4670222],
    [-4.5131980, -4.3233404, -4.5358024, -3.3586445, -2.7966318],
    [-3.3689356, -3.1795752, -3.3437676, -4.0215630, -3.2511783],
    [-1.4224090, -2.8860676, -3.8479996, -4.5383350, -3.7252855],
]


def drawn() -> np.ndarray:
    rng = np.random.default_rng(3)
    return cv2.resize(rng.integers(0, 256, (20, 12, 3), np.uint8), (96, 160), interpolation=cv2.INTER_CUBIC)


def test_the_built_in_detector_computes_what_opencvs_does() -> None:
    """Every window of a picture, to the rounding of two versions' enlarging."""
    assert margins(drawn()) == pytest.approx(np.array(OPENCV), abs=2e-3)


def test_a_picture_without_people_has_few() -> None:
    """And one too small for a window has none; boxes stay in the frame."""
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert HogDetector().detect(noise) == []
    assert HogDetector().detect(noise[:60, :40]) == []
    grey = np.full((480, 640, 3), 128, np.uint8)
    assert HogDetector().detect(grey) == []
