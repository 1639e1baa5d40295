"""From a trained checkpoint to a bundle, in Python: calibrate, measure, export. Needs a3d-edge[export].

python export_bundle.py CHECKPOINT CLIPS OUT [configuration …]

CLIPS is a list of labelled clips (CSV) or a folder with one folder a class, as for ``a3d-edge train``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from a3d_edge.exporters import Exporting, export_bundle

from a3d_edge import Configuration


def main(checkpoint: str, clips: str, out: str, *names: str) -> None:
    what = Exporting(
        configurations=[Configuration.parse(name) for name in names],  # none: all of the trained range
        calibration=[clips],
        validation=[clips],  # of a product, other ones than were trained on
        cache=Path(out).with_suffix(".frames"),
    )
    bundle = export_bundle(checkpoint, out, what, report=lambda *done: print(*done, file=sys.stderr))
    for row in bundle.table.rows:
        print(f"{row.configuration}: accuracy {row.accuracy:.2f}, {row.gflops:.3f} GFLOPs")


if __name__ == "__main__":
    main(*sys.argv[1:])
