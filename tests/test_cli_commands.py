"""``a3d-edge`` info, verify, flops, table, export and eval: what they say and what they refuse."""

from __future__ import annotations

import json
import os
import pickle
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fixtures_bundle import (
    CONFIGURATIONS,
    SMALLEST,
    TWO_PATHWAYS,
    Here,
    calibrated_checkpoint,
    copy_of,
    frames_of,
    lively,
    run_cli,
    start_cli,
    tiny_slowfast,
    tiny_x3d,
)

from a3d_edge.bundle import Bundle

if TYPE_CHECKING:
    from a3d_edge.models.network import NetworkDescription

torch = pytest.importorskip("torch")
pytest.importorskip("av")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network, calibrated."""
    from a3d_edge.models.checkpoint import save

    path = tmp_path_factory.mktemp("checkpoints") / "tiny.pth"
    save(calibrated_checkpoint(), path)
    return path


def only(out: str) -> dict[str, Any]:
    """The one JSON line of a command."""
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert found["schema"] == 1
    return found


def assert_one_line(err: str) -> None:
    """An error is one line without a traceback."""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_info_of_a_bundle(here: Here, bundle_folder: Path) -> None:
    """Path, classes and configurations, cheapest first."""
    code, out, err = here("info", bundle_folder, "--json")
    assert (code, err) == (0, "")
    found = only(out)
    assert (found["event"], found["kind"], found["path"]) == ("info", "bundle", str(bundle_folder))
    assert found["classes"] == ["right", "down", "still"]
    assert set(found["configurations"]) == set(map(str, CONFIGURATIONS))
    assert found["bytes"] > 600_000
    assert found["parity"] <= 1e-3
    assert "right, down, still" in here("info", bundle_folder)[1]


def test_info_of_a_checkpoint(here: Here, checkpoint: Path) -> None:
    """The same of what the bundle was made from."""
    found = only(here("info", checkpoint, "--json")[1])
    assert (found["kind"], found["architecture"]) == ("checkpoint", "tiny")
    assert found["configurations"] == sorted(map(str, CONFIGURATIONS))
    assert found["resumable_at"] is None


def test_verify_of_a_whole_bundle(here: Here, bundle_folder: Path) -> None:
    """Every file and every configuration."""
    found = only(here("verify", bundle_folder, "--json")[1])
    assert (found["event"], found["files"], found["configurations"]) == ("verified", 12, 6)
    code, out, err = here("verify", bundle_folder)
    assert (code, err) == (0, "")
    assert "12 files and 6 configurations are as exported" in out


def test_info_and_verify_of_two_pathways(here: Here, slowfast_folder: Path) -> None:
    """One graph a width: 3 of them, the table and two files of tensors."""
    found = only(here("info", slowfast_folder, "--json")[1])
    assert (found["architecture"], found["configurations"]) == ("tiny_slowfast", list(map(str, TWO_PATHWAYS)))
    assert found["parity"] <= 1e-3
    code, out, _ = here("verify", slowfast_folder)
    assert code == 0
    assert "6 files and 5 configurations are as exported" in out


def test_verify_of_an_altered_bundle(here: Here, bundle_folder: Path, tmp_path: Path) -> None:
    """One flipped byte: exit 4, the file is named."""
    copy = copy_of(bundle_folder, tmp_path / "copy")
    content = bytearray((copy / "statistics.bin").read_bytes())
    content[100] ^= 1
    (copy / "statistics.bin").write_bytes(content)
    code, out, err = here("verify", copy)
    assert (code, out) == (4, "")
    assert "statistics.bin: altered since the export" in err
    assert_one_line(err)


def test_flops_of_the_papers_network(here: Here) -> None:
    """54.5 GFLOPs and 32.45 M parameters at 256²."""
    code, out, _ = here("flops", "--arch", "slow_r50", "--size", 256, "--json")
    assert code == 0
    found = only(out)
    assert (round(found["gflops"], 1), round(found["params_m"], 2)) == (54.5, 32.45)
    assert found["streaming_gflops"] < found["gflops"]


@pytest.mark.parametrize(
    "options",
    [["--arch", "fast"], ["--width", "0"], ["--width", "1.5"], ["--size", "8"], ["--frames", "0"]],
)
def test_flops_of_what_cannot_be_meant(here: Here, options: list[str]) -> None:
    """Exit 2 with the value that is wrong."""
    code, out, err = here("flops", *options)
    assert (code, out) == (2, "")
    assert options[1] in err
    assert_one_line(err)


def test_table_show(here: Here, bundle_folder: Path) -> None:
    """Of a bundle and of a table file, as text and as JSON Lines."""
    rows = [json.loads(line) for line in here("table", "show", bundle_folder, "--json")[1].splitlines()]
    assert [row["configuration"] for row in rows] == [
        str(row.configuration) for row in Bundle.load(bundle_folder).table.rows
    ]
    code, out, _ = here("table", "show", bundle_folder / "table.json")
    assert code == 0
    assert len(out.splitlines()) == 2 + len(CONFIGURATIONS)
    code, _, err = here("table", "show", bundle_folder / "weights.bin")
    assert code == 4
    assert_one_line(err)


# Export


def test_export_of_chosen_configurations(here: Here, checkpoint: Path, tmp_path: Path) -> None:
    """Without clips parity is shown on rendered ones; figures come as JSON Lines."""
    out_dir = tmp_path / "bundle"
    names = ["w0.50-s18-t1", "w0.50-s32-t2"]
    code, out, err = here(
        "export", checkpoint, "--out", out_dir, "--json", "--cache", tmp_path / "cache", "--parity-clips", 2,
        *(option for name in names for option in ("--configuration", name)),
    )  # fmt: skip
    assert (code, err) == (0, "")
    *parity, exported = [json.loads(line) for line in out.splitlines()]
    assert [(line["configuration"], line["clips"], line["same_top1"]) for line in parity] == [
        (name, 2, True) for name in names
    ]
    assert exported["event"] == "exported"
    assert exported["configurations"] == 2
    assert exported["relative_error"] <= 1e-3
    assert list(map(str, Bundle.load(out_dir).configurations)) == names


@pytest.mark.parametrize("description", [tiny_slowfast(), tiny_x3d()], ids=lambda d: d.name)
def test_other_families_are_calibrated_exported_and_run(
    here: Here, clip_list: Path, tmp_path: Path, description: NetworkDescription
) -> None:
    """From an uncalibrated checkpoint and real clips to predictions on one of them."""
    from a3d_edge.models.checkpoint import Checkpoint, save

    path, out_dir = tmp_path / "net.pth", tmp_path / "bundle"
    save(Checkpoint(lively(description), ("right", "down", "still")), path)
    names = ["w0.50-s27-t2", "w0.50-s37-t4"]
    code, _, err = here(
        "export", path, "--out", out_dir, "--calibration", clip_list, "--calibration-clips", 4,
        "--parity-clips", 2, "--cache", tmp_path / "cache",
        *(option for name in names for option in ("--configuration", name)),
    )  # fmt: skip
    assert (code, err) == (0, "")
    bundle = Bundle.load(out_dir)
    assert (bundle.manifest.architecture, bundle.sampling) == (description.name, description.sampling)
    assert {entry.parity.clips for entry in bundle.manifest.configurations.values()} == {2}
    clip = clip_list.parent / "right" / "1.mp4"
    code, out, _ = here("run", "--source", clip, "--bundle", out_dir, "--json", "--switch-every", 1)
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    ran = [line["configuration"] for line in lines if line["event"] == "prediction"]
    assert ran[:2] == names
    summary = lines[-1]
    assert (
        summary["frames_captured"]
        == frames_of(clip)
        == summary["frames_used"] + sum(summary["dropped"].values())
    )


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--out", "new", "--configuration", "w0.60-s32-t4"], 2, "w0.60-s32-t4 is not calibrated"),
        (["--out", "new", "--range", "0.5"], 2, "unknown --range '0.5'"),
        (["--out", "new", "--precision", "int4"], 2, "unknown --precision 'int4'"),
        (["--out", "new", "--table", "no.json"], 4, "no.json: cannot read the table"),
        (["--out", "new", "--calibration", "no.csv"], 3, "no.csv"),
        (["--out", "mine", "--configuration", "w0.50-s18-t1"], 2, "--out mine: exists and is not a bundle"),
        ([], 2, "Missing option '--out'"),
    ],
)
def test_exports_that_cannot_be_meant(
    here: Here, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: list[str], code: int, said: str,
) -> None:  # fmt: skip
    """One line with the exit code of its kind; nothing is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine")
    got, out, err = here("export", checkpoint, *options, "--parity-clips", 1)
    assert (got, out) == (code, "")
    assert said in err
    assert_one_line(err)
    assert {entry.name for entry in tmp_path.iterdir()} <= {"mine", "cache"}
    assert [entry.name for entry in Path("mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_exporting_leaves_the_old_bundle(
    here: Here, checkpoint: Path, bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals, code: int,
) -> None:  # fmt: skip
    """While the files are flushed to disk, the last moment before the new one takes its place."""
    import a3d_edge.files

    old = copy_of(bundle_folder, tmp_path / "place" / "bundle")
    seen: list[Path] = []
    real = a3d_edge.files.sync

    def sync(path: Path) -> None:
        if path.name == "weights.bin":
            seen.append(path)
            os.kill(os.getpid(), number)
        real(path)

    monkeypatch.setattr(a3d_edge.files, "sync", sync)
    got, _, err = here(
        "export", checkpoint, "--out", old, "--configuration", str(SMALLEST), "--parity-clips", 1,
        "--cache", tmp_path / "cache", "--overwrite",
    )  # fmt: skip
    assert (got, len(seen)) == (code, 1)
    assert err == {130: "interrupted\n", 143: "terminated\n"}[code]
    assert [entry.name for entry in old.parent.iterdir()] == ["bundle"]
    assert set(Bundle.load(old).configurations) == set(CONFIGURATIONS)


# Checkpoints of strangers


class Payload:
    """What unpickling it would do: create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
@pytest.mark.parametrize(
    "command",
    [
        ["export", "CKPT", "--out", "new"],
        ["info", "CKPT"],
        ["eval", "CKPT", "--data", "list.csv"],
        ["table", "build", "CKPT", "--data", "list.csv", "--out", "new.json"],
        ["train", "--rendered", "1", "--classes", "hug,kick", "--out", "new.pth", "--init", "CKPT"],
        ["train", "--rendered", "1", "--classes", "hug,kick", "--out", "CKPT", "--resume"],
    ],
    ids=["export", "info", "eval", "table", "init", "resume"],
)
def test_a_payload_is_refused_and_not_run(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], kind: str
) -> None:
    """Exit 4 with one line; what the file would have done has not happened, and the file is as it was."""
    monkeypatch.chdir(tmp_path)
    evil, trace = tmp_path / "evil.pth", tmp_path / "trace"
    if kind == "torch":
        torch.save({"format": "a3d-edge checkpoint", "schema": 1, "state": Payload(trace)}, evil)
    else:
        evil.write_bytes(pickle.dumps(Payload(trace)))
    content = evil.read_bytes()
    code, out, err = here(*(str(evil) if word == "CKPT" else word for word in command))
    assert (code, out) == (4, "")
    assert "evil.pth: refused, it holds more than tensors and plain values; nothing in it was run" in err
    assert_one_line(err)
    assert not trace.exists()
    assert evil.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.pth"]
    assert kind != "pickle" or pickle.loads(content) is None  # the payload is a real one: here it runs
    assert trace.exists() == (kind == "pickle")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x02."])
def test_a_checkpoint_that_is_none(here: Here, tmp_path: Path, content: bytes) -> None:
    """Exit 4 with one line, whatever the bytes."""
    path = tmp_path / "no.pth"
    path.write_bytes(content)
    code, out, err = here("info", path)
    assert (code, out) == (4, "")
    assert "no.pth: " in err
    assert_one_line(err)


# The program as a process


def test_a_reader_that_leaves_is_no_error(bundle_folder: Path, tmp_path: Path) -> None:
    """Of every command: ``a3d-edge table show … | head -0`` is quiet and exits with 0."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = start_cli("table", "show", bundle_folder, cwd=tmp_path, stdout=write_end)
    os.close(write_end)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_a_full_disk_behind_stdout(bundle_folder: Path, tmp_path: Path) -> None:
    """Exit 5 and one line."""
    with Path("/dev/full").open("w") as full:
        code, _, err = run_cli("table", "show", bundle_folder, cwd=tmp_path, stdout=full)
    assert code == 5
    assert "No space left on device" in err
    assert_one_line(err)


def test_an_interrupted_command_says_so(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C anywhere: exit 130, one word, and SIGTERM's handler is put back."""
    before = signal.getsignal(signal.SIGTERM)

    def interrupt(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "load", interrupt)
    assert here("verify", bundle_folder) == (130, "", "interrupted\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_mistake_of_ours_keeps_its_traceback(
    here: Here, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error nobody expected is not dressed up as the user's."""

    def mistake(path: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Bundle, "load", mistake)
    with pytest.raises(ZeroDivisionError, match="ours"):
        here("verify", bundle_folder)
