"""A real server that is too busy for a moment: it is asked again at once, whatever time it names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.cluster.api import BUSY_ATTEMPTS, Api, ApiError

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


@contextmanager
def server(folder: Path, busy: int) -> Iterator[tuple[Api, list[str]]]:
    """An API that says 429 to its first `busy` requests; the client of it, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            refused = len(asked) <= busy
            body = json.dumps(
                {"message": "storage is (re)initializing"} if refused else {"items": []}
            ).encode()
            self.send_response(429 if refused else 200)
            if refused:
                self.send_header("Retry-After", "3600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG.format(port=served.server_address[1]))
        yield Api(kubeconfig), asked
        served.shutdown()


def test_a_storage_that_is_being_initialized_is_asked_again(tmp_path: Path) -> None:
    with server(tmp_path, busy=2) as (api, asked):
        assert api.items("/apis/metallb.io/v1beta1/bfdprofiles") == []
        assert asked == ["/apis/metallb.io/v1beta1/bfdprofiles"] * 3


def test_a_server_that_stays_busy_is_told_as_such(tmp_path: Path) -> None:
    with server(tmp_path, busy=1000) as (api, asked):
        with pytest.raises(ApiError, match="429: storage is ") as refused:
            api.get("/x")
        assert refused.value.status == 429
        assert len(asked) == 1 + BUSY_ATTEMPTS
