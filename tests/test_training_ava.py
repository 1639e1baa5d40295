"""AVA's files: what is read of them, and each kind of bad input in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.task import BOXES
from a3d_edge.training.clips import Clip, clips_of
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.lists.ava import read_boxes, read_exclusions, read_frame_list, read_label_map
from a3d_edge.training.people import boxes_of, key_view
from a3d_edge.training.proposals import with_proposals
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

LABELS = """item {
  name: "bend/bow (at the waist)"
  id: 1
}
item {
  name: "stand"
  id: 12
}
"""
NEWER = 'label {\n  name: "run/jog"\n  label_id: 10\n  label_type: PERSON_MOVEMENT\n}\n'
BOXES_CSV = """vid,0902,0.1,0.2,0.5,0.9,12,0
vid,0902,0.1,0.2,0.5,0.9,1,0
vid,0902,0.6,0.1,0.9,1.000,12,1
vid,0903,0.0,0.0,0.3,0.4,12,0
vid,0904,0.0,0.0,0.3,0.4,12,0
vid,0904,0.1,0.1,0.3,0.4,59,2
"""


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def ava(tmp_path: Path) -> Path:
    """The data set's layout with one video of 120 pictures; second 903 is excluded."""
    annotations = tmp_path / "annotations"
    written(annotations / "ava_action_list_v2.2.pbtxt", LABELS)
    written(annotations / "ava_train_excluded_timestamps_v2.2.csv", "vid,0903\n")
    written(annotations / "ava_val_excluded_timestamps_v2.2.csv", "vid,0902\n")
    lines = ["original_vido_id video_id frame_id path labels"]
    (tmp_path / "frames" / "vid").mkdir(parents=True)
    for number in range(150):
        name = f"vid/vid_{number + 1:06d}.png"
        cv2.imwrite(str(tmp_path / "frames" / name), np.full((8, 12, 3), number, np.uint8))
        lines.append(f'vid 0 {number} {name} ""')
    written(tmp_path / "frame_lists" / "train.csv", "\n".join(lines) + "\n")
    return written(annotations / "ava_train_v2.2.csv", BOXES_CSV)


def clips_in(path: Path) -> list[Clip]:
    return clips_of([path], task=BOXES)


def test_a_clip_of_every_key_frame(ava: Path) -> None:
    """One person a box with all it does; excluded seconds are left out, actions without a name too."""
    with pytest.warns(DataWarning, match="1 labels of 1 actions that the label map lacks are left out"):
        first, second = clips_in(ava)
    assert (first.frame, second.frame) == ("vid,0902", "vid,0904")
    assert first.key == 2.0  # of the pictures, whose first is second 900
    assert [person.labels for person in first.people] == [("stand", "bend/bow (at the waist)"), ("stand",)]
    assert first.people[1].box == (0.6, 0.1, 0.9, 1.0)
    assert first.labels == ("bend/bow (at the waist)", "stand")
    assert [person.labels for person in second.people] == [("stand",), ()]


def test_the_key_frame_is_in_the_middle_of_its_window(ava: Path, tmp_path: Path) -> None:
    """As PySlowFast has it: T·τ frames that begin half of them before; pictures are read when looked at."""
    with pytest.warns(DataWarning):
        clip, last = clips_in(ava)
    cache = FrameCache(tmp_path / "cache")
    decoded = cache.get(clip)
    view = key_view(clip, decoded, Sampling(8, 8), Preprocessing())
    assert view.frames[:, 0].tolist() == [60 + 8 * i for i in range(-4, 4)]
    assert decoded.frames[60].tolist() == np.full((8, 12, 3), 60).tolist()
    grey = FrameCache(tmp_path / "grey", grey=True).get(clip)  # of three channels, as packed ones
    assert grey.frames[60].tolist() == decoded.frames[60].tolist()
    held = key_view(last, cache.get(last), Sampling(8, 8), Preprocessing())
    assert held.frames[:, 0].tolist() == [88, 96, 104, 112, 120, 128, 136, 144]
    late = key_view(last, cache.get(last), Sampling(16, 8), Preprocessing())
    assert late.frames[-3:, 0].tolist() == [149, 149, 149]


def test_proposals_are_what_a_detector_found(ava: Path, tmp_path: Path) -> None:
    """Those that score enough; an action is not looked at; a key frame may have none."""
    found = written(
        tmp_path / "found.csv",
        "vid,0902,0.1,0.2,0.5,0.9,,0.91\nvid,0902,0.1,0.2,0.5,0.9,-1,0.91\nvid,0902,0.5,0.2,0.6,0.9,12,0.7\n",
    )
    with pytest.warns(DataWarning):
        clips = clips_in(ava)
    first, second = with_proposals(clips, found)
    assert first.proposals is not None
    assert boxes_of(first.proposals).tolist() == [[0.1, 0.2, 0.5, 0.9]]
    assert second.proposals == ()
    both = with_proposals(clips, found, 0.5)[0].proposals
    assert both is not None
    assert len(both) == 2


def test_both_spellings_of_label_maps(tmp_path: Path) -> None:
    """Of v2.1, and of v2.2 with its types."""
    assert read_label_map(written(tmp_path / "a.pbtxt", LABELS)) == {
        1: "bend/bow (at the waist)",
        12: "stand",
    }
    assert read_label_map(written(tmp_path / "b.pbtxt", NEWER)) == {10: "run/jog"}


