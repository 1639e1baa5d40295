"""OpenVINO computes what ONNX Runtime computes, in fp32 and in int8, with a configuration's own tensors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import (
    CONFIGURATIONS,
    LARGEST,
    SMALLEST,
    TWO_PATHWAYS,
    copy_of,
    shared_bundle,
    write_video,
)
from numpy.typing import NDArray

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.engines import Tensors, find_engine
from a3d_edge.engine.session import BundleNetwork, relative_error
from a3d_edge.errors import BundleError, ResourceError, UsageError

pytest.importorskip("openvino")
from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.engine.openvino import OpenVinoEngine, OpenVinoStage

OPENVINO, ORT = OpenVinoEngine.of("CPU"), find_engine("ort:CPU")
INT8 = tuple(Configuration(1.0, size, 4, "int8") for size in (32, 37))


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny network in int8 alone."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle
    from fixtures_bundle import calibrated_checkpoint, parity_clips

    checkpoint = calibrated_checkpoint([c.at("fp32") for c in INT8])
    out = tmp_path_factory.mktemp("int8") / "bundle"
    return write_bundle(checkpoint, unmeasured_table(checkpoint, INT8), parity_clips(INT8), out)


def window(network: BundleNetwork, seed: int = 3) -> list[NDArray[np.float32]]:
    """Random pictures (T, 3, S, S) of every pathway."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=(len(p.instants), 3, p.size, p.size)).astype(np.float32) for p in network.pathways
    ]


def logits(bundle: Bundle, configuration: Configuration, engine: Any) -> NDArray[np.float32]:
    """Of a random window."""
    network = BundleNetwork(bundle.files_of(configuration), 1, engine)
    return network.logits(*network.encode_window(window(network)))


def frame_stage(bundle: Bundle, configuration: Configuration, replaced: Tensors) -> OpenVinoStage:
    """The frame stage with these tensors."""
    shapes = {"pictures": (1, 3, configuration.size, configuration.size)}
    return OPENVINO.open(bundle.files_of(configuration).graphs()["frame"], replaced, shapes, 1)


@pytest.mark.parametrize("configuration", [SMALLEST, CONFIGURATIONS[3], LARGEST], ids=str)
def test_fp32_is_that_of_onnx_runtime(bundle: Bundle, configuration: Configuration) -> None:
    """On pictures the export never saw."""
    expected = logits(bundle, configuration, ORT)
    assert relative_error(logits(bundle, configuration, OPENVINO), expected) < 1e-4


def test_two_pathways_are_those_of_onnx_runtime(slowfast: Bundle) -> None:
    """A graph with two inputs, one of them of another size."""
    configuration = TWO_PATHWAYS[1]
    expected = logits(slowfast, configuration, ORT)
    assert relative_error(logits(slowfast, configuration, OPENVINO), expected) < 1e-4


@pytest.mark.parametrize("configuration", INT8, ids=str)
def test_int8_is_that_of_onnx_runtime(int8: Bundle, configuration: Configuration) -> None:
    """But for roundings, which a network of eight channels hardly averages out."""
    expected = logits(int8, configuration, ORT)
    assert relative_error(logits(int8, configuration, OPENVINO), expected) < 0.15


def test_every_convolution_of_int8_is_an_integer_one(int8: Bundle) -> None:
    """Also those with a stride, before which OpenVINO would dequantize."""
    network = BundleNetwork(int8.files_of(INT8[0]), 1, OPENVINO)
    names = set(int8.files_of(INT8[0]).own.read()["frame"]) | set(int8.files_of(INT8[0]).own.read()["clip"])
    quantized = sum(name.endswith(".weight_scale") for name in names)
    found = 0
    for stage in (network._frame, network._clip):
        assert isinstance(stage, OpenVinoStage)
        runtime = next(iter(stage.requests.values())).get_compiled_model().get_runtime_model()
        facts = [operator.get_rt_info() for operator in runtime.get_ops()]
        kinds = Counter(
            fact["runtimePrecision"].astype(str)
            for fact in facts
            if fact["layerType"].astype(str) == "Convolution"
        )
        found += kinds["u8"]
    assert found == quantized > 10


@pytest.mark.parametrize("suffix", ["stem.norm.running_mean", "res3.blocks.0.shortcut.norm.running_var"])
def test_statistics_are_replaced(bundle: Bundle, suffix: str) -> None:
    """Those of one batch norm changed, and the features are others: the same ones as ONNX Runtime's."""
    own = bundle.files_of(LARGEST).own.read()["frame"]
    changed = {**own, suffix: 2 * own[suffix] + np.float32(0.5)}
    given = {"pictures": np.random.default_rng(0).normal(size=(1, 3, 37, 37)).astype(np.float32)}
    before, after = (frame_stage(bundle, LARGEST, one).run(given) for one in (own, changed))
    assert relative_error(after, before) > 0.02
    graph = bundle.files_of(LARGEST).graphs()["frame"]
    assert relative_error(after, ORT.open(graph, changed, {"pictures": (1, 3, 37, 37)}, 1).run(given)) < 1e-4


@pytest.mark.parametrize(
    "name", ["features.scale", "features.zero", "res3.blocks.0.c.weight_scale", "res3.blocks.0.c.bias"]
)
def test_scales_zero_points_and_biases_are_replaced(int8: Bundle, name: str) -> None:
    """Of every kind one changed: the features move by many steps, to within a step of ONNX Runtime's."""
    own = int8.files_of(INT8[0]).own.read()["frame"]
    other = own[name] + 9 if name.endswith(".zero") else own[name] * 2
    changed = {**own, name: np.asarray(other, own[name].dtype)}
    given = {"pictures": np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)}
    before, after = (frame_stage(int8, INT8[0], one).run(given).astype(int) for one in (own, changed))
    graph = int8.files_of(INT8[0]).graphs()["frame"]
    expected = ORT.open(graph, changed, {"pictures": (1, 3, 32, 32)}, 1).run(given).astype(int)
    assert np.abs(after - before).mean() > 5
    assert np.abs(after - expected).mean() < 1


