"""``a3d-edge import``: one line on stdout, what a person must know on stderr, one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fixtures_bundle import Here
from reference_mmaction2 import PictureNet, enliven_pictures
from reference_networks import Plan, PySlowFast, PyTorchVideo

from a3d_edge.models import foreign
from a3d_edge.models.checkpoint import load
from a3d_edge.models.registry import ARCHITECTURES
from a3d_edge.models.slow import SlowDescription
from a3d_edge.models.slowfast import SlowFastDescription

ONE = (1, 1, 1, 1)


@pytest.fixture(autouse=True)
def _tiny_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the real ones, which take their time."""
    for name in list(ARCHITECTURES):
        monkeypatch.delitem(ARCHITECTURES, name)
    for description in (
        SlowDescription(name="tiny_slow", blocks=ONE, base_width=8, size=32, frames=4, stride=2),
        SlowFastDescription(name="tiny_4x16", blocks=ONE, base_width=8, beta_inv=1, alpha=8),
        SlowFastDescription(
            name="tiny_8x8", blocks=ONE, base_width=8, beta_inv=1, alpha=4, frames=8, stride=8
        ),
    ):
        monkeypatch.setitem(ARCHITECTURES, description.name, description)
    monkeypatch.setitem(foreign.ALIASES, "tiny_slowfast", ("tiny_4x16", "tiny_8x8"))


@pytest.fixture
def slow_file(tmp_path: Path) -> Path:
    """Tiny Slow of three classes as PySlowFast writes it."""
    torch.save({"model_state": PySlowFast(Plan(ONE, 8, 3)).state_dict()}, tmp_path / "slow.pyth")
    return tmp_path / "slow.pyth"


@pytest.fixture
def slowfast_file(tmp_path: Path) -> Path:
    """Tiny SlowFast of three classes as pytorchvideo names it."""
    plan = Plan(ONE, 8, 3, alpha=8, beta_inv=1, fusion_kernel=7)
    torch.save({"model_state": PyTorchVideo(plan).state_dict()}, tmp_path / "slowfast.pth")
    return tmp_path / "slowfast.pth"


def test_import_says_what_was_written_and_what_is_untrained(here: Here, slow_file: Path) -> None:
    """stdout has one line; stderr says that narrow widths are untrained and what to do about it."""
    out = slow_file.with_name("ours.pth")
    code, stdout, stderr = here("import", slow_file, "--arch", "tiny_slow", "--out", out)
    assert code == 0
    assert stdout.startswith(f"{out}: tiny_slow from PySlowFast, 3 classes, ")
    assert stdout.count("\n") == stderr.count("\n") == 1
    assert "only width 1.00 is as trained" in stderr
    assert "a3d-edge train --init" in stderr
    assert "pin a w1.00" in stderr
    loaded = load(out)
    assert (loaded.description.name, loaded.origin["mutually_trained"]) == ("tiny_slow", False)


def test_json_line(here: Here, slowfast_file: Path) -> None:
    """One event; what was decided without being told is in its notes and on stderr."""
    out = slowfast_file.with_name("ours.pth")
    code, stdout, stderr = here(
        "import", slowfast_file, "--arch", "tiny_slowfast", "--out", out, "--classes", "a,b,c", "--json"
    )
    assert code == 0
    event = json.loads(stdout)
    notes = event.pop("notes")
    parameters = sum(p.numel() for p in load(out).model.parameters())
    assert event == {
        "event": "imported",
        "schema": 1,
        "path": str(out),
        "imported_from": "pytorchvideo",
        "architecture": "tiny_8x8",
        "classes": 3,
        "params_m": round(parameters / 1e6, 4),
        "head": "windows",
        "task": "single",
        "mutually_trained": False,
    }
    assert f"note: {notes[0]}\n" in stderr
    assert load(out).classes == ("a", "b", "c")


def test_class_names_from_a_file(here: Here, slow_file: Path) -> None:
    """One a line; blank lines and spaces around them are nothing, commas belong to the name."""
    names = slow_file.with_name("names.txt")
    names.write_text("hug\n shake hands, slowly \n\nkick\n", encoding="utf-8")
    out = slow_file.with_name("ours.pth")
    assert here("import", slow_file, "--out", out, "--classes", names)[0] == 0
    assert load(out).classes == ("hug", "shake hands, slowly", "kick")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("a,b", "2 names; "),
        ("a,b,a", "'a' is there twice"),
        ("none.txt", "cannot be read as a file of names"),
        (",", "no names"),
        ("a,,b", "name 2 is empty; remove a comma"),
        ("a,b ,b", "'b' is there twice"),
        ("caf\u00e9,cafe\u0301,b", "'café' is there twice"),
    ],
)
def test_wrong_class_names(here: Here, slow_file: Path, names: str, said: str) -> None:
    out = slow_file.with_name("ours.pth")
    code, stdout, stderr = here("import", slow_file, "--out", out, "--classes", names)
    assert (code, stdout) == (2, "")
    assert said in stderr
    assert stderr.startswith("error: --classes")
    assert not out.exists()


