"""What `hostile.py` tries on `run --people`: detectors' graphs and descriptions, and feeds of boxes."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from _hostile_cases import BAD_SOURCE, BAD_USE, ESCAPES, Case

REFUSED = (2, 3, 5)
"""What cannot be meant, cannot be opened, or is too much for the limits of a detector."""
DENSE = 200_000


def boxed(folder: Path) -> Path:
    """A bundle of a tiny network that answers for people in boxes. Needs PyTorch and onnx-ir."""
    import torch
    from a3d_edge.exporters.people import with_moving_boxes
    from a3d_edge.exporters.write_bundle import unmeasured_table, write_bundle

    from a3d_edge.configuration import Configuration
    from a3d_edge.models.checkpoint import Checkpoint
    from a3d_edge.models.slow import SlowDescription
    from a3d_edge.training.calibrate import calibrate_one

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    described = SlowDescription(
        name="t", blocks=(1, 1, 1, 1), base_width=8, classes=3, size=64, frames=4, stride=2, task="boxes"
    )
    one = Configuration.parse("w1.00-s64-t4")
    checkpoint = Checkpoint(described.build().eval(), ("punch", "hug", "kick"))
    checkpoint.model.head.weight.data.normal_(std=0.3)
    clips = {64: with_moving_boxes(torch.randn(3, 3, 4, 64, 64))}
    calibrate_one(checkpoint.model, one, [clips[64]])
    write_bundle(checkpoint, unmeasured_table(checkpoint, [one]), clips, folder / "bundle")
    return folder / "bundle"


def watching(bundle: Path, people: Path | str, *more: str) -> tuple[str, ...]:
    """The words of a short run that asks where people are."""
    run = ("run", "--source", "demo", "--bundle", str(bundle), "--people", str(people))
    return (*run, *(more or ("--max-predictions", "1")))


# Detectors


def detectors(folder: Path) -> Iterator[Case]:
    """A detector's graph, spoiled; then its description, and what lies in the place of either."""
    import onnx

    bundle = boxed(folder)
    for name, change in graphs().items():
        place = folder / name
        place.mkdir()
        model = detector()
        change(model)
        (place / "d.onnx").write_bytes(model.SerializeToString())
        (place / "d.json").write_text('{"kind": "yolox"}')
        yield Case(f"graph {name}", watching(bundle, place / "d.onnx"), (0,) if name == "sound" else REFUSED)
    for name, data in {
        "empty": b"", "noise": bytes(range(256)) * 40, "text": b"no graph", "cut": None,
        "deep": b"\x3a\x04\x0a\x02\x2a\x00" * 4000, "endless_number": b"\x3a" + b"\xff" * 4000,
    }.items():  # fmt: skip
        place = folder / f"bytes_{name}"
        place.mkdir()
        whole = detector().SerializeToString()
        (place / "d.onnx").write_bytes(whole[: len(whole) // 2] if data is None else data)
        (place / "d.json").write_text('{"kind": "yolox"}')
        yield Case(f"bytes {name}", watching(bundle, place / "d.json"), REFUSED)
    assert onnx.__version__
    yield from _outputs(folder, bundle)
    yield from _descriptions(folder, bundle)
    yield from _places(folder, bundle)


def detector(outputs: dict[str, Any] | None = None, size: Any = (64, 64)) -> Any:
    """A graph that gives what it is told, plus nothing times its input; the 84 rows of YOLOX by default."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    given = {"output": np.zeros((1, 84, 7), np.float32)} if outputs is None else outputs
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["none"]),
        *(helper.make_node("Add", [f"{name}_", "none"], [name]) for name in given),
    ]
    stored = {"zero": np.zeros(1, np.float32), **{f"{name}_": array for name, array in given.items()}}
    graph = helper.make_graph(
        nodes, "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in given],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def graphs() -> dict[str, Callable[[Any], None]]:
    """By name: what is done to a detector's graph."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node

    def constant(model: Any, name: str, values: Any, kind: Any = np.int64) -> str:
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def before(model: Any, *nodes: Any) -> None:
        """In front of all others, which read what the last gives in the place of the picture."""
        rest = list(model.graph.node)
        rest[0].input[0] = nodes[-1].output[0]
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *rest])

    def chain(op: str, count: int, **options: Any) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            names = ["images", *(f"m{i}" for i in range(count))]
            before(model, *(node(op, [a] * (2 if op == "Concat" else 1), [b], **options)
                            for a, b in pairwise(names)))  # fmt: skip

        return change

    def loop(model: Any) -> None:
        info = helper.make_tensor_value_info
        body = helper.make_graph(
            [node("Identity", ["go"], ["again"]), node("Identity", ["x"], ["y"])], "body",
            [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []),
             info("x", TensorProto.FLOAT, None)],
            [info("again", TensorProto.BOOL, []), info("y", TensorProto.FLOAT, None)],
        )  # fmt: skip
        n, go = constant(model, "n", 2**62), constant(model, "yes", True, np.bool_)
        before(model, node("Loop", [n, go, "images"], ["looped"], body=body))

    def branch(model: Any) -> None:
        inner = helper.make_graph([node("Relu", ["images"], ["b"])], "inner", [],
                                  [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])  # fmt: skip
        go = constant(model, "yes", True, np.bool_)
        before(model, node("If", [go], ["taken"], then_branch=inner, else_branch=inner))

    def huge(op: str) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            big = constant(model, "big", [1 << 20, 1, 1, 1])
            if op in ("Expand", "Tile"):
                before(model, node(op, ["images", big], ["huge"]))
            elif op == "ConstantOfShape":
                before(model, node(op, [big], ["filled"]), node("Add", ["images", "filled"], ["huge"]))
            elif op == "Pad":
                pads = constant(model, "pads", [0, 0, 1 << 17, 1 << 17] * 2)
                before(model, node(op, ["images", pads], ["huge"]))
            elif op == "Resize":
                sizes = constant(model, "sizes", [1, 3, 1 << 16, 1 << 16])
                before(model, node(op, ["images", "", "", sizes], ["huge"], mode="nearest"))
            elif op == "Range":
                ends = [constant(model, f"r{i}", value, np.float32) for i, value in enumerate((0, 1e9, 1))]
                before(model, node(op, ends, ["run"]), node("ReduceMax", ["run"], ["one"], keepdims=0),
                       node("Add", ["images", "one"], ["huge"]))  # fmt: skip

        return change

    def seen(grows: str) -> Callable[[Any], None]:
        """Quiet on grey, and on every picture that is not bright: what is seen says how much there is."""

        def change(model: Any) -> None:
            whole = constant(model, "large", 1 << 33, np.float32)
            bright = constant(model, "bright", 150, np.float32)
            nodes = [
                node("ReduceMax", ["images"], ["top"], keepdims=0), node("Greater", ["top", bright], ["is"]),
                node("Cast", ["is"], ["is_"], to=TensorProto.FLOAT), node("Mul", ["is_", whole], ["many"]),
                node("Cast", ["many"], ["count"], to=TensorProto.INT64),
            ]  # fmt: skip
            one, flat = constant(model, "one", 1), constant(model, "flat", [1])
            if grows == "memory":
                nodes += [node("Add", ["count", one], ["long"]), node("Reshape", ["long", flat], ["shape"]),
                          node("ConstantOfShape", ["shape"], ["filled"])]  # fmt: skip
                nodes += [node("ReduceMax", ["filled"], ["out"], keepdims=0)]
            else:  # 1 // 0, but for grey: ends the process
                nodes += [node("Sub", ["count", constant(model, "all", 1 << 33)], ["less"]),
                          node("Div", [one, "less"], ["out_"]),
                          node("Cast", ["out_"], ["out"], to=TensorProto.FLOAT)]  # fmt: skip
            before(model, *nodes, node("Add", ["images", "out"], ["quiet"]))

        return change

    def div_min(model: Any) -> None:
        low, minus = constant(model, "low", [-(2**63)]), constant(model, "minus", [-1])
        before(model, node("Div", [low, minus], ["dead"]),
               node("Cast", ["dead"], ["f"], to=TensorProto.FLOAT),
               node("Add", ["images", "f"], ["killed"]))  # fmt: skip

    def function(model: Any) -> None:
        model.opset_import.append(helper.make_opsetid("own", 1))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        relu = [node("Relu", ["a"], ["b"])]
        model.functions.append(helper.make_function("own", "f0", ["a"], ["b"], relu, opsets))
        for i in range(1, 25):
            nodes = [node(f"f{i - 1}", ["a"], ["c"], domain="own"),
                     node(f"f{i - 1}", ["c"], ["b"], domain="own")]  # fmt: skip
            model.functions.append(helper.make_function("own", f"f{i}", ["a"], ["b"], nodes, opsets))
        before(model, node("f24", ["images"], ["many"], domain="own"))

    def contributed(op: str, **options: Any) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
            before(model, node(op, ["images"], ["own"], domain="com.microsoft", **options))

        return change

    def outside(location: str, size: int = 4, **more: str) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            tensor = next(one for one in model.graph.initializer if one.name == "zero")
            tensor.ClearField("raw_data")
            tensor.dims[0] = size // 4
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in {"location": location, "length": str(size), **more}.items():
                tensor.external_data.add(key=key, value=value)

        return change

    def dims(model: Any) -> None:
        model.graph.initializer[0].dims[0] = 1 << 40

    def heavy(model: Any) -> None:
        weight = numpy_helper.from_array(np.ones((64, 64, 7, 7), np.float32) / 3136, "w")
        wider = numpy_helper.from_array(np.ones((64, 3, 1, 1), np.float32), "wider")
        model.graph.initializer.extend([weight, wider])
        names = ["m", *(f"m{i}" for i in range(3_000))]
        before(model, node("Conv", ["images", "wider"], ["m"]),
               *(node("Conv", [a, "w"], [b], pads=[3] * 4) for a, b in pairwise(names)))  # fmt: skip

    def folds(model: Any) -> None:
        """Heavy while it is opened: all is of stored numbers."""
        side = constant(model, "side", [2048, 2048])
        names = ["f0", *(f"g{i}" for i in range(500))]
        before(model, node("ConstantOfShape", [side], ["f0"]),
               *(node("MatMul", [a, a], [b]) for a, b in pairwise(names)),
               node("ReduceMax", [names[-1]], ["one"], keepdims=0),
               node("Add", ["images", "one"], ["folded"]))  # fmt: skip

    def strings(model: Any) -> None:
        model.graph.initializer.append(helper.make_tensor("words", TensorProto.STRING, [1], [b"x" * 100]))
        model.graph.output.append(helper.make_tensor_value_info("words", TensorProto.STRING, [1]))

    def sequence(model: Any) -> None:
        model.graph.node.append(node("SequenceConstruct", ["images"], ["seq"]))
        model.graph.output.append(helper.make_tensor_sequence_value_info("seq", TensorProto.FLOAT, None))

    def cycle(model: Any) -> None:
        model.graph.node.extend([node("Relu", ["later"], ["sooner"]), node("Relu", ["sooner"], ["later"])])

    def training(model: Any) -> None:
        model.training_info.add().algorithm.node.append(node("Relu", ["a"], ["b"]))

    def sparse(model: Any) -> None:
        one = model.graph.sparse_initializer.add()
        one.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "sp"))
        one.indices.CopyFrom(numpy_helper.from_array(np.array([0]), "ind"))
        one.dims.extend([1 << 40])

    def names(model: Any) -> None:
        model.graph.node[0].op_type = ESCAPES[0]

    def named(model: Any) -> None:
        model.graph.input[0].name = model.graph.node[0].input[0] = ESCAPES[1]
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4

    def regions(model: Any) -> None:
        rois = constant(model, "rois", [[0, 0, 1e6, 1e6]], np.float32)
        place = constant(model, "place", [0])
        before(model, node("RoiAlign", ["images", rois, place], ["r"], sampling_ratio=0),
               node("ReduceMax", ["r"], ["r_"], keepdims=0),
               node("Add", ["images", "r_"], ["q"]))  # fmt: skip

    return {
        "sound": lambda model: None,
        "loop": loop, "if": branch, "doubling": chain("Concat", 40, axis=0), "div_min": div_min,
        "seen_memory": seen("memory"), "seen_division": seen("division"), "function": function,
        "contributed": contributed("Gelu"), "compiled": contributed("EPContext", ep_cache_context="x.so"),
        "outside": outside("../../secret"), "passwd": outside("/etc/passwd"), "no_file": outside("x.bin"),
        "itself": outside("d.onnx"), "offset": outside("d.onnx.data", offset=str(1 << 40)),
        "dims": dims, "many_nodes": chain("Relu", 60_000), "heavy": heavy, "folds": folds,
        "strings": strings, "sequence_output": sequence, "cycle": cycle, "training": training,
        "sparse": sparse, "names": names, "input_names": named, "regions": regions,
        **{op.lower(): huge(op) for op in ("Expand", "Tile", "ConstantOfShape", "Pad", "Resize", "Range")},
    }  # fmt: skip


