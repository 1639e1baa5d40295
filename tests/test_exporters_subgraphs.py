"""The subgraphs of a width: their stages, the shapes they say, and where their statistics lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx_ir")

import onnx_ir as ir  # noqa: E402
from a3d_edge.exporters.onnx_graph import float32  # noqa: E402
from a3d_edge.exporters.store import write_statistics, write_weights  # noqa: E402
from a3d_edge.exporters.subgraphs import lower_width, write_width  # noqa: E402
from a3d_edge.exporters.write_bundle import unmeasured_table  # noqa: E402
from fixtures_bundle import CONFIGURATIONS, TWO_PATHWAYS, calibrated_checkpoint, tiny_slowfast  # noqa: E402

from a3d_edge.manifest import NormEntry  # noqa: E402
from a3d_edge.models.checkpoint import Checkpoint, norms  # noqa: E402

TWO = (CONFIGURATIONS[1], CONFIGURATIONS[3])  # w0.50-s32-t2, w0.70-s23-t3


class Written:
    """A checkpoint's weights and statistics in a folder, and the graphs of width 0.7 over them."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint: Checkpoint = calibrated_checkpoint(TWO)
        self.folder = folder
        self.stored = write_weights(self.checkpoint, folder / "weights.bin")
        table = unmeasured_table(self.checkpoint, TWO)
        self.offsets = write_statistics(self.checkpoint, table, folder / "statistics.bin")
        self.place = (folder / "statistics.bin", self.offsets[TWO[1]])
        lowered = lower_width(self.checkpoint, 0.7, self.stored, self.place)
        self.entry = write_width(self.checkpoint, 0.7, lowered, folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Lowered once."""
    return Written(tmp_path_factory.mktemp("written"))


def graph(written: Written, stage: str) -> ir.Graph:
    """As it lies on the disk."""
    return ir.load(written.folder / f"w0.70.{stage}.onnx").graph


def shapes(values: list[ir.Value]) -> list[tuple[str, list[str]]]:
    """Names and dimensions as text."""
    return [(str(v.name), [str(d) for d in v.shape or ()]) for v in values]


def test_both_stages_and_their_batch_norms_are_entered(written: Written) -> None:
    """In the order of definition, each with its channels at this width and the stage that it runs in."""
    entry = written.entry
    assert (entry.frame, entry.clip) == ("w0.70.frame.onnx", "w0.70.clip.onnx")
    assert entry.volume == "w0.70.volume.onnx"
    assert entry.norms == tuple(
        NormEntry(
            name=name,
            channels=norm.channels_at(0.7),
            stage="frame" if name.split(".")[0] in ("stem", "res2", "res3") else "clip",
        )
        for name, norm in norms(written.checkpoint.model).items()
    )
    assert entry.tensors == ()


def test_a_graph_says_what_it_takes_and_gives(written: Written) -> None:
    """Any number of frames of any size; the clip stage begins with what the frame stage ends with."""
    frame = graph(written, "frame")
    assert shapes(list(frame.inputs)) == [("pictures", ["frames", "3", "size", "size"])]
    assert shapes(list(frame.outputs)) == [("features", ["frames", "height", "width", "48"])]
    for clip in (graph(written, "clip"), graph(written, "volume")):
        assert shapes(list(clip.inputs)) == shapes(list(frame.outputs))
        assert shapes(list(clip.outputs)) == [("logits", ["1", "3"])]


def test_statistics_are_those_at_the_place_given(written: Written) -> None:
    """Mean and variance of every batch norm are this width's configuration's, not the first in the file."""
    found = {
        name: v.const_value for s in ("frame", "clip") for name, v in graph(written, s).initializers.items()
    }
    for name, norm in norms(written.checkpoint.model).items():
        mean, variance = norm.calibrated[str(TWO[1])]
        for suffix, vector in (("running_mean", mean), ("running_var", variance)):
            tensor = found[f"{name}.{suffix}"]
            assert isinstance(tensor, ir.ExternalTensor)
            assert tensor.location == "statistics.bin"
            np.testing.assert_array_equal(tensor.numpy(), float32(vector))
    weights = {name for name in found if name.endswith(("weight", "bias"))}
    assert weights == set(dict(written.checkpoint.model.named_parameters()))


def test_two_pathways_are_one_graph(tmp_path: Path) -> None:
    """It takes both pathways' pictures, the Fast one's of their own size and number, and gives logits."""
    checkpoint = calibrated_checkpoint([TWO_PATHWAYS[0]], tiny_slowfast())
    stored = write_weights(checkpoint, tmp_path / "weights.bin")
    ((stage, model),) = lower_width(checkpoint, 0.5, stored, (tmp_path / "statistics.bin", 0)).items()
    assert stage == "clip"
    assert shapes(list(model.graph.inputs)) == [
        ("slow", ["frames", "3", "size", "size"]),
        ("fast", ["fast_frames", "3", "fast_size", "fast_size"]),
    ]
    assert shapes(list(model.graph.outputs)) == [("logits", ["1", "3"])]
