"""``a3d-edge train``: what is asked before the work, whose weights it can begin with, and how it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fixtures_bundle import main_here

from a3d_edge.video.preprocess import MOTION_OFFSETS, Preprocessing

torch = pytest.importorskip("torch")
pytest.importorskip("av")

if TYPE_CHECKING:
    from a3d_edge.models.checkpoint import Checkpoint

Begin = Callable[..., tuple[int, str, str]]

CLASSES = ("hug", "kick", "none")
QUIET = ("--recipe", "kinetics", "--val", 0, "--precision", "fp32")
"""Nothing is chosen, and so nothing said about it."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of the rendered clips for all runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def begin(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> Begin:
    """Begins a run with another checkpoint's weights and ends it before its first step."""
    return lambda *options: main_here(
        capfd, monkeypatch, "train", "--rendered", 1, "--classes", ",".join(CLASSES), "--epochs", 0,
        "--calibration-clips", 0, "--cache", cache, "--out", tmp_path / "new.pth", "--json", *QUIET,
        "--init", tmp_path / "old.pth", *options,
    )  # fmt: skip


def write_old(path: Path, classes: int, *, arch: str = "slow_small", **fields: object) -> Checkpoint:
    """A checkpoint with no weight at its initial value; ``fields`` differ from the architecture's own."""
    from a3d_edge.models.checkpoint import Checkpoint, save
    from a3d_edge.models.registry import describe

    torch.manual_seed(1)
    model = describe(arch, classes).model_copy(update=fields).build()
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.5, 1.5)
    checkpoint = Checkpoint(model, CLASSES if classes == 3 else tuple(f"class {i}" for i in range(classes)))
    save(checkpoint, path)
    return checkpoint


def assert_refused(result: tuple[int, str, str], *words: str) -> None:
    """Exit 2 with one line that says all of it."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in err


def test_the_same_classes_take_over_everything(begin: Begin, tmp_path: Path) -> None:
    """Every weight and statistic, head included, and nothing to say about it."""
    from a3d_edge.models.checkpoint import load

    old = write_old(tmp_path / "old.pth", 3)
    assert begin() == (0, "", "")
    new = load(tmp_path / "new.pth")
    assert new.classes == CLASSES
    for name, tensor in old.model.state_dict().items():
        assert torch.equal(new.model.state_dict()[name], tensor), name


@pytest.mark.parametrize("classes", [2, 400])
def test_other_classes_leave_the_head_fresh(begin: Begin, tmp_path: Path, classes: int) -> None:
    """All but the head is taken over; the head is as a run from scratch has it, and stderr says so."""
    from a3d_edge.models.checkpoint import load
    from a3d_edge.models.registry import describe

    old = write_old(tmp_path / "old.pth", classes).model.state_dict()
    code, out, err = begin("--seed", 5)
    assert (code, out) == (0, "")
    assert err == f"--init {tmp_path}/old.pth: has {classes} classes, this run 3: the head starts fresh\n"
    new = load(tmp_path / "new.pth").model.state_dict()
    torch.manual_seed(5)
    scratch = describe("slow_small", 3).build().state_dict()
    for name, tensor in new.items():
        expected = scratch if name.startswith("head.") else old
        assert torch.equal(tensor, expected[name]), name


def test_weights_of_the_same_shapes_may_come_from_another_size(begin: Begin, tmp_path: Path) -> None:
    """Size, frames and dropout are this run's own: no weight depends on them."""
    from a3d_edge.models.checkpoint import load

    write_old(tmp_path / "old.pth", 3, name="mine", size=64, frames=4, dropout=0.0)
    assert begin("--arch", "slow_small") == (0, "", "")
    new = load(tmp_path / "new.pth").description
    assert (new.name, new.size, new.frames) == ("slow_small", 96, 8)


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize(
    ("fields", "tensor"),
    [
        ({"blocks": (1, 2, 1, 1)}, "res3."),
        ({"base_width": 8}, "stem."),
        ({"temporal_kernels": (1, 1, 3, 1)}, "res5."),
    ],
    ids=["deeper", "narrower", "kernels"],
)
def test_another_architecture_is_refused(
    begin: Begin, tmp_path: Path, classes: int, fields: dict[str, object], tensor: str
) -> None:
    """Even one whose weights fit in part, and even with other classes; nothing is written."""
    write_old(tmp_path / "old.pth", classes, name="other", **fields)
    assert_refused(
        begin("--arch", "slow_small"),
        f"error: --init {tmp_path}/old.pth: is of architecture other, whose {tensor}",
        "does not fit --arch slow_small; name a checkpoint of the same architecture",
    )
    assert not (tmp_path / "new.pth").exists()


