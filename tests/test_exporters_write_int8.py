"""int8 in a bundle: weights stored once, a block of scales a configuration, near fp32, and really integer."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from a3d_edge.exporters.int8_plan import quantize_weights  # noqa: E402
from a3d_edge.exporters.onnx_graph import float32  # noqa: E402
from a3d_edge.exporters.write_bundle import in_precisions, literal_logits, write_bundle  # noqa: E402
from fixtures_bundle import (  # noqa: E402
    CLASSES,
    calibrated_checkpoint,
    copy_of,
    lively,
    noise,
    parity_clips,
    sign_again,
    tiny_r2plus1d,
    tiny_slow,
    tiny_slowfast,
    tiny_x3d,
)
from numpy.typing import NDArray  # noqa: E402

from a3d_edge.bundle import Bundle  # noqa: E402
from a3d_edge.configuration import Configuration, Precision  # noqa: E402
from a3d_edge.engine.session import BundleNetwork, relative_error  # noqa: E402
from a3d_edge.errors import A3DEdgeError, BundleError  # noqa: E402
from a3d_edge.manifest import width_key  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, norms  # noqa: E402
from a3d_edge.models.from_bundle import checkpoint_of  # noqa: E402
from a3d_edge.models.network import NetworkDescription  # noqa: E402
from a3d_edge.table import ConfigurationBudgetTable, Row  # noqa: E402
from a3d_edge.training.calibrate import calibrate_one  # noqa: E402

SLOW = tuple(Configuration.parse(name) for name in ("w0.50-s28-t1", "w0.50-s32-t2", "w1.00-s32-t4"))
FAMILIES: dict[str, tuple[NetworkDescription, tuple[Configuration, ...], tuple[Precision, ...]]] = {
    "slow": (tiny_slow(), SLOW, ("fp32", "int8")),
    "slowfast": (tiny_slowfast(), (Configuration(0.5, 19, 2),), ("int8",)),
    "x3d": (tiny_x3d(), (Configuration(0.7, 23, 3),), ("int8",)),
    "r2plus1d": (tiny_r2plus1d(), (Configuration(0.7, 23, 3),), ("int8",)),
    "x3d imported": (
        tiny_x3d(exact=True, first_shortcut_norm=False, head="softmax_windows"),
        (Configuration(1.0, 64, 4),),
        ("int8",),
    ),
}
_BUILT: dict[str, tuple[Checkpoint, Bundle]] = {}


def signed_checkpoint(
    description: NetworkDescription, configurations: tuple[Configuration, ...]
) -> Checkpoint:
    """A lively network in which every third γ is negative, one is 0 and one almost."""
    model = lively(description)
    for norm in norms(model).values():
        norm.weight.data[::3] *= -1.0
        norm.weight.data[1], norm.weight.data[2] = 0.0, 1e-9
    for number, configuration in enumerate(configurations):
        batch = noise(description, configuration.size, 16, 1 + 0.2 * number)
        calibrate_one(model, configuration, [batch])
    return Checkpoint(model, CLASSES)


def table_of(configurations: tuple[Configuration, ...]) -> ConfigurationBudgetTable:
    """Rows of some cost, which is not what is tested here: to count it takes longer."""
    return rows_of(*(row(str(configuration)) for configuration in configurations))


def built(family: str, factory: pytest.TempPathFactory) -> tuple[Checkpoint, Bundle]:
    """A family's checkpoint and bundle, exported once; not to be altered."""
    if family not in _BUILT:
        description, configurations, precisions = FAMILIES[family]
        checkpoint = signed_checkpoint(description, configurations)
        table = in_precisions(table_of(configurations), precisions)
        clips = parity_clips(configurations, description)
        seen = {c.size: noise(description, c.size, 16) for c in configurations}
        out = factory.mktemp(family) / "bundle"
        _BUILT[family] = (
            checkpoint,
            write_bundle(checkpoint, table, clips, out, range_clips=seen, measured=measured_in(out)),
        )
    return _BUILT[family]


