"""ONNX Runtime, with any of its execution providers."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import onnxruntime as ort
from numpy.typing import NDArray

from a3d_edge.engine.graph_file import GraphFile
from a3d_edge.engine.network_files import FILE_BYTES
from a3d_edge.engine.protocols import Tensors, path_text, reason, trim_heap
from a3d_edge.errors import BundleError, ResourceError, UsageError
from a3d_edge.external_data import check_graph
from a3d_edge.reading import open_regular

__all__ = ["OrtEngine", "OrtStage"]

ort.disable_telemetry_events()  # `a3d_edge` keeps it from beginning, unless the application loaded it first

QUIET = 4
"""Of its log's levels, the last: what goes wrong is raised, and told in a line of ours."""
ort.set_default_logger_severity(QUIET)

SUFFIX = "ExecutionProvider"
CPU = "CPUExecutionProvider"

WEIGHTS_APART = "session.optimized_model_external_initializers"
APART_BYTES = 1024
"""Tensors from this size on lie in the weights' file and are mapped; smaller ones in the graph."""

WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
IN_MEMORY = "add_external_initializers_from_files_in_memory"
"""Of ONNX Runtime's options; the oldest that we run on lacks it."""

AT_ONCE = 4 * 224 * 224

PACKAGES = {
    "CUDA": "onnxruntime-gpu",
    "TensorRT": "onnxruntime-gpu",
    "OpenVINO": "onnxruntime-openvino",
    "Dml": "onnxruntime-directml",
    "QNN": "onnxruntime-qnn",
}
"""Distributions of ONNX Runtime that have a provider; each takes the place of `onnxruntime`."""

ELSEWHERE = {"AzureExecutionProvider"}
"""Listed by every build, but only runs operators that call a service."""


@dataclass(frozen=True, slots=True)
class OrtEngine:
    """An execution provider of ONNX Runtime. ``optimize`` False runs graphs as they are written."""

    volumes: ClassVar[bool] = False

    name: str
    provider: str
    optimize: bool = True

    @classmethod
    def of(cls, device: str) -> OrtEngine:
        """By the provider's name without ``ExecutionProvider``, in any case.

        Raises `UsageError` when this ONNX Runtime was built without it.
        """
        built = [name for name in ort.get_available_providers() if name not in ELSEWHERE]
        for provider in built:
            short = provider.removesuffix(SUFFIX)
            if short.lower() == device.lower():
                return cls(f"ort:{short}", provider)
        package = {name.lower(): package for name, package in PACKAGES.items()}.get(device.lower())
        here = ", ".join(f"ort:{name.removesuffix(SUFFIX)}" for name in built)
        advice = f"pip install {package} in the place of onnxruntime" if package else f"it has {here}"
        raise UsageError(f"`engine` ort:{device}: this ONNX Runtime has no such execution provider; {advice}")

    def open(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> OrtStage:
        """See `a3d_edge.engine.engines.Engine.open`. The optimizer folds the replaced tensors."""
        return OrtStage(graph.name, self._session(graph, self._options(threads), replaced), _rows(shapes))

    @property
    def prepared_form(self) -> str | None:
        """Only of the processor's own kernels: other providers compile for themselves when they load."""
        if self.provider != CPU or not self.optimize:
            return None
        return f"onnxruntime {ort.__version__} {ort.get_build_info()}"

    def write_prepared(
        self, graph: GraphFile, replaced: Tensors, shapes: Mapping[str, tuple[int, ...]], folder: Path
    ) -> None:
        """The optimized graph, and its weights beside it: sliced, with batch norm folded in, reordered."""
        options = self._options(threads=1)
        options.optimized_model_filepath = str(folder / graph.name)
        options.add_session_config_entry(f"{WEIGHTS_APART}_file_name", f"{graph.name}.data")
        options.add_session_config_entry(f"{WEIGHTS_APART}_min_size_in_bytes", str(APART_BYTES))
        self._session(graph, options, replaced)

    def open_prepared(
        self, folder: Path, graph: str, shapes: Mapping[str, tuple[int, ...]], threads: int
    ) -> OrtStage:
        """Nothing is optimized again, so that the weights stay where they are mapped: in their file."""
        check_graph(folder / graph, {f"{graph}.data"})
        options = self._options(threads)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return OrtStage(graph, self._session(GraphFile(folder / graph, b""), options, {}), _rows(shapes))

    def _options(self, threads: int) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = QUIET
        _save_memory(options)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # paced input: idle is idle
        if not self.optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return options

    def _session(
        self, graph: GraphFile, options: ort.SessionOptions, replaced: Tensors
    ) -> ort.InferenceSession:
        """Of the graph's bytes; of the file at its path where it has none (one that we have written)."""
        # ONNX Runtime reads the replaced tensors while it builds the session: they must live until then.
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in replaced.values()]
        options.add_external_initializers(list(replaced), values)
        name = path_text(graph.path)
        try:
            with _weights_of(graph, options):
                # Its own way to fall back prints to stdout; that the provider is not there is told below.
                session = ort.InferenceSession(
                    graph.data or name, options, providers=self._providers(), enable_fallback=0
                )
        except MemoryError as error:
            raise ResourceError(f"{graph.name}: not enough memory to load it; pin a narrower one") from error
        except Exception as error:  # ONNX Runtime raises many types without a common base
            raise BundleError(f"{graph.path}: ONNX Runtime refuses the graph ({reason(error)})") from error
        del values
        if self.provider not in session.get_providers():  # it only warns, and runs on the CPU instead
            raise ResourceError(
                f"{self.name}: the execution provider cannot be loaded; install its driver, or take ort:CPU"
            )
        trim_heap()
        return session

    def _providers(self) -> list[str]:
        return list(dict.fromkeys([self.provider, CPU]))


