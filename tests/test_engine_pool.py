"""The session pool: loads in the background, keeps a few, forgets failures."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import CONFIGURATIONS, copy_of, shared_bundle

import a3d_edge.engine.pool as pool_module
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.pool import SessionPool
from a3d_edge.errors import BundleError, UsageError

A, B, C, D = CONFIGURATIONS[:4]


class Loader:
    """Stands in for `open_network`: counts, can be held up, and can fail."""

    def __init__(self) -> None:
        self.loaded: list[Configuration] = []
        self.threads: set[str] = set()
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.error: Exception | None = None
        self.go.set()

    def __call__(self, configuration: Configuration, **options: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        self.begun.release()
        assert self.go.wait(10)
        self.loaded.append(configuration)
        if self.error is not None:
            raise self.error
        return Loaded(configuration)


class Sizes:
    """Footprints that are told."""

    def __init__(self, sizes: dict[Configuration, int] | None = None, loaded: int | None = None) -> None:
        self.sizes, self.loaded = sizes or {}, loaded

    def of(self, configuration: Configuration) -> int:
        return self.sizes.get(configuration, 100)

    @contextmanager
    def measuring(self, configuration: Configuration) -> Iterator[None]:
        yield
        if self.loaded is not None:
            self.sizes[configuration] = self.loaded


class Loaded:
    """A network that only knows what it is."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Networks without a bundle."""
    fake = Loader()
    monkeypatch.setattr(pool_module, "open_network", fake)
    return fake


@pytest.fixture
def make(loader: Loader) -> Iterator[Callable[..., SessionPool]]:
    """Builds pools that are closed at the end."""
    pools: list[SessionPool] = []

    def build(**options: Any) -> SessionPool:
        options = {"memory": 10**9, "footprints": Sizes(), **options}
        networks: Any = {one: one for one in CONFIGURATIONS}  # `Loader` asks for no more
        pools.append(SessionPool(networks, **options))
        return pools[-1]

    yield build
    loader.go.set()
    for pool in pools:
        pool.close()


def test_preparing_returns_at_once(loader: Loader, make: Callable[..., SessionPool]) -> None:
    """While it loads in a thread of its own the caller goes on; `take` waits for it."""
    pool = make()
    loader.go.clear()
    pool.prepare(A)
    assert loader.begun.acquire(timeout=10)
    assert not pool.is_ready(A)
    assert not pool.is_ready(B)
    loader.go.set()
    assert pool.take(A).configuration == A
    assert pool.is_ready(A)
    assert threading.current_thread().name not in loader.threads


def test_a_configuration_is_loaded_once(loader: Loader, make: Callable[..., SessionPool]) -> None:
    """However often it is prepared and taken."""
    pool = make()
    for _ in range(3):
        pool.prepare(A)
        assert pool.take(A) is pool.take(A)
    assert loader.loaded == [A]


def test_what_fits_is_kept_and_the_least_recent_goes(
    loader: Loader, make: Callable[..., SessionPool]
) -> None:
    """Taking or preparing again makes a configuration recent; three of 100 fit 300."""
    pool = make(memory=300)
    for configuration in (A, B, C, A, D):
        pool.take(configuration)
    assert pool.kept == (C, A, D)
    pool.take(B)
    assert loader.loaded == [A, B, C, D, B]


@pytest.mark.parametrize("memory", [0, 100, 199])
def test_the_two_of_a_swap_are_kept_until_it_is_made(memory: int, make: Callable[..., SessionPool]) -> None:
    """The one in use and the one prepared, whatever is allowed; once it is taken the old one goes."""
    pool = make(memory=memory)
    pool.take(A)
    pool.prepare(B)
    assert pool.kept == (A, B)
    pool.prepare(C)
    assert pool.kept == (A, C)
    pool.take(C)
    assert pool.kept == (C,)


def test_room_is_made_before_loading_begins(loader: Loader, make: Callable[..., SessionPool]) -> None:
    """What is let go is gone when the new one begins to take memory, not only when it has it all."""
    pool = make(memory=300)
    gone = weakref.ref(pool.take(A))
    pool.take(B)
    pool.take(C)
    loader.go.clear()
    pool.prepare(D)
    gc.collect()
    assert gone() is None
    assert not pool.is_ready(D)


def test_a_large_one_displaces_several(make: Callable[..., SessionPool]) -> None:
    """It is the bytes that count, not how many there are."""
    pool = make(memory=300, footprints=Sizes({A: 100, B: 100, C: 50, D: 200}))
    for configuration in (A, B, C):
        pool.take(configuration)
    assert pool.kept == (A, B, C)
    pool.take(D)
    assert pool.kept == (C, D)


def test_what_loading_shows_to_be_larger_is_believed(make: Callable[..., SessionPool]) -> None:
    """Estimated at 10 each all four would fit; loaded, each turns out to take 100."""
    pool = make(memory=250, footprints=Sizes(dict.fromkeys((A, B, C, D), 10), loaded=100))
    for configuration in (A, B, C, D):
        pool.take(configuration)
    assert pool.kept == (C, D)


def test_what_is_let_go_is_freed(make: Callable[..., SessionPool]) -> None:
    """Nothing else holds a network that the pool dropped."""
    pool = make(memory=200)
    network = weakref.ref(pool.take(A))
    pool.take(B)
    assert network() is not None
    pool.take(C)
    gc.collect()
    assert network() is None


def test_what_nobody_waits_for_any_more_is_not_loaded(
    loader: Loader, make: Callable[..., SessionPool]
) -> None:
    """Decisions that change faster than loading do not pile up: of many, only the latest few are loaded."""
    pool = make(memory=200)
    loader.go.clear()
    pool.prepare(A)
    assert loader.begun.acquire(timeout=10)
    for configuration in (B, C, D, B, C, D):
        pool.prepare(configuration)
    loader.go.set()
    pool.take(D)
    assert loader.loaded == [A, C, D]


def test_a_failure_is_raised_and_forgotten(loader: Loader, make: Callable[..., SessionPool]) -> None:
    """The second attempt may succeed."""
    pool = make()
    loader.error = BundleError("damaged")
    pool.prepare(A)
    with pytest.raises(BundleError, match="damaged"):
        pool.take(A)
    assert not pool.is_ready(A)
    loader.error = None
    assert pool.take(A).configuration == A


def test_closing_waits_for_what_has_begun_and_drops_the_rest(
    loader: Loader, make: Callable[..., SessionPool]
) -> None:
    """No thread outlives the pool; closing twice is fine."""
    pool = make()
    loader.go.clear()
    pool.prepare(A)
    assert loader.begun.acquire(timeout=10)
    pool.prepare(B)
    closing = threading.Thread(target=pool.close)
    closing.start()
    loader.go.set()
    closing.join(10)
    assert not closing.is_alive()
    assert loader.loaded == [A]
    pool.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("a3d-edge-prepare")]


def test_real_networks_and_real_errors(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A bundle whose weights vanish under a running pool: what is loaded runs on, the next is an error."""
    bundle = Bundle.load(copy_of(shared_bundle(tmp_path_factory), tmp_path / "copy"))
    pool = SessionPool(bundle.networks, threads=1)
    try:
        assert pool.take(A).configuration == A
        with pytest.raises(UsageError, match="is not in the table"):
            pool.take(Configuration(0.6, 32, 4))
        for graph in bundle.path.glob("*.onnx"):
            graph.unlink()
        with pytest.raises(BundleError, match=r"w0\.50\.frame\.onnx"):
            pool.take(B)
        assert pool.take(A).configuration == A
    finally:
        pool.close()
