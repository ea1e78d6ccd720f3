"""Ports of loopback for servers that others must know before they start."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_LOWEST = 20_000
_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, that the kernel gives to no outgoing connection, and that no
    second caller in this process gets.

    A port that the kernel chose (`bind` to 0) is one of those which it hands to clients, too: one of
    thousands of connections took it between the question and the server's start (EADDRINUSE).
    Raises `AssertionError` when a hundred random ports were all taken.
    """
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(_LOWEST, highest), 100):
        with socket.socket() as probe:
            # as the servers do: a connection that has just ended holds nobody up
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
    raise AssertionError(f"no free port of 127.0.0.1 from {_LOWEST} to {highest}")
