"""Bundles: what is read is what was written, and nothing else is accepted."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import (
    CLASSES,
    CONFIGURATIONS,
    TWO_PATHWAYS,
    copy_of,
    sign_again,
    tiny_slowfast,
)

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import BundleError, UsageError


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return copy_of(bundle_folder, tmp_path / "copy")


def test_a_bundle_is_what_was_exported(bundle_folder: Path) -> None:
    """Classes, sampling, preprocessing and configurations, cheapest first, come back from the disk."""
    bundle = Bundle.load(str(bundle_folder))
    assert bundle.classes == CLASSES
    assert (bundle.sampling.frames, bundle.sampling.stride, bundle.sampling.rate) == (4, 2, 30.0)
    assert bundle.preprocessing.input == "rgb"
    assert bundle.preprocessing.offsets == (0,)
    assert set(bundle.configurations) == set(CONFIGURATIONS)
    costs = [bundle.table.row(c).gflops for c in bundle.configurations]
    assert costs == sorted(costs)
    assert bundle.manifest.origin == {"data": "noise"}


@pytest.mark.torch
def test_a_bundle_of_two_pathways_is_what_was_exported(slowfast_folder: Path) -> None:
    """Also what the Fast pathway looks at comes back."""
    bundle = Bundle.load(slowfast_folder)
    assert bundle.sampling == tiny_slowfast().sampling
    assert (bundle.sampling.alpha, bundle.sampling.fast_size) == (4, 32)
    assert bundle.configurations == TWO_PATHWAYS
    assert all(bundle.width_of(c).frame is None for c in TWO_PATHWAYS)


@pytest.mark.torch
@pytest.mark.parametrize("family", ["bundle_folder", "slowfast_folder"])
def test_statistics_come_back_per_configuration(request: pytest.FixtureRequest, family: str) -> None:
    """Mean and variance of every batch norm are those that were calibrated, at that configuration's width."""
    from fixtures_bundle import calibrated_checkpoint

    from a3d_edge.models.checkpoint import norms

    two = family == "slowfast_folder"
    configurations = TWO_PATHWAYS if two else CONFIGURATIONS
    bundle = Bundle.load(request.getfixturevalue(family))
    model = calibrated_checkpoint(configurations, tiny_slowfast() if two else None).model
    for configuration in configurations:
        found = bundle.statistics(configuration)
        assert set(found) == set(norms(model))
        for name, norm in norms(model).items():
            mean, variance = norm.calibrated[str(configuration)]
            np.testing.assert_array_equal(found[name][0], mean.numpy())
            np.testing.assert_array_equal(found[name][1], variance.numpy())


