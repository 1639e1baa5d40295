"""Which clips there are: CSV lists and class folders, errors by line, folds that never split a group."""

from __future__ import annotations

from pathlib import Path

import pytest

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.rendered import CLASSES
from a3d_edge.training.clips import Clip, class_of, list_clips, rendered_clips, split_fold


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files that stand for clips; listing does not open them."""
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def csv_file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_csv_lists_clips_relative_to_itself(folder: Path) -> None:
    """Columns path and label, group and fold where there are any, in any order; other columns are ignored."""
    path = csv_file(folder, "label,path,fold,group,note\nkick,a.mp4,1,s1,x\nhug,b.mp4,,,\n")
    assert list_clips([path]) == [
        Clip("kick", folder / "a.mp4", "s1", 1),
        Clip("hug", folder / "b.mp4", "", None),
    ]


@pytest.mark.parametrize(
    "text", ["path,label\na.mp4,kick\n", "path,label\r\na.mp4,kick", 'path,label\n"a.mp4","kick"\n\n']
)
def test_line_ends_quotes_and_blank_lines_do_not_matter(folder: Path, text: str) -> None:
    """As spreadsheets write them."""
    assert list_clips([csv_file(folder, text)]) == [Clip("kick", folder / "a.mp4")]


def test_a_spreadsheet_s_byte_order_mark_is_skipped(folder: Path) -> None:
    """Excel writes one before the first column's name."""
    path = csv_file(folder, "path,label\na.mp4,kick\n", encoding="utf-8-sig")
    assert list_clips([path]) == [Clip("kick", folder / "a.mp4")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the first line lacks the column label, path"),
        ("file,label\na.mp4,kick\n", ": the first line lacks the column path"),
        ("path,label\na.mp4,kick\n,hug\n", ":3: path or label is empty"),
        ("path,label\na.mp4\n", ":2: path or label is empty"),
        ("path,label\na.mp4,kick\nc.mp4,hug\n", ":3: no such clip {folder}/c.mp4"),
        ("path,label\na.mp4,kick\n\n\nc.mp4,hug\n", ":5: no such clip {folder}/c.mp4"),
        ('path,label,note\na.mp4,kick,"two\nlines"\nc.mp4,hug,\n', ":4: no such clip {folder}/c.mp4"),
        ("path,label,fold\na.mp4,kick,one\n", ":2: fold 'one' is not a number"),
        ("path,label,fold\na.mp4,kick,-1\n", ":2: fold '-1' is not a number"),
        ("path,label,fold\na.mp4,kick,²\n", ":2: fold '²' is not a number"),
    ],
)
def test_an_error_names_the_file_and_the_line(folder: Path, text: str, message: str) -> None:
    """The line as an editor counts it, blank and quoted lines included."""
    path = csv_file(folder, text)
    with pytest.raises(SourceError) as caught:
        list_clips([path])
    assert str(caught.value) == f"{path}{message.format(folder=folder)}"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"path,label\n\x81\x82,kick\n"])
def test_a_file_that_is_no_text_is_refused(folder: Path, content: bytes) -> None:
    """Binary, or another encoding."""
    (folder / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.csv: cannot read the list of clips"):
        list_clips([folder / "list.csv"])


def test_a_missing_list_is_refused(folder: Path) -> None:
    """Neither a file nor a folder."""
    with pytest.raises(SourceError, match=r"none\.csv: cannot read the list of clips .*No such file"):
        list_clips([folder / "none.csv"])


def test_class_folders_give_their_names(folder: Path) -> None:
    """Video files of each sub-folder, sorted; files of other kinds and beside the folders are no clips."""
    for name in ("kick/2.MP4", "kick/1.avi", "kick/notes.txt", "hug/x.webm"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    found = [(clip.label, clip.path and clip.path.name, clip.fold) for clip in list_clips([folder])]
    assert found == [("hug", "x.webm", None), ("kick", "1.avi", None), ("kick", "2.MP4", None)]


def test_several_places_are_joined_and_none_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In the order given; no clip at all is an error that says what may be named."""
    path = csv_file(folder, "path,label\na.mp4,kick\n")
    assert len(list_clips([path, path])) == 2
    with pytest.raises(SourceError, match="the data lists hold no clip; name a CSV"):
        list_clips([tmp_path_factory.mktemp("empty")])


def test_a_real_list_is_read(clip_list: Path) -> None:
    """The fixture's 12 clips: 3 classes, 4 scenes, 2 folds."""
    clips = list_clips([clip_list])
    assert len(clips) == 12
    assert {(clip.group, clip.fold) for clip in clips} == {(f"scene{i}", i % 2) for i in range(4)}


def test_a_fold_never_splits_a_group() -> None:
    """A group with any clip in the fold is held out whole, clips without fold included."""
    clips = [
        Clip("a", None, "g1", 0, 1),
        Clip("a", None, "g1", 1, 2),
        Clip("b", None, "g1", None, 3),
        Clip("b", None, "g2", 1, 4),
        Clip("c", None, "", 0, 5),
        Clip("c", None, "", None, 6),
    ]
    train, held = split_fold(clips, 0)
    assert [clip.seed for clip in held] == [1, 2, 3, 5]
    assert [clip.seed for clip in train] == [4, 6]
    for fold in (0, 1):
        train, held = split_fold(clips, fold)
        assert not {c.group for c in train if c.group} & {c.group for c in held if c.group}
        assert sorted(c.seed for c in train + held) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("fold", [2, 0])
def test_a_fold_that_leaves_a_side_empty_is_refused(fold: int) -> None:
    """The message lists the folds there are."""
    with pytest.raises(UsageError) as caught:
        split_fold([Clip("a", None, fold=0)], fold)
    assert str(caught.value) == f"fold {fold} leaves no clip on one side; the lists have folds [0]"


def test_a_class_is_found_by_its_place() -> None:
    """An unknown one is answered with the clip and the classes."""
    assert class_of(Clip("b", None), ("a", "b")) == 1
    with pytest.raises(UsageError) as caught:
        class_of(Clip("c", Path("x.mp4")), ("a", "b"))
    assert str(caught.value) == "x.mp4: class 'c' is not one of a, b"


def test_rendered_clips_are_made_of_what_can_be_drawn() -> None:
    """So many of each known label, seeds consecutive; other labels are left to real clips."""
    clips = rendered_clips([CLASSES[0], "right"], 3, first_seed=10)
    assert [(clip.label, clip.path, clip.seed) for clip in clips] == [
        (CLASSES[0], None, 10 + i) for i in range(3)
    ]