def measured_in(out: Path) -> Callable[[Bundle], ConfigurationBudgetTable]:
    """Gives every row the accuracy 0.25, once its configuration has opened."""

    def measured(bundle: Bundle) -> ConfigurationBudgetTable:
        for configuration in bundle.configurations:
            bundle.open(configuration, threads=1)
        rows = tuple(row.model_copy(update={"accuracy": 0.25}) for row in bundle.table.rows)
        return bundle.table.model_copy(update={"rows": rows, "measured_on": f"in place: {out.exists()}"})

    return measured


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Bundle]:
    """The tiny network in both precisions."""
    return built("slow", tmp_path_factory)


@pytest.fixture(params=list(FAMILIES))
def each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkpoint, Bundle]:
    """One family after the other."""
    return built(request.param, tmp_path_factory)


@pytest.fixture(params=["slowfast", "x3d"])
def alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Checkpoint, Bundle]:
    """A bundle of int8 alone."""
    return built(request.param, tmp_path_factory)


def int8_of(bundle: Bundle) -> list[Configuration]:
    return [c for c in bundle.configurations if c.precision == "int8"]


def windows(checkpoint: Checkpoint, configuration: Configuration) -> list[list[NDArray[np.float32]]]:
    """Four windows that the export never saw, ``(T, 3, S, S)`` of every pathway."""
    torch.manual_seed(11)
    clips = noise(checkpoint.description, configuration.size, 4)
    fitted: Any = checkpoint.model.fit(clips, configuration)
    pathways = fitted if isinstance(fitted, list) else [fitted]
    return [[float32(x[i].transpose(0, 1)) for x in pathways] for i in range(4)]


def fp32_logits(checkpoint: Checkpoint, configuration: Configuration) -> NDArray[np.float32]:
    """PyTorch's of the same windows."""
    given = windows(checkpoint, configuration)
    clips = [torch.from_numpy(np.stack(x)).transpose(1, 2) for x in zip(*given, strict=True)]
    with torch.inference_mode():
        logits: NDArray[np.float32] = checkpoint.model(
            clips[0] if len(clips) == 1 else clips, configuration.at("fp32")
        ).numpy()
    return logits


def int8_logits(checkpoint: Checkpoint, bundle: Bundle, configuration: Configuration) -> NDArray[np.float32]:
    """The integer kernels' of the same windows."""
    network = BundleNetwork(bundle.files_of(configuration), 1)
    given = windows(checkpoint, configuration)
    return np.stack([network.logits(*network.encode_window(one)) for one in given])


# --- what it computes


def test_logits_are_near_those_of_fp32(each: tuple[Checkpoint, Bundle]) -> None:
    """Within a quarter of the largest logit on windows that were not in the export, at every configuration:
    the tiny networks have 8 channels a layer to average roundings out over, real ones hundreds. On the
    average within a twelfth."""
    checkpoint, bundle = each
    for configuration in int8_of(bundle):
        expected = fp32_logits(checkpoint, configuration)
        got = int8_logits(checkpoint, bundle, configuration)
        assert relative_error(got, expected) < 0.25, configuration
        assert np.abs(got - expected).mean() < 0.08 * np.abs(expected).max(), configuration
        assert bundle.manifest.configurations[configuration].parity.relative_error < 0.25


def test_integer_kernels_compute_what_is_written(each: tuple[Checkpoint, Bundle]) -> None:
    """The optimizer's fusions against the graph run as it is, in float between the roundings."""
    checkpoint, bundle = each
    for configuration in int8_of(bundle):
        network = BundleNetwork(bundle.files_of(configuration), 1)
        for window in windows(checkpoint, configuration)[:2]:
            literal = np.array(literal_logits(bundle, configuration, window))
            assert relative_error(network.logits(*network.encode_window(window)), literal) < 0.1


def test_features_between_the_stages_are_bytes(slow: tuple[Checkpoint, Bundle]) -> None:
    """A quarter of what a stream keeps in fp32."""
    checkpoint, bundle = slow
    for configuration in SLOW:
        (pictures,) = windows(checkpoint, configuration)[0]
        kept = {p: bundle.open(configuration.at(p), threads=1).encode(pictures) for p in ("fp32", "int8")}
        assert {p: x.dtype.name for p, x in kept.items()} == {"fp32": "float32", "int8": "uint8"}
        assert kept["fp32"].shape == kept["int8"].shape


