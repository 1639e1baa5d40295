"""Annotated pictures of a run, for a window or a video file."""

from __future__ import annotations

from collections.abc import Callable

from a3d_edge.events import Events, Prediction, Stoppable
from a3d_edge.sinks.overlay import Window, draw_overlay
from a3d_edge.sinks.video_writer import VideoSink
from a3d_edge.video.frame import Frame

__all__ = ["PictureEvents"]


class PictureEvents(Events):
    """Draws the latest prediction on every frame. A window that the user closes ends the run."""

    def __init__(self, target: Window | VideoSink) -> None:
        self._target = target
        self._stop: Callable[[], None] = lambda: None

    def bind(self, runtime: Stoppable) -> None:
        """What closing the window stops."""
        self._stop = runtime.stop

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        picture = draw_overlay(
            frame.image,
            label=latest.shown_label if latest else None,
            score=latest.score if latest else 0.0,
            configuration=str(latest.configuration) if latest else "",
            latency_ms=latest.latency_ms if latest else 0.0,
            extra=f"acting: {frame.truth}" if frame.truth else "",
        )
        if isinstance(self._target, VideoSink):
            self._target.write(picture, frame.time_s)
            return
        self._target.show(picture)
        if self._target.closed:
            self._stop()

    def close(self) -> None:
        self._target.close()
