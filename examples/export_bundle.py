"""From a trained checkpoint to a bundle, in Python: calibrate, measure, export, run. Needs a3d-edge[export].

python export_bundle.py CHECKPOINT CLIPS OUT [configuration …]

CLIPS is a list of labelled clips (CSV) or a folder with one folder a class, as for ``a3d-edge train``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from a3d_edge.exporters.write_bundle import export_bundle

from a3d_edge import Bundle, Configuration
from a3d_edge.models.checkpoint import load
from a3d_edge.training.build_table import build_table
from a3d_edge.training.calibrate import calibrate
from a3d_edge.training.clips import list_clips
from a3d_edge.training.decode import FrameCache
from a3d_edge.training.evaluation import WindowSet, evaluate


def export(checkpoint: Path, places: list[Path], out: Path, names: list[str]) -> Bundle:
    """The bundle of these configurations (all of the trained range if there are none), at ``out``."""
    loaded = load(checkpoint)
    configurations = [Configuration.parse(name) for name in names] or loaded.grid()
    clips = list_clips(places)
    with tempfile.TemporaryDirectory() as folder:
        cache = FrameCache(Path(folder), max(configuration.size for configuration in configurations))
        windows = WindowSet(clips, cache, loaded.description.sampling, loaded.preprocessing, views=1)
        calibrate(loaded.model, configurations, windows)
        scores = evaluate(loaded.model, configurations, windows, loaded.classes)
        table = build_table(loaded, scores, measured_on=f"the {len(clips)} clips it was calibrated on")
        few = WindowSet(clips[:4], cache, windows.sampling, windows.preprocessing, views=1)
        sizes = {configuration.size for configuration in configurations}
        parity = {size: next(iter(few.at_size(size)))[1] for size in sizes}
        bundle: Bundle = export_bundle(loaded, table, parity, out)
    return bundle


def main(checkpoint: str, clips: str, out: str, *names: str) -> None:
    bundle = export(Path(checkpoint), [Path(clips)], Path(out), list(names))
    for row in bundle.table.rows:
        print(f"{row.configuration}: accuracy {row.accuracy:.2f}, {row.gflops:.3f} GFLOPs")


if __name__ == "__main__":
    main(*sys.argv[1:])
