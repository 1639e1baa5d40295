"""Sensors and a policy of your own: a battery gauge that no driver knows, and no effort while all is quiet.

python own_sensors_and_policy.py GAUGE QUIET [source]

GAUGE is a file that holds the charge of the battery in percent, QUIET the label of a scene without events.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from a3d_edge import (
    BudgetController,
    Bundle,
    Configuration,
    ConfigurationBudgetTable,
    Decision,
    DeviceSensors,
    Events,
    Prediction,
    Runtime,
    Signals,
    Switch,
)  # fmt: skip


def gauge(file: Path) -> Callable[[], Signals]:
    """What this device feels, with the charge from a file; where that cannot be read it is unknown (None)."""
    device = DeviceSensors()

    def read() -> Signals:
        try:
            percent = float(file.read_text())
        except (OSError, ValueError):
            return device()
        return replace(device(), battery_percent=percent, plugged=False)

    return read


class Attention(Events):
    """A controller: the smallest configuration while the answer is the quiet label, else what is allowed.

    It hears the answers as a sink.
    """

    def __init__(self, table: ConfigurationBudgetTable, inner: BudgetController, quiet: str) -> None:
        self._smallest, self._inner, self._quiet = table.configurations[0], inner, quiet
        self._is_quiet = False

    def prediction(self, prediction: Prediction) -> None:
        self._is_quiet = prediction.label == self._quiet

    def switch(self, switch: Switch) -> None:
        print(f"{switch.before} -> {switch.after}: {switch.reason}")

    def decide(self) -> Decision:
        allowed = self._inner.decide()  # also while quiet, so that it knows the device when that ends
        if not self._is_quiet:
            return allowed
        return replace(allowed, configuration=self._smallest, reason=f"nothing but {self._quiet}")

    def observe(self, configuration: Configuration, latency_ms: float) -> None:
        self._inner.observe(configuration, latency_ms)

    def refuse(self, configuration: Configuration) -> None:
        self._inner.refuse(configuration)


def main(file: str, quiet: str, source: str = "0") -> None:
    bundle = Bundle.default()
    hop_s = bundle.hop_s if source.isdigit() else None  # a camera does not wait, a file does
    inner = BudgetController(bundle.table, sensors=gauge(Path(file)), hop_s=hop_s)
    attention = Attention(bundle.table, inner, quiet)
    with Runtime(bundle, source, controller=attention, events=[attention]) as runtime:
        for prediction in runtime:
            print(f"{prediction.stream_time_s:.2f} s: {prediction.label}, {prediction.configuration}")


if __name__ == "__main__":
    main(*sys.argv[1:])
