"""What a file is that was given for a checkpoint and is none, told by its first bytes; nothing in it is run.

Downloads fail quietly: a pointer of git-lfs, a page that says *not found*, half a file. And other libraries
save in other forms. Each gets a sentence on what it is, and what to do next.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

__all__ = ["what_is"]

HEAD = 4096  # bytes looked at
OPCODES = 4096  # of a pickle that is looked through
AGAIN = "download the file itself again"
PTH = "save a state dict with torch.save (.pth) and import that"

MAGIC = (
    (
        b"\x89HDF\r\n",
        "is HDF5, as Keras saves weights; only PyTorch's files can be read: " + PTH,
    ),
    (b"\x93NUMPY", "is a NumPy array; " + PTH),
    (b"GGUF", "is a GGUF model; only PyTorch's files can be read"),
    (b"\x1f\x8b", "is packed (gzip); unpack it first"),
    (b"BZh", "is packed (bzip2); unpack it first"),
    (b"\xfd7zXZ", "is packed (xz); unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is packed (zstd); unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
    (b"Rar!", "is a RAR archive; unpack it first"),
    (b"%PDF", "is a PDF; name the checkpoint itself"),
    (b"\x89PNG", "is a picture; name a checkpoint"),
    (b"\xff\xd8\xff", "is a picture; name a checkpoint"),
    (b"RIFF", "is a video or sound; name a checkpoint"),
    (b"\x1aE\xdf\xa3", "is a video; name a checkpoint"),
)
AT = (
    (4, b"ftyp", "is a video; name a checkpoint"),
    (4, b"TFL3", "is a TensorFlow Lite model; only PyTorch's files can be read"),
    (257, b"ustar", "is a tar archive; unpack it first and name the checkpoint in it"),
)
NAMES = {
    ".onnx": "is an ONNX model, a graph without PyTorch's names; name the checkpoint it was exported from",
    ".pb": "is a TensorFlow graph; only PyTorch's files can be read",
    ".index": "is a part of a TensorFlow checkpoint; only PyTorch's files can be read",
    ".caffemodel": "is a Caffe model; only PyTorch's files can be read",
    ".pdparams": "is a PaddlePaddle checkpoint; only PyTorch's files can be read",
}


def what_is(path: Path) -> str | None:
    """A sentence that goes on after the file's name; None where nothing is recognised."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():  # a pipe would be waited for, a device read without an end
        return "is no regular file; name a .pth file"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return f"cannot be read ({error.strerror}); see to its permissions"
    looks: tuple[Callable[[Path, bytes], str | None], ...] = (
        _nothing, _magic, _safetensors, _zip, _onnx, _pickle, _text
    )  # fmt: skip
    return next((said for look in looks if (said := look(path, head))), NAMES.get(_kind(path)))


def _kind(path: Path) -> str:
    return ".index" if ".data-" in path.suffix else path.suffix.lower()


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").exists():
        return "is a TensorFlow model; only PyTorch's files can be read"
    if any(path.glob("*.distcp")):
        return "is a distributed checkpoint; join it with torch.distributed.checkpoint.format_utils first"
    if (path / "manifest.json").exists():
        return "is a bundle, not a checkpoint; name the .pth file it was exported from"
    return "is a folder; name a .pth file in it"


def _nothing(path: Path, head: bytes) -> str | None:
    if not head:
        return f"is empty; {AGAIN}"
    if not any(head):
        return f"begins with zeros alone, as a download that was cut off; {AGAIN}"
    return None


def _magic(path: Path, head: bytes) -> str | None:
    found = (said for magic, said in MAGIC if head.startswith(magic))
    placed = (said for at, magic, said in AT if head[at : at + len(magic)] == magic)
    return next(found, None) or next(placed, None)


def _safetensors(path: Path, head: bytes) -> str | None:
    if int.from_bytes(head[:8], "little") < 2**27 and head[8:].lstrip().startswith(b'{"'):
        return "is a safetensors file; convert it: torch.save(safetensors.torch.load_file(FILE), 'net.pth')"
    return None


def _zip(path: Path, head: bytes) -> str | None:
    if not head.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
            folders = {part for name in archive.namelist() for part in name.split("/")[:-1]}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return f"is a zip that is cut off or damaged; is it complete? {AGAIN}"
    if "code" in folders and "data.pkl" in names:
        return "is a TorchScript program; save the network's state_dict() with torch.save, and import that"
    if "data.pkl" in names:
        return None
    if any(name.endswith(".npy") for name in names):
        return "is an archive of NumPy arrays; " + PTH
    if any(name.endswith((".weights.h5", ".h5")) for name in names):
        return "is a Keras model; only PyTorch's files can be read"
    inside = next((name for name in names if name.endswith((".pth", ".pt", ".pyth", ".ckpt"))), "")
    return f"is an archive; unpack it first and name the checkpoint in it{f' ({inside})' if inside else ''}"


def _onnx(path: Path, head: bytes) -> str | None:
    """A protobuf that begins as ONNX does: its version, then a text or a graph."""
    begins = head[:1] == b"\x08" and 0 < head[1] < 32 and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42")
    return NAMES[".onnx"] if begins and len(head) > 2 else None


def _pickle(path: Path, head: bytes) -> str | None:
    """A pickle that is not PyTorch's; only its opcodes are read."""
    if not (head[:1] == b"\x80" or head[:2] in (b"(d", b"}q", b"]q", b"(l")):
        return None
    try:
        with path.open("rb") as file:
            words = list(_words(islice(pickletools.genops(file), OPCODES)))
    except Exception:  # a damaged pickle makes it raise nearly anything
        return None
    if not any(word.startswith("numpy") for word in words):
        return None
    if "blobs" in words or any(word.startswith(("conv1_w", "res2_0_branch")) for word in words):
        return "is a Caffe2 pickle; take the PyTorch file of the same network (.pyth)"
    return "is a pickle of NumPy arrays; " + PTH


def _words(opcodes: Iterable[tuple[pickletools.OpcodeInfo, object, int | None]]) -> Iterable[str]:
    for _, argument, _ in opcodes:
        if isinstance(argument, (str, bytes)):
            yield argument if isinstance(argument, str) else argument.decode("latin-1")


def _text(path: Path, head: bytes) -> str | None:
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < HEAD else "ignore").strip()
    except UnicodeDecodeError:
        return None
    if any(ord(c) < 32 and c not in "\t\r\n\f" for c in text) or not text:
        return None
    if text.startswith("version https://git-lfs"):
        return "is a git-lfs pointer, not the file; fetch it with 'git lfs pull'"
    if text.startswith("/annex/objects/"):
        return "is a git-annex pointer, not the file; fetch it with 'git annex get'"
    if text.lower().startswith(("<!doctype html", "<html", "<head", "<body", "<script")):
        return f"is a web page (a sign-in, or 'not found'), not the file; {AGAIN}"
    if text.startswith("<"):
        return f"is XML, as a server's refusal, not the file; {AGAIN}"
    if text.startswith(("{", "[")):
        return "is JSON, not tensors; name the file with the weights (.pth)"
    line = " ".join(text.splitlines()[0].split())
    return (
        f"is text ('{line[:40]}{'…' if len(line) > 40 else ''}'), not tensors; name the file with the weights"
    )