def test_every_quantized_convolution_is_an_integer_one(
    each: tuple[Checkpoint, Bundle], tmp_path: Path
) -> None:
    """ONNX Runtime fuses each of them: none is left a float convolution over rounded numbers, which would be
    slower than fp32."""
    _, bundle = each
    for width in {c.width: c for c in int8_of(bundle)}.values():
        for stage, graph in bundle.files_of(width).graphs().items():
            quantized = [t for t in bundle.width_of(width).tensors if t.name.endswith(".weight_scale")]
            wanted = sum(t.stage == stage for t in quantized)
            found = operators(optimized(bundle, width, stage, graph, tmp_path))
            assert found.count("QLinearConv") == wanted
            written = operators(onnx.load(str(graph), load_external_data=False)).count("Conv")
            floats = sum(found.count(kind) for kind in ("Conv", "FusedConv", "NhwcFusedConv"))
            assert floats == written - wanted
    quantized = [t for w in bundle.manifest.widths.values() for t in w.tensors if t.name.endswith(".bias")]
    assert len(quantized) >= 14


def optimized(bundle: Bundle, configuration: Configuration, stage: str, graph: Path, to: Path) -> Any:
    """The graph that ONNX Runtime runs, with the configuration's tensors."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(to / "optimized.onnx")
    replaced = bundle.files_of(configuration).own.read()[stage]
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in replaced.values()]
    options.add_external_initializers(list(replaced), values)
    ort.InferenceSession(str(graph), options, ["CPUExecutionProvider"])
    return onnx.load(to / "optimized.onnx", load_external_data=False)


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


# --- what is stored


def test_every_int8_tensor_is_stored_once_for_all_widths(slow: tuple[Checkpoint, Bundle]) -> None:
    """Whole, at one place of weights_int8.bin, and named by every width's graphs; beside them lies only what
    stays fp32 (the classifier, a few sensitive convolutions), once too, so that int8 needs no other file."""
    checkpoint, bundle = slow
    graphs = sorted(bundle.path.glob("*-int8.*.onnx"))
    assert [graph.name for graph in graphs] == [
        f"w{width}-int8.{form}.onnx" for width in ("0.50", "1.00") for form in ("clip", "frame", "volume")
    ]
    places: dict[str, list[tuple[Any, ...]]] = {}
    for graph in graphs:
        for name, location, *place in stored_in(graph):
            if location == "weights_int8.bin":
                places.setdefault(name, []).append(tuple(place))
            else:
                assert location == "scales.bin"
    assert all(len(set(found)) == 1 for found in places.values())
    parameters = {n: float32(p) for n, p in checkpoint.model.named_parameters()}
    content = (bundle.path / "weights_int8.bin").read_bytes()
    shared = [name for name, found in places.items() if name.endswith(".int8") and len(found) >= 2]
    assert len(shared) >= 13  # of 17 convolutions, at most an eighth of which stays fp32 at either width
    for name, ((offset, length, shape), *_) in places.items():
        whole = parameters[name.removesuffix(".int8")]
        if name.endswith(".int8"):
            whole, _ = quantize_weights(whole, parameters[name.replace("conv.weight.int8", "norm.weight")])
        assert shape == whole.shape
        assert content[offset : offset + length] == whole.tobytes()
    floats = sum(found[0][1] for name, found in places.items() if not name.endswith(".int8"))
    int8 = sum(p.size for name, p in parameters.items() if name.endswith("conv.weight"))
    assert len(content) < int8 + floats + 64 * (len(places) + 17)


def stored_in(graph: Path) -> list[tuple[Any, ...]]:
    """(name, file, offset, length, shape) of a graph's external tensors."""
    found = []
    for tensor in onnx.load(str(graph), load_external_data=False).graph.initializer:
        data = {entry.key: entry.value for entry in tensor.external_data}
        if data:
            place = (int(data["offset"]), int(data["length"]), tuple(tensor.dims))
            found.append((tensor.name, data["location"], *place))
    return found


