"""Lists that other tools write, recognised by their content: the same clips as a CSV would give."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from a3d_edge.errors import DataWarning, SourceError
from a3d_edge.training.clips import Clip, list_clips

RATE = 30  # of the fixture's clips


@pytest.fixture
def folder(tmp_path: Path, clip_list: Path) -> Path:
    """Two real clips of 24 frames at 30 fps."""
    for name, scene in (("a.mp4", 0), ("b.mp4", 1)):
        shutil.copy(clip_list.parent / "right" / f"{scene}.mp4", tmp_path / name)
    return tmp_path


def listed(path: Path, content: Any) -> list[tuple[Any, ...]]:
    """(label, file name, start, end, split) of what a list of that content holds."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return [
        (clip.label, clip.path and clip.path.name, clip.start, clip.end, clip.split)
        for clip in list_clips([path])
    ]


def test_kinetics_finds_cut_clips_and_whole_videos(folder: Path) -> None:
    """By the names that download scripts give, however deep; what YouTube has no more is told."""
    (folder / "train" / "high kick").mkdir(parents=True)
    shutil.copy(folder / "a.mp4", folder / "train" / "high kick" / "-aBcdEfGhi0_000010_000020.mp4")
    shutil.copy(folder / "b.mp4", folder / "whole_vid12.mp4")
    text = 'label,youtube_id,time_start,time_end,split\n"high kick",-aBcdEfGhi0,10,20,train\n'
    text += "hug,whole_vid12,0,10,validate\nhug,goneGoneGon,3,13,train\n"
    with pytest.warns(DataWarning, match="1 of 3 clips are not there, and left out"):
        assert listed(folder / "kinetics.csv", text) == [
            ("high kick", "-aBcdEfGhi0_000010_000020.mp4", None, None, "train"),
            ("hug", "whole_vid12.mp4", 0.0, 10.0, "val"),
        ]
    with pytest.raises(SourceError, match=f"1 of 1 clips are not there; put them below {folder}"):
        listed(folder / "other.csv", "label,youtube_id,time_start,time_end\nhug,goneGoneGon,3,13\n")
    with pytest.raises(SourceError, match=r"other\.csv:2: time_start 'x' or time_end '13' is no number"):
        listed(folder / "other.csv", "label,youtube_id,time_start,time_end\nhug,whole_vid12,x,13\n")
    with pytest.raises(SourceError, match="has no label, as Kinetics' lists of its test set"):
        listed(folder / "test.csv", "youtube_id,time_start,time_end,split\nwhole_vid12,3,13,test\n")


@pytest.mark.parametrize("separator", [" ", ",", "\t", ", "])
def test_clips_with_the_number_of_their_class(folder: Path, separator: str) -> None:
    """Of PySlowFast and mmaction2; a name may have spaces. Without class names, the numbers are."""
    shutil.copy(folder / "b.mp4", folder / "b 2.mp4")
    text = f"a.mp4{separator}1\n\nb 2.mp4{separator}0\n"
    found = [("1", "a.mp4", None, None, ""), ("0", "b 2.mp4", None, None, "")]
    assert listed(folder / "train.csv", text) == found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kinetics_classnames.json", '{"\\"high kick\\"": 0, "hug": 1}'),
        ("label_map_k400.txt", "high kick\nhug\n"),
        ("classInd.txt", "1 high kick\n2 hug\n"),
        ("classes.json", '["high kick", "hug"]'),
    ],
)
def test_names_of_classes_are_found_beside_the_list(folder: Path, name: str, content: str) -> None:
    """In every form in which they come with it."""
    (folder / name).write_text(content)
    (folder / "my_labels.txt").write_text("only one\n")
    assert [one[0] for one in listed(folder / "train.txt", "a.mp4 1\nb.mp4 0\n")] == ["hug", "high kick"]


def test_lists_of_frames_are_refused(folder: Path) -> None:
    """They are told from clips; a line that is another than the others is named."""
    (folder / "frames_a").mkdir()
    with pytest.raises(SourceError, match=r"lists folders of frames .*, which are not read; list the videos"):
        listed(folder / "train.txt", "frames_a 24 0\nframes_b 24 1\n")
    with pytest.raises(SourceError, match=r"train\.txt:22: is no 'path number' like the lines above it"):
        listed(folder / "train.txt", "a.mp4 0\n" * 21 + "b.mp4\n")
    with pytest.raises(SourceError, match=r"train\.txt:2: no such clip"):
        listed(folder / "train.txt", "a.mp4 0\nc.mp4 1\n")


