"""A loaded configuration: its own statistics take effect, and what was loaded is proved."""

from __future__ import annotations

from collections.abc import Callable
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
    ListSource,
    copy_of,
    pictures,
    sign_again,
)

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.engine.pool import SessionPool
from a3d_edge.engine.session import (
    BundleNetwork,
    available_threads,
    open_network,
    probe_pictures,
    relative_error,
)
from a3d_edge.errors import A3DEdgeError, BundleError, UsageError
from a3d_edge.runtime import Runtime
from a3d_edge.video.preprocess import preprocess
from a3d_edge.video.sampler import Pathway

NARROW = [c for c in CONFIGURATIONS if c.width == 0.5]


def clip(configuration: Configuration, seed: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Random pictures (T, 3, S, S)."""
    shape = (configuration.frames, 3, configuration.size, configuration.size)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_every_configuration_computes_what_pytorch_does(bundle: Bundle) -> None:
    """On inputs the export never saw, each with its own width, size, frames and statistics."""
    torch = pytest.importorskip("torch")
    from fixtures_bundle import calibrated_checkpoint

    model = calibrated_checkpoint().model
    for configuration in CONFIGURATIONS:
        network = open_network(bundle.files_of(configuration), threads=1)
        window = clip(configuration)
        with torch.inference_mode():
            expected = model(torch.from_numpy(window).transpose(0, 1)[None], configuration)[0].numpy()
        got = network.logits(network.encode(window))
        assert relative_error(got, expected) < 1e-4


def test_statistics_of_a_configuration_change_its_output(bundle: Bundle) -> None:
    """Two configurations of one width share graphs and weights; the same input gives another answer."""
    window = clip(Configuration(0.5, 32, 4))
    logits = []
    for configuration in NARROW:
        network = open_network(bundle.files_of(configuration), threads=1)
        logits.append(network.logits(network.encode(window)))
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert relative_error(logits[first], logits[second]) > 0.02


def test_each_stage_has_its_own_statistics(bundle: Bundle) -> None:
    """Those of the frame stage and those of the clip stage are both put in."""
    window = clip(Configuration(0.5, 32, 4))
    one, other = (open_network(bundle.files_of(c), threads=1) for c in NARROW[1:])
    features, others = one.encode(window), other.encode(window)
    assert relative_error(features, others) > 0.02
    assert relative_error(one.logits(features), other.logits(features)) > 0.02


def test_frames_are_encoded_each_by_itself(bundle: Bundle) -> None:
    """Together or one by one, in any order: the same features."""
    network = open_network(bundle.files_of(LARGEST), threads=1)
    window = clip(LARGEST)
    together = network.encode(window)
    assert together.shape[0] == 4
    assert together.shape[1:3] == (5, 5)
    singly = np.concatenate([network.encode(picture[None]) for picture in window])
    np.testing.assert_allclose(together, singly, rtol=1e-4, atol=1e-5)


def test_scores_are_a_softmax(bundle: Bundle) -> None:
    """Positive, they sum to 1, and order as the logits do; huge logits do not overflow."""
    network = open_network(bundle.files_of(SMALLEST), threads=1)
    features = network.encode(clip(SMALLEST)) * np.float32(1e4)
    scores, logits = network.classify(features), network.logits(features)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1.0, abs=1e-6)
    assert scores.argmax() == logits.argmax()


def test_scores_are_at_the_configuration_s_temperature(bundle: Bundle) -> None:
    """The softmax of logits over it; logits, and so the label, stay."""
    files = bundle.files_of(SMALLEST)
    assert files.temperature == 1.0
    plain, warm = (open_network(replace(files, temperature=t), threads=1) for t in (1.0, 2.5))
    features = plain.encode(clip(SMALLEST))
    logits = plain.logits(features).astype(np.float64)
    np.testing.assert_array_equal(warm.logits(features), plain.logits(features))
    for network, temperature in ((plain, 1.0), (warm, 2.5)):
        raised = np.exp(logits / temperature)
        np.testing.assert_allclose(network.classify(features), raised / raised.sum(), rtol=1e-5)


def test_statistics_that_do_not_fit_the_probe_are_noticed(bundle: Bundle) -> None:
    """Statistics of another configuration, as if they had silently not been put in: refused on opening."""
    entries = dict(bundle.manifest.configurations)
    entries[NARROW[1]] = entries[NARROW[1]].model_copy(update={"offset": entries[NARROW[2]].offset})
    wrong = replace(bundle, manifest=bundle.manifest.model_copy(update={"configurations": entries}))
    with pytest.raises(BundleError, match=r"w0\.50-s32-t2 does not compute what was exported"):
        open_network(wrong.files_of(NARROW[1]), threads=1)
    open_network(wrong.files_of(NARROW[2]), threads=1)


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_a_probe_that_does_not_agree_is_noticed(bundle: Bundle, value: float) -> None:
    """Other logits than those in the manifest, or no number at all."""
    entries = dict(bundle.manifest.configurations)
    probe = (*entries[LARGEST].probe[:-1], value)
    entries[LARGEST] = entries[LARGEST].model_copy(update={"probe": probe})
    wrong = replace(bundle, manifest=bundle.manifest.model_copy(update={"configurations": entries}))
    with pytest.raises(BundleError, match=r"w1\.00-s37-t4 does not compute what was exported"):
        open_network(wrong.files_of(LARGEST), threads=1)


def test_the_probe_is_the_same_everywhere() -> None:
    """Pinned values: a bundle's probe logits must mean the same input on every machine and version."""
    probe = probe_pictures(Pathway((0, 4), 32))
    assert (probe.shape, probe.dtype) == ((2, 3, 32, 32), np.float32)
    # By hand: (k · 2654435761 + (k // 32) · 40503) mod 65521, mapped to [-1, 1].
    for place in (0, 1, 33, 6143):
        hashed = (place * 2654435761 + place // 32 * 40503) % 65521
        assert probe.reshape(-1)[place] == pytest.approx(hashed * 2 / 65520 - 1, abs=1e-6)
    assert probe.std() > 0.5


@pytest.mark.parametrize(
    ("content", "why"), [(b"not a graph", "is no ONNX graph"), (b"", "is no ONNX graph")]
)
def test_a_graph_that_is_none_is_a_bundle_error(
    bundle: Bundle, tmp_path: Path, content: bytes, why: str
) -> None:
    """Signed but not ONNX, or nothing: the file is named, in one line."""
    folder = copy_of(bundle.path, tmp_path / "copy")
    graph = folder / "w0.50.frame.onnx"
    graph.write_bytes(content)
    sign_again(folder)
    with pytest.raises(BundleError, match=rf"w0\.50\.frame\.onnx: {why}") as caught:
        Bundle.load(folder).open(SMALLEST)
    assert "\n" not in str(caught.value)
    Bundle.load(folder).open(LARGEST)


def test_an_input_that_does_not_fit_is_an_error_of_ours(bundle: Bundle) -> None:
    """What ONNX Runtime raises has no common type; callers see ours."""
    network = open_network(bundle.files_of(SMALLEST), threads=1)
    with pytest.raises(A3DEdgeError, match=r"w0\.50.*: ONNX Runtime failed"):
        network.encode(np.zeros((1, 4, 18, 18), np.float32))


def test_a_configuration_the_bundle_lacks_is_a_usage_error(bundle: Bundle) -> None:
    """Before anything is loaded."""
    with pytest.raises(UsageError, match="is not in the table"):
        BundleNetwork(bundle.files_of(Configuration(0.5, 32, 3)), 1)


def test_a_window_of_pictures_is_classified(bundle: Bundle) -> None:
    """Of all 8 frames of a window or of its 4 sampled ones, those of the configuration are looked at."""
    network = bundle.open("w0.50-s32-t2", threads=1)
    every = list(pictures(8))
    sampled = every[::2]
    # T = 2 of 4 picks the first and the third sampled frame: 0 and 4 of all.
    chosen = np.stack([preprocess([every[i]], 32, bundle.preprocessing) for i in (0, 4)])
    scores = network.classify(network.encode(chosen))
    expected = (bundle.classes[int(scores.argmax())], pytest.approx(float(scores.max()), abs=1e-6))
    assert network.classify_clip(every) == expected
    assert network.classify_clip(sampled) == expected
    changed = [picture if i in (0, 4) else 255 - picture for i, picture in enumerate(every)]
    assert network.classify_clip(changed) == expected
    for wrong in (0, 1, 3):
        with pytest.raises(UsageError, match=f"{wrong} frames are too few for a window of 0.27 s; give 4"):
            network.classify_clip([every[0]] * wrong)
    for clip in (every[0], [one.astype(np.float32) for one in every], [one[..., 0] for one in every]):
        with pytest.raises(UsageError, match=r"must be \(H, W, 3\) uint8, BGR.* this one is an array"):
            network.classify_clip(clip)
    for clip in (None, 7, iter(every), dict(enumerate(every)), "clip.mp4"):
        with pytest.raises(UsageError, match=r"a clip must be a list of frames, each \(H, W, 3\) uint8"):
            network.classify_clip(clip)  # type: ignore[arg-type]
    assert network.classify_clip(np.stack(every)) == expected


def test_threads_are_the_cores_we_may_use() -> None:
    """At least one."""
    assert available_threads() >= 1


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_too_many_threads_are_refused_wherever_they_enter(bundle: Bundle, threads: int) -> None:
    """Before any is started: opening one network, a pool of them, a run."""
    for attempt in (
        lambda: open_network(bundle.files_of(SMALLEST), threads=threads),
        lambda: bundle.open(SMALLEST, threads=threads),
        lambda: SessionPool(bundle.networks, threads=threads),
        lambda: Runtime(bundle, ListSource(3), threads=threads),
    ):
        with pytest.raises(UsageError, match=f"`threads` {threads} is not from 1 to"):
            attempt()


@pytest.mark.parametrize(("got", "error"), [([1.0, -2.0], 0.0), ([1.0, -1.0], 0.5), ([3.0, -2.0], 1.0)])
def test_relative_error(got: list[float], error: float) -> None:
    """The largest difference over the largest expected value, so that logits near zero do not explode it."""
    assert relative_error(np.array(got), np.array([1.0, -2.0])) == pytest.approx(error)


# Two pathways


def test_pathways_are_what_the_network_looks_at(bundle: Bundle, slowfast: Bundle) -> None:
    """One at its configuration's instants and size; or that, and the whole Fast one."""
    assert open_network(bundle.files_of(Configuration(0.5, 32, 2)), threads=1).pathways == (
        Pathway((0, 4), 32),
    )
    smaller, largest = TWO_PATHWAYS[1], TWO_PATHWAYS[-1]
    fast = tuple(range(16))
    assert open_network(slowfast.files_of(smaller), threads=1).pathways == (
        Pathway((0, 8), 19),
        Pathway(fast, 32),
    )
    assert open_network(slowfast.files_of(largest), threads=1).pathways == (
        Pathway((0, 4, 8, 12), 37),
        Pathway(fast, 37),
    )


def test_without_a_frame_stage_the_pictures_are_kept(slowfast: Bundle) -> None:
    """Those of either pathway, as they are."""
    network = open_network(slowfast.files_of(TWO_PATHWAYS[0]), threads=1)
    for place, pathway in enumerate(network.pathways):
        given = probe_pictures(pathway)
        assert np.array_equal(network.encode(given, place), given)
        assert network.encode_window([given])[0] is given


def altered(files: NetworkFiles, layer: str, file: Path) -> NetworkFiles:
    """The same network with other statistics of one batch norm, in ``file``."""
    own = files.own.read()
    for stage in own.values():
        if f"{layer}.running_mean" in stage:
            stage[f"{layer}.running_mean"] += np.float32(0.5)
            stage[f"{layer}.running_var"] *= np.float32(2.0)
    file.write_bytes(b"".join(own[one.stage][one.name].tobytes() for one in files.own.tensors))
    return replace(files, own=replace(files.own, file=file, offset=0))


@pytest.mark.parametrize(
    "layer",
    ["slow.stem.norm", "slow.res5.blocks.0.c.norm", "fast.stem.norm", "fast.res3.blocks.0.shortcut.norm",
     "fuse_stem.norm", "fuse_res4.norm"],
)  # fmt: skip
def test_statistics_of_every_pathway_are_put_in_and_proved(
    slowfast: Bundle, layer: str, tmp_path: Path
) -> None:
    """Were those of one layer others, or not put in at all, the probe would not agree."""
    for configuration in (TWO_PATHWAYS[0], TWO_PATHWAYS[-1]):
        files = slowfast.files_of(configuration)
        open_network(files, threads=1)
        with pytest.raises(BundleError, match=f"{configuration} does not compute what was exported"):
            open_network(altered(files, layer, tmp_path / "own.bin"), threads=1)


def test_statistics_of_another_configuration_of_two_pathways_are_noticed(slowfast: Bundle) -> None:
    """Of the same width and frames, only of another size."""
    entries = dict(slowfast.manifest.configurations)
    one, other = TWO_PATHWAYS[-2:]
    entries[one] = entries[one].model_copy(update={"offset": entries[other].offset})
    wrong = replace(slowfast, manifest=slowfast.manifest.model_copy(update={"configurations": entries}))
    with pytest.raises(BundleError, match=f"{one} does not compute what was exported"):
        open_network(wrong.files_of(TWO_PATHWAYS[-2]), threads=1)


def exchange_inputs(graph: Any) -> None:
    """The slow pathway's pictures where the Fast one's belong, and the reverse."""
    names = {"slow": "fast", "fast": "slow"}
    for given in graph.input:
        given.name = names[given.name]
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)


def rename_input(graph: Any) -> None:
    """An input that this version does not know."""
    graph.input[0].name = "medium"
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = "medium" if name == "slow" else name


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (exchange_inputs, BundleError, "its inputs are not slow, fast"),
        (rename_input, BundleError, "its inputs are not slow, fast"),
    ],
)
def test_a_graph_with_other_inputs_is_refused(
    slowfast: Bundle, tmp_path: Path, change: Callable[[Any], None], error: type[Exception], message: str
) -> None:
    """Inputs exchanged would compute something, for a graph takes any size and number of frames."""
    onnx = pytest.importorskip("onnx")
    folder = copy_of(slowfast.path, tmp_path / "copy")
    path = folder / "w0.50.clip.onnx"
    model = onnx.load(path, load_external_data=False)
    change(model.graph)
    path.write_bytes(model.SerializeToString())
    sign_again(folder)
    with pytest.raises(error, match=message):
        Bundle.load(folder).open(TWO_PATHWAYS[0])


@pytest.mark.parametrize("name", ["w0.50-s32-t1", "w0.70-s27-t3", "w1.00-s37-t4"])
def test_a_window_of_two_pathways_is_classified(slowfast: Bundle, name: str) -> None:
    """Of a camera of 30 or 60 frames a second: each pathway sees its own instants at its own size."""
    network = slowfast.open(name, threads=1)
    every = list(pictures(16))
    window = [
        np.stack([preprocess([every[i]], pathway.size, slowfast.preprocessing) for i in pathway.instants])
        for pathway in network.pathways
    ]
    scores = network.classify(*network.encode_window(window))
    expected = (slowfast.classes[int(scores.argmax())], pytest.approx(float(scores.max()), abs=1e-6))
    assert network.classify_clip(every) == expected
    assert network.classify_clip([image for image in every for _ in range(2)]) == expected
    late = [*every[:15], 255 - every[15]]  # only the Fast pathway looks at the last one
    assert network.classify_clip(late)[1] != expected[1]
    with pytest.raises(UsageError, match=r"15 frames are too few for a window of 0\.53 s; give 16"):
        network.classify_clip(every[:15])
