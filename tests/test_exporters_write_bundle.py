"""Exports: whole or not at all, proved against PyTorch, every weight stored once."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import (
    CONFIGURATIONS,
    SMALLEST,
    calibrated_checkpoint,
    copy_of,
    export,
    parity_clips,
    tiny_slowfast,
)

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import A3DEdgeError, ResourceError, UsageError
from a3d_edge.manifest import Manifest
from a3d_edge.video.preprocess import OFFSETS, InputKind, Preprocessing

torch = pytest.importorskip("torch")

TWO = CONFIGURATIONS[:2]  # of one width: quickest to export


@pytest.fixture
def old(tmp_path: Path, bundle_folder: Path) -> Path:
    """A bundle of six configurations where the next export goes."""
    return copy_of(bundle_folder, tmp_path / "place" / "bundle")


def assert_untouched(old: Path, bundle_folder: Path) -> None:
    """The old bundle is whole, and nothing lies beside it."""
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]
    assert {f.name: f.read_bytes() for f in old.iterdir()} == {
        f.name: f.read_bytes() for f in bundle_folder.iterdir()
    }
    Bundle.load(old)


def test_an_export_interrupted_at_any_step_leaves_the_old_bundle(
    tmp_path: Path, old: Path, bundle_folder: Path
) -> None:
    """Ctrl-C at every report of progress: the old bundle stays, no temporary directory does."""
    steps: list[tuple[object, ...]] = []
    export(tmp_path / "elsewhere", TWO, progress=lambda *step: steps.append(step))
    assert steps == [("subgraphs", 1, 1), ("parity", 1, 2), ("parity", 2, 2)]
    for wanted in steps:

        def interrupt(*step: object, at: tuple[object, ...] = wanted) -> None:
            if step == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            export(old, TWO, progress=interrupt)
        assert_untouched(old, bundle_folder)


def test_a_new_export_takes_the_old_ones_place(old: Path) -> None:
    """Nothing of the old one is left in it."""
    bundle = export(old, TWO)
    assert bundle.path == old
    assert set(Bundle.load(old).configurations) == set(TWO)
    assert {f.name for f in old.iterdir()} == {"manifest.json", *bundle.manifest.files}
    assert not any("0.70" in f.name for f in old.iterdir())
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]


def test_a_full_disk_leaves_the_old_bundle(tmp_path: Path, bundle_folder: Path) -> None:
    """A real file system of 1 MB that holds the old bundle and not also the new one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        old = copy_of(bundle_folder, disk / "bundle")
        with pytest.raises(
            ResourceError,
            match=r"(No space left on device|requested and).*: needs more than [\d.]+ MB, [\d.]+ MB free",
        ):
            export(old, TWO)
        assert_untouched(old, bundle_folder)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_configuration_without_statistics_is_refused(tmp_path: Path) -> None:
    """Before anything is written, with its name and what to do."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    checkpoint = calibrated_checkpoint([SMALLEST])
    table = unmeasured_table(checkpoint, TWO)
    with pytest.raises(UsageError, match=r"w0\.50-s32-t2 is not calibrated .*`calibration`"):
        write_bundle(checkpoint, table, parity_clips(TWO), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("step", "message"),
    [(("subgraphs", 1, 1), "does not compute what was exported"), (("parity", 1, 2), "parity: w0.50-s32-t2")],
)
def test_a_network_that_is_not_what_was_written_is_refused(
    old: Path, bundle_folder: Path, step: tuple[str, int, int], message: str
) -> None:
    """A weight changes while the export runs: the parity step or the probe notices, nothing is written."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    checkpoint = calibrated_checkpoint(TWO)

    def corrupt(*now: object) -> None:
        if now == step:
            checkpoint.model.stem.conv.weight.data *= -1.0

    with pytest.raises(A3DEdgeError, match=message):
        write_bundle(checkpoint, unmeasured_table(checkpoint, TWO), parity_clips(TWO), old, corrupt)
    assert_untouched(old, bundle_folder)


