"""One mutual step against a plain implementation of the paper's Eq. 3."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from a3d_edge.configuration import Configuration
from a3d_edge.models.network import Clips, SlimNetwork, fit_pathway
from a3d_edge.models.ranges import RANGES
from a3d_edge.models.slow import Slow, SlowDescription
from a3d_edge.models.slowfast import SlowFast, SlowFastDescription
from a3d_edge.models.widths import Run
from a3d_edge.training.distillation import backward, seed_step, subnetworks
from a3d_edge.training.settings import Settings, drawn

STUDENTS = (Configuration(0.5, 24, 2), Configuration(0.83, 32, 3))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(4)
    return torch.randn(5, 3, 4, 32, 32), torch.tensor([0, 1, 2, 2, 0])


@pytest.fixture
def network(tiny_description: SlowDescription, lively: Callable[..., Slow]) -> Callable[[], Slow]:
    """Copies of one lively network in training mode, of useful confidence."""

    def build() -> Slow:
        model = lively(tiny_description).train()
        with torch.no_grad():
            model.head.weight.mul_(20)
        return model

    return build


def gradients(model: SlimNetwork) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def log_softmax(logits: Tensor) -> Tensor:
    shifted = logits - logits.max(dim=1, keepdim=True).values
    return shifted - shifted.exp().sum(dim=1, keepdim=True).log()


def smaller(clips: Tensor, student: Configuration) -> Tensor:
    """Frames floor(i / γt) of the same clips, each resized."""
    frames = [i * clips.shape[2] // student.frames for i in range(student.frames)]
    return fit_pathway(clips[:, :, frames], student.frames, student.size)


def plain_equation_3(model: SlimNetwork, clips: Clips, labels: Tensor) -> tuple[Tensor, Tensor]:
    """CE(full, y) and Σ over students of the mean over clips of Σ_c p_full·log(p_full / p_student)."""
    full = log_softmax(model.run(clips, Run()))
    cross_entropy = -full[torch.arange(len(labels)), labels].mean()
    teacher = full.detach()
    divergences = []
    for student in STUDENTS:
        # Of two pathways only the slow one gives anything up (paper §3.2).
        own = smaller(clips, student) if isinstance(clips, Tensor) else [smaller(clips[0], student), clips[1]]
        output = log_softmax(model.run(own, Run(student.width)))
        divergences.append((teacher.exp() * (teacher - output)).sum(dim=1).mean())
    return cross_entropy, torch.stack(divergences).sum()


def test_gradients_are_those_of_equation_3(network: Callable[[], Slow], batch: tuple[Tensor, Tensor]) -> None:
    """Three separate backwards give the gradients of the summed loss, and report its parts."""
    assert_equation_3(network(), network(), *batch)


def test_a_slowfast_learns_by_the_same_step(
    tiny_slowfast: SlowFastDescription, lively: Callable[..., SlowFast]
) -> None:
    """Both pathways, fusion and head get the gradients of the summed loss; Fast is never made smaller."""
    torch.manual_seed(4)
    clips = [torch.randn(3, 3, 4, 32, 32), torch.randn(3, 3, 16, 32, 32)]
    models = [lively(tiny_slowfast).train().double() for _ in range(2)]
    for model in models:
        model.head.weight.data.mul_(20)
    assert_equation_3(*models, [x.double() for x in clips], torch.tensor([0, 1, 2]))


def assert_equation_3(ours: SlimNetwork, plain: SlimNetwork, clips: Clips, labels: Tensor) -> None:
    """One step of ours has the losses and gradients of the plain implementation."""
    losses = backward(ours, clips, labels, STUDENTS)
    cross_entropy, divergence = plain_equation_3(plain, clips, labels)
    (cross_entropy + divergence).backward()
    assert losses.cross_entropy == pytest.approx(cross_entropy.item(), rel=1e-5)
    assert losses.distillation == pytest.approx(divergence.item(), rel=1e-4)
    expected = gradients(plain)
    for name, gradient in gradients(ours).items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5 * scale + 1e-7, msg=name)


def test_the_teacher_is_detached(network: Callable[[], Slow], batch: tuple[Tensor, Tensor]) -> None:
    """Students leave no gradient outside their slices: there the network learns from the labels alone."""
    alone, mutual = network(), network()
    backward(alone, *batch, ())
    backward(mutual, *batch, (STUDENTS[0],))
    outside = gradients(mutual)["res5.blocks.0.c.conv.weight"][128:]
    torch.testing.assert_close(outside, gradients(alone)["res5.blocks.0.c.conv.weight"][128:])
    assert outside.any()
    inside = gradients(mutual)["res5.blocks.0.c.conv.weight"][:128]
    assert not torch.allclose(inside, gradients(alone)["res5.blocks.0.c.conv.weight"][:128])


def test_a_student_like_its_teacher_has_nothing_to_learn(
    network: Callable[[], Slow], batch: tuple[Tensor, Tensor]
) -> None:
    """The full configuration as a student: divergence 0, and no gradient beyond the cross entropy's."""
    alone, mutual = network(), network()
    backward(alone, *batch, ())
    losses = backward(mutual, *batch, (Configuration(1.0, 32, 4),))
    assert losses.distillation == pytest.approx(0.0, abs=1e-6)
    for name, gradient in gradients(mutual).items():
        torch.testing.assert_close(gradient, gradients(alone)[name], rtol=1e-3, atol=1e-5)