def test_statistics_of_another_configuration_are_noticed(bundle: Bundle) -> None:
    """The probe proves what was replaced, on this engine too."""
    one, other = CONFIGURATIONS[1:3]
    entries = dict(bundle.manifest.configurations)
    entries[one] = entries[one].model_copy(update={"offset": entries[other].offset})
    wrong = replace(bundle, manifest=bundle.manifest.model_copy(update={"configurations": entries}))
    with pytest.raises(BundleError, match=f"{one} does not compute what was exported on openvino"):
        BundleNetwork(wrong.files_of(one), 1, OPENVINO)


def test_frames_are_encoded_each_by_itself(bundle: Bundle) -> None:
    """Any number of them in one call; what was computed before stays as it was."""
    network = BundleNetwork(bundle.files_of(LARGEST), 1, OPENVINO)
    pictures = window(network)[0]
    together = network.encode(pictures)
    kept = together.copy()
    singly = np.concatenate([network.encode(picture[None]) for picture in pictures])
    assert together.shape == (4, 5, 5, 64)
    assert np.array_equal(together, singly)
    first = network.logits(together)
    network.logits(-together)
    assert np.array_equal(together, kept)
    assert np.array_equal(network.logits(together), first)


def test_features_need_not_be_contiguous(bundle: Bundle) -> None:
    """A view of every second of eight is as good as a copy of it."""
    network = BundleNetwork(bundle.files_of(LARGEST), 1, OPENVINO)
    features = network.encode(window(network)[0])
    spread = np.repeat(features, 2, axis=0)[::2]
    assert not spread.flags.c_contiguous
    assert np.array_equal(network.logits(spread), network.logits(features))


def test_floats_are_float32(bundle: Bundle) -> None:
    """Not what the processor would like best: bfloat16 is off by a percent."""
    network = BundleNetwork(bundle.files_of(SMALLEST), 1, OPENVINO)
    assert isinstance(network._clip, OpenVinoStage)
    compiled = network._clip.requests[None].get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_dtype() == np.float32
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda own: {**own, "nothing.scale": own["stem.norm.running_mean"]},
            "no stored tensor nothing.scale",
        ),
        (
            lambda own: {**own, "stem.norm.running_mean": np.zeros(3, np.float32)},
            "stem.norm.running_mean is not of the shape",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_graph_are_refused(bundle: Bundle, change: Any, message: str) -> None:
    """By name, before anything is compiled."""
    with pytest.raises(BundleError, match=message):
        frame_stage(bundle, LARGEST, change(bundle.files_of(LARGEST).own.read()["frame"]))


def test_a_graph_that_is_none_is_a_bundle_error(bundle: Bundle, tmp_path: Path) -> None:
    """It is named, in one line."""
    folder = copy_of(bundle.path, tmp_path / "copy")
    (folder / "w1.00.frame.onnx").write_bytes(b"\x3a\x04\x0a\x02\xff\xff")  # a node that is cut off
    broken, own = GraphFile.read(folder / "w1.00.frame.onnx"), bundle.files_of(LARGEST).own.read()["frame"]
    with pytest.raises(BundleError, match=r"w1\.00\.frame\.onnx: OpenVINO refuses the graph") as caught:
        OPENVINO.open(broken, own, {"pictures": (1, 3, 37, 37)}, 1)
    assert "\n" not in str(caught.value)


def test_an_input_that_does_not_fit_is_an_error_of_ours(bundle: Bundle) -> None:
    """Whatever OpenVINO raises."""
    stage = frame_stage(bundle, LARGEST, bundle.files_of(LARGEST).own.read()["frame"])
    for wrong in ({"pictures": np.zeros((1, 4, 37, 37), np.float32)}, {"others": np.zeros((1, 3, 37, 37))}):
        with pytest.raises(ResourceError, match=r"w1\.00\.frame\.onnx: OpenVINO failed"):
            stage.run(wrong)


def test_devices_go_by_openvinos_names() -> None:
    """In any case; one that is not here names those that are."""
    assert find_engine("openvino").name == find_engine("OpenVINO:cpu").name == "openvino"
    with pytest.raises(UsageError, match=r"openvino:toaster: no such device found; .* one of openvino:CPU"):
        find_engine("openvino:toaster")


def test_a_signal_is_heard_when_a_thread_has_let_go_of_an_engine(tmp_path: Path) -> None:
    """Also where signals have a stack of their own, as `faulthandler` gives them."""
    code = (
        "import faulthandler, gc, signal, threading\n"
        "faulthandler.enable()\n"
        "from a3d_edge.engine.engines import find_engine\n"
        "held = [find_engine('openvino')]\n"
        "letting_go = threading.Thread(target=lambda: (held.clear(), gc.collect()))\n"
        "letting_go.start()\n"
        "letting_go.join()\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: print('heard'))\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_run_on_openvino_without_anything_heavy(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The command predicts, switches, and has loaded neither torch nor onnx."""
    clip = write_video(tmp_path / "clip.mp4", 24)
    code = (
        "import atexit, sys\n"
        "heavy = {'torch', 'onnx', 'onnx_ir', 'matplotlib'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "from a3d_edge.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--source", clip, "--bundle", shared_bundle(tmp_path_factory),
         "--engine", "openvino", "--switch-every", "4", "--json"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert json.loads(done.stdout.splitlines()[-1])["switches"] > 0
