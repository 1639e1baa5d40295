"""Training batches: a pure function of (seed, epoch, place), in balanced shares, streamed in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from a3d_edge.errors import SourceError, UsageError
from a3d_edge.training.batches import Batches
from a3d_edge.training.clips import Clip, list_clips
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.evaluation import WindowSet
from a3d_edge.video.preprocess import Preprocessing
from a3d_edge.video.sampler import Sampling

CLASSES = ("right", "down", "still")


@pytest.fixture
def make(clip_list: Path, frame_cache: FrameCache) -> Callable[..., Batches]:
    """Batches of 4 of the 12 real clips, with any field changed."""

    def build(**changes: Any) -> Batches:
        fields: dict[str, Any] = {
            "clips": list_clips([clip_list]),
            "classes": CLASSES,
            "cache": frame_cache,
            "size": 32,
            "sampling": Sampling(4, 2),
            "preprocessing": Preprocessing(),
            "batch_size": 4,
            "seed": 0,
        }
        return Batches(**(fields | changes))

    return build


def stand_ins(real: dict[str, int], rendered: dict[str, int]) -> list[Clip]:
    """So many clips of each class, whose files are never opened."""
    clips = [Clip(label, Path(f"{label}{i}.mp4")) for label, n in real.items() for i in range(n)]
    return clips + [Clip(label, None, seed=i) for label, n in rendered.items() for i in range(n)]


def test_a_batch_is_clips_and_their_labels(make: Callable[..., Batches]) -> None:
    """(N, 3, T, S, S) float32 and the places of the classes, clip by clip of the epoch's order."""
    batches = make()
    clips, labels = batches.make(0, 1)
    assert (clips.shape, clips.dtype) == ((4, 3, 4, 32, 32), torch.float32)
    assert labels.tolist() == [CLASSES.index(batches.clips[i].label) for i in batches.order(0)[4:8]]


def test_windows_of_a_part_stay_inside_it(make: Callable[..., Batches], tmp_path: Path) -> None:
    """Dark before, bright within, dark after: no draw of many sees the dark, nor does an evaluation."""
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 64))
    for number in range(60):
        writer.write(np.full((64, 64, 3), 240 if 20 <= number < 45 else 10, np.uint8))
    writer.release()
    (tmp_path / "list.csv").write_text(
        f"path,label,start,end\na.mp4,right,{20 / 30},1.5\na.mp4,still,,{20 / 30}\na.mp4,down,1.5,\n"
    )
    clips, spec = list_clips([tmp_path / "list.csv"]), Preprocessing()
    batches = make(clips=clips, cache=FrameCache(tmp_path / "c"), batch_size=3, sampling=Sampling(4, 4))
    for epoch in range(40):
        windows, labels = batches.make(epoch, 0)
        shown = windows[..., 12:20, 12:20] * torch.tensor(spec.std).view(3, 1, 1, 1)
        centre = (shown + torch.tensor(spec.mean).view(3, 1, 1, 1)).amin(dim=(1, 3, 4)), labels
        for each, label in zip(*centre, strict=True):
            assert (each > 0.4).all() if label == CLASSES.index("right") else (each < 0.2).all()
    views = WindowSet(clips, batches.cache, batches.sampling, spec, views=5)
    for owners, windows in views.at_size(32):
        bright = windows.mean(dim=(1, 3, 4)) > 0
        assert (bright == torch.from_numpy(owners == 0)[:, None]).all()


def test_a_batch_depends_on_seed_epoch_and_place_alone(make: Callable[..., Batches]) -> None:
    """In any order of asking, from another object, whatever the global generators do."""
    first = make()
    wanted = {(epoch, place): first.make(epoch, place) for epoch in (0, 1) for place in (0, 2)}
    torch.manual_seed(99)
    second = make()
    for (epoch, place), (clips, labels) in reversed(wanted.items()):
        again = second.make(epoch, place)
        assert torch.equal(again[0], clips)
        assert torch.equal(again[1], labels)
    assert not torch.equal(wanted[0, 0][0], wanted[1, 0][0])
    assert not torch.equal(wanted[0, 0][0], make(seed=1).make(0, 0)[0])


