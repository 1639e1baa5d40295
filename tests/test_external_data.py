"""A graph that would read a file outside its bundle is refused before any engine opens it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from fixtures_bundle import LARGEST, copy_of, run_cli, shared_bundle, sign_again
from google.protobuf.descriptor import Descriptor
from hypothesis import given
from hypothesis import strategies as st

from a3d_edge.bundle import Bundle
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import find_engine
from a3d_edge.engine.session import open_network
from a3d_edge.errors import BundleError
from a3d_edge.external_data import PARTS, check_graph

ALLOWED = {"weights.bin"}
OUTSIDE = (
    "../secret", "/etc/passwd", "link.bin", "folder.bin", "unlisted.bin", "./weights.bin", "", "missing.bin",
    "a/../weights.bin", "..\\secret", "C:secret", "*/_ORT_MEM_ADDR_/*", "weights.bin\0", "weights.bin ",
)  # fmt: skip
REAL = ("unlisted.bin", "weights.bin ", "..\\secret", "C:secret")
"""Regular files beside the graph all the same."""

Hide = Callable[[onnx.ModelProto, onnx.TensorProto], None]


def tensor(location: str | bytes) -> onnx.TensorProto:
    """A float whose value lies there."""
    one = onnx.TensorProto(name="stored", dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", "x"), ("offset", "0"), ("length", "4")):
        one.external_data.add(key=key, value=value)
    one.external_data[0].value = location.decode("latin1") if isinstance(location, bytes) else location
    return one


def in_initializer(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.initializer.append(one)


def in_sparse_values(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(one)


def in_sparse_indices(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(one)


def in_constant(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=one))


def in_list_of_tensors(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.node.add(op_type="Anything").attribute.add(name="a", type=9).tensors.append(one)


def in_sparse_attributes(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.node.add(op_type="Anything").attribute.add(name="a").sparse_tensor.values.CopyFrom(one)
    model.graph.node.add(op_type="Anything").attribute.add(name="a").sparse_tensors.add().values.CopyFrom(one)


def in_branch(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    """Of an If within an If."""
    inner = onnx.helper.make_graph([], "inner", [], [], [one])
    nested = onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    outer = onnx.helper.make_graph([nested], "outer", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["y"], then_branch=outer, else_branch=outer))


def in_list_of_graphs(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.graph.node.add(op_type="Anything").attribute.add(name="a").graphs.add().initializer.append(one)


def in_function(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    node = onnx.helper.make_node("Constant", [], ["y"], value=one)
    model.functions.append(onnx.helper.make_function("own", "f", [], ["y"], [node], []))


def in_function_default(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.functions.add(name="f").attribute_proto.add(name="a").t.CopyFrom(one)


def in_training(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    model.training_info.add().initialization.initializer.append(one)


def in_depth(model: onnx.ModelProto, one: onnx.TensorProto) -> None:
    """As deep as a graph can be built."""
    graph = model.graph
    for _ in range(30):
        graph = graph.node.add(op_type="If").attribute.add(name="then_branch", type=5).g
    graph.initializer.append(one)


PLACES = (
    in_initializer, in_sparse_values, in_sparse_indices, in_constant, in_list_of_tensors,
    in_sparse_attributes, in_branch, in_list_of_graphs, in_function, in_function_default, in_training,
    in_depth,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle's folder: its weights, and what no graph is to read."""
    made = tmp_path / "bundle"
    made.mkdir()
    for name in ("weights.bin", "unlisted.bin", "../secret", "weights.bin ", "..\\secret", "C:secret"):
        (made / name).write_bytes(b"\0" * 64)
    (made / "link.bin").symlink_to("../secret")
    (made / "folder.bin").mkdir()
    return made


def written(folder: Path, hide: Hide, location: str) -> Path:
    """A graph with a tensor of the bundle's, and one hidden somewhere."""
    model = onnx.ModelProto(ir_version=10)
    model.graph.initializer.append(tensor("weights.bin"))
    hide(model, tensor(location))
    (folder / "a.onnx").write_bytes(model.SerializeToString())
    return folder / "a.onnx"


@pytest.mark.parametrize("hide", PLACES)
def test_wherever_a_tensor_hides_it_is_found(folder: Path, hide: Hide) -> None:
    """And one that lies where it may is none that matters."""
    check_graph(written(folder, hide, "weights.bin"), ALLOWED)
    with pytest.raises(
        BundleError, match=r"a\.onnx: would read '\.\./secret', which is no file of its bundle"
    ):
        check_graph(written(folder, hide, "../secret"), ALLOWED)


