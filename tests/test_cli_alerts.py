"""``run --alert`` and ``--alerts`` as a user meets them."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from fixtures_bundle import Here, start_cli, write_video
from fixtures_delivery import free_port
from fixtures_events import kinds_of

from a3d_edge.sinks.delivery.build import default_queue

CANARY = "c4n4ry"
RIGHT = '[[alert]]\nclass = "right"\nthreshold = 1e-30\n'


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def alerts_of(out: str) -> list[dict[str, object]]:
    """The alerts of a --json run."""
    return [line for line in map(json.loads, out.splitlines()) if line["event"] == "alert"]


def test_alerts_are_lines_of_json_and_in_the_summary(here: Here, bundle_folder: Path, clip: Path) -> None:
    """Each started, updated, ended; the run's end ends what goes on."""
    code, out, err = here(
        "run", "--source", clip, "--bundle", bundle_folder, "--json", "--alert", "right>1e-30 for 200ms",
        "--alert", "down>1e-30", "--alert", "still>0.9999999",
    )  # fmt: skip
    assert code == 0, err
    told = alerts_of(out)
    states = [line["state"] for line in told if line["label"] == "right"]
    assert (states[0], states[-1]) == ("started", "ended")
    assert {line["reason"] for line in told if line["state"] == "ended"} == {"end"}
    summary = json.loads(out.splitlines()[-1])
    assert summary["alerts"] == {"started": 2, "ended": 2}


def test_alerts_for_people(here: Here, bundle_folder: Path, clip: Path) -> None:
    """On stdout among the predictions; counts on stderr."""
    line = "right>1e-30 release 1m"
    code, out, err = here("run", "--source", clip, "--bundle", bundle_folder, "--alert", line)
    assert code == 0, err
    [started, ended] = [line for line in out.splitlines() if "right has" in line]
    assert "right has started: since " in started
    assert "right has ended: " in ended
    assert "alerts: 1 started, 1 ended" in err


def test_a_file_of_alerts_with_clip_timeline_and_queue(
    here: Here, bundle_folder: Path, tmp_path: Path
) -> None:
    """Paths begin at the file; a webhook that is away leaves its alerts in the queue; no secret anywhere."""
    clip = write_video(tmp_path / "clip.mp4", 90)
    port, conf = free_port(), tmp_path / "conf"
    conf.mkdir()
    (conf / "alerts.toml").write_text(
        f'{RIGHT}name = "to the right"\nupdate = 0\n[clips]\nfolder = "clips"\n[timeline]\nfile = "t.jsonl"\n'
        f'[[webhook]]\nurl = "http://user:{CANARY}@127.0.0.1:{port}/{CANARY}?token={CANARY}"\n'
    )
    code, out, err = here(
        "run", "--source", clip, "--bundle", bundle_folder, "--budget", "w1.00-s32-t4", "--json",
        "--alerts", conf / "alerts.toml",
    )  # fmt: skip
    assert code == 0, err
    summary = json.loads(out.splitlines()[-1])["alerts"]
    assert summary["clips"]["clips"] == summary["clips"]["snapshots"] == 1
    assert summary["sinks"][f"http://127.0.0.1:{port}"]["queued"] == 2
    assert kinds_of((conf / "t.jsonl").read_text()) == ["alert", "alert", "clip"]
    assert CANARY not in out + err
    assert f"alerts to http://127.0.0.1:{port}: Connection refused; trying again" in err
    [folder] = default_queue().iterdir()
    assert len(list(folder.glob("*.json"))) == 2
    assert CANARY not in folder.name + "".join(path.read_text() for path in folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--alert", "rigth>0.5"), "error: alert 'rigth>0.5': no class 'rigth'; did you mean 'right'?"),
        (("--alert", "right"), "error: alert 'right': the bundle's table has no threshold for 'right'"),
        (("--alerts", "none.toml"), "error: --alerts none.toml: no such file"),
    ],
)
def test_what_cannot_be_is_one_line(
    here: Here, bundle_folder: Path, clip: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Before the source is opened; exit code 2."""
    code, out, err = here("run", "--source", clip, "--bundle", bundle_folder, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


def test_sigterm_ends_a_run_with_alerts_in_time(bundle_folder: Path, tmp_path: Path) -> None:
    """The network away, a clip being written: 143 within 2 s, the clip complete, the queue kept."""
    clip = write_video(tmp_path / "clip.mp4", 900)
    (tmp_path / "alerts.toml").write_text(
        f'{RIGHT}update = 0\n[clips]\nfolder = "clips"\nbefore = "1s"\n[timeline]\nfile = "t.jsonl"\n'
        '[[webhook]]\nurl = "http://192.0.2.1/"\n'
    )
    process = start_cli(
        "run", "--source", clip, "--realtime", "--bundle", bundle_folder, "--budget", "w0.50-s32-t2",
        "--alerts", "alerts.toml", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if '"alert"' in line:
            break
    time.sleep(1.0)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out = ""
    for line in process.stdout:
        out += line
        took = time.monotonic() - begun  # of the run itself; what Python takes to leave is not ours
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143, err
    assert took < 2.0
    assert [line["state"] for line in alerts_of(out)][-1] == "ended"
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["alert", "alert", "clip"]
    [mp4] = (tmp_path / "clips").glob("*.mp4")
    assert mp4.stat().st_size == lines[-1]["bytes"]
    [queue] = default_queue().iterdir()
    assert len(list(queue.glob("*.json"))) == 2
