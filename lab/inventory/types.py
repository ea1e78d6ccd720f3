"""The scalar types of an inventory: each says what it takes, and what to write instead.

Numbers, truth values and text are strict: a quoted number is no number, a bare number is no text.
"""

from __future__ import annotations

import re
import shlex
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo, WithJsonSchema

from lab.inventory.keys import check_key
from lab.inventory.problems import Unfit
from lab.inventory.ranges import parse_address, parse_network

ANY_NAME = "any name"
"""Validation context that takes any host name: one that is refused already must not hide other problems."""
PLAIN_BRIDGES = "localnetwork"
"""The SDN zone that Proxmox VE counts bridges to that are no VNet; it stands in paths of rights alone."""
_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_LABEL_RULE = "may hold only a-z, 0-9 and inner dashes (RFC 1123)"
_VERSION_PATTERN = r"^v?(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})$"
_MAC_PATTERN = r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"


def _matches(pattern: str, text: str) -> bool:
    # `$` alone would let a trailing line feed pass
    return bool(re.fullmatch(pattern, text, re.ASCII))


def _label(text: str) -> str:
    if _matches(_LABEL_PATTERN, text):
        return text
    if len(text) > 63:
        raise Unfit(f"is {len(text)} characters long; at most 63 are allowed", "shorten it")
    plain = _plain(text)
    raise Unfit(_LABEL_RULE, f"write {plain}" if plain else "write a name such as worker-1")


