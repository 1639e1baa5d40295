"""Where a fit's files lie: the bundle, and beside it what is kept between its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from a3d_edge.errors import UsageError
from a3d_edge.fitting.state import State
from a3d_edge.outputs import claim_folder, refuse_input

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """The bundle ``out``, and the record of the folder ``OUT.fit``, which holds the rest."""

    out: Path
    state: State

    @classmethod
    def at(cls, out: Path, *, overwrite: bool, inputs: Sequence[Path]) -> Places:
        """Of a bundle. Raises `UsageError` where something else is in the way."""
        folder = out.with_name(f"{out.name}.fit")
        refuse_input(out, inputs)
        ours = overwrite or (folder / "fit.json").exists()
        claim_folder(out, inputs=inputs, overwrite=ours)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"`out` {out}: {folder} is needed beside it, and is no folder; name another")
        return cls(out, State(folder))

    @property
    def checkpoint(self) -> Path:
        """Trained on all but the clips that were put aside."""
        return self.state.folder / "net.pth"

    @property
    def final(self) -> Path:
        """Trained on all of them."""
        return self.state.folder / "final.pth"

    @property
    def measured(self) -> Path:
        """The bundle of ``checkpoint``, where that is not what comes out."""
        return self.state.folder / "measured"

    @property
    def scores(self) -> Path:
        """Of every clip that was put aside."""
        return self.state.folder / "scores.jsonl"

    @property
    def table(self) -> Path:
        """Of the configurations that were chosen."""
        return self.state.folder / "table.json"

    @property
    def page(self) -> Path:
        """The report."""
        return self.state.folder / "report.html"
