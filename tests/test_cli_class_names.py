"""Class names on the command line: a list or a file, spelled as labels are, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from a3d_edge.cli.class_names import class_names
from a3d_edge.errors import UsageError


def test_names_are_spelled_as_labels_are() -> None:
    """So that they meet the labels of a list."""
    assert class_names("run , shake  hands,cafe\u0301") == ("run", "shake hands", "café")


def test_a_file_has_one_a_line(tmp_path: Path) -> None:
    """Commas belong to the name, blank lines and a byte order mark do not."""
    (tmp_path / "names.txt").write_text("run\n\nwalk, slowly \n", encoding="utf-8-sig")
    assert class_names(str(tmp_path / "names.txt")) == ("run", "walk, slowly")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("run,walk,walk", "--classes run,walk,walk: 'walk' is there twice"),
        ("walk,run,\u00a0walk", "'walk' is there twice"),
        ("run,,walk", "name 2 is empty; remove a comma"),
        ("run,walk,", "name 3 is empty; remove a comma"),
        ("run,\u200b,walk", "name 2 is empty"),
        (" , ", "no names"),
        ("walk", "cannot be read as a file of names, one a line; or write the names with commas between"),
        ("", "cannot be read as a file of names"),
    ],
)
def test_what_is_refused(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the option as it was written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        class_names(text)
    assert str(caught.value).startswith(f"--classes {text}: ")
    assert said in str(caught.value)


def test_names_that_look_alike_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    """They may be meant."""
    assert class_names("Walk,walk") == ("Walk", "walk")
    said = "warning: --classes: 'Walk', 'walk' look alike, but are different classes\n"
    assert capfd.readouterr().err == said