def test_scales_are_one_block_a_configuration(slow: tuple[Checkpoint, Bundle]) -> None:
    """At the manifest's offsets, one after the other, to the end of the file; read back tensor by tensor."""
    _, bundle = slow
    content = (bundle.path / "scales.bin").read_bytes()
    entries = bundle.manifest.configurations
    places = sorted((entries[c].offset, bundle.width_of(c).block_bytes, c) for c in int8_of(bundle))
    assert len(places) == 3
    assert places[0][0] == 0
    for (offset, length, _), (after, *_) in pairwise(places):
        assert offset + length <= after < offset + length + 64
        assert after % 64 == 0
    assert places[-1][0] + places[-1][1] == len(content)
    for offset, _, configuration in places:
        found = bundle.files_of(configuration).own.read()
        for entry in bundle.width_of(configuration).tensors:
            array = found[entry.stage].pop(entry.name)
            assert (array.dtype.name, array.shape) == (entry.dtype, entry.shape)
            assert array.tobytes() == content[offset : offset + entry.bytes]
            offset += entry.bytes
        assert found == {"frame": {}, "clip": {}}


def test_a_block_holds_batch_norm_of_its_configuration(slow: tuple[Checkpoint, Bundle]) -> None:
    """weight scale = filter scale · |γ| / √(variance + ε) and bias = β − γ·mean / √(variance + ε) with the
    statistics calibrated at that configuration; the bias's steps are those of input times weight."""
    checkpoint, bundle = slow
    for configuration in int8_of(bundle):
        own = {n: x for stage in bundle.files_of(configuration).own.read().values() for n, x in stage.items()}
        inputs = {
            n: s for graph in bundle.files_of(configuration).graphs().values() for n, s in read_by(graph)
        }
        assert set(inputs) == {n.removesuffix(".weight_scale") for n in own if n.endswith(".weight_scale")}
        assert len(inputs) >= 15
        for name, norm in norms(checkpoint.model).items():
            conv = name.removesuffix(".norm")
            statistics = norm.calibrated[str(configuration.at("fp32"))]
            mean, variance = (float32(x).astype(np.float64) for x in statistics)
            if conv not in inputs:  # it stays fp32
                np.testing.assert_array_equal(own[f"{name}.running_mean"], mean)
                np.testing.assert_array_equal(own[f"{name}.running_var"], variance)
                continue
            gamma, beta = (float32(x)[: len(mean)].astype(np.float64) for x in (norm.weight, norm.bias))
            weight = float32(checkpoint.model.get_parameter(f"{conv}.conv.weight"))[: len(mean)]
            filters = np.abs(weight).reshape(len(mean), -1).max(axis=1) / 127
            g = gamma / np.sqrt(variance + norm.eps)
            alive = np.abs(gamma) > 1e-3
            scale, bias_scale = own[f"{conv}.weight_scale"], own[f"{conv}.bias_scale"]
            np.testing.assert_allclose(scale[alive], (filters * np.abs(g))[alive], rtol=1e-5)
            np.testing.assert_allclose(bias_scale, scale * own[inputs[conv]], rtol=1e-6)
            bias = own[f"{conv}.bias"] * bias_scale.astype(np.float64)
            np.testing.assert_allclose(bias, beta - g * mean, atol=float(bias_scale.max()), rtol=1e-5)


def read_by(graph: Path) -> list[tuple[str, str]]:
    """(convolution, name of the scale of what it reads) in a graph as it is written."""
    nodes = onnx.load(str(graph), load_external_data=False).graph.node
    made = {output: node for node in nodes for output in node.output}
    stored = onnx.NodeProto(op_type="")
    return [
        (made[node.input[1]].input[1].removesuffix(".weight_scale"), made[node.input[0]].input[1])
        for node in nodes
        if node.op_type == "Conv" and made.get(node.input[1], stored).op_type == "DequantizeLinear"
    ]