@pytest.mark.parametrize("location", OUTSIDE)
def test_only_regular_files_of_the_bundle_are_read(folder: Path, location: str) -> None:
    """Also where a careless manifest lists the name: links and folders are none, nor what leads elsewhere."""
    graph = written(folder, in_initializer, location)
    with pytest.raises(BundleError, match=r"which is no file of its bundle|cannot be read"):
        check_graph(graph, ALLOWED)
    if location not in REAL:
        with pytest.raises(BundleError):
            check_graph(graph, {*ALLOWED, location})


def test_what_it_says_is_one_short_line(folder: Path) -> None:
    """A name may hold anything, also what would move a terminal's cursor."""
    with pytest.raises(BundleError) as caught:
        check_graph(written(folder, in_initializer, "\n\x1b[2J" + "x" * 10_000), ALLOWED)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_every_way_to_a_tensor_is_known() -> None:
    """By the descriptors of the library itself: no message on the way to a TensorProto is left out."""
    names = {"model": "ModelProto", "training": "TrainingInfoProto", "function": "FunctionProto",
             "graph": "GraphProto", "node": "NodeProto", "attribute": "AttributeProto",
             "sparse": "SparseTensorProto", "tensor": "TensorProto"}  # fmt: skip

    def leads(kind: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
        parts = [
            one.message_type for one in kind.fields if one.message_type and one.message_type.name not in seen
        ]
        inside = seen | {kind.name}
        return kind.name == "TensorProto" or any(leads(part, inside) for part in parts)

    for ours, name in names.items():
        if name == "TensorProto":
            assert PARTS[ours] == {onnx.TensorProto.EXTERNAL_DATA_FIELD_NUMBER: "entry"}
            continue
        kind = getattr(onnx, name).DESCRIPTOR
        theirs = {one.number: one.message_type.name for one in kind.fields if one.message_type}
        known = {number: names[part] for number, part in PARTS[ours].items()}
        needed = {one.number for one in kind.fields if one.message_type and leads(one.message_type)}
        assert needed == set(known), name
        assert all(theirs[number] == part for number, part in known.items()), name


# Bytes that no exporter writes


def varint(value: int, length: int = 0) -> bytes:
    """``length``: at the least, as no writer has it but every reader takes."""
    out = []
    while value > 127 or len(out) + 1 < length:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes, length: int = 0) -> bytes:
    return varint(number << 3 | 2, length) + varint(len(content), length) + content


SECRET = field(13, field(1, b"location") + field(2, b"../secret"))
TWICE = field(
    13, field(1, b"offset") + field(1, b"location") + field(2, b"../secret") + field(2, b"weights.bin")
)
OVERLONG = field(13, field(1, b"location", 4) + field(2, b"../secret", 5), 3)


