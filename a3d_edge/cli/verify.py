"""``a3d-edge verify``: is every byte of a bundle what was exported, does every configuration run, and does
another engine compute the same?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from a3d_edge.cli.common import BUILT_IN, emit, load_bundle, progress
from a3d_edge.cli.notices import tell
from a3d_edge.errors import BundleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.engine.engines import Engine

    Window = list[NDArray[np.float32]]

TOLERANCE = {"fp32": 1e-3, "int8": 0.25}
"""Largest relative error of the logits. In int8 engines may differ in where they round, by as much as int8
differs from fp32 (OpenVINO does not round one branch of a residual sum: 0.02 to 0.08 on the default bundle's
network, whose int8 is 0.04 to 0.16 from its fp32); scales of another configuration are farther off."""

BASE_BYTES, BASE_CPU_S, CPU_S, SILENCE_S = 2 << 30, 60, 60, 180.0
"""Of the process in which configurations are opened: memory beside ten times the weights, seconds of the
processor for all and for each more, and seconds for one by the clock."""


@dataclass(frozen=True, slots=True)
class EngineParity:
    """How a configuration on an engine compares with ``ort:CPU``, on the probe and on rendered windows."""

    configuration: Configuration
    windows: int
    same_label: int
    relative_error: float

    def __str__(self) -> str:
        same = f"the same label on {self.same_label} of {self.windows} windows"
        return f"{self.configuration}: relative error {self.relative_error:.1e}, {same}"


def verify(
    bundle: str = typer.Argument(..., help=f"Bundle: a folder, or {BUILT_IN}."),
    engine: str = typer.Option(
        "ort:CPU", "--engine", help="Compare this engine with ort:CPU, configuration by configuration."
    ),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
) -> None:
    """Check all SHA-256 sums and graphs, then load every configuration and compare its probe with the
    export's.

    Engines open the graphs in a process of its own, with limits.
    """
    from a3d_edge.engine.engines import DEFAULT, find_engine

    found = find_engine(engine)
    loaded = load_bundle(bundle)
    for configuration in loaded.configurations:
        loaded.files_of(configuration).graphs(volumes=True)  # also what only other engines open
    steps = _tried_apart(loaded, found.name) if _is_ours(found) else tried(loaded, found)
    parities = []
    with progress() as report:
        for done, parity in enumerate(steps, start=1):
            if found.name != DEFAULT:
                parities.append(parity)
            report("configurations", done, len(loaded.configurations))
    _tell(loaded, found.name, [one for one in parities if one is not None], json_lines)
    for one in parities:
        if one is not None:
            _require_same(loaded, found.name, one)


def tried(bundle: Bundle, engine: Engine) -> Iterator[EngineParity | None]:
    """Every configuration opened, one after the other; None of the default engine, which proves itself.

    Raises `BundleError`.
    """
    from a3d_edge.engine.engines import DEFAULT

    for configuration in bundle.configurations:
        if engine.name == DEFAULT:
            bundle.open(configuration)
            yield None
        else:
            yield engine_parity(bundle, configuration, engine)


def _is_ours(engine: Engine) -> bool:
    """One that an application has made cannot be named to another process."""
    return type(engine).__module__.startswith("a3d_edge.")


def _tried_apart(bundle: Bundle, engine: str) -> Iterator[EngineParity | None]:
    """`tried` in a process of its own. Raises `BundleError` when that is lost, too."""
    from a3d_edge.configuration import Configuration
    from a3d_edge.limited import Limits, LostError, run_limited

    weights = sum(entry.bytes for entry in bundle.manifest.files.values())
    limits = Limits(BASE_BYTES + 10 * weights, BASE_CPU_S + CPU_S * len(bundle.configurations), SILENCE_S)
    task = {"bundle": str(bundle.path), "sha256": bundle.manifest.sha256, "engine": engine}
    done = 0
    try:
        for step in run_limited("a3d_edge.cli.verify", "try_apart", task, limits):
            done += 1
            if step is None:
                yield None
            else:
                yield EngineParity(**{**step, "configuration": Configuration.parse(step["configuration"])})
    except LostError as error:
        at = bundle.configurations[min(done, len(bundle.configurations) - 1)]
        raise BundleError(
            f"{bundle.path}: {at} cannot be opened on {engine} ({error}); do not use it"
        ) from error


def try_apart() -> None:
    """What that process does."""
    from a3d_edge.limited import serve

    serve(_steps)


def _steps(task: Mapping[str, Any]) -> Iterator[dict[str, Any] | None]:
    from a3d_edge.bundle import Bundle
    from a3d_edge.engine.engines import find_engine

    bundle = Bundle.load(task["bundle"])
    if bundle.manifest.sha256 != task["sha256"]:
        raise BundleError(f"{bundle.path}: altered while it was verified; copy or export the bundle again")
    for parity in tried(bundle, find_engine(task["engine"])):
        yield None if parity is None else {**asdict(parity), "configuration": str(parity.configuration)}


def engine_parity(bundle: Bundle, configuration: Configuration, engine: Engine) -> EngineParity:
    """Compare an engine with ``ort:CPU``. Raises `BundleError` when the probe is off, as `Bundle.open`."""
    from a3d_edge.engine.people import several_boxes
    from a3d_edge.engine.session import open_network, relative_error
    from a3d_edge.task import BOXES, same_answer

    files = bundle.files_of(configuration)
    ours, other = (open_network(files, engine=one) for one in (None, engine))
    same, error, count = 0, 0.0, 0
    for window in _windows(bundle, configuration):
        boxes = {"boxes": several_boxes(configuration.size)} if bundle.task == BOXES else {}
        expected, got = (
            network.logits(*network.encode_window(window), **boxes).reshape(-1, len(bundle.classes))
            for network in (ours, other)
        )
        within = TOLERANCE[configuration.precision]
        pairs = zip(got, expected, strict=True)
        same += all(same_answer(g, e, bundle.task, within) for g, e in pairs)
        error = max(error, relative_error(got, expected))
        count += 1
    return EngineParity(configuration, count, same, float(f"{error:.3g}"))


def _windows(bundle: Bundle, configuration: Configuration) -> Iterator[Window]:
    """The probe, then a window of every class of the set that the bundle's mean."""
    from a3d_edge.demo.rendered import SETS, set_of
    from a3d_edge.engine.session import probe_pictures
    from a3d_edge.video.pictures import window_pictures
    from a3d_edge.video.sampler import pathways

    found, spec = pathways(bundle.sampling, configuration), bundle.preprocessing
    yield [probe_pictures(pathway) for pathway in found]
    of = set_of(bundle.classes)
    for label in SETS[of]:
        images = _rendered(of, label, bundle.sampling.frames * bundle.sampling.stride, bundle.sampling.rate)
        yield window_pictures(found, spec, images.__getitem__)