def test_both_precisions_have_their_own_files(slow: tuple[Checkpoint, Bundle]) -> None:
    """And their own subgraphs; fp32's say nothing of scales, int8's nothing of batch norms."""
    _, bundle = slow
    assert set(bundle.manifest.files) >= {"weights.bin", "statistics.bin", "weights_int8.bin", "scales.bin"}
    assert set(bundle.manifest.widths) == {"0.50", "1.00", "0.50-int8", "1.00-int8"}
    for key, width in bundle.manifest.widths.items():
        assert bool(width.tensors) == key.endswith("-int8") != bool(width.norms)
    assert {width_key(c) for c in bundle.configurations} == set(bundle.manifest.widths)
    assert set(bundle.configurations) == {c.at(p) for c in SLOW for p in ("fp32", "int8")}
    by_cost = [row.cost for row in bundle.table.rows]
    assert by_cost == sorted(by_cost)
    for configuration in bundle.configurations:
        bundle.open(configuration, threads=1)


def test_int8_alone_needs_no_fp32_file(alone: tuple[Checkpoint, Bundle], tmp_path: Path) -> None:
    """It loads and runs wherever it is copied; the network in PyTorch cannot be had back from it."""
    checkpoint, bundle = alone
    assert not {"weights.bin", "statistics.bin"} & set(bundle.manifest.files)
    moved = Bundle.load(copy_of(bundle.path, tmp_path / "moved"))
    for configuration in moved.configurations:
        got = int8_logits(checkpoint, moved, configuration)
        np.testing.assert_array_equal(got, int8_logits(checkpoint, bundle, configuration))
    with pytest.raises(BundleError, match=r"holds int8 alone, .* name the checkpoint .* instead$"):
        checkpoint_of(moved)


def test_graphs_open_as_they_lie(slow: tuple[Checkpoint, Bundle]) -> None:
    """Without our code, in a plain session, the files compute each width's largest configuration."""
    checkpoint, bundle = slow
    for configuration in (SLOW[1].at("int8"), SLOW[2].at("int8")):
        frame, clip = (
            ort.InferenceSession(str(graph)) for graph in bundle.files_of(configuration).graphs().values()
        )
        for (pictures,), logits in zip(
            windows(checkpoint, configuration), int8_logits(checkpoint, bundle, configuration), strict=True
        ):
            features = frame.run(None, {"pictures": pictures})[0]
            got = clip.run(None, {"features": features})[0]
            np.testing.assert_allclose(got[0], logits, atol=1e-5 * np.abs(logits).max())


# --- what is refused


