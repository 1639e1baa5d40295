"""A bundle in the place of a PyTorch network: the same clips in, its own graphs' logits out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

from fixtures_bundle import (  # noqa: E402
    CLASSES,
    CONFIGURATIONS,
    TWO_PATHWAYS,
    calibrated_checkpoint,
    copy_of,
    noise,
    parity_clips,
    shared_slowfast,
    tiny_slow,
    tiny_slowfast,
)

from a3d_edge.bundle import Bundle  # noqa: E402
from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.errors import UsageError  # noqa: E402
from a3d_edge.training.bundle_model import BundleModel, as_checkpoint  # noqa: E402

INT8 = Configuration(0.5, 32, 2, "int8")


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One configuration in int8."""
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    checkpoint = calibrated_checkpoint([INT8.at("fp32")])
    out = tmp_path_factory.mktemp("int8") / "bundle"
    return write_bundle(checkpoint, unmeasured_table(checkpoint, [INT8]), parity_clips([INT8]), out)


def clips_of(size: int, count: int = 3) -> Any:
    """Whole windows that no export saw."""
    torch.manual_seed(7)
    return noise(tiny_slow(), size, count)


@pytest.mark.parametrize("configuration", CONFIGURATIONS[1::2], ids=str)
@pytest.mark.parametrize("size", [32, 50])
def test_fp32_is_the_network_it_was_exported_from(
    bundle: Bundle, configuration: Configuration, size: int
) -> None:
    """Clips of any size come in; frames are picked and pictures resized as `SlimNetwork` does it."""
    clips = clips_of(size)
    with torch.inference_mode():
        expected = calibrated_checkpoint().model(clips, configuration)
        got = BundleModel(bundle)(clips, configuration)
    assert (got.shape, got.dtype) == ((3, 3), torch.float32)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_int8_is_what_run_computes(int8: Bundle) -> None:
    """Window by window the logits of the integer graphs, which are not those of fp32."""
    clips = clips_of(32)
    got = BundleModel(int8)(clips, INT8).numpy()
    network: Any = int8.open(INT8, threads=1)
    windows = clips[:, :, [0, 2]].transpose(1, 2).contiguous().numpy()
    expected = np.stack([network.logits(*network.encode_window([window])) for window in windows])
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())
    with torch.inference_mode():
        fp32 = calibrated_checkpoint([INT8.at("fp32")]).model(clips, INT8.at("fp32")).numpy()
    assert np.abs(got - fp32).max() > 1e-3 * np.abs(fp32).max()


def test_two_pathways_come_as_a_list(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each fitted to what its pathway looks at."""
    bundle = Bundle.load(shared_slowfast(tmp_path_factory))
    torch.manual_seed(7)
    clips = noise(tiny_slowfast(), 32, 2)
    with torch.inference_mode():
        expected = calibrated_checkpoint(TWO_PATHWAYS, tiny_slowfast()).model(clips, TWO_PATHWAYS[1])
        got = BundleModel(bundle)(clips, TWO_PATHWAYS[1])
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_networks_stay_loaded(bundle: Bundle, tmp_path: Path) -> None:
    """Each configuration is opened once: with the bundle gone, what was opened goes on."""
    moved = Bundle.load(copy_of(bundle.path, tmp_path / "bundle"))
    model = BundleModel(moved)
    first = model(clips_of(32), CONFIGURATIONS[1])
    shutil.rmtree(moved.path)
    assert torch.equal(model(clips_of(32), CONFIGURATIONS[1]), first)


def test_a_configuration_that_the_bundle_lacks_is_refused(bundle: Bundle) -> None:
    """With those it has."""
    with pytest.raises(UsageError, match=r"w0\.50-s32-t2-int8 is not in the table; it has w0\.50-s18-t1"):
        BundleModel(bundle)(clips_of(32), INT8)


def test_it_stands_for_a_checkpoint(bundle: Bundle) -> None:
    """With all that measuring wants to know of one."""
    checkpoint = as_checkpoint(bundle)
    assert checkpoint.classes == CLASSES
    assert checkpoint.description == tiny_slow()
    assert (checkpoint.preprocessing, checkpoint.range_name) == (bundle.preprocessing, "0.016")
    assert checkpoint.origin == {"data": "noise"}
    assert next(checkpoint.model.parameters()).device.type == "cpu"