@contextmanager
def _weights_of(graph: GraphFile, options: ort.SessionOptions) -> Iterator[None]:
    """Say where a graph's tensors lie: in its folder, where ONNX Runtime maps them.

    It refuses files that a link leads to elsewhere, as model hubs have them. Those are mapped here, and given
    as memory, while the session is built.
    """
    folder = graph.path.parent.resolve()
    if graph.data:
        options.add_session_config_entry(WEIGHTS_FOLDER, path_text(folder))
    linked = [name for name in graph.needs if (folder / name).resolve() != folder / name]
    if not linked or not hasattr(options, IN_MEMORY):
        yield
        return
    with ExitStack() as stack:
        try:
            files = [stack.enter_context(open_regular(folder / name, FILE_BYTES)) for name in graph.needs]
        except OSError as error:
            raise BundleError(f"{graph.path}: its weights cannot be read ({error.strerror})") from error
        maps = [mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for file in files]
        getattr(options, IN_MEMORY)(list(graph.needs), maps, [len(one) for one in maps])
        yield


def _save_memory(options: ort.SessionOptions) -> None:
    """All that is loaded shares the memory of its activations. None of this made a prediction slower.

    Measured for a Slow R-50, w1.00-s224-t8, whose weights are 130 MB: 385 MB as it comes, 301 MB without a
    plan of the activations' places (one more block for all of them), 285 MB with one arena for both stages.
    """
    _share_arena()
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")


@lru_cache(maxsize=1)
def _share_arena() -> None:
    """One arena for the activations of every session of this process, that grows by what is asked for."""
    arena = ort.OrtArenaCfg({"max_mem": 0, "arena_extend_strategy": 1})  # 1: not to powers of two
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    with suppress(RuntimeError):  # the application we are in has registered its own: then that is shared
        ort.create_and_register_allocator(memory, arena)


def _shrinking() -> ort.RunOptions:
    """A run after which the arena returns all that nobody uses: also what larger networks left in it."""
    options = ort.RunOptions()
    options.log_severity_level = QUIET
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _rows(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """As many pictures at once as have the pixels of four of 224²: up to a third quicker than one by one."""
    size = shapes["pictures"][-1] if "pictures" in shapes else 0
    return max(1, AT_ONCE // size**2) if size else 1


@dataclass(slots=True)
class OrtStage:
    """A session. Its first run, the proof of what was loaded, leaves the arena as small as it can be."""

    name: str
    session: ort.InferenceSession
    rows: int = 1
    _run: ort.RunOptions | None = field(default_factory=_shrinking)

    def run(self, inputs: Tensors) -> NDArray[Any]:
        """The first output."""
        try:
            output: NDArray[Any] = self.session.run(None, dict(inputs), self._run)[0]
        except Exception as error:  # as in `open`; memory for the activations is what may lack here
            raise ResourceError(f"{self.name}: ONNX Runtime failed ({reason(error)})") from error
        self._run = None
        return output
