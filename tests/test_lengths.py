"""How long a function and a module may be (``python tests/test_lengths.py`` lists the longest)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for room in ("a3d_edge", "exporters") for path in (ROOT / room).rglob("*.py"))
LONGEST_FUNCTION, LONGEST_MODULE = 60, 350

if not MODULES:  # the wheel's own tests, away from the source tree
    pytest.skip("no source tree", allow_module_level=True)


def lengths(path: Path) -> dict[str, int]:
    """Lines of each function. Of a command its options and their help do not count: they are a table."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            command = path.parent.name == "cli" and not node.name.startswith("_")
            first = node.body[0].lineno if command else node.lineno
            assert node.end_lineno is not None
            found[f"{path.relative_to(ROOT)}: {node.name}"] = node.end_lineno - first + 1
    return found


def lines(path: Path) -> int:
    """Of a module."""
    return len(path.read_text(encoding="utf-8").splitlines())


def test_functions() -> None:
    """None is longer, and there are many to look at."""
    found = {name: length for path in MODULES for name, length in lengths(path).items()}
    assert len(found) > 500
    assert {name: length for name, length in found.items() if length > LONGEST_FUNCTION} == {}


def test_modules() -> None:
    """None is longer."""
    found = {str(path.relative_to(ROOT)): lines(path) for path in MODULES}
    assert {name: length for name, length in found.items() if length > LONGEST_MODULE} == {}


if __name__ == "__main__":
    functions = {name: length for path in MODULES for name, length in lengths(path).items()}
    for name in sorted(functions, key=functions.__getitem__)[-5:]:
        print(functions[name], name)
    for path in sorted(MODULES, key=lines)[-5:]:
        print(lines(path), path.relative_to(ROOT))
