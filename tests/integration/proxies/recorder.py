"""A proxy on an address of ours that writes down who asked it for what, and hands on nothing."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SOCKS5 = 5
"""First byte of a SOCKS connection (RFC 1928)."""


class Recorder(socketserver.ThreadingTCPServer):
    """`asked` lists METHOD TARGET of each request, or `socks`.

    `files` are answered by URL, all else by 502.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, files: Mapping[str, bytes]) -> None:
        super().__init__((address, 0), _Handler)
        self.files, self.asked = files, list[str]()
        self.place = f"{address}:{self.server_address[1]}"


class _Handler(socketserver.StreamRequestHandler):
    server: Recorder

    def handle(self) -> None:
        begin = self.connection.recv(1)
        if not begin or begin[0] == SOCKS5:
            self.server.asked.append("socks")
            return
        line = (begin + self.rfile.readline()).decode(errors="replace")
        method, target, *_ = line.split(" ")
        self.server.asked.append(f"{method} {target}")
        while self.rfile.readline().strip():
            pass
        body = self.server.files.get(target)
        status = "502 not handed on" if body is None else "200 OK"
        content = body or b""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode() + content)


@contextmanager
def recorder(address: str = "127.0.0.1", files: Mapping[str, bytes] | None = None) -> Iterator[Recorder]:
    """A running one."""
    with Recorder(address, files or {}) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()
