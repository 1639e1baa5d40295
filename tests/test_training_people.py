"""Clips with people: windows about a moment, boxes that go with the picture, and what is measured of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from a3d_edge.demo.crowd import FOUR, four_acts
from a3d_edge.errors import SourceError, UsageError
from a3d_edge.labels import sorted_labels
from a3d_edge.task import BOXES
from a3d_edge.training.augmentation import augmented_people
from a3d_edge.training.clips import Clip, clips_of, people_clip
from a3d_edge.training.decode import DecodedClip, FrameCache
from a3d_edge.training.lists.person import Person
from a3d_edge.training.people import boxes_of, key_window, people_in, sets_of, training_window
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

CLASSES = sorted_labels(FOUR)
SAMPLING = Sampling(4, 8)
SPEC = Preprocessing(aspect=1.5)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FrameCache:
    return FrameCache(tmp_path_factory.mktemp("frames"))


def marked(boxes: Any, frames: int = 64) -> DecodedClip:
    """A dark clip of 90×120 whose one box, in shares, is white from beginning to end."""
    image = np.full((90, 120, 3), 20, np.uint8)
    x1, y1, x2, y2 = (round(v) for v in np.array(boxes[0]) * np.array([120, 90, 120, 90]))
    image[y1:y2, x1:x2] = 255
    return DecodedClip(np.stack([image] * frames), np.arange(frames) / 30.0)


@pytest.mark.parametrize("seed", range(8))
def test_boxes_go_with_the_picture(seed: int) -> None:
    """Under any scale, turn, shift and mirror a box is about what is white in the input."""
    shares = np.array([[0.35, 0.3, 0.55, 0.7]])
    clip, rng = marked(shares), np.random.default_rng(seed)
    found = augmented_people(clip, 64, SAMPLING, SPEC, rng, 1.0, shares)
    rows, columns = np.nonzero(found.pathways[0][0, 2] > found.pathways[0][0, 2].max() * 0.5)
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    np.testing.assert_allclose(found.boxes[0].clip(0, 64), seen, atol=3.0)


def test_a_drawn_clip_knows_who_does_what(cache: FrameCache) -> None:
    """Four people, from left to right, each within his box at the middle of the clip."""
    clip = people_clip(3)
    people = people_in(clip)
    assert [person.labels for person in people] == [(act,) if act else () for act in four_acts(3)]
    assert set(clip.labels) == {act for act in four_acts(3) if act}
    boxes, decoded = boxes_of(people), cache.get(clip)
    assert (np.diff(boxes[:, 0]) > 0).all()
    picture = np.asarray(decoded.frames[len(decoded.times) // 2], float)
    height, width = picture.shape[:2]
    differs = np.abs(picture - np.median(picture.reshape(-1, 3), axis=0)).max(axis=2) > 25
    covered = np.zeros_like(differs)
    for x1, y1, x2, y2 in boxes * np.array([width, height, width, height]):
        inside = (slice(int(y1), int(np.ceil(y2)) + 1), slice(int(x1), int(np.ceil(x2)) + 1))
        assert differs[inside].mean() > 0.2
        covered[inside] = True
    assert differs[~covered].mean() < 0.002


def test_the_plain_window_is_what_running_sees(cache: FrameCache) -> None:
    """Its boxes in the input's pixels, letterboxed as the picture is."""
    clip = people_clip(3)
    windows, placed = key_window(clip, cache.get(clip), 48, SAMPLING, SPEC, boxes_of(people_in(clip)))
    assert windows[0].shape == (3, 4, 48, 48)
    assert placed.kept.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(
        placed.boxes, boxes_of(people_in(clip)) * [48, 32, 48, 32] + [0, 8, 0, 8], atol=0.05
    )


