"""Text that came from a file, a device or the network, as it may be shown: nothing in it acts on a terminal.

A class name, a key or a file's name may hold what moves the cursor, sets a title, fills the clipboard, writes
from right to left, or begins a new line that looks like one of ours. All that is shown as it would be spelled
in a program: ``\\x1b``, ``\\n``, ``\\u202e``. JSON escapes for itself.
"""

from __future__ import annotations

import re

__all__ = ["acts", "shown"]

_ACTS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Control characters of both sets; marks, overrides and isolates of direction; separators; tags."""
LONGEST = 4_000


def shown(text: str) -> str:
    """The text in one line, with what would act on a terminal spelled out; cut short if it is very long."""
    if _ACTS.search(text):
        text = _ACTS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def acts(text: str) -> bool:
    """Whether `shown` would spell something out."""
    return _ACTS.search(text) is not None
