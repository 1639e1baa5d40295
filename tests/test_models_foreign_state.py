"""Where a network's tensors are in files of others: wrapped, prefixed, beside other things, or twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from reference_networks import Plan, PySlowFast, PyTorchVideo
from torch import Tensor

from a3d_edge.errors import CheckpointError
from a3d_edge.models import foreign
from a3d_edge.models.foreign_state import ForeignState, find_state
from a3d_edge.models.registry import ARCHITECTURES
from a3d_edge.models.slow import SlowDescription

PLAN = Plan((1, 1, 1, 1), 8, 3)
PATH = Path("net.pth")
FAMILIES = {"PySlowFast": PySlowFast, "pytorchvideo": PyTorchVideo}


def state(kind: str = "PySlowFast", seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return dict(FAMILIES[kind](PLAN).state_dict())


def behind(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def assert_found(found: ForeignState, tensors: dict[str, Tensor]) -> None:
    """Every tensor, by its library's name, and none besides."""
    wanted = {name: t for name, t in tensors.items() if not name.endswith("num_batches_tracked")}
    assert found.tensors.keys() == wanted.keys()
    assert all(found.tensors[name] is tensor for name, tensor in wanted.items())


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize(
    "keys",
    [
        (), ("model_state",), ("state_dict",), ("model_state_dict",), ("model",), ("module",), ("net",),
        ("ema",), ("checkpoint", "model", "state_dict"), ("models", 0),
    ],
    ids=lambda keys: ".".join(map(str, keys)) or "bare",
)  # fmt: skip
@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "_orig_mod.", "backbone.", "module.model.", "model._orig_mod.",
     "net.module.encoder."],
)  # fmt: skip
def test_any_key_and_any_prefix(kind: str, keys: tuple[Any, ...], prefix: str) -> None:
    """In all combinations, with what trainers keep beside."""
    tensors = state(kind)
    payload: Any = behind(prefix, tensors)
    for key in reversed(keys):
        payload = [payload] if key == 0 else {key: payload, "epoch": 3, "optimizer": {"state": {0: {}}}}
    found = find_state(PATH, payload)
    assert_found(found, tensors)
    assert (found.library, found.beside) == (kind, ())


def test_what_is_beside_the_network_is_left_out_and_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss with weights, a second head: named, so that nothing is overlooked."""
    description = SlowDescription(name="tiny", blocks=(1, 1, 1, 1), base_width=8, frames=8)
    monkeypatch.setitem(ARCHITECTURES, "tiny", description)
    for prefix in ("", "model."):
        extra = {"criterion.weight": torch.ones(3), "queue": torch.ones(9), "step": 7}
        torch.save({"state_dict": {**behind(prefix, state()), **extra}}, tmp_path / "net.pth")
        _, report = foreign.read(tmp_path / "net.pth", "tiny")
        assert report.notes == ("left out, as no part of the network: 2 tensors (criterion.weight, queue)",)


def test_wrappers_inside_the_network_add_nothing() -> None:
    """Stages that were compiled or wrapped one by one."""
    tensors = state()
    wrapped = {name.replace("s2.", "s2._orig_mod.", 1): tensor for name, tensor in tensors.items()}
    assert_found(find_state(PATH, {"model_state": wrapped}), tensors)


def test_several_networks_are_an_error_that_names_them() -> None:
    """Their places are what `key` takes."""
    ours, other = state(), state(seed=1)
    payload = {"state_dict": ours, "ema": {"shadow": behind("module.", other)}}
    with pytest.raises(CheckpointError) as caught:
        find_state(PATH, payload)
    assert str(caught.value) == (
        "net.pth: holds 2 networks (state_dict, ema.shadow); say which with `key`, such as `key` state_dict"
    )
    assert_found(find_state(PATH, payload, "state_dict"), ours)
    assert_found(find_state(PATH, payload, "ema.shadow"), other)
    with pytest.raises(CheckpointError, match="`key` teacher: no network is there; there is state_dict, ema"):
        find_state(PATH, payload, "teacher")


def test_two_prefixes_are_two_networks() -> None:
    """Student and teacher in one state dict."""
    student, teacher = state(), state(seed=1)
    payload = {"state_dict": {**behind("student.", student), **behind("teacher.", teacher)}}
    with pytest.raises(CheckpointError, match=r"2 networks \(state_dict.student, state_dict.teacher\)"):
        find_state(PATH, payload)
    assert_found(find_state(PATH, payload, "state_dict.teacher"), teacher)


def test_the_same_network_twice_is_one() -> None:
    """Kept under two keys, or equal in all values."""
    tensors = state()
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    assert_found(find_state(PATH, {"model": tensors, "state_dict": tensors}), tensors)
    assert_found(find_state(PATH, {"model": tensors, "best": copies}), tensors)


def test_a_name_that_is_there_twice_is_refused() -> None:
    """With a wrapper and without."""
    with pytest.raises(CheckpointError, match="is there twice"):
        find_state(PATH, {**state(), **behind("module.", state(seed=1))})


def test_a_file_that_holds_itself_ends() -> None:
    """Mappings and lists inside themselves, many times."""
    loop: dict[str, Any] = {}
    for n in range(200):
        loop[str(n)] = loop if n % 2 else [loop, loop]
    with pytest.raises(CheckpointError, match="neither PySlowFast, pytorchvideo, mmaction2 nor torchvision"):
        find_state(PATH, loop)


def test_nothing_found_says_what_is_looked_for() -> None:
    """Keys, prefixes and names; and what the file has instead, where it has most tensors."""
    other = {"encoder.layer.0.weight": torch.ones(1), "encoder.layer.0.bias": torch.ones(1)}
    with pytest.raises(CheckpointError) as caught:
        find_state(PATH, {"state_dict": other, "loss": torch.ones(1)})
    said = str(caught.value)
    assert said.startswith(
        "net.pth: neither PySlowFast, pytorchvideo, mmaction2 nor torchvision names tensors so "
        "(encoder.layer.0.weight, …)"
    )
    for word in (
        "model_state",
        "state_dict",
        "model.",
        "module.",
        "s1.pathway0_stem.conv.weight",
        "blocks.0.",
    ):
        assert word in said


def test_settings_lie_beside_the_mapping() -> None:
    """PySlowFast's ``cfg``, from whichever mapping above is nearest."""
    tensors = state()
    assert (
        find_state(PATH, {"cfg": "outer", "a": {"model_state": tensors, "cfg": "inner"}}).settings == "inner"
    )
    assert find_state(PATH, {"cfg": "outer", "a": {"model_state": tensors}}).settings == "outer"
    assert find_state(PATH, tensors).settings == ""


def test_a_body_without_its_head_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is said, not that the names are unknown."""
    monkeypatch.setitem(
        ARCHITECTURES, "tiny", SlowDescription(name="tiny", blocks=(1, 1, 1, 1), base_width=8)
    )
    body = {name: tensor for name, tensor in state().items() if not name.startswith("head.")}
    torch.save(body, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"2 missing \(head.projection.weight, head.projection.bias\)"):
        foreign.read(tmp_path / "net.pth", "tiny")
