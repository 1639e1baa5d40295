"""Pictures that a network looks at: of a whole window, or of samples in order, as a run makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from a3d_edge.video.frame import Frame
from a3d_edge.video.preprocess import Fitted, Image, Picture, Preprocessing, fit, picture_of, preprocess
from a3d_edge.video.region import Region, moving_region, thumbnail
from a3d_edge.video.sampler import Pathway, Sample

__all__ = ["Pictures", "window_pictures"]


def window_pictures(
    pathways: Sequence[Pathway], spec: Preprocessing, image: Callable[[int], Image]
) -> list[Picture]:
    """Pictures ``(T, 3, S, S)`` of one whole window, for every pathway.

    ``image``: the BGR frame of an instant, from 0 on; what lies before the window is its first frame. For
    proofs and timing: where the view follows motion, a stream finds it at all instants of its window, and
    this at those that the pathways look at. Raises `UsageError` when a frame is not (H, W, 3) uint8.
    """
    region = None
    if spec.view != "whole":
        region = moving_region([thumbnail(image(instant)) for instant in pathways[-1].instants], spec.view)
    return [
        np.stack(
            [
                preprocess(
                    [image(max(0, instant - offset)) for offset in spec.offsets],
                    pathway.size,
                    spec,
                    region=region,
                )
                for instant in pathway.instants
            ]
        )
        for pathway in pathways
    ]


class Pictures:
    """Makes the pictures of samples in order, each frame fitted once though it may belong to several samples.

    Holds the fitted frames that later samples may share, and no others.
    A frame belongs to two samples where one looks back at what another stands for (motion at hops below τ),
    and where a slow source's frame stands for two instants.
    """

    def __init__(self, spec: Preprocessing) -> None:
        self._spec = spec
        self._region: Region | None = None
        self._fitted: dict[tuple[int, int], Fitted] = {}  # (frame's index, size)

    def look_at(self, region: Region | None) -> bool:
        """Show this part from now on (None: the usual one); whether it is another than before."""
        if region == self._region:
            return False
        self._region = region
        self._fitted.clear()
        return True

    def of(self, sample: Sample, size: int, out: Picture | None = None) -> Picture:
        """``(3, S, S)`` float32 of a sample, in the memory ``out`` if given.

        Raises `UsageError` when one of its frames is not (H, W, 3) uint8.
        """
        frames = sample.frames[: len(self._spec.offsets)]
        picture = picture_of([self._fit(frame, size) for frame in frames], size, self._spec, out)
        oldest = min(frame.index for frame in frames)  # of a later sample no frame is older
        for key in [key for key in self._fitted if key[0] < oldest]:
            del self._fitted[key]
        return picture

    def _fit(self, frame: Frame, size: int) -> Fitted:
        key = (frame.index, size)
        if key not in self._fitted:
            self._fitted[key] = fit(frame.image, size, self._spec, region=self._region)
        return self._fitted[key]
