"""Annotated pictures of a run, for a window or a video file."""

from __future__ import annotations

from collections.abc import Callable

from a3d_edge.errors import ResourceError
from a3d_edge.events import Events, Prediction, SinkLostError, Stoppable, Summary
from a3d_edge.sinks.overlay import Window, draw_overlay
from a3d_edge.sinks.video_writer import VideoSink
from a3d_edge.video.frame import Frame
from a3d_edge.video.opencv import Image

__all__ = ["PictureEvents"]


class PictureEvents(Events):
    """Draws the latest prediction on every frame. A window that the user closes ends the run; a recording
    that has no more room does not."""

    def __init__(self, target: Window | VideoSink) -> None:
        self._target = target
        self._stop: Callable[[], None] = lambda: None

    def bind(self, runtime: Stoppable) -> None:
        """What closing the window stops."""
        self._stop = runtime.stop

    def frame(self, frame: Frame, latest: Prediction | None) -> None:
        if isinstance(self._target, VideoSink) and self._target.lost is not None:
            self._target.missed += 1
            return
        shown = latest.shown if latest else ()
        picture = draw_overlay(
            frame.image,
            label=shown[0][0] if shown else None,
            score=shown[0][1] if shown else 0.0,
            others=shown[1:],
            people=(latest.people or ()) if latest else (),
            configuration=str(latest.configuration) if latest else "",
            latency_ms=latest.latency_ms if latest else 0.0,
            extra=f"acting: {frame.truth}" if frame.truth else "",
        )
        if isinstance(self._target, VideoSink):
            self._record(self._target, picture, frame.time_s)
            return
        self._target.show(picture)
        if self._target.closed:
            self._stop()

    def _record(self, recording: VideoSink, picture: Image, time_s: float) -> None:
        try:
            recording.write(picture, time_s)
        except ResourceError as error:
            raise SinkLostError(f"{error}; the run goes on without its recording") from error

    def summary(self, summary: Summary) -> None:
        """Finish the recording, and say what became of it."""
        if not isinstance(self._target, VideoSink):
            return
        try:
            self._target.close()
        except ResourceError as error:
            raise SinkLostError(str(error)) from error
        finally:
            told = self._target
            summary.recording = {"frames": told.frames, "missed": told.missed, "ended": told.lost}

    def close(self) -> None:
        self._target.close()
