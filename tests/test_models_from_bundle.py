"""A bundle's network in PyTorch again: the same numbers, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures_bundle import calibrated_checkpoint, copy_of

from a3d_edge.bundle import Bundle
from a3d_edge.engine.session import relative_error
from a3d_edge.errors import BundleError
from a3d_edge.manifest import MANIFEST, STATISTICS, WEIGHTS, digest, manifest_digest, manifest_text
from a3d_edge.models.checkpoint import statistics
from a3d_edge.models.from_bundle import checkpoint_of
from a3d_edge.models.registry import ARCHITECTURES


def reseal(folder: Path, **changes: Any) -> Bundle:
    """Put true digests into a manifest again, and other values: a bundle that was written wrongly."""
    content = {**json.loads((folder / MANIFEST).read_text()), **changes}
    for name, entry in content["files"].items():
        entry.update(bytes=(folder / name).stat().st_size, sha256=digest(folder / name))
    content["sha256"] = manifest_digest(content)
    (folder / MANIFEST).write_text(manifest_text(content))
    return Bundle.load(folder)


def test_every_weight_and_statistic_comes_back(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit what was exported, and all that belongs to the network."""
    original = calibrated_checkpoint()
    monkeypatch.setitem(ARCHITECTURES, "tiny", original.description)
    rebuilt = checkpoint_of(bundle)
    for name, parameter in original.model.named_parameters():
        assert torch.equal(rebuilt.model.get_parameter(name), parameter), name
    theirs, ours = statistics(original.model), statistics(rebuilt.model)
    assert set(ours) == set(theirs)
    for configuration, layers in theirs.items():
        for layer, moments in layers.items():
            assert all(map(torch.equal, ours[configuration][layer], moments)), (configuration, layer)
    assert (rebuilt.classes, rebuilt.origin) == (original.classes, original.origin)
    assert rebuilt.description == original.description
    assert not rebuilt.model.training


def test_the_full_network_has_statistics_to_stand_in(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called without a configuration it uses those of the dearest full-width one."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", calibrated_checkpoint().description)
    model = checkpoint_of(bundle).model
    clips = torch.randn(1, 3, 4, 37, 37, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(model(clips), model(clips, bundle.configurations[-1]))


def test_the_built_in_bundle_agrees_with_onnx_runtime() -> None:
    """On input other than the probe, at every configuration."""
    bundle = Bundle.default()
    model = checkpoint_of(bundle).model
    for configuration in (c for c in bundle.configurations if c.precision == "fp32"):
        rng = np.random.default_rng(1)
        pictures = rng.normal(size=(configuration.frames, 3, configuration.size, configuration.size))
        pictures = pictures.astype(np.float32)
        network = bundle.open(configuration, threads=1)
        with torch.inference_mode():
            got = model(torch.from_numpy(pictures).transpose(0, 1).unsqueeze(0), configuration)[0]
        expected = network.classify(network.encode(pictures))
        scores = (got / bundle.files_of(configuration).temperature).softmax(0)
        assert relative_error(scores.numpy(), expected) < 1e-4, configuration


def test_an_architecture_of_ones_own(bundle: Bundle) -> None:
    """The manifest holds the description, so that a network which is not in the registry is rebuilt too."""
    assert checkpoint_of(bundle).description.name == "tiny"


def test_a_description_of_a_family_that_is_not_there(tmp_path: Path, bundle: Bundle) -> None:
    """Says that the checkpoint is what is needed."""
    folder = copy_of(bundle.path, tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"family 'transformer' is not one of slow.*instead$"):
        checkpoint_of(reseal(folder, description={"family": "transformer"}))


def test_weights_of_another_network(tmp_path: Path) -> None:
    """A file that is too short or too long is not cut to fit."""
    folder = copy_of(Bundle.default().path, tmp_path / "bundle")
    whole = (folder / WEIGHTS).read_bytes()
    for content in (whole[:-4], whole + bytes(64), b""):
        (folder / WEIGHTS).write_bytes(content)
        with pytest.raises(BundleError, match=r"weights\.bin: does not hold the parameters of slow_small"):
            checkpoint_of(reseal(folder))


def test_weights_that_compute_something_else(tmp_path: Path) -> None:
    """One changed block of weights is found by the probe."""
    folder = copy_of(Bundle.default().path, tmp_path / "bundle")
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[4096:8192] = np.full(1024, 0.5, "<f4").tobytes()
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(BundleError, match=r"does not compute what was exported at w0\.80-s55-t2 \(relative"):
        checkpoint_of(reseal(folder))


def test_statistics_of_one_configuration_only_concern_it(tmp_path: Path) -> None:
    """The proof is made of the configurations that are asked for."""
    folder = copy_of(Bundle.default().path, tmp_path / "bundle")
    bundle = Bundle.default()
    largest = bundle.configurations[-1]
    at = bundle.manifest.configurations[largest].offset
    content = bytearray((folder / STATISTICS).read_bytes())
    content[at : at + 64] = np.full(16, 3.0, "<f4").tobytes()
    (folder / STATISTICS).write_bytes(content)
    damaged = reseal(folder)
    smallest = next(c for c in bundle.configurations if c.precision == "fp32")
    assert checkpoint_of(damaged, [smallest]).classes == bundle.classes
    with pytest.raises(BundleError, match=str(largest)):
        checkpoint_of(damaged, [largest])


def test_a_window_that_the_architecture_does_not_have(tmp_path: Path) -> None:
    """A bundle whose sampling is not its description's is not the network of that name."""
    folder = copy_of(Bundle.default().path, tmp_path / "bundle")
    sampling = json.loads((folder / MANIFEST).read_text())["sampling"]
    with pytest.raises(BundleError, match=r"is not that of slow_small; name the checkpoint"):
        checkpoint_of(reseal(folder, sampling={**sampling, "fast_size": 96}))
