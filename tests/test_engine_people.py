"""Boxes are checked before any engine sees them, and a network answers for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import boxes_bundle

from a3d_edge.bundle import Bundle
from a3d_edge.engine.people import MOST_PEOPLE, boxes_of_pathways, checked_boxes
from a3d_edge.engine.rehearsal import rehearsal_ms
from a3d_edge.engine.session import BundleNetwork
from a3d_edge.errors import UsageError

REFUSED = {
    r"box 1 has a coordinate that is not finite": [[0, 0, 5, 5], [0, np.nan, 5, 5]],
    r"box 0 has a coordinate that is not finite": [[0, 0, np.inf, 5]],
    r"box 0 \(70, 0, 80, 9\) has no part in the picture of 64×64": [[70, 0, 80, 9]],
    r"box 1 \(5, 5, 5, 9\) has no part": [[0, 0, 1, 1], [5, 5, 5, 9]],
    r"box 0 \(9, 9, 5, 5\) has no part": [[9, 9, 5, 5]],
    r"65 boxes in one window; give at most 64": [[0, 0, 5, 5]] * 65,
    r"boxes must be \(K, 4\) of x1, y1, x2, y2; these are \(4,\)": [0, 0, 5, 5],
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_no_box_is_told_in_one_line(said: str) -> None:
    """Which one, why, and what to do."""
    with pytest.raises(UsageError, match=said) as error:
        checked_boxes(REFUSED[said], 64)
    assert "\n" not in str(error.value)


def test_boxes_are_cut_to_the_picture() -> None:
    """A tracker's box may go over a border."""
    assert checked_boxes([[-3, 10, 20, 90]], 64).tolist() == [[0, 10, 20, 64]]
    assert checked_boxes([], 64).shape == (0, 4)
    assert len(checked_boxes([[0, 0, 5, 5]] * MOST_PEOPLE, 64)) == MOST_PEOPLE


def test_each_pathway_has_boxes_in_its_own_pixels() -> None:
    """The Fast pathway's pictures keep their size."""
    boxes = np.array([[0, 8, 16, 32]], np.float32)
    found = boxes_of_pathways(boxes, (32, 64))
    assert found["fast_boxes"].tolist() == [[0, 16, 32, 64]]
    assert list(boxes_of_pathways(boxes, (32,))) == ["boxes"]


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny network of the task ``boxes``, exported in fp32 and int8."""
    pytest.importorskip("torch")
    return boxes_bundle(tmp_path_factory)


@pytest.fixture
def window(people: Bundle) -> Callable[[BundleNetwork], list[Any]]:
    """A window of noise as a network wants it, encoded."""

    def made(network: BundleNetwork) -> list[Any]:
        rng = np.random.default_rng(0)
        shapes = [(len(p.instants), 3, p.size, p.size) for p in network.pathways]
        return network.encode_window([rng.standard_normal(s).astype(np.float32) for s in shapes])

    return made


ENGINES = ("ort:CPU", "openvino")


@pytest.mark.torch
@pytest.mark.parametrize("engine", ENGINES)
def test_any_number_of_people_each_by_himself(people: Bundle, window: Any, engine: str) -> None:
    """Logits ``(K, classes)`` for K from 0 to the bound, whatever came before: the same for the same box."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    for configuration in people.configurations:
        network: Any = people.open(configuration, engine=engine)
        features, side = window(network), configuration.size
        three = np.array([[0, 0, side, side], [3, 5, 31, 40], [7, 7, 8, 8]], np.float32)
        expected = network.logits(*features, boxes=three)
        assert expected.shape == (3, 3)
        for count in (0, 1, MOST_PEOPLE, 2):
            rows = np.arange(count) % 3
            found = network.logits(*features, boxes=three[rows])
            np.testing.assert_allclose(found, expected[rows], rtol=1e-4, atol=1e-5)
        scores = network.classify(*features, boxes=three)
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-expected)), rtol=1e-5)


@pytest.mark.torch
def test_engines_agree_on_people(people: Bundle, window: Any) -> None:
    """ONNX Runtime and OpenVINO, fp32."""
    pytest.importorskip("openvino")
    for configuration in (c for c in people.configurations if c.precision == "fp32"):
        boxes = np.array([[0, 0, 20, 9], [1, 2, 30, 40]], np.float32)
        one, other = (people.open(configuration, engine=name) for name in ENGINES)
        assert isinstance(one, BundleNetwork)
        assert isinstance(other, BundleNetwork)
        np.testing.assert_allclose(
            one.logits(*window(one), boxes=boxes),
            other.logits(*window(other), boxes=boxes),
            rtol=1e-3,
            atol=1e-4,
        )


@pytest.mark.torch
def test_a_clip_is_asked_with_boxes_of_its_frames(people: Bundle) -> None:
    """Frame boxes are brought to the input; who is not shown scores nothing, and is not left out."""
    network: Any = people.open(people.configurations[-1])
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (60, 120, 3), np.uint8) for _ in range(16)]
    boxes = [[40, 5, 70, 50], [0, 0, 9, 9], [31, 0, 89, 60]]
    scores = network.classify_people(frames, boxes)
    assert scores.shape == (3, 3)
    assert (scores[1] == 0).all()
    assert (scores[[0, 2]] > 0).all()
    with pytest.raises(UsageError, match="ask it by `classify_people`"):
        network.classify_clip(frames)


@pytest.mark.torch
def test_boxes_belong_to_one_task(people: Bundle, bundle: Bundle, window: Any) -> None:
    """Asked for in one line where they lack, and refused where there is nothing to do with them."""
    network: Any = people.open(people.configurations[0])
    with pytest.raises(UsageError, match=r"answers for people in boxes; give `boxes` \(K, 4\)"):
        network.classify(*window(network))
    other: Any = bundle.open(bundle.configurations[0])
    with pytest.raises(UsageError, match="takes no `boxes`"):
        other.classify(*window(other), boxes=[[0, 0, 5, 5]])
    assert rehearsal_ms(network) > 0
    assert people.task == network.task == "boxes"


@pytest.mark.torch
def test_the_bundle_is_proved_on_people_who_move(people: Bundle) -> None:
    """Every configuration, fp32 to rounding; one weights file for all widths; what it holds is checked."""
    for configuration, entry in people.manifest.configurations.items():
        assert entry.parity.clips == 3
        assert entry.parity.relative_error <= (1e-4 if configuration.precision == "fp32" else 0.5)
    files = sorted(Path(people.path).glob("*.bin"))
    assert [file.name for file in files] == [
        "scales.bin",
        "statistics.bin",
        "weights.bin",
        "weights_int8.bin",
    ]
    from a3d_edge.models.from_bundle import checkpoint_of

    assert checkpoint_of(people).description.takes_boxes
