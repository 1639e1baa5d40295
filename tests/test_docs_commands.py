"""Every command that README and docs show, run: on tiny inputs that have the names which the pages use.

A block's commands run one after another in a folder that holds what a reader has by then: clips, lists, files
of other libraries, and what the README's commands for training and export have made of them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest
from fixtures_bundle import boxes_bundle, pictures, write_video
from fixtures_people import graph, yolox
from test_docs import DOCS, FENCED, PAGES, ROOT, blocks

from a3d_edge.cli import main
from a3d_edge.models.registry import ARCHITECTURES
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription
from a3d_edge.training.watch import best_of, metrics_of

torch = pytest.importorskip("torch")
from reference_networks import Plan, PySlowFast  # noqa: E402

ALL_PAGES = (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.glob("results/*.md")))

QUICKER: dict[tuple[str, ...], tuple[str, ...]] = {
    ("train",): ("--epochs", "1", "--batch", "4", "--calibration-clips", "3"),
    ("train", "--data", "clips.csv", "--fold"): ("--range", "0.06"),
    ("train", "--data", "annotations/ava_train_v2.2.csv"): ("--batch", "2"),
    ("train", "--rendered"): ("--rendered", "1", "--size", "32", "--range", "0.06"),
    ("fit",): ("--epochs", "1"),
    ("eval", "net.pth"): ("--views", "1"),
    ("eval", "paper.pth"): ("--views", "1"),
    ("eval", "net.pth", "--data", "clips.csv"): ("--calibration-clips", "3"),
    ("eval", "charades.pth"): ("--views", "10", "--calibration-clips", "3"),
    ("table", "build", "many.pth"): ("--calibration-clips", "3"),
    ("table", "build", "net.pth", "--data", "val.csv", "--calibration"): ("--calibration-clips", "3"),
    ("table", "build"): ("--views", "1"),
    ("export",): ("--calibration-clips", "3", "--parity-clips", "3", "--range-clips", "3"),
    ("bench",): ("--windows", "3", "--seconds", "0.2", "--no-paced", "--keep-noisy"),
    ("run", "--camera"): ("--max-predictions", "1"),
    ("run", "--source", "demo"): ("--seconds", "3"),
    ("run", "--source", "demo", "--metrics"): ("--metrics", "0"),
    ("run", "--switch-every"): ("--source", "clip.mp4"),
}
"""What is added to a command that begins so, to have less of it. An option given twice has its last value."""

NOT_RUN = {
    "python3 -m venv": "installs from the index: .ci/run runs the README's own two",
    "pip install": "installs from the index: what it installs is what these tests run on",
    "python -m a3d_edge": "a way to say a3d-edge: test_child.py",
    "pip uninstall": "would take the library away from the other tests",
    "torchrun": "an ellipsis; test_training_evaluation.py shares clips among processes",
    "mkdocs serve": "serves until it is stopped: .ci/run builds the same site, strictly",
    ".ci/run": "runs this test",
    "python -m pytest": "runs this test",
    "pre-commit install": "alters the checkout",
    "nox": "makes an environment for every Python: CI runs it",
    "ruff": "CI runs it",
    "python benchmarks/": "minutes to hours on a machine at rest: only its script and options are looked for",
}
"""Commands of others, by how they begin."""


ONE = (1, 1, 1, 1)
SMALL = (
    SlowDescription(name="slow_small", blocks=ONE, base_width=8, size=96),
    SlowDescription(name="slow_r50", blocks=ONE, base_width=8, size=32, frames=4, stride=2),
    SlowFastDescription(name="slowfast_r50_4x16", blocks=ONE, base_width=8, beta_inv=1, alpha=8),
    SlowFastDescription(
        name="slowfast_r50_8x8", blocks=ONE, base_width=8, beta_inv=1, alpha=4, fusion_kernel=7
    ),
)
"""What is built under those names."""

PAPERS = {
    "SLOW_8x8_R50.pyth": Plan(ONE, 8, 3),
    "SLOWFAST_4x16_R50.pyth": Plan(ONE, 8, 3, alpha=8, beta_inv=1),
    "SLOWFAST_32x2_R50_DETECTION.pyth": Plan(ONE, 8, 3, alpha=4, beta_inv=1, fusion_kernel=7),
}
"""Files as PySlowFast writes them, of the small networks."""


@dataclass(frozen=True)
class Block:
    """Commands that belong together, and where they stand."""

    page: Path
    commands: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"{self.page.name}: {' '.join(self.commands[0])[:50]}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Of a page: what is fenced as shell, then each command within a sentence that has an option."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(FENCED.format("sh"), text, re.DOTALL | re.MULTILINE)
    prose = re.sub(FENCED.format(r"\w*"), "", text, flags=re.DOTALL | re.MULTILINE)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    programs = tuple({"a3d-edge", *(begin.split()[0] for begin in NOT_RUN)})
    spans = [span for span in spans if span.split()[0] in programs and " " in span]
    for block in [*fenced, *(span for span in spans if not span.startswith("a3d-edge") or " --" in span)]:
        found = tuple(_commands(block))
        if found:
            yield Block(page, found)


def _commands(block: str) -> Iterator[tuple[str, ...]]:
    for line in block.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|", line):
            if words := shlex.split(part, comments=True):
                yield tuple(words)


OURS = ("a3d-edge", ".venv/bin/a3d-edge")
BLOCKS = [block for page in ALL_PAGES for block in blocks_of(page)]
TRAINING = next(block for block in BLOCKS if any("train" in words for words in block.commands))
COMPLETION = ("a3d-edge", "--install-completion")
WITH_OURS = [
    block
    for block in BLOCKS
    if block.commands != (COMPLETION,) and any(words[0] in OURS for words in block.commands)
]


class Camera:
    """In the place of ``cv2.VideoCapture(0)``: a video's pictures at 30 a second, over and over."""

    def __init__(self, index: int) -> None:
        assert index == 0
        self._pictures = list(pictures(90))

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def read(self) -> tuple[bool, Any]:
        time.sleep(1 / 30)
        self._pictures.append(self._pictures.pop(0))
        return True, self._pictures[-1]

    def release(self) -> None:
        pass