def test_an_epoch_goes_once_through_the_clips(make: Callable[..., Batches]) -> None:
    """No clip twice, another order each epoch; what does not fill a batch is dropped."""
    batches = make()
    assert batches.per_epoch == 3
    assert sorted(batches.order(0)) == list(range(12))
    assert batches.order(0) != batches.order(1)
    larger = make(batch_size=5)
    assert larger.per_epoch == 2
    assert len(set(larger.order(0))) == 10


def test_fewer_clips_than_a_batch_still_make_one(make: Callable[..., Batches]) -> None:
    """A batch of what there is."""
    batches = make(batch_size=20)
    assert batches.per_epoch == 1
    assert batches.make(0, 0)[0].shape[0] == 12


@pytest.mark.parametrize("real", [{"right": 20, "down": 3, "still": 1}, {"right": 7, "down": 7}])
def test_balanced_draws_give_each_class_the_same_share(
    make: Callable[..., Batches], real: dict[str, int]
) -> None:
    """However uneven the list is; a class repeats a clip only when all of its clips were drawn."""
    clips = stand_ins(real, {})
    batches = make(clips=clips, balanced=True, batch_size=4)
    order = batches.order(0)
    shares = Counter(clips[i].label for i in order)
    assert set(shares) == set(real)
    assert max(shares.values()) - min(shares.values()) <= 1
    for label, count in real.items():
        uses = Counter(i for i in order if clips[i].label == label)
        assert max(uses.values()) - (min(uses.values()) if len(uses) == count else 0) <= 1


@pytest.mark.parametrize("balanced", [True, False])
def test_rendered_clips_take_their_share(make: Callable[..., Batches], balanced: bool) -> None:
    """40 % of the draws of an epoch, which is so much longer that the real clips keep their draws."""
    clips = stand_ins({"right": 6, "down": 6}, {"right": 50, "down": 50, "still": 50})
    batches = make(clips=clips, rendered_share=0.4, balanced=balanced)
    assert batches.per_epoch == 5  # 12 / 0.6 = 20 draws
    order = batches.order(3)
    assert sum(clips[i].path is None for i in order) == 8
    assert Counter(clips[i].label for i in order if clips[i].path) == (
        {"right": 6, "down": 6} if balanced else Counter(c.label for c in clips if c.path)
    )
    first_half = sum(clips[i].path is None for i in order[:10])
    assert 0 < first_half < 8  # mixed, not one kind after the other


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_all_rendered_is_possible(make: Callable[..., Batches], share: float) -> None:
    """Without a real clip all draws are rendered, balanced or not."""
    clips = stand_ins({}, {"right": 6, "down": 2})
    for balanced in (True, False):
        batches = make(clips=clips, rendered_share=share, balanced=balanced)
        order = batches.order(0)
        assert len(order) == batches.per_epoch * 4
        assert all(clips[i].path is None for i in order)


def test_a_share_without_rendered_clips_is_all_real(make: Callable[..., Batches]) -> None:
    """The share applies where there are any."""
    batches = make(clips=stand_ins({"right": 6, "down": 6}, {}), rendered_share=0.4)
    assert len(batches.order(0)) == batches.per_epoch * 4


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_a_share_outside_its_range_is_refused(make: Callable[..., Batches], share: float) -> None:
    """Before anything is drawn; all of an epoch cannot be added to its real clips."""
    with pytest.raises(UsageError) as caught:
        make(rendered_share=share)
    assert str(caught.value) == f"`rendered_share` {share} is outside [0, 1)"


