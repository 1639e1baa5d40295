"""What a data set holds and what of it is odd, on small real files with one mistake each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.training.data_check import DataReport, check
from a3d_edge.training.decode import FrameCache

Check = Callable[..., DataReport]


@pytest.fixture
def look(frame_cache: FrameCache, tmp_path: Path) -> Check:
    """Looks at a list of that text in the test's folder."""

    def run(text: str, window_s: float = 0.5) -> DataReport:
        (tmp_path / "list.csv").write_text(text)
        return check([tmp_path / "list.csv"], window_s=window_s, cache=frame_cache.folder)

    return run


@pytest.fixture
def clips(clip_list: Path, tmp_path: Path) -> list[str]:
    """Real clips of 24 frames: four that move right, four that move down."""
    names = []
    for label in ("right", "down"):
        for n in range(4):
            names.append(f"{label}{n}.mp4")
            shutil.copy(clip_list.parent / label / f"{n}.mp4", tmp_path / names[-1])
    return names


def listed(clips: list[str], header: str = "path,label", more: Callable[[int], str] = lambda n: "") -> str:
    """A CSV of them, labelled by their names."""
    return "\n".join([header, *(f"{name},{name[:-5]}{more(n)}" for n, name in enumerate(clips))]) + "\n"


def kinds(report: DataReport) -> list[str]:
    """Of its findings."""
    return [one.kind for one in report.findings]


def test_a_good_list_is_counted(look: Check, clips: list[str]) -> None:
    """By class, group, split and fold; lengths and rates; nothing odd."""
    found = look(
        listed(clips, "path,label,group,split", lambda n: f",g{n},{'val' if n % 4 == 3 else 'train'}")
    )
    assert (found.classes, found.splits) == ({"down": 4, "right": 4}, {"train": 6, "val": 2})
    assert found.groups == {f"g{n}": 1 for n in range(8)}
    assert found.rates == {30.0: 8}
    assert found.lengths == pytest.approx((0.8, 0.8, 0.8), abs=0.01)
    assert (found.findings, found.trainable, len(found.clips)) == ((), True, 8)
    found.require_trainable()


def test_what_cannot_be_read_is_left_out_and_named(look: Check, clips: list[str], tmp_path: Path) -> None:
    """With what is wrong; parts beyond their clip too."""
    (tmp_path / clips[0]).write_bytes(b"no video")
    text = listed(clips, "path,label,start", lambda n: ",9" if n == 1 else ",")
    found = look(text)
    assert (found.classes, len(found.listed)) == ({"down": 4, "right": 2}, 8)
    assert kinds(found) == ["unreadable", "few"]
    assert "right0.mp4" in found.findings[0].message
    assert "list.csv:3: " in found.findings[0].message
    assert found.findings[0].clips == (f"{tmp_path}/right0.mp4", f"{tmp_path}/right1.mp4#t=9.0")


def test_what_cannot_be_trained_is_an_error(look: Check, clips: list[str], tmp_path: Path) -> None:
    """One class: of usage, as in training; clips that cannot be read: of the source."""
    found = look(listed(clips[:4]))
    assert (kinds(found), found.trainable) == (["one_class"], False)
    with pytest.raises(UsageError, match="there is one class, right; add clips of another"):
        found.require_trainable()
    for name in clips[4:]:
        (tmp_path / name).write_bytes(b"")
    found = look(listed(clips))
    with pytest.raises(SourceError, match="of 8 clips 4 can be read, of less than two classes"):
        found.require_trainable()
    for name in clips[:4]:
        (tmp_path / name).write_bytes(b"")
    empty = look(listed(clips))
    assert (empty.lengths, empty.classes) == (None, {"down": 0, "right": 0})


def test_the_same_clip_under_two_names(look: Check, clips: list[str], tmp_path: Path) -> None:
    """By content, with a word for two labels; parts of one file are no duplicates."""
    shutil.copy(tmp_path / clips[0], tmp_path / "again1.mp4")
    shutil.copy(tmp_path / clips[1], tmp_path / "right9.mp4")
    plain = look(listed([*clips, "right9.mp4"]))
    assert [(one.kind, one.message) for one in plain.findings] == [
        ("duplicate", "1 clip of the same content as another (right1.mp4, right9.mp4)")
    ]
    torn = look(listed(clips) + "again1.mp4,down\n")
    assert [one.message for one in torn.findings] == [
        "right0.mp4, again1.mp4 are the same clip, labelled 'down', 'right'"
    ]
    halves = "".join(f"{name},{name[:-5]},{a},{a + 0.4}\n" for name in clips for a in (0, 0.4))
    assert look(f"path,label,start,end\n{halves}", 0.3).findings == ()


@pytest.mark.parametrize("column", ["split", "fold"])
def test_groups_on_two_sides(look: Check, clips: list[str], column: str) -> None:
    """Of a split, of folds; a file's parts count as a group."""
    sides = ("train", "val") if column == "split" else ("0", "1")
    found = look(listed(clips, f"path,label,group,{column}", lambda n: f",g{n // 2},{sides[n == 1]}"))
    assert kinds(found) == ["group"]
    assert found.findings[0].message.startswith(f"group g0: in more than one {column};")
    assert [Path(name).name for name in found.findings[0].clips] == clips[:2]


def test_labels_that_differ_by_a_letter_or_case(look: Check, clips: list[str]) -> None:
    """One left out, one mistaken, upper case; numbers are not meant by that."""
    for one, other, said in (
        ("waving", "wavin", "'wavin' and 'waving' differ by one letter"),
        ("waving", "wawing", "differ by one letter"),
        ("Waving", "waving", "look alike"),
        ("step1", "step2", None),
        ("left", "lift", None),
        ("up", "ups", None),
    ):
        text = listed(clips).replace(",right", f",{one}").replace(",down", f",{other}")
        messages = [finding.message for finding in look(text).findings if finding.kind in ("label", "list")]
        assert bool(messages) == (said is not None), (one, other, messages)
        assert said is None or said in messages[0]


def test_parts_that_overlap(look: Check, clips: list[str]) -> None:
    """Of different labels: each would teach both."""
    found = look(f"{listed(clips, 'path,label,start,end', lambda n: ',,')}right0.mp4,down,0.2,0.6\n", 0.3)
    assert [(one.kind, len(one.clips)) for one in found.findings] == [("overlap", 2)]


def test_short_clips_and_such_where_nothing_moves(look: Check, clips: list[str], tmp_path: Path) -> None:
    """Even with a camera's noise; a square of ten pixels that moves is motion."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(tmp_path / "quiet1.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (320, 240))
    scene = rng.integers(40, 200, (240, 320, 3)).astype(np.float64)
    for _ in range(24):
        writer.write(np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8))
    writer.release()
    found = look(listed(clips) + "quiet1.mp4,down\n", 1.0)
    assert kinds(found) == ["short", "still"]
    assert found.findings[0].message.startswith("9 clips shorter than a window (1.0 s)")
    assert found.findings[1].message == "nothing moves in 1 clip: 1 of 'down' (quiet1.mp4)"


def test_what_the_list_s_reader_says_is_told(look: Check, clips: list[str]) -> None:
    """Columns that nobody uses, as a finding instead of a warning."""
    found = look(listed(clips, "path,label,note", lambda n: ",x"))
    assert kinds(found) == ["list"]
    assert "the column note is not used" in found.findings[0].message