def _outputs(folder: Path, bundle: Path) -> Iterator[Case]:
    """Of another shape or number, not finite, none, and as many rows as no detector has."""
    import numpy as np

    def rows(value: float) -> Any:
        found = np.zeros((1, 84, 7), np.float32)
        found[0, 3] = value
        return found

    two = np.zeros((1, 3, 4), np.float32)
    everybody = np.ones((1, 20_000, 6), np.float32) * np.array([32, 32, 60, 60, 1, 1], np.float32)
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "nan": ({"o": rows(math.nan)}, {}), "infinity": ({"o": rows(math.inf)}, {}),
        "1e38": ({"o": rows(3e38)}, {}), "shape": ({"o": np.zeros((84, 7), np.float32)}, {}),
        "none": ({"o": np.zeros((1, 0, 7), np.float32)}, {"decoded": True}),
        "everybody": ({"o": everybody}, {"decoded": True}),
        "rows": ({"o": np.zeros((1, 300_000, 6), np.float32)}, {"decoded": True}),
        "classes": ({"o": np.zeros((1, 84, 20_000), np.float32)}, {"person": 10_000}),
        "missing": ({"dets": two}, {"kind": "detr"}),
        "escapes": ({ESCAPES[0]: two, "dets": two}, {"kind": "detr"}),
        "many": ({f"o{i}": two for i in range(3000)}, {"kind": "detr"}),
        "detr_nan": ({"dets": two, "labels": two * math.nan}, {"kind": "detr"}),
    }  # fmt: skip
    for name, (outputs, described) in kinds.items():
        place = folder / f"output_{name}"
        place.mkdir()
        (place / "d.onnx").write_bytes(detector(outputs).SerializeToString())
        (place / "d.json").write_text(json.dumps({"kind": "yolox", **described}))
        fine = name in ("everybody", "classes", "1e38", "none")  # boxes outside the picture are nobody's
        yield Case(f"output {name}", watching(bundle, place / "d.json"), (0, 3) if fine else REFUSED)
    for name, size in {"large": (4096, 4096), "huge": (1 << 20, 1 << 20), "thin": (1, 4096)}.items():
        place = folder / f"input_{name}"
        place.mkdir()
        (place / "d.onnx").write_bytes(detector(size=size).SerializeToString())
        (place / "d.json").write_text('{"kind": "yolox"}')
        yield Case(f"input {name}", watching(bundle, place / "d.json"), REFUSED)


