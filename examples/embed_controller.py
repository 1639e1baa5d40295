"""The controller in an application of your own: your camera or file, your loop, and our configuration.

python embed_controller.py [camera number | video file]
"""

from __future__ import annotations

import sys
import time
from collections import deque

import cv2

from a3d_edge import A3DEdgeError, BudgetController, Bundle


def main(source: str) -> None:
    live = source.isdigit()
    capture = cv2.VideoCapture(int(source) if live else source)
    if not capture.isOpened():
        sys.exit(f"{source} cannot be opened")
    bundle = Bundle.default()
    hop_s, span_s = bundle.sampling.stride / bundle.sampling.rate, bundle.sampling.span_s
    early_s = 0.5 / bundle.sampling.rate  # time stamps are rounded: half a frame early is in time
    controller = BudgetController(bundle.table, budget="auto", hop_s=hop_s if live else None)
    running = controller.current
    network = bundle.open(running)
    window: deque[tuple[float, cv2.typing.MatLike]] = deque()
    due_s = None
    while True:
        good, picture = capture.read()
        if not good:
            break
        now_s = time.monotonic() if live else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        window.append((now_s, picture))
        due_s = now_s + span_s if due_s is None else due_s
        if now_s + early_s < due_s:
            continue
        due_s += hop_s  # one more sampled frame, one more prediction
        while window[0][0] < now_s - span_s + early_s:
            window.popleft()
        decision = controller.decide()
        if decision.configuration != running:
            print(f"{running} -> {decision.configuration}: {decision.reason}")
            try:
                network, running = bundle.open(decision.configuration), decision.configuration
            except A3DEdgeError:
                controller.refuse(decision.configuration)  # stay with what runs; it asks for less next time
        started = time.perf_counter()
        label, score = network.classify_clip([picture for _, picture in window])
        controller.observe(running, 1000 * (time.perf_counter() - started))
        print(f"{label} {score:.2f} with {running}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "0")
