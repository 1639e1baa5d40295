"""Which clips there are: CSV lists and class folders, errors by line, folds that never split a group."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from a3d_edge.demo.rendered import CLASSES
from a3d_edge.errors import DataWarning, SourceError, UsageError
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
    """Columns path and label, group and fold where there are any, in any order."""
    path = csv_file(folder, "label,path,fold,group\nkick,a.mp4,1,s1\nhug,b.mp4,,\n")
    assert list_clips([path]) == [
        Clip("kick", folder / "a.mp4", "s1", 1),
        Clip("hug", folder / "b.mp4", "", None),
    ]


def test_a_list_names_parts_and_the_split(folder: Path) -> None:
    """Seconds, also as minutes and hours; one file may have parts of several labels."""
    text = "path,label,start,End Time,split\na.mp4,kick,,2.5,Train\na.mp4,hug,2.5,1:02.5,validation\n"
    text += "a.mp4,none,0:01:10,,\n"
    clips = list_clips([csv_file(folder, text)])
    assert [(clip.label, clip.start, clip.end, clip.split, clip.part) for clip in clips] == [
        ("kick", None, 2.5, "train", "#t=,2.5"),
        ("hug", 2.5, 62.5, "val", "#t=2.5,62.5"),
        ("none", 70.0, None, "", "#t=70.0"),
    ]
    assert clips[1].where == f"{folder}/list.csv:3"
    assert len({clip.belongs_to for clip in clips}) == 1


def test_a_part_with_two_labels_is_refused(folder: Path) -> None:
    """As a whole clip would be."""
    path = csv_file(folder, "path,label,start,end\na.mp4,kick,1,2\na.mp4,hug,1,2\n")
    with pytest.raises(SourceError, match=r"a\.mp4#t=1\.0,2\.0: is listed as 'kick' and as 'hug'"):
        list_clips([path])


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
        ('path,label,group\na.mp4,kick,"two\nlines"\nc.mp4,hug,\n', ":4: no such clip {folder}/c.mp4"),
        ("path,label,fold\na.mp4,kick,one\n", ":2: fold 'one' is not a number"),
        ("path,label,fold\na.mp4,kick,-1\n", ":2: fold '-1' is not a number"),
        ("path,label,fold\na.mp4,kick,²\n", ":2: fold '²' is not a number"),
        ("path,label,start\na.mp4,kick,nan\n", ":2: 'nan' is no number of seconds from 0 on"),
        ("path,label,start,end\na.mp4,kick,-1,2\n", ":2: '-1' is no number of seconds from 0 on"),
        ("path,label,start,end\na.mp4,kick,1,late\n", ":2: 'late' is no number of seconds from 0 on"),
        ("path,label,start,end\na.mp4,kick,2,1.5\n", ":2: ends at 1.5 s, and starts no earlier (2.0 s)"),
        ("path,label,end\na.mp4,kick,0\n", ":2: ends at 0.0 s, and starts no earlier (0.0 s)"),
        ("path,label,split\na.mp4,kick,1\n", ":2: split '1' is none of train, val, test"),
    ],
)
def test_an_error_names_the_file_and_the_line(folder: Path, text: str, message: str) -> None:
    """The line as an editor counts it, blank and quoted lines included."""
    path = csv_file(folder, text)
    with pytest.raises(SourceError) as caught:
        list_clips([path])
    assert str(caught.value) == f"{path}{message.format(folder=folder)}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x00\x00\x00 ftypisom\x00", "list.csv: cannot read the list of clips, it is no text; name a CSV"),
        (b"PK\x03\x04\x00\x00\xff", "it is a spreadsheet or another archive; save it as CSV"),
        (
            b"path,label\na.mp4,kick\n\x81\x82,kick\n",
            "list.csv:3: cannot read the list of clips, it is no UTF-8",
        ),
    ],
)
def test_a_file_that_is_no_text_is_refused(folder: Path, content: bytes, said: str) -> None:
    """A clip, a spreadsheet, another encoding: what it is, and the line where that is known."""
    (folder / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=re.escape(said)):
        list_clips([folder / "list.csv"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_encodings_that_say_what_they_are_are_read(folder: Path, encoding: str) -> None:
    """As Windows' programs save them."""
    path = csv_file(folder, "path,label\na.mp4,café\n", encoding=encoding)
    assert [clip.label for clip in list_clips([path])] == ["café"]