@pytest.fixture(scope="module")
def web(desk: Path) -> Iterator[str]:
    """In the place of a network camera: the clip, from a file server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(desk)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/clip.mp4"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, clip_list: Path) -> Path:
    """What a reader has before the first command."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(clip_list.parent, folder, dirs_exist_ok=True)
    lines = (folder / "list.csv").read_text(encoding="utf-8").splitlines()
    (folder / "clips.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "val.csv").write_text("\n".join([lines[0], *lines[1::4]]), encoding="utf-8")
    write_video(folder / "clip.mp4", 90)
    (folder / "frames").mkdir()
    for number, picture in enumerate(pictures(90)):
        cv2.imwrite(str(folder / "frames" / f"{number}.png"), picture)
    for name, plan in PAPERS.items():
        torch.save({"model_state": PySlowFast(plan).state_dict()}, folder / name)
    (folder / "alerts.toml").write_text(blocks(DOCS / "guides/alerts.md", "toml")[0], encoding="utf-8")
    (folder / "sets.csv").write_text("\n".join(_as_sets(lines)), encoding="utf-8")
    for name in ("train", "test"):
        (folder / f"Charades_v1_{name}.csv").write_text(_charades(folder), encoding="utf-8")
    (folder / "names.txt").write_text("down\nright\nstill\n", encoding="utf-8")
    rows = "".join(f"drawn:people:{number},\n" for number in range(8))
    (folder / "people.csv").write_text(f"path,label\n{rows}", encoding="utf-8")
    write_ava(folder)
    write_who(folder, tmp_path_factory)
    return folder


def write_who(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A bundle for people in boxes, boxes of the clip, and a detector that always finds one."""
    shutil.copytree(boxes_bundle(tmp_path_factory).path, folder / "who")
    lines = [
        {"time": n / 30, "people": [{"id": 1, "box": [2 + n / 9, 4, 20 + n / 9, 38]}]} for n in range(90)
    ]
    (folder / "boxes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    graph(folder / "yolox_tiny.onnx", {"output": yolox([(0, [16, 24, 16, 32], 0.9)])})
    (folder / "detector.toml").write_text(blocks(DOCS / "guides/whose_box.md", "toml")[0], encoding="utf-8")


def write_ava(folder: Path) -> None:
    """AVA's layout about the pictures in ``frames``: three seconds of one film, and what a detector found."""
    there = folder / "annotations"
    there.mkdir()
    (folder / "frame_lists").mkdir()
    rows = [f"v,{s:04d},0.{x},0.1,0.9,0.9,{a},0" for s in (901, 902) for x, a in ((1, 1), (3, 2), (5, 1))]
    found = "".join(f"v,{second:04d},0.1,0.1,0.9,0.9,,0.95\n" for second in (901, 902))
    lines = [f'v 0 {number} {number}.png ""' for number in range(90)]
    for side in ("train", "val"):
        (there / f"ava_{side}_v2.2.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        listed = "\n".join(["original_vido_id video_id frame_id path labels", *lines])
        (folder / "frame_lists" / f"{side}.csv").write_text(listed, encoding="utf-8")
    (there / "ava_detection_val.csv").write_text(found, encoding="utf-8")
    labels = "".join(f'item {{\n  name: "{name}"\n  id: {n}\n}}\n' for n, name in ((1, "sit"), (2, "run")))
    (there / "ava_action_list_v2.2.pbtxt").write_text(labels, encoding="utf-8")


def _as_sets(lines: Sequence[str]) -> Iterator[str]:
    """A list whose every third clip has another label too."""
    for number, line in enumerate(lines):
        cells = line.split(",")
        label = lines[0].split(",").index("label")
        if number and number % 3 == 0:
            cells[label] = ";".join({cells[label], "right"})
        yield ",".join(cells)


def _charades(folder: Path) -> str:
    """A list as Charades writes them, of clips that lie below it."""
    rows = ["id,subject,actions,length"]
    (folder / "videos").mkdir(exist_ok=True)
    for number, label in enumerate(("right", "down", "still")):
        for scene in (0, 1):
            shutil.copy(folder / label / f"{scene}.mp4", folder / "videos" / f"{label}{scene}.mp4")
            rows.append(f"{label}{scene},S1,c{number:03d} 0.00 0.80;c100 0.10 0.50,0.80")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def trained(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it after the README's commands for training, table and export."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(desk, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_block(TRAINING, folder, monkeypatch)
    return folder


def run_block(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, web: str = "") -> None:
    """Those of its commands that are ours, in that folder, each with what makes it quicker."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    for description in SMALL:
        monkeypatch.setitem(ARCHITECTURES, description.name, description)
    for program, *words in block.commands:
        if program not in OURS:
            continue
        more = [extra for begin, extra in QUICKER.items() if tuple(words[: len(begin)]) == begin]
        # There is no camera: its frames come from a process of its own, which no fake of this one reaches.
        there = {"rtsp://camera/stream": web, "FILE": "clip.mp4", "env:CAMERA_URL": "clip.mp4"}
        there["secret:/run/credentials/camera"] = "clip.mp4"
        if "--camera" in words:
            there |= {"--camera": "--source", words[words.index("--camera") + 1]: "clip.mp4"}
        given = [there.get(word, word) for word in words]
        monkeypatch.setattr(sys, "argv", ["a3d-edge", *given, *chain(*more)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, f"{block.page.name}: a3d-edge {shlex.join(words)}"
        assert all(Path(name).exists() for name in written_by(words))


def written_by(words: Sequence[str]) -> Iterator[str]:
    """What a command says that it writes."""
    return (value for option, value in pairwise(words) if option in ("--out", "--save", "--scores"))


def starts_without(block: Block, folder: Path) -> None:
    """What its commands make is not there yet, unless they replace it or go on with it."""
    for words in block.commands:
        for name in written_by(words):
            if "--overwrite" not in words and "--resume" not in words:
                made = folder / name
                shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)
                for beside in (best_of(made), metrics_of(made)):  # train's
                    beside.unlink(missing_ok=True)


@pytest.mark.parametrize("block", [block for block in WITH_OURS if block != TRAINING], ids=str)
def test_commands_run(
    block: Block, trained: Path, web: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one ends with 0, and what it says it writes is there."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    starts_without(block, tmp_path)
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    run_block(block, tmp_path, monkeypatch, web)


def test_completion_is_installed(tmp_path: Path) -> None:
    """Into the settings of the shell that asks."""
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    asked = ["bash", "-c", f"{shlex.join(COMPLETION)}; exit $?"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "bash completion installed" in done.stdout
    assert (tmp_path / ".bashrc").exists()


def test_what_is_not_run_has_a_reason() -> None:
    """Every other command begins as one that has, and no reason is left over."""
    others = {shlex.join(words) for block in BLOCKS for words in block.commands if words[0] not in OURS}
    reasons = {
        other: [begin for begin in NOT_RUN if re.match(rf"(\.venv(-dev)?/bin/)?{re.escape(begin)}", other)]
        for other in others
    }
    assert [other for other, begins in reasons.items() if len(begins) != 1] == []
    assert {begin for begins in reasons.values() for begin in begins} == set(NOT_RUN)


@pytest.mark.parametrize(
    "words",
    sorted({w for block in BLOCKS for w in block.commands if w[1:] and w[1].startswith("benchmarks/")}),
    ids=shlex.join,
)
def test_benchmarks_of_the_docs_are_there(words: tuple[str, ...]) -> None:
    """Each script, and each of the options that a page gives it."""
    text = (ROOT / words[1]).read_text(encoding="utf-8")
    assert all(f'"{word}"' in text for word in words[2:] if word.startswith("--"))
