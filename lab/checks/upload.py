"""A client that is slow: a request by HTTPS whose body takes its time, byte by byte."""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import time
from contextlib import suppress

from lab.checks.outside import Answer, translated
from lab.checks.verbs import Refused

PAUSE = 2.0
"""Seconds between two bytes, far below any limit on a connection that does nothing."""
ANSWER_SECONDS = 10.0


def slow_upload(
    address: str,
    port: int,
    path: str,
    *,
    tls: ssl.SSLContext,
    name: str,
    seconds: float,
    pause: float = PAUSE,
) -> Answer:
    """PUT a body that is sent for so many seconds, and give back the answer to it.

    `name` is who is asked for at the address. Raises `Refused` when the connection ends or an answer comes
    before the body is sent, with the second at which it did; `CouldNotTell` like `tcp`.
    """
    what, size, begun = f"https://{name}:{port}{path}", math.ceil(seconds / pause) + 1, time.monotonic()

    def after() -> str:
        return f"after {time.monotonic() - begun:.0f} of {seconds:g} s"

    head = f"PUT {path} HTTP/1.1\r\nHost: {name}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    try:
        with (
            socket.create_connection((address, port), ANSWER_SECONDS) as plain,
            tls.wrap_socket(plain, server_hostname=name) as wire,
        ):
            wire.sendall(head.encode())
            for number in range(size):
                wire.settimeout(ANSWER_SECONDS)
                wire.sendall(b"x")
                if number < size - 1:
                    _silent(wire, pause)
            wire.settimeout(ANSWER_SECONDS)
            answer = http.client.HTTPResponse(wire, method="PUT")
            answer.begin()
            body = answer.read().decode(errors="replace")
    except Refused as error:
        raise Refused(f"{what}: {error} {after()} of the request") from error
    except ssl.SSLError as error:
        raise Refused(f"{what}: TLS: {error.reason or error} {after()} of the request") from error
    except OSError as error:
        raise translated(f"{what}: {after()} of the request", error) from error
    except http.client.HTTPException as error:
        raise Refused(f"{what}: no answer to the whole request: {error}") from error
    return Answer(answer.status, body, {key.lower(): value for key, value in answer.getheaders()})


def _silent(wire: ssl.SSLSocket, seconds: float) -> None:
    """Let so many seconds pass in which nothing may be heard. Raises `Refused` when something is."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        wire.settimeout(left)
        # records of TLS itself, as session tickets, wake nobody
        with suppress(TimeoutError):
            heard = wire.recv(200)
            line = heard.decode(errors="replace").partition("\r\n")[0]
            raise Refused(f"answered by “{line}”" if heard else "the connection was closed")
