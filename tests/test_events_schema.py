"""The JSON Schema of ``--json`` and what commands print: each says exactly what the other does.

Beside these, `fixtures_bundle.main_here` checks the output of every command that a test runs with ``--json``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from fixtures_bundle import CONFIGURATIONS, Here, calibrated_checkpoint, write_video
from fixtures_events import kind_of, kinds, kinds_of, schema

import a3d_edge

Command = Callable[[Path], list[object]]

TINY = [word for c in CONFIGURATIONS[:2] for word in ("--configuration", c)]


def test_the_schema_is_a_schema() -> None:
    """Of the draft that it names, and every event in it has a name, version 1 and a line on who prints it."""
    jsonschema.Draft202012Validator.check_schema(schema())
    for name in kinds():
        one = schema()["$defs"][name]
        assert one["properties"]["schema"] == {"const": 1}
        assert one["required"][:2] == ["event", "schema"]
        assert ": " in one["description"]


def test_every_event_in_the_code_is_in_the_schema_and_no_other() -> None:
    """Found by the calls that write them."""
    package = Path(a3d_edge.__file__).parent
    sources = [p for p in package.rglob("*.py") if "exporters" not in p.parts]  # which emit operators
    code = "\n".join(p.read_text(encoding="utf-8") for p in sources)
    written = set(re.findall(r"\b(?:emit|_lines\.write|self\._put)\(\s*\"(\w+)\"", code))
    assert written == set(kinds().values())


@pytest.mark.parametrize(
    "change", [{"score": 2.0}, {"score": None}, {"label": 3}, {"extra": 1}, {"schema": 2}, {"time": "today"}]
)
def test_what_is_not_as_written_is_found(
    here: Here, bundle_folder: Path, tmp_path: Path, change: object
) -> None:
    """A good line with one mistake in it is refused: the checks here can fail."""
    import json

    clip = write_video(tmp_path / "clip.mp4", 20)
    _, out, _ = here("run", "--source", clip, "--bundle", bundle_folder, "--json", "--max-predictions", 1)
    line = json.loads(out.splitlines()[0])
    assert kind_of(line) == "prediction"
    assert isinstance(change, dict)
    with pytest.raises(AssertionError, match="fits"):
        kind_of({**line, **change})


def test_the_runtime_s_commands(here: Here, bundle_folder: Path, tmp_path: Path) -> None:
    """run, info, verify, bench and table show."""
    clip = write_video(tmp_path / "clip.mp4", 60)
    seen = set()
    for words in (
        ["run", "--source", clip, "--bundle", bundle_folder, "--switch-every", 9],
        ["run", "--source", "demo", "--max-predictions", 1],
        ["info"],
        ["info", bundle_folder],
        ["verify", bundle_folder],
        ["bench", bundle_folder, *TINY[:2], "--windows", 2, "--seconds", 1, "--no-paced"],
        ["table", "show"],
        ["table", "show", "a3d_slow_8x8_0.016"],
        ["table", "show", "--names"],
    ):
        code, out, err = here(*words, "--json")
        assert code == 0, err
        found = kinds_of(out)
        assert found
        seen |= set(found)
    assert seen == {
        "prediction", "switch", "run_summary", "bundle_info", "verified", "configuration", "bench_summary",
        "row", "table",
    }  # fmt: skip


@pytest.mark.torch
def test_training_s_commands(here: Here, clip_list: Path, tmp_path: Path) -> None:
    """train, eval, export, info of a checkpoint, explain and flops."""
    from a3d_edge.models.checkpoint import save

    ours, made = tmp_path / "ours.pth", tmp_path / "bundle"
    save(calibrated_checkpoint(), ours)
    clip = write_video(tmp_path / "clip.mp4", 90)
    cache = ["--cache", tmp_path / "cache"]
    seen = set()
    for words in (
        ["train", "--arch", "slow_small", "--data", clip_list, "--fold", 1, "--out", tmp_path / "net.pth",
         "--epochs", 1, "--batch", 4, "--range", "0.06", "--calibration-clips", 0, *cache],
        ["eval", ours, "--data", clip_list, "--views", 1, *TINY, *cache],
        ["export", ours, "--out", made, "--parity-clips", 2, *TINY, *cache],
        ["info", ours],
        ["info", tmp_path / "net.pth"],
        ["explain", clip, "--checkpoint", ours, "--out", tmp_path / "why.png"],
        ["flops"],
    ):  # fmt: skip
        code, out, err = here(*words, "--json")
        assert code == 0, err
        found = kinds_of(out)
        assert found
        seen |= set(found)
    assert seen == {
        "epoch", "accuracy", "parity", "exported", "checkpoint_info", "explanation", "flops",
    }  # fmt: skip
