"""Loaded configurations: the next one is prepared in the background while the current one runs.

Loading takes 20 ms to 1 s, a swap takes none: `SessionPool.prepare` starts the loading, `SessionPool.take`
hands over what is ready.

What is kept: the network in use (the latest taken) and the one asked for last, always, because both are
needed until the swap; of the others those asked for most recently, as long as all together fit the memory
that is allowed. Room is made before a loading begins. So the allowance is exceeded only where one network, or
the two of a swap, are more than it; after the swap the old one goes if they do not fit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from a3d_edge.configuration import Configuration
from a3d_edge.device.cores import checked_threads
from a3d_edge.engine.cache.prepared import PreparedNetworks
from a3d_edge.engine.engines import DEFAULT, Engine, find_engine, trim_heap
from a3d_edge.engine.memory import Footprints, default_memory
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.engine.session import Network, open_network
from a3d_edge.errors import UsageError

__all__ = ["SessionPool"]

LOG = logging.getLogger("a3d_edge")


class SessionPool:
    """Loads ``networks``, those of one bundle. Called from one thread; loads in one background thread.

    ``memory``: bytes that loaded networks may take together, from the device if not given (`default_memory`).
    What each takes is learned when it is loaded, and is its weights until then. ``engine``: of all of them,
    ``ort:CPU`` if not given. ``cache``: where networks that are costly to load are kept between runs, nowhere
    if not given. Raises `UsageError` for too many ``threads``, and nothing more until a network that could
    not be loaded is taken.
    """

    def __init__(
        self,
        networks: Mapping[Configuration, NetworkFiles],
        *,
        memory: int | None = None,
        threads: int | None = None,
        engine: Engine | None = None,
        cache: PreparedNetworks | None = None,
        footprints: Footprints | None = None,
    ) -> None:
        self._networks = networks
        self._memory = default_memory() if memory is None else memory
        self._threads, self._cache = checked_threads(threads), cache
        self._engine = engine or find_engine(DEFAULT)
        self._footprints = footprints or Footprints(
            {key: files.weight_bytes for key, files in networks.items()}, mapped=self._is_mapped
        )
        self._stop = threading.Event()
        self._loading: OrderedDict[Configuration, Future[Network]] = OrderedDict()
        self._in_use: Configuration | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="a3d-edge-prepare")

    @property
    def kept(self) -> tuple[Configuration, ...]:
        """What is loaded or to be loaded, the one asked for last at the end."""
        return tuple(self._loading)

    def prepare(self, configuration: Configuration) -> None:
        """Begin to load a configuration, if it is not loaded or loading already. Returns at once."""
        if configuration in self._loading:
            self._loading.move_to_end(configuration)
            return
        self._make_room(configuration)
        self._loading[configuration] = self._worker.submit(self._load, configuration)

    def is_ready(self, configuration: Configuration) -> bool:
        """Whether `take` would return, or raise, without waiting."""
        future = self._loading.get(configuration)
        return future is not None and future.done()

    def wait(self, configuration: Configuration, timeout_s: float) -> bool:
        """Begin to load a configuration if need be, and wait at most so long until it `is_ready`."""
        self.prepare(configuration)
        wait([self._loading[configuration]], timeout_s)
        return self.is_ready(configuration)

    def take(self, configuration: Configuration) -> Network:
        """The network of a configuration, waiting for it if need be; it is the one in use from now on.

        Raises what the loading raised (`BundleError`, `ResourceError`, `UsageError`); it is forgotten then,
        so that it can be tried again.
        """
        self.prepare(configuration)
        try:
            network = self._loading[configuration].result()
        except Exception:
            del self._loading[configuration]
            raise
        if configuration != self._in_use:
            self._in_use = configuration
            self._make_room(configuration)
        return network

    def close(self) -> None:
        """Wait for a loading that has begun, cancel the others, let everything go. May be called twice.

        What a helper process is preparing is given up.
        """
        self._stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._loading.clear()

    def _load(self, configuration: Configuration) -> Network:
        if configuration not in self._networks:
            known = ", ".join(str(one) for one in self._networks)
            raise UsageError(f"configuration {configuration} is not in the table; it has {known}")
        files = self._networks[configuration]
        if self._cache is not None:
            # First, so that its waiting for a helper is not in what loading is measured to take.
            self._cache.get(files, self._engine, self._stop)
        # What was let go for it lies on the heap, and must not be counted as room that it found.
        trim_heap()
        begun = time.monotonic()
        with self._footprints.measuring(configuration):
            network = open_network(
                files, threads=self._threads, engine=self._engine, cache=self._cache, stop=self._stop
            )
        LOG.debug("%s loaded in %.0f ms", configuration, 1e3 * (time.monotonic() - begun))
        return network

    def _is_mapped(self, configuration: Configuration) -> bool:
        return self._cache is not None and self._cache.serves(self._networks[configuration], self._engine)

    def _make_room(self, wanted: Configuration) -> None:
        """Let go what was asked for least recently, until the rest fits beside what is wanted."""
        for oldest in list(self._loading):
            if self._footprint({*self._loading, wanted}) <= self._memory:
                return
            if oldest not in (wanted, self._in_use):
                # If it has not begun: what nobody waits for must not delay what is wanted now.
                self._loading.pop(oldest).cancel()

    def _footprint(self, configurations: set[Configuration]) -> int:
        return sum(self._footprints.of(configuration) for configuration in configurations)
