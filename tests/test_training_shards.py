"""Scores shared between processes and kept in a file: always those of one process that is never stopped."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.errors import A3DEdgeError, DataWarning, ResourceError, UsageError  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, save  # noqa: E402
from a3d_edge.models.slow import Slow  # noqa: E402
from a3d_edge.training import evaluation  # noqa: E402
from a3d_edge.training.clips import list_clips  # noqa: E402
from a3d_edge.training.decode import FrameCache  # noqa: E402
from a3d_edge.training.evaluation import WindowSet, evaluate  # noqa: E402
from a3d_edge.training.scores_file import ScoresFile  # noqa: E402
from a3d_edge.training.shards import Share, device_of, evaluate_shared  # noqa: E402
from a3d_edge.video.preprocess import Preprocessing  # noqa: E402
from a3d_edge.video.sampler import Sampling  # noqa: E402

CLASSES = ("right", "down", "still")
CONFIGURATIONS = [Configuration(1.0, 24, 4), Configuration(0.5, 16, 2)]
HEADER = {"checkpoint": "abc", "views": 2, "configurations": ["w1.00-s24-t4", "w0.50-s16-t2"]}
SHAPE = (12, 2, 3)


@pytest.fixture
def windows(clip_list: Path, frame_cache: FrameCache) -> WindowSet:
    """2 views of each of 12 real clips."""
    return WindowSet(list_clips([clip_list]), frame_cache, Sampling(4, 2), Preprocessing(), views=2)


@pytest.fixture
def scores(tmp_path: Path) -> ScoresFile:
    """A file that is not there yet."""
    return ScoresFile(tmp_path / "scores.jsonl", HEADER, SHAPE)


def some(clip: int) -> NDArray[np.float64]:
    """Scores that no decimal rounding would keep."""
    return np.random.default_rng(clip).random((2, 3)) / 3


def fill(scores: ScoresFile, clips: range, rank: int | None = None) -> None:
    """Write some clips' scores."""
    with scores.appending(rank) as keep:
        for clip in clips:
            keep(clip, some(clip))


# The file


def test_scores_come_back_to_the_bit(scores: ScoresFile) -> None:
    """Also when they were written in two goes; the header is written once."""
    assert scores.read() == {}
    fill(scores, range(3))
    fill(scores, range(3, 5))
    found = scores.read()
    assert list(found) == [0, 1, 2, 3, 4]
    for clip, summed in found.items():
        np.testing.assert_array_equal(summed, some(clip))
    first, *lines = scores.path.read_text().splitlines()
    assert json.loads(first) == {"format": "a3d-edge scores", "schema": 1, **HEADER}
    assert len(lines) == 5


def test_a_line_is_on_disk_before_the_next_clip(scores: ScoresFile) -> None:
    """Whoever kills the process later finds it."""
    with scores.appending() as keep:
        for clip in range(3):
            keep(clip, some(clip))
            assert list(scores.read()) == list(range(clip + 1))


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_last_line_is_dropped(scores: ScoresFile, cut: int) -> None:
    """Its clip is measured again; what comes next starts on a line of its own."""
    fill(scores, range(3))
    scores.path.write_bytes(scores.path.read_bytes()[:-cut])
    assert list(scores.read()) == [0, 1]
    fill(scores, range(2, 4))
    assert list(scores.read()) == [0, 1, 2, 3]


def test_an_empty_file_is_a_new_one(scores: ScoresFile) -> None:
    """As mktemp makes it."""
    scores.path.touch()
    assert scores.read() == {}
    fill(scores, range(1))
    assert list(scores.read()) == [0]


def test_parts_of_several_processes_become_one_file(scores: ScoresFile) -> None:
    """In clip order, with nothing else left; a file of another name with the same beginning is let be."""
    fill(scores, range(0, 2))
    fill(scores, range(2, 6, 2), rank=0)
    fill(scores, range(3, 6, 2), rank=1)
    other = scores.path.with_name("scores.jsonl.rank1.old")
    other.touch()
    assert sorted(scores.read()) == list(range(6))
    scores.finish(scores.read())
    assert sorted(scores.path.parent.iterdir()) == [scores.path, other]
    assert list(scores.read()) == list(range(6))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("views", 30, r"it differs in views \(views is 2 there, 30 now\)"),
        ("checkpoint", "x" * 99, r'checkpoint is "abc" there, "x{56}\.\.\. now'),
        ("protocol", "paper", r'it differs in protocol \(protocol is null there, "paper" now\)'),
    ],
)
@pytest.mark.parametrize("rank", [None, 1])
def test_another_measurement_is_refused(
    scores: ScoresFile, key: str, value: object, message: str, rank: int | None
) -> None:
    """Saying what differs; the file, or a process's part of it, is as it was."""
    fill(scores, range(2), rank)
    before = {path: path.read_bytes() for path in scores.path.parent.iterdir()}
    other = ScoresFile(scores.path, {**HEADER, key: value}, SHAPE)
    with pytest.raises(UsageError, match=message) as refused:
        other.read()
    assert "\n" not in str(refused.value)
    assert {path: path.read_bytes() for path in scores.path.parent.iterdir()} == before


