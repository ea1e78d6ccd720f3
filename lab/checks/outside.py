"""Clients outside the nodes: HTTP, TCP and ARP from the harness's own place on the LAN.

An answer of the lab that says no (refused, unreachable, no answer in time) is `Refused`: something a check
judges. What keeps the harness itself from asking (no rights, no route) is `CouldNotTell`. Nothing here pings:
an address may answer pings and serve nothing, and the other way round (metallb#1828).
"""

from __future__ import annotations

import errno
import http.client
import json
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused
from lab.errors import CommandError
from lab.local import run

OURS = {errno.EPERM, errno.EACCES, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE}
"""Errors of a socket that tell about this machine, not about the lab."""

LATE_SECONDS = 5
"""Whoever answers ARP for an address is a program, and on a busy machine not a fast one."""

ADDRESSES_AT_ONCE = 32
"""A thread each, and one more for each port."""

TOOL_SECONDS = 60
"""For `ip` on this machine: it guards against hanging alone."""

_ARP, _IPV4, _ETHERNET, _REQUEST, _REPLY = 0x0806, 0x0800, 1, 1, 2


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: str
    headers: dict[str, str]

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises `Refused` when it is none: another program answered."""
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refused(f"an answer that is no JSON object: {self.body[:120]!r}")
        return found


def translated(what: str, error: OSError) -> Exception:
    """An error of a socket as `Refused`, or as `CouldNotTell` when it tells about this machine."""
    if error.errno in OURS:
        return CouldNotTell(f"{what}: {error.strerror}", next_step="invoke shell")
    if isinstance(error, TimeoutError):
        return Refused(f"{what}: no answer in time")
    return Refused(f"{what}: {error.strerror or error}")


def tcp(address: str, port: int, *, seconds: float = 2) -> None:
    """Open a connection and close it. Raises `Refused` when nobody takes it."""
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError as error:
        raise translated(f"{address}:{port}", error) from error


def _open_ports(address: str, ports: Iterable[int], *, seconds: float) -> dict[int, str]:
    """What comes of connecting to each port, all at the same time: "open", or why not.

    A port that stays silent costs the whole time, so asking one after the other would be slow. Raises
    `CouldNotTell` like `tcp`.
    """

    def ask(port: int) -> str:
        try:
            tcp(address, port, seconds=seconds)
        except Refused as error:
            return str(error)
        return "open"

    wanted = list(ports)
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        return dict(zip(wanted, pool.map(ask, wanted), strict=True))


def knock(wanted: Mapping[str, Iterable[int]], *, seconds: float) -> dict[str, Future[dict[int, str]]]:
    """Begin to connect to ports of many addresses at the same time; what came of it is there when asked for:
    by port "open", or why not, or `CouldNotTell` like `tcp`."""
    pool = ThreadPoolExecutor(ADDRESSES_AT_ONCE)
    asked = {at: pool.submit(_open_ports, at, ports, seconds=seconds) for at, ports in wanted.items()}
    pool.shutdown(wait=False)
    return asked


def udp(address: str, port: int, text: str, *, seconds: float = 1, times: int = 3) -> str:
    """Send a datagram and give back the answer. Raises `Refused` when none comes.

    A datagram may be lost by right, so it is sent again after `seconds`, `times` in all, from the same port:
    a balancer takes it to the same endpoint.
    """
    what = f"udp://{address}:{port}"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.settimeout(seconds)
            wire.connect((address, port))
            for _ in range(times):
                wire.send(text.encode())
                with suppress(TimeoutError):
                    return wire.recv(4096).decode(errors="replace")
    except OSError as error:
        raise translated(what, error) from error
    raise Refused(f"{what}: no answer to {times} datagrams")


def http_get(
    address: str,
    port: int,
    path: str = "/",
    *,
    seconds: float = 2,
    tls: ssl.SSLContext | None = None,
    name: str = "",
    headers: dict[str, str] | None = None,
) -> Answer:
    """GET over a new connection, so that every request is balanced anew.

    `name` is who is asked for at that address (Host and TLS server name); default: the address. Raises
    `Refused` without an answer.
    """
    what = f"http{'s' if tls else ''}://{name or address}:{port}{path}"
    connection = http.client.HTTPConnection(name or address, port, timeout=seconds)
    try:
        wire = socket.create_connection((address, port), seconds)
        connection.sock = tls.wrap_socket(wire, server_hostname=name or address) if tls else wire
        host = {"Host": name} if name else {}
        connection.request("GET", path, headers={"Connection": "close"} | host | (headers or {}))
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except ssl.SSLError as error:
        raise Refused(f"{what}: TLS: {error.reason or error}") from error
    except OSError as error:
        raise translated(what, error) from error
    except http.client.HTTPException as error:
        raise Refused(f"{what}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    return Answer(answer.status, body, {key.lower(): value for key, value in answer.getheaders()})


def served_certificate(address: str, port: int, *, name: str | None = None, seconds: float = 3) -> bytes:
    """The certificate (DER) that a TLS server presents, whoever signed it; `name` is who is asked for."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            found = wrapped.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        raise Refused(f"{address}:{port}: TLS: {error.reason or error}") from error
    except OSError as error:
        raise translated(f"{address}:{port}", error) from error
    if not found:
        raise Refused(f"{address}:{port}: no certificate presented")
    return found