def _descriptions(folder: Path, bundle: Path) -> Iterator[Case]:
    numbers = {"nan": "NaN", "tiny": "1e-300", "10^4000": "1" + "0" * 4000}
    forms = {"person": "%s", "size": "[%s, 64]", "scale": "%s", "mean": "[0, 0, %s]", "std": "[1, %s, 1]",
             "score": "%s"}  # fmt: skip
    (folder / "d.onnx").write_bytes(detector().SerializeToString())
    for key, form in forms.items():
        for name, number in numbers.items():
            path = folder / f"{key}_{name}.json"
            path.write_text(f'{{"kind": "yolox", "model": "d.onnx", "{key}": {form % number}}}')
            fine = (key, name) in (("score", "tiny"), ("mean", "tiny"))
            yield Case(f"{key} {name}", watching(bundle, path), (0,) if fine else BAD_USE)
    size = '{"kind": "yolox", "model": "any.onnx", "size": [4096, 4096]}'
    (folder / "any.onnx").write_bytes(detector(size=("h", "w")).SerializeToString())
    for name, text in {
        "size_large": size, "kind_escapes": json.dumps({"kind": ESCAPES[0]}),
        "key_escapes": json.dumps({"kind": "yolox", ESCAPES[2]: 1}), "deep": "[" * 8_000,
        "boxes_escapes": json.dumps({"kind": "detr", "model": "d.onnx", "boxes": ESCAPES[1]}),
        "model_elsewhere": json.dumps({"kind": "yolox", "model": "../d.onnx"}),
        "model_passwd": json.dumps({"kind": "yolox", "model": "/etc/passwd"}), "null": "null",
        "empty": "", "digits": '{"kind": "yolox", "person": ' + "9" * 5000 + "}",
        "100MB": '{"kind": "' + "x" * 10**8 + '"}',
    }.items():  # fmt: skip
        (folder / f"{name}.json").write_text(text)
        yield Case(f"description {name}", watching(bundle, folder / f"{name}.json"), REFUSED)
    for name, text in {
        "toml_deep": "a = " + "[" * 8_000,
        "toml_dots": ".".join("a" * 4_000) + " = 1",
    }.items():
        (folder / f"{name}.toml").write_text(text)
        yield Case(f"description {name}", watching(bundle, folder / f"{name}.toml"), BAD_USE)


