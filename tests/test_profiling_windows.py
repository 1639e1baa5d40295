"""Measuring a configuration: what is run, how often, and what is counted. No test asks how long it took."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from fixtures_bundle import LARGEST, SMALLEST, copy_of, pictures, shared_slowfast
from numpy.typing import NDArray

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.device.energy import Reading
from a3d_edge.device.memory import anonymous_bytes
from a3d_edge.errors import BundleError, ResourceError, UsageError
from a3d_edge.profiling import apart
from a3d_edge.profiling.apart import Measurement, Task
from a3d_edge.profiling.paced import PACED_WARM_UP, paced
from a3d_edge.profiling.windows import (
    FEWEST,
    WARM_UP,
    Limit,
    PeakMemory,
    camera_pictures,
    streaming_ms,
    whole_windows_ms,
    window_latencies_ms,
)
from a3d_edge.task import SINGLE
from a3d_edge.video.sampler import Pathway, pathways


class Counting:
    """A network of two pathways that writes down what it is given."""

    task = SINGLE
    configuration = Configuration(0.5, 32, 2)
    pathways = (Pathway((0, 16), 32), Pathway((0, 2, 4), 48))

    def __init__(self) -> None:
        self.encoded: list[tuple[int, tuple[int, ...]]] = []
        self.classified: list[tuple[int, ...]] = []

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        self.encoded.append((pathway, pictures.shape))
        return np.full(pathway + 1, pathway, np.float32)

    def classify(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.classified.append(tuple(len(given) for given in features))
        return np.ones(1, np.float32)

    def classify_clip(self, images: object) -> tuple[str, float]:
        raise AssertionError("a window of pictures is measured, not of images")


def test_a_window_is_every_picture_of_every_pathway_then_the_scores() -> None:
    """And one window more than is counted."""
    network = Counting()
    (taken,) = window_latencies_ms(network, windows=3)
    assert len(taken) == 3
    assert all(value > 0 for value in taken)
    assert network.encoded == [(0, (2, 3, 32, 32)), (1, (3, 3, 48, 48))] * 4
    assert network.classified == [(1, 2)] * 4


def test_a_real_network_is_measured() -> None:
    """In milliseconds: the smallest configuration of the built-in bundle takes less than a second."""
    bundle = Bundle.default()
    (taken,) = window_latencies_ms(bundle.open(bundle.configurations[0], threads=1))
    assert len(taken) == 5
    assert 0 < min(taken) < 1000


class Noting:
    """A network of one pathway that keeps every picture and how many features it classified."""

    task = SINGLE

    def __init__(self, bundle: Bundle, configuration: Configuration) -> None:
        self.configuration = configuration
        self.pathways = pathways(bundle.sampling, configuration)
        self.encoded: list[int] = []
        self.seen: list[NDArray[np.float32]] = []
        self.classified: list[int] = []

    def encode(self, pictures: NDArray[np.float32], pathway: int = 0) -> NDArray[np.float32]:
        self.encoded.append(len(pictures))
        self.seen.extend(pictures)
        return pictures[:, :1, :2, :2]

    def classify(self, *features: NDArray[np.float32]) -> NDArray[np.float32]:
        self.classified.append(len(features[0]))
        return np.ones(1, np.float32)

    def classify_clip(self, images: object) -> tuple[str, float]:
        raise AssertionError("windows are measured stage by stage")


IMAGES = list(pictures(3))


def test_whole_windows_make_and_encode_every_picture(bundle: Bundle) -> None:
    """The warm-up is run like the others and not counted; both parts of a window are told."""
    network = Noting(bundle, LARGEST)
    network_ms, other_ms = whole_windows_ms(network, bundle, IMAGES, Limit(6, 1e9))
    assert len(network_ms) == len(other_ms) == 6
    assert min(network_ms) > 0
    assert min(other_ms) > 0
    assert network.encoded == [4] * (WARM_UP + 6)
    assert network.classified == [4] * (WARM_UP + 6)
    assert {picture.shape for picture in network.seen} == {(3, 37, 37)}


def test_a_stream_encodes_one_new_picture_a_prediction(bundle: Bundle) -> None:
    """The first window, which encodes all of its own, belongs to the warm-up."""
    network = Noting(bundle, LARGEST)
    taken = streaming_ms(network, bundle, IMAGES, Limit(6, 1e9))
    assert len(taken) == 6
    assert min(taken) > 0
    assert network.classified == [4] * (WARM_UP + 6)
    assert network.encoded == [1] * (3 + WARM_UP + 6)
    one, other = network.seen[-2:]
    assert not np.array_equal(one, other)


def test_a_window_of_fewer_frames_streams_too(bundle: Bundle) -> None:
    """Of one frame: it is the window."""
    network = Noting(bundle, SMALLEST)
    assert len(streaming_ms(network, bundle, IMAGES, Limit(5, 1e9))) == 5
    assert network.classified == [1] * (WARM_UP + 5)


def test_a_network_of_two_pathways_is_measured(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whole windows and a stream of real ones."""
    bundle = Bundle.load(shared_slowfast(tmp_path_factory))
    network = bundle.open(bundle.configurations[0], threads=1)
    network_ms, _ = whole_windows_ms(network, bundle, IMAGES, Limit(2, 1e9))
    assert (len(network_ms), len(streaming_ms(network, bundle, IMAGES, Limit(2, 1e9)))) == (2, 2)


def test_time_ends_a_measurement_but_not_before_a_few_windows() -> None:
    """Five, or as many as were asked for."""
    late = Limit(50, 0.0)
    assert [late.reached(done, 0.0) for done in (1, FEWEST - 1, FEWEST)] == [False, False, True]
    assert Limit(2, 1e9).reached(2, 0.0)