@dataclass(frozen=True)
class LanInterface:
    """The harness's own place on the LAN."""

    interface: str
    address: IPv4Address
    mac: str


def lan_interface(lan: IPv4Network) -> LanInterface:
    """Where this process sits on the LAN. Raises `CouldNotTell` when it is not on it."""
    for link in json.loads(run(["ip", "-j", "-4", "address", "show"], timeout=TOOL_SECONDS).stdout):
        for item in link.get("addr_info", []):
            if IPv4Interface(f"{item['local']}/{item['prefixlen']}").ip in lan:
                links = json.loads(
                    run(["ip", "-j", "link", "show", link["ifname"]], timeout=TOOL_SECONDS).stdout
                )
                return LanInterface(link["ifname"], IPv4Address(item["local"]), links[0]["address"])
    raise CouldNotTell(
        f"this process has no address on the LAN {lan}", next_step="run verify from a machine on that LAN"
    )


def arp_owners(place: LanInterface, address: str, *, seconds: float = 1.2, asked: int = 2) -> dict[str, int]:
    """Who answers ARP for an address: replies by MAC, listened for so many seconds after each question."""
    frame = arp_question(place, IPv4Address(address))
    found: dict[str, int] = {}
    try:
        with arp_wire(place) as wire:
            for _ in range(asked):
                wire.send(frame)
                deadline = time.monotonic() + seconds / asked
                while (left := deadline - time.monotonic()) > 0:
                    if select.select([wire], [], [], left)[0]:
                        owner, about = arp_reply(wire.recv(2048))
                        if owner and about == IPv4Address(address):
                            found[owner] = found.get(owner, 0) + 1
    except OSError as error:
        raise CouldNotTell(f"ARP on {place.interface}: {error.strerror}", next_step="run as root") from error
    return found


def address_owners(place: LanInterface, address: str) -> dict[str, int]:
    """`arp_owners`, listened for some seconds more when nobody has answered."""
    return arp_owners(place, address) or arp_owners(place, address, seconds=LATE_SECONDS, asked=LATE_SECONDS)


def forget_neighbour(place: LanInterface, address: str) -> None:
    """Ask for the address's owner anew at the next packet: one remembered from before may still take it."""
    try:
        run(["ip", "neigh", "flush", "to", address, "dev", place.interface], timeout=TOOL_SECONDS)
    except CommandError as error:
        raise CouldNotTell(f"neighbours on {place.interface}: {error}", next_step="run as root") from error


def arp_wire(place: LanInterface) -> socket.socket:
    """A socket for ARP on the LAN. Raises `OSError` without root's rights."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP))
    wire.bind((place.interface, _ARP))
    return wire


def arp_question(place: LanInterface, address: IPv4Address) -> bytes:
    """The frame that asks everybody who has an address."""
    mac = bytes.fromhex(place.mac.replace(":", ""))
    return (
        b"\xff" * 6
        + mac
        + struct.pack("!HHHBBH", _ARP, _ETHERNET, _IPV4, 6, 4, _REQUEST)
        + mac
        + place.address.packed
        + b"\0" * 6
        + address.packed
    )


def arp_reply(frame: bytes) -> tuple[str, IPv4Address | None]:
    """The sender of an ARP reply and the address that it says it has; "" and None for any other frame."""
    if len(frame) < 42 or struct.unpack("!H", frame[12:14])[0] != _ARP:
        return "", None
    if struct.unpack("!H", frame[20:22])[0] != _REPLY:
        return "", None
    return frame[22:28].hex(":"), IPv4Address(frame[28:32])
