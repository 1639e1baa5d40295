"""What `hostile.py` tries: hostile graphs, values, checkpoints, files and names, made anew each time."""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from a3d_edge.bundle import Bundle
from a3d_edge.manifest import digest, manifest_digest

ESCAPES = (
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "a\nerror: forged",
    "\u202egnp.exe",
    "\x9b31m",
    "\x1b]52;c;b3du\x07",
)
SMALL = "w0.50-s96-t8"  # of the built-in bundle `interactions`
FRAME, CLIP = "w0.50.frame.onnx", "w0.50.clip.onnx"
BAD_BUNDLE, BAD_USE, BAD_SOURCE = (4,), (2,), (3,)


@dataclass(frozen=True, slots=True)
class Case:
    """A command's words, and the exit codes that are right; ``notes``: lines that may stand beside.

    ``beside``: what goes on while it runs. ``says``, ``unsaid``: what its output must have, and must not.
    """

    name: str
    words: tuple[str, ...]
    codes: tuple[int, ...] = BAD_BUNDLE
    notes: int = field(default=0)
    beside: Callable[[], AbstractContextManager[None]] = nullcontext
    says: str = ""
    unsaid: str = ""


def fresh(folder: Path, name: str) -> Path:
    """A copy of a built-in bundle to spoil."""
    to = folder / name
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(Bundle.default().path, to)
    return to


def sign(
    bundle: Path, change: Callable[[dict[str, Any]], None] = lambda content: None, raw: bool = False
) -> None:
    """Sums of the files as they are, as somebody would make them who means it."""
    content = json.loads((bundle / "manifest.json").read_text())
    for name in content["files"]:
        file = bundle / name
        if file.is_file() and file.stat().st_size < 1 << 30:
            content["files"][name] = {"bytes": file.stat().st_size, "sha256": digest(file)}
    change(content)
    content["sha256"] = manifest_digest(content)
    (bundle / "manifest.json").write_text(json.dumps(content, indent=1) + "\n")


def verify(path: Path) -> tuple[str, ...]:
    return "verify", str(path)


def runs(path: Path, *more: str) -> tuple[str, ...]:
    return (
        "run",
        "--source",
        "demo",
        "--bundle",
        str(path),
        "--budget",
        SMALL,
        "--max-predictions",
        "1",
        *more,
    )


# Graphs