def test_accuracy_and_smoothing(network: Callable[[], Slow], batch: tuple[Tensor, Tensor]) -> None:
    """Accuracy is the full network's share of right clips; smoothing mixes in the uniform distribution."""
    clips, labels = batch
    with torch.no_grad():
        logits = network().run(clips, Run())
    losses = backward(network(), clips, labels, (), smoothing=0.2)
    assert losses.accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
    full = log_softmax(logits)
    smooth = -(0.8 * full[torch.arange(5), labels] + 0.2 * full.mean(dim=1)).mean()
    assert losses.cross_entropy == pytest.approx(smooth.item(), rel=1e-5)


def test_gradients_accumulate(network: Callable[[], Slow], batch: tuple[Tensor, Tensor]) -> None:
    """The caller clears them: two steps without clearing give the sum."""
    once, twice = network(), network()
    backward(once, *batch, STUDENTS)
    for _ in range(2):
        backward(twice, *batch, STUDENTS)
    for name, gradient in gradients(twice).items():
        torch.testing.assert_close(gradient, 2 * gradients(once)[name], rtol=1e-4, atol=1e-6)


def test_students_depend_on_seed_and_step_alone() -> None:
    """A resumed run draws what it would have drawn."""
    drawn = [subnetworks(RANGES["0.06"], 112, 8, seed, step) for seed in (0, 1) for step in range(20)]
    assert drawn == [subnetworks(RANGES["0.06"], 112, 8, seed, step) for seed in (0, 1) for step in range(20)]
    assert len({pair[1] for pair in drawn}) == 40
    assert {pair[0].width for pair in drawn} == {0.63}


def drawn_at(settings: Settings, step: int = 5) -> tuple[Configuration | None, tuple[Configuration, ...]]:
    """What a step of ten trains of a network of 112² and 8 frames over [0.06, 1]."""
    return drawn(settings, RANGES["0.06"], 112, 8, step, 10)


def test_what_a_step_of_each_scheme_trains() -> None:
    """The paper's: full network, then two narrower; alone, and at many resolutions (Table 7): one network."""
    usual = drawn_at(Settings(seed=3))
    assert usual == (None, subnetworks(RANGES["0.06"], 112, 8, 3, 5))
    assert drawn_at(Settings(seed=3, mutual=False)) == (None, ())
    assert drawn_at(Settings(seed=3, students_from=0.6)) == (None, ())
    assert drawn_at(Settings(alone="w0.50-s64-t4")) == (Configuration(0.5, 64, 4), ())
    many = {drawn_at(Settings(multi_resolution=True), step) for step in range(200)}
    assert {students for _, students in many} == {()}
    chosen = {(first.width, first.size, first.frames) for first, _ in many if first is not None}
    assert chosen == {(1.0, size, frames) for size in (71, 89, 112) for frames in (3, 5, 8)}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_so_many_random_widths_beside_the_narrowest(count: int) -> None:
    """The first two are the paper's, whatever comes after them: one of seed and step has what three have."""
    _, students = drawn_at(Settings(random_widths=count))
    assert len(students) == 1 + count
    assert students[0].width == 0.63
    assert students == drawn_at(Settings(random_widths=3))[1][: 1 + count]
    assert all(0.63 <= student.width <= 1.0 for student in students)


