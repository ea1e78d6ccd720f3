"""The double behind HTTPS, on this machine's loopback or wherever it is told to listen."""

from __future__ import annotations

import email.parser
import email.policy
import json
import ssl
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.doubles.pve.answers import Dropped
from tests.doubles.pve.api import PREFIX, Answer, Api, Headers
from tests.doubles.pve.certificates import issue
from tests.doubles.pve.world import World

FORM_BYTES = 512 * 1024
"""Longest body of a request that uploads nothing (pve-http-server, AnyEvent.pm)."""


class Server:
    """One cluster's API at `host:port`; any of its nodes answers for all of them.

    `ca_file` is the cluster's authority, `fingerprint` the SHA-256 of the server's own certificate.
    """

    def __init__(self, world: World, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world, self.host = world, host
        self.ca_file = folder / "pve-root-ca.pem"
        chain = folder / "pve-ssl.pem"
        self.fingerprint = issue(host, self.ca_file, chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self._http = _Http((host, port), _handler(Api(world)), context)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext
    ) -> None:
        super().__init__(address, handler)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread: a silent client must not hold up the others."""
        request.settimeout(30)
        with self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or does not trust us, is no event."""


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "pve-api-daemon/3.0"
        # an answer is one write, as PVE's is: a body after its head waits 40 ms for the client's delayed ACK
        wbufsize = -1

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            kind = self.headers.get_content_type()
            if len(body) > FORM_BYTES and kind != "multipart/form-data":
                self._send(Answer(413, "request entity too large"))
                return
            if not parts.path.startswith(PREFIX + "/"):
                self._send(Answer(404, f"no such file '{parts.path}'"))
                return
            parameters, upload = _parameters(parts.query, kind, self.headers.get("Content-Type", ""), body)
            path = unquote(parts.path.removeprefix(PREFIX))
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get("PVEAuthCookie")
            headers = Headers(
                self.headers.get("Authorization", ""),
                unquote(cookie.value) if cookie else "",
                self.headers.get("CSRFPreventionToken", ""),
            )
            try:
                self._send(api.ask(self.command, path, parameters, headers, upload))
            except Dropped:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def _send(self, answer: Answer) -> None:
            body = json.dumps(answer.body()).encode()
            self.send_response(answer.status, answer.message)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """The journal has it."""

    return Handler


def _parameters(query: str, kind: str, content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """Parameters of a request's query and body, and the file that came with it."""
    found = dict(parse_qsl(query, keep_blank_values=True))
    if kind == "multipart/form-data":
        return _multipart(found, content_type, body)
    if kind == "application/json" and body:
        return found | {key: _text(value) for key, value in json.loads(body).items()}, b""
    return found | dict(parse_qsl(body.decode(), keep_blank_values=True)), b""


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _multipart(found: dict[str, str], content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """PVE takes the file's own name as the parameter `filename`."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    upload = b""
    for part in message.iter_parts():
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        name = str(part.get_param("name", header="content-disposition"))
        if part.get_filename():
            found["filename"] = found.get("filename") or str(part.get_filename())
            upload = content
        else:
            found[name] = content.decode()
    return found, upload
