"""What a data set holds, and what of it is odd: looked at before hours are spent on it.

lists ─ clips_of ─ each clip decoded into the cache, which training reads later ─ ClipFacts ─ findings
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from a3d_edge.errors import DataWarning, SourceError, UsageError
from a3d_edge.task import BOXES, SINGLE, Task
from a3d_edge.training.clips import Clip, Data, clips_of
from a3d_edge.training.data_findings import ClipFacts, Finding, odd_facts, odd_lists, unreadable
from a3d_edge.training.data_people import (
    People,
    odd_key_frames,
    odd_proposals,
    people_counts,
    require_rows,
)
from a3d_edge.training.decode import PARTS_SIDE, DecodedClip, FrameCache, open_cache
from a3d_edge.training.proposals import PROPOSAL_SCORE
from a3d_edge.training.reports import Report, step, unseen
from a3d_edge.training.windows import frame_rate
from a3d_edge.video.grey import grey_of

__all__ = ["WINDOW_S", "DataReport", "check", "check_clips"]

WINDOW_S = 56 / 30
"""What a window of the architectures that train by default spans: 8 pictures, 8 model frames apart."""
LOOKED_AT, CELL = 16, 4
"""Pictures of a clip, and pixels a side of their cells, by whose range it is seen whether anything moves."""


@dataclass(frozen=True, slots=True)
class DataReport:
    """What there is. ``clips``: those that can be read, with ``facts`` of each; ``listed``: all of them.

    ``findings``: what is odd, the gravest first. ``people``: of the task ``boxes``, those in ``clips``, which
    are key frames then.
    """

    listed: tuple[Clip, ...]
    clips: tuple[Clip, ...]
    facts: tuple[ClipFacts, ...]
    findings: tuple[Finding, ...]
    people: People | None = None

    @property
    def classes(self) -> Mapping[str, int]:
        """How many clips of every class can be read; of the task ``boxes``, how many people do it."""
        clips = Counter(label for clip in self.clips for label in clip.labels)
        counts = clips if self.people is None else Counter(self.people.by_class)
        return {label: counts[label] for label in _labels(self.listed)}

    @property
    def labels_a_clip(self) -> Mapping[int, int] | None:
        """How many clips have how many labels; None where each has one, or people have them."""
        if self.people is not None or not any(clip.many for clip in self.clips):
            return None
        return dict(sorted(Counter(len(clip.labels) for clip in self.clips).items()))

    @property
    def groups(self) -> Mapping[str, int]:
        """How many clips each named group has."""
        return dict(sorted(Counter(clip.group for clip in self.clips if clip.group).items()))

    @property
    def splits(self) -> Mapping[str, int]:
        """How many clips each named split has."""
        return dict(sorted(Counter(clip.split for clip in self.clips if clip.split).items()))

    @property
    def folds(self) -> Mapping[int, int]:
        """How many clips each fold has."""
        return dict(sorted(Counter(clip.fold for clip in self.clips if clip.fold is not None).items()))

    @property
    def rates(self) -> Mapping[float, int]:
        """How many clips have how many frames a second."""
        return dict(sorted(Counter(round(one.rate, 2) for one in self.facts).items()))

    @property
    def lengths(self) -> tuple[float, float, float] | None:
        """Seconds of the shortest clip, the middle one and the longest."""
        seconds = sorted(one.seconds for one in self.facts)
        return (seconds[0], median(seconds), seconds[-1]) if seconds else None

    @property
    def trainable(self) -> bool:
        """Whether there are clips of two classes, to be told from each other, or of one from none."""
        many = any(clip.many for clip in self.clips)
        return len(_labels(self.clips)) > (0 if many else 1)

    def require_trainable(self) -> None:
        """Raise the error that training would end with: `SourceError` where clips of two classes cannot be
        read, `UsageError` where there is one class."""
        if self.trainable:
            return
        labels = _labels(self.listed)
        if len(labels) > 1:
            raise SourceError(
                f"nothing can be trained: of {len(self.listed)} clips {len(self.clips)} can be read, of less "
                "than two classes"
            )
        raise UsageError(
            f"nothing can be trained: there is one class, {', '.join(labels)}; add clips of another to tell "
            "it from"
        )


def _labels(clips: Sequence[Clip]) -> list[str]:
    return sorted({label for clip in clips for label in clip.labels})


def check(
    data: Data,
    *,
    task: Task = SINGLE,
    window_s: float = WINDOW_S,
    proposals: Path | None = None,
    least: float = PROPOSAL_SCORE,
    cache: str | Path | None = None,
    report: Report = unseen,
) -> DataReport:
    """Look at the clips of lists and class folders.

    ``task``: whether labels are classes, sets of them, or sets of people in boxes; ``window_s``: what a
    window of the network will span; ``proposals``: a detector's CSV, of whose boxes those of a score of
    ``least`` are to be asked about; ``cache``: as in `open_cache`. Raises `SourceError` for lists that cannot
    be read, `UsageError` for boxes or proposals where the task has none, `ResourceError` for a full disk.
    """
    if proposals is not None and task != BOXES:
        raise UsageError(f"`proposals`: the task {task} asks about no boxes; name `task` {BOXES}")
    if task == BOXES:
        for place in data:
            if not isinstance(place, Clip):
                require_rows(Path(place))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        clips = clips_of(data, task=task)
    ours = [one for one in told if issubclass(one.category, DataWarning)]
    for other in (one for one in told if one not in ours):
        warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    said = [str(one.message) for one in ours]
    frames = open_cache(cache, PARTS_SIDE, grey=True)  # as the small recipe looks at them
    found = check_clips(clips, frames, task=task, window_s=window_s, said=said, progress=step(report, "look"))
    if proposals is None:
        return found
    return replace(found, findings=(*found.findings, *odd_proposals(found.clips, proposals, least)))


def check_clips(
    clips: Sequence[Clip],
    frames: FrameCache,
    *,
    task: Task = SINGLE,
    window_s: float = WINDOW_S,
    said: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> DataReport:
    """The same of clips that are listed already; ``said``: what was warned of when they were."""
    there: list[Clip] = []
    facts: list[ClipFacts] = []
    errors: list[tuple[Clip, SourceError]] = []
    looked: dict[Hashable, ClipFacts | SourceError] = {}  # a film has hundreds of key frames
    for done, clip in enumerate(clips, 1):
        which = (clip.path, clip.start, clip.end) if clip.path else done
        one = looked[which] if which in looked else looked.setdefault(which, _looked_at(clip, frames))
        if isinstance(one, SourceError):
            errors.append((clip, one))
        else:
            there.append(clip)
            facts.append(one)
        progress(done, len(clips))
    people = people_counts(there) if task == BOXES else None
    findings = [*unreadable(errors), *(Finding("list", line) for line in said)]
    findings += odd_lists(there, None if people is None else people.by_class)
    findings += [*odd_key_frames(there, facts), *odd_facts(there, facts, window_s)]
    return DataReport(tuple(clips), tuple(there), tuple(facts), tuple(findings), people)


def _looked_at(clip: Clip, frames: FrameCache) -> ClipFacts | SourceError:
    try:
        return _facts(frames.get(clip))
    except SourceError as error:
        return error


def _facts(decoded: DecodedClip) -> ClipFacts:
    rate = frame_rate(decoded, 0.0)
    seconds = float(decoded.times[-1]) + (1 / rate if rate else 0.0)
    return ClipFacts(seconds, rate, len(decoded.times), _motion(decoded))


def _motion(decoded: DecodedClip) -> float:
    """By how many grey levels the cell of a picture that changes most does, over the clip.

    Cells are means of many pixels: the noise of a camera or a codec is below `data_findings.STILL`, a hand is
    not.
    """
    places = np.unique(np.linspace(0, len(decoded.times) - 1, LOOKED_AT).astype(int))
    greys = [grey_of(decoded.frames[int(place)]) for place in places]
    height, width = (max(1, side // CELL) for side in greys[0].shape)
    cells = [cv2.resize(np.float32(grey), (width, height), interpolation=cv2.INTER_AREA) for grey in greys]
    return float(np.ptp(np.stack(cells), axis=0).max())