def test_statistics_that_are_not_numbers_are_refused(old: Path, bundle_folder: Path) -> None:
    """A diverged network is not exported."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    checkpoint = calibrated_checkpoint(TWO)
    checkpoint.model.stem.norm.calibrated[str(TWO[1])][1][0] = float("nan")
    with pytest.raises(A3DEdgeError, match=r"w0\.50-s32-t2, stem\.norm: not finite"):
        write_bundle(checkpoint, unmeasured_table(checkpoint, TWO), parity_clips(TWO), old)
    assert_untouched(old, bundle_folder)


def test_parity_figures_are_in_the_manifest(bundle_folder: Path) -> None:
    """Of every configuration, on as many clips as were given, within 1e-3 and with the same top-1."""
    for entry in Bundle.load(bundle_folder).manifest.configurations.values():
        assert entry.parity.clips == 2
        assert 0.0 <= entry.parity.relative_error <= 1e-3
        assert entry.parity.same_top1


def test_parity_figures_are_measured(tmp_path: Path, bundle_folder: Path) -> None:
    """Against a network whose logits are off by half a percent, parity refuses and says by how much."""
    from a3d_edge.exporters.parity import check_parity

    model = calibrated_checkpoint().model
    check_parity(model, Bundle.load(bundle_folder), parity_clips())
    model.head.weight.data *= 1.005
    model.head.bias.data *= 1.005
    with pytest.raises(A3DEdgeError, match=r"w0\.50-s18-t1 .*2 clips \(relative error 0\.005, same top-1\)"):
        check_parity(model, Bundle.load(bundle_folder), parity_clips())


@pytest.mark.parametrize("family", ["bundle_folder", "slowfast_folder"])
def test_every_full_width_tensor_is_stored_once(request: pytest.FixtureRequest, family: str) -> None:
    """weights.bin is the parameters and a little padding; the graphs hold no weight of their own."""
    bundle: Path = request.getfixturevalue(family)
    model = calibrated_checkpoint((), tiny_slowfast() if family == "slowfast_folder" else None).model
    parameters = [p.numel() * 4 for p in model.parameters()]
    size = (bundle / "weights.bin").stat().st_size
    assert sum(parameters) <= size < sum(parameters) + 64 * len(parameters)
    stored = (bundle / "weights.bin").read_bytes()
    for parameter in model.parameters():
        assert stored.count(parameter.detach().numpy().tobytes()) >= 1
    for graph in bundle.glob("*.onnx"):
        assert graph.stat().st_size < (16_000 if family == "bundle_folder" else 64_000)


def test_the_widths_of_two_pathways_share_every_weight(slowfast_folder: Path) -> None:
    """Each tensor lies at one place of weights.bin, whole, whatever width's graph names it; each mean and
    variance at one of statistics.bin, those of the Fast pathway whole at every width."""
    import onnx

    places: dict[str, set[tuple[object, ...]]] = {}
    graphs = sorted(slowfast_folder.glob("*.onnx"))
    assert [graph.name for graph in graphs] == ["w0.50.clip.onnx", "w0.70.clip.onnx", "w1.00.clip.onnx"]
    for graph in graphs:
        for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                data = {entry.key: entry.value for entry in tensor.external_data}
                place = (data["location"], int(data["offset"]), int(data["length"]), tuple(tensor.dims))
                places.setdefault(tensor.name, set()).add(place)
    model = calibrated_checkpoint((), tiny_slowfast()).model
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    for name, shape in shapes.items():
        ((location, _, _, dims),) = places.pop(name)
        assert (location, dims) == ("weights.bin", shape)
    assert {name.rpartition(".")[2] for name in places} == {"running_mean", "running_var"}
    for name, found in places.items():
        assert {location for location, *_ in found} == {"statistics.bin"}
        channels = {dims for *_, dims in found}
        assert (len(channels) == 1) == name.startswith(("fast.", "fuse_")), name


def test_a_bundle_of_two_pathways_says_so(slowfast_folder: Path) -> None:
    """What the runtime needs to know: no frame stage, and what the Fast pathway looks at."""
    manifest = Bundle.load(slowfast_folder).manifest
    assert manifest.sampling == tiny_slowfast().sampling
    for width in manifest.widths.values():
        assert width.frame is None
        assert {norm.stage for norm in width.norms} == {"clip"}
    narrow, full = ({n.name: n.channels for n in manifest.widths[w].norms} for w in ("0.50", "1.00"))
    changed = {name for name in full if narrow[name] != full[name]}
    assert changed == {name for name in full if name.startswith("slow.")}


def test_graphs_open_in_a_plain_session_and_equal_pytorch(bundle_folder: Path) -> None:
    """Without our code: the files as they lie compute each width's largest configuration."""
    import onnxruntime as ort

    model, clips = calibrated_checkpoint().model, parity_clips()
    for width in (0.5, 0.7, 1.0):
        largest = max(c for c in CONFIGURATIONS if c.width == width)
        frame = ort.InferenceSession(str(bundle_folder / f"w{width:.2f}.frame.onnx"))
        clip = ort.InferenceSession(str(bundle_folder / f"w{width:.2f}.clip.onnx"))
        batch = clips[largest.size]
        with torch.inference_mode():
            expected = model(batch, largest).numpy()
        windows = model.fit(batch, largest).transpose(1, 2).contiguous().numpy()
        for window, logits in zip(windows, expected, strict=True):
            got = clip.run(None, {"features": frame.run(None, {"pictures": window})[0]})[0]
            assert got.shape == (1, 3)
            np.testing.assert_allclose(got[0], logits, atol=1e-3 * np.abs(logits).max())


