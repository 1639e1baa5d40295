"""Clips and snapshots of events: from some seconds before until some seconds after.

run's thread ── frame, at most `rate` a second ──▶ queue of 8 ──▶ this thread: JPEG ──▶ ring ──▶ clips (H.264)

Memory: the ring's bytes, and 8 raw pictures. A live source's frame that finds the queue full is left out of
the clip and counted; a file waits.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from a3d_edge.alerts import Alert
from a3d_edge.disk import free_bytes, why
from a3d_edge.errors import A3DEdgeError, ResourceError
from a3d_edge.files import write_atomically
from a3d_edge.sinks.delivery.retention import keep_within, remove_remnants
from a3d_edge.sinks.delivery.ring import Picture, Ring
from a3d_edge.sinks.video_writer import VideoSink
from a3d_edge.video.frame import Frame
from a3d_edge.video.opencv import Image, cv2

__all__ = ["ClipSettings", "Recorder"]

QUEUED = 8
OPEN_CLIPS = 4
QUALITY = 90
RESERVE_BYTES = 2**19
"""Room that a clip must find when it begins; later `VideoSink` sees to it."""
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """``lag_s``: an event is told of at most so long after its start. ``rate``: pictures a second at most;
    ``height``: of a picture at most; ``memory``: bytes of the ring. ``longest_s``: of a clip; ``keep_s``,
    ``keep_bytes``: how long and how many are kept, None for no limit."""

    folder: Path
    before_s: float = 5.0
    lag_s: float = 5.0
    after_s: float = 5.0
    longest_s: float = 120.0
    rate: float = 10.0
    height: int = 720
    memory: int = 32_000_000
    clips: bool = True
    snapshots: bool = True
    keep_s: float | None = None
    keep_bytes: int | None = None


@dataclass(slots=True)
class _Clip:
    """One that is being written: its first picture's time, and until which time it goes (None: not ended)."""

    alert: Alert
    sink: VideoSink
    begun_s: float
    newest_s: float
    until_s: float | None = None


