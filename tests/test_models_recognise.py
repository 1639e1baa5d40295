"""Files that were given for a checkpoint: what each is, and what to do next."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from a3d_edge.errors import CheckpointError
from a3d_edge.models.checkpoint import load, read_tensors
from a3d_edge.models.recognise import what_is


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("net.pth"))
    return out.getvalue()


def numpy_file(save: Any, *arrays: Any) -> bytes:
    out = io.BytesIO()
    save(out, *arrays)
    return out.getvalue()


SAFE = json.dumps({"s1": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
ARRAY = np.arange(3.0)
KINDS: dict[str, tuple[bytes, str]] = {
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "is a git-lfs pointer"),
    "annex": (b"/annex/objects/SHA256E-s9--1.pth\n", "is a git-annex pointer"),
    "page": (b"\xef\xbb\xbf\n <!doctype HTML>\n<html lang='de'>" + b"x" * 9000, "is a web page"),
    "page cut inside a letter": (
        ("<html>Anmelden ü</html>" * 400).encode(), "is a web page"
    ),
    "refusal": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is XML, as a server's"),
    "json": (b'{"message": "Not Found"}', "is JSON"),
    "text": (b"404: Not Found", "is text ('404: Not Found')"),
    "empty": (b"", "is empty"),
    "zeros": (bytes(9000), "begins with zeros alone"),
    "caffe2, Python 2": (pickle.dumps({"blobs": {"conv1_w": ARRAY}}, 2), "is a Caffe2 pickle; take"),
    "caffe2, text": (pickle.dumps({"blobs": {"conv1_w": ARRAY}}, 0), "is a Caffe2 pickle"),
    "caffe2, bare": (pickle.dumps({"res2_0_branch1_w": ARRAY}, 4), "is a Caffe2 pickle"),
    "numpy pickle": (pickle.dumps({"w": ARRAY}), "is a pickle of NumPy arrays"),
    "npy": (numpy_file(np.save, ARRAY), "is a NumPy array"),
    "npz": (numpy_file(np.savez, ARRAY), "is an archive of NumPy arrays"),
    "safetensors": (len(SAFE).to_bytes(8, "little") + SAFE + bytes(4), "is a safetensors file; convert it"),
    "onnx": (b"\x08\x0a\x12\x07pytorch\x1a\x032.9:\x80", "is an ONNX model"),
    "keras": (zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b"\x89HDF"), "is a Keras model"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "is HDF5"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(90), "is a TensorFlow Lite model"),
    "zip": (zipped(a__net_dot_pyth=b"x"), "is an archive; unpack it first and name"),
    "tar": (tarred(), "is a tar archive"),
    "gzip": (b"\x1f\x8b\x08" + bytes(90), "is packed (gzip)"),
    "video": (b"\x00\x00\x00\x18ftypmp42" + bytes(90), "is a video"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [load, read_tensors])
def test_a_file_of_another_kind_is_told(kind: str, read: Any, tmp_path: Path) -> None:
    """Read as ours or to be imported, in one line that begins with the file."""
    content, said = KINDS[kind]
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path / "net.pth")
    assert str(caught.value).startswith(f"{tmp_path}/net.pth: cannot be read as a checkpoint: it {said}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).removeprefix(str(tmp_path))) < 200


def test_a_cut_off_download_is_told(tmp_path: Path) -> None:
    """A zip without its end."""
    file = tmp_path / "net.pth"
    torch.save({"model_state": {"s1": torch.zeros(999)}}, file)
    file.write_bytes(file.read_bytes()[:-500])
    assert "cut off or damaged; is it complete?" in (what_is(file) or "")


def test_a_torchscript_program_is_told(tmp_path: Path) -> None:
    """A zip with code."""
    path = tmp_path / "net.pt"
    path.write_bytes(zipped(net__data_dot_pkl=b"", net__code____torch___dot_py=b"pass"))
    assert (what_is(path) or "").startswith("is a TorchScript program; save the network's state_dict()")


def test_pytorchs_own_files_are_not_taken_for_others(tmp_path: Path) -> None:
    """In both of its forms, so that their own message is kept."""
    for zip_form in (True, False):
        torch.save({"a": torch.zeros(3)}, tmp_path / "net.pth", _use_new_zipfile_serialization=zip_form)
        assert what_is(tmp_path / "net.pth") is None


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "is a folder; name a .pth file in it"),
        (["saved_model.pb"], "is a TensorFlow model"),
        (["__0_0.distcp"], "is a distributed checkpoint"),
        (["manifest.json"], "is a bundle, not a checkpoint"),
    ],
)
def test_folders(names: list[str], said: str, tmp_path: Path) -> None:
    """By what is in them."""
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"^{tmp_path}: {said}"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"), [("net.data-00000-of-00001", "TensorFlow"), ("n.pdparams", "Paddle")]
)
def test_what_only_the_name_tells(name: str, said: str, tmp_path: Path) -> None:
    """Bytes that begin as nothing known."""
    (tmp_path / name).write_bytes(b"\xc3\x28\x01\x02" * 50)
    assert said in (what_is(tmp_path / name) or "")
    (tmp_path / "net.bin").write_bytes(b"\xc3\x28\x01\x02" * 50)
    assert what_is(tmp_path / "net.bin") is None
