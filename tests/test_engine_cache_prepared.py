"""Prepared networks: the same answers, made once, and never in the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fixtures_bundle import (
    CONFIGURATIONS,
    LARGEST,
    SMALLEST,
    TWO_PATHWAYS,
    ListSource,
    Recorder,
    run_cli,
    shared_slowfast,
    write_video,
)
from numpy.typing import NDArray
from test_engine_cache_apart import children, first_child, state

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.cache import prepared as prepared_module
from a3d_edge.engine.cache.bounds import CAP
from a3d_edge.engine.cache.prepared import (
    PreparedGraphs,
    PreparedNetworks,
    cache_of,
    default_limit,
    prepared_folder,
)
from a3d_edge.engine.cache.store import Store, describe_entry, folder_bytes
from a3d_edge.engine.engines import find_engine
from a3d_edge.engine.pool import SessionPool
from a3d_edge.engine.session import BundleNetwork, open_network, probe_pictures
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.runtime import Cycle, Runtime

ORT = find_engine("ort:CPU")
PATIENCE_S = 20.0
SPARE = 8192
"""Two pages: an entry of the smallest needs one more."""


@pytest.fixture
def cache(tmp_path: Path) -> PreparedNetworks:
    """For networks of any size."""
    return PreparedNetworks(tmp_path / "prepared", limit=10**8, least=0)


def logits(network: BundleNetwork, seed: int = 5) -> NDArray[np.float32]:
    """Of random pictures."""
    rng = np.random.default_rng(seed)
    window = [rng.normal(size=probe_pictures(one).shape).astype(np.float32) for one in network.pathways]
    return network.logits(*network.encode_window(window))


def opened(bundle: Bundle, configuration: Configuration, cache: PreparedNetworks | None) -> BundleNetwork:
    return open_network(bundle.files_of(configuration), threads=1, cache=cache)


def entries(cache: PreparedNetworks) -> list[Path]:
    return sorted(cache.folder.iterdir()) if cache.folder.exists() else []


@pytest.mark.parametrize("configuration", [CONFIGURATIONS[1], CONFIGURATIONS[2], LARGEST])
def test_a_prepared_network_computes_the_same(
    bundle: Bundle, cache: PreparedNetworks, configuration: Configuration
) -> None:
    """To the bit, when it is made and when it is mapped again; of one width, each its own statistics."""
    expected = logits(opened(bundle, configuration, None))
    for _ in range(2):
        assert np.array_equal(logits(opened(bundle, configuration, cache)), expected)
    assert (cache.made, len(entries(cache)), cache.notes()) == (1, 1, [])


def test_two_pathways_are_prepared_too(
    cache: PreparedNetworks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A network without a frame stage."""
    slowfast = Bundle.load(shared_slowfast(tmp_path_factory))
    expected = logits(opened(slowfast, TWO_PATHWAYS[1], None))
    assert np.array_equal(logits(opened(slowfast, TWO_PATHWAYS[1], cache)), expected)
    assert cache.made == 1


def test_it_is_made_once_for_all_processes(bundle: Bundle, cache: PreparedNetworks) -> None:
    """Another finds it; another configuration, bundle, engine or processor does not."""
    opened(bundle, LARGEST, cache)
    other = PreparedNetworks(cache.folder, limit=10**8, least=0)
    opened(bundle, LARGEST, other)
    assert other.made == 0
    opened(bundle, SMALLEST, other)
    assert (other.made, len(entries(other))) == (1, 2)