_RENDERED: dict[tuple[str, str, int, float], Any] = {}  # drawn once for all configurations


def _rendered(of: str, label: str, frames: int, rate: float) -> Any:
    from a3d_edge.demo.rendered import render_clip

    key = (of, label, frames, rate)
    if key not in _RENDERED:
        _RENDERED[key] = render_clip(label, 0, frames=frames, rate=rate, of=of)
    return _RENDERED[key]


def _tell(bundle: Bundle, engine: str, parities: Sequence[EngineParity], json_lines: bool) -> None:
    fields: dict[str, Any] = {
        "path": str(bundle.path),
        "files": len(bundle.manifest.files),
        "configurations": len(bundle.configurations),
        "engine": engine,
    }
    if json_lines:
        emit(
            "verified",
            {
                **fields,
                "parity": [
                    {**asdict(parity), "configuration": str(parity.configuration)} for parity in parities
                ],
            },
        )
        return
    for parity in parities:
        tell(f"{engine} {parity}")
    counts = f"{fields['files']} files and {fields['configurations']} configurations"
    tell(f"{bundle.path}: {counts} are as exported")


def _require_same(bundle: Bundle, engine: str, parity: EngineParity) -> None:
    """Raise `BundleError` for a large error, or in fp32 for another label.

    In int8 two classes may be closer than its own error, and then either engine may be right.
    """
    precision = parity.configuration.precision
    other_label = precision == "fp32" and parity.same_label < parity.windows
    if other_label or not parity.relative_error <= TOLERANCE[precision]:
        raise BundleError(f"{bundle.path}: {engine} differs from ort:CPU at {parity}; use another engine")