def test_an_existing_checkpoint_is_replaced_only_by_a_good_one(here: Here, slow_file: Path) -> None:
    out = slow_file.with_name("ours.pth")
    out.write_bytes(b"old")
    code, _, stderr = here("import", slow_file, "--arch", "tiny_8x8", "--out", out)
    assert code == 4
    assert stderr.endswith("it fits tiny_slow: try that with --arch\n")
    assert out.read_bytes() == b"old"
    arguments = ("import", slow_file, "--arch", "tiny_slow", "--out", out)
    code, _, stderr = here(*arguments)
    assert (code, stderr) == (
        2,
        f"error: --out {out}: exists; add --overwrite to replace it, or name another\n",
    )
    assert out.read_bytes() == b"old"
    assert here(*arguments, "--overwrite")[0] == 0
    assert load(out).classes == ("class 0", "class 1", "class 2")


def test_the_same_import_again_replaces_nothing(here: Here, slow_file: Path) -> None:
    """The very network is there: it is written again; with other classes it is another."""
    out = slow_file.with_name("ours.pth")
    assert here("import", slow_file, "--out", out)[0] == 0
    assert here("import", slow_file, "--out", out)[0] == 0
    code, _, stderr = here("import", slow_file, "--out", out, "--classes", "a,b,c")
    assert (code, stderr.count("--overwrite")) == (2, 1)
    assert load(out).classes == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("out", "said"),
    [("no/such/ours.pth", "no such folder"), (".", "is a folder"), ("slow.pyth", "slow.pyth, which is read")],
)
def test_bad_out(here: Here, slow_file: Path, out: str, said: str) -> None:
    """Refused before anything is read or written."""
    before = slow_file.read_bytes()
    code, stdout, stderr = here("import", slow_file, "--arch", "tiny_slow", "--out", slow_file.parent / out)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert said in stderr
    assert slow_file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("none.pth", "--arch", "tiny_slow"), 4), (("slow.pyth", "--arch", "resnet"), 2)],
)
def test_what_cannot_be_imported(here: Here, slow_file: Path, arguments: tuple[str, ...], code: int) -> None:
    """A file that is not there, an architecture that is not there: one line, no file."""
    out = slow_file.with_name("ours.pth")
    found, stdout, stderr = here("import", slow_file.parent / arguments[0], *arguments[1:], "--out", out)
    assert (found, stdout, stderr.count("\n")) == (code, "", 1)
    assert not out.exists()


def test_an_imported_checkpoint_is_calibrated_exported_and_verified(
    here: Here, slow_file: Path, clip_list: Path
) -> None:
    """Never mutually trained, it still becomes a bundle, at full width and at a narrow one."""
    out, bundle = slow_file.with_name("ours.pth"), slow_file.with_name("bundle")
    names = "right,down,still"
    assert here("import", slow_file, "--arch", "tiny_slow", "--out", out, "--classes", names)[0] == 0
    options = ["--configuration", "w1.00-s32-t4", "--configuration", "w0.50-s32-t2", "--parity-clips", 2]
    cache = slow_file.with_name("cache")
    code, stdout, stderr = here(
        "export", out, "--out", bundle, "--calibration", clip_list, "--cache", cache, *options
    )
    assert (code, stderr.count("Traceback")) == (0, 0), stderr
    assert "2 configurations" in stdout
    assert here("verify", bundle)[0] == 0


def test_a_network_of_pictures_is_inflated(here: Here, tmp_path: Path) -> None:
    """torchvision's names; its classifier is left out where other classes are named, and both are said."""
    torch.save(enliven_pictures(PictureNet(ONE, 8, 5)).state_dict(), tmp_path / "resnet.pth")
    out = tmp_path / "ours.pth"
    arguments = ("import", tmp_path / "resnet.pth", "--arch", "tiny_slow", "--out", out, "--classes", "a,b")
    code, stdout, stderr = here(*arguments)
    assert code == 0
    assert stdout.startswith(f"{out}: tiny_slow from torchvision, 2 classes, ")
    assert "note: a network of pictures: its kernels are repeated over time" in stderr
    assert "note: its classifier is of 5 classes, not 2: left out\n" in stderr
    written = load(out)
    assert (written.classes, written.preprocessing.mean) == (("a", "b"), (0.485, 0.456, 0.406))
    assert here(*arguments)[0] == 0  # the very network is there
    code, _, stderr = here("import", tmp_path / "resnet.pth", "--arch", "tiny_8x8", "--out", out)
    assert (code, stderr) == (
        4,
        f"error: {tmp_path / 'resnet.pth'}: is a network of pictures; it becomes a Slow one, not tiny_8x8\n",
    )
