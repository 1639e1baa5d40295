"""How long bundles take to open, beside another checkout of this project.

    python benchmarks/opening.py --against CHECKOUT [--rounds 15] [BUNDLE ...]

In turns, each round a fresh process of either side: it loads the bundle (all sums) and opens its cheapest and
its dearest configuration, without the cache of prepared networks. Seconds by the clock and of the processor,
and the median of the ratios of rounds. Imports are left out; built-in bundles are this checkout's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from a3d_edge.bundles import as_path, built_in

HERE = Path(__file__).resolve().parent.parent
WORK = """
import json, sys, time
import a3d_edge.engine.ort
from a3d_edge.bundle import Bundle
wall, cpu = time.perf_counter(), time.process_time()
bundle = Bundle.load(sys.argv[1])
for configuration in (bundle.configurations[0], bundle.configurations[-1]):
    bundle.open(configuration, threads=1)
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""


def opened(checkout: Path, bundle: Path) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(bundle)], env=environment, cwd="/", capture_output=True, check=True
    )
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def main() -> None:
    """One line a bundle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", nargs="*", default=list(built_in()))
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    for name in arguments.bundles:
        path, rounds = as_path(name).resolve(), []
        for number in range(arguments.rounds):
            sides = (HERE, arguments.against.resolve())
            order = sides if number % 2 else sides[::-1]
            taken = {side: opened(side, path) for side in order}
            rounds.append([taken[side] for side in sides])
        for place, what in enumerate(("by the clock", "of the processor")):
            ours, other = (median(one[side][place] for one in rounds) for side in (0, 1))
            ratio = median(one[0][place] / one[1][place] for one in rounds)
            print(
                f"{name}: {1e3 * ours:.1f} ms {what}, the other's {1e3 * other:.1f}, ratio {ratio:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