def test_a_bundle_is_hardly_larger_than_its_full_width_network(tmp_path: Path) -> None:
    """At most 1.05 times one full-width ONNX file and the batch-norm vectors, with three widths in it."""
    import onnx
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.training.calibrate import calibrate_one

    configurations = [Configuration(width, 32, 2) for width in (0.5, 0.7, 1.0)]
    small = calibrated_checkpoint(TWO).description
    model = small.model_copy(update={"base_width": 32, "frames": 2}).build().eval()
    clips = torch.randn(1, 3, 2, 32, 32)
    for configuration in configurations:
        calibrate_one(model, configuration, [clips])
    checkpoint = Checkpoint(model, ("a", "b", "c"))
    bundle = write_bundle(
        checkpoint, unmeasured_table(checkpoint, configurations), {32: clips}, tmp_path / "bundle"
    )
    single = 0
    for stage in ("frame", "clip"):
        graph = onnx.load(bundle.path / f"w1.00.{stage}.onnx")  # with all that it points to
        single += len(graph.SerializeToString())
    total = sum(file.stat().st_size for file in bundle.path.iterdir())
    assert single > sum(4 * p.numel() for p in model.parameters())
    assert total <= 1.05 * (single + bundle.manifest.files["statistics.bin"].bytes)


@pytest.mark.parametrize("kind", ["file", "folder", "foreign manifest", "no manifest", "bundle and more"])
def test_what_is_not_a_bundle_alone_is_not_replaced(tmp_path: Path, bundle_folder: Path, kind: str) -> None:
    """An export deletes what it replaces, so it replaces nothing but a bundle: the rest stays as it was."""
    out = tmp_path / "place"
    if kind == "file":
        out.write_text("mine")
    elif kind == "bundle and more":
        copy_of(bundle_folder, out)
        (out / "notes.txt").write_text("mine")
    else:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    if kind == "foreign manifest":
        (out / "manifest.json").write_text(json.dumps({"name": "a web page", "files": {"notes.txt": 1}}))
    with pytest.raises(UsageError, match="is not a bundle of ours alone"):
        export(out, TWO)
    kept = out if kind == "file" else out / "notes.txt"
    assert kept.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["place"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    """And parents are made."""
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "a" / "b"):
        export(place, [SMALLEST])
        assert Bundle.load(place).configurations == (SMALLEST,)


def test_the_table_and_the_origin_go_along(tmp_path: Path) -> None:
    """The table keeps its accuracy and what that was measured on, the manifest how the network was made."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    checkpoint = calibrated_checkpoint(TWO)
    table = unmeasured_table(checkpoint, TWO)
    rows = tuple(row.model_copy(update={"accuracy": 0.5 + row.gflops}) for row in table.rows)
    table = table.model_copy(update={"rows": rows, "measured_on": "12 clips"})
    bundle = write_bundle(checkpoint, table, parity_clips(TWO), tmp_path / "bundle")
    assert bundle.table == table
    assert bundle.manifest.origin == {"data": "noise"}
    assert bundle.manifest.range == "0.016"
    assert bundle.manifest.created_by.startswith("a3d-edge 0.")


@pytest.mark.parametrize("kind", ["motion", "change"])
def test_preprocessing_goes_along(tmp_path: Path, kind: InputKind) -> None:
    """What the network eats is a field of the bundle."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    spec = Preprocessing(kind, 1.5, OFFSETS[kind])
    checkpoint = replace(calibrated_checkpoint([SMALLEST]), preprocessing=spec)
    table = unmeasured_table(checkpoint, [SMALLEST])
    write_bundle(checkpoint, table, parity_clips([SMALLEST]), tmp_path / "bundle")
    assert Bundle.load(tmp_path / "bundle").preprocessing == spec


def test_files_have_the_user_s_modes_and_are_as_listed(bundle_folder: Path, tmp_path: Path) -> None:
    """All the same, as of anything that is made now; the manifest lists every other file."""
    content: dict[str, Any] = json.loads((bundle_folder / "manifest.json").read_text())
    assert Manifest.model_validate(content).files.keys() | {"manifest.json"} == {
        file.name for file in bundle_folder.iterdir()
    }
    (folder := tmp_path / "folder").mkdir()
    (file := folder / "file").touch()
    assert bundle_folder.stat().st_mode == folder.stat().st_mode
    assert {one.stat().st_mode for one in bundle_folder.iterdir()} == {file.stat().st_mode}