def _plain(text: str) -> str:
    """What is left of a label when all is taken out that it may not hold."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _host_name(text: str, info: ValidationInfo) -> str:
    if info.context == ANY_NAME:
        return text
    _label(text)
    if text.isdigit():
        raise Unfit("is all digits, which resolvers take for an address", f"write host-{text}")
    if text == "localhost":
        raise Unfit("names every machine itself", "choose another name")
    return text


def _domain(text: str) -> str:
    _subdomain(text)
    if text.rpartition(".")[2].isdigit():
        rule = "ends in digits alone, which resolvers take for an address (RFC 1123, 2.1)"
        raise Unfit(rule, "write a name such as home.arpa")
    return text


def _subdomain(text: str) -> str:
    parts = text.split(".")
    if not all(_matches(_LABEL_PATTERN, part) or len(part) > 63 for part in parts):
        # the whole name, or it would be followed to another one
        plain = ".".join(filter(None, map(_plain, parts)))
        rule = f"{_LABEL_RULE} between its dots"
        raise Unfit(rule, f"write {plain}" if plain else "write a name such as home.arpa")
    for part in parts:
        _label(part)
    if len(text) > 253:
        raise Unfit(f"is {len(text)} characters long; at most 253 are allowed", "shorten it")
    return text


def _server(text: str) -> str:
    if text.replace(".", "").isdigit():
        return str(parse_address(text))
    return _domain(text)


def _host_and_port(text: str) -> None:
    host, colon, port = text.partition(":")
    _server(host)
    if colon and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise Unfit(f"{port!r} is not a port", f"write it as {host}:5000")


def _registry(text: str) -> str:
    if "/" in text:
        host = text.partition("://")[2] or text
        raise Unfit("is not the name of a registry alone", f"write {host.partition('/')[0]}")
    _host_and_port(text)
    return text


def _url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("http", "https") or not separator:
        raise Unfit("is not a URL of http or https", "write it as https://mirror.example.com:5000")
    if "@" in rest:
        raise Unfit("holds credentials, which do not belong into a file", "leave them out", secret=True)
    if not _matches(r"[A-Za-z0-9.:/_-]+", rest):
        raise Unfit(
            "holds characters that no mirror's URL needs", "write it as https://mirror.example.com/v2"
        )
    _host_and_port(rest.partition("/")[0])
    return text.rstrip("/")


def _bridge(text: str) -> str:
    if _matches(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", text):
        return text
    raise Unfit("is not the name of a network interface, at most 15 characters", "write it as vmbr0")


def _zone(text: str) -> str:
    if text == PLAIN_BRIDGES or _matches(r"[A-Za-z][A-Za-z0-9]{1,7}", text):
        return text
    raise Unfit(
        "is not the name of an SDN zone, 2 to 8 letters and digits",
        f"copy it from Datacenter, SDN, Zones; a bridge is in {PLAIN_BRIDGES}",
    )


def _version(text: str) -> str:
    if _matches(_VERSION_PATTERN, text):
        return text.removeprefix("v")
    raise Unfit(
        "is not a version of three numbers", "write it as 1.31.0, all three numbers without leading zeros"
    )


def _mac(text: str) -> str:
    plain = text.lower().replace("-", ":")
    if not _matches(_MAC_PATTERN, text):
        if _matches(_MAC_PATTERN, plain):
            raise Unfit("must be lower case with colons", f"write {plain}")
        raise Unfit("is not a MAC address of six pairs of hex digits", "write it as 02:00:00:00:00:11")
    if int(text[:2], 16) & 1:
        raise Unfit(
            "is a group (multicast) address: its first pair is odd", "make the first pair even, as 02"
        )
    if text == "00:00:00:00:00:00":
        raise Unfit("is the empty MAC address", "leave it out, or write the card's own")
    return text


def _user(text: str) -> str:
    if not _matches(r"[a-z_][a-z0-9_-]{0,31}", text):
        raise Unfit(
            "is not a Linux login: a-z, 0-9, _ and -, at most 32, a letter first", "write it as plumbline"
        )
    if text == "root":
        raise Unfit("is refused: nobody logs in as root on these machines", "choose another login")
    return text


def _label_value(text: str) -> str:
    if len(text) > 63 or not _matches(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", text):
        rule = (
            "a label's value is at most 63 of A-Z, a-z, 0-9, -, _ and ., with a letter or digit at both ends"
        )
        raise Unfit(rule, "use only these characters, or write it as an annotation")
    return text


def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if slash:
        _subdomain(prefix)
    if not 1 <= len(name) <= 63 or not _matches(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", name):
        raise Unfit(
            "is not a label's name: NAME or DOMAIN/NAME, NAME at most 63 characters",
            "write it as example.com/rack",
        )
    owner = prefix == "kubernetes.io" or prefix.endswith((".kubernetes.io", ".k8s.io")) or prefix == "k8s.io"
    allowed = prefix in ("node.kubernetes.io", "kubelet.kubernetes.io") or prefix.endswith(
        (".node.kubernetes.io", ".kubelet.kubernetes.io")
    )
    if owner and not allowed and text not in ("topology.kubernetes.io/zone", "topology.kubernetes.io/region"):
        # the kubelet does not start with such a label (NodeRestriction, KEP 279)
        raise Unfit(
            "belongs to Kubernetes, and the kubelet refuses it",
            "use a domain of your own, as example.com/rack",
        )
    return text


def _host_key(text: str) -> str:
    key = check_key(text)
    if not key.startswith("ssh-ed25519 "):
        raise Unfit("is not an ed25519 key, the only type taken here", "ssh-keyscan -t ed25519 ADDRESS")
    return " ".join(key.split()[:2])


def _command_line(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError as error:
        raise Unfit(f"is not a command line: {error}", "close the quotes") from None
    return text


def _text_schema(pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


System = Literal["debian-12", "ubuntu-22.04", "ubuntu-24.04"]
Address = Annotated[IPv4Address, BeforeValidator(parse_address)]
Net = Annotated[IPv4Network, BeforeValidator(parse_network)]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Switch = Annotated[bool, Strict()]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Seconds = Annotated[int, Strict(), Field(ge=1, le=86400)]
DnsLabel = Annotated[
    str, AfterValidator(_label), _text_schema(_LABEL_PATTERN, "a-z, 0-9, inner dashes; at most 63")
]
HostName = Annotated[
    str, AfterValidator(_host_name), _text_schema(_LABEL_PATTERN, "a-z, 0-9, inner dashes; at most 63")
]
Domain = Annotated[str, AfterValidator(_domain)]
Server = Annotated[str, AfterValidator(_server)]
Registry = Annotated[str, AfterValidator(_registry)]
HostKey = Annotated[str, AfterValidator(_host_key)]
CommandLine = Annotated[str, AfterValidator(_command_line)]
Url = Annotated[str, AfterValidator(_url)]
Bridge = Annotated[str, AfterValidator(_bridge)]
Zone = Annotated[str, AfterValidator(_zone)]
Version = Annotated[
    str, AfterValidator(_version), _text_schema(_VERSION_PATTERN, "three numbers, kept without v")
]
VersionV = Annotated[
    str,
    AfterValidator(lambda text: f"v{_version(text)}"),
    _text_schema(_VERSION_PATTERN, "three numbers, kept with v"),
]
Mac = Annotated[str, AfterValidator(_mac), _text_schema(_MAC_PATTERN, "lower case, with colons")]
Login = Annotated[str, AfterValidator(_user)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
PublicKey = Annotated[str, AfterValidator(check_key)]
