"""Checkpoints: round trip, and files that are damaged, foreign or malicious."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from a3d_edge.configuration import Configuration
from a3d_edge.errors import CheckpointError
from a3d_edge.models import load_checkpoint
from a3d_edge.models.checkpoint import Checkpoint, forget_statistics, load, norms, save, statistics
from a3d_edge.models.widths import Run, md8
from a3d_edge.video.preprocess import Preprocessing

CONFIGURATION = Configuration(0.75, 24, 2)


@pytest.fixture
def checkpoint(tiny_checkpoint: Checkpoint) -> Checkpoint:
    """The tiny checkpoint with everything away from its default, and one calibrated configuration."""
    tiny_checkpoint.preprocessing = Preprocessing("motion", 1.5, (0, 2, 6))
    tiny_checkpoint.range_name = "0.06"
    tiny_checkpoint.origin = {"data": "squares", "seed": 3, "steps": [1, 2]}
    torch.manual_seed(5)
    for norm in norms(tiny_checkpoint.model).values():
        channels = md8(len(norm.weight) * CONFIGURATION.width)
        norm.calibrated[str(CONFIGURATION)] = (torch.randn(channels), torch.rand(channels) + 0.5)
    return tiny_checkpoint


@pytest.fixture
def path(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The checkpoint as a file."""
    save(checkpoint, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


def test_everything_comes_back(checkpoint: Checkpoint, path: Path) -> None:
    """Weights and statistics bit for bit, classes, description, preprocessing, range and origin."""
    again = load(path)
    state = again.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in checkpoint.model.state_dict().items())
    for (name, old), new in zip(norms(checkpoint.model).items(), norms(again.model).values(), strict=True):
        assert list(new.calibrated) == [str(CONFIGURATION)]
        for a, b in zip(old.calibrated[str(CONFIGURATION)], new.calibrated[str(CONFIGURATION)], strict=True):
            assert torch.equal(a, b), name
    assert again.classes == ("right", "down", "still")
    assert again.description == checkpoint.description
    assert again.preprocessing == Preprocessing("motion", 1.5, (0, 2, 6))
    assert (again.range_name, again.origin, again.resume) == (
        "0.06",
        {"data": "squares", "seed": 3, "steps": [1, 2]},
        None,
    )


def test_the_loaded_network_answers_as_the_saved_one(checkpoint: Checkpoint, path: Path) -> None:
    """`load_checkpoint` gives a module in eval mode whose logits are the same, calibrated and not."""
    model = load_checkpoint(str(path))
    assert not model.training
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.inference_mode():
        for configuration in (None, CONFIGURATION, Configuration(0.5, 32, 4)):
            assert torch.equal(model(clip, configuration), checkpoint.model(clip, configuration))


def test_calibrated_statistics_can_be_forgotten(checkpoint: Checkpoint) -> None:
    """Every configuration then runs with slices of the full network's own; nothing else changes."""
    clip, state = (
        torch.randn(1, 3, 4, 32, 32),
        {n: t.clone() for n, t in checkpoint.model.state_dict().items()},
    )
    with torch.inference_mode():
        calibrated = checkpoint.model(clip, CONFIGURATION)
        forget_statistics(checkpoint.model)
        plain = checkpoint.model(clip, CONFIGURATION)
        expected = checkpoint.model.run(checkpoint.model.fit(clip, CONFIGURATION), Run(CONFIGURATION.width))
    assert statistics(checkpoint.model) == {}
    assert torch.equal(plain, expected)
    assert not torch.allclose(plain, calibrated, rtol=1e-3)
    assert all(torch.equal(state[n], t) for n, t in checkpoint.model.state_dict().items())


def test_saving_twice_gives_the_same_bytes(checkpoint: Checkpoint, path: Path, tmp_path: Path) -> None:
    """A checkpoint can be compared by its hash; its name is not in it."""
    save(checkpoint, tmp_path / "other.pth")
    assert (tmp_path / "other.pth").read_bytes() == path.read_bytes()


def test_the_grid_is_that_of_its_range(checkpoint: Checkpoint) -> None:
    """Scaled to the network's own size and frames."""
    grid = checkpoint.grid()
    assert grid[0] == Configuration(1.0, 37, 4)  # 256/224 of 32
    assert {c.frames for c in grid} == {2, 3, 4}


