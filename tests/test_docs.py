"""The README and the guides: their commands can be meant, their programs run, and their pages exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from fixtures_bundle import boxes_bundle, write_video

from a3d_edge.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("guides/*.md")))
FENCED = r"^```{}\n(.*?)^```$"
GIVEN = "import numpy as np\nframes = [np.zeros((120, 160, 3), np.uint8)] * 64\nlatency_ms = 5.0\n"
GIVEN += "your_frames = [(frame, i / 30) for i, frame in enumerate(frames)]\n"


def blocks(page: Path, language: str) -> list[str]:
    """What is fenced in that language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(FENCED.format(language), text, re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every ``a3d-edge …`` of a shell block: its page, and its words after the program."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line):
                    words = shlex.split(part, comments=True)
                    if words and words[0] in ("a3d-edge", ".venv/bin/a3d-edge"):
                        yield page.name, words[1:]


def test_there_is_something_to_look_at() -> None:
    """The commands of README and guides, and pages of all kinds."""
    found = list(commands())
    assert len(found) > 30
    assert {"README.md", "run.md", "data.md", "export.md", "bench.md", "index.md"} <= {
        name for name, _ in found
    }


@pytest.mark.parametrize(("page", "words"), list(commands()), ids=lambda given: " ".join(given)[:60])
def test_commands_can_be_meant(page: str, words: list[str]) -> None:
    """Command, options and arguments are taken by the command's own parser, with nothing left over."""
    command = typer.main.get_command(app)
    if words == ["--install-completion"]:
        return
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    assert command.make_context(name, words).args == []


NEEDS_TORCH = re.compile(r"a3d_edge\.(training|exporters|fitting|models)\b")
AVA = {
    "ava_val_v2.2.csv": "v,0902,0.1,0.1,0.5,0.5,1,7\n",
    "results.csv": "v,0902,0.1,0.1,0.5,0.5,1,0.9\n",
    "ava_action_list_v2.2_for_activitynet_2019.pbtxt": 'item {\n  name: "wave"\n  id: 1\n}\n',
    "ava_val_excluded_timestamps_v2.2.csv": "v,0903\n",
}
WITH_PROGRAMS = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=lambda page: page.name)
def test_programs_run(page: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each by itself, as somebody would paste it; beside a clip, AVA's files, a bundle of the task boxes."""
    write_video(tmp_path / "clip.mp4", 30)
    for name, text in AVA.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for block in blocks(page, "python"):
        if importlib.util.find_spec("torch") is None and NEEDS_TORCH.search(block):
            continue
        if '"who/"' in block:
            if importlib.util.find_spec("torch") is None:
                continue
            shutil.copytree(boxes_bundle(tmp_path_factory).path, tmp_path / "who")
        done = subprocess.run(
            [sys.executable, "-c", GIVEN + block],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_every_page_is_in_the_menu() -> None:
    """And every one of the menu exists."""
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    told = set(re.findall(r": ((?:guides/)?\w+\.md)$", menu, re.MULTILINE))
    assert told == {str(page.relative_to(DOCS)) for page in PAGES[1:]}
