"""A playlist behind a URL: its segments are read from its own server, and from no other place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from a3d_edge.errors import SourceError
from a3d_edge.video.causes import Cause
from a3d_edge.video.fetching import origin
from a3d_edge.video.reaching import reach
from a3d_edge.video.source import open_source


class Files(BaseHTTPRequestHandler):
    """The server's ``files`` by their path; ``asked`` keeps who asked for what."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        data = self.server.files.get(self.path)
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.files, server.asked = {}, []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "0.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "bgr24")))
        container.mux(stream.encode())
    return path


def playlist(segment: str) -> bytes:
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.8,\n"
    return f"{head}{segment}\n#EXT-X-ENDLIST\n".encode()


def url_of(server: ThreadingHTTPServer, path: str) -> str:
    return f"http://me:canary@127.0.0.1:{server.server_port}{path}"


def test_a_playlist_is_read_from_its_own_server_and_no_other(segment: Path) -> None:
    """With the user's name; a segment elsewhere, or a local file, is not asked for; a redirection is
    allowed."""
    with serving() as server, serving() as other:
        there = f"http://127.0.0.1:{other.server_port}/0.ts"
        server.files = {
            "/0.ts": segment.read_bytes(),
            "/good.m3u8": playlist("0.ts"),
            "/away.m3u8": playlist(there),
            "/file.m3u8": playlist(segment.as_uri()),
        }
        other.files = {"/0.ts": segment.read_bytes()}
        decoder = reach(url_of(server, "/good.m3u8"), "x", redirects=False)
        assert sum(1 for _ in iter(decoder.read, None)) == 20
        decoder.close()
        for path in ("/away.m3u8", "/file.m3u8"):
            with pytest.raises(SourceError, match="leads to another server") as caught:
                reach(url_of(server, path), "x", redirects=False)
            assert caught.value.cause == Cause.REDIRECT
        assert other.asked == []
        reach(url_of(server, "/away.m3u8"), "x", redirects=True).close()
        assert other.asked == [("/0.ts", None)]


def test_a_file_reads_itself(segment: Path, tmp_path: Path) -> None:
    """A playlist, whatever it is called, opens no other file; unless that is allowed."""
    for name in ("list.m3u8", "list.mp4", "list.txt"):
        (tmp_path / name).write_bytes(playlist("0.ts"))
        with pytest.raises(SourceError, match="cannot be opened as video"):
            open_source(str(tmp_path / name))
    assert open_source(str(tmp_path / "list.m3u8"), allow_redirect=True).read() is not None


def test_an_origin_is_scheme_host_and_port() -> None:
    """In any spelling."""
    assert origin("HTTP://Host/x") == origin("http://u:p@host:80/y") == ("http", "host", 80)
    assert origin("https://host/x") != origin("http://host/x")