@pytest.mark.parametrize("name", ["scales.bin", "weights_int8.bin"])
def test_a_flipped_byte_is_found(slow: tuple[Checkpoint, Bundle], tmp_path: Path, name: str) -> None:
    """Wherever it is, before anything is computed."""
    folder = copy_of(slow[1].path, tmp_path / "bundle")
    content = (folder / name).read_bytes()
    for place in (0, len(content) // 3, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 0x10
        (folder / name).write_bytes(changed)
        with pytest.raises(BundleError, match=rf"{name}: altered since the export"):
            Bundle.load(folder)


@pytest.mark.parametrize("name", ["scales.bin", "weights_int8.bin"])
def test_a_bundle_without_its_int8_files_is_refused(
    slow: tuple[Checkpoint, Bundle], tmp_path: Path, name: str
) -> None:
    """Also when the manifest does not list them."""
    folder = copy_of(slow[1].path, tmp_path / "bundle")
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read"):
        Bundle.load(folder)
    sign_again(folder, lambda manifest: manifest["files"].pop(name))
    with pytest.raises(BundleError, match=rf"files lacks {name}"):
        Bundle.load(folder)


def wrong_probe(manifest: dict[str, Any]) -> None:
    entry = manifest["configurations"][f"{SLOW[1]}-int8"]
    entry["probe"] = [1.3 * logit for logit in entry["probe"]]


def exchanged_scales(manifest: dict[str, Any]) -> None:
    one, other = (manifest["configurations"][f"{c}-int8"] for c in SLOW[:2])
    one["offset"], other["offset"] = other["offset"], one["offset"]


@pytest.mark.parametrize("mistake", [wrong_probe, exchanged_scales])
def test_what_does_not_compute_the_probe_is_refused_at_load(
    slow: tuple[Checkpoint, Bundle], tmp_path: Path, mistake: Callable[[dict[str, Any]], None]
) -> None:
    """Signed by an exporter with a mistake, so the digests are right; the other configurations open."""
    folder = copy_of(slow[1].path, tmp_path / "bundle")
    sign_again(folder, mistake)
    bundle = Bundle.load(folder)
    with pytest.raises(BundleError, match=r"w0\.50-s32-t2-int8 does not compute what was exported"):
        bundle.open(SLOW[1].at("int8"), threads=1)
    bundle.open(SLOW[1], threads=1)
    bundle.open(SLOW[2].at("int8"), threads=1)


def test_a_block_that_ends_beyond_the_file_is_refused(
    slow: tuple[Checkpoint, Bundle], tmp_path: Path
) -> None:
    """Before anything is read from it."""
    folder = copy_of(slow[1].path, tmp_path / "bundle")

    def shift(manifest: dict[str, Any]) -> None:
        manifest["configurations"][f"{SLOW[2]}-int8"]["offset"] += 64

    sign_again(folder, shift)
    with pytest.raises(BundleError, match=r"configurations\.w1\.00-s32-t4-int8 does not fit"):
        Bundle.load(folder)


def test_a_range_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    """A network that diverges on the range clips is not exported; nothing is left of the attempt."""
    checkpoint = calibrated_checkpoint(SLOW[:1])
    table = in_precisions(table_of(SLOW[:1]), ("int8",))
    clips = {28: torch.full((1, 3, 4, 28, 28), float("inf"))}
    with pytest.raises(A3DEdgeError, match=r"int8: the range of .* at w0\.50-s28-t1 is not finite"):
        write_bundle(checkpoint, table, parity_clips(SLOW[:1]), tmp_path / "bundle", range_clips=clips)
    assert list(tmp_path.iterdir()) == []


# --- which rows


def rows_of(*rows: Row) -> ConfigurationBudgetTable:
    return ConfigurationBudgetTable(architecture="tiny", measured_on="12 clips", rows=rows)


def row(name: str, accuracy: float | None = None) -> Row:
    return Row(configuration=name, gflops=2.0, streaming_gflops=1.0, params_m=3.0, accuracy=accuracy)


def test_a_table_is_brought_to_the_precisions_asked_for() -> None:
    """A row's accuracy is its own precision's: its twin has its cost, and none of its accuracy."""
    table = rows_of(row("w0.50-s32-t2", 0.7), row("w1.00-s32-t4", 0.9), row("w1.00-s32-t4-int8", 0.8))
    both = {str(r.configuration): r.accuracy for r in in_precisions(table, ("fp32", "int8")).rows}
    assert both == {
        "w0.50-s32-t2": 0.7, "w0.50-s32-t2-int8": None, "w1.00-s32-t4": 0.9, "w1.00-s32-t4-int8": 0.8
    }  # fmt: skip
    fp32 = in_precisions(table, ("fp32",)).rows
    assert fp32 == tuple(table.row(c) for c in (Configuration(0.5, 32, 2), Configuration(1.0, 32, 4)))
    (narrow, wide) = in_precisions(table, ("int8",)).rows
    assert (narrow.accuracy, wide.accuracy) == (None, 0.8)
    assert (narrow.precision, narrow.gflops, narrow.streaming_gflops, narrow.params_m) == (
        "int8",
        2.0,
        1.0,
        3.0,
    )
    assert in_precisions(table, ("int8",)).measured_on == "12 clips"


def test_measured_accuracies_are_written_into_the_bundle(slow: tuple[Checkpoint, Bundle]) -> None:
    """The caller measured with the graphs that were exported, before the bundle was in its place; what int8
    gains was measured too, of the rows whose fp32 twin is there."""
    _, bundle = slow
    assert [row.accuracy for row in bundle.table.rows] == [0.25] * len(bundle.table.rows)
    assert bundle.table.measured_on == "in place: False"
    gains = {str(row.configuration): row.int8_cost for row in bundle.table.rows}
    assert {name for name, gain in gains.items() if gain} == {f"{c}-int8" for c in SLOW}
