"""Which form of a depth-wise 3×3×3 convolution is quickest in ONNX Runtime? All three compute the same.

    python benchmarks/depthwise_forms.py [--rounds 25] [--threads 1 2]

- taps: rank 4, three depth-wise 3×3 convolutions whose results are shifted in time and added; the graph that
  the exporter writes for an X3D-style network (`a3d_edge.models.layers`);
- interleaved: rank 4, one grouped convolution whose groups are a channel's previous, this and next frame;
- rank 5: one depth-wise convolution over (1, C, T, S, S).

Rounds are interleaved, so that a load of others meets all forms alike. The convolution runs alone, as a graph
of its own. Writes docs/results/depthwise_forms.md.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import torch
from _options import parser_of
from a3d_edge.exporters.onnx_graph import OPSET, float32, lower_stage
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from a3d_edge.device.machine import describe_machine
from a3d_edge.models.layers import SlimConv
from a3d_edge.models.widths import Run
from a3d_edge.profiling.turns import in_turns, timed_ms

ROOT = Path(__file__).resolve().parents[1]
SHAPES = ((16, 56, 56), (16, 216, 14), (4, 112, 28))
"""(T, C, side) of X3D-M's res2 and res4 at 224²×16, and of its res3 at 4 frames."""

FORMS = ("taps", "interleaved", "rank 5")
END = 2**62
Array = NDArray[np.float32]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "depthwise_forms.md")
    arguments = parser.parse_args()
    rows = [measure(s, n, arguments.rounds) for n in arguments.threads for s in SHAPES]
    text = "\n".join([*heading(arguments.rounds), *rows, ""])
    print(text)
    arguments.out.write_text(text, encoding="utf-8")


def heading(rounds: int) -> list[str]:
    here = describe_machine()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    columns = " | ".join(f"{form}, ms" for form in FORMS)
    return [
        "# Forms of a depth-wise 3×3×3 convolution",
        "",
        f"Written by `python benchmarks/depthwise_forms.py`: the convolution alone, medians of {rounds}",
        f"interleaved runs. ONNX Runtime {version('onnxruntime')}, Python {here['python']}, "
        f"torch {torch.__version__};",
        f"{here['name']}, load of all programs {load}.",
        "",
        "- taps: three depth-wise 3×3 convolutions, shifted in time and added; what the exporter writes",
        "- interleaved: one grouped convolution over a channel's previous, this and next frame",
        "- rank 5: one depth-wise convolution over (1, C, T, S, S)",
        "",
        "In brackets: time over that of the taps. Idle threads do not spin. The last column is the largest",
        "difference between the three results, over their largest value.",
        "",
        f"| threads | T | C | side | {columns} | difference |",
        "|--:|--:|--:|--:|" + "--:|" * (len(FORMS) + 1),
    ]


def measure(shape: tuple[int, int, int], threads: int, rounds: int) -> str:
    """One row: all forms at one shape."""
    frames, channels, side = shape
    torch.manual_seed(0)
    conv = SlimConv(channels, channels, (3, 3, 3), depthwise=True).eval()
    weight = float32(conv.weight)
    x = np.random.default_rng(0).normal(size=(frames, channels, side, side)).astype(np.float32)
    clip = np.ascontiguousarray(x.transpose(1, 0, 2, 3)[None])
    models = {
        "taps": (as_exported(conv, x), x),
        "interleaved": (interleaved(weight, x.shape), x),
        "rank 5": (rank_5(weight, clip.shape), clip),
    }
    sessions = {form: (session(model, threads), given) for form, (model, given) in models.items()}
    results = [run(*sessions["taps"]), run(*sessions["interleaved"]), run(*sessions["rank 5"])]
    results[2] = results[2][0].transpose(1, 0, 2, 3)
    scale = max(float(np.abs(y).max()) for y in results)
    difference = max(float(np.abs(y - results[2]).max()) for y in results) / scale
    sides = {form: partial(timed_ms, partial(run, *one)) for form, one in sessions.items()}
    medians = {form: statistics.median(times) for form, times in in_turns(sides, rounds).items()}
    cells = " | ".join(f"{ms:.2f} ({ms / medians['taps']:.2f}×)" for ms in medians.values())
    return f"| {threads} | {frames} | {channels} | {side} | {cells} | {difference:.0e} |"


def run(network: ort.InferenceSession, x: Array) -> Array:
    result: Array = network.run(None, {"x": x})[0]
    return result


def session(model: onnx.ModelProto, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # forms must not disturb others
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def as_exported(conv: SlimConv, x: Array) -> onnx.ModelProto:
    """What the exporter makes of the layer."""
    channels, side = x.shape[1], x.shape[2]
    shape = ("frames", channels, side, side)
    graph = lower_stage(
        lambda frames: conv(frames, Run()),
        conv,
        [torch.from_numpy(x)],
        name="taps",
        inputs=[("x", shape)],
        outputs=("y", shape),
        stored={"weight": ir.tensor(float32(conv.weight), name="weight")},
    )
    return ir.to_proto(graph)


def interleaved(weight: Array, shape: Sequence[int]) -> onnx.ModelProto:
    """Previous, this and next frame of a channel side by side, and one filter of three inputs a channel."""
    frames, channels, side = shape[0], shape[1], shape[2]
    nodes = [
        helper.make_node("Slice", ["x", "first", "but_last", "time"], ["earlier"]),
        helper.make_node("Concat", ["zeros", "earlier"], ["previous"], axis=0),
        helper.make_node("Slice", ["x", "second", "end", "time"], ["later"]),
        helper.make_node("Concat", ["later", "zeros"], ["next"], axis=0),
        *(helper.make_node("Unsqueeze", [n, "two"], [f"{n}_"]) for n in ("previous", "x", "next")),
        helper.make_node("Concat", ["previous_", "x_", "next_"], ["beside"], axis=2),
        helper.make_node("Reshape", ["beside", "shape"], ["together"]),
        helper.make_node("Conv", ["together", "weight"], ["y"], group=channels, pads=[1] * 4),
    ]
    numbers = {"first": [0], "but_last": [-1], "second": [1], "end": [END], "time": [0], "two": [2]}
    stored = {name: np.array(values, np.int64) for name, values in numbers.items()}
    stored["shape"] = np.array([frames, 3 * channels, side, side], np.int64)
    floats = {"weight": weight[:, 0], "zeros": np.zeros((1, channels, side, side), np.float32)}
    return model_of(nodes, stored | floats, shape)


def rank_5(weight: Array, shape: Sequence[int]) -> onnx.ModelProto:
    """The convolution as PyTorch would export it."""
    nodes = [helper.make_node("Conv", ["x", "weight"], ["y"], group=shape[1], pads=[1] * 6)]
    return model_of(nodes, {"weight": weight}, shape)


def model_of(
    nodes: Sequence[onnx.NodeProto], stored: Mapping[str, NDArray[np.generic]], shape: Sequence[int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "form",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        initializer=[numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


if __name__ == "__main__":
    main()