@pytest.mark.parametrize(
    "content", ["path,label\na.mp4,hug\n", "{}\n", "[1]\n", '{"format": 1', "\n", "\0\1"]
)
def test_a_file_that_is_none_is_refused(scores: ScoresFile, content: str) -> None:
    """Someone's list of clips is not overwritten."""
    scores.path.write_text(content)
    with pytest.raises(UsageError, match=r"scores\.jsonl: is not a scores file of this version"):
        scores.read()


@pytest.mark.parametrize(
    "line",
    [
        "half a li",
        "{}",
        '{"clip": 12, "summed": [[1, 2, 3], [1, 2, 3]]}',
        '{"clip": 1, "summed": [[1, 2, 3]]}',
        '{"clip": 1, "windows": [[1, 2, 3], [1, 2, 3]]}',
        '{"clip": 1, "summed": [[[1, 2, 3]], [[1, 2, 3]]]}',
    ],
)
def test_a_damaged_line_is_refused(scores: ScoresFile, line: str) -> None:
    """With its number."""
    fill(scores, range(2))
    with scores.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=r"scores\.jsonl:4: is not the scores of a clip"):
        scores.read()


def test_a_full_disk_is_said(scores: ScoresFile) -> None:
    """As a lack of resources, with what to do; what was written before can be continued from."""
    fill(scores, range(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (scores.path.stat().st_size + 20, hard))
    try:
        with pytest.raises(ResourceError, match=r"scores\.jsonl: File too large; make room and run again"):
            fill(scores, range(1, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    fill(scores, range(1, 3))
    assert list(scores.read()) == [0, 1, 2]


# Sharing


def test_the_environment_of_torchrun_says_which_share() -> None:
    """All of its variables, or the process is the only one."""
    environment = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "here"}
    share = Share.from_env(environment)
    assert share == Share(5, 8, 1)
    assert (share.first, list(share.of(20))) == (False, [5, 13])
    del environment["MASTER_ADDR"]
    assert Share.from_env(environment) == Share.from_env({}) == Share(0, 1, 0)


def test_the_shares_are_all_clips_once() -> None:
    """Whatever their number."""
    for count in (0, 1, 7, 12):
        for size in (1, 2, 5):
            shares = [Share(rank, size).of(count) for rank in range(size)]
            assert sorted(clip for share in shares for clip in share) == list(range(count))


@pytest.mark.parametrize("name", ["tpu", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    """One line that names the option."""
    with pytest.raises(UsageError, match=f"`device` {name}: PyTorch cannot use it here"):
        device_of(name, Share())
    assert device_of("cpu", Share(1, 2, 1)).type == "cpu"


def test_one_process_measures_as_evaluate(tiny_network: Slow, windows: WindowSet, scores: ScoresFile) -> None:
    """With a file and without one; a second run with the file measures nothing, a longer one the rest."""
    expected = evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    told: list[tuple[int, int]] = []
    for kept, first in ((None, 0), (scores, 0), (scores, 12)):
        found = evaluate_shared(
            tiny_network, CONFIGURATIONS, windows, CLASSES, Share(), kept, lambda *done: told.append(done)
        )
        assert found is not None
        for configuration in CONFIGURATIONS:
            np.testing.assert_array_equal(found[configuration].summed, expected[configuration].summed)
            np.testing.assert_array_equal(found[configuration].truth, expected[configuration].truth)
        assert told == [(done, 12) for done in range(first, 13)]
        told.clear()


def test_an_unknown_class_leaves_no_file(tiny_network: Slow, windows: WindowSet, scores: ScoresFile) -> None:
    """It is refused before anything is computed or written."""
    with pytest.raises(UsageError, match="class 'still'"):
        evaluate_shared(tiny_network, CONFIGURATIONS, windows, ("right", "down"), Share(), scores)
    assert not scores.path.exists()


def test_processes_that_cannot_meet_say_so(
    tiny_network: Slow, windows: WindowSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rank that torchrun did not start: a typed error, not a stack of PyTorch's."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(A3DEdgeError, match="another process of this run has ended or cannot be reached"):
        evaluate_shared(tiny_network, CONFIGURATIONS, windows, CLASSES, Share.from_env())


SHARED = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from a3d_edge.configuration import Configuration
from a3d_edge.models.checkpoint import load
from a3d_edge.training.clips import list_clips
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.evaluation import WindowSet
from a3d_edge.training.shards import Share, evaluate_shared

torch.set_num_threads(1)
checkpoint, clips, cache, out = map(Path, sys.argv[1:])
loaded = load(checkpoint)
windows = WindowSet(
    list_clips([clips]), FrameCache(cache), loaded.description.sampling, loaded.preprocessing, views=2
)
configurations = [Configuration.parse(name) for name in ("w1.00-s24-t4", "w0.50-s16-t2")]
share = Share.from_env()
told = []
found = evaluate_shared(
    loaded.model, configurations, windows, loaded.classes, share, None, lambda *done: told.append(done)
)
assert told == [(done, 6) for done in range(7)], told
assert (found is None) == (share.rank == 1)
if found is not None:
    torch.save([torch.from_numpy(found[c].summed) for c in configurations], out)
"""


def torchrun(*arguments: object, cwd: Path) -> tuple[int, str]:
    """Two processes of a script, one thread each: exit code and stderr. None of them outlives it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    whole = [*command, *(str(argument) for argument in arguments)]
    process = subprocess.Popen(
        whole, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    try:
        _, err = process.communicate(timeout=120)
        return process.returncode, err
    finally:
        process.terminate()  # torchrun ends its children on SIGTERM
        process.wait()


def test_two_processes_without_a_file_equal_one(
    tiny_checkpoint: Checkpoint, windows: WindowSet, clip_list: Path, frame_cache: FrameCache, tmp_path: Path
) -> None:
    """By torchrun, for real: the first gathers all scores, the same to the bit; each has 6 clips."""
    save(tiny_checkpoint, tmp_path / "net.pth")
    (tmp_path / "shared.py").write_text(SHARED)
    out = tmp_path / "found.pt"
    code, err = torchrun("shared.py", "net.pth", clip_list, frame_cache.folder, out, cwd=tmp_path)
    assert code == 0, err
    expected = evaluate(tiny_checkpoint.model, CONFIGURATIONS, windows, CLASSES)
    for found, configuration in zip(torch.load(out), CONFIGURATIONS, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected[configuration].summed)


def test_a_clip_that_cannot_be_read_is_in_no_file_and_tried_again(
    tiny_network: Slow, windows: WindowSet, tmp_path: Path
) -> None:
    """The others are measured and kept; when the clip is there again, it alone is measured."""
    first, *others = windows.clips[:3]
    assert first.path is not None
    moved = replace(first, path=tmp_path / "late.mp4")
    there = replace(windows, clips=[moved, *others])
    scores = ScoresFile(tmp_path / "scores.jsonl", HEADER, (3, 2, 3))
    measured = (tiny_network, CONFIGURATIONS, there, CLASSES, None, scores)
    with pytest.warns(DataWarning, match=r"1 of 3 clips are left out: .*late\.mp4"):
        found = evaluate_shared(*measured)
    assert found is not None
    assert [len(of.truth) for of in found.values()] == [2, 2]
    assert sorted(scores.read()) == [1, 2]
    moved.path.write_bytes(first.path.read_bytes())
    again = evaluate_shared(*measured)
    assert again is not None
    assert [len(of.truth) for of in again.values()] == [3, 3]


def test_scores_of_single_windows_come_back_and_older_files_go_on(
    windows: WindowSet, scores: ScoresFile, tiny_network: Slow
) -> None:
    """In full precision. Where some clips' sums alone are there, written by an older version, only sums."""
    measured = (tiny_network, CONFIGURATIONS, windows, CLASSES, Share(), scores)
    whole = evaluate_shared(*measured)
    read = evaluate_shared(*measured)
    lines = scores.path.read_text().splitlines()
    first = json.loads(lines[1])
    lines[1] = json.dumps({"clip": first["clip"], "summed": np.sum(first["windows"], axis=1).tolist()})
    scores.path.write_text("\n".join(lines[:7]) + "\n")
    older = evaluate_shared(*measured)
    assert whole is not None
    assert read is not None
    assert older is not None
    for configuration in CONFIGURATIONS:
        found = whole[configuration]
        assert found.windows is not None
        assert found.windows.shape == (12, 2, 3)
        np.testing.assert_array_equal(read[configuration].windows, found.windows)
        assert older[configuration].windows is None
        np.testing.assert_allclose(older[configuration].summed, found.summed, rtol=1e-6)


def test_too_many_scores_are_kept_as_sums(
    windows: WindowSet, tiny_network: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of the paper's views, which are no windows that run sees."""
    apart = evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    monkeypatch.setattr(evaluation, "KEPT_SCORES", 12 * 2 * 2 * 3 - 1)
    summed = evaluate(tiny_network, CONFIGURATIONS, windows, CLASSES)
    paper = evaluate(tiny_network, CONFIGURATIONS, replace(windows, views=10, protocol="paper"), CLASSES)
    for configuration in CONFIGURATIONS:
        assert apart[configuration].windows is not None
        assert summed[configuration].windows is None
        assert paper[configuration].windows is None
        np.testing.assert_allclose(summed[configuration].summed, apart[configuration].summed, rtol=1e-6)
