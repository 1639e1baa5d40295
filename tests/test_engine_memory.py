"""What loaded networks may take and do take, and the heap that loading leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from fixtures_bundle import LARGEST, main_here, shared_bundle, write_video

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.memory import (
    MAPPED_BYTES,
    Footprints,
    default_memory,
    parse_memory,
    tidy_heap,
)
from a3d_edge.engine.session import open_network
from a3d_edge.errors import UsageError

WIDE, NARROW = Configuration(1.0, 224, 8), Configuration(0.5, 128, 2, "int8")
WEIGHTS = {NARROW: 8_000_000, WIDE: 128_000_000}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200MB", 200_000_000), ("1.5 GB", 1_500_000_000), ("256MiB", 2**28), ("1gib", 2**30), ("64kb", 64_000)],
)
def test_amounts_of_memory(text: str, expected: int) -> None:
    """Decimal and binary units, in any case, with a fraction or a space."""
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "200", "MB", "-1MB", "0MB", "0.4KB 1", "200 bananas", "1e3MB"])
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    """The message names the flag and shows how to write it; a number without unit could mean anything."""
    with pytest.raises(UsageError) as caught:
        parse_memory(text)
    expected = f"`memory` '{text}' is not an amount of memory; write it like 200MB, 256MiB or 1GB"
    assert str(caught.value) == expected


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_default_is_a_quarter_of_what_is_free(tmp_path: Path) -> None:
    """Of the machine, where no cgroup limits us; the machine's free memory moves a little meanwhile."""
    assert default_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available / 4, rel=0.2)


def test_the_default_heeds_a_container_s_limit(tmp_path: Path) -> None:
    """v2: 40 MB limit, 30 used, of which 10 are file cache that can be dropped: a quarter of 20."""
    write(tmp_path / "proc/self/cgroup", "0::/box\n")
    group = tmp_path / "sys/fs/cgroup/box"
    write(group / "memory.max", "40000000")
    write(group / "memory.current", "30000000")
    write(group / "memory.stat", "anon 20000000\ninactive_file 10000000\n")
    assert default_memory(tmp_path) == 5_000_000


def test_the_default_heeds_a_v1_limit_and_is_never_negative(tmp_path: Path) -> None:
    """Of a parent too; more may be in use than a limit that was lowered."""
    write(tmp_path / "proc/self/cgroup", "4:memory:/outer/inner\n")
    outer = tmp_path / "sys/fs/cgroup/memory/outer"
    (outer / "inner").mkdir(parents=True)
    write(outer / "memory.limit_in_bytes", "8000000")
    write(outer / "memory.usage_in_bytes", "4000000")
    assert default_memory(tmp_path) == 1_000_000
    write(outer / "memory.usage_in_bytes", "9000000")
    assert default_memory(tmp_path) == 0


def test_until_it_is_loaded_a_network_is_its_weights() -> None:
    """A configuration whose weights are not told is not known."""
    sizes = Footprints(WEIGHTS, measure=lambda: None)
    assert (sizes.of(WIDE), sizes.of(NARROW)) == (128_000_000, 8_000_000)
    assert sizes.of(Configuration(0.7, 64, 1)) == 0


def measured(sizes: Footprints, configuration: Configuration, amounts: Iterator[int | None]) -> int:
    """What is believed after loading it, with these two readings of the process's memory."""
    sizes._measure = lambda: next(amounts)
    with sizes.measuring(configuration):
        pass
    return sizes.of(configuration)


def test_loading_shows_what_it_takes() -> None:
    """The growth of the process; never less than the weights, for others may have freed meanwhile."""
    sizes = Footprints(WEIGHTS)
    assert measured(sizes, WIDE, iter([100_000_000, 400_000_000])) == 300_000_000
    assert measured(sizes, WIDE, iter([400_000_000, 390_000_000])) == 128_000_000
    assert measured(sizes, NARROW, iter([None, 390_000_000])) == 8_000_000


def test_a_loading_that_fails_teaches_nothing() -> None:
    """The memory that a failed loading took is not a network's."""
    amounts = iter([0, 10**9])
    sizes = Footprints(WEIGHTS, measure=lambda: next(amounts))
    with pytest.raises(ValueError, match="damaged"), sizes.measuring(WIDE):
        raise ValueError("damaged")
    assert sizes.of(WIDE) == 128_000_000


HEAP = """
import ctypes, contextlib, sys
from a3d_edge.device.memory import anonymous_bytes
from a3d_edge.engine.memory import tidy_heap
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def load():
    # as loading does: tensors are made, small ones between them stay, and the tensors are freed
    tensors = []
    for _ in range(200):
        tensors.append(libc.malloc(100_000)); ctypes.memset(tensors[-1], 1, 100_000)
        ctypes.memset(libc.malloc(200), 1, 200)
    for tensor in tensors:
        libc.free(tensor)
    return anonymous_bytes()

before = anonymous_bytes()
with tidy_heap() if sys.argv[1] == "tidy" else contextlib.nullcontext():
    print(load() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_tensors_leave_no_holes_while_loading() -> None:
    """20 MB of tensors with small blocks between them: freed, they are back with the kernel at once. Without
    `tidy_heap` they stay."""

    def left(how: str) -> int:
        command = [sys.executable, "-c", HEAP, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    if left("untidy") < 10_000_000:
        pytest.skip("another allocator than glibc's")
    assert left("tidy") < 2_000_000


def test_loading_is_tidied_and_leaves_the_heap_usable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A network that is loaded, and tidied around by others, computes; blocks of every size can be had."""
    bundle = Bundle.load(shared_bundle(tmp_path_factory))
    with tidy_heap():
        network = open_network(bundle.files_of(LARGEST), threads=1)
    pathway = network.pathways[0]
    pictures = np.zeros((len(pathway.instants), 3, pathway.size, pathway.size), np.float32)
    assert network.classify(network.encode(pictures)).sum() == pytest.approx(1.0)
    blocks = [np.ones(size, np.uint8) for size in (10, 10**4, 10**6, 4 * 10**7)]
    assert [int(block[-1]) for block in blocks] == [1, 1, 1, 1]


def test_a_run_with_room_for_one_network_still_goes_through_all(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`run --memory`: what does not fit is loaded again, no window is lost; nonsense is refused."""
    bundle = shared_bundle(tmp_path_factory)
    clip = write_video(tmp_path / "clip.mp4", 40)
    command = ("run", "--bundle", bundle, "--source", clip, "--json", "--switch-every", "1", "--memory")
    for amount in ("1KB", "1GB"):
        code, out, err = main_here(capfd, monkeypatch, *command, amount)
        assert code == 0, err
        summary = json.loads(out.splitlines()[-1])
        assert (summary["predictions"], summary["switches"]) == (17, 16)
    code, _, err = main_here(capfd, monkeypatch, *command, "lots")
    assert code == 2
    assert "--memory 'lots' is not an amount of memory" in err


def test_of_a_mapped_network_little_is_believed() -> None:
    """Its weights are the file's; what loading shows to be more is its own. In int8 they are packed."""
    sizes = Footprints(WEIGHTS, mapped=lambda configuration: True)
    assert (sizes.of(WIDE), sizes.of(NARROW)) == (MAPPED_BYTES, 8_000_000 + MAPPED_BYTES)
    assert sizes.of(Configuration(0.7, 64, 1)) == 0
    assert measured(sizes, WIDE, iter([100_000_000, 111_000_000])) == 11_000_000
    assert measured(sizes, WIDE, iter([100_000_000, 90_000_000])) == MAPPED_BYTES
