"""What is odd about people in boxes, on AVA's files with one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_bundle import Here, write_video

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.training.data_check import DataReport, check
from a3d_edge.training.lists.ava import faulty_rows

MAP = 'item {\n  name: "wave"\n  id: 1\n}\nitem {\n  name: "bow"\n  id: 2\n}\n'
GOOD = "".join(
    f"{video},{second:04d},{box},{action},0\n"
    for video in ("one", "two")
    for second in (900, 901)
    for box, action in (("0.1,0.1,0.4,0.9", 1), ("0.6,0.1,0.9,0.9", 2))
)
Look = Callable[..., DataReport]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Looks at a CSV of boxes of that text, beside two videos of two seconds and a label map."""
    (tmp_path / "videos").mkdir()
    for seed, name in enumerate(("one", "two")):
        write_video(tmp_path / "videos" / f"{name}.mp4", 60, seed=seed)
    (tmp_path / "map.pbtxt").write_text(MAP)

    def run(text: str = GOOD, found: str | None = None) -> DataReport:
        boxes, proposals = tmp_path / "boxes.csv", tmp_path / "found.csv"
        boxes.write_text(text)
        if found is not None:
            proposals.write_text(found)
        return check(
            [boxes], task="boxes", proposals=None if found is None else proposals, cache=tmp_path / "cache"
        )

    return run


def told(report: DataReport, kind: str) -> list[str]:
    """Its findings of a kind."""
    return [one.message for one in report.findings if one.kind == kind]


def test_people_are_counted_by_what_they_do(look: Look) -> None:
    """Not key frames; those who do nothing that has a name, too. No key frame is a copy or a part."""
    found = look(GOOD + "one,0900,0.4,0.1,0.6,0.9,7,0\n")
    assert (len(found.clips), dict(found.classes)) == (4, {"bow": 4, "wave": 4})
    assert found.people is not None
    assert (found.people.count, found.people.idle) == (9, 1)
    assert found.labels_a_clip is None
    assert [one.kind for one in found.findings if one.kind not in ("still", "short")] == ["list"]
    assert "1 labels of 1 actions that the label map lacks" in told(found, "list")[0]


def test_a_class_that_hardly_anybody_does(look: Look) -> None:
    """Is told by people."""
    (few,) = told(look(GOOD.replace("0.9,0.9,2,0\ntwo", "0.9,0.9,1,0\ntwo")), "few")
    assert few == "the class 'bow' has 2 people; record more of it"


def test_rows_that_cannot_be_used_are_counted(look: Look, tmp_path: Path) -> None:
    """In one line with the first of them, where training names one."""
    bad = "one,0901,0.1,0.1,1.4,0.9,1,0\n" * 4 + "one,0901,0.1,nan,0.4,0.9,1,0\n"
    with pytest.raises(SourceError) as error:
        look(GOOD + bad)
    assert "5 rows cannot be used: " in str(error.value)
    assert "boxes.csv:9: the box 0.1, 0.1, 1.4, 0.9 is not in the picture" in str(error.value)
    assert str(error.value).endswith("; and 2 more")
    assert "\n" not in str(error.value)
    assert len(faulty_rows(tmp_path / "boxes.csv")) == 5
    with pytest.raises(SourceError, match=r"boxes\.csv:9: the box"):
        look(GOOD + "one,0901,0.5,0.1,0.4,0.9,1,0\n")


def test_key_frames_outside_their_videos(look: Look) -> None:
    """Their last picture would be held."""
    found = look(GOOD + "two,0930,0.1,0.1,0.4,0.9,1,0\none,0890,0.1,0.1,0.4,0.9,1,0\n")
    (message,) = told(found, "key")
    assert message.startswith("2 key frames lie outside their videos (two.mp4#t=30.0, one.mp4#t=-10.0); ")


def test_unreadable_videos_are_named_once(look: Look, tmp_path: Path) -> None:
    """However many key frames they have."""
    (tmp_path / "videos" / "two.mp4").write_bytes(b"no video")
    found = look()
    assert (len(found.listed), len(found.clips)) == (4, 2)
    (message,) = told(found, "unreadable")
    assert message.startswith("2 clips cannot be read: ")
    assert message.count("two.mp4") == 1


def test_a_label_map_that_does_not_fit(look: Look) -> None:
    """Is an error, as in training."""
    with pytest.raises(SourceError, match=r"the label map map\.pbtxt does not fit"):
        look(GOOD.replace(",1,0\n", ",41,0\n").replace(",2,0\n", ",42,0\n"))


FOUND = "one,0900,0.1,0.1,0.4,0.9,,0.9\none,0900,0.6,0.1,0.9,0.9,,0.9\none,0901,0.1,0.1,0.4,0.9,,0.5\n"


def test_what_proposals_lack(look: Look) -> None:
    """Videos, key frames, people; each a line."""
    videos, bare, missed = told(look(found=FOUND), "proposals")
    assert videos.endswith("found.csv: has no boxes of 1 of 2 videos (two)")
    assert "3 of 4 key frames have no box of 0.8 or more" in bare
    assert "no box of 0.8 or more overlaps 6 of 8 people by 0.5 or more" in missed


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("other,0900,0.1,0.1,0.4,0.9,,0.9\n", "has boxes of other videos (other) than the clips (one, two)"),
        ("one,0900,0.1,0.1,0.4,0.9,,1.9\n", "found.csv:1: the score 1.9 is outside [0, 1]"),
        ("one,0900,0.1,0.1,0.4,0.9,,x\n" * 2, "2 rows cannot be used: "),
    ],
)
def test_proposals_that_cannot_be_used(look: Look, found: str, message: str) -> None:
    """Are told in one line, and the rest is looked at."""
    report = look(found=found)
    (line,) = told(report, "proposals")
    assert message in line
    assert "\n" not in line
    assert len(report.clips) == 4


def test_lists_of_another_task(look: Look, tmp_path: Path) -> None:
    """Boxes where there are none, and none where there are boxes."""
    look()
    with pytest.raises(SourceError, match=r"who does what are learnt with `task` boxes"):
        check([tmp_path / "boxes.csv"], cache=tmp_path / "cache")
    (tmp_path / "plain.csv").write_text("path,label\nvideos/one.mp4,wave\nvideos/two.mp4,bow\n")
    with pytest.raises(UsageError, match="its list tells of no boxes"):
        check([tmp_path / "plain.csv"], task="boxes", cache=tmp_path / "cache")
    with pytest.raises(UsageError, match="`proposals`: the task single asks about no boxes"):
        check([tmp_path / "plain.csv"], proposals=tmp_path / "found.csv", cache=tmp_path / "cache")


def test_drawn_people_are_looked_at(here: Here, tmp_path: Path) -> None:
    """By the command line, which tells what people do."""
    (tmp_path / "drawn.csv").write_text("path,label\n" + "".join(f"drawn:people:{n},\n" for n in range(2)))
    code, out, _ = here("data", "check", tmp_path / "drawn.csv", "--task", "boxes", "--cache", tmp_path / "c")
    assert (code, out.splitlines()[0][:36]) == (0, "2 of 2 key frames, 3 classes, 8 peop")
