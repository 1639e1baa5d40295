"""``a3d-edge run`` as a user meets it: real files, exit codes, signals, and what is on stdout and stderr."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fixtures_bundle import (
    CONFIGURATIONS,
    LARGEST,
    SMALLEST,
    TWO_PATHWAYS,
    Here,
    copy_of,
    frames_of,
    pictures,
    run_cli,
    start_cli,
    write_video,
)

from a3d_edge.control import controller
from a3d_edge.device.signals import Signals
from a3d_edge.video.files import VideoFile
from a3d_edge.video.opening import READ_S


@pytest.fixture(scope="session")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 3,000 frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "long.avi", 3000)


def events(out: str) -> list[dict[str, Any]]:
    """The lines of a --json run."""
    return [json.loads(line) for line in out.splitlines()]


# What comes out


def test_a_file_runs_to_its_end(bundle_folder: Path, clip: Path, tmp_path: Path) -> None:
    """In a process of its own: one line a prediction on stdout, the summary on stderr, exit 0."""
    code, out, err = run_cli(
        "run", "--source", clip, "--bundle", bundle_folder, "--budget", LARGEST, cwd=tmp_path
    )
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 27
    assert all(str(LARGEST) in line and " ms" in line for line in lines)
    assert "60 frames, 30 used, 30 not sampled" in err
    assert "27 predictions, 0 switches" in err
    assert list(tmp_path.iterdir()) == []


def test_json_lines_have_the_fields_programs_rely_on(here: Here, bundle_folder: Path, clip: Path) -> None:
    """prediction, switch and summary, each with event and schema; nothing else is on stdout."""
    code, out, err = here("run", "--source", clip, "--bundle", bundle_folder, "--json", "--switch-every", 9)
    assert (code, err) == (0, "")
    lines = events(out)
    assert {line["schema"] for line in lines} == {1}
    kinds = [line["event"] for line in lines]
    assert kinds.count("prediction") >= 27
    assert kinds.count("switch") == lines[-1]["switches"] >= 2
    assert kinds.index("summary") == len(kinds) - 1
    required = {
        "prediction": {"stream_time_s", "label", "score", "top", "configuration", "latency_ms", "age_ms"},
        "switch": {"from", "to", "reason", "limiting_signal"},
        "summary": {"frames_captured", "frames_used", "dropped", "predictions", "switches", "latency_ms"},
    }
    for line in lines:
        assert required[line["event"]] <= set(line)
    first, summary = lines[0], lines[-1]
    assert first["label"] == first["top"][0]["label"]
    assert first["score"] == first["top"][0]["score"]
    assert {entry["label"] for entry in first["top"]} == {"right", "down", "still"}
    assert summary["frames_captured"] == 60 == summary["frames_used"] + sum(summary["dropped"].values())
    assert summary["predictions"] == kinds.count("prediction")
    assert set(summary["latency_ms"]) == {"p50", "p95"}


def test_a_prediction_says_when_of_what_and_why(here: Here, bundle_folder: Path, clip: Path) -> None:
    """The clock's time between the run's beginning and end, the source, and the last switch's reason."""
    before = datetime.now(timezone.utc) - timedelta(milliseconds=1)
    _, out, _ = here("run", "--source", clip, "--bundle", bundle_folder, "--json", "--switch-every", 9)
    after = datetime.now(timezone.utc)
    why = None
    for line in events(out)[:-1]:
        if line["event"] == "switch":
            why = (line["reason"], line["limiting_signal"])
            continue
        assert before <= datetime.fromisoformat(line["time"].replace("Z", "+00:00")) <= after
        assert line["source"] == str(clip)
        assert why is None or (line["reason"], line["limiting_signal"]) == why
    assert why is not None