def test_one_flipped_byte_anywhere_is_noticed(copy: Path) -> None:
    """Whatever byte of whatever file changes, in one bit or in all, loading names that file."""
    rng = random.Random(0)
    for file in sorted(copy.iterdir()):
        content = file.read_bytes()
        places = {0, 1, len(content) // 2, len(content) - 1, *(rng.randrange(len(content)) for _ in range(8))}
        for place in places:
            for mask in (0x01, 0x20, 0xFF):
                changed = bytearray(content)
                changed[place] ^= mask
                file.write_bytes(changed)
                with pytest.raises(BundleError, match=file.name):
                    Bundle.load(copy)
        file.write_bytes(content)
    Bundle.load(copy)


def test_every_byte_of_the_manifest_counts(copy: Path) -> None:
    """Also one that leaves what the JSON means as it was: 1E-5 for 1e-5, or other white space."""
    file = copy / "manifest.json"
    content = file.read_bytes()
    exponents = [match.start() for match in re.finditer(rb"\de-\d", content)]
    assert exponents
    for place in [*range(0, len(content), 17), *(start + 1 for start in exponents)]:
        changed = bytearray(content)
        changed[place] = {0x20: 0x09, 0x0A: 0x0D}.get(changed[place], changed[place] ^ 0x20)
        file.write_bytes(changed)
        with pytest.raises(BundleError, match=r"manifest\.json"):
            Bundle.load(copy)


@pytest.mark.parametrize("keep", [0, 1, 0.5, -1])
def test_truncated_weights_are_noticed(copy: Path, keep: float) -> None:
    """The message says how many bytes there are and how many there should be."""
    file = copy / "weights.bin"
    size = file.stat().st_size
    left = int(keep * size) if 0 < keep < 1 else int(keep) % size
    os.truncate(file, left)
    with pytest.raises(BundleError, match=rf"weights\.bin: {left} bytes instead of {size}"):
        Bundle.load(copy)


def test_every_missing_file_is_named(copy: Path) -> None:
    """Whichever file is away."""
    for file in sorted(copy.iterdir()):
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(BundleError, match=file.name.replace(".", r"\.")):
            Bundle.load(copy)
        file.write_bytes(content)


def test_a_place_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    """A directory that is not there, a file, and a directory with other things in it."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "file"):
        with pytest.raises(BundleError, match="no such bundle directory"):
            Bundle.load(tmp_path / name)
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(tmp_path / "empty")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"schema_version": 1}',
        b"[" * 200_000,
        b"1" * 10_000,
        b'{"schema_version": 1, "created_by": "\\ud800", "sha256": ""}',
    ],
    ids=["empty", "not utf-8", "list", "null", "object", "bare", "deep", "huge number", "half a character"],
)
def test_a_manifest_of_anything_else_is_refused(copy: Path, content: bytes) -> None:
    """Whatever the bytes are, the error is ours and names the file."""
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.load(copy)


def test_another_schema_is_refused_by_its_number(copy: Path) -> None:
    """A later version's bundle is told apart from a damaged one."""
    sign_again(copy, lambda manifest: manifest.update(schema_version=2))
    with pytest.raises(BundleError, match=r"manifest\.json: schema_version is not 1; export with this"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    "name", ["../weights.bin", "a/weights.bin", "/etc/hostname", "..", ".", ".hidden", "", "a\0b"]
)
def test_files_outside_the_bundle_are_refused(copy: Path, name: str) -> None:
    """A name in ``files`` is a plain one; nothing outside the directory is ever opened."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["files"][name] = manifest["files"]["weights.bin"]

    sign_again(copy, change)
    with pytest.raises(BundleError, match=r"manifest\.json: files: .*is not a plain file name"):
        Bundle.load(copy)


def test_a_subgraph_outside_the_bundle_is_refused(copy: Path) -> None:
    """A width's graph must be one of the listed files."""
    sign_again(copy, lambda manifest: manifest["widths"]["0.50"].update(frame="../evil.onnx"))
    with pytest.raises(BundleError, match=r"files lacks \.\./evil\.onnx"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["preprocessing"].update(input="x"), r"preprocessing\.input"),
        (lambda m: m["preprocessing"].update(aspect=0.5), r"preprocessing\.aspect 0\.5"),
        (lambda m: m["sampling"].update(frames=0), "sampling of 0 frames"),
        (lambda m: m["sampling"].update(alpha=3), "sampling with alpha 3 and fast_size 0: alpha divides"),
        (lambda m: m["sampling"].update(alpha=0), "sampling with alpha 0"),
        (lambda m: m["sampling"].update(fast_size=-1), "fast_size -1: .* not below 0"),
        (lambda m: m["sampling"].update(alpha=2), r"widths\.0\.50\.frame does not suit sampling\.alpha 2"),
        (
            lambda m: m["widths"]["0.70"].update(frame=None),
            r"widths\.0\.70\.frame does not suit sampling\.alpha 1",
        ),
        (lambda m: m.update(classes=[]), "classes"),
        (lambda m: m.update(extra=1), "extra"),
        (lambda m: m["configurations"]["w0.50-s18-t1"].update(offset=-4), r"configurations\.w0\.50-s18-t1"),
        (lambda m: m["configurations"]["w0.50-s18-t1"].update(offset=1 << 29), "does not fit"),
        (lambda m: m["configurations"]["w0.50-s18-t1"].update(probe=[0.0]), "does not fit"),
        (lambda m: m["widths"].pop("0.50"), r"widths lacks the width of w0\.50"),
        (lambda m: m["files"].pop("weights.bin"), r"files lacks weights\.bin"),
        (lambda m: m["files"]["weights.bin"].update(sha256="0" * 63), r"files\.weights\.bin\.sha256"),
    ],
)
def test_a_manifest_that_cannot_be_meant_names_the_key(
    copy: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """A signed manifest whose content does not hold together is refused with the place that is wrong."""
    sign_again(copy, change)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["sampling"].update(alpha=1), r"widths\.0\.50\.frame does not suit sampling\.alpha 1"),
        (
            lambda m: m["widths"]["1.00"].update(frame="w1.00.clip.onnx"),
            r"widths\.1\.00\.frame does not suit",
        ),
        (lambda m: m["files"].pop("w0.70.clip.onnx"), r"files lacks w0\.70\.clip\.onnx"),
    ],
)
def test_so_is_one_of_two_pathways(
    slowfast_folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """A network of two pathways has no frame stage, and the others have one."""
    copy = copy_of(slowfast_folder, tmp_path / "copy")
    sign_again(copy, change)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


def test_a_bundle_of_an_earlier_version_has_one_pathway(copy: Path) -> None:
    """Its sampling does not speak of a Fast one."""

    def forget(manifest: dict[str, Any]) -> None:
        del manifest["sampling"]["alpha"], manifest["sampling"]["fast_size"]

    sign_again(copy, forget)
    bundle = Bundle.load(copy)
    assert (bundle.sampling.alpha, len(bundle.open("w0.50-s18-t1").pathways)) == (1, 1)


def test_a_table_of_other_configurations_is_refused(copy: Path) -> None:
    """Table and manifest must speak of the same configurations."""
    table = json.loads((copy / "table.json").read_text())
    del table["rows"][0]
    (copy / "table.json").write_text(json.dumps(table))
    sign_again(copy)
    with pytest.raises(BundleError, match=r"table\.json: its rows are not the manifest's configurations"):
        Bundle.load(copy)


def test_a_configuration_that_is_not_there_names_those_that_are(bundle_folder: Path) -> None:
    """By value and by name."""
    bundle = Bundle.load(bundle_folder)
    with pytest.raises(UsageError, match=r"w0\.60-s32-t4 is not in the table; it has w0\.50-s18-t1"):
        bundle.open("w0.60-s32-t4")
    with pytest.raises(UsageError, match="not a configuration"):
        bundle.open("large")


def test_a_bundle_may_lie_anywhere(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path, a path with spaces and letters of other alphabets, and a read-only place."""
    place = copy_of(bundle_folder, tmp_path / "Bündel 1")
    for file in place.iterdir():
        file.chmod(0o444)
    place.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    try:
        network = Bundle.load("Bündel 1").open(Configuration.parse("w0.50-s18-t1"))
        assert network.classify(network.encode(np.zeros((1, 3, 18, 18), np.float32))).shape == (3,)
    finally:
        place.chmod(0o755)


def test_a_threshold_is_that_of_the_configuration(bundle_folder: Path) -> None:
    """None where the table has none for it; a class or configuration that is not there is refused."""
    bundle = Bundle.load(bundle_folder)
    one, other = bundle.configurations[:2]
    row = bundle.table.row(one).model_copy(update={"thresholds": {CLASSES[0]: 0.4}, "temperature": 1.5})
    changed = replace(bundle, table=bundle.table.with_rows([row, *bundle.table.rows[1:]]))
    assert changed.threshold(one, CLASSES[0]) == 0.4
    assert changed.threshold(one, CLASSES[1]) is None
    assert changed.threshold(other, CLASSES[0]) is None
    assert (changed.files_of(one).temperature, changed.files_of(other).temperature) == (1.5, 1.0)
    with pytest.raises(UsageError, match="the bundle has no class 'hug'; it has right, down, still"):
        changed.threshold(one, "hug")
    with pytest.raises(UsageError, match=r"w0\.90-s32-t4 is not in the table"):
        changed.threshold(Configuration(0.9, 32, 4), CLASSES[0])