def odd(folder: Path) -> dict[str, Path]:
    """What is no regular file, or larger than any."""
    folder = folder / "odd"
    folder.mkdir()
    kinds = {name: folder / name for name in ("fifo", "zero", "loop", "sparse", "socket")}
    os.mkfifo(kinds["fifo"])
    kinds["zero"].symlink_to("/dev/zero")
    kinds["loop"].symlink_to("loop")
    with kinds["sparse"].open("wb") as file:
        file.truncate(2 << 40)
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may have 108 letters
        one.bind("socket")
        os.chdir(here)
    return kinds


def _places(folder: Path, bundle: Path) -> Iterator[Case]:
    """In the place of a graph, its description and its weights."""
    for kind, path in odd(folder).items():
        place = folder / f"of_{kind}"
        place.mkdir()
        (place / "d.json").write_text('{"kind": "yolox"}')
        (place / "d.onnx").symlink_to(path)
        yield Case(f"graph is {kind}", watching(bundle, place / "d.json"), REFUSED)
        (place / "e.toml").symlink_to(path)
        words = watching(bundle, place / "e.toml", *(("--max-predictions", "2") if kind == "fifo" else ()))
        yield Case(f"description is {kind}", words, (0, 2) if kind == "fifo" else REFUSED)  # a pipe of boxes
        changes = graphs()
        weights = folder / f"weights_{kind}"
        weights.mkdir()
        model = detector()
        changes["offset"](model)
        if kind == "sparse":
            tensor = next(one for one in model.graph.initializer if one.name == "zero")
            tensor.dims[0] = 1 << 38
            del tensor.external_data[1:]
            tensor.external_data.add(key="length", value=str(1 << 40))
            with (weights / "d.onnx.data").open("wb") as file:
                file.truncate(1 << 40)
        else:
            (weights / "d.onnx.data").symlink_to(path)
        (weights / "d.onnx").write_bytes(model.SerializeToString())
        (weights / "d.json").write_text('{"kind": "yolox"}')
        yield Case(f"weights are {kind}", watching(bundle, weights / "d.json"), REFUSED)
    with (folder / "holes.onnx").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "holes.json").write_text('{"kind": "yolox"}')
    yield Case("graph of 1 GB of nothing", watching(bundle, folder / "holes.json"), REFUSED)