def test_another_processor_makes_its_own(
    bundle: Bundle, cache: PreparedNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that moves from one board to another."""
    opened(bundle, SMALLEST, cache)
    monkeypatch.setattr(prepared_module, "processor", lambda: "another")
    opened(bundle, SMALLEST, cache)
    assert (cache.made, len(entries(cache))) == (2, 2)


# Damage


def weights(cache: PreparedNetworks) -> Path:
    return next(cache.folder.glob("*/*.clip.onnx.data"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def sign_wrong(path: Path) -> None:
    """As if an engine had written something else: the sums agree, the logits do not."""
    path.write_bytes(bytes(path.stat().st_size))
    identity = json.loads((path.parent / "entry.json").read_text())["identity"]
    (path.parent / "entry.json").unlink()
    describe_entry(path.parent, identity)


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink, sign_wrong])
def test_a_damaged_entry_is_made_again(
    bundle: Bundle, cache: PreparedNetworks, damage: Callable[[Path], None]
) -> None:
    """And never answers; nobody need know."""
    expected = logits(opened(bundle, LARGEST, cache))
    damage(weights(cache))
    assert np.array_equal(logits(opened(bundle, LARGEST, cache)), expected)
    assert (cache.made, cache.notes()) == (2, [])
    assert np.array_equal(logits(opened(bundle, LARGEST, cache)), expected)
    assert (cache.made, len(entries(cache))) == (2, 1)


def test_one_in_use_outlives_its_file(bundle: Bundle, cache: PreparedNetworks) -> None:
    """The folder may be deleted at any time."""
    network = opened(bundle, LARGEST, cache)
    expected = logits(network)
    shutil.rmtree(cache.folder)
    assert np.array_equal(logits(network), expected)
    opened(bundle, LARGEST, cache)
    assert (cache.made, cache.notes()) == (2, [])


# What is not served


def test_small_networks_and_other_engines_are_opened_directly(bundle: Bundle, tmp_path: Path) -> None:
    """No folder is made for them; a network that would not fit the limit is not made either."""
    folder = tmp_path / "prepared"
    for cache in (PreparedNetworks(folder), PreparedNetworks(folder, limit=1000, least=0)):
        opened(bundle, LARGEST, cache)
        assert not cache.serves(bundle.files_of(LARGEST), ORT)
    cache = PreparedNetworks(folder, limit=10**8, least=0)
    assert cache.serves(bundle.files_of(LARGEST), ORT)

    class Other:
        name = "ort:CPU"
        volumes = ORT.volumes
        open = staticmethod(ORT.open)

    class Unoptimized(Other):
        prepared_form = None
        write_prepared = open_prepared = None

    for engine in (Other(), Unoptimized()):
        assert cache.get(bundle.files_of(LARGEST), engine) is None
        open_network(bundle.files_of(LARGEST), threads=1, engine=engine, cache=cache)
    assert not folder.exists()


def test_a_configuration_the_bundle_lacks_is_a_usage_error(bundle: Bundle, cache: PreparedNetworks) -> None:
    """As without a cache."""
    with pytest.raises(UsageError, match="is not in the table"):
        opened(bundle, Configuration(0.5, 32, 3), cache)


def test_the_bound_holds(bundle: Bundle, tmp_path: Path) -> None:
    """With room for one and a half, the one used last stays."""
    folder = tmp_path / "prepared"
    one = PreparedNetworks(folder, limit=10**8, least=0)
    opened(bundle, LARGEST, one)
    bound = PreparedNetworks(folder, limit=int(1.5 * folder_bytes(entries(one)[0])), least=0)
    opened(bundle, CONFIGURATIONS[-2], bound)
    assert [path.name.rpartition("-")[0] for path in entries(bound)] == [str(CONFIGURATIONS[-2])]


def test_the_default_limit_is_a_share_of_the_disk(tmp_path: Path) -> None:
    """What it holds itself counts as free, and there is a cap."""
    free = shutil.disk_usage(tmp_path).free
    assert default_limit(tmp_path / "not" / "there") == pytest.approx(min(CAP, free // 10), rel=0.05)


def test_a_folder_that_cannot_be_looked_at_has_the_limit_of_its_disk(tmp_path: Path) -> None:
    """It is told of when something is to be kept there, not before."""
    limit = default_limit(tmp_path / ("x" * 300) / "prepared")
    assert limit == pytest.approx(default_limit(tmp_path / "other"), rel=0.05)


@pytest.mark.parametrize(("text", "limit"), [("500MB", 500_000_000), ("1GiB", 2**30)])
def test_a_size_in_words(text: str, limit: int) -> None:
    """As `--memory` has it."""
    cache = cache_of(text)
    assert cache is not None
    assert cache._store.limit == limit


def test_none_and_nonsense(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default lies where the XDG base directories have it."""
    assert cache_of("none") is None
    with pytest.raises(UsageError, match=r"`cache` 'lots' is not a size; write it like .* or 1GB or none"):
        cache_of("lots")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert prepared_folder() == tmp_path / "a3d-edge" / "prepared"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert prepared_folder() == Path("/home/somebody/.cache/a3d-edge/prepared")


# Trouble


def test_a_bundle_opens_by_way_of_it(bundle: Bundle, cache: PreparedNetworks) -> None:
    """For an application that has its own loop."""
    first = bundle.open(bundle.configurations[0], threads=1, cache=cache)
    second = bundle.open(bundle.configurations[0], threads=1, cache=cache)
    assert cache.made == 1
    assert isinstance(first, BundleNetwork)
    assert isinstance(second, BundleNetwork)
    np.testing.assert_array_equal(logits(second), logits(first))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a real disk in memory with these options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root may mount a disk")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("this system does not let root mount a tmpfs")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("size=8k,mode=0755", "MB are needed"),
        ("size=%s,mode=0755", "No space left|refuses"),
        ("ro,mode=0755", "Read-only file system"),
        ("size=1m,mode=0777", "may be written by others"),
    ],
)
def test_a_disk_that_cannot_keep_them_is_told_once(
    bundle: Bundle, disk: Callable[[str], Path], options: str, why: str
) -> None:
    """Full before, full while it is written, read-only, or everybody's: the run goes on all the same."""
    if "%s" in options:  # enough for the estimate, not for the files
        options %= int(1.1 * 4e6 * bundle.table.row(SMALLEST).params_m) + SPARE
    cache = PreparedNetworks(disk(options), limit=10**8, least=0)
    events = Recorder()
    Runtime(bundle, ListSource(20), controller=Cycle([SMALLEST, LARGEST]), events=[events], threads=1,
            cache=cache).run()  # fmt: skip
    assert len(events.predictions) == 7
    assert len(events.warnings) == 1
    assert events.warnings[0].startswith(f"{cache.folder}: networks cannot be kept there (")
    assert re.search(why, events.warnings[0]), events.warnings
    assert cache.made == 0
    assert entries(cache) == []


