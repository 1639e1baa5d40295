"""``a3d-edge verify``: is every byte of a bundle what was exported, does every configuration run, and does
another engine compute the same?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from a3d_edge.cli.common import BUILT_IN, emit, load_bundle, progress
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
    """Check all SHA-256 sums, then load every configuration and compare its probe with the export's."""
    from a3d_edge.engine.engines import DEFAULT, find_engine

    found = find_engine(engine)
    loaded = load_bundle(bundle)
    parities = []
    with progress() as report:
        for done, configuration in enumerate(loaded.configurations, start=1):
            loaded.files_of(configuration).graphs(volumes=True)  # also what only other engines open
            if found.name == DEFAULT:
                loaded.open(configuration)
            else:
                parities.append(engine_parity(loaded, configuration, found))
            report("configurations", done, len(loaded.configurations))
    _tell(loaded, found.name, parities, json_lines)
    for parity in parities:
        _require_same(loaded, found.name, parity)


def engine_parity(bundle: Bundle, configuration: Configuration, engine: Engine) -> EngineParity:
    """Compare an engine with ``ort:CPU``. Raises `BundleError` when the probe is off, as `Bundle.open`."""
    from a3d_edge.engine.session import open_network, relative_error

    files = bundle.files_of(configuration)
    ours, other = (open_network(files, engine=one) for one in (None, engine))
    same, error, count = 0, 0.0, 0
    for window in _windows(bundle, configuration):
        expected, got = (network.logits(*network.encode_window(window)) for network in (ours, other))
        same += int(expected.argmax() == got.argmax())
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
        typer.echo(f"{engine} {parity}")
    counts = f"{fields['files']} files and {fields['configurations']} configurations"
    typer.echo(f"{bundle.path}: {counts} are as exported")


def _require_same(bundle: Bundle, engine: str, parity: EngineParity) -> None:
    """Raise `BundleError` for a large error, or in fp32 for another label.

    In int8 two classes may be closer than its own error, and then either engine may be right.
    """
    precision = parity.configuration.precision
    other_label = precision == "fp32" and parity.same_label < parity.windows
    if other_label or not parity.relative_error <= TOLERANCE[precision]:
        raise BundleError(f"{bundle.path}: {engine} differs from ort:CPU at {parity}; use another engine")
