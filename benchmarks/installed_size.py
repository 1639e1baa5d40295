"""What the runtime takes on disk: the wheel and all it requires, in a fresh virtual environment, by parts.

    python benchmarks/installed_size.py [--out docs/results/installed_size.md]

The environment is made without pip and setuptools: they are not of the runtime. Bytes are those of the files
(compiled Python among them), not of the disk's blocks. Exit code 1 above the target.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from _options import parser_of

ROOT = Path(__file__).parent.parent
TARGET_MB = 330
LISTED_MB = 0.5
"""Smaller parts are listed as one."""


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        parts = measured(installed(Path(folder)))
    text = report(parts)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    sys.exit(total_mb(parts) > TARGET_MB)


def installed(folder: Path) -> Path:
    """The ``site-packages`` of a fresh environment with the wheel of this tree."""
    quietly("-m", "build", "--wheel", "--outdir", str(folder / "wheel"), str(ROOT))
    (wheel,) = (folder / "wheel").glob("*.whl")
    quietly("-m", "venv", "--without-pip", str(folder / "venv"))
    quietly("-m", "pip", "--python", str(folder / "venv/bin/python"), "install", str(wheel))
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    return site


def quietly(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def measured(site: Path) -> dict[str, tuple[str, float]]:
    """Version and MB of each distribution, largest first."""
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(site)]):
        files = {Path(str(distribution.locate_file(file))).resolve() for file in distribution.files or ()}
        size = sum(file.stat().st_size for file in files if file.is_file())
        found[distribution.metadata["Name"]] = (distribution.version, size / 1e6)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def total_mb(parts: dict[str, tuple[str, float]]) -> float:
    return sum(size for _, size in parts.values())


def report(parts: dict[str, tuple[str, float]]) -> str:
    total = total_mb(parts)
    large = {name: part for name, part in parts.items() if part[1] >= LISTED_MB}
    small = total - total_mb(large)
    met = "met" if total <= TARGET_MB else "missed"
    lines = [
        "# Installed size of the runtime",
        "",
        f"`python benchmarks/installed_size.py`: {total:.0f} MB (target {TARGET_MB} MB: {met}), "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}; without pip.",
        "",
        "| part | version | MB |",
        "|---|---|---|",
        *(f"| {name} | {version} | {size:.1f} |" for name, (version, size) in large.items()),
        f"| {len(parts) - len(large)} smaller ones | | {small:.1f} |",
        f"| **all** | | **{total:.1f}** |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