class Recorder:
    """``say``: takes a line about the first thing that goes wrong. ``written``: is told of each clip that is
    complete. ``patient``: whether a frame may wait. Files are named by the alert's id: ``ID.mp4``,
    ``ID.jpg``.

    Raises `ResourceError` when the folder cannot be made.
    """

    def __init__(
        self,
        settings: ClipSettings,
        say: Callable[[str], None],
        written: Callable[[dict[str, Any]], None],
        *,
        patient: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._say, self._written, self._clock = settings, say, written, clock
        self._patient, self._said = patient, False
        self._ring = Ring(settings.before_s + settings.lag_s, settings.memory)
        self._clips: dict[str, _Clip] = {}
        self._kept_s = -float("inf")
        self.counts: Counter[str] = Counter(clips=0, snapshots=0, frames_left_out=0, failed=0, deleted=0)
        _make(settings.folder)
        self._work: queue.Queue[Frame | Alert | None] = queue.Queue(QUEUED)
        self._alerts: queue.SimpleQueue[Alert] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="clips of alerts", daemon=True)
        self._thread.start()

    def frame(self, frame: Frame) -> None:
        """A captured frame; one that comes too soon after the last is not needed."""
        since_s = frame.time_s - self._kept_s
        if 0.0 <= since_s < 1.0 / self._settings.rate - 1e-3:
            return
        try:
            self._work.put(frame, block=self._patient, timeout=PATIENCE_S)
            self._kept_s = frame.time_s
        except queue.Full:
            self.counts["frames_left_out"] += 1

    def alert(self, alert: Alert) -> None:
        """Begin a clip, or say when it ends."""
        self._alerts.put(alert)

    def stop(self) -> None:
        """No more will come: finish what is being written, which `join` waits for."""
        threading.Thread(target=self._work.put, args=(None,), daemon=True).start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            item = self._work.get()
            try:
                if isinstance(item, Frame):
                    self._see(item)
                self._hear(item is None)
                if item is None:
                    for clip in list(self._clips.values()):
                        self._finish(clip)
                    return
            except Exception as error:  # of one picture or clip: the next may work
                self._failed(f"clips of alerts: {type(error).__name__}: {str(error)[:200]}")

    def _see(self, frame: Frame) -> None:
        """A frame into the ring, and into every clip that goes on."""
        done, data = cv2.imencode(
            ".jpg", _smaller(frame.image, self._settings.height), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
        if not done:
            return
        picture = Picture(frame.time_s, data.tobytes())
        self._ring.add(picture)
        for clip in list(self._clips.values()):
            over = clip.until_s is not None and frame.time_s > clip.until_s
            if over or not 0.0 < frame.time_s - clip.newest_s < self._settings.longest_s:
                self._finish(clip)
            else:
                self._append(clip, picture)
                if frame.time_s - clip.begun_s >= self._settings.longest_s:
                    self._finish(clip)

    def _hear(self, last: bool) -> None:
        while not self._alerts.empty():
            alert = self._alerts.get()
            if alert.state == "started":
                self._begin(alert)
            elif alert.state == "ended" and (clip := self._clips.get(alert.id)) is not None:
                clip.alert = alert
                clip.until_s = alert.stream_time_s if last else alert.end_s + self._settings.after_s

    def _begin(self, alert: Alert) -> None:
        if self._settings.snapshots and (nearest := self._ring.nearest(alert.stream_time_s)):
            self._snapshot(alert, nearest)
        if not self._settings.clips:
            return None
        pictures = list(self._ring.since(alert.start_s - self._settings.before_s))
        if not self._room() or not pictures:
            return None
        if len(self._clips) >= OPEN_CLIPS:
            return self._failed(f"clips of alerts: more than {OPEN_CLIPS} events at once")
        sink = VideoSink(self._settings.folder / f"{alert.id}.mp4", self._settings.rate)
        clip = _Clip(alert, sink, pictures[0].time_s, pictures[0].time_s)
        self._clips[alert.id] = clip
        for picture in pictures:
            if alert.id in self._clips:
                self._append(clip, picture)
        return None

    def _append(self, clip: _Clip, picture: Picture) -> None:
        image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
        clip.newest_s = picture.time_s
        try:
            if image is not None:
                clip.sink.write(image, picture.time_s)
        except A3DEdgeError as error:  # what there is of it stays
            self._failed(f"clips of alerts: {error}")
            self._finish(clip)

    def _finish(self, clip: _Clip) -> None:
        self._clips.pop(clip.alert.id, None)
        try:
            clip.sink.close()
        except A3DEdgeError as error:
            self._failed(f"clips of alerts: {error}")
        if clip.sink.path.exists():
            self.counts["clips"] += 1
            self._written(
                {
                    "id": clip.alert.id,
                    "path": str(clip.sink.path),
                    "start_s": clip.begun_s,
                    "end_s": clip.newest_s,
                    "bytes": clip.sink.path.stat().st_size,
                }
            )
        self._keep()

    def _snapshot(self, alert: Alert, picture: Picture) -> None:
        path = self._settings.folder / f"{alert.id}.jpg"
        try:
            write_atomically(path, lambda temporary: _put(temporary, picture.data))
            self.counts["snapshots"] += 1
        except ResourceError as error:
            self._lacks("snapshots", len(picture.data), error)

    def _room(self) -> bool:
        free = free_bytes(self._settings.folder)
        if free is not None and free < RESERVE_BYTES:
            self._keep()
            free = free_bytes(self._settings.folder)
        if free is None or free >= RESERVE_BYTES:
            return True
        self._lacks("clips", RESERVE_BYTES)
        return False

    def _lacks(self, what: str, needed: int, error: Exception | None = None) -> None:
        folder = self._settings.folder
        self._failed(f"{what} of alerts: {folder}: {why(error, folder, needed)}")

    def _keep(self) -> None:
        settings = self._settings
        self.counts["deleted"] += keep_within(
            settings.folder, now_s=self._clock(), age_s=settings.keep_s, limit=settings.keep_bytes
        )

    def _failed(self, message: str) -> None:
        self.counts["failed"] += 1
        if not self._said:
            self._said = True
            self._say(f"{message}; left out, the run goes on (said once; the summary counts)")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_remnants(folder)
    except OSError as error:
        raise ResourceError(
            f"{folder}: no clips can be kept here ({error.strerror}); name another folder"
        ) from error


def _smaller(image: Image, height: int) -> Image:
    if image.shape[0] <= height:
        return image
    width = max(2, round(image.shape[1] * height / image.shape[0]))
    smaller: Image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)
