"""The internet's name server of a lab that has none: it knows a few names, and that there are no others.

An embedded lab's name server is by default its gateway, which is this machine's own place in the lab's
network, and nobody answers there. All that stands between a pod and a name server is the lab's all the same:
CoreDNS, the resolver that it was given, rules and routes of the nodes. RFC 1035, 4.1.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from lab.checks.outcomes import CouldNotTell

PORT = 53
ADDRESS = IPv4Address("192.0.2.10")
"""What each known name resolves to: an address of nobody (RFC 5737)."""
_A, _IN, _SECONDS = 1, 1, 5
_GOOD, _NO_NAME = 0x8580, 0x8583
"""Flags of an answer with authority: no error, and no such name."""
_HEADER = struct.Struct("!6H")


def question(packet: bytes) -> tuple[str, int, bytes]:
    """Name (in lower case, without the last dot), type and bytes of a packet's question.

    Raises `ValueError` for what asks nothing.
    """
    if len(packet) < _HEADER.size or _HEADER.unpack_from(packet)[2] != 1:
        raise ValueError("no question")
    labels, place = [], _HEADER.size
    while place < len(packet) and packet[place]:
        end = place + 1 + packet[place]
        labels.append(packet[place + 1 : end])
        place = end
    if len(packet) < place + 5:
        raise ValueError("a question that was cut")
    (kind,) = struct.unpack_from("!H", packet, place + 1)
    return b".".join(labels).decode(errors="replace").lower(), kind, packet[_HEADER.size : place + 5]


def answer(packet: bytes, known: Iterable[str]) -> bytes:
    """The answer to a packet: `ADDRESS` for a known name, no such name for any other."""
    name, kind, asked = question(packet)
    there = name in set(known)
    records = b""
    if there and kind == _A:
        # the name is the one of the question, which begins after the header
        records = struct.pack("!HHHLH", 0xC000 | _HEADER.size, _A, _IN, _SECONDS, 4) + ADDRESS.packed
    (number,) = struct.unpack_from("!H", packet)
    head = _HEADER.pack(number, _GOOD if there else _NO_NAME, 1, bool(records), 0, 0)
    return head + asked + records


@contextmanager
def serving(address: IPv4Address, known: Iterable[str], port: int = PORT) -> Iterator[int]:
    """Such a name server at an address of this process' network while the block runs; gives back its port.

    Raises `CouldNotTell` when the address cannot be taken, but for one at which somebody serves already.
    """
    names = tuple(known)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.bind((str(address), port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CouldNotTell(f"{address}:{port}: {error.strerror}", next_step="run as root") from error
            yield port
            return
        asked.settimeout(0.2)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(asked, names, over), name="names", daemon=True)
        thread.start()
        try:
            yield int(asked.getsockname()[1])
        finally:
            over.set()
            thread.join(5)


def _serve(asked: socket.socket, names: tuple[str, ...], over: threading.Event) -> None:
    while not over.is_set():
        try:
            packet, client = asked.recvfrom(4096)
            asked.sendto(answer(packet, names), client)
        except (TimeoutError, ValueError):
            continue  # nobody asked, or no question
        except OSError:
            continue  # an answer that could not be sent is asked for again
