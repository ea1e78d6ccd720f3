"""A client of datagrams against a server on loopback: what is lost is sent again, silence is a refusal."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from lab.checks.outside import udp
from lab.checks.verbs import Refused


@contextmanager
def echo(*, answers_from: int) -> Iterator[tuple[int, list[int]]]:
    """A server that answers from that datagram on; its port, and the ports that asked it."""
    asked: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))

        def serve() -> None:
            while (received := wire.recvfrom(4096))[0] != b"end":
                asked.append(received[1][1])
                if len(asked) >= answers_from:
                    wire.sendto(received[0], received[1])

        thread = Thread(target=serve, daemon=True)
        thread.start()
        port = wire.getsockname()[1]
        try:
            yield port, asked
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", ("127.0.0.1", port))
            thread.join(5)


def test_a_lost_datagram_is_sent_again_from_the_same_port() -> None:
    with echo(answers_from=3) as (port, asked):
        assert udp("127.0.0.1", port, "plumb", seconds=0.5) == "plumb"
    assert len(asked) == 3
    assert len(set(asked)) == 1


def test_who_answers_nothing_is_refused_with_the_number_of_datagrams() -> None:
    with (
        echo(answers_from=9) as (port, asked),
        pytest.raises(Refused, match=f"udp://127.0.0.1:{port}: no answer to 3 datagrams"),
    ):
        udp("127.0.0.1", port, "plumb", seconds=0.2)
    assert len(asked) == 3


def test_a_closed_port_says_so() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        port = wire.getsockname()[1]
    with pytest.raises(Refused, match="refused"):
        udp("127.0.0.1", port, "plumb", seconds=0.5)