@pytest.mark.parametrize(
    "text",
    [
        "path;label\na.mp4;kick, hard\nb.mp4;hug\n",
        "path\tlabel\na.mp4\tkick, hard\nb.mp4\thug\n",
        "sep=;\npath;label\na.mp4;kick, hard\nb.mp4;hug\n",
        'path|label\na.mp4|"kick, hard"\nb.mp4|hug\n',
        ' Path , LABEL \n a.mp4 , "kick, hard"\n\n , \n  b.mp4,\thug\t\n',
        '\n\npath,label,\na.mp4,"kick, \u00a0hard",\nb.mp4,\ufeffhug\u200b,\n',
        'path,label\r"a.mp4","kick, hard"\rb.mp4,hug\r',
    ],
)
def test_lists_as_programs_and_people_write_them(folder: Path, text: str) -> None:
    """Semicolons, tabs, spaces around anything, other case, blank lines, old line ends: the same clips."""
    path = csv_file(folder, text)
    assert [(clip.path, clip.label) for clip in list_clips([path])] == [
        (folder / "a.mp4", "kick, hard"), (folder / "b.mp4", "hug")
    ]  # fmt: skip


def test_two_spellings_of_a_label_are_one(folder: Path) -> None:
    """Spaces, Unicode forms; in groups too, for a group must not be split."""
    (folder / "c.mp4").write_bytes(b"x")
    path = csv_file(
        folder, "path,label,group\na.mp4,cafe\u0301 ,s1\nb.mp4,\u00a0caf\u00e9,s1 \nc.mp4,café,s1\n"
    )
    assert {(clip.label, clip.group) for clip in list_clips([path])} == {("café", "s1")}


