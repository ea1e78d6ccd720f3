"""A slow client of TLS servers on this machine, and one that takes ten minutes of a lab's ingress."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from addons.traefik.client import Traefik
from lab.authority import Authority
from lab.checks.driver import Driver
from lab.checks.sample_apps import site
from lab.checks.upload import slow_upload
from lab.checks.verbs import Refused
from lab.inventory import load
from lab.labs import Lab
from lab.render.bundle import pins
from tests.integration.conftest import ROOT, Proving

DOMAIN = "slow.internal"
NAME = f"shop.{DOMAIN}"
TEN_MINUTES = 600


class Patient(BaseHTTPRequestHandler):
    """Answers when the whole body is here."""

    def do_PUT(self) -> None:
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.path} {size}".encode())

    def log_message(self, *_: object) -> None:
        """The test's own output is enough."""


class Hasty(Patient):
    """Answers before the body is here."""

    def do_PUT(self) -> None:
        self.send_error(408)


class Impatient(Patient):
    """Ends the connection when the body is not here in time."""

    def do_PUT(self) -> None:
        self.rfile.read(2)


@contextmanager
def served(handler: type[Patient], folder: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """A TLS server of the handler on loopback: its port, and a client that trusts it."""
    made = Authority(folder, DOMAIN)
    issued = made.issue()
    (folder / "server.pem").write_text(issued.certificate + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], ssl.create_default_context(cafile=str(made.certificate_file))
    finally:
        server.shutdown()
        server.server_close()


def test_a_body_is_sent_slowly_and_answered(tmp_path: Path) -> None:
    begun = time.monotonic()
    with served(Patient, tmp_path) as (port, tls):
        answer = slow_upload("127.0.0.1", port, "/x", tls=tls, name=NAME, seconds=1, pause=0.25)
    assert (answer.status, answer.body) == (200, "/x 5")
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("handler", "said"),
    [(Hasty, "answered by “HTTP/1.0 408 Request Timeout” after"), (Impatient, "was closed after")],
)
def test_a_server_that_does_not_wait_is_named_with_the_second(
    tmp_path: Path, handler: type[Patient], said: str
) -> None:
    with served(handler, tmp_path) as (port, tls), pytest.raises(Refused, match=said) as refused:
        slow_upload("127.0.0.1", port, "/x", tls=tls, name=NAME, seconds=20, pause=0.25)
    assert f"https://{NAME}:{port}/x: " in str(refused.value)
    assert "of 20 s of the request" in str(refused.value)


def test_a_server_that_is_not_there_is_refused() -> None:
    tls = ssl.create_default_context()
    with pytest.raises(Refused, match="Connection refused"):
        slow_upload("127.0.0.1", 1, "/x", tls=tls, name=NAME, seconds=1)


@pytest.mark.long
def test_the_ingress_takes_an_upload_of_ten_minutes(proving: Proving, tmp_path: Path) -> None:
    done = proving.invoke("build")
    assert done.code == 0, done.output
    lab = Lab.open(load(str(proving.inventory)), ROOT)
    with lab.inside():
        ingress = Traefik(Driver(lab, tmp_path / "ten-minutes", pins(lab.inventory)))
        with site(ingress, "ten-minutes"):
            answer = ingress.upload("shop", "/", TEN_MINUTES)
    assert (answer.status, answer.json()["method"]) == (200, "PUT")
