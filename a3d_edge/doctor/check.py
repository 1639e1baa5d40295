"""One check's outcome."""

from __future__ import annotations

from dataclasses import dataclass

from a3d_edge.errors import UsageError

__all__ = ["FAIL", "OK", "WARN", "Check", "ok", "unwell"]

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """``name``: of what; ``status``: `OK`, `WARN` (it runs, worse than it could) or `FAIL`; ``found``: in
    words; ``fix``: what to do, of every one that is not `OK`. Raises `UsageError` without it."""

    name: str
    status: str
    found: str
    fix: str | None = None

    def __post_init__(self) -> None:
        if (self.status == OK) != (self.fix is None):
            raise UsageError(f"check {self.name}: a fix belongs to what is not ok, and to nothing else")

    def fields(self) -> dict[str, str | None]:
        """As JSON values (docs/events.md)."""
        return {"name": self.name, "status": self.status, "found": self.found, "fix": self.fix}


def ok(name: str, found: str) -> Check:
    return Check(name, OK, found)


def unwell(name: str, found: str, fix: str, *, fails: bool = False) -> Check:
    return Check(name, FAIL if fails else WARN, found, fix)
