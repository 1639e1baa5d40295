"""A detector of one's own: real ONNX graphs of both kinds, whose boxes are known, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx_ir")

from fixtures_people import graph, yolox

from a3d_edge.errors import A3DEdgeError, SourceError, UsageError
from a3d_edge.people.box import box_trouble, overlaps, suppressed
from a3d_edge.people.decode import decoded
from a3d_edge.people.description import DetectorDescription, read_description
from a3d_edge.people.onnx_detector import OnnxDetector, picture_for
from a3d_edge.people.opening import open_people


def described(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_yolox_rows_become_boxes_of_the_frame(tmp_path: Path) -> None:
    """Grids and strides undone, the letterbox undone, the second of two overlapping boxes left out."""
    rows = yolox([(0, [16, 8, 16, 16], 0.9), (1, [17, 8, 16, 16], 0.8), (70, [40, 16, 8, 32], 0.6)])
    rows[0, 5, 4:] = 1.0, 0.0, 1.0  # another class
    graph(tmp_path / "net.onnx", {"output": rows})
    described(tmp_path / "net.json", kind="yolox")
    detector = OnnxDetector(tmp_path / "net.json")
    assert detector.name == str(tmp_path / "net.onnx")
    found = detector.detect(np.zeros((64, 128, 3), np.uint8))  # shown at half size, in the upper half
    assert [one.score for one in found] == pytest.approx([0.9, 0.6])
    assert found[0].box == pytest.approx((16, 0, 48, 32), abs=1e-4)
    assert found[1].box == pytest.approx((72, 0, 88, 64), abs=1e-4)
    again = open_people(tmp_path / "net.onnx")  # found by the description beside it
    assert [one.box for one in again.detect(np.zeros((64, 128, 3), np.uint8))] == [one.box for one in found]


def test_yolox_that_has_decoded_itself(tmp_path: Path) -> None:
    """Any number of rows, in pixels of the input."""
    rows = np.array([[[32, 32, 32, 32, 0.5, 0.8]]], np.float32)
    graph(tmp_path / "net.onnx", {"output": rows})
    detector = OnnxDetector(described(tmp_path / "net.json", kind="yolox", decoded=True))
    (found,) = detector.detect(np.zeros((64, 64, 3), np.uint8))
    assert found.box == pytest.approx((16, 16, 48, 48))
    assert found.score == pytest.approx(0.4)


def test_detr_queries_become_boxes_of_the_frame(tmp_path: Path) -> None:
    """Parts of a stretched picture; sigmoid of COCO's category 1; outputs are told apart by name."""
    boxes = np.array([[[0.5, 0.5, 0.5, 1.0], [0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.4, 0.4]]], np.float32)
    logits = np.full((1, 3, 4), -9.0, np.float32)  # four classes: the shape of the boxes
    logits[0, 0, 1], logits[0, 1, 2], logits[0, 2, 1] = 2.0, 5.0, 0.0
    graph(tmp_path / "net.onnx", {"labels": logits, "dets": boxes}, (32, 32))
    (tmp_path / "net.toml").write_text('kind = "detr"\nmodel = "net.onnx"\n')
    first, second = OnnxDetector(tmp_path / "net.toml").detect(np.zeros((50, 200, 3), np.uint8))
    assert first.box == pytest.approx((50, 0, 150, 50))
    assert first.score == pytest.approx(1 / (1 + np.exp(-2.0)), rel=1e-6)
    assert second.box == pytest.approx((140, 35, 200, 50), abs=1e-4)  # cut to the frame


def test_softmax_has_a_class_for_nobody() -> None:
    """DETR's own: the last logit takes what nobody else has."""
    spec = DetectorDescription(kind="detr", activation="softmax", person=0, score=0.0).whole()
    boxes, logits = np.full((1, 1, 4), 0.5), np.array([[[1.0, 0.0, 2.0]]])
    _, scores = decoded({"dets": boxes, "labels": logits}, spec, 32, 32, "x")
    assert scores == pytest.approx([np.exp(1) / (np.exp(1) + 1 + np.exp(2))])


def test_the_input_is_what_the_kinds_were_trained_on() -> None:
    """YOLOX: BGR as it is, grey below; DETR: RGB, ImageNet's mean and deviation, stretched."""
    image = np.zeros((32, 64, 3), np.uint8)
    image[..., 0], image[..., 2] = 10, 200
    picture, across, down = picture_for(image, DetectorDescription(kind="yolox").whole(), 64, 64)
    assert picture.shape == (1, 3, 64, 64)
    assert picture[0, :, 5, 5].tolist() == [10, 0, 200]
    assert picture[0, :, 40, 5].tolist() == [114, 114, 114]
    assert (across, down) == (64, 64)
    picture, across, down = picture_for(image, DetectorDescription(kind="detr").whole(), 32, 32)
    assert picture[0, :, 5, 5] == pytest.approx(
        [(200 / 255 - 0.485) / 0.229, -0.456 / 0.224, (10 / 255 - 0.406) / 0.225], rel=1e-5
    )
    assert (across, down) == (64, 32)