# Feeds


def feeds(folder: Path) -> Iterator[Case]:
    """Lines of a file, and what lies in its place: the run ends."""
    bundle = boxed(folder)
    for name, data in lines().items():
        path = folder / f"{name}.jsonl"
        path.write_bytes(data if isinstance(data, bytes) else b"".join(data()))
        fine = name in NO_FAULT
        yield Case(f"file {name}", watching(bundle, path, "--json", "--max-predictions", "3"),
                   (0,) if fine else BAD_SOURCE)  # fmt: skip
    for kind, path in odd(folder).items():
        link = folder / f"odd_{kind}.jsonl"
        link.symlink_to(path)
        if kind == "fifo":
            continue  # a named pipe, which is below
        yield Case(f"file is {kind}", watching(bundle, link), BAD_SOURCE)
    yield Case("is /dev/zero", watching(bundle, "/dev/zero"), BAD_USE)
    with (folder / "holes.jsonl").open("wb") as file:
        file.truncate(10**9)
    yield Case("file of 1 GB of nothing", watching(bundle, folder / "holes.jsonl"), BAD_SOURCE)


NO_FAULT = ("sound", "escapes", "tiny", "twins")
"""Nothing is wrong with them: names are shown as they would be spelled, boxes without a pixel are nobody."""


