"""Which convolutions int8 would hurt: how far each one's rounded input moves the logits, and who is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

from a3d_edge.exporters import sensitivity  # noqa: E402
from a3d_edge.exporters.ranges import best_range, scale_of  # noqa: E402
from a3d_edge.exporters.sensitivity import LIMIT, MOST, WINDOWS, kept_in_float, shifts  # noqa: E402
from fixtures_bundle import calibrated_checkpoint, noise, tiny_slow  # noqa: E402

from a3d_edge.configuration import Configuration  # noqa: E402
from a3d_edge.errors import A3DEdgeError  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, norms  # noqa: E402
from a3d_edge.models.layers import ConvNorm  # noqa: E402
from a3d_edge.models.widths import Run  # noqa: E402

HERE, THERE = Configuration(0.5, 28, 1), Configuration(0.5, 32, 4)

# --- closed forms


class Sums(torch.nn.Module):  # type: ignore[misc]
    """Two blocks side by side: ``as_given`` reads the clip, ``in_steps`` reads it in whole numbers. A logit
    is the mean of what both read, times a factor that is the same for all."""

    def __init__(self) -> None:
        super().__init__()
        self.as_given, self.in_steps = (ConvNorm(1, 8, (1, 1, 1)) for _ in range(2))
        for block in (self.as_given, self.in_steps):
            block.conv.weight.data.fill_(1.0)
        self.eval()

    def forward(self, clips: Any, configuration: Configuration) -> Any:
        assert configuration.precision == "fp32"
        run = Run(1.0)
        x = clips[0] if isinstance(clips, list) else clips
        both = self.as_given(x, run) + self.in_steps(torch.round(x), run)
        return both.mean(dim=(2, 3, 4))


class Linear:
    """A checkpoint of `Sums`: what is measured of it follows from the numbers of the clips."""

    def __init__(self) -> None:
        self.model = Sums()


def windows(*values: float) -> Any:
    """Clips ``(N, 1, 1, 2, 2)``: half the numbers of each are 255, and half are its value. The range of both
    together is from 0 to 255, in steps of 1."""
    return torch.stack([torch.tensor([[255.0, value], [value, 255.0]]) for value in values])[:, None, None]


def moved(value: float) -> float:
    """The share of ``(255 + value)/2 + (255 + round(value))/2`` that rounding the first value makes."""
    return abs(round(value) - value) / 2 / ((255 + value) / 2 + (255 + round(value)) / 2)


def found_in(clips: Any) -> dict[str, float]:
    model: Any = Linear()
    return shifts(model, HERE.at("int8"), clips)


def test_a_shift_is_what_rounding_takes_from_the_largest_logit() -> None:
    """100.4 is rounded to 100, which of the largest logit is 0.06 %; whole numbers lose nothing."""
    found = found_in(windows(100.4))
    assert found == {
        "as_given": pytest.approx(moved(100.4), rel=1e-3), "in_steps": pytest.approx(0.0, abs=1e-7)
    }  # fmt: skip
    assert found["as_given"] == pytest.approx(0.2 / 355.2, rel=1e-3)


def test_of_several_windows_it_is_the_median() -> None:
    """Neither the window that loses most nor the mean."""
    assert moved(40.3) < moved(20.4) < moved(10.45)
    found = found_in(windows(10.45, 40.3, 20.4))
    assert found["as_given"] == pytest.approx(moved(20.4), rel=1e-3)


@pytest.mark.parametrize("pathways", [1, 2])
def test_only_the_first_windows_are_looked_at(pathways: int) -> None:
    """Of one pathway or several; the next would have made the range, and with it the steps, larger."""
    few = windows(*[20.4] * WINDOWS)
    many = torch.cat([few, windows(1e6)])
    assert found_in(many if pathways == 1 else [many, many]) == found_in(few if pathways == 1 else [few, few])
    assert found_in(windows(20.4, 1e6)) != found_in(few)


def test_an_input_that_is_not_finite_is_named() -> None:
    """With where it was seen, and what to do."""
    with pytest.raises(A3DEdgeError) as caught:
        found_in(windows(float("inf")))
    assert (
        str(caught.value) == "int8: the range of as_given's input at w0.50-s28-t1 is not finite; train again"
    )


# --- of a network


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """The tiny network, calibrated at both configurations."""
    return calibrated_checkpoint([HERE, THERE])


def clips_of(configuration: Configuration) -> Any:
    torch.manual_seed(5)
    return noise(tiny_slow(), configuration.size, 3)


def shift_by_hand(checkpoint: Checkpoint, name: str, configuration: Configuration, clips: Any) -> float:
    """The same with the convolution itself exchanged for one that rounds what it reads."""
    model: Any = checkpoint.model
    convolution = model.get_submodule(f"{name}.conv")
    original = convolution.forward

    def rounding(x: Any, run: Run) -> Any:
        values = x.numpy()
        scale, zero = scale_of(*best_range(np.concatenate([values.ravel(), [values.min(), values.max()]])))
        steps = np.clip(np.rint(values / scale) + int(zero), 0, 255) - int(zero)
        return original(torch.from_numpy((steps * scale).astype(np.float32)), run)

    with torch.inference_mode():
        expected = model(clips, configuration).numpy()
        convolution.forward = rounding
        try:
            got = model(clips, configuration).numpy()
        finally:
            del convolution.forward
    return float(np.median(np.abs(got - expected).max(axis=1) / np.abs(expected).max(axis=1)))


@pytest.mark.parametrize("configuration", [HERE, THERE], ids=str)
def test_every_convolution_is_tried_alone(checkpoint: Checkpoint, configuration: Configuration) -> None:
    """Each at the configuration's frames, width and statistics, with all others as they are."""
    clips = clips_of(configuration)
    found = shifts(checkpoint, configuration.at("int8"), clips)
    assert set(found) == {name.removesuffix(".norm") for name in norms(checkpoint.model)}
    for name, shift in found.items():
        assert shift == pytest.approx(shift_by_hand(checkpoint, name, configuration, clips), rel=0.02), name
    assert len(set(found.values())) == len(found)


