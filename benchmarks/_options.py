"""The command line of a benchmark."""

from __future__ import annotations

import argparse

__all__ = ["parser_of"]


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the benchmark's docstring, as it stands."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