@pytest.mark.parametrize("stored", [SECRET, TWICE, OVERLONG, field(13, b"") + SECRET])
def test_unusual_spellings_are_read_too(folder: Path, stored: bytes) -> None:
    """Numbers longer than need be, fields that come twice, a message in parts."""
    (folder / "a.onnx").write_bytes(field(7, b"") + field(7, field(5, stored)))
    with pytest.raises(BundleError, match=r"would read '\.\./secret'|would read 'weights"):
        check_graph(folder / "a.onnx", ALLOWED)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no graph", "is no ONNX graph"),
        (b"\x3a", "number without an end"),
        (b"\x3a\x05abc", "5 bytes at byte 2, where 3 are left"),
        (b"\x3a" + b"\xff" * 10 + b"\x01", "number without an end"),
        (varint(1 << 35 | 7 << 3 | 2, 6) + b"\x00", "field"),
        (b"\x02\x00", "field 0"),
        (b"\x3b\x3c", "wire type 3"),
        (b"\x09\x00", "ends within a number"),
        (b"\x0d\x00", "ends within a number"),
        (field(7, field(1, field(4, b"EPContext"))), "compiled for another device"),
    ],
)
def test_what_is_no_graph_is_refused(folder: Path, data: bytes, why: str) -> None:
    """With the reason, in the bundle's kind of error."""
    (folder / "a.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=why):
        check_graph(folder / "a.onnx", ALLOWED)


@given(st.binary(max_size=200))
def test_any_bytes_end_well(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """In silence or in a `BundleError`; with the word in it that makes it look closely."""
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    for content in (data, field(7, field(1, data + b"location")), field(7, field(5, data + SECRET))):
        path.write_bytes(content)
        with suppress(BundleError):
            check_graph(path, ALLOWED)


def test_depth_costs_nothing(folder: Path) -> None:
    """Deeper than any engine reads, and than Python could recurse: found all the same."""
    content = field(5, SECRET)
    for _ in range(3000):
        content = field(1, field(5, field(6, content)))
    (folder / "a.onnx").write_bytes(field(7, content))
    with pytest.raises(BundleError, match=r"would read '\.\./secret'"):
        check_graph(folder / "a.onnx", ALLOWED)


def test_other_formats_are_not_opened(folder: Path) -> None:
    """ONNX Runtime takes a file for another format by its name."""
    graph = written(folder, in_initializer, "weights.bin").rename(folder / "a.ort")
    with pytest.raises(BundleError, match=r"must end in \.onnx"):
        check_graph(graph, ALLOWED)
    with pytest.raises(BundleError, match="cannot be read"):
        check_graph(folder / "missing.onnx", ALLOWED)


# Whole bundles


@pytest.fixture
def altered(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A signed copy of the tiny bundle, one of whose graphs reads a tensor from somewhere else."""

    def make(name: str, location: str) -> Path:
        path = copy_of(shared_bundle(tmp_path_factory), tmp_path / "bundle")
        (tmp_path / "secret").write_bytes(b"\0" * 64)
        if location == "link.bin":
            (path / location).symlink_to("../secret")
        model = ir.serde.serialize_model(ir.load(path / name))
        in_constant(model, tensor(location))
        (path / name).write_bytes(model.SerializeToString())
        sign_again(path, lambda manifest: manifest["files"].update(listed(path, location)))
        return path

    return make


def listed(path: Path, location: str) -> dict[str, dict[str, object]]:
    """A manifest of whoever made it may list a link as one of its files."""
    from a3d_edge.manifest import digest

    file = path / location
    return {location: {"bytes": 64, "sha256": digest(file)}} if location == "link.bin" else {}


ENGINES = ["ort:CPU", "openvino"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link.bin", "unlisted.bin"])
@pytest.mark.parametrize("stage", ["frame", "clip", "volume"])
def test_no_engine_opens_such_a_bundle(
    altered: Callable[..., Path], tmp_path: Path, engine: str, location: str, stage: str
) -> None:
    """Whichever of its graphs it is; nor is it prepared for the next time."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    bundle = Bundle.load(altered(f"w1.00.{stage}.onnx", location))
    cache = PreparedNetworks(tmp_path / "prepared", limit=10**8, least=0)
    wanted = find_engine(engine)
    if stage == ("volume" if wanted.volumes else "clip") or stage == "frame":
        for kept in (None, cache):
            with pytest.raises(BundleError, match=r"would read .*, which is no file of its bundle"):
                open_network(bundle.files_of(LARGEST), threads=1, engine=wanted, cache=kept)
    else:  # another engine's form of the stage: the graphs that this one opens are sound
        open_network(bundle.files_of(LARGEST), threads=1, engine=wanted)
    assert not cache.folder.exists()


def test_the_commands_refuse_it_too(altered: Callable[..., Path], tmp_path: Path) -> None:
    """``run`` and ``verify``: exit 4, one line; ``verify`` also for what only another engine opens."""
    path = altered("w1.00.volume.onnx", "../secret")
    for words in (
        ("verify", path),
        ("run", "--source", "demo", "--bundle", path, "--budget", LARGEST, "--engine", "openvino"),
    ):
        code, _, err = run_cli(*words, cwd=tmp_path)
        assert code == 4
        assert "w1.00.volume.onnx: would read '../secret', which" in err.splitlines()[-1]
        assert "Traceback" not in err


def test_what_is_exported_passes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every graph of the tiny bundle and of the built-in one."""
    for bundle in (Bundle.load(shared_bundle(tmp_path_factory)), Bundle.default()):
        for configuration in bundle.configurations:
            assert bundle.files_of(configuration).graphs(volumes=True).keys() >= {"clip"}