def test_the_network_is_left_as_it_was(checkpoint: Checkpoint) -> None:
    """Nothing stays hooked into it."""
    model, clips = checkpoint.model, clips_of(HERE)
    with torch.inference_mode():
        before = model(clips, HERE)
        shifts(checkpoint, HERE, clips)
        after = model(clips, HERE)
    assert torch.equal(before, after)
    assert not any(module._forward_pre_hooks for module in model.modules())


# --- who is kept

NAMES = [f"block{number}" for number in range(32)]
ROOM = int(len(NAMES) * MOST)


def kept(
    monkeypatch: pytest.MonkeyPatch, *measured: dict[str, float], among: list[str] = NAMES
) -> frozenset[str]:
    """With these shifts, in multiples of the limit, at one configuration after the other; else none."""
    configurations = [HERE, THERE][: len(measured)]
    clips: Any = {one: f"clips of {one}" for one in configurations}
    by_name = dict(zip(configurations, measured, strict=True))

    def fake(checkpoint: object, configuration: Configuration, given: object) -> dict[str, float]:
        assert given == f"clips of {configuration}"
        return {name: LIMIT * by_name[configuration].get(name, 0.0) for name in among}

    monkeypatch.setattr(sensitivity, "shifts", fake)
    nobody: Any = None
    return kept_in_float(nobody, configurations, clips)


def test_what_moves_the_logits_beyond_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays below, or at it, is quantized, and most often all is."""
    assert ROOM >= 2
    assert kept(monkeypatch, {"block3": 1.01, "block9": 1.0, "block4": 0.9}) == {"block3"}
    assert kept(monkeypatch, {"block4": 0.9}) == frozenset()


def test_the_worst_configuration_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """All configurations of a width share its graph: what hurts at one is kept at all."""
    assert kept(monkeypatch, {"block3": 5.0}, {"block3": 0.1, "block7": 2.0}) == {"block3", "block7"}


def test_of_too_many_the_worst_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a share of all, for what stays fp32 is slow."""
    measured = {name: 2.0 + (7 * number) % 32 for number, name in enumerate(NAMES)}
    assert len(set(measured.values())) == 32
    worst = sorted(measured, key=lambda name: measured[name])[-ROOM:]
    assert kept(monkeypatch, measured) == set(worst)


def test_a_small_network_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of fewer convolutions than the share's inverse not even one."""
    few = NAMES[: int(1 / MOST) - 1]
    assert kept(monkeypatch, dict.fromkeys(few, 9.0), among=few) == frozenset()
