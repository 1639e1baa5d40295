"""Loaded configurations: the next one is prepared in the background while the current one runs.

Loading takes 20 ms to 1 s, a swap takes none: `SessionPool.prepare` starts the loading, `SessionPool.take`
hands over what is ready. Capacity rule: beyond ``capacity`` the network that was asked for least recently
is let go, or not loaded at all if that has not begun.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.engine.session import Network, open_network

__all__ = ["SessionPool"]


class SessionPool:
    """Networks of one bundle by configuration. Called from one thread; loads in one background thread.

    ``capacity``: networks kept warm, the one in use included; at least 2, so that one can be prepared
    beside it. Raises nothing until a network that could not be loaded is taken.
    """

    def __init__(self, bundle: Bundle, *, capacity: int = 3, threads: int | None = None) -> None:
        self._bundle = bundle
        self._capacity = max(2, capacity)
        self._threads = threads
        self._loading: OrderedDict[Configuration, Future[Network]] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="a3d-edge-prepare")

    def prepare(self, configuration: Configuration) -> None:
        """Begin to load a configuration, if it is not loaded or loading already. Returns at once."""
        if configuration in self._loading:
            self._loading.move_to_end(configuration)
            return
        self._loading[configuration] = self._worker.submit(
            open_network, self._bundle, configuration, threads=self._threads
        )
        self._let_go()

    def is_ready(self, configuration: Configuration) -> bool:
        """Whether `take` would return, or raise, without waiting."""
        future = self._loading.get(configuration)
        return future is not None and future.done()

    def take(self, configuration: Configuration) -> Network:
        """The network of a configuration, waiting for it if need be.

        Raises what the loading raised (`BundleError`, `ResourceError`, `UsageError`); it is forgotten then,
        so that it can be tried again.
        """
        self.prepare(configuration)
        try:
            return self._loading[configuration].result()
        except Exception:
            del self._loading[configuration]
            raise

    def close(self) -> None:
        """Wait for a loading that has begun, cancel the others, let everything go. May be called twice."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._loading.clear()

    def _let_go(self) -> None:
        while len(self._loading) > self._capacity:
            _, oldest = self._loading.popitem(last=False)
            oldest.cancel()  # if it has not begun: what nobody waits for must not delay what is wanted now
