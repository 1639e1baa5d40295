"""A sink of your own: a log of what went on, one line from the first to the last prediction of a label.

python own_sink.py LOG.csv [source]
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from a3d_edge import Bundle, Events, Prediction, Runtime, Summary, Switch


class Diary(Events):
    """Writes begin, end (seconds of the stream) and label; of `Events` only what matters here is written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(["begin_s", "end_s", "label"])
        self._first: Prediction | None = None
        self._last: Prediction | None = None

    def prediction(self, prediction: Prediction) -> None:
        if self._first is not None and prediction.label != self._first.label:
            self._write()
        self._first, self._last = self._first or prediction, prediction

    def switch(self, switch: Switch) -> None:
        print(f"{switch.before} -> {switch.after}: {switch.reason}", file=sys.stderr)

    def warning(self, message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)

    def summary(self, summary: Summary) -> None:
        print(f"{summary.predictions} predictions in {summary.seconds:.1f} s", file=sys.stderr)

    def close(self) -> None:
        self._write()
        self._file.close()

    def _write(self) -> None:
        if self._first is not None and self._last is not None:
            times = (self._first.window_start_s, self._last.stream_time_s)
            self._rows.writerow([*(f"{seconds:.2f}" for seconds in times), self._first.label])
        self._first = self._last = None


def main(log: str, source: str = "demo") -> None:
    Runtime(Bundle.default(), source, events=[Diary(Path(log))]).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
