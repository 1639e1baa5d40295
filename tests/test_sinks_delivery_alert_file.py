"""The file of alerts: what it may say, exact messages where it cannot be meant, secrets from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a3d_edge.errors import A3DEdgeError, UsageError
from a3d_edge.sinks.delivery.alert_file import AlertFile
from a3d_edge.sinks.delivery.build import alert_events

CLASSES = ("fight", "none")
CANARY = "c4n4ry"
FULL = """
queue = "waiting"
[[alert]]
class = "fight"
threshold = 0.7
for = "1s"
average = 3
hysteresis = 0.3
release = "2s"
cooldown = 10
update = "0s"
name = "a fight in the yard"
[clips]
folder = "clips"
before = "5s"
after = "5s"
longest = "1m"
rate = 10
height = 480
memory = "16MB"
video = true
snapshot = false
keep = "7d"
keep_size = "1GB"
[timeline]
file = "timeline.jsonl"
rotate = "1MB"
keep = 3
[[webhook]]
url = "http://user:${HOOK_PASSWORD}@host/path"
headers = { X-Token = "${file:SECRET}" }
timeout = "2s"
[mqtt]
url = "mqtt://host"
topic = "edge/yard"
discovery = ""
[frigate]
url = "http://frigate:5000"
camera = "yard"
"""
FIGHT = "[[alert]]\nclass='fight'\n"
SIZE = "write it like 200MB, 256MiB or 1GB"
WRONG = (
    (
        "[[alert]]\nclass = 'figth'",
        "alert[0].class: no class 'figth'; did you mean 'fight'? there are fight",
    ),
    (
        f"{FIGHT}[[alert]]\nclass = 'none'",
        "alert[1].class: 'none' is the class of nothing happening; name one of fight",
    ),
    (
        f"{FIGHT}for='soon'",
        "alert[0].for: Value error, 'soon' is no time; write it like 1s, 500ms or 2m",
    ),
    ("[[alert]]\nthreshold=0.5", "alert[0].class: Field required"),
    (f"{FIGHT}threshold=nan", "alert[0].threshold: Input should be a finite number"),
    (f"{FIGHT}why=1", "alert[0].why: Extra inputs are not permitted"),
    ("[clips]\nfolder='c'\nmemory=-1", f"clips.memory: Value error, is no size; {SIZE}"),
    (
        "[clips]\nfolder='c'\nmemory='lots'",
        f"clips.memory: Value error, `size` 'lots' is not a size; {SIZE}",
    ),
    (
        "[mqtt]\nurl='mqtt://h'\ntopic='a/#'",
        r"mqtt.topic: String should match pattern '^[^/#+\x00][^#+\x00]{0,200}$'",
    ),
    (
        "[frigate]\nurl='${NOT_SET}'\ncamera='c'",
        "frigate.url: no environment variable NOT_SET; set it, or use ${file:PATH}",
    ),
    (
        "[[webhook]]\nurl='${file:/not/there}'",
        "webhook[0].url: /not/there cannot be read (No such file or directory)",
    ),
    (
        "[[webhook]]\nurl='http://h'\nheaders={a=\"b\\r\\nc\"}",
        "webhook[0].headers: Value error, a name or value that no header can have",
    ),
)


def write(folder: Path, text: str) -> Path:
    """As a file."""
    path = folder / "alerts.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Times and sizes as people write them; secrets from the environment, or a file."""
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    text = FULL.replace("SECRET", str(tmp_path / "secret"))
    found = AlertFile.read(write(tmp_path, text), CLASSES, {"HOOK_PASSWORD": "p%23"})
    [rule] = found.alert
    assert (rule.label, rule.hold_s, rule.cooldown_s, rule.called) == (
        "fight",
        1.0,
        10.0,
        "a fight in the yard",
    )
    assert found.clips is not None
    assert (found.clips.keep, found.clips.keep_size, found.clips.longest) == (604800.0, 10**9, 60.0)
    assert found.webhook[0].url == "http://user:p%23@host/path"
    assert found.webhook[0].headers == {"X-Token": CANARY}
    assert CANARY not in repr(found)


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_the_key_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """With its place in the file, in one line."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        AlertFile.read(path, CLASSES, {})
    assert str(caught.value) == f"{path}: {message}"


def test_files_that_are_none(tmp_path: Path) -> None:
    """Not there, a folder, no TOML, too large, not text."""
    for path, part in (
        (tmp_path / "none.toml", "no such file; write one, with an [[alert]] for each class"),
        (tmp_path, "no such file"),
        (write(tmp_path, "alert = ["), "is no TOML ("),
    ):
        with pytest.raises(UsageError) as caught:
            AlertFile.read(path, CLASSES)
        assert str(caught.value).startswith(f"`alerts` {path}: {part}")
    for content in (b"\xff\xfe", b"#" * 2_000_000, b"[[[[" * 5000, b"a=" + b"[" * 20000):
        (tmp_path / "alerts.toml").write_bytes(content)
        with pytest.raises(UsageError) as caught:
            AlertFile.read(tmp_path / "alerts.toml", CLASSES)
        assert len(str(caught.value)) < 400


KEYS = ("threshold", "for", "average", "hysteresis", "release", "cooldown", "update", "name")
VALUES = st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=20), st.just([]), st.just({}))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_is_taken_or_named(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    """No other error than ours, whatever stands there."""
    text = str(value).lower() if isinstance(value, bool | float) else json.dumps(value)
    path = write(tmp_path_factory.getbasetemp(), f'[[alert]]\nclass = "fight"\n{key} = {text}\n')
    try:
        said = AlertFile.read(path, CLASSES, {}).alert[0].label
    except A3DEdgeError as error:
        said = str(error)
    assert "\n" not in said


def test_addresses_that_cannot_be_are_refused_before_the_run(tmp_path: Path) -> None:
    """Without being repeated: they may hold a password."""
    pytest.importorskip("paho.mqtt")
    for text, where in (
        (f"[[webhook]]\nurl = 'htp://u:{CANARY}@h'", "webhook[0].url: is no address of http or https"),
        (f"[mqtt]\nurl = 'http://u:{CANARY}@h'", "mqtt.url: is no address of a broker"),
        (f"[frigate]\ncamera = 'c'\nurl = '{CANARY}'", "frigate.url: is no address of http or https"),
        ("[timeline]\nfile = 'no/such/folder'", "`timeline.file`"),
    ):
        file = AlertFile.read(write(tmp_path, text), CLASSES, {})
        with pytest.raises(UsageError) as caught:
            alert_events(file, tmp_path, (), print)
        assert str(caught.value).startswith(where)
        assert CANARY not in str(caught.value)
    assert alert_events(AlertFile.read(write(tmp_path, ""), CLASSES, {}), tmp_path, (), print) is None


def test_the_guides_files_can_be_read(tmp_path: Path) -> None:
    """Each block alone, and all of them as one."""
    from test_docs import DOCS, blocks

    found = blocks(DOCS / "guides/alerts.md", "toml")
    assert len(found) == 4
    environment = {"HOOK_PASSWORD": "a", "MQTT_PASSWORD": "b"}
    (tmp_path / "token").write_text("t")
    for text in (*found, "\n".join(found)):
        path = write(tmp_path, text.replace("/run/secrets/token", str(tmp_path / "token")))
        AlertFile.read(path, ("push", "punch"), environment)
