"""A web server and a registry on loopback that behave badly on demand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.artifacts.store import Store


@dataclass
class Site:
    """What the server holds, and what it was asked.

    `files`: path -> content. `cut`: path -> bytes after which the connection is dropped, one number for
    each answer. `refuse`: path -> status codes answered first. `token`: what a client must show.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    refuse: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    token: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def put(self, path: str, content: bytes) -> str:
        """Add a file; gives its sha256."""
        self.files[path] = content
        return hashlib.sha256(content).hexdigest()

    def starts(self, path: str) -> list[str]:
        """The Range header of every request for a path."""
        return [asked for name, asked in self.asked if name == path]


class Handler(BaseHTTPRequestHandler):
    server: SiteServer

    def do_GET(self) -> None:
        site, path = self.server.site, self.path.partition("?")[0]
        site.asked.append((path, self.headers.get("Range", "")))
        if path == "/token":
            self.answer(200, b'{"token": "sesame"}', {})
        elif site.refuse.get(path):
            self.answer(site.refuse[path].pop(0), b"no", {})
        elif site.token and self.headers.get("Authorization") != f"Bearer {site.token}":
            realm = f'Bearer realm="{site.url}/token",service="test",scope="repository:thing:pull"'
            self.answer(401, b"who are you", {"WWW-Authenticate": realm})
        elif path not in site.files:
            self.answer(404, b"not here", {})
        else:
            self.send_file(site, path)

    def send_file(self, site: Site, path: str) -> None:
        content = site.files[path]
        start, status, headers = 0, 200, {"Content-Type": site.types.get(path, "application/octet-stream")}
        asked = self.headers.get("Range", "")
        if site.ranges and asked:
            start, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            if start >= len(content):
                self.answer(416, b"", {})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(status, content[start:], headers, cut=site.cut.get(path))

    def answer(self, status: int, body: bytes, headers: dict[str, str], cut: list[int] | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: cut.pop(0)] if cut else body)
        self.close_connection = True

    def log_message(self, *_args: object) -> None:
        """Nothing on the screen."""


class SiteServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.site = site
        site.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def site() -> Iterator[Site]:
    with SiteServer(Site()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.site
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")
