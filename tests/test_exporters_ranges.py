"""Activation ranges: what a range becomes, how it is chosen, and that it is the configuration's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

import onnx_ir as ir  # noqa: E402
from a3d_edge.exporters.int8_plan import Plan, quantize_weights  # noqa: E402
from a3d_edge.exporters.onnx_graph import float32  # noqa: E402
from a3d_edge.exporters.quantize import quantize  # noqa: E402
from a3d_edge.exporters.ranges import (  # noqa: E402
    Ranges,
    best_range,
    measure_ranges,
    quantization_error,
    scale_of,
)
from a3d_edge.exporters.store import write_weights  # noqa: E402
from a3d_edge.exporters.subgraphs import Stage, lower_width  # noqa: E402
from fixtures_bundle import CONFIGURATIONS, calibrated_checkpoint, noise, tiny_slow  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint  # noqa: E402
from a3d_edge.models.widths import Run  # noqa: E402

# --- scale and zero point


def restored(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """Values after a turn through u8."""
    scale, zero = scale_of(low, high)
    steps = np.clip(np.rint(np.asarray(values) / scale) + int(zero), 0, 255)
    return (steps - int(zero)) * scale


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero"),
    [
        (0.0, 255.0, 1.0, 0),
        (-255.0, 0.0, 1.0, 255),
        (-1.0, 1.04, 0.008, 125),
        (-51.0, 204.0, 1.0, 51),
        (3.0, 5.1, 5.1 / 255, 0),  # a range that lies above zero reaches down to it …
        (-5.1, -3.0, 5.1 / 255, 255),  # … and one below up to it
    ],
)
def test_scale_and_zero_point(low: float, high: float, scale: float, zero: int) -> None:
    """256 even steps over the range."""
    found = scale_of(low, high)
    assert found == (pytest.approx(scale, rel=1e-6), zero)
    assert (found[0].dtype, found[1].dtype) == (np.dtype(np.float32), np.dtype(np.uint8))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_zero_is_a_step_of_every_range(one: float, other: float) -> None:
    """So that padding and a ReLU's zeros are exact; both ends are within a step."""
    low, high = sorted((one, other))
    scale, _ = scale_of(low, high)
    assert scale > 0
    assert restored(np.zeros(1), low, high)[0] == 0
    ends = np.array([min(low, 0.0), max(high, 0.0)])
    assert (np.abs(restored(ends, low, high) - ends) <= 1.001 * scale).all()


def test_an_activation_that_is_always_zero_has_a_scale() -> None:
    """A dead layer divides by no zero."""
    scale, zero = scale_of(*best_range(np.zeros(9, np.float32)))
    assert scale > 0
    assert zero == 0


# --- the best range


@pytest.mark.parametrize("constant", [5.0, 0.01, -3.0])
def test_a_constant_is_kept_exactly(constant: float) -> None:
    """Nothing is gained by cutting it off."""
    values = np.full(10, constant, np.float32)
    np.testing.assert_allclose(restored(values, *best_range(values)), values, rtol=1e-5)


def test_evenly_spread_values_keep_their_range() -> None:
    """The finer steps of a narrower range would not make up for what it cuts off."""
    values = np.linspace(-1, 3, 4001, dtype=np.float32)
    low, high = best_range(values)
    assert low == pytest.approx(-1, rel=0.03)
    assert high == pytest.approx(3, rel=0.03)


def test_a_heavy_tail_is_cut() -> None:
    """One value of 30 among 400 000 of around 1 costs less cut off than it costs all others."""
    values = np.abs(np.random.default_rng(0).normal(size=400_000)).astype(np.float32)
    values[7] = 30.0
    low, high = best_range(values)
    assert low == 0.0
    assert 15.0 < high < 23.0
    assert quantization_error(values, low, high) < 0.75 * quantization_error(values, 0.0, 30.0)


@settings(max_examples=50)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40))
def test_it_is_never_worse_than_the_whole_range(values: list[float]) -> None:
    """And never beyond it; it holds zero."""
    array = np.array(values, np.float32)
    low, high = min(float(array.min()), 0.0), max(float(array.max()), 0.0)
    found = best_range(array)
    assert low <= found[0] <= 0.0 <= found[1] <= high
    assert quantization_error(array, *found) <= quantization_error(array, low, high)


def test_the_error_is_the_mean_square_of_what_is_lost() -> None:
    """Steps of 1 from 0 to 255: a quarter step lost, and 45 cut off."""
    assert quantization_error(np.array([10.25, 300.0]), 0.0, 255.0) == pytest.approx((0.0625 + 45**2) / 2)


def test_what_is_not_a_number_is_not_hidden() -> None:
    """The caller refuses it."""
    assert not np.isfinite(best_range(np.array([1.0, np.inf], np.float32))).all()


