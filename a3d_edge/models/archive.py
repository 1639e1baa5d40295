"""What a checkpoint file declares, held against what it is, before and after it is read.

A zip may declare more than it holds: compressed zeros, or one entry's bytes under many names. What is read
from it may hold itself, or the same part so often that nobody comes to its end. PyTorch looks at neither.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["MOST_BYTES", "check_archive", "check_contents", "is_finite"]

MOST_BYTES = 8 << 30
ENTRIES, PICKLE_BYTES = 200_000, 64 << 20
"""Of an archive: tensors, and bytes of the names and plain values that hold them."""
ITEMS, DEPTH, DIGITS = 500_000, 64, 1 << 64
"""Of what was read: parts in all, parts within parts, and how large an integer may be."""
END_BYTES = 22 + 65_535


def check_archive(path: Path) -> None:
    """Raise `ValueError`, which goes on after "the file", unless a zip holds what it declares.

    Other files pass: what PyTorch read before version 1.6 has no table of contents. Raises `OSError`.
    """
    whole = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
        file.seek(max(0, whole - END_BYTES))
        if _declared_entries(file.read()) > ENTRIES:
            raise ValueError(f"declares more than {ENTRIES} entries")
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ValueError("is a zip that is cut off or damaged") from error
    if any(one.compress_type != zipfile.ZIP_STORED for one in entries):
        raise ValueError("is compressed, as PyTorch's are not; unpack it, and save it again with torch.save")
    if (declared := sum(one.file_size for one in entries)) > whole:
        raise ValueError(f"declares {declared} bytes and has {whole}")
    if any(one.file_size > PICKLE_BYTES for one in entries if one.filename.endswith(".pkl")):
        raise ValueError(f"holds more than {PICKLE_BYTES >> 20} MB beside its tensors")


def _declared_entries(end: bytes) -> int:
    """How many entries a zip's last record says that there are, or the larger record beside it."""
    place = end.rfind(b"PK\x05\x06")
    found: int = struct.unpack_from("<H", end, place + 10)[0] if 0 <= place <= len(end) - 12 else 0
    larger = end.rfind(b"PK\x06\x06")
    if 0 <= larger <= len(end) - 40:
        found = max(found, struct.unpack_from("<Q", end, larger + 32)[0])
    return found


def check_contents(payload: Any) -> None:
    """Raise `ValueError` for what holds itself, has too many parts, or numbers that no storage holds."""
    waiting, count = [(payload, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > ITEMS or depth > DEPTH:
            raise ValueError("has parts within parts without an end")
        if isinstance(value, Tensor):
            _check_tensor(value)
        elif isinstance(value, int) and not -DIGITS < value < DIGITS:
            raise ValueError(f"has an integer of {value.bit_length()} bits")
        elif isinstance(value, Mapping):
            waiting.extend((one, depth + 1) for pair in value.items() for one in pair)
        elif isinstance(value, (list, tuple, set, frozenset)):
            if len(value) > ITEMS:
                raise ValueError(f"has a list of {len(value)} items")
            waiting.extend((one, depth + 1) for one in value)


def _check_tensor(tensor: Tensor) -> None:
    """A view may repeat one stored number without an end."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        raise ValueError("has a tensor that is sparse, quantized or without values")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError(f"has a tensor of shape {tuple(tensor.shape)} that repeats what is stored once")


def is_finite(tensor: Tensor) -> bool:
    """Whether every number is one."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