NAN = yolox([(0, [16, 8, 16, 16], 0.9)])
NAN[0, 3, 2] = np.nan
OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    r"its output is \(1, 3, 7\), and yolox for 64×64 gives \(1, 84, 5": (
        {"o": np.zeros((1, 3, 7))}, {"kind": "yolox"},
    ),
    r"its output is \(84, 7\)": ({"o": np.zeros((84, 7))}, {"kind": "yolox"}),
    r"of which person is 2": ({"o": np.zeros((1, 84, 7))}, {"kind": "yolox", "person": 2}),
    r"not finite numbers": ({"o": NAN}, {"kind": "yolox"}),
    r"has no output 'dets', but o, labels": (
        {"o": np.zeros((1, 3, 4)), "labels": np.zeros((1, 3, 4))}, {"kind": "detr"},
    ),
    r"its outputs are \(1, 3, 5\) and \(1, 3, 4\)": (
        {"dets": np.zeros((1, 3, 5)), "labels": np.zeros((1, 3, 4))}, {"kind": "detr"},
    ),
    r"its outputs are \(1, 3, 4\) and \(1, 2, 4\)": (
        {"dets": np.zeros((1, 3, 4)), "labels": np.zeros((1, 2, 4))}, {"kind": "detr"},
    ),
    r"has 1 classes, and person is to be 1": (
        {"dets": np.zeros((1, 3, 4)), "labels": np.zeros((1, 3, 1))}, {"kind": "detr"},
    ),
    r"takes pictures 64×64, and size is \(32, 64\)": (
        {"o": np.zeros((1, 84, 7))}, {"kind": "yolox", "size": [32, 64]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", OTHERS)
def test_outputs_of_another_shape_are_told_in_one_line(tmp_path: Path, said: str) -> None:
    """When it is opened, not in the middle of a run."""
    outputs, content = OTHERS[said]
    graph(tmp_path / "net.onnx", outputs)
    with pytest.raises(SourceError, match=said) as error:
        OnnxDetector(described(tmp_path / "net.json", **content))
    assert "\n" not in str(error.value)


DESCRIPTIONS = {
    '{"kind": "yolov8"}': "kind",
    '{"kind": "yolox", "extra": 1}': "extra",
    '{"kind": "yolox", "model": "../net.onnx"}': "model is to be the name of an .onnx file beside it",
    '{"kind": "yolox", "std": [1, 0, 1]}': "std",
    '{"kind": "yolox", "size": [8, 8]}': "width and height are from 32 to 4096",
    '{"kind": "yolox", "score": 2}': "score",
    "{": "cannot be read",
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_descriptions_are_checked(tmp_path: Path, text: str) -> None:
    """The key is named."""
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(UsageError, match=DESCRIPTIONS[text]) as error:
        read_description(tmp_path / "net.json")
    assert "\n" not in str(error.value)


def test_files_that_are_no_detector(tmp_path: Path) -> None:
    """No graph, no description, one that reads a file elsewhere: one line each."""
    graph(tmp_path / "net.onnx", {"o": np.zeros((1, 84, 7))}, shape=(1, 3, "height", "width"))
    with pytest.raises(UsageError, match="how it is to be asked is not said"):
        open_people(tmp_path / "net.onnx")
    described(tmp_path / "net.json", kind="yolox")
    with pytest.raises(SourceError, match="takes pictures of any size; say which"):
        open_people(tmp_path / "net.json")
    assert open_people(described(tmp_path / "net.json", kind="yolox", size=[64, 64])).detect
    (tmp_path / "bad.onnx").write_bytes(b"no graph at all")
    described(tmp_path / "bad.json", kind="yolox")
    described(tmp_path / "gone.json", kind="yolox")
    for name in ("bad", "gone"):
        with pytest.raises(A3DEdgeError) as error:
            open_people(tmp_path / f"{name}.json")
        assert "\n" not in str(error.value)
        assert name in str(error.value)


def test_boxes_overlap_as_areas_do() -> None:
    """Half of each: a third; apart, or of no area: 0. Suppression keeps the higher score."""
    boxes = [[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]]
    shared = overlaps(boxes, boxes)
    assert shared[0] == pytest.approx([1, 1 / 3, 0, 0])
    assert shared[3, 3] == 0
    found = suppressed(np.array(boxes, float), np.array([0.5, 0.9, 0.1, 0.2]), 0.3)
    assert found.tolist() == [1, 3, 2]
    assert box_trouble((0, 0, 5, 5), 10, 10) is None
    assert "no part" in str(box_trouble((10, 0, 15, 5), 10, 10))
