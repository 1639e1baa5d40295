"""Lists of clips with sets of labels: our CSV, drawn crowds, and Charades' own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from a3d_edge.errors import DataWarning, SourceError, UsageError
from a3d_edge.training.clips import Clip, check_labels, classes_in, clips_of, crowd_clip, list_clips, spread
from a3d_edge.training.lists import charades
from a3d_edge.training.recipe import Recipe
from a3d_edge.training.sides import classes_of, sides_of
from a3d_edge.training.splits import split_by_group

CHARADES = "id,subject,scene,quality,actions,length\n"


@pytest.fixture
def folder(tmp_path: Path, clip_list: Path) -> Path:
    """Three real clips."""
    for number, name in enumerate(("a", "b", "c")):
        shutil.copy(clip_list.parent / "right" / f"{number}.mp4", tmp_path / f"{name}.mp4")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_cell_holds_a_set(folder: Path) -> None:
    """In any order, with spaces, one twice; nothing is none of the classes. Spelled alike they are one."""
    path = written(folder, "path,label\na.mp4, wave ;hug; wave\nb.mp4,\nc.mp4,hug\n")
    clips = list_clips([path], "multilabel")
    assert [clip.label for clip in clips] == ["hug;wave", "", "hug"]
    assert [clip.labels for clip in clips] == [("hug", "wave"), (), ("hug",)]
    assert [classes_in(clip, ("hug", "kick", "wave")) for clip in clips] == [
        [True, False, True], [False, False, False], [True, False, False],
    ]  # fmt: skip
    assert classes_of(clips) == ("hug", "wave")
    with pytest.raises(UsageError, match="the data has the label wave; the network knows hug, kick"):
        check_labels(clips, ("hug", "kick"))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("hug;", "a label of the set is empty; write 'hug;wave', or nothing"),
        ("hug;;wave", "a label of the set is empty"),
        ("hug;NaN", "'NaN' is no label of a set; leave the cell empty"),
        ("nan", "'nan' is no label of a set"),
    ],
)
def test_a_set_that_is_none(folder: Path, cell: str, said: str) -> None:
    """An empty label, or a missing value that another program wrote: the line is named."""
    with pytest.raises(SourceError, match=re.escape(f"list.csv:3: {said}")):
        list_clips([written(folder, f"path,label\na.mp4,hug\nb.mp4,{cell}\n")], "multilabel")


def test_a_set_needs_the_task(folder: Path) -> None:
    """Without it a `;` is refused, and an empty label as ever."""
    path = written(folder, "path,label\na.mp4,hug;wave\n")
    with pytest.raises(SourceError, match=r"list.csv:2: 'hug;wave' is a set of labels; .*`task` multilabel"):
        list_clips([path])
    with pytest.raises(SourceError, match="path or label is empty"):
        list_clips([written(folder, "path,label\na.mp4,\n")])


def test_all_labels_of_a_clip_are_in_one_row(folder: Path) -> None:
    """Two rows of one clip are two answers; what to write is said."""
    path = written(folder, "path,label\na.mp4,hug\na.mp4,wave\n")
    with pytest.raises(SourceError, match=r"a\.mp4: is listed .*write all labels of a clip into one row"):
        list_clips([path], "multilabel")


def test_drawn_crowds_are_listed_by_their_sets(folder: Path) -> None:
    """Of a crowd any set of its classes, the empty one too; of another set no more than one class."""
    text = "path,label\ndrawn:crowd:3,waves;bows\ndrawn:crowd:4,\n"
    found = list_clips([written(folder, text)], "multilabel")
    assert [(clip.label, clip.seed, clip.drawn) for clip in found] == [
        ("bows;waves", 3, "crowd"),
        ("", 4, "crowd"),
    ]
    with pytest.raises(SourceError, match="'flies' cannot be drawn; crowd has waves"):
        list_clips([written(folder, "path,label\ndrawn:crowd:3,bows;flies\n")], "multilabel")
    with pytest.raises(SourceError, match="a clip of interactions is of one class"):
        list_clips([written(folder, "path,label\ndrawn:interactions:3,hug;kick\n")], "multilabel")


def test_charades_own_list(folder: Path) -> None:
    """Every action with its seconds; a video that is not there, or has no action, is left out and told."""
    text = CHARADES + (
        'a,HR43,Kitchen,6,"c092 11.90 21.20;c147 0.00 12.60",24.83\n'
        "gone,HR43,Kitchen,6,c000 0.00 1.00,9\n"
        "b,HR43,Kitchen,6,,10.0\n"
    )
    path = written(folder, text)
    with pytest.warns(DataWarning) as told:
        (clip,) = list_clips([path], "multilabel")
    said = " ".join(str(one.message) for one in told)
    assert "1 videos without any action are left out" in said
    assert "1 of 2 clips are not there" in said
    assert (clip.labels, clip.path, clip.group) == (("c092", "c147"), folder / "a.mp4", "a")
    assert clip.acts == (("c092", 11.9, 21.2), ("c147", 0.0, 12.6))
    assert classes_of([clip]) == charades.CLASSES
    assert (len(charades.CLASSES), charades.CLASSES[-1]) == (157, "c156")
    with pytest.raises(SourceError, match="is a set of labels"), pytest.warns(DataWarning):
        list_clips([path])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,c157 0.00 1.00,9", "the action c157 is none of Charades' 157, c000 to c156"),
        ("a,wave 0.00 1.00,9", "'wave 0.00 1.00' is no action; Charades writes 'c092 11.90 21.20'"),
        ("a,c001 0.00,9", "'c001 0.00' is no action"),
        ("a,c001 nan 1.00,9", "'nan' is no number of seconds, in 'c001 nan 1.00'"),
        ("a,c001 0.00 inf,9", "'inf' is no number of seconds"),
        ("a,c001 -1 1,9", "'-1' is no number of seconds"),
        ("a,c001 0.00 1.00,NaN", "'NaN' is no number of seconds, in 'length'"),
    ],
)
def test_bad_lines_of_charades(folder: Path, row: str, said: str) -> None:
    """One line: which, and what is wrong with it."""
    with pytest.raises(SourceError, match=re.escape(f"list.csv:2: {said}"[:60])):
        list_clips([written(folder, f"id,actions,length\n{row}\n")], "multilabel")


@pytest.mark.parametrize("seconds", ["5.00 1.00", "50.00 60.00"])
def test_an_action_outside_its_video_is_told(folder: Path, seconds: str) -> None:
    """It is a label of the video all the same: a slip in one of 66,000 does not refuse the list."""
    path = written(folder, f"id,actions,length\na,c001 {seconds},9\n")
    with pytest.warns(DataWarning, match=rf"list.csv:2: 'c001 {seconds}' is no part of a video of 9 s"):
        assert list_clips([path], "multilabel")[0].labels == ("c001",)


def test_sets_are_split_and_spread() -> None:
    """A share of every class is held out; some clips are picked the same each time."""
    clips = [crowd_clip(("waves", "bows", "sways"), seed) for seed in range(60)]
    assert {len(clip.labels) for clip in clips} == {0, 1, 2, 3}
    rest, held = split_by_group(clips, 0.25)
    assert len(rest) + len(held) == 60
    for name in ("waves", "bows", "sways"):
        share = sum(name in c.labels for c in held) / sum(name in c.labels for c in clips)
        assert 0.15 < share < 0.35
    assert spread(clips, 10) == spread(clips, 10)
    assert len(spread(clips, 10)) == 10


def test_one_class_is_enough_for_many_labels(folder: Path) -> None:
    """Seen or not: that is something to learn; no label at all is not."""
    clips = [
        Clip(label, None, seed=i, drawn="crowd", many=True) for i, label in enumerate(("waves", "", "waves"))
    ]
    recipe = Recipe(task="multilabel", val=0.0)
    assert sides_of(recipe, clips, None, lambda _: None).classes == ("waves",)
    with pytest.raises(UsageError, match="no clip has a label: nothing can be learnt"):
        sides_of(recipe, clips[1:2], None, lambda _: None)


def test_class_folders_hold_sets_of_one(clip_list: Path) -> None:
    """So that a set of one label trains as well."""
    clips = clips_of([clip_list.parent], task="multilabel")
    assert {clip.labels for clip in clips} == {("right",), ("down",), ("still",)}
