"""Prepared networks, kept on this device: opened by mapping a file instead of optimizing a graph.

    open_network ── get ──► entry? ── yes ──► mapped: 20 ms, 3 to 6 MB of anonymous memory
                              │ no
                              └──► made by a helper process (`prepare_apart`), renamed into place, then mapped

An optimized graph is for one bundle, configuration, engine, version of it, and processor: all of that is an
entry's identity. What is mapped must give the bundle's probe logits like any other network; that finds what
is grossly wrong, and checksums find the flipped bit of a weight that it would not. Where there is no disk, no
room on it or no helper, networks are opened as they were without all this, and `PreparedNetworks.notes` says
so once.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from a3d_edge.device.machine import processor
from a3d_edge.engine.cache.apart import NotPreparedError, StageTask, Task, prepare_apart
from a3d_edge.engine.cache.bounds import Usage, share_of_disk
from a3d_edge.engine.cache.store import Store, folder_bytes, own_entries
from a3d_edge.engine.engines import Engine, PreparingEngine, Stage, Tensors
from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.engine.memory import parse_memory
from a3d_edge.engine.network_files import NetworkFiles
from a3d_edge.errors import ResourceError
from a3d_edge.folders import user_folder

__all__ = [
    "PreparedGraphs",
    "PreparedNetworks",
    "cache_of",
    "default_limit",
    "prepared_folder",
    "stages_of",
]

FORMAT = "1"
"""Of an entry; another number and what older versions wrote is not found any more."""
LEAST_BYTES = 8_000_000
"""Of weights. Opening takes about 12 ms a MB, a helper and its checks 0.3 s the first time: below this
nothing is gained, and the default bundle's networks (2.4 MB) open in 30 to 70 ms anyway."""
ROOM = 1.1
"""An entry against its weights: the graphs themselves, and channels that kernels pad."""


class PreparedNetworks:
    """Networks in a folder: those whose weights are at least ``least`` bytes.

    ``limit``: bytes of all together, from the disk if not given; those used least recently make room.
    The folder may be deleted at any time; several processes may use it.
    """

    def __init__(
        self, folder: Path | None = None, *, limit: int | None = None, least: int = LEAST_BYTES
    ) -> None:
        self.folder = folder or prepared_folder()
        self._store = Store(self.folder, default_limit(self.folder) if limit is None else limit)
        self._least = least
        self._trouble = False
        self._notes: deque[str] = deque()
        self.made = 0

    def notes(self) -> list[str]:
        """What went wrong since this was asked last, a line each, for people."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def usage(self) -> Usage:
        """What the folder holds now. Raises `OSError`."""
        return self._store.usage()

    def clear(self) -> Usage:
        """Delete all that is kept; what that was. Raises `OSError`."""
        return self._store.clear()

    def serves(self, files: NetworkFiles, engine: Engine) -> bool:
        """Whether a network is to be mapped from here; small ones, and other engines, are opened directly."""
        if _form(engine) is None:
            return False
        return files.weight_bytes >= self._least and ROOM * files.weight_bytes <= self._store.limit

    def get(
        self, files: NetworkFiles, engine: Engine, stop: threading.Event | None = None
    ) -> PreparedGraphs | None:
        """A network's prepared graphs, made now if need be; None: open it directly.

        Waits for the helper. Raises `ResourceError` when told to ``stop``.
        """
        if not self.serves(files, engine):
            return None
        assert isinstance(engine, PreparingEngine)
        identity = _identity(files, engine)
        try:
            folder = self._store.find(identity)
            if folder is None and not self._trouble:
                folder = self._make(files, engine, identity, stop or threading.Event())
        except (OSError, NotPreparedError) as error:
            if stop is not None and stop.is_set():
                raise ResourceError(f"{files.configuration}: not loaded, the run has ended") from error
            self._give_up(error)
            return None
        return None if folder is None else PreparedGraphs(engine, folder)

    def discard(self, files: NetworkFiles, engine: Engine) -> None:
        """Forget an entry that did not compute what it should."""
        if isinstance(engine, PreparingEngine):
            try:
                self._store.discard(_identity(files, engine))
            except OSError as error:
                self._give_up(error)

    def _make(
        self,
        files: NetworkFiles,
        engine: PreparingEngine,
        identity: Mapping[str, str],
        stop: threading.Event,
    ) -> Path | None:
        needed = int(ROOM * files.weight_bytes)
        stages = stages_of(files, engine)
        with self._store.making(identity, needed) as work:
            if (free := shutil.disk_usage(work).free) < needed:
                raise NotPreparedError(f"{needed / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB free")
            prepare_apart(Task(engine.name, str(work), identity, stages), stop)
        self.made += 1
        return self._store.find(identity)

    def _give_up(self, error: Exception) -> None:
        """Nothing more is made in this process: what failed once would as a rule fail, and wait, again."""
        if self._trouble:
            return
        self._trouble = True
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        self._notes.append(
            f"{self.folder}: networks cannot be kept there ({why}) and are loaded anew each time; "
            "make room, or run with `cache` none"
        )


@dataclass(frozen=True, slots=True)
class PreparedGraphs:
    """An engine that opens prepared graphs in the place of a bundle's; what would be replaced already is."""

    engine: PreparingEngine
    folder: Path

    @property
    def name(self) -> str:
        """The engine's."""
        return self.engine.name

    @property
    def volumes(self) -> bool:
        """The engine's."""
        return self.engine.volumes

    def open(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> Stage:
        """See `a3d_edge.engine.engines.Engine.open`."""
        return self.engine.open_prepared(self.folder, graph.name, shapes, threads)


def cache_of(text: str | None) -> PreparedNetworks | None:
    """What `cache` means: a size such as ``500MB``, ``none``, or None for the default.

    Raises `UsageError` for anything else.
    """
    if text == "none":
        return None
    return PreparedNetworks(limit=None if text is None else parse_memory(text, "cache", " or none"))


def prepared_folder() -> Path:
    """``$XDG_CACHE_HOME/a3d-edge/prepared``, or below ``~/.cache``."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "prepared"


def default_limit(folder: Path) -> int:
    """Bytes: a tenth of the disk that is free, or was before the folder was filled, and no more than 2 GB."""
    held = 0
    with suppress(OSError):  # nothing there yet, or nothing that may be looked at
        held = sum(map(folder_bytes, own_entries(folder)))
    return share_of_disk(folder, held)


def _form(engine: Engine) -> str | None:
    return engine.prepared_form if isinstance(engine, PreparingEngine) else None


def _identity(files: NetworkFiles, engine: PreparingEngine) -> dict[str, str]:
    """All that a prepared network depends on."""
    return {
        "format": FORMAT,
        "bundle": files.digest,
        "configuration": str(files.configuration),
        "engine": engine.name,
        "engine_version": str(engine.prepared_form),
        "processor": processor(),
    }


def stages_of(files: NetworkFiles, engine: Engine) -> tuple[StageTask, ...]:
    """What a helper has to prepare of a network."""
    replaced = files.own.read()
    seen = [(len(one.instants), 3, one.size, one.size) for one in files.pathways]
    graphs = {
        stage: replace(graph, path=graph.path.absolute())
        for stage, graph in files.graphs(volumes=engine.volumes).items()
    }
    if "frame" not in graphs:
        return (StageTask(graphs["clip"], replaced["clip"], dict(zip(("slow", "fast"), seen, strict=True))),)
    return (
        StageTask(graphs["frame"], replaced["frame"], {"pictures": seen[0]}),
        StageTask(graphs["clip"], replaced["clip"], None, frames=seen[0][0]),
    )