def test_accents_in_a_file_s_name_may_be_written_either_way(folder: Path) -> None:
    """A list from a Mac on another system's disk."""
    (folder / "caf\u00e9.mp4").write_bytes(b"x")
    (path,) = [clip.path for clip in list_clips([csv_file(folder, "path,label\ncafe\u0301.mp4,kick\n")])]
    assert path is not None
    assert path.is_file()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("note", "the column note is not used (used are path, label, start, end, group, fold, "
         "split)"),
        ("note,url", "the columns note, url are not used (used are path, label, start, end, "
         "group, fold, split)"),
        ("start_frame,Frame End", "the columns start_frame, Frame End are not used (used are path, label, "
         "start, end, group, fold, split); every clip is used as a whole, not a part of it"),
        ("t0", "; every clip is used as a whole"),
        ("end-ms", "; every clip is used as a whole"),
    ],
)  # fmt: skip
def test_columns_that_nobody_uses_are_told(folder: Path, header: str, said: str) -> None:
    """All in one warning; of times, that clips are not cut by them."""
    path = csv_file(folder, f"path,label,{header}\na.mp4,kick{',1' * len(header.split(','))}\n")
    with pytest.warns(DataWarning) as told:
        assert len(list_clips([path])) == 1
    (one,) = told
    assert str(one.message).startswith(f"{path}: ")
    assert said in str(one.message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.mp4,kick\nb.mp4,hug\n", "it is a clip already (a.mp4); put the line 'path,label' above it"),
        ("a.mp4 kick\nb.mp4 hug\n", "it is a clip already (a.mp4); put the line 'path,label' above it"),
        ("path,label,Label\na.mp4,kick,hug\n", ": the column label is there twice; keep one of them"),
        ("path,label\na.mp4,kick, hard\n", ":2: has 3 cells, the first line 2; put quotes around"),
        (f"path,label\n{'x' * 5000},kick\n", ":2: no such clip"),
        ("path,label\na.mp4, \u200b\n", ":2: path or label is empty"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(folder: Path, text: str, said: str) -> None:
    """With the line and what to write."""
    path = csv_file(folder, text)
    with pytest.raises(SourceError) as caught:
        list_clips([path])
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_clip_listed_twice_is_told(folder: Path) -> None:
    """By whatever path; it is used as often as it is listed."""
    (folder / "link.mp4").symlink_to(folder / "a.mp4")
    path = csv_file(folder, "path,label\na.mp4,kick\nb.mp4,hug\n./a.mp4,kick\nlink.mp4,kick\n")
    with pytest.warns(DataWarning, match=r"a\.mp4 and 1 more are listed more than once"):
        assert len(list_clips([path])) == 4


def test_a_clip_with_two_labels_is_refused(folder: Path) -> None:
    """It would teach both."""
    path = csv_file(folder, "path,label\na.mp4,kick\nb.mp4,hug\na.mp4,hug\n")
    with pytest.raises(SourceError, match=r"a\.mp4: is listed as 'kick' and as 'hug'; a clip has one label"):
        list_clips([path])


def test_labels_that_look_alike_are_told(folder: Path) -> None:
    """They stay two."""
    path = csv_file(folder, "path,label\na.mp4,Kick\nb.mp4,kick\n")
    with pytest.warns(DataWarning, match="the labels 'Kick', 'kick' look alike, but are different classes"):
        assert {clip.label for clip in list_clips([path])} == {"Kick", "kick"}


def test_a_missing_list_is_refused(folder: Path) -> None:
    """Neither a file nor a folder."""
    with pytest.raises(SourceError, match=r"none\.csv: cannot read the list of clips .*No such file"):
        list_clips([folder / "none.csv"])


def made(root: Path, *names: str) -> Path:
    """A folder with these files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_class_folders_give_their_names(tmp_path: Path) -> None:
    """Video files of each sub-folder, sorted; files of other kinds and folders are no clips."""
    made(tmp_path, "kick/2.MP4", "kick/1.avi", "kick/notes.txt", "kick/3.mp4/x.txt", "hug /x.M2TS")
    found = [(clip.label, clip.path and clip.path.name, clip.fold) for clip in list_clips([tmp_path])]
    assert found == [("hug", "x.M2TS", None), ("kick", "1.avi", None), ("kick", "2.MP4", None)]


@pytest.mark.parametrize(
    "litter",
    [
        "kick/._1.mp4", ".thumbnails/1.mp4", ".git/1.mp4", ".ipynb_checkpoints/1.mp4",
        "__MACOSX/kick/._1.mp4", "kick/.hidden/1.mp4", "@eaDir/kick/1.mp4",
        "$RECYCLE.BIN/1.mp4", ".DS_Store", "._loose.mp4",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_what_programs_leave_behind_is_no_clip(tmp_path: Path, litter: str) -> None:
    """Nor a class, nor worth a word."""
    made(tmp_path, "kick/1.mp4", "hug/1.mp4", litter)
    assert [clip.label for clip in list_clips([tmp_path])] == ["hug", "kick"]


def test_folders_without_clips_are_told(tmp_path: Path) -> None:
    """All in one warning: a class would have vanished."""
    made(tmp_path, "kick/1.mp4", "hug/1.txt", "wave/.1.mp4")
    with pytest.warns(DataWarning, match="no clip is in hug, wave, so that is no class"):
        assert [clip.label for clip in list_clips([tmp_path])] == ["kick"]


def test_clips_beside_class_folders_are_told(tmp_path: Path) -> None:
    """They have no label; without any class folder that is an error with what to do."""
    made(tmp_path, "kick/1.mp4", "a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4")
    with pytest.warns(DataWarning, match=r"left out \(a\.mp4, b\.mp4, c\.mp4 and 2 more\)"):
        assert len(list_clips([tmp_path])) == 1
    (tmp_path / "kick/1.mp4").unlink()
    with pytest.raises(SourceError, match="put the clips of each class into a folder of its name"):
        list_clips([tmp_path])


def test_class_folders_may_lie_in_those_of_a_split(tmp_path: Path) -> None:
    """Spelled as people do; a class that is called so, with clips of its own, stays a class."""
    made(tmp_path, "train/kick/1.mp4", "Validation/kick/2.mp4", "testing/hug/3.mp4", "dev/notes.txt")
    assert {(clip.label, clip.split) for clip in list_clips([tmp_path])} == {
        ("kick", "train"), ("kick", "val"), ("hug", "test")
    }  # fmt: skip
    other = made(tmp_path / "testing", "train/1.mp4", "bus/2.mp4")
    (other / "hug" / "3.mp4").unlink()
    with pytest.warns(DataWarning, match="no clip is in hug"):
        assert [(clip.label, clip.split) for clip in list_clips([other])] == [("bus", ""), ("train", "")]


def test_classes_beside_a_split_are_refused(tmp_path: Path) -> None:
    """They would be in no split, or a class would be called ``train``."""
    made(tmp_path, "train/kick/1.mp4", "hug/2.mp4")
    with pytest.raises(SourceError, match="has train and beside them hug; put every class folder into"):
        list_clips([tmp_path])


@pytest.mark.parametrize("names", [["kick/1.mp4", "kick/more/a/2.mp4"], ["data/kick/1.mp4", "hug/2.mp4"]])
def test_classes_at_two_levels_are_refused(tmp_path: Path, names: list[str]) -> None:
    """A clip further down would be forgotten."""
    made(tmp_path, *names)
    folder = tmp_path / names[0].split("/")[0]
    with pytest.raises(SourceError, match=f"^{folder}: has folders with clips itself, so it is no class"):
        list_clips([tmp_path])


@pytest.mark.parametrize("name", [b"\xff\xfe", "\u3000".encode()])
def test_a_folder_whose_name_is_no_label_is_refused(tmp_path: Path, name: bytes) -> None:
    """Not UTF-8, or nothing to see."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    made(folder, "1.mp4")
    with pytest.raises(SourceError, match="rename it, it is the label") as caught:
        list_clips([tmp_path])
    str(caught.value).encode()


def test_a_list_in_the_folder_that_was_named_is_pointed_at(tmp_path: Path) -> None:
    """As FiftyOne's exports and many data sets are: the folder's only sub-folder is no class."""
    made(tmp_path, "data/1.mp4", "data/2.mp4", "samples.json")
    with pytest.warns(
        DataWarning,
        match=r"has one class folder; put another beside it, or name the list in it \(samples\.json\)",
    ):
        list_clips([tmp_path])
    made(tmp_path, "data/kick/3.mp4")
    with pytest.raises(SourceError, match=r"into one folder, or name the list in it \(samples\.json\)$"):
        list_clips([tmp_path])


def test_several_places_are_joined_and_none_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In the order given; no clip at all is an error that says what may be named."""
    path = csv_file(folder, "path,label\na.mp4,kick\n")
    (folder / "hug").mkdir()
    (folder / "hug" / "c.mp4").write_bytes(b"x")
    with pytest.warns(DataWarning, match="beside the class folders"):
        assert [clip.label for clip in list_clips([path, folder])] == ["kick", "hug"]
    with pytest.raises(SourceError, match="the data lists hold no clip; name a CSV"):
        list_clips([tmp_path_factory.mktemp("empty")])


def test_a_real_list_is_read(clip_list: Path) -> None:
    """The fixture's 12 clips: 3 classes, 4 scenes, 2 folds."""
    clips = list_clips([clip_list])
    assert len(clips) == 12
    assert {(clip.group, clip.fold) for clip in clips} == {(f"scene{i}", i % 2) for i in range(4)}


def test_a_fold_never_splits_a_group() -> None:
    """A group with any clip in the fold is held out whole, clips without fold included; so is a file."""
    clips = [
        Clip("a", None, "g1", 0, 1),
        Clip("a", None, "g1", 1, 2),
        Clip("b", None, "g1", None, 3),
        Clip("b", None, "g2", 1, 4),
        Clip("c", None, "", 0, 5),
        Clip("c", None, "", None, 6),
    ]
    clips.append(Clip("c", Path("long.mp4"), "", 0, 7, 0.0, 2.0))
    clips.append(Clip("b", Path("long.mp4"), "", None, 8, 2.0, 4.0))
    train, held = split_fold(clips, 0)
    assert [clip.seed for clip in held] == [1, 2, 3, 5, 7, 8]
    assert [clip.seed for clip in train] == [4, 6]
    for fold in (0, 1):
        train, held = split_fold(clips, fold)
        assert not {c.group for c in train if c.group} & {c.group for c in held if c.group}
        assert sorted(c.seed for c in train + held) == [1, 2, 3, 4, 5, 6, 7, 8]


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


def test_rendered_clips_are_of_the_set_that_the_labels_mean() -> None:
    """``none`` is acted as by the figures of the other labels."""
    assert {clip.drawn for clip in rendered_clips(["left", "stop", "none"], 1)} == {"gestures"}
    assert {clip.drawn for clip in rendered_clips(["hug", "none"], 1)} == {"interactions"}
    assert [clip.label for clip in rendered_clips(["none", "mine", "left"], 2)] == ["none"] * 2 + ["left"] * 2


def test_a_list_may_name_clips_that_are_drawn(tmp_path: Path) -> None:
    """By set and seed, with fold and split as any other; the same seed of another class is another clip."""
    place = tmp_path / "list.csv"
    place.write_text("path,label,fold,split\ndrawn:testbed:7,even,1,val\ndrawn:testbed:7,double,,\n")
    assert list_clips([place]) == [
        Clip("even", None, fold=1, seed=7, split="val", drawn="testbed"),
        Clip("double", None, seed=7, drawn="testbed"),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "drawn:dances:7,even",
            "there is no set 'dances' to be drawn; known are interactions, gestures, testbed",
        ),
        ("drawn:testbed:7,hug", "'hug' cannot be drawn; testbed has disc, ring"),
        ("drawn:testbed:7,even,1.5", "a drawn clip has no start nor end"),
        ("drawn:testbed:x,even", "no such clip"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, row: str, said: str) -> None:
    """With the line, and what there is."""
    place = tmp_path / "list.csv"
    place.write_text(f"path,label,start\n{row}\n")
    with pytest.raises(SourceError, match=rf"list\.csv:2: {said}"):
        list_clips([place])