def test_another_input_is_refused(begin: Begin, tmp_path: Path) -> None:
    """The first layer has the same shape for pictures and for motion, but does not mean the same."""
    from a3d_edge.models.checkpoint import save

    old = write_old(tmp_path / "old.pth", 3)
    old.preprocessing = Preprocessing("motion", 1.5, MOTION_OFFSETS)
    save(old, tmp_path / "old.pth")
    assert_refused(
        begin("--input", "rgb", "--aspect", 1),
        "old.pth: was trained on other input (input motion, here rgb; aspect 1.5, here 1.0; offsets",
        "match --input, --aspect and --view, or name another checkpoint",
    )
    assert begin("--input", "motion", "--aspect", 1.5) == (0, "", "")


def test_what_is_not_named_is_that_of_the_network_it_begins_with(begin: Begin, tmp_path: Path) -> None:
    """Architecture, input and window; classes that are called otherwise are other classes, however many."""
    from a3d_edge.models.checkpoint import load, save

    old = write_old(tmp_path / "old.pth", 3, name="mine", size=64, frames=4, stride=6)
    old.preprocessing = Preprocessing("motion", 1.5, MOTION_OFFSETS)
    old.classes = ("kick", "hug", "none")
    save(old, tmp_path / "old.pth")
    code, _, err = begin()
    assert code == 0
    assert err == f"--init {tmp_path}/old.pth: has other classes (kick, hug, none): the head starts fresh\n"
    new = load(tmp_path / "new.pth")
    assert (new.description.name, new.description.stride, new.preprocessing) == ("mine", 6, old.preprocessing)
    assert not torch.equal(new.model.head.weight, old.model.head.weight)
    assert torch.equal(new.model.stem.conv.weight, old.model.stem.conv.weight)


def test_a_bundle_can_be_begun_with(begin: Begin, bundle_folder: Path, tmp_path: Path) -> None:
    """By its folder; what is no checkpoint and no bundle is said."""
    from a3d_edge.bundle import Bundle
    from a3d_edge.models.checkpoint import load

    begun = begin("--init", bundle_folder)
    assert begun[0] == 0, begun
    new, bundle = load(tmp_path / "new.pth"), Bundle.load(bundle_folder)
    assert new.description.name == bundle.manifest.architecture
    assert new.description.sampling == bundle.sampling
    code, _, err = begin("--init", "nothing", "--overwrite")
    assert (code, err.count("\n")) == (4, 1)
    assert (
        "--init nothing: no such checkpoint or bundle; name a .pth file, a bundle's folder, or a built-in"
        in err
    )


# What is asked before the work


