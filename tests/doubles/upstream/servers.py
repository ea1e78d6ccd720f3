"""What upstream consists of, on loopback: a real registry, its token service, the storage to which it sends
for blobs, and a server of release files. Each can be told to have a bad day.

The registry is Debian's `docker-registry`. Before it stands a small server of ours with the certificate,
which refuses on demand and else hands everything on. The storage refuses whatever carries `Authorization`,
as those of Docker Hub, Quay and GHCR do.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.doubles.ports import free_port
from tests.doubles.upstream.day import Day
from tests.doubles.upstream.keys import SERVICE, Keys
from tests.doubles.upstream.registry import running

PIECE = 1 << 18
ASSETS = "release-assets.githubusercontent.com"
"""Where github.com sends for the files of a release."""
CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 429: "TOOMANYREQUESTS"}
"""distribution, spec/api: errors-2."""


class Handler(BaseHTTPRequestHandler):
    """What all servers have in common."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        day = self.server.day
        path = urlsplit(self.path).path
        sent = self.headers.get("Authorization", "")
        day.asked.append((self.server.name, path, self.headers.get("Range", ""), sent.partition(" ")[0]))
        if status := day.refusal(path):
            after = {"Retry-After": day.retry_after} if day.retry_after and status in (429, 503) else {}
            error = {"code": CODES.get(status, "UNKNOWN"), "message": "a bad day"}
            self.answer(status, json.dumps({"errors": [error]}).encode(), after)
        else:
            self.respond(path)

    def respond(self, path: str) -> None:
        raise NotImplementedError

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing on the screen."""


class Files(Handler):
    """A folder of files with ranges, below one folder for each host name if the server has several."""

    def respond(self, path: str) -> None:
        host = self.headers["Host"].partition(":")[0]
        if host == "github.com":
            self.answer(302, b"", {"Location": f"https://{ASSETS}{path}"})
            return
        file = self.server.file(host, path)
        if not file.is_file():
            self.answer(404, b"not here", {})
            return
        size = file.stat().st_size
        start, status, headers = 0, 200, {"Content-Type": "application/octet-stream"}
        if asked := self.headers.get("Range", ""):
            start, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            if start >= size:
                self.answer(416, b"", {})
                return
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(size - start)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            begun, begin = time.monotonic(), start
            start = self.send(file, path, start, size)
            self.server.day.transfers.append((begun, time.monotonic(), start - begin))

    def send(self, file: Path, path: str, start: int, size: int) -> int:
        """Send a part of a file; gives the byte at which it ended."""
        day = self.server.day
        cut = next((cuts.pop(0) for key, cuts in day.cut.items() if key in path and cuts), size)
        pace = next((pace for key, pace in day.pace.items() if key in path), 0)
        end = min(size, start + cut)
        try:
            with file.open("rb") as content:
                content.seek(start)
                while start < end and not self.server.closing.is_set():
                    piece = content.read(min(end - start, max(1, int(pace // 10)) if pace else PIECE))
                    self.wfile.write(piece)
                    start += len(piece)
                    if pace:
                        self.server.closing.wait(len(piece) / pace)
        except OSError:
            pass  # the client has gone
        if end < size:
            self.close_connection = True
        return start


class Storage(Files):
    """Where blobs lie: an address that is signed takes no second authorisation (S3 answers so)."""

    def respond(self, path: str) -> None:
        if self.headers.get("Authorization"):
            self.answer(400, b"Only one auth mechanism allowed", {})
        else:
            super().respond(path)


class Tokens(Handler):
    """Gives anybody a token to pull; a repository below private/ only to who knows the password."""

    def respond(self, _path: str) -> None:
        scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
        repository = scope.split(":")[1] if scope.count(":") == 2 else ""
        if repository.startswith("private/") and not self.headers.get("Authorization"):
            self.answer(401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}', {})
            return
        self.answer(200, json.dumps({"token": self.server.keys.token(repository)}).encode(), {})


class Front(Handler):
    """Before the registry: hands requests on and answers back, redirects as they are."""

    def respond(self, _path: str) -> None:
        inner = http.client.HTTPConnection("127.0.0.1", self.server.inner)
        path = self.path
        for wanted, other in self.server.day.instead.items():
            path = path.replace(wanted, other)
        inner.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # some come more than once: Accept does
            if name.lower() != "connection":
                inner.putheader(name, value)
        inner.endheaders()
        got = inner.getresponse()
        body = got.read()
        self.send_response(got.status)
        for name, value in got.getheaders():
            if name.lower() not in ("content-length", "connection", "date"):
                self.send_header(name, value)
        length = got.headers["Content-Length"] if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(body)
        inner.close()


class Server(ThreadingHTTPServer):
    """One server with TLS; `root` is the folder of a server of files, `inner` the port of a registry."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: Upstream, name: str, handler: type[Handler], pem: Path) -> None:
        self.name, self.day, self.keys = name, upstream.day, upstream.keys
        self.root, self.by_host, self.inner = upstream.folder / name, False, upstream.inner
        self.closing = threading.Event()
        super().__init__(upstream.address(name), handler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def finish_request(self, request: object, client_address: object) -> None:
        # in the connection's own thread: a handshake that hangs holds nobody up
        assert isinstance(request, socket.socket)
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:
            pass  # the client has gone, or does not trust us

    def file(self, host: str, path: str) -> Path:
        below = {ASSETS: "github.com"}.get(host, host) if self.by_host else ""
        return self.root / below / path.lstrip("/")


class Upstream:
    """All servers, on ports of their own at `localhost`, or under the real names (`real`) at port 443.

    `folder`/storage/... is what the registry holds, `folder`/files what the server of files does.
    """

    def __init__(self, folder: Path, real: dict[str, list[str]] | None = None) -> None:
        self.folder, self.real, self.day = folder, real or {}, Day()
        folder.mkdir(parents=True, exist_ok=True)
        self.keys = Keys(folder)
        self.inner = free_port()
        self._ports = {
            name: 443 if real else free_port() for name in ("registry", "storage", "tokens", "files")
        }
        self._stack = ExitStack()

    def names(self, name: str) -> list[str]:
        return self.real.get(name) or ["localhost", "127.0.0.1"]

    def address(self, name: str) -> tuple[str, int]:
        """Each server has a loopback address of its own, since all have one port under the real names."""
        last = list(self._ports).index(name) + 1
        return (f"127.0.1.{last}" if self.real else "127.0.0.1", self._ports[name])

    def hosts(self) -> str:
        """Lines of /etc/hosts that bring everybody here."""
        return "".join(f"{self.address(name)[0]} {' '.join(names)}\n" for name, names in self.real.items())

    def host(self, name: str) -> str:
        """HOST[:PORT] of a server."""
        return self.names(name)[0] if self.real else f"localhost:{self._ports[name]}"

    def __enter__(self) -> Upstream:
        for folder in ("storage", "files"):
            (self.folder / folder).mkdir(exist_ok=True)
        self._stack.enter_context(self._registry())
        kinds = {"registry": Front, "storage": Storage, "tokens": Tokens, "files": Files}
        for name, handler in kinds.items():
            self.serve(name, handler)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def serve(self, name: str, handler: type[Handler], *, begins: datetime | None = None) -> None:
        """Start one server; it ends with this object. `begins`: when its certificate becomes valid."""
        self._ports.setdefault(name, free_port())
        server = Server(self, name, handler, self.keys.issue(name, self.names(name), begins))
        server.by_host = name == "files" and bool(self.real)
        server.thread.start()

        def stop() -> None:
            server.closing.set()
            server.shutdown()
            server.server_close()

        self._stack.callback(stop)

    @contextmanager
    def _registry(self) -> Iterator[None]:
        token = {
            "realm": f"https://{self.host('tokens')}/token",
            "service": SERVICE,
            "issuer": SERVICE,
            "rootcertbundle": str(self.keys.certificate_file),
        }
        redirect = {"name": "redirect", "options": {"baseurl": f"https://{self.host('storage')}/"}}
        more = {"auth": {"token": token}, "middleware": {"storage": [redirect]}}
        with running(self.folder / "storage", self.inner, more):
            yield

    @contextmanager
    def publishing(self) -> Iterator[str]:
        """A second registry over the same storage that takes pushes from anybody; gives its address."""
        port = free_port()
        with running(self.folder / "storage", port, {}):
            yield f"http://127.0.0.1:{port}"