def test_a_network_of_two_pathways_runs(slowfast_folder: Path, clip: Path, tmp_path: Path) -> None:
    """In a process of its own, without PyTorch: a prediction every slow frame, every frame used."""
    block = tmp_path / "torch.py"
    block.write_text("raise ImportError('the runtime needs no torch')")
    code, out, err = run_cli(
        "run", "--source", clip, "--bundle", slowfast_folder, "--budget", TWO_PATHWAYS[-1], cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (code, len(out.splitlines())) == (0, 12)
    assert all(str(TWO_PATHWAYS[-1]) in line for line in out.splitlines())
    assert "60 frames, 60 used" in err
    assert "12 predictions, 0 switches" in err


def test_two_pathways_switched_at_every_window(here: Here, slowfast_folder: Path, clip: Path) -> None:
    """All configurations in turn, a switch before every prediction but the first; nothing is lost."""
    code, out, err = here("run", "--source", clip, "--bundle", slowfast_folder, "--json", "--switch-every", 1)
    assert (code, err) == (0, "")
    lines = events(out)
    predictions = [line for line in lines if line["event"] == "prediction"]
    assert [line["configuration"] for line in predictions] == [str(TWO_PATHWAYS[i % 5]) for i in range(12)]
    assert [round(line["window_start_s"] * 30) for line in predictions] == list(range(0, 48, 4))
    switches = [line for line in lines if line["event"] == "switch"]
    pairs = [(str(TWO_PATHWAYS[i % 5]), str(TWO_PATHWAYS[(i + 1) % 5])) for i in range(11)]
    assert [(line["from"], line["to"]) for line in switches][-11:] == pairs
    summary = lines[-1]
    assert summary["frames_captured"] == 60 == summary["frames_used"] + sum(summary["dropped"].values())
    assert (summary["predictions"], summary["switches"]) == (12, len(switches))


def test_hops_of_two_pathways_agree(here: Here, slowfast_folder: Path, clip: Path) -> None:
    """A prediction every frame has, for the windows they share, the scores of one every fourth."""
    found = []
    for hop in (1, 4):
        code, out, _ = here(
            "run",
            "--source",
            clip,
            "--bundle",
            slowfast_folder,
            "--json",
            "--hop",
            hop,
            "--budget",
            "w0.50-s19-t2",
        )
        assert code == 0
        top = {
            round(line["window_start_s"] * 30): {entry["label"]: entry["score"] for entry in line["top"]}
            for line in events(out)
            if line["event"] == "prediction"
        }
        found.append(top)
    assert (list(found[0]), list(found[1])) == (list(range(45)), list(range(0, 45, 4)))
    for start, wanted in found[1].items():
        assert found[0][start] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("budget", "allowed"),
    [
        ("auto", set(map(str, CONFIGURATIONS))),
        ("1.0", {str(LARGEST)}),
        ("0.0001", {str(SMALLEST)}),
        ("0.25", {"w0.50-s32-t4", "w0.50-s32-t2", "w0.70-s23-t3"}),
        ("100GFLOPs", {str(LARGEST)}),
        ("0.00001 gflops", {str(SMALLEST)}),
        ("10000ms", set(map(str, CONFIGURATIONS))),
        ("0.0001ms", {str(SMALLEST)}),
        ("w0.70-s23-t3", {"w0.70-s23-t3"}),
    ],
)
def test_every_form_of_budget(
    here: Here,
    bundle_folder: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    budget: str,
    allowed: set[str],
) -> None:
    """Those configurations run that the budget allows, on a device that has nothing else to do."""
    monkeypatch.setattr(controller, "DeviceSensors", lambda: Signals)
    code, out, _ = here("run", "--source", clip, "--bundle", bundle_folder, "--json", "--budget", budget)
    assert code == 0
    ran = {line["configuration"] for line in events(out) if line["event"] == "prediction"}
    assert ran
    assert ran <= allowed


def test_hop_and_number_of_predictions(here: Here, bundle_folder: Path, clip: Path) -> None:
    """As asked for."""
    code, out, _ = here(
        "run", "--source", clip, "--bundle", bundle_folder, "--json", "--budget", "1.0", "--hop", 5,
        "--max-predictions", 4,
    )  # fmt: skip
    assert code == 0
    times = [line["window_start_s"] for line in events(out) if line["event"] == "prediction"]
    assert times == pytest.approx([0, 5 / 30, 10 / 30, 15 / 30], abs=1e-3)