@pytest.fixture
def here(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> Begin:
    """`a3d-edge train` in this process and an empty folder, with what the tests here have in common."""
    monkeypatch.chdir(tmp_path)
    shared = ("--batch", 4, "--calibration-clips", 0, "--cache", cache, *QUIET)
    return lambda *options: main_here(capfd, monkeypatch, "train", *options, *shared)


@pytest.fixture
def _undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clip may be looked at."""
    monkeypatch.setattr("a3d_edge.training.decode.readable", None)


BEFORE: tuple[tuple[tuple[object, ...], str], ...] = (
    (("--out", "folder"), "--out folder: is a folder; name a file to write"),
    (
        ("--out", "old.pth"),
        "--out old.pth: exists; add --overwrite to replace it, --resume to go on with it, or name",
    ),
    (("--out", "no/net.pth"), "--out no/net.pth: no such folder no"),
    (("--out", "/proc/net.pth"), "--out /proc/net.pth: cannot be written"),
    (("--out", "LIST", "--overwrite"), "list.csv, which is read; name another"),
    (("--out", "CLIP", "--overwrite"), "0.mp4, which is read; name another"),
    (("--out", "old.pth", "--init", "old.pth", "--overwrite"), "old.pth: is old.pth, which is read"),
    (("--out", "new.pth", "--device", "cuda:99"), "--device cuda:99: PyTorch cannot use it here; write cpu"),
    (("--out", "new.pth", "--device", "gpu"), "--device gpu: PyTorch cannot use it here; write cpu"),
    (("--out", "new.pth", "--device", "meta"), "--device meta: PyTorch cannot use it here; write cpu"),
    (
        ("--out", "new.pth", "--classes", "right,down,down,still"),
        "--classes right,down,down,still: 'down' is there",
    ),
    (("--out", "new.pth", "--classes", "right,down,,still"), "name 3 is empty"),
    (
        ("--out", "new.pth", "--classes", "right,down"),
        "the data has the label still; the network knows right, down",
    ),
    (("--out", "new.pth", "--optimizer", "lion"), "unknown --optimizer 'lion'"),
    (("--out", "new.pth", "--input", "flow"), "unknown --input 'flow'"),
    (("--out", "new.pth", "--arch", "resnet"), "resnet"),
    (("--out", "new.pth", "--resume"), "--resume: there is no new.pth to go on with; leave --resume out"),
    (("--out", "old.pth", "--resume", "--init", "x.pth"), "--resume and --init exclude each other"),
    (("--out", "old.pth", "--resume", "--overwrite"), "--resume and --overwrite exclude each other"),
    (("--out", "new.pth", "--rendered", "2"), "--rendered: no class of down, right, still can be drawn"),
)


@pytest.mark.usefixtures("_undecoded")
@pytest.mark.parametrize(("options", "said"), BEFORE, ids=lambda v: " ".join(map(str, v))[:50])
def test_what_cannot_work_is_refused_before_the_work(
    here: Begin, tmp_path: Path, clip_list: Path, options: tuple[str, ...], said: str
) -> None:
    """Exit 2 and one line, before a clip is decoded; what is there stays."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "old.pth").write_bytes(b"old")
    names = {"LIST": clip_list, "CLIP": clip_list.parent / "right" / "0.mp4"}
    before = names["LIST"].read_bytes() + names["CLIP"].read_bytes()
    assert_refused(here("--data", clip_list, *(names.get(word, word) for word in options)), said)
    assert names["LIST"].read_bytes() + names["CLIP"].read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old.pth"]
    assert (tmp_path / "old.pth").read_bytes() == b"old"


def test_a_class_of_the_held_out_fold_is_a_class(here: Begin, tmp_path: Path, clip_list: Path) -> None:
    """Else the fold could not be measured; that it cannot be learnt is told."""
    from a3d_edge.models.checkpoint import load

    rows = [f"{clip_list.parent}/right/{i}.mp4,right,{i % 2}" for i in range(4)]
    rows += [f"{clip_list.parent}/down/{i}.mp4,down,1" for i in range(2)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,fold", *rows]))
    code, _, err = here("--data", "list.csv", "--fold", 1, "--epochs", 0, "--out", "net.pth")
    assert code == 0
    assert err == "warning: the class down has no training clip, so the network cannot learn it\n"
    assert load(tmp_path / "net.pth").classes == ("down", "right")


def test_one_class_is_refused(here: Begin, tmp_path: Path, clip_list: Path) -> None:
    """Whatever it sees, the network would be right."""
    (tmp_path / "list.csv").write_text(f"path,label\n{clip_list.parent}/right/0.mp4,right\n")
    assert_refused(here("--data", "list.csv", "--out", "net.pth"), "there is one class, right: name clips of")


def test_warnings_about_data_are_lines_on_stderr(here: Begin, tmp_path: Path, clip_list: Path) -> None:
    """Each once, without a place in the code."""
    rows = [f"{clip_list.parent}/{label}/0.mp4,{label} ,3" for label in ("right", "down")]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,t0", *rows]))
    code, _, err = here("--data", "list.csv", "--epochs", 0, "--out", "net.pth")
    assert (code, err.count("\n")) == (0, 1)
    assert err.startswith("warning: list.csv: the column t0 is not used")


def test_drawn_clips_alone_are_calibrated_on(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    """Where there are no others."""
    seen: list[int] = []
    monkeypatch.setattr(
        "a3d_edge.training.finish.calibrate",
        lambda model, grid, windows, *rest: seen.append(len(windows.clips)),
    )
    code, _, err = main_here(
        capfd, monkeypatch, "train", "--rendered", 2, "--classes", "hug,kick", "--epochs", 0, "--out",
        tmp_path / "net.pth", "--cache", cache, *QUIET,
    )  # fmt: skip
    assert (code, seen) == (0, [4])
    assert err == (
        "calibrating 12 of the range's 97 configurations on 4 clips; where others are measured or exported, "
        "name --calibration clips\n"
    )


# How it goes on


def test_an_interrupted_run_says_how_to_go_on_and_does(
    here: Begin, tmp_path: Path, clip_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only --data and --out are named again: all other options are those it began with."""
    from a3d_edge.cli.train_log import TrainLog
    from a3d_edge.models.checkpoint import load

    real = TrainLog.__call__

    def interrupt(log: TrainLog, step: Any) -> None:
        real(log, step)
        if step.step == 1:
            raise KeyboardInterrupt

    options = ("--epochs", 2, "--fold", 1, "--input", "motion", "--lr", 0.01, "--range", "0.06")
    with monkeypatch.context() as patch:
        patch.setattr(TrainLog, "__call__", interrupt)
        code, _, err = here("--data", clip_list, "--out", "net.pth", *options)
    assert code == 130
    assert "net.pth is saved after step 1; the same command with --resume goes on\n" in err
    assert err.endswith("interrupted\n")

    for other, said in (
        (
            ("--arch", "slow_r50", "--input", "rgb"),
            "with --arch slow_small, --input motion, now with --arch slow_r50",
        ),
        (("--epochs", 3), "with --epochs 2, now with --epochs 3"),
    ):
        result = here("--data", clip_list, "--out", "net.pth", "--resume", *other)
        assert_refused(result, said)
    rows = clip_list.read_text().splitlines()
    other_list = clip_list.with_name("other.csv")
    other_list.write_text("\n".join([rows[0], *rows[:0:-1]]))
    assert_refused(here("--data", other_list, "--out", "net.pth", "--resume"), "was begun with other --data")

    code, out, err = here("--data", clip_list, "--out", "net.pth", "--resume")
    assert (code, out) == (0, "net.pth: slow_small, 3 classes, 2 epochs\n")
    done = load(tmp_path / "net.pth")
    assert (done.preprocessing.input, done.range_name, done.resume) == ("motion", "0.06", None)
    assert (done.origin["settings"]["lr"], done.origin["fold"], done.origin["steps"]) == (0.01, 1, 2)


@pytest.mark.parametrize("stdout", ["left", "full"])
def test_nobody_reads_the_log_and_the_work_is_done(
    tmp_path: Path, clip_list: Path, cache: Path, stdout: str
) -> None:
    """A reader that leaves after a line, a full disk: one line on stderr, and the network is saved."""
    from a3d_edge.models.checkpoint import load

    program = f"'{sys.executable}' -m a3d_edge train --data '{clip_list}' --epochs 2 --batch 6 --json"
    program += f" --val 0 --calibration-clips 0 --cache '{cache}' --out net.pth "
    ends = {"left": "| head -n 1", "full": ">/dev/full"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", program + ends[stdout]],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "net.pth").origin["steps"] == 4
    assert "Traceback" not in done.stderr
    if stdout == "left":
        assert json.loads(done.stdout)["epoch"] == 1
    assert done.stderr.count("stdout takes no more lines") == 1


def test_damaged_clips_are_named_in_one_go_and_the_rest_trains(
    here: Begin, tmp_path: Path, clip_list: Path
) -> None:
    """One cut off is used as far as it goes, as run does; two without a picture are left out."""
    for label in ("right", "down"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(2):
            whole = (clip_list.parent / label / f"{number}.mp4").read_bytes()
            (tmp_path / "data" / label / f"{number}.mp4").write_bytes(whole)
        (tmp_path / "data" / label / "bad.mp4").write_bytes(b"no video at all")
    code, _, err = here("--data", tmp_path / "data", "--out", tmp_path / "net.pth", "--epochs", 1)
    assert code == 0
    (warning,) = [line for line in err.splitlines() if "left out" in line]
    assert warning.startswith("warning: 2 of 6 clips are left out")
    assert all(f"{Path(label) / 'bad.mp4'}" in warning for label in ("right", "down"))
    assert (tmp_path / "net.pth").exists()