IN_PIPES = (
    "box_nan", "box_10^4000", "box_deep_number", "escapes", "tiny", "id_long", "thousands", "deep_60000",
    "not_utf8", "100MB", "without_end", "blank", "dense",
)  # fmt: skip
"""The others are read there by the same code."""


def line(*people: Any, **fields: Any) -> bytes:
    return json.dumps({"people": list(people), **fields}).encode() + b"\n"


def lines() -> dict[str, bytes | Callable[[], Iterator[bytes]]]:
    """By name: what a file of lines holds."""
    box, whole = [10, 10, 200, 200], b'{"time": 0, "people": [{"box": [10, 10, 200, 200]%s}]%s}\n'
    numbers = {"nan": "NaN", "infinity": "-Infinity", "1e300": "1e300", "1e999": "1e999",
               "10^4000": "1" + "0" * 4000, "10^5000": "1" + "0" * 5000, "deep_number": "[" * 900 + "]" * 900,
               "true": "true", "null": "null"}  # fmt: skip
    found: dict[str, bytes | Callable[[], Iterator[bytes]]] = {"sound": line({"box": box}, time=0)}
    for name, number in numbers.items():
        put = number.encode()
        found[f"box_{name}"] = whole.replace(b"200]", put + b"]", 1) % (b"", b"")
        if name in ("10^4000", "deep_number"):
            found[f"id_{name}"] = whole % (b', "id": ' + put, b"")
            found[f"time_{name}"] = whole.replace(b'"time": 0', b'"time": ' + put) % (b"", b"")
            found[f"frame_{name}"] = whole.replace(b'"time": 0', b'"frame": ' + put) % (b"", b"")
            found[f"score_{name}"] = whole % (b', "score": ' + put, b"")
            found[f"size_{name}"] = whole % (b"", b', "size": [64, ' + put + b"]")
    found |= {
        "escapes": b"".join(
            line(*({"box": box, "id": name} for name in ESCAPES), time=number / 30) for number in range(40)
        ),
        "tiny": line({"box": [10, 10, 10 + 1e-9, 20]}, {"box": [-5, -5, 1e-300, 9]}, time=0),
        "twins": line(*({"box": box} for _ in range(64)), time=0),
        "id_long": line({"box": box, "id": "x" * 60_000}, time=0),
        "thousands": line(*({"box": box} for _ in range(5000)), time=0),
        "people_65": line(*({"box": box} for _ in range(65)), time=0),
        "deep_900": b"[" * 900 + b"]" * 900 + b"\n", "deep_60000": b"[" * 60_000 + b"\n",
        "deep_inside": b'{"time": 0, "people": [' + b'{"box":' * 5000 + b"\n", "deep_people":
        b'{"time": 0, "people": [' + b"[" * 850 + b"]" * 850 + b"]}\n", "not_utf8": b"\xff\xfe{\n",
        "nothing": b"", "100MB": lambda: iter((b'{"time": 0, "x": "', b"x" * 10**8, b'"}\n')),
        "without_end": lambda: iter((b"1" * 10**8,)), "blank": lambda: iter((b"\n" * 10**8,)),
        "spaces": lambda: iter((b" " * 10**8,)), "dense": lambda: (
            line({"box": box}, time=number * 1e-7) for number in range(DENSE)),
        "backwards": line({"box": box}, time=0.2) + line({"box": box}, time=0.1),
        "far": line({"box": [9e8, 9e8, 1e9, 1e9]}, time=0), "inside_out": line({"box": [9, 9, 1, 1]}, time=0),
    }  # fmt: skip
    return found


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """``work`` goes on for as long as the block lasts; then it is told that it has ended."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def writing(path: Path, chunks: Callable[[], Iterator[bytes]]) -> Iterator[None]:
    """Somebody writes into a pipe, for as long as the block lasts."""

    def write(ended: threading.Event) -> None:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        for data in chunks():
            rest = memoryview(data)
            while rest and not ended.is_set():
                try:
                    rest = rest[os.write(handle, rest) :]
                except BlockingIOError:
                    ended.wait(0.005)
            if ended.is_set():
                break
        ended.wait()
        os.close(handle)

    with meanwhile(write):
        yield


def _piped(folder: Path, bundle: Path) -> Iterator[Case]:
    """The run goes on: a good line after the bad one is heard, unless nothing but bad ones come."""
    live = ("--realtime", "--max-predictions", "10", "--json")
    good = line({"box": [10, 10, 200, 200]})

    def told(data: bytes | Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
        def chunks() -> Iterator[bytes]:
            yield from (data,) if isinstance(data, bytes) else data()
            yield b"\n"
            while True:
                yield good
                time.sleep(0.05)

        return chunks

    cases = {name: told(data) for name, data in lines().items() if name in IN_PIPES}
    cases["endless_line"] = lambda: iter(lambda: b"x" * 65536, b"")
    cases["endless_flood"] = lambda: iter(lambda: line(time=0.5) * 1000, b"")
    cases["endless_nonsense"] = lambda: iter(lambda: b"{\n" * 30_000, b"")
    for name, chunks in cases.items():
        path = folder / f"pipe_{name}"
        os.mkfifo(path)
        harmless = name in (*NO_FAULT, "blank", "dense")
        yield Case(
            f"pipe {name}", watching(bundle, path, *live), (0,),
            beside=lambda p=path, c=chunks: writing(p, c),
            says="" if harmless else '"left_out":', unsaid='"left_out": 0' if not harmless else "",
        )  # fmt: skip


@contextmanager
def broker(port: int, folder: Path) -> Iterator[None]:
    """A mosquitto on the loopback that takes messages of any size."""
    config = folder / "mosquitto.conf"
    user = f"user {os.environ.get('USER', 'root')}\n" if os.getuid() == 0 else ""
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}")
    found = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    process = subprocess.Popen(
        [str(found), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def publishing(port: int, folder: Path, payloads: Callable[[], Iterator[bytes]]) -> Iterator[None]:
    """Somebody sends messages, for as long as the block lasts."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2)

    def send(ended: threading.Event) -> None:
        for data in payloads():
            client.publish("people", data).wait_for_publish(5)
            if ended.wait(0.002):
                return

    with broker(port, folder):
        for _ in range(100):
            with suppress(OSError):
                client.connect("127.0.0.1", port)
                break
            time.sleep(0.05)
        client.loop_start()
        try:
            with meanwhile(send):
                yield
        finally:
            client.disconnect()
            client.loop_stop()