@pytest.mark.parametrize("kind", ["open", "link", "taken"])
def test_a_folder_that_is_not_ours_alone_is_told_once(
    bundle: Bundle, tmp_path: Path, cache: PreparedNetworks, kind: str
) -> None:
    """Others may exchange it, it is a link, or something else has an entry's name: loaded directly."""
    if kind == "taken":
        opened(bundle, LARGEST, cache)
        (entries(cache)[0] / "precious.txt").write_text("mine")
        flip(weights(cache))
        why = "is none of our folders; move it away"
    elif kind == "link":
        (tmp_path / "data").mkdir()
        cache.folder.symlink_to(tmp_path / "data")
        why = "is a link; name the folder itself"
    else:
        (tmp_path / "above").mkdir()
        (tmp_path / "above").chmod(0o777)
        cache = PreparedNetworks(tmp_path / "above" / "prepared", limit=10**8, least=0)
        why = "may be written by others; 'chmod go-w' it"
    made = cache.made
    expected = logits(opened(bundle, LARGEST, None))
    for _ in range(2):
        assert np.array_equal(logits(opened(bundle, LARGEST, cache)), expected)
    (note,) = cache.notes()
    assert note.startswith(f"{cache.folder}: networks cannot be kept there (")
    assert why in note
    assert cache.made == made
    assert kind != "taken" or (entries(cache)[0] / "precious.txt").read_text() == "mine"


def test_its_limit_counts_only_what_is_its_own(bundle: Bundle, cache: PreparedNetworks) -> None:
    """A project's folders there are left alone, however full the cache is."""
    for name in ("src", "data"):
        (cache.folder / name).mkdir(parents=True)
        (cache.folder / name / "large.bin").write_bytes(bytes(10**6))
    cache.folder.chmod(0o700)
    opened(bundle, LARGEST, cache)
    bound = PreparedNetworks(cache.folder, limit=int(1.5 * folder_bytes(entries(cache)[-1])), least=0)
    opened(bundle, CONFIGURATIONS[-2], bound)
    names = [path.name.rpartition("-")[0] or path.name for path in entries(bound)]
    assert sorted(names) == sorted([str(CONFIGURATIONS[-2]), "data", "src"])


def test_a_killed_helper_is_done_without(bundle: Bundle, cache: PreparedNetworks) -> None:
    """The network is opened here; the next ones too, for what killed it would kill again."""
    found: list[BundleNetwork] = []
    thread = threading.Thread(target=lambda: found.append(opened(bundle, LARGEST, cache)))
    thread.start()
    os.kill(first_child(), signal.SIGKILL)
    thread.join(PATIENCE_S)
    assert np.array_equal(logits(found[0]), logits(opened(bundle, LARGEST, None)))
    (note,) = cache.notes()
    assert "(its process was killed by signal 9)" in note
    opened(bundle, LARGEST, cache)
    assert (cache.made, cache.notes(), entries(cache), children()) == (0, [], [], [])