class Malice:
    """Unpickling this would create a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.victim}'",)


@pytest.mark.parametrize("form", ["torch zip", "torch legacy", "bare pickle", "inside a checkpoint"])
def test_a_pickle_payload_is_refused_and_not_run(form: str, path: Path, tmp_path: Path) -> None:
    """A real payload, in every way a .pth can carry one; ordinary unpickling runs it, ours does not."""
    victim, file = tmp_path / "pwned", tmp_path / "malicious.pth"
    if form == "bare pickle":
        file.write_bytes(pickle.dumps(Malice(victim)))
    elif form == "inside a checkpoint":
        torch.save(torch.load(path, weights_only=True) | {"origin": Malice(victim)}, file)
    else:
        torch.save({"state": Malice(victim)}, file, _use_new_zipfile_serialization=form == "torch zip")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(file)
    assert str(caught.value) == (
        f"{file}: refused, it holds more than tensors and plain values; nothing in it was run; if you trust "
        "it, save its state dict alone"
    )
    assert not victim.exists()
    if form == "bare pickle":
        pickle.loads(file.read_bytes())
    else:
        torch.load(file, weights_only=False)
    assert victim.exists(), "the payload is real"


def test_a_file_cut_off_anywhere_is_refused(path: Path, tmp_path: Path) -> None:
    """Every truncation is a `CheckpointError` that names the file."""
    content = path.read_bytes()
    file = tmp_path / "cut.pth"
    for kept in [0, 1, 2, 3, 4, 100, *range(1000, len(content), len(content) // 20), len(content) - 1]:
        file.write_bytes(content[:kept])
        with pytest.raises(CheckpointError, match=r"cut\.pth: "):
            load(file)


def test_a_damaged_structure_is_refused(path: Path, tmp_path: Path) -> None:
    """Bits flipped anywhere in the pickled structure: read as before or a `CheckpointError`, nothing else."""
    rng, refused = random.Random(0), 0
    with zipfile.ZipFile(path) as archive:
        inside = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        structure = archive.read(inside)
    content = path.read_bytes()
    start = content.index(structure[:40])
    for _ in range(60):
        damaged = bytearray(content)
        damaged[start + rng.randrange(len(structure))] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.pth").write_bytes(damaged)
        try:
            load(tmp_path / "bad.pth")
        except CheckpointError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    "content",
    [
        b"hello, I am a text file\n",
        b"",
        b"\x80\x02.",
        b"\x80\x05N.",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"PK\x03\x04",
    ],
)
@pytest.mark.filterwarnings("error")
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Text, nothing, an empty pickle, a newer one, a picture, the start of a zip: one error, no warning."""
    file = tmp_path / "other.pth"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"other\.pth: (refused|cannot be read as a checkpoint)"):
        load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """Nothing there, or a folder."""
    for file, said in ((tmp_path / "none.pth", "no such checkpoint"), (tmp_path, "is a folder")):
        with pytest.raises(CheckpointError, match=f"{file}: {said}; name a .pth file"):
            load(file)


@pytest.mark.parametrize("content", [{"model_state": {}}, {"format": "other"}, [1, 2], torch.zeros(3), None])
def test_a_checkpoint_of_others_is_sent_to_import(tmp_path: Path, content: object) -> None:
    """A valid .pth that is not ours is told how to come in."""
    file = tmp_path / "other.pth"
    torch.save(content, file)
    with pytest.raises(CheckpointError) as caught:
        load(file)
    assert str(caught.value) == f"{file}: not an a3d-edge checkpoint; bring others in with 'a3d-edge import'"


KEYS = ("description", "classes", "preprocessing", "range", "origin", "state", "statistics", "resume")


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(path: Path, key: str) -> None:
    """An incomplete checkpoint says what it lacks."""
    payload = torch.load(path, weights_only=True)
    del payload[key]
    torch.save(payload, path)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: the key '{key}' is missing; the checkpoint is incomplete"


@pytest.mark.parametrize("key", [key for key in KEYS if key != "resume"])
@pytest.mark.parametrize(
    "value", [None, 3, "junk", [1], {"a": 1}, {"w0.50-s32-t4": {}}, [{}], torch.zeros(2)]
)
def test_a_key_of_another_kind_is_refused(path: Path, key: str, value: object) -> None:
    """Whatever stands there, loading either works (``origin`` is free) or raises `CheckpointError`."""
    if key == "origin" and isinstance(value, dict):
        return
    torch.save(torch.load(path, weights_only=True) | {key: value}, path)
    with pytest.raises(CheckpointError, match=r"tiny\.pth: "):
        load(path)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("schema",), 2, "schema 2 is not one this version reads (1)"),
        (
            ("description", "family"),
            "mvit",
            "the checkpoint does not hold together: family 'mvit' is not one of slow, slowfast, r2plus1d, "
            "x3d",
        ),
        (("description", "family"), "slowfast", "description.alpha: Field required"),
        (("description", "classes"), 0, "description.classes: Input should be greater than or equal to 1"),
        (
            ("description", "classes"),
            4,
            "the checkpoint does not hold together: Error(s) in loading state_dict",
        ),
        (("classes",), ["a", "b"], "the checkpoint does not hold together: classes: 2 names for 3 outputs"),
        (("range",), "0.5", "the checkpoint does not hold together: unknown `range_name` '0.5'"),
        (
            ("preprocessing", "input"),
            "flow",
            "the checkpoint does not hold together: preprocessing.input 'flow'",
        ),
        (("preprocessing", "colour"), 1, "the checkpoint does not hold together: "),
        (
            ("statistics", str(CONFIGURATION)),
            {},
            f"statistics.{CONFIGURATION}: not the batch norms of this network",
        ),
        (("statistics", "w0.5"), {}, "the checkpoint does not hold together: 'w0.5' is not a configuration"),
        (
            ("statistics", str(CONFIGURATION), "stem.norm"),
            [torch.zeros(3), torch.ones(3)],
            f"statistics.{CONFIGURATION}.stem.norm: not of 8 channels",
        ),
    ],
)
def test_a_wrong_value_is_named(path: Path, keys: tuple[str, ...], value: object, message: str) -> None:
    """What does not fit, and where."""
    payload = torch.load(path, weights_only=True)
    place = payload
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    torch.save(payload, path)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