def test_without_the_temporal_dimension_no_frame_is_given_up() -> None:
    """Table 6: half of width and size instead."""
    students = [one for step in range(50) for one in subnetworks(RANGES["0.06-no-frames"], 112, 8, 0, step)]
    assert {one.frames for one in students} == {8}
    assert {one.size for one in students} == {56, 74, 94, 112}
    assert min(one.width for one in students) == 0.5
    grid = RANGES["0.06-no-frames"].grid(224, 8)
    assert min(c.width**2 * c.size**2 for c in grid) / 224**2 == pytest.approx(1 / 16)


def test_alone_a_configuration_learns_from_the_labels(
    network: Callable[[], Slow], batch: tuple[Tensor, Tensor]
) -> None:
    """At its own width, size and frames; nothing else of the network gets a gradient."""
    ours, plain = network(), network()
    clips, labels = batch
    losses = backward(ours, clips, labels, (), first=STUDENTS[0])
    output = log_softmax(plain.run(smaller(clips, STUDENTS[0]), Run(STUDENTS[0].width)))
    entropy = -output[torch.arange(len(labels)), labels].mean()
    entropy.backward()
    assert (losses.cross_entropy, losses.distillation) == (pytest.approx(entropy.item(), rel=1e-5), 0.0)
    expected = gradients(plain)
    for name, gradient in gradients(ours).items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5 * scale + 1e-7, msg=name)
    assert not gradients(ours)["res5.blocks.0.c.conv.weight"][128:].any()


def test_without_distillation_students_learn_from_the_labels(
    network: Callable[[], Slow], batch: tuple[Tensor, Tensor]
) -> None:
    """Each by its own cross entropy, smoothed as the full network's is."""
    ours, plain = network(), network()
    clips, labels = batch
    losses = backward(ours, clips, labels, STUDENTS, 0.2, label_share=1.0)
    parts = []
    for own, width in [(clips, 1.0), *((smaller(clips, s), s.width) for s in STUDENTS)]:
        output = log_softmax(plain.run(own, Run(width)))
        parts.append(-(0.8 * output[torch.arange(5), labels] + 0.2 * output.mean(dim=1)).mean())
    torch.stack(parts).sum().backward()
    assert losses.cross_entropy == pytest.approx(parts[0].item(), rel=1e-5)
    assert losses.distillation == pytest.approx(parts[1].item() + parts[2].item(), rel=1e-5)
    expected = gradients(plain)
    for name, gradient in gradients(ours).items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5 * scale + 1e-7, msg=name)


def test_dropout_of_a_step_depends_on_seed_and_step_alone() -> None:
    """Whatever was drawn before."""
    draws = []
    for seed, step in [(0, 5), (0, 6), (1, 5), (0, 5)]:
        seed_step(seed, step)
        draws.append(torch.rand(4))
        torch.rand(7)
    assert torch.equal(draws[0], draws[3])
    assert not any(torch.equal(draws[0], other) for other in draws[1:3])


def test_in_bf16_the_gradients_are_nearly_those_of_float32(
    network: Callable[[], Slow], batch: tuple[Tensor, Tensor]
) -> None:
    """Of the same direction in every tensor, held in float32, and not the same bit for bit: it did run so."""
    whole, low = network(), network()
    exact = backward(whole, *batch, STUDENTS)
    rounded = backward(low, *batch, STUDENTS, precision="bf16")
    assert rounded.cross_entropy == pytest.approx(exact.cross_entropy, rel=0.05)
    expected, found = gradients(whole), gradients(low)
    assert expected.keys() == found.keys()
    assert all(gradient.dtype == torch.float32 for gradient in found.values())
    one, other = (torch.cat([g.flatten() for g in each.values()]) for each in (expected, found))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.95
    assert not torch.equal(one, other)