def test_who_is_hardly_seen_is_not_learned_from(cache: FrameCache) -> None:
    """Boxes are cut to the input; labels stay with their boxes; a clip always has somebody."""
    clip = people_clip(5)
    decoded, people = cache.get(clip), people_in(clip)
    counts = set()
    for seed in range(30):
        _, boxes, sets = training_window(
            clip, decoded, 48, SAMPLING, replace(SPEC, aspect=1.0), np.random.default_rng(seed), CLASSES
        )
        assert len(boxes) == len(sets) >= 1
        assert ((boxes >= 0) & (boxes <= 48)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        counts.add(len(boxes))
        assert sets.sum() <= sets_of(people, CLASSES).sum()
    assert len(counts) > 1


def test_lists_name_drawn_people(tmp_path: Path) -> None:
    """The label may be left out; another one is refused; boxes are of the task alone."""
    path = tmp_path / "list.csv"
    path.write_text("path,label\ndrawn:people:3,\n")
    assert clips_of([path], task=BOXES) == [people_clip(3)]
    path.write_text(f"path,label\ndrawn:people:3,{people_clip(3).label}\n")
    assert clips_of([path], task=BOXES) == [people_clip(3)]
    path.write_text("path,label\ndrawn:people:3,hug\n")
    with pytest.raises(SourceError, match="those of drawn:people:3 do"):
        clips_of([path], task=BOXES)


def test_a_clip_without_boxes_is_refused(tmp_path: Path) -> None:
    """In one line; so is a label that is no class."""
    with pytest.raises(UsageError, match="its list tells of no boxes"):
        people_in(Clip("hug", tmp_path / "a.mp4", many=True))
    with pytest.raises(UsageError, match="of the drawn sets people alone tells of boxes"):
        people_in(Clip("waves", None, drawn="crowd", many=True))
    with pytest.raises(UsageError, match="somebody has the label hug; the network knows bows, cheers"):
        sets_of([Person((0, 0, 1, 1), ("hug",))], CLASSES)


@pytest.mark.torch
def test_a_batch_has_boxes_and_a_set_for_each(cache: FrameCache) -> None:
    """In the clips' order, the same for the same seed; a network trains on it, and on parts of its range."""
    import torch

    from a3d_edge.models.boxed import BoxedClips
    from a3d_edge.models.ranges import find_range
    from a3d_edge.models.registry import describe
    from a3d_edge.training.batches import Batches
    from a3d_edge.training.distillation import backward, subnetworks

    clips = [people_clip(n) for n in range(4)]
    batches = Batches(clips, CLASSES, cache, 48, SAMPLING, SPEC, 4, 0, task=BOXES)
    x, sets = batches.make(0, 0)
    again, _ = batches.make(0, 0)
    assert isinstance(x, BoxedClips)
    assert isinstance(again, BoxedClips)
    assert x.boxes.owners is not None
    assert torch.equal(x.boxes.by_pathway[0], again.boxes.by_pathway[0])
    assert x.boxes.owners.tolist() == sorted(x.boxes.owners.tolist())
    assert sets.shape == (len(x.boxes.owners), len(CLASSES))
    description = describe("slow_small", len(CLASSES)).model_copy(
        update={"task": BOXES, "size": 48, "frames": 4}
    )
    torch.manual_seed(0)
    model = description.build().train()
    losses = backward(model, x, sets, subnetworks(find_range("0.016"), 48, 4, 0, 0))
    assert 0 < losses.cross_entropy < 5
    assert losses.distillation > 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.torch
def test_what_is_measured_is_frame_map(cache: FrameCache, lively: Callable[..., Any]) -> None:
    """A network's own scores through the definition; proposals far from everybody find nobody."""
    from a3d_edge.configuration import Configuration
    from a3d_edge.models.registry import describe
    from a3d_edge.training.evaluation import WindowSet
    from a3d_edge.training.frame_map import frame_map
    from a3d_edge.training.people_evaluation import people_scores, true_people

    description = describe("slow_small", len(CLASSES)).model_copy(update={"task": BOXES, "size": 48})
    model, at = lively(description), [Configuration(1.0, 48, 8), Configuration(0.5, 32, 2)]
    clips = [people_clip(n) for n in range(3)]
    windows = WindowSet(clips, cache, description.sampling, SPEC, 1, task=BOXES)
    for scores in people_scores(model, at, windows, CLASSES).values():
        assert scores.people == 12
        assert scores.clips == 3
        truth = {str(n): true_people(people_in(clip), CLASSES) for n, clip in enumerate(clips)}
        assert (
            scores.measured(CLASSES).by_class == frame_map(truth, _detections(scores), range(1, 6)).by_class
        )
    nobody = [replace(clip, proposals=(Person((0.0, 0.0, 0.02, 0.02)),)) for clip in clips]
    missed = people_scores(model, at[:1], replace(windows, clips=nobody), CLASSES)[at[0]]
    assert missed.quality == 0.0
    none = [replace(clip, proposals=()) for clip in clips]
    assert people_scores(model, at[:1], replace(windows, clips=none), CLASSES)[at[0]].people == 0


def _detections(scores: Any) -> dict[str, Any]:
    """Every person as a detection of every class, written out."""
    from a3d_edge.training.frame_map import Labelled

    found = {}
    for name, values in scores.scores.items():
        rows = [(p.box, c + 1, values[k, c]) for k, p in enumerate(scores.asked[name]) for c in range(5)]
        boxes, classes, given = zip(*rows, strict=True)
        found[name] = Labelled(np.array(boxes), np.array(classes), np.array(given, float))
    return found
