"""An application with a camera and a loop of its own: it pushes its frames, and gets predictions back.

python own_camera.py [camera number | video file]
"""

from __future__ import annotations

import sys
import time

import cv2

from a3d_edge import Bundle, Recognizer


def main(source: str = "0") -> None:
    live = source.isdigit()
    capture = cv2.VideoCapture(int(source) if live else source)
    if not capture.isOpened():
        sys.exit(f"{source} cannot be opened")
    with Recognizer(Bundle.default(), live=live, budget="auto") as recognizer:
        while True:
            good, picture = capture.read()
            if not good:
                break
            now_s = time.monotonic() if live else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            for prediction in recognizer.push(picture, now_s):
                print(f"{prediction.label} {prediction.score:.2f} with {prediction.configuration}")
        for prediction in recognizer.flush():
            print(f"{prediction.label} {prediction.score:.2f} with {prediction.configuration}")


if __name__ == "__main__":
    main(*sys.argv[1:])
