"""Frame mAP of AVA's files, by hand, and where its two programs differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.training.frame_map_files import frame_map_of_files

MAP = """item {\n  name: "wave"\n  id: 1\n}\nitem {\n  name: "point"\n  id: 3\n}\n"""


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    return write(tmp_path / "map.pbtxt", MAP)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_by_hand(tmp_path: Path, label_map: Path) -> None:
    """One of two is found; a class that is not in the map does not count, nor what is excluded."""
    truth = write(tmp_path / "t.csv", "v,0902,0,0,.5,.5,1,7\nv,0903,0,0,.5,.5,1,7\nv,0903,0,0,.5,.5,2,7\n")
    found = write(tmp_path / "d.csv", "v,902,0,0,.5,.4,1,0.9\nv,0902,0,0,.5,.5,2,0.9\n")
    assert dict(frame_map_of_files(truth, found, label_map).by_class) == {1: 0.5}
    without = write(tmp_path / "e.csv", "v,0903\n")
    assert frame_map_of_files(truth, found, label_map, without).mean == 1.0


def test_the_official_script_looks_at_the_best_first(tmp_path: Path, label_map: Path) -> None:
    """PySlowFast at what stands first in the file: of two that fit, the worse takes the true box there."""
    truth = write(tmp_path / "t.csv", "v,0902,0,0,.5,.5,1,7\n")
    found = write(tmp_path / "d.csv", "v,0902,0,0,.5,.4,1,0.3\nv,0902,0,0,.5,.5,1,0.9\n")
    assert frame_map_of_files(truth, found, label_map).mean == 1.0
    assert frame_map_of_files(truth, found, label_map, rules="pyslowfast").mean == 0.5


def test_the_official_script_takes_fifty_of_a_frame(tmp_path: Path, label_map: Path) -> None:
    """Of all its classes together, the best of them."""
    truth = write(tmp_path / "t.csv", "v,0902,0,0,.5,.5,1,7\n")
    others = "".join(f"v,0902,.6,.6,.9,.9,3,0.{20 + n}\n" for n in range(50))
    found = write(tmp_path / "d.csv", f"v,0902,0,0,.5,.5,1,0.1\n{others}")
    assert frame_map_of_files(truth, found, label_map).by_class[1] == 0.0
    assert frame_map_of_files(truth, found, label_map, rules="pyslowfast").by_class[1] == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_both_rules_agree_where_nothing_is_equal_and_files_are_sorted(
    tmp_path: Path, label_map: Path, seed: int
) -> None:
    """Few detections a frame, the best first in the file: then the two programs are one."""
    rng = np.random.default_rng(seed)
    true, found = [], []
    for second in range(30):
        for _ in range(3):
            x, y = rng.uniform(0, 0.6, 2)
            box = np.array([x, y, x + 0.3, y + 0.3])
            action = rng.integers(1, 4)
            true.append((second, *box, action))
            found.append((second, *(box + rng.normal(0, 0.05, 4)), action, rng.random()))
    found.sort(key=lambda row: -row[-1])
    lines = [
        "".join(",".join(("v", *(str(cell) for cell in row))) + "\n" for row in rows)
        for rows in (true, found)
    ]
    files = write(tmp_path / "t.csv", lines[0]), write(tmp_path / "d.csv", lines[1])
    official = frame_map_of_files(*files, label_map)
    assert 0.1 < official.mean < 1.0
    assert dict(official.by_class) == dict(frame_map_of_files(*files, label_map, rules="pyslowfast").by_class)


@pytest.mark.parametrize(
    "line", ["v,0902,0,0,.5,nan,1,0.9", "v,0902,0,0,.5", "v,x,0,0,.5,.5,1,0.9", "v,1,0,0,1,1,,1"]
)
def test_a_row_that_is_none(tmp_path: Path, label_map: Path, line: str) -> None:
    """Is named by file and line."""
    truth = write(tmp_path / "t.csv", "v,0902,0,0,.5,.5,1,7\n")
    with pytest.raises(SourceError, match=r"d\.csv:1: "):
        frame_map_of_files(truth, write(tmp_path / "d.csv", f"{line}\n"), label_map)


def test_other_rules(tmp_path: Path, label_map: Path) -> None:
    """Are refused by their name."""
    with pytest.raises(UsageError, match=r"unknown `rules` 'coco'"):
        frame_map_of_files(label_map, label_map, label_map, rules="coco")  # type: ignore[arg-type]
