"""ONNX Runtime: execution providers by name, and tensors replaced on loading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from fixtures_bundle import LARGEST, SMALLEST, copy_of

from a3d_edge.bundle import Bundle
from a3d_edge.engine.engines import Stage, Tensors
from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.engine.ort import OrtEngine
from a3d_edge.engine.session import relative_error
from a3d_edge.errors import BundleError, ResourceError, UsageError

CPU = OrtEngine.of("CPU")


def pictures(seed: int = 5) -> Tensors:
    """Random pictures for the frame stage of the largest configuration."""
    shape = (3, 3, LARGEST.size, LARGEST.size)
    return {"pictures": np.random.default_rng(seed).normal(size=shape).astype(np.float32)}


def frame_stage(bundle: Bundle, replaced: Tensors, engine: OrtEngine = CPU) -> Stage:
    """The frame stage of the largest configuration with these tensors."""
    shapes = {"pictures": (1, 3, LARGEST.size, LARGEST.size)}
    return engine.open(bundle.files_of(LARGEST).graphs()["frame"], replaced, shapes, 1)


def test_a_provider_goes_by_its_short_name() -> None:
    """In any case, as ONNX Runtime lists it."""
    assert (OrtEngine.of("cPu").name, CPU.provider) == ("ort:CPU", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("CUDA", "onnxruntime-gpu"),
        ("tensorrt", "onnxruntime-gpu"),
        ("openvino", "onnxruntime-openvino"),
        ("DML", "onnxruntime-directml"),
        ("QNN", "onnxruntime-qnn"),
    ],
)
def test_a_provider_of_another_build_says_what_to_install(name: str, package: str) -> None:
    """Each takes the place of the plain build."""
    if any(one.lower().startswith(name.lower()) for one in onnxruntime.get_available_providers()):
        pytest.skip("this build has it")
    with pytest.raises(UsageError, match=f"ort:{name}: .*pip install {package} in the place of onnxruntime"):
        OrtEngine.of(name)


@pytest.mark.parametrize("name", ["banana", "azure", "CPUExecutionProvider"])
def test_an_unknown_provider_is_told_which_there_are(name: str) -> None:
    """The one that every build lists but that computes nothing here is none of them."""
    with pytest.raises(UsageError, match=r"it has .*ort:CPU") as caught:
        OrtEngine.of(name)
    assert "ort:Azure" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_cannot_be_loaded_does_not_run_elsewhere(bundle: Bundle) -> None:
    """ONNX Runtime only warns and takes the CPU: the user who named a device is told."""
    engine = OrtEngine("ort:CUDA", "CUDAExecutionProvider")
    if engine.provider in onnxruntime.get_available_providers():
        pytest.skip("this build has it")
    with pytest.raises(ResourceError, match="ort:CUDA: the execution provider cannot be loaded"):
        frame_stage(bundle, bundle.files_of(LARGEST).own.read()["frame"], engine)


def test_each_replaced_tensor_takes_effect(bundle: Bundle) -> None:
    """The first and the last batch norm's: were they ignored, nothing would change."""
    replaced, given = bundle.files_of(LARGEST).own.read()["frame"], pictures()
    plain = frame_stage(bundle, replaced).run(given)
    for name in (next(iter(replaced)), list(replaced)[-1]):
        changed = {**replaced, name: 2 * replaced[name] + np.float32(0.5)}
        assert relative_error(frame_stage(bundle, changed).run(given), plain) > 0.02


def test_a_graph_as_it_is_written_computes_the_same(bundle: Bundle) -> None:
    """The optimizer folds and fuses; what comes out stays."""
    replaced, given = bundle.files_of(LARGEST).own.read()["frame"], pictures()
    as_written = OrtEngine("ort:CPU", CPU.provider, optimize=False)
    got, expected = (frame_stage(bundle, replaced, one).run(given) for one in (CPU, as_written))
    assert relative_error(got, expected) < 1e-5


def test_a_graph_that_is_none_is_a_bundle_error(bundle: Bundle, tmp_path: Path) -> None:
    """It is named, in one line."""
    graph = copy_of(bundle.path, tmp_path / "copy") / "w0.50.frame.onnx"
    graph.write_bytes(b"not a graph")
    with pytest.raises(BundleError, match=r"w0\.50\.frame\.onnx: ONNX Runtime refuses the graph") as caught:
        CPU.open(
            GraphFile.read(graph),
            bundle.files_of(SMALLEST).own.read()["frame"],
            {"pictures": (1, 3, 18, 18)},
            1,
        )
    assert "\n" not in str(caught.value)


def test_an_input_that_does_not_fit_is_an_error_of_ours(bundle: Bundle) -> None:
    """Whatever ONNX Runtime raises."""
    stage = frame_stage(bundle, bundle.files_of(LARGEST).own.read()["frame"])
    for wrong in ({"pictures": np.zeros((1, 4, 37, 37), np.float32)}, {"others": pictures()["pictures"]}):
        with pytest.raises(ResourceError, match=r"w1\.00\.frame\.onnx: ONNX Runtime failed"):
            stage.run(wrong)