def task(video: str, *results: dict[str, Any], number: int = 7) -> dict[str, Any]:
    """A task of Label Studio, annotated once."""
    return {"id": number, "data": {"video": video}, "annotations": [{"result": list(results)}]}


def timeline(start: float, end: float, label: str) -> dict[str, Any]:
    """A range of frames on a timeline."""
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"type": "timelinelabels", "value": value}


def test_label_studio_s_timelines_choices_and_regions(folder: Path) -> None:
    """Frames from 1 on become seconds; files are found by what is left of their names; boxes say nothing."""
    box = {"value": {"sequence": [{"frame": 1}], "labels": ["person"]}}
    tasks = [
        task("/data/upload/1/0123abcd-a.mp4", timeline(1, 12, "kick"), timeline(13, 24, "hug"), box),
        task("/data/local-files/?d=clips/b.mp4", {"value": {"choices": ["none"]}}),
        task("s3://bucket/where/b.mp4", {"value": {"start": 0.1, "end": 0.5, "labels": ["wave"]}}),
        task("gone.mp4"),
    ]
    assert listed(folder / "export.json", tasks) == [
        ("kick", "a.mp4", 0.0, 12 / RATE, ""),
        ("hug", "a.mp4", 12 / RATE, 24 / RATE, ""),
        ("none", "b.mp4", None, None, ""),
        ("wave", "b.mp4", 0.1, 0.5, ""),
    ]
    with pytest.raises(SourceError, match=r"export\.json: task 7: no such clip \(gone\.mp4\); put the clips"):
        listed(folder / "export.json", [task("gone.mp4", timeline(1, 5, "kick"))])
    with pytest.raises(SourceError, match=r"export\.json: task 7: ends at .* s, and starts no earlier"):
        listed(folder / "export.json", [task("a.mp4", timeline(20, 5, "kick"))])


def detections(*found: dict[str, Any]) -> dict[str, Any]:
    """FiftyOne's TemporalDetections."""
    return {
        "_cls": "TemporalDetections",
        "detections": [{"_cls": "TemporalDetection", **one} for one in found],
    }


def test_fiftyone_s_samples_and_temporal_detections(folder: Path) -> None:
    """Frames from 1 on, both ends included; a tag may be the split; a label for the whole clip."""
    (folder / "data").mkdir()
    (folder / "a.mp4").rename(folder / "data" / "a.mp4")
    samples = [
        {
            "filepath": "data/a.mp4",
            "tags": ["good", "validation"],
            "metadata": {"frame_rate": 10.0},
            "events": detections({"label": "kick", "support": [1, 5]}, {"label": "hug", "support": [6, 8]}),
        },
        {
            "filepath": "/home/me/b.mp4",
            "ground_truth": {"_cls": "Classification", "label": "none"},
            "tags": [],
        },
    ]
    assert listed(folder / "samples.json", {"samples": samples}) == [
        ("kick", "a.mp4", 0.0, 0.5, "val"),
        ("hug", "a.mp4", 0.5, 0.8, "val"),
        ("none", "b.mp4", None, None, ""),
    ]
    labels = {"a": [{"label": 1, "support": [1, 15]}], "b": [{"label": "hug", "timestamps": [0.1, 0.3]}]}
    assert listed(folder / "labels.json", {"classes": ["hug", "kick"], "labels": labels}) == [
        ("kick", "a.mp4", 0.0, 0.5, ""),
        ("hug", "b.mp4", 0.1, 0.3, ""),
    ]
    with pytest.raises(SourceError, match=r"labels\.json: c: no such clip"):
        listed(folder / "labels.json", {"classes": [], "labels": {"c": []}})


def cvat(inside: str, source: str = "<task><id>4</id><source>a.mp4</source></task>") -> str:
    """An export of CVAT."""
    return (
        f'<?xml version="1.0"?><annotations><version>1.1</version><meta>{source}</meta>{inside}</annotations>'
    )


def box(frame: int, outside: int = 0) -> str:
    """A box of a track."""
    return f'<box frame="{frame}" outside="{outside}" xtl="0" ytl="0" xbr="9" ybr="9"/>'


