"""The one place where parameters, as messages of the library name them, become the command line's options."""

from __future__ import annotations

import re

from a3d_edge.cli.help import GROUPS

__all__ = ["FLAGS", "as_flags"]

FLAGS = {
    **{flag[2:].replace("-", "_"): flag for options in GROUPS.values() for flag in options.split()},
    "range_name": "--range",
    "input_kind": "--input",
    "smoothing": "--label-smoothing",
    "switchable": "--switchable-norms",
    "every": "--switch-every",
    "whole_range": "--all",
    "configurations": "--configuration",
}
"""By the parameter's name; below, those whose option is called otherwise."""


OPPOSITE = {
    f"{has} `{name}`": f"{lacks} --no-{name}"
    for name in ("mutual", "distillation")
    for has, lacks in (("with", "without"), ("without", "with"))
}
"""The option that is there for a parameter's being false."""


def as_flags(message: str) -> str:
    """The message with ``--epochs`` where it says `epochs`; other words between backquotes stay."""
    message = re.sub("with(out)? `(mutual|distillation)`", lambda found: OPPOSITE[found[0]], message)
    return re.sub(r"`(\w+)`", lambda found: FLAGS.get(found[1], found[0]), message)