BAD_ROWS = {
    "vid,0902,0.1,0.2,1.5,0.9,12,0": r"the box 0.1, 0.2, 1.5, 0.9 is not in the picture",
    "vid,0902,0.6,0.2,0.5,0.9,12,0": r"the box 0.6, 0.2, 0.5, 0.9 is not in the picture",
    "vid,0902,0.1,0.2,nan,0.9,12,0": r"the coordinate 'nan' is no number",
    "vid,0902,0.1,0.2,0.5,x,12,0": r"the coordinate 'x' is no number",
    "vid,9o2,0.1,0.2,0.5,0.9,12,0": r"the second '9o2' is no number",
    "vid,0902,0.1,0.2,0.5,0.9,1.5,0": r"the action '1.5' is no whole number",
    "vid,0902,0.1,0.2,0.5": r"has 5 cells",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, row: str) -> None:
    """With its file and line, in one line."""
    path = written(tmp_path / "boxes.csv", f"vid,0902,0.1,0.2,0.5,0.9,12,0\n{row}\n")
    with pytest.raises(SourceError, match=BAD_ROWS[row]) as error:
        list(read_boxes(path))
    assert str(error.value).startswith(f"{path}:2: ")
    assert "\n" not in str(error.value)


def test_scores_are_scores(tmp_path: Path) -> None:
    """Of a detector the last column is one; of people it is a number that nobody looks at."""
    path = written(tmp_path / "boxes.csv", "vid,0902,0.1,0.2,0.5,0.9,12,37\n")
    assert next(iter(read_boxes(path))).score == 1.0
    with pytest.raises(SourceError, match=r"the score 37 is outside \[0, 1\]"):
        list(read_boxes(path, scored=True))
    missing = written(tmp_path / "none.csv", "vid,0902,0.1,0.2,0.5,0.9,12\n")
    with pytest.raises(SourceError, match="the score '' is no number"):
        list(read_boxes(missing, scored=True))


def test_a_border_that_was_rounded_is_the_border(tmp_path: Path) -> None:
    """AVA's own rows have three places."""
    path = written(tmp_path / "boxes.csv", "vid,0902,-0.001,0.2,0.5,1.001,12,0\n")
    assert next(iter(read_boxes(path))).box == (0.0, 0.2, 0.5, 1.0)


def test_what_does_not_belong_together_is_refused(ava: Path, tmp_path: Path) -> None:
    """A label map of other labels, proposals of other videos, too many people, no pictures."""
    other = written(tmp_path / "found.csv", "other,0902,0.1,0.2,0.5,0.9,,0.91\n")
    with pytest.warns(DataWarning):
        clips = clips_in(ava)
    with pytest.raises(SourceError, match=r"has boxes of other videos \(other\) than the clips \(vid\)"):
        with_proposals(clips, other)
    crowd = "".join(f"vid,0902,0.0,0.0,0.5,{0.2 + n / 200:.3f},,0.9\n" for n in range(65))
    with pytest.raises(SourceError, match=r"vid,0902 has 65 boxes of 0.8 or more; at most 64"):
        with_proposals(clips, written(tmp_path / "crowd.csv", crowd))
    written(ava.parent / "ava_action_list_v2.2.pbtxt", NEWER)
    with pytest.raises(SourceError, match=r"does not fit: it has none of the actions 1, 12"):
        clips_in(ava)
    written(ava.parent / "ava_action_list_v2.2.pbtxt", "nothing")
    with pytest.raises(SourceError, match="is no label map"):
        clips_in(ava)
    (ava.parent / "ava_action_list_v2.2.pbtxt").unlink()
    with pytest.raises(SourceError, match=r"no label map \(\*.pbtxt\) beside it"):
        clips_in(ava)


def test_pictures_that_are_not_there(ava: Path, tmp_path: Path) -> None:
    """No list of the video at all; and a list whose pictures are gone."""
    with pytest.warns(DataWarning):
        clips = clips_in(ava)
    (tmp_path / "frames" / "vid" / "vid_000001.png").unlink()
    with pytest.raises(SourceError, match="no such picture"):
        FrameCache(tmp_path / "cache").get(clips[0])
    written(tmp_path / "frame_lists" / "train.csv", "original_vido_id video_id frame_id path labels\n")
    with (
        pytest.warns(DataWarning, match="lacks"),
        pytest.raises(SourceError, match="none of its videos is there"),
    ):
        clips_in(ava)


def test_lists_of_other_kinds_are_named(tmp_path: Path) -> None:
    """Exclusions and frame lists tell their line too."""
    with pytest.raises(SourceError, match=r"x.csv:1: has 3 cells; excluded are rows of video,second"):
        read_exclusions(written(tmp_path / "x.csv", "a,1,2\n"))
    with pytest.raises(SourceError, match="is no list of frames"):
        read_frame_list(written(tmp_path / "y.csv", "a b c d e\n"))
    with pytest.raises(SourceError, match=r"z.csv:2: has 2 cells"):
        read_frame_list(written(tmp_path / "z.csv", "original_vido_id video_id frame_id path labels\na b\n"))
