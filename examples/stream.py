"""Recognise actions in a camera, a file, a folder of pictures or a network stream.

python stream.py [0 | clip.mp4 | rtsp://… | demo] [auto | 0.25 | 80ms | …]
"""

from __future__ import annotations

import sys

import a3d_edge


def main(source: str = "demo", budget: str = "auto") -> None:
    for prediction in a3d_edge.stream(source, budget=budget):
        time_s, label, score = prediction.stream_time_s, prediction.label, prediction.score
        print(f"{time_s:.2f} s: {label} ({score:.0%}), {prediction.configuration}")


if __name__ == "__main__":
    main(*sys.argv[1:])
