"""The bundles that ship in the wheel: every folder here that holds a manifest, by its name.

How each was trained is in its model card, under docs/results.
"""

from __future__ import annotations

from pathlib import Path

from a3d_edge.errors import BundleError

__all__ = ["DEFAULT", "MANIFEST", "as_path", "built_in", "folder_of", "is_bundle", "names"]

MANIFEST = "manifest.json"
"""The file that makes a folder a bundle."""

DEFAULT = "interactions"
"""What runs where no bundle is named."""

ALIAS = "default"
"""One more name of it, which stays when another becomes the default."""


def built_in() -> dict[str, Path]:
    """The folders of the bundles that are installed, by name."""
    here = Path(__file__).parent
    return {place.parent.name: place.parent for place in sorted(here.glob(f"*/{MANIFEST}"))}


def names() -> str:
    """The names as a message lists them."""
    return ", ".join(built_in())


def folder_of(name: str) -> Path:
    """The folder of a built-in bundle, by its name or ``default``. Raises `BundleError` that lists them."""
    found = built_in().get(DEFAULT if name == ALIAS else name)
    if found is None:
        raise BundleError(f"'{name}' is no built-in bundle; there are {names()}")
    return found


def as_path(what: str | Path) -> Path:
    """The path that is meant where a bundle's folder or a built-in bundle's name may stand.

    A name is a word alone: a `Path`, and text with a separator (``./gestures``), is a path. So is a word that
    a file or a bundle of the working directory has for its name; other folders do not hide a bundle.
    """
    own = Path(what)
    word = isinstance(what, str) and what in {ALIAS, *built_in()}
    if not word or own.is_file() or (own / MANIFEST).is_file():
        return own
    return folder_of(str(what))


def is_bundle(path: Path) -> bool:
    """Whether a bundle is meant where a checkpoint may be named as well: a folder, or a word for one."""
    return path.is_dir() or not (path.is_file() or path.suffix)