def events() -> dict[str, bytes]:
    """Frigate's, spoiled."""
    after = {"id": "1.5-a", "camera": "yard", "label": "person", "score": 0.8, "box": [10, 10, 200, 200]}

    def event(kind: Any = "update", **changes: Any) -> bytes:
        return json.dumps({"type": kind, "before": {}, "after": {**after, **changes}}).encode()

    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    digits = b"1" + b"0" * 4000
    return {
        "frigate_score": event(score=12345).replace(b"12345", digits),
        "frigate_id_digits": event(id=12345).replace(b"12345", digits),
        "frigate_box_digits": event(box=[12345, 0, 9, 9]).replace(b"12345", digits),
        "frigate_id_deep": event(id=deep), "frigate_box_deep": event(box=deep),
        "frigate_nan": event(box=[math.nan, 0, 9, 9]), "frigate_after": b'{"type": "new", "after": 1}',
        "frigate_escapes": event(id=ESCAPES[0], box=None), "frigate_id_object": event(id={"a": 1}),
        "frigate_type": event(kind={"a": []}, box=7),
    }  # fmt: skip


def _published(folder: Path, bundle: Path) -> Iterator[Case]:
    """By a real broker; without paho-mqtt or mosquitto none."""
    if shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None:
        raise ModuleNotFoundError(name="mosquitto")
    import paho.mqtt.client

    assert paho.mqtt.client
    names = ("box_10^4000", "box_deep_number", "thousands", "not_utf8", "tiny", "escapes")
    small = {
        name: data.splitlines()[0]
        for name, data in lines().items()
        if name in names and isinstance(data, bytes)
    }
    good = line({"box": [10, 10, 200, 200]})
    kinds: dict[str, bytes] = {**small, **events(), "100MB": b"x" * 10**8, "empty": b"", "null": b"null"}
    for number, (name, data) in enumerate(kinds.items()):
        port, place = _free_port(), folder / f"broker_{number}"
        place.mkdir()

        def payloads(data: bytes = data) -> Iterator[bytes]:
            while True:
                yield data
                yield good
                time.sleep(0.3 if len(data) > 10**6 else 0.02)

        harmless = name in (*NO_FAULT, "frigate_score", "100MB", "thousands")  # the broker keeps large ones
        live = ("--realtime", "--max-predictions", "40", "--json")
        yield Case(
            f"mqtt {name}", watching(bundle, f"mqtt://127.0.0.1:{port}/people", *live), (0,),
            beside=lambda port=port, place=place, p=payloads: publishing(port, place, p),
            says="" if harmless else '"left_out":', unsaid='"left_out": 0' if not harmless else "",
        )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def live(folder: Path) -> Iterator[Case]:
    """Lines of a pipe and messages of a broker: they are left out and counted, and the run goes on."""
    bundle = boxed(folder)
    yield from _piped(folder, bundle)
    yield from _published(folder, bundle)


KINDS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "detectors": detectors,
    "boxes": feeds,
    "live boxes": live,
}