def test_cvat_s_tracks_and_tags(folder: Path) -> None:
    """Every run of frames that a track is seen in is a part, and every run with the same tag."""
    seen = "".join(box(n) for n in range(6)) + box(6, 1) + box(10, 0) + box(11, 0) + box(12, 1)
    assert listed(folder / "annotations.xml", cvat(f'<track id="0" label="kick">{seen}</track>')) == [
        ("kick", "a.mp4", 0.0, 6 / RATE, ""),
        ("kick", "a.mp4", 10 / RATE, 12 / RATE, ""),
    ]
    tags = "".join(f'<image id="{n}" name="frame_{n:06d}"><tag label="hug"/></image>' for n in (3, 4, 5, 9))
    assert listed(folder / "annotations.xml", cvat(tags)) == [
        ("hug", "a.mp4", 3 / RATE, 6 / RATE, ""),
        ("hug", "a.mp4", 9 / RATE, 10 / RATE, ""),
    ]
    tasks = "<project><tasks><task><id>4</id><source>a.mp4</source></task>"
    tasks += "<task><id>5</id><source>b.mp4</source></task></tasks></project>"
    tracks = f'<track id="0" task_id="5" label="kick">{box(0)}</track>'
    assert [one[1] for one in listed(folder / "annotations.xml", cvat(tracks, tasks))] == ["b.mp4"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", ": cannot be read as JSON (Expecting property name"),
        ("a.json", [], ": looks like JSON without any clip; write a CSV with the columns path,label,start"),
        ("a.json", {"images": [], "annotations": [], "categories": []}, "looks like boxes on pictures"),
        ("a.json", {"database": {}, "version": "1"}, "looks like ActivityNet or THUMOS; write a CSV"),
        ("a.json", {"b": 1, "a": 2}, "looks like JSON of another tool, with a, b; write"),
        ("a.json", [{"id": "1", "template": "x"}], "a JSON list of another tool, with id, template;"),
        ("a.json", [{"video": "a", "annotation_id": 1, "annotator": 2}], "JSON-MIN; export as JSON;"),
        ("a.json", [{"version": 0, "tags": [], "tracks": []}], "looks like a backup of CVAT; export as"),
        ("a.json", {"samples": [{"filepath": "a.mp4", "x": {"_cls": "TemporalDetections", "detections": [
            {"label": "kick", "support": ["1", "b"]}]}}]},
         "looks like an export of FiftyOne, but a"),
        ("a.json", {"samples": [{"path": 1}]}, ": sample 0: has no filepath; export the data set with its"),
        ("a.xml", "<annotations><a></annotations>", ": cannot be read as XML (mismatched tag"),
        ("a.xml", "<annotation/>", ": looks like boxes on one picture (Pascal VOC); write a CSV"),
        ("a.xml", "<html></html>", ": looks like XML of another tool, <html>; write"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY a "b">]><annotations/>', ": defines XML entities"),
        ("a.xml", cvat(""), ": has neither tracks nor tags of a video; export it from CVAT as 'CVAT for"),
        ("a.xml", cvat('<track id="0" label="k"><box frame="x"/></track>'), ": track 0: frame 'x' is no"),
        ("a.xml", cvat(f'<track id="0" label="k">{box(0)}</track>', ""), ": track 0: does not say of which"),
        ("a.xml", cvat(f'<track id="0" label="k">{box(0)}</track>', "<task><source>c.mp4</source></task>"),
         ": track 0: no such clip c.mp4; put it beside the export"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_said_in_one_line(folder: Path, name: str, content: Any, said: str) -> None:
    """What the file looks like, or what of it is wrong, and what to write instead."""
    with pytest.raises(SourceError, match=re.escape(said)) as caught:
        listed(folder / name, content)
    assert str(caught.value).startswith(f"{folder / name}")
    assert "\n" not in str(caught.value)


def test_a_csv_gives_the_same(folder: Path) -> None:
    """The parts that Label Studio names, written as a list of ours."""
    (folder / "list.csv").write_text(f"path,label,start,end\na.mp4,kick,0,{12 / RATE}\n")
    (folder / "export.json").write_text(json.dumps([task("a.mp4", timeline(1, 12, "kick"))]))
    ours, theirs = list_clips([folder / "list.csv"]), list_clips([folder / "export.json"])
    assert ours == theirs == [Clip("kick", folder / "a.mp4", start=0.0, end=12 / RATE)]