@pytest.mark.parametrize("kind", ["real", "rendered"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("balanced", [True, False])
def test_one_kind_of_clip_is_drawn_once_through(
    make: Callable[..., Batches], kind: str, share: float, balanced: bool
) -> None:
    """The share lengthens an epoch only where there is something to mix."""
    counts = {"right": 6, "down": 6}
    clips = stand_ins(counts, {}) if kind == "real" else stand_ins({}, counts)
    batches = make(clips=clips, rendered_share=share, balanced=balanced)
    assert batches.per_epoch == 3
    assert sorted(batches.order(1)) == list(range(12))


@pytest.mark.parametrize("preprocessing", [Preprocessing(), Preprocessing("motion", 1.5, (0, 2, 6))])
def test_both_pathways_see_one_look_at_one_clip(
    make: Callable[..., Batches], preprocessing: Preprocessing
) -> None:
    """[slow, fast]: every α-th Fast picture is the slow one, augmented alike; motion lies between."""
    batches = make(sampling=Sampling(2, 4, alpha=4, fast_size=32), preprocessing=preprocessing)
    clips, labels = batches.make(0, 1)
    assert isinstance(clips, list)
    slow, fast = clips
    assert (slow.shape, fast.shape) == ((4, 3, 2, 32, 32), (4, 3, 8, 32, 32))
    assert (slow.dtype, fast.dtype) == (torch.float32, torch.float32)
    assert torch.equal(slow, fast[:, :, ::4])
    assert not torch.equal(fast[:, :, 1], fast[:, :, 3])
    assert labels.tolist() == [CLASSES.index(batches.clips[i].label) for i in batches.order(0)[4:8]]
    ((_, streamed, _),) = batches.stream(1, 2)
    assert all(torch.equal(a, b) for a, b in zip(streamed, clips, strict=True))


def test_the_stream_is_in_order_from_any_step(make: Callable[..., Batches]) -> None:
    """Steps run on through epochs, and each has the batch that it would have had from the start."""
    batches = make()
    streamed = list(batches.stream(2, 7))
    assert [step for step, _, _ in streamed] == [2, 3, 4, 5, 6]
    for step, clips, labels in streamed:
        expected = batches.make(step // 3, step % 3)
        assert torch.equal(clips, expected[0])
        assert torch.equal(labels, expected[1])
    assert list(batches.stream(7, 7)) == []


def test_the_stream_prepares_one_batch_ahead_and_no_more(make: Callable[..., Batches]) -> None:
    """The queue holds one batch: while a step is computed only the next one is made."""
    made: list[tuple[int, int]] = []

    class Counting(Batches):
        def make(self, epoch: int, place: int) -> tuple[torch.Tensor, torch.Tensor]:
            made.append((epoch, place))
            return torch.zeros(1), torch.zeros(1)

    plain = make()
    counting = Counting(**{name: getattr(plain, name) for name in Batches.__slots__})
    stream = counting.stream(0, 6)
    next(stream)
    next(stream)
    stream.close()
    assert made in ([(0, 0), (0, 1), (0, 2)], [(0, 0), (0, 1)])


def test_a_clip_that_cannot_be_decoded_reaches_the_caller(
    make: Callable[..., Batches], tmp_path: Path
) -> None:
    """An error of the background worker is raised where the batch is asked for."""
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"text")
    with pytest.raises(SourceError, match=r"bad\.mp4"):
        next(make(clips=[Clip("right", bad)], batch_size=1).stream(0, 1))


def test_a_clip_of_an_unknown_class_is_refused(make: Callable[..., Batches], clip_list: Path) -> None:
    """The message names clip and class."""
    clips = [Clip("jump", clip_list.parent / "right" / "0.mp4")]
    with pytest.raises(UsageError, match=r"0\.mp4: class 'jump' is not one of right, down, still"):
        make(clips=clips, batch_size=1).make(0, 0)


def test_a_clip_looks_different_in_each_epoch_and_at_each_place(
    make: Callable[..., Batches], clip_list: Path
) -> None:
    """The same clip is augmented anew every time it is drawn."""
    clip = Clip("right", clip_list.parent / "right" / "0.mp4")
    batches = make(clips=[clip, clip], batch_size=2)
    first, second = batches.make(0, 0)[0], batches.make(1, 0)[0]
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])


def test_batches_may_be_kept_unmirrored(make: Callable[..., Batches]) -> None:
    """The same draws and labels; and, as ever, the same windows when made again."""
    either, never = (make(mirror=mirror) for mirror in (True, False))
    assert either.order(0) == never.order(0)
    assert either.make(0, 0)[1].tolist() == never.make(0, 0)[1].tolist()
    again = make(mirror=False).make(0, 0)[0]
    assert torch.equal(torch.as_tensor(never.make(0, 0)[0]), torch.as_tensor(again))


def test_busy_batches_are_drawn_by_what_moves(make: Callable[..., Batches]) -> None:
    """Other windows than without the rule, of the same clips; the same again, also from another object."""
    plain, busy = make().make(0, 0), make(busy=True).make(0, 0)
    assert busy[1].tolist() == plain[1].tolist()
    assert not torch.equal(torch.as_tensor(busy[0]), torch.as_tensor(plain[0]))
    used = make(busy=True)
    used.make(1, 1)
    assert torch.equal(torch.as_tensor(used.make(0, 0)[0]), torch.as_tensor(busy[0]))