class TwoWatts:
    """A meter that counts 2 J from one reading to the next."""

    name = "two"

    def __init__(self) -> None:
        self.readings = 0

    def read(self) -> Reading | None:
        self.readings += 1
        return Reading(float(self.readings), (2.0 * self.readings,))

    def joules(self, readings: Sequence[Reading | None]) -> float | None:
        first, last = readings[0], readings[-1]
        return None if first is None or last is None else last.values[0] - first.values[0]


def test_a_paced_run_is_that_of_the_runtime(bundle: Bundle) -> None:
    """At least five predictions after the first; a meter is read at each, and gives 2 J a prediction."""
    meter = TwoWatts()
    pace = paced(bundle, SMALLEST, IMAGES, 0.0, threads=1, meter=meter)
    assert len(pace.age_ms) == FEWEST
    assert meter.readings == FEWEST + PACED_WARM_UP
    assert min(pace.age_ms) > 0
    assert pace.cpu_s > 0
    assert pace.energy_j == pytest.approx(2.0)


def test_energy_without_a_meter_is_unknown(bundle: Bundle) -> None:
    """And not 0."""
    assert paced(bundle, SMALLEST, IMAGES, 0.0, threads=1).energy_j is None


def test_pictures_are_those_of_a_camera() -> None:
    """Frames that differ, of the size asked for."""
    shown = camera_pictures((64, 48))
    assert {image.shape for image in shown} == {(48, 64, 3)}
    assert not np.array_equal(shown[0], shown[1])


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux' /proc")
def test_memory_and_its_peak_are_seen() -> None:
    """64 MB that are written to, and freed before the end of the watch."""
    before, peak = anonymous_bytes(), PeakMemory()
    assert before is not None
    with peak.watching():
        # Not from the heap, which may have that much to reuse, or keep it.
        block = mmap.mmap(-1, 64_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        block.write(b"\1" * 64_000_000)
        held = anonymous_bytes()
        deadline = time.monotonic() + 30  # the watching thread may wait for a busy processor
        while held is not None and (peak.mb or 0) < held / 1e6 - 8 and time.monotonic() < deadline:
            time.sleep(0.002)
        block.close()
    after = anonymous_bytes()
    assert held is not None
    assert after is not None
    assert peak.mb is not None
    assert held - before > 50e6
    assert held - after > 50e6
    assert peak.mb - after / 1e6 > 50


# In a process of its own


@dataclass
class Answer:
    """What the other process said, for `a3d_edge.profiling.apart._answer`."""

    out: str = ""
    err: str = ""
    code: int = 0
    fields: dict[str, object] = field(default_factory=dict)

    def read(self) -> Measurement:
        return apart._answer("w0.50-s18-t1", self.code, self.out or json.dumps(self.fields), self.err)


def test_a_configuration_is_measured_in_a_process_of_its_own(bundle: Bundle) -> None:
    """All of it: windows, stream, pace, memory; nothing is printed."""
    found = apart.measure_apart(Task(str(bundle.path), str(SMALLEST), "ort:CPU", 1, 5, 0.01))
    assert (len(found.network_ms), len(found.other_ms), len(found.streaming_ms)) == (5, 5, 5)
    assert len(found.paced_ms) == FEWEST
    assert found.cpu_s is not None
    if Path("/proc/self/status").is_file():
        assert found.before_mb is not None
        assert found.steady_mb is not None
        assert found.peak_mb is not None
        assert 0 < found.before_mb < found.peak_mb
        assert found.steady_mb <= found.peak_mb


def test_its_errors_are_those_of_this_process(bundle: Bundle, tmp_path: Path) -> None:
    """With their types and words."""
    broken = copy_of(bundle.path, tmp_path / "broken")
    (broken / "weights.bin").write_bytes(b"")
    with pytest.raises(BundleError, match=r"weights\.bin: 0 bytes instead of"):
        apart.measure_apart(Task(str(broken), str(SMALLEST), "ort:CPU", 1, 5, 0.01))


def test_a_process_that_is_killed_is_a_lack_of_something() -> None:
    """As the kernel does it when memory is short."""
    with pytest.raises(ResourceError) as caught:
        Answer(out="\n", code=-9).read()
    assert str(caught.value) == (
        "w0.50-s18-t1: its process was killed by signal 9 (memory may be short); "
        "leave it out with `configuration`"
    )


def test_a_process_that_ends_without_an_answer_is_quoted() -> None:
    """The last line it wrote."""
    with pytest.raises(ResourceError, match=r"ended with exit code 1 \(ImportError: no\); leave it out"):
        Answer(out="half", err="Traceback\nImportError: no\n", code=1).read()


def test_an_answer_is_the_last_line() -> None:
    """A library may have printed before it; an error keeps its type."""
    found = Measurement((1.0,), (2.0,), (3.0,), cpu_s=0.5)
    line = json.dumps({key: getattr(found, key) for key in Measurement.__slots__})
    assert Answer(out=f"hello from a library\n{line}\n").read() == found
    with pytest.raises(UsageError, match="what was said"):
        Answer(fields={"error": "UsageError", "message": "what was said"}).read()


def test_measuring_needs_nothing_heavy(bundle: Bundle) -> None:
    """Where torch, onnx and matplotlib cannot be imported."""
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnx_ir', 'matplotlib'): sys.modules[name] = None\n"
        "from a3d_edge.profiling.apart import main\nmain()\n"
    )
    task = {"bundle": str(bundle.path), "configuration": str(SMALLEST), "engine": "ort:CPU", "threads": 1}
    rest = {"windows": 1, "seconds": 0.01, "paced": False}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(task | rest),
        text=True,
        capture_output=True,
        check=True,
    )
    assert len(json.loads(done.stdout)["network_ms"]) == 1