def test_a_pool_that_is_closed_does_not_wait_for_the_helper(bundle: Bundle, cache: PreparedNetworks) -> None:
    """Nor does the helper outlive it."""
    pool = SessionPool(bundle.networks, threads=1, cache=cache)
    pool.prepare(LARGEST)
    helper = first_child()
    os.kill(helper, signal.SIGSTOP)
    begun = time.monotonic()
    assert not pool.wait(LARGEST, 0.01)
    pool.close()
    assert time.monotonic() - begun < 1.0
    assert (state(helper), entries(cache), cache.notes()) == ("", [], [])


def test_a_run_that_is_stopped_while_it_loads_ends(bundle: Bundle, cache: PreparedNetworks) -> None:
    """Ctrl-C while the first network is prepared."""
    runtime = Runtime(bundle, ListSource(20), budget=str(LARGEST), threads=1, cache=cache)
    thread = threading.Thread(target=runtime.run)
    thread.start()
    os.kill(first_child(), signal.SIGSTOP)
    begun = time.monotonic()
    runtime.stop()
    thread.join(PATIENCE_S)
    assert time.monotonic() - begun < 1.0
    assert (runtime.summary.predictions, children()) == (0, [])


def test_stopping_is_an_error_of_ours(bundle: Bundle, cache: PreparedNetworks) -> None:
    """What is given up is not opened directly after all."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(ResourceError, match="not loaded, the run has ended"):
        open_network(bundle.files_of(LARGEST), threads=1, cache=cache, stop=stop)


TWO = """
import sys
from pathlib import Path
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.session import open_network
bundle, cache = Bundle.load(sys.argv[1]), PreparedNetworks(Path(sys.argv[2]), limit=10**8, least=0)
for name in sys.argv[3:]:
    open_network(bundle.files_of(Configuration.parse(name)), threads=1, cache=cache)
print(cache.notes())
"""


def test_two_processes_may_use_it_at_once(bundle: Bundle, cache: PreparedNetworks) -> None:
    """Both make, one wins; nothing is left over."""
    names = [str(one) for one in (LARGEST, SMALLEST)]
    command = [sys.executable, "-c", TWO, str(bundle.path), str(cache.folder), *names]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["[]\n", "[]\n"]
    assert len(entries(cache)) == 2
    opened(bundle, LARGEST, cache)
    opened(bundle, SMALLEST, cache)
    assert cache.made == 0


# Wired


def test_a_pool_believes_what_a_mapped_network_takes(bundle: Bundle, cache: PreparedNetworks) -> None:
    """All configurations may stay loaded where their weights would not have."""
    pool = SessionPool(bundle.networks, memory=10**9, threads=1, cache=cache)
    try:
        for configuration in (SMALLEST, LARGEST, SMALLEST):
            assert pool.take(configuration).configuration == configuration
        assert pool._is_mapped(LARGEST)
    finally:
        pool.close()
    assert cache.made == 2


def test_a_run_makes_each_once(bundle: Bundle, cache: PreparedNetworks) -> None:
    """The predictions are those of a run without; the second run makes nothing."""
    found = []
    for one in (None, cache, PreparedNetworks(cache.folder, limit=10**8, least=0)):
        events = Recorder()
        runtime = Runtime(bundle, ListSource(16), controller=Cycle([LARGEST, SMALLEST]), events=[events],
                          threads=1, memory=1, cache=one)  # fmt: skip
        runtime.run()
        found.append([prediction.top for prediction in events.predictions])
        assert events.warnings == []
    assert found[0] == found[1] == found[2]
    assert cache.made == 2


def test_the_command_takes_a_size_or_none(bundle: Bundle, tmp_path: Path) -> None:
    """A tiny bundle needs no folder in either case; nonsense is refused before anything is opened."""
    clip = write_video(tmp_path / "clip.mp4", 12)
    here = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for amount in ("none", "100MB", "lots"):
        code, _, err = run_cli(
            "run", "--bundle", bundle.path, "--source", clip, "--cache", amount, cwd=tmp_path, env=here
        )
        assert code == (2 if amount == "lots" else 0), err
    assert "--cache 'lots' is not a size" in err
    assert not (tmp_path / "cache" / "a3d-edge" / "prepared").exists()


def test_its_entries_are_those_of_the_store(bundle: Bundle, cache: PreparedNetworks) -> None:
    """The graphs lie in a folder that names the configuration."""
    graphs = cache.get(bundle.files_of(LARGEST), ORT)
    assert isinstance(graphs, PreparedGraphs)
    assert (graphs.name, graphs.folder.parent) == ("ort:CPU", cache.folder)
    assert graphs.folder.name.startswith(f"{LARGEST}-")
    assert isinstance(cache._store, Store)
