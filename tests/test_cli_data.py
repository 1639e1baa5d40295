"""``data check``, ``cache show`` and ``cache clear``: what they print, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures_bundle import Here

from a3d_edge.errors import DataWarning


def test_a_good_list(here: Here, clip_list: Path, tmp_path: Path) -> None:
    """Counts on stdout, what is odd on stderr; the same as one JSON line."""
    code, out, err = here("data", "check", clip_list, "--cache", tmp_path, "--window", "0.5s")
    assert (code, out.splitlines()[0]) == (0, "12 of 12 clips, 3 classes")
    assert "groups: 4, of 3 to 3 clips" in out
    assert "folds: 0 (6), 1 (6)" in out
    assert "seconds: 0.8 to 0.8, median 0.8\nrates: 30 (12)" in out
    assert "nothing moves in 4 clips: 4 of 'still'" in err
    code, out, _ = here("data", "check", clip_list, "--cache", tmp_path, "--json")
    line = json.loads(out)
    assert (code, line["event"], line["readable"], line["trainable"]) == (0, "data", 12, True)
    assert [one["kind"] for one in line["findings"]] == ["short", "still"]


def test_what_cannot_be_trained_ends_with_the_code_of_training(
    here: Here, clip_list: Path, tmp_path: Path
) -> None:
    """After the counts: 2 for one class, 3 for clips or lists that cannot be read."""
    (tmp_path / "one.csv").write_text(f"path,label\n{clip_list.parent / 'right' / '0.mp4'},right\n")
    code, out, err = here("data", "check", tmp_path / "one.csv", "--cache", tmp_path / "c", "--json")
    assert (code, json.loads(out)["trainable"]) == (2, False)
    assert "nothing can be trained: there is one class, right" in err
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "two.csv").write_text("path,label\na.mp4,right\nb.mp4,left\n")
    code, _, err = here("data", "check", tmp_path / "two.csv", "--cache", tmp_path / "c")
    assert (code, "of 2 clips 0 can be read" in err) == (3, True)
    code, out, err = here("data", "check", tmp_path / "none.csv", "--cache", tmp_path / "c")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 1
    assert here("data", "check", tmp_path / "one.csv", "--window", "soon")[0] == 2


def test_caches_are_shown_and_cleared(
    here: Here, clip_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoded frames and prepared networks; with a folder that was named only the frames in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert here("data", "check", clip_list)[0] == 0
    assert here("data", "check", clip_list, "--cache", tmp_path / "named")[0] == 0
    code, out, _ = here("cache", "show")
    assert code == 0
    frames, prepared = out.splitlines()
    assert frames.startswith(f"{tmp_path}/a3d-edge/frames: 12 decoded clips kept, ")
    assert prepared.startswith(f"{tmp_path}/a3d-edge/prepared: 0 prepared networks kept, 0.0 MB of at most ")
    code, out, _ = here("cache", "clear", "--cache", tmp_path / "named", "--json")
    (line,) = [json.loads(text) for text in out.splitlines()]
    assert (code, line["kind"], line["entries"], line["deleted"]) == (0, "frames", 12, True)
    assert not list((tmp_path / "named").iterdir())
    assert here("cache", "clear")[0] == 0
    _, out, _ = here("cache", "show", "--json")
    assert [json.loads(text)["entries"] for text in out.splitlines()] == [0, 0]


@pytest.mark.filterwarnings(f"error::{DataWarning.__module__}.{DataWarning.__name__}")
def test_a_report_warns_of_nothing_twice(here: Here, clip_list: Path, tmp_path: Path) -> None:
    """What the list's reader warns of is a finding."""
    text = f"path,label,note\n{clip_list.parent / 'right' / '0.mp4'},right,x\n"
    (tmp_path / "one.csv").write_text(text)
    _, _, err = here("data", "check", tmp_path / "one.csv", "--cache", tmp_path / "c")
    assert err.count("the column note is not used") == 1