def graphs(folder: Path) -> Iterator[Case]:
    """Into the frame stage and the clip stage of a bundle that is signed again, verified and run."""
    import onnx

    for name, (stage, change) in changes().items():
        path = fresh(folder, name)
        model = onnx.load(path / stage, load_external_data=False)
        change(model)
        (path / stage).write_bytes(model.SerializeToString())
        sign(path)
        yield Case(f"{name} run", runs(path))
        if name in ("loop", "expand", "div_min", "function", "conv_one_input"):
            yield Case(f"{name} verify", verify(path))
            yield Case(f"{name} openvino", (*runs(path), "--engine", "openvino"), (4, 2))
    for name, data in {
        "empty": b"", "noise": bytes(range(256)) * 40, "text": b"no graph", "cut": None,
        "deep": _deep(), "endless_number": b"\x3a" + b"\xff" * 4000,
    }.items():  # fmt: skip
        path = fresh(folder, f"bytes_{name}")
        whole = (path / FRAME).read_bytes()
        (path / FRAME).write_bytes(whole[: len(whole) // 2] if data is None else data)
        sign(path)
        yield Case(f"bytes_{name}", runs(path))


def _deep() -> bytes:
    content = b""
    for _ in range(4000):
        content = _field(1, _field(5, _field(6, content)))
    return _field(7, content)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def changes() -> dict[str, tuple[str, Callable[[Any], None]]]:
    """By name: which graph, and what is done to it."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def constant(model: Any, name: str, values: Any, kind: Any = np.int64) -> str:
        model.graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def before(model: Any, *nodes: Any) -> None:
        """In front of all others; what they give replaces what the others read of the input."""
        given, last = model.graph.input[0].name, nodes[-1].output[0]
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == given:
                    node.input[place] = last
        rest = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *rest])

    def aside(model: Any, *nodes: Any) -> None:
        model.graph.node.extend(nodes)

    def x(model: Any) -> str:
        return str(model.graph.input[0].name)

    def node(op: str, inputs: list[str], output: str, **options: Any) -> Any:
        return helper.make_node(op, inputs, [output], **options)

    def loop(model: Any) -> None:
        body = helper.make_graph(
            [node("Identity", ["go"], "again")], "body",
            [helper.make_tensor_value_info("i", TensorProto.INT64, []),
             helper.make_tensor_value_info("go", TensorProto.BOOL, [])],
            [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
        )  # fmt: skip
        n, go = constant(model, "n", 2**62), constant(model, "yes", True, np.bool_)
        aside(model, helper.make_node("Loop", [n, go], [], body=body))

    def branch(model: Any) -> None:
        inner = helper.make_graph([node("Relu", [x(model)], "b")], "inner", [],
                                  [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])  # fmt: skip
        go = constant(model, "yes", True, np.bool_)
        before(model, helper.make_node("If", [go], ["taken"], then_branch=inner, else_branch=inner))

    def huge(op: str) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            if op == "ConstantOfShape":
                aside(model, node(op, [constant(model, "big", [1 << 20, 1 << 16])], "huge"))
            elif op == "Expand":
                before(model, node(op, [x(model), constant(model, "big", [1 << 24, 1, 1, 1])], "huge"))
            elif op == "Tile":
                before(model, node(op, [x(model), constant(model, "big", [1 << 20, 1, 1, 1])], "huge"))
            elif op == "Pad":
                pads = [0, 0, 1 << 20, 1 << 20] * 2
                before(model, node(op, [x(model), constant(model, "big", pads)], "huge"))
            elif op == "Resize":
                sizes = constant(model, "big", [8, 3, 1 << 17, 1 << 17])
                options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
                before(model, node(op, [x(model), "", "", sizes], "huge", **options))
            elif op == "Range":
                ends = [constant(model, f"r{i}", value) for i, value in enumerate((0, 1 << 40, 1))]
                aside(model, node(op, ends, "huge"))

        return change

    def doubling(model: Any) -> None:
        names = [x(model), *(f"d{i}" for i in range(40))]
        before(model, *(node("Concat", [a, a], b, axis=0) for a, b in pairwise(names)))

    def weights_doubling(model: Any) -> None:
        names = [model.graph.initializer[0].name, *(f"d{i}" for i in range(40))]
        aside(model, *(node("Concat", [a, a], b, axis=0) for a, b in pairwise(names)))

    def div_min(model: Any) -> None:
        low, minus = constant(model, "low", [-(2**63)]), constant(model, "minus", [-1])
        aside(model, node("Div", [low, minus], "killed"))

    def div_zero(model: Any) -> None:
        """Nothing of a window of several frames, a crash of one frame."""
        shape = node("Shape", [x(model)], "s", start=0, end=1)
        less = node("Sub", ["s", constant(model, "one", [1])], "less")
        aside(model, shape, less, node("Div", ["one", "less"], "killed"))

    def function(model: Any) -> None:
        model.opset_import.append(helper.make_opsetid("own", 1))
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        model.functions.append(
            helper.make_function("own", "f0", ["a"], ["b"], [node("Relu", ["a"], "b")], opsets)
        )
        for i in range(1, 29):
            nodes = [node(f"f{i - 1}", ["a"], "c", domain="own"), node(f"f{i - 1}", ["c"], "b", domain="own")]
            model.functions.append(helper.make_function("own", f"f{i}", ["a"], ["b"], nodes, opsets))
        aside(model, node("f28", [x(model)], "never", domain="own"))

    def one_input(model: Any) -> None:
        next(n for n in model.graph.node if n.op_type == "Conv").input.pop()

    def contributed(model: Any) -> None:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        before(model, node("Gelu", [x(model)], "own", domain="com.microsoft"))

    def sequence(model: Any) -> None:
        aside(model, node("SequenceConstruct", [x(model)], "seq"))
        model.graph.output.append(helper.make_tensor_sequence_value_info("seq", TensorProto.FLOAT, None))

    def outside(location: str) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            for one in model.graph.initializer[0].external_data:
                if one.key == "location":
                    one.value = location

        return change

    def place(key: str, value: str) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            for one in next(i for i in model.graph.initializer if i.external_data).external_data:
                if one.key == key:
                    one.value = value

        return change

    def dims(model: Any) -> None:
        tensor = next(i for i in model.graph.initializer if i.external_data)
        tensor.dims[0] = 1 << 40

    def many(model: Any) -> None:
        names = [x(model), *(f"m{i}" for i in range(20_000))]
        before(model, *(node("Relu", [a], b) for a, b in pairwise(names)))

    def heavy(model: Any) -> None:
        """Allowed operators, of allowed sizes, over and over."""
        names = [x(model), *(f"m{i}" for i in range(3_000))]
        weight = numpy_helper.from_array(np.ones((3, 3, 7, 7), np.float32), "w")
        model.graph.initializer.append(weight)
        options = {"pads": [3, 3, 3, 3], "strides": [1, 1]}
        before(model, *(node("Conv", [a, "w"], b, **options) for a, b in pairwise(names)))

    def attribute(model: Any) -> None:
        next(n for n in model.graph.node if n.op_type == "Conv").attribute.append(
            helper.make_attribute("auto_pad", "SAME_UPPER")
        )

    def stride(model: Any) -> None:
        conv = next(n for n in model.graph.node if n.op_type == "Conv")
        next(a for a in conv.attribute if a.name == "pads").ints[:] = [1 << 30] * 4

    def cycle(model: Any) -> None:
        aside(model, node("Relu", ["later"], "sooner"), node("Relu", ["sooner"], "later"))

    def opset(model: Any) -> None:
        model.opset_import[0].version = 7

    def names(model: Any) -> None:
        model.graph.node[0].op_type = "\x1b]0;owned\x07"

    def training(model: Any) -> None:
        model.training_info.add().algorithm.node.append(node("Relu", ["a"], "b"))

    def sparse(model: Any) -> None:
        one = model.graph.sparse_initializer.add()
        one.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "sp"))
        one.indices.CopyFrom(numpy_helper.from_array(np.array([0]), "ind"))
        one.dims.extend([1 << 40])

    def twice(model: Any) -> None:
        model.graph.node[1].output[0] = model.graph.node[0].output[0]

    def gather(model: Any) -> None:
        before(model, node("Gather", [x(model), constant(model, "far", [1 << 30])], "far_off", axis=0))

    def compiled(model: Any) -> None:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        aside(model, node("EPContext", [x(model)], "ep", domain="com.microsoft", ep_cache_context="x.so"))

    changes: dict[str, Callable[[Any], None]] = {
        "loop": loop, "if": branch, "doubling": doubling, "weights_doubling": weights_doubling,
        "div_min": div_min, "div_zero_of_one_frame": div_zero, "function": function,
        "conv_one_input": one_input, "contributed": contributed, "sequence_output": sequence,
        "outside": outside("../../secret"), "passwd": outside("/etc/passwd"), "no_file": outside("x.bin"),
        "offset": place("offset", str(1 << 40)), "negative_offset": place("offset", "-4"),
        "length": place("length", "4"), "huge_number": place("offset", "9" * 400), "dims": dims,
        "many_nodes": many, "heavy": heavy, "attribute": attribute, "pads": stride, "cycle": cycle,
        "opset": opset, "names": names, "training": training, "sparse": sparse, "output_twice": twice,
        "gather": gather, "compiled": compiled,
    }  # fmt: skip
    changes |= {
        op.lower(): huge(op) for op in ("ConstantOfShape", "Expand", "Tile", "Pad", "Resize", "Range")
    }
    assert onnx.__version__
    return {
        **{n: (FRAME, c) for n, c in changes.items()},
        "clip_loop": (CLIP, loop),
        "clip_pad": (CLIP, huge("Expand")),
    }


# Values


def values(folder: Path) -> Iterator[Case]:
    """Of a manifest, a table, a profile and a budget."""
    numbers = {
        "nan": math.nan, "infinity": math.inf, "1e300": 1e300, "minus": -1, "text": "x", "list": [],
        "none": None, "10^4000": 10**4000, "10^30": 10**30,
    }  # fmt: skip
    places: dict[str, Callable[[dict[str, Any], Any], Any]] = {
        "rate": lambda m, v: m["sampling"].update(rate=v),
        "frames": lambda m, v: m["sampling"].update(frames=v),
        "stride": lambda m, v: m["sampling"].update(stride=v),
        "aspect": lambda m, v: m["preprocessing"].update(aspect=v),
        "std": lambda m, v: m["preprocessing"].update(std=[v] * 3),
        "offset": lambda m, v: m["configurations"][SMALL].update(offset=v),
        "probe": lambda m, v: m["configurations"][SMALL].update(probe=[v] * 7),
        "bytes": lambda m, v: m["files"]["weights.bin"].update(bytes=v),
        "origin": lambda m, v: m["origin"].update(x=[{"y": v}]),
    }
    for place, put in places.items():
        for name, value in numbers.items():
            if place == "origin" and name in ("minus", "text", "list", "none"):
                continue
            path = fresh(folder, f"{place}_{name}")
            try:
                sign(path, lambda content, put=put, value=value: put(content, value))
            except ValueError:  # Python writes no integer of 4000 digits: by hand
                sign(path, lambda content, put=put: put(content, 123456789))
                text = (path / "manifest.json").read_text().replace("123456789", "1" + "0" * 4000)
                (path / "manifest.json").write_text(text)
            yield Case(
                f"{place}_{name}", ("info", str(path), "--json"), (0, 4) if name == "minus" else BAD_BUNDLE
            )
    yield from _shapes_of_values(folder)
    yield from _tables(folder)
    for budget in (
        "nan",
        "inf",
        "1e999ms",
        "9" * 4000 + "ms",
        "-1",
        "0",
        "w9.99-s9999-t999",
        "\x1b[2J",
        "5" * 30 + "GFLOPs",
    ):
        yield Case(
            f"budget {budget[:8]!a}",
            ("run", "--source", "demo", "--budget", budget, "--max-predictions", "1"),
            BAD_USE,
        )


def _shapes_of_values(folder: Path) -> Iterator[Case]:
    changes: dict[str, Callable[[dict[str, Any]], Any]] = {
        "classes_million": lambda m: m.update(classes=[str(i) for i in range(300_000)]),
        "classes_fewer": lambda m: m.update(classes=m["classes"][:-1]),
        "classes_more": lambda m: m.update(classes=[*m["classes"], "one more"]),
        "classes_more_and_probes": _more_classes,
        "rows_million": lambda m: m["files"].update(
            {f"f{i}": m["files"]["table.json"] for i in range(50_000)}
        ),
        "size": _large_configuration,
        "file_names": lambda m: m["files"].update({"../x": m["files"]["table.json"]}),
        "no_such_file": lambda m: m["files"].update({"missing.bin": m["files"]["table.json"]}),
        "type": lambda m: m.update(widths=[]),
        "long": lambda m: m.update(created_by="x" * 5_000_000),
    }
    for name, change in changes.items():
        path = fresh(folder, name)
        sign(path, change)
        yield Case(name, ("info", str(path)) if name != "classes_more_and_probes" else runs(path))
    for name, text in {
        "deep_975": "[" * 975 + "]" * 975,
        "deep_million": "[" * 1_000_000,
        "deep_in_object": '{"schema_version": 1, "origin": ' + '{"a":' * 975 + "1" + "}" * 976,
        "100MB": '{"schema_version": 1, "x": "' + "x" * 100_000_000 + '"}',
        "7MB_lists": "[" + "[]," * 2_300_000 + "[]]",
        "not_utf8": None,
        "null": "null",
        "empty": "",
    }.items():
        path = fresh(folder, name)
        if text is None:
            (path / "manifest.json").write_bytes(b"\xff\xfe{")
        else:
            (path / "manifest.json").write_text(text)
        yield Case(name, ("info", str(path)))


def _more_classes(manifest: dict[str, Any]) -> None:
    manifest["classes"] = [*manifest["classes"], "one more"]
    for entry in manifest["configurations"].values():
        entry["probe"] = [*entry["probe"], 0.0]


def _large_configuration(manifest: dict[str, Any]) -> None:
    manifest["configurations"]["w0.50-s9999-t8"] = manifest["configurations"][SMALL]


def _tables(folder: Path) -> Iterator[Case]:
    folder.mkdir(parents=True, exist_ok=True)
    row = {"configuration": "w0.50-s55-t2", "gflops": 1.0, "params_m": 1.0}
    for name, content in {
        "table_nan": [{**row, "gflops": math.nan}],
        "table_infinity": [{**row, "gflops": math.inf}],
        "table_1e300": [{**row, "params_m": 1e300}],
        "table_negative": [{**row, "accuracy": -1}],
        "table_rows": [
            {**row, "configuration": f"w0.50-s{16 + i % 9000}-t{1 + i // 9000}"} for i in range(50_000)
        ],
        "table_none": [],
    }.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps({"architecture": "x", "rows": content}))
        yield Case(name, ("table", "show", str(path)))
    for name, text in {
        "table_deep": "[" * 100_000,
        "table_digits": '{"architecture": 1' + "0" * 5000 + "}",
    }.items():
        (folder / f"{name}.json").write_text(text)
        yield Case(name, ("table", "show", str(folder / f"{name}.json")))


# Checkpoints


def checkpoints(folder: Path) -> Iterator[Case]:
    """Of a tiny network, spoiled: its zip, its values, its state."""
    import torch

    from a3d_edge.models.checkpoint import Checkpoint, save
    from a3d_edge.models.slow import SlowDescription

    folder.mkdir(parents=True, exist_ok=True)
    description = SlowDescription(name="t", blocks=(1, 1, 1, 1), base_width=8, classes=3, size=32, frames=4)
    sound = folder / "sound.pth"
    save(Checkpoint(description.build(), ("a", "b", "c")), sound)
    content = torch.load(sound, weights_only=True)

    def written(name: str, change: Callable[[dict[str, Any]], Any]) -> str:
        spoiled = copy.deepcopy(content)
        change(spoiled)
        torch.save(spoiled, folder / f"{name}.pth")
        return str(folder / f"{name}.pth")

    circle: list[Any] = []
    circle.append(circle)
    doubled: list[Any] = []
    for _ in range(60):
        doubled = [doubled, doubled]
    weight = next(key for key in content["state"] if key.endswith("weight"))
    for name, change in {
        "blocks": lambda c: c["description"].update(blocks=[100_000, 1, 1, 1]),
        "wide": lambda c: c["description"].update(base_width=2048),
        "classes": lambda c: c["description"].update(classes=1_000_000),
        "fewer_classes": lambda c: c.update(classes=["a"]),
        "escapes": lambda c: c.update(classes=list(ESCAPES[:3])),
        "nan": lambda c: c["state"][weight].fill_(math.nan),
        "infinity": lambda c: c["state"][weight].fill_(math.inf),
        "circle": lambda c: c.update(origin={"x": circle}),
        "doubled": lambda c: c.update(origin={"x": doubled}),
        "digits": lambda c: c.update(origin={"x": 1 << 5000}),
        "expanded": lambda c: c.update(origin={"x": torch.zeros(1).expand(1 << 40)}),
        "resume_list": lambda c: c.update(resume=[1]),
        "resume_text": lambda c: c.update(resume={"step": "x", "settings": {}, "optimizer": {}}),
        "state_list": lambda c: c.update(state=[1, 2]),
        "origin_list": lambda c: c.update(origin=[1, 2]),
        "range": lambda c: c.update(range=[1]),
        "statistics": lambda c: c.update(statistics={"w0.50-s32-t4": {"x": 1}}),
    }.items():
        codes = (0, 4) if name == "escapes" else BAD_BUNDLE  # cleaned, where they stay different
        yield Case(f"checkpoint {name}", ("info", written(name, change), "--json"), codes)
    bomb = folder / "bomb.pth"
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            inside = entry.filename.endswith("data/0")
            new.writestr(entry.filename, bytes(1 << 29) if inside else old.read(entry))
    yield Case("checkpoint bomb", ("info", str(bomb)))
    (folder / "cut.pth").write_bytes(sound.read_bytes()[:2000])
    yield Case("checkpoint cut", ("info", str(folder / "cut.pth")))
    (folder / "run.pth").write_bytes(b"cos\nsystem\n(S'touch /tmp/a3d-edge-executed'\ntR.")
    yield Case("checkpoint executes", ("info", str(folder / "run.pth")))
    yield Case("import executes", ("import", str(folder / "run.pth"), "--out", str(folder / "o.pth")))


# Files


def files(folder: Path) -> Iterator[Case]:
    """Pipes, devices, sparse files, links, in the place of every kind of file."""
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "fifo")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "loop").symlink_to("loop")
    with (folder / "sparse").open("wb") as file:
        file.truncate(2 << 40)
    kinds = ("fifo", "zero", "loop", "sparse")
    for name in ("weights.bin", "manifest.json", "table.json", FRAME, "statistics.bin"):
        for kind in kinds:
            path = fresh(folder, f"{name}_{kind}")
            (path / name).unlink()
            (path / name).symlink_to(folder / kind)
            size = (2 << 40) if kind == "sparse" else 0
            if name != "manifest.json":
                sign(path, lambda m, name=name, size=size: m["files"][name].update(bytes=size))
            yield Case(f"{name} {kind}", ("info", str(path)))
    for kind in kinds:
        for suffix, words, codes in (
            (".pth", ("info",), (4,)), (".json", ("table", "show"), (4,)), (".csv", ("data", "check"), (3,)),
        ):  # fmt: skip
            link = folder / f"{kind}{suffix}"
            link.symlink_to(folder / kind)
            yield Case(f"{' '.join(words)} {kind}", (*words, str(link)), codes)
    path = fresh(folder, "secret_link")
    (path / FRAME).unlink()
    (path / FRAME).symlink_to("/etc/passwd")
    yield Case("graph is a link to passwd", ("info", str(path)))
    path = fresh(folder, "large")
    with (path / "weights.bin").open("r+b") as file:
        file.truncate((1 << 30) + 1)
    sign(path, lambda m: m["files"]["weights.bin"].update(bytes=(1 << 30) + 1))
    yield Case("large weights", ("info", str(path)))


# Text


def text(folder: Path) -> Iterator[Case]:
    """Names that act on a terminal: of classes, keys, files and folders."""
    for number, name in enumerate(ESCAPES):
        path = fresh(folder, f"class_{number}")
        sign(path, lambda m, name=name: m["classes"].__setitem__(0, name))
        yield Case(f"class {number}", runs(path))
        yield Case(f"class info {number}", ("info", str(path)))
        path = fresh(folder, f"by_{number}")
        sign(path, lambda m, name=name: m.update(created_by=name, architecture=name))
        yield Case(f"created_by {number}", ("info", str(path)), (0, 4))
        path = fresh(folder, f"key_{number}")
        sign(path, lambda m, name=name: m.update({name: 1}))
        yield Case(f"key {number}", ("info", str(path)))
        path = fresh(folder, f"folder {name.replace('/', '_')}")
        (path / "table.json").write_text("{}")
        yield Case(f"folder {number}", ("info", str(path)))
        yield Case(
            f"source {number}", ("run", "--source", f"{folder}/{name.replace('/', '_')}.mp4"), BAD_SOURCE
        )
        row = {"configuration": "w0.50-s55-t2", "gflops": 1.0, "params_m": 1.0}
        table = folder / f"table_{number}.json"
        table.write_text(json.dumps({"architecture": name, "measured_on": name, "rows": [row]}))
        yield Case(f"table {number}", ("table", "show", str(table)), (0, 4))


KINDS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "graphs": graphs,
    "values": values,
    "checkpoints": checkpoints,
    "files": files,
    "text": text,
}