def test_a_recording_is_playable_and_whole(
    here: Here, bundle_folder: Path, clip: Path, tmp_path: Path
) -> None:
    """Every frame of the source is in it; nothing else is left in the folder."""
    for name in ("out.mp4", "out.avi"):
        path = tmp_path / name
        code, _, _ = here(
            "run", "--source", clip, "--bundle", bundle_folder, "--save", path, "--budget", "0.1"
        )
        assert code == 0
        assert frames_of(path) == 60
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.avi", "out.mp4"]


def test_a_recording_lasts_as_long_as_its_source(here: Here, bundle_folder: Path, tmp_path: Path) -> None:
    """Pictures at uneven times are recorded at those times, and not at the announced rate."""
    stamps = [40 * n + 500 * (n // 10) for n in range(40)]  # ms
    source = tmp_path / "uneven.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in stamps:
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for name in ("out.mp4", "out.avi"):
        code, _, _ = here("run", "--source", source, "--bundle", bundle_folder, "--save", tmp_path / name)
        assert code == 0
        recorded = VideoFile(str(tmp_path / name), name)
        times = [frame.time_s for frame in iter(recorded.read, None) if frame]
        assert times[-1] == pytest.approx(stamps[-1] / 1000, abs=0.05)
        if name == "out.mp4":  # an .avi has no room between two pictures of its rate
            assert times == pytest.approx([stamp / 1000 for stamp in stamps], abs=0.002)


def test_a_slow_source_is_told(here: Here, bundle_folder: Path, tmp_path: Path) -> None:
    """Pictures farther apart than the network looks: one warning, whatever comes of it."""
    clip = write_video(tmp_path / "slow.avi", 12, rate=2.0)
    code, _, err = here("run", "--source", clip, "--bundle", bundle_folder, "--json")
    assert code == 0
    assert err.count("warning: the pictures are 0.5 s apart and the network looks at one every 0.067 s") == 1


class Stalling(BaseHTTPRequestHandler):
    """A camera that falls silent after 30 pictures, the connection open."""

    silent = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        for _ in range(30):
            self.wfile.write(head + jpeg + b"\r\n")
        self.silent.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_read_that_blocks_does_not_keep_the_process(bundle_folder: Path, tmp_path: Path) -> None:
    """The camera is silent and its read takes 5 s to fail: exit code 0 long before that."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stalling)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/camera"
    begun = time.monotonic()
    code, _, err = run_cli("run", "--source", url, "--bundle", bundle_folder, "--seconds", 0.5, cwd=tmp_path)
    lasted = time.monotonic() - begun
    Stalling.silent.set()
    server.shutdown()
    server.server_close()
    assert code == 0
    assert "predictions" in err.splitlines()[-1]
    assert lasted < READ_S


def test_realtime_paces_a_file(here: Here, bundle_folder: Path, clip: Path) -> None:
    """Two seconds of video take two seconds, and it ends with exit 0."""
    begun = time.monotonic()
    code, out, _ = here("run", "--source", clip, "--bundle", bundle_folder, "--json", "--realtime")
    assert code == 0
    assert time.monotonic() - begun > 59 / 30
    summary = events(out)[-1]
    assert summary["frames_captured"] == 60 == summary["frames_used"] + sum(summary["dropped"].values())


def test_seconds_end_the_demo(here: Here, bundle_folder: Path) -> None:
    """The demo has no end of its own; its predictions tell what was acted."""
    code, out, _ = here("run", "--source", "demo", "--bundle", bundle_folder, "--json", "--seconds", 1.5)
    assert code == 0
    lines = events(out)
    assert lines[-1]["event"] == "summary"
    assert 1.4 < lines[-1]["seconds"] < 4
    assert {"truth"} <= set(lines[0])


def test_a_corrupt_picture_among_good_ones(here: Here, bundle_folder: Path, tmp_path: Path) -> None:
    """The folder runs; what could not be read is counted."""
    for number, picture in enumerate(pictures(20)):
        cv2.imwrite(str(tmp_path / f"img{number}.jpg"), picture)
    (tmp_path / "img7.jpg").write_bytes((tmp_path / "img7.jpg").read_bytes()[:200])
    (tmp_path / "img9.jpg").write_bytes(b"not a picture")
    code, out, _ = here("run", "--source", tmp_path, "--bundle", bundle_folder, "--json", "--budget", LARGEST)
    assert code == 0
    summary = events(out)[-1]
    assert summary["dropped"]["unreadable"] == 2
    assert summary["frames_captured"] == 20 == summary["frames_used"] + sum(summary["dropped"].values())
    assert summary["predictions"] == 7


def test_a_short_file_is_padded(here: Here, bundle_folder: Path, tmp_path: Path) -> None:
    """Exit 0 with one prediction that says so."""
    clip = write_video(tmp_path / "short.avi", 3)
    code, out, _ = here("run", "--source", clip, "--bundle", bundle_folder, "--json", "--budget", "1.0")
    assert code == 0
    assert [line.get("padded") for line in events(out)] == [True, None]
    code, out, _ = here("run", "--source", clip, "--bundle", bundle_folder, "--budget", "1.0")
    assert out.endswith("(padded)\n")


# Bad input: one line, the right exit code, nothing harmed


def damaged(bundle_folder: Path, to: Path, how: str) -> Path:
    """A copy of the bundle with something wrong."""
    copy = copy_of(bundle_folder, to)
    weights = copy / "weights.bin"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-4096])
    elif how == "flipped":
        content = bytearray(weights.read_bytes())
        content[len(content) // 3] ^= 0x10
        weights.write_bytes(content)
    else:
        (copy / how).unlink()
    return copy


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "name one source"),
        (["--source", "demo", "--camera", "0"], 2, "name one source"),
        (["--source", "nowhere.mp4"], 3, "no such file or directory: 'nowhere.mp4'"),
        (["--source", "empty.mp4"], 3, "empty.mp4: the file is empty"),
        (["--source", "folder"], 3, "folder: no picture in it"),
        (["--source", "bad pictures"], 3, "none of its 1 pictures can be read"),
        (["--camera", "99"], 3, "camera 99: cannot be opened"),
        (["--bundle", "nowhere"], 4, "nowhere: no such bundle directory"),
        (["--bundle", "folder"], 4, "folder: not a bundle"),
        (["--bundle", "text.mp4"], 4, "text.mp4: no such bundle directory"),
        (["--bundle", "truncated"], 4, "weights.bin: "),
        (["--bundle", "flipped"], 4, "weights.bin: altered since the export"),
        (["--bundle", "manifest.json"], 4, "manifest.json"),
        (["--budget", "cheap"], 2, "unknown budget 'cheap'; write auto"),
        (["--budget", "1.5"], 2, "budget '1.5' is out of range"),
        (["--budget", "-1"], 2, "unknown budget '-1'"),
        (["--budget", "trace:x"], 2, "x: no such trace file; shipped ones are"),
        (["--budget", "w0.60-s32-t4"], 2, "w0.60-s32-t4 is not in the table; it has"),
        (["--engine", "warp"], 2, "unknown --engine 'warp'"),
        (["--hop", "0"], 2, "--hop 0 is below 1"),
        (["--hop", "x"], 2, "'--hop'"),
        (["--seconds", "0"], 2, "--seconds 0.0 is not above 0"),
        (["--seconds", "nan"], 2, "--seconds nan is not above 0"),
        (["--switch-every", "0"], 2, "--switch-every 0 is below 1"),
        (["--max-predictions", "0"], 2, "'--max-predictions'"),
        (["--threads", "0"], 2, "'--threads'"),
        (["--threads", "100000"], 2, "--threads 100000 is not from 1 to"),
        (["--sauce", "x"], 2, "No such option"),
        (["more"], 2, "unexpected extra argument"),
        (["--save", "out.gif"], 2, "cannot record to '.gif'"),
        (["--save", "nowhere/out.mp4"], 2, "no such folder nowhere"),
    ],
)
def test_bad_input_is_told_in_one_line(
    here: Here,
    bundle_folder: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    said: str,
) -> None:
    """What was wrong and where, no traceback, nothing on stdout, nothing written."""
    monkeypatch.chdir(tmp_path)
    Path("empty.mp4").touch()
    Path("text.mp4").write_text("this is no video\n" * 100)
    Path("folder").mkdir()
    Path("bad pictures").mkdir()
    Path("bad pictures/a.jpg").write_bytes(b"\xff\xd8 no")
    named = options[1] if options[:1] == ["--bundle"] else ""
    if named in ("truncated", "flipped", "manifest.json"):
        damaged(bundle_folder, Path(named), named)
    if options and not {"--source", "--camera"} & set(options):
        options = ["--source", str(clip), *options]
    if not named:
        options = ["--bundle", str(bundle_folder), *options]
    before = sorted(entry.name for entry in tmp_path.iterdir())
    got, out, err = here("run", *options)
    assert (got, out) == (code, "")
    assert said in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_bad_input_in_a_process_of_its_own(bundle_folder: Path, tmp_path: Path) -> None:
    """The same from outside, where a library may print what is not ours: still one line."""
    (tmp_path / "text.mp4").write_text("this is no video")
    code, out, err = run_cli("run", "--source", "text.mp4", "--bundle", bundle_folder, cwd=tmp_path)
    assert (code, out) == (3, "")
    assert err.splitlines() == [
        "error: text.mp4: cannot be opened as video (its data is no video, or damaged); "
        "give a complete video file"
    ]


def test_a_recording_that_cannot_be_drawn_does_not_end_the_run(
    here: Here, bundle_folder: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data comes whole; what went wrong is a warning for people, and how often, another."""

    def draw(*given: object, **named: object) -> None:
        raise ValueError("no font")

    plain = here("run", "--source", clip, "--bundle", bundle_folder, "--budget", "w0.50-s32-t4", "--json")
    monkeypatch.setattr("a3d_edge.sinks.pictures.draw_overlay", draw)
    code, out, err = here(
        "run", "--source", clip, "--bundle", bundle_folder, "--budget", "w0.50-s32-t4", "--json",
        "--save", tmp_path / "out.mp4",
    )  # fmt: skip
    assert (code, out.count("\n")) == (0, plain[1].count("\n"))
    first, last = err.splitlines()
    assert first.startswith("warning: the sink PictureEvents failed in 'frame' (ValueError: no font, test_")
    assert last.startswith("warning: the sink PictureEvents failed ")
    assert last.endswith(" times in this run")


def test_a_recording_that_fails_leaves_the_old_one(
    here: Here, bundle_folder: Path, clip: Path, tmp_path: Path
) -> None:
    """A run that ends with an error before its first frame does not touch what is there."""
    old = tmp_path / "out.mp4"
    old.write_bytes(b"old")
    code, _, _ = here("run", "--source", clip, "--bundle", tmp_path, "--save", old, "--overwrite")
    assert code == 4
    assert old.read_bytes() == b"old"


def test_a_full_disk_behind_stdout(bundle_folder: Path, clip: Path, tmp_path: Path) -> None:
    """Exit 5 and a line that says so, for text and for JSON."""
    for options in ([], ["--json"]):
        with Path("/dev/full").open("w") as full:
            code, _, err = run_cli(
                "run", "--source", clip, "--bundle", bundle_folder, *options, cwd=tmp_path, stdout=full
            )
        assert code == 5
        assert "is the disk full?" in err.splitlines()[-1]
        assert "Traceback" not in err


# Ends from outside


def interrupted(
    number: signal.Signals, *arguments: object, cwd: Path
) -> tuple[int, list[dict[str, Any]], str, float]:
    """A run that gets a signal when it is going: exit code, events, stderr, and how many seconds it took."""
    process = start_cli("run", "--json", *arguments, cwd=cwd)
    assert process.stdout is not None
    first = process.stdout.readline()
    begun = time.monotonic()
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, events(first + out), err, time.monotonic() - begun


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("source", ["demo", "file"])
def test_signals_end_a_run_in_order(
    bundle_folder: Path, long_file: Path, tmp_path: Path, source: str, number: signal.Signals, code: int
) -> None:
    """Within 2 s, with the summary as the last line and a recording that can be played."""
    what = long_file if source == "file" else source
    out = tmp_path / "out.mp4"
    got, lines, err, seconds = interrupted(
        number, "--source", what, "--bundle", bundle_folder, "--save", out, "--hop", 1, cwd=tmp_path
    )
    assert got == code
    assert seconds < 2
    assert lines[-1]["event"] == "summary"
    summary = lines[-1]
    assert summary["frames_captured"] == summary["frames_used"] + sum(summary["dropped"].values())
    assert "Traceback" not in err
    assert frames_of(out) > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    if source == "file":
        assert summary["frames_captured"] < 3000


def test_a_reader_that_leaves_is_no_error(bundle_folder: Path, long_file: Path, tmp_path: Path) -> None:
    """``a3d-edge run … | head -1``: quiet, exit 0."""
    for options in ([], ["--json"]):
        process = start_cli("run", "--source", long_file, "--bundle", bundle_folder, *options, cwd=tmp_path)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(20) == 0
        assert "Traceback" not in err
        assert "Exception" not in err
        assert "error" not in err


def test_help_of_everything(tmp_path: Path) -> None:
    """Every command explains itself; the installed script is the same program."""
    from a3d_edge.cli import app

    commands = [command.name for command in app.registered_commands]
    assert {"run", "export", "info", "verify", "flops", "train", "eval"} <= set(commands)
    code, out, _ = run_cli("run", "--help", cwd=tmp_path)
    assert code == 0
    for option in ("--camera", "--source", "--bundle", "--budget", "--hop", "--json", "--save", "--show",
                   "--max-predictions", "--seconds", "--realtime", "--engine"):  # fmt: skip
        assert option in out


def test_without_a_command_the_help_is_shown(tmp_path: Path) -> None:
    """On stderr, exit 2: nothing was done."""
    code, out, err = run_cli(cwd=tmp_path)
    assert (code, out) == (2, "")
    assert "Commands:" in err


def test_two_opencvs_at_once_are_noticed(
    here: Here, bundle_folder: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --show, where it matters which of them won; an OpenCV without windows ends with exit 5."""
    from a3d_edge import libraries
    from a3d_edge.sinks import overlay

    both = ["opencv-python-headless", "opencv-python"]
    for module in (libraries, overlay):
        monkeypatch.setattr(module, "installed_opencv", lambda: both)
    monkeypatch.setattr(overlay.cv2, "getBuildInformation", lambda: "  GUI:   NONE\n")
    code, _, err = here("run", "--source", clip, "--bundle", bundle_folder, "--show")
    warning, error = err.splitlines()
    assert code == 5
    assert warning == (
        "warning: opencv-python-headless and opencv-python are installed at once, into the same folder; keep "
        "one: pip uninstall -y opencv-python-headless opencv-python && pip install opencv-python"
    )
    assert error.startswith("error: this OpenCV has no windows: pip uninstall -y opencv-python-headless ")


def test_the_installed_script_runs(tmp_path: Path) -> None:
    """``a3d-edge --version``."""
    import shutil
    import sys

    from a3d_edge import __version__

    script = shutil.which("a3d-edge", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run(
        [script, "--version"], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=30
    )
    assert done.stdout.strip() == __version__