# --- measured on clips

HALF = [c for c in CONFIGURATIONS if c.width == 0.5]  # s18-t1, s32-t2, s32-t4


class Half:
    """The tiny network at half width: graphs and plans, and where its weights lie."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint: Checkpoint = calibrated_checkpoint(HALF)
        self.folder = folder
        stored = write_weights(self.checkpoint, folder / "weights.bin")
        forms = lower_width(self.checkpoint, 0.5, stored, (folder / "none.bin", 0))
        self.models: dict[Stage, ir.Model] = {"frame": forms["frame"], "clip": forms["clip"]}
        int8 = {
            name: ir.tensor(quantize_weights(float32(p), np.ones(len(p), np.float32))[0], name=f"{name}.int8")
            for name, p in self.checkpoint.model.named_parameters()
            if name.endswith("conv.weight")
        }
        self.plans: dict[Stage, Plan] = {s: quantize(m, s, int8)[1] for s, m in self.models.items()}

    def ranges(self, configuration: Configuration, clips: Any) -> Ranges:
        return measure_ranges(self.checkpoint, configuration, self.models, self.plans, clips, self.folder)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Half:
    """Lowered once."""
    return Half(tmp_path_factory.mktemp("half"))


@pytest.fixture(scope="module")
def clips() -> Any:
    """Three whole windows of 4 frames."""
    torch.manual_seed(3)
    return noise(tiny_slow(), 32, 3)


def expected_of(values: Any) -> tuple[float, float]:
    """Of all values: the tiny activations have no more than are sampled, but the extremes count twice."""
    each = [float32(one).reshape(-1) for one in values]
    return best_range(np.concatenate([np.concatenate([x, [x.min(), x.max()]]) for x in each]))


@pytest.mark.parametrize("configuration", HALF[1:], ids=str)
def test_ranges_are_those_of_the_network_in_pytorch(
    half: Half, clips: Any, configuration: Configuration
) -> None:
    """At the configuration's frames, width and statistics: of the pictures, of the features between the
    stages, and of the first block's output."""
    found = half.ranges(configuration, clips)
    model: Any = half.checkpoint.model
    run = Run(0.5, str(configuration))
    windows = [model.fit(clip[None], configuration)[0].transpose(0, 1) for clip in clips]
    with torch.inference_mode():
        features = [model.frame_stage(pictures, run) for pictures in windows]
        res4 = [model.res4(x, run) for x in features]
    assert found["features"] == pytest.approx(expected_of(features), rel=1e-3)
    (pictures,) = (n for n, value in half.plans["frame"].activations.items() if value == "pictures")
    low, high = found[pictures]
    assert min(-low, high) > 0
    assert max(-low, high) <= max(float(w.abs().max()) for w in windows)
    wanted = expected_of(res4)
    assert any(one == pytest.approx(wanted, rel=1e-3) for name, one in found.items() if name[:4] == "clip")


def test_every_activation_of_every_plan_gets_one(half: Half, clips: Any) -> None:
    """Nothing more, and all finite."""
    found = half.ranges(HALF[1], clips)
    assert set(found) == {name for plan in half.plans.values() for name in plan.activations}
    assert np.isfinite(list(found.values())).all()
    assert all(low <= 0 <= high and low < high for low, high in found.values())


def test_each_configuration_has_its_own(half: Half, clips: Any) -> None:
    """The same width and size with other frames, and thus other statistics, has other ranges; measuring one
    leaves nothing behind for the next."""
    first = half.ranges(HALF[1], clips)
    other = half.ranges(HALF[2], clips)
    again = half.ranges(HALF[1], clips)
    assert again == first
    differing = [name for name in first if first[name] != pytest.approx(other[name], rel=1e-6)]
    assert len(differing) > 0.8 * len(first)


def test_the_precision_of_the_name_does_not_matter(half: Half, clips: Any) -> None:
    """An int8 configuration has the statistics of its fp32 twin."""
    assert half.ranges(HALF[1].at("int8"), clips) == half.ranges(HALF[1], clips)


def test_only_the_frames_that_it_looks_at_count(half: Half, clips: Any) -> None:
    """Two of four: the second and the fourth may hold anything."""
    changed = clips.clone()
    changed[:, :, [1, 3]] = 1e6
    assert half.ranges(HALF[1], changed) == half.ranges(HALF[1], clips)
    assert half.ranges(HALF[2], changed) != half.ranges(HALF[2], clips)


def test_no_graph_is_left_behind(half: Half, clips: Any) -> None:
    """An export lists every file of its folder."""
    half.ranges(HALF[1], clips)
    assert {file.name for file in half.folder.iterdir()} == {"weights.bin"}
