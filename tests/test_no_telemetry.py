"""Nothing is sent anywhere: processes of their own are watched for every call that goes to the network."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures_bundle import shared_bundle

WATCH = """
import os, sys
KINDS = ("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "socket.sendmsg",
         "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "http.client", "urllib.Request")
def watch(event, arguments, handle=os.open(os.environ["WATCHED"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)):
    if event.startswith(KINDS):
        os.write(handle, f"{event} {arguments}\\n".encode())
sys.addaudithook(watch)
"""
RUN = "import sys; sys.argv[1:] = {words!r}; from a3d_edge.cli import main; main()"
SESSION = "from a3d_edge import Bundle; b = Bundle.default(); b.open(b.configurations[0])"
QUIET = ("CI", "TF_BUILD", "JENKINS_URL", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_DATA_HOME")
"""What makes libraries silent by chance, and the folders that would not be below HOME."""

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Empty."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in QUIET}
    return {**kept, "HOME": str(home), "WATCHED": str(home.parent / "watched")}


def sent(code: str, home: Path) -> list[str]:
    """What a fresh interpreter wanted from the network, or of other programs."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH + code], env=environment(home), capture_output=True, text=True,
        cwd=home.parent, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (home.parent / "watched").read_text().splitlines()


def running(tmp_path_factory: pytest.TempPathFactory, engine: str) -> list[str]:
    bundle = str(shared_bundle(tmp_path_factory))
    return ["run", "--source", "demo", "--bundle", bundle, "--engine", engine, "--max-predictions", "2"]


def test_the_watch_sees_what_is_sent(home: Path) -> None:
    """A name that is looked up, a connection, another program."""
    code = """
import socket, subprocess
for attempt in (lambda: socket.getaddrinfo("localhost", 1), lambda: subprocess.run(["true"]),
                lambda: socket.create_connection(("127.0.0.1", 1), 1)):
    try: attempt()
    except OSError: pass
"""
    found = [line.split()[0] for line in sent(code, home)]
    assert {"socket.getaddrinfo", "subprocess.Popen", "socket.connect"} <= set(found)


@needs_openvino
def test_openvino_by_itself_reports(home: Path) -> None:
    """On import it asks for its maker's host and writes an id: if it no longer does, our care is needless."""
    assert any("google-analytics" in line for line in sent("import openvino, time; time.sleep(1)", home))
    assert list(home.rglob("*")) != []


@needs_openvino
@pytest.mark.parametrize(
    "code",
    [
        "from a3d_edge.engine.engines import find_engine; find_engine('openvino')",
        "import a3d_edge, openvino, openvino.tools.ovc",
        "import openvino_telemetry, a3d_edge, openvino.tools.ovc",
        SESSION.replace("])", "], engine='openvino')"),
    ],
)
def test_openvino_reports_to_nobody(home: Path, code: str) -> None:
    """Neither by our engine nor by what imports it after us; nothing is written into the home."""
    assert sent(code, home) == []
    assert of_others(home) == []


def test_onnx_runtime_reports_to_nobody(home: Path) -> None:
    """Loading it and a session."""
    assert sent(SESSION, home) == []
    assert of_others(home) == []


@pytest.mark.parametrize("engine", ["ort:CPU", pytest.param("openvino", marks=needs_openvino)])
def test_a_run_sends_nothing(home: Path, tmp_path_factory: pytest.TempPathFactory, engine: str) -> None:
    """From start to end."""
    assert sent(RUN.format(words=running(tmp_path_factory, engine)), home) == []
    assert of_others(home) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("engine", ["ort:CPU", pytest.param("openvino", marks=needs_openvino)])
def test_nor_do_the_libraries_beneath(
    home: Path, tmp_path_factory: pytest.TempPathFactory, engine: str
) -> None:
    """What is not Python is seen by the kernel."""
    log = home.parent / "calls"
    words = [sys.executable, "-c", RUN.format(words=running(tmp_path_factory, engine))]
    trace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log)]
    if subprocess.run([*trace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us trace processes")
    subprocess.run([*trace, *words], env=environment(home), capture_output=True, timeout=240, check=True)
    assert [line for line in log.read_text().splitlines() if "AF_INET" in line or "send" in line] == []


def of_others(home: Path) -> list[Path]:
    """What is in the home but our own note of graphs that were checked."""
    ours = home / ".cache" / "a3d-edge"
    return [path for path in home.rglob("*") if path not in (ours, ours.parent) and ours not in path.parents]
