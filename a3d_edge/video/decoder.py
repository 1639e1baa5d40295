"""The one reader of video: every picture of a file or network stream, for running and for training alike."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice

from a3d_edge.video.guarded import Guarded
from a3d_edge.video.pixels import POOLED
from a3d_edge.video.playback import DamagedError, Picture, Playback

__all__ = ["Decoder"]


class Decoder(Guarded[Picture]):
    """Pictures (H, W, 3) BGR of an absolute path, or with ``network`` of a URL, and where they stand in the
    container's own time (s; None where it has none). Always the same ones, of damaged files too.

    A picture that cannot be decoded is passed over and counted in ``unreadable``, and so is what is missing
    at the end of a recording that was cut off. ``live``, ``in_bursts``: as in `Opened`. ``rate``: pictures a
    second as announced, None if not. ``pooled``: see `a3d_edge.video.pixels.Pixels`. Raises `SourceError`
    when it cannot be opened, and from `read` when a network stream breaks off. ``redirects``: see
    `a3d_edge.video.opening.open_video`; ``raw``: see `Pixels` (of a URL alone). ``arrived_s``, ``too_quick``:
    see `Playback`.
    """

    def __init__(
        self,
        location: str,
        name: str,
        *,
        network: bool = False,
        pooled: int = POOLED,
        redirects: bool = False,
        raw: bool = False,
    ) -> None:
        super().__init__()
        self._location, self._name, self._pooled, self._redirects = location, name, pooled, redirects
        self._playback = Playback(
            location, name, network=network, careful=network, pooled=pooled, redirects=redirects, raw=raw
        )
        self.live, self.in_bursts = self._playback.opened.live, self._playback.opened.in_bursts
        self.rate = self._playback.rate
        self._pictures = self._all()

    @property
    def unreadable(self) -> int:
        """Pictures that could not be decoded so far."""
        return self._playback.unreadable

    @property
    def arrived_s(self) -> float | None:
        """When the data of the latest picture of a live stream had come."""
        return self._playback.arrived_s

    @property
    def too_quick(self) -> int:
        """Pictures of a live stream that were let go unseen: they came quicker than any camera films."""
        return self._playback.too_quick

    def _read(self) -> Picture | None:
        return next(self._pictures, None)

    def _release(self) -> None:
        self._pictures.close()
        self._playback.close()

    def _all(self) -> Generator[Picture]:
        """A damaged file is decoded once more from its beginning, now with care, and goes on where it was."""
        shown = 0
        try:
            for picture in self._playback.pictures():
                yield picture
                shown += 1
        except DamagedError:
            self._playback.close()
            self._playback = Playback(
                self._location,
                self._name,
                network=False,
                careful=True,
                pooled=self._pooled,
                redirects=self._redirects,
            )
            yield from islice(self._playback.pictures(), shown, None)
