"""Addresses, networks and ranges of IPv4, read strictly: one spelling, one meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from lab.inventory.problems import Unfit

_OCTETS = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)
_ZEROS = re.compile(r"\b0+(?=[0-9])", re.ASCII)
_PREFIX = re.compile(r"0|[1-9][0-9]?", re.ASCII)
_NETWORK = "write it as 10.1.1.0/24"
_RANGE = "write it as 10.1.1.100-10.1.1.150 or 10.1.1.112/28"


def parse_address(value: object, example: str = "write it as 10.1.1.11", *, written: str = "") -> IPv4Address:
    """An IPv4 address from its four decimal octets; `example` is the fix for what is none, `written` the
    whole text that the address is a part of.

    Raises `Unfit` for anything else: numbers, names, IPv6, octets above 255, and leading zeros (decimal to
    Kubernetes, octal to other tools).
    """
    if isinstance(value, IPv4Address):
        return value
    if not isinstance(value, str):
        raise Unfit("must be an IPv4 address as text", example)
    if ":" in value:
        raise Unfit("is not an IPv4 address; the lab's networks are IPv4", example)
    if "/" in value:
        raise Unfit("must be an address without a prefix length", f"write {value.partition('/')[0]}")
    match = _OCTETS.fullmatch(value)
    if not match:
        raise Unfit("is not an IPv4 address", example)
    for octet in match.groups():
        if int(octet) > 255:
            raise Unfit(f"{octet} is not an octet, which goes from 0 to 255", "correct the address")
        if octet != str(int(octet)):
            raise Unfit(f"the octet {octet} has a leading zero", f"write {_ZEROS.sub('', written or value)}")
    return IPv4Address(value)


def parse_network(value: object) -> IPv4Network:
    """An IPv4 network, A.B.C.D/N with no host bits set. Raises `Unfit` for anything else."""
    if isinstance(value, IPv4Network):
        return value
    if not isinstance(value, str):
        raise Unfit("must be an IPv4 network as text", _NETWORK)
    if "," in value:
        raise Unfit(
            "must be one network; the cluster is IPv4 only, without a second family", "write one network"
        )
    start, slash, length = value.partition("/")
    address = parse_address(start, _NETWORK, written=value)
    if not slash:
        raise Unfit("lacks the prefix length", f"write {start}/24")
    if not _PREFIX.fullmatch(length) or int(length) > 32:
        raise Unfit(f"{length!r} is not a prefix length from 0 to 32", f"write {start}/24")
    network = IPv4Network((address, int(length)), strict=False)
    if network.network_address != address:
        raise Unfit("has host bits set", f"write {network}")
    return network


@dataclass(frozen=True, order=True)
class AddressRange:
    """All addresses from `first` to `last`, both included."""

    first: IPv4Address
    last: IPv4Address

    @classmethod
    def parse(cls, value: object) -> AddressRange:
        """Read `A-B`, `A-N` (last octet), `A/N` or a single address.

        Raises `Unfit` with the rule for reversed ends, leading zeros, octets above 255 and host bits.
        """
        if isinstance(value, AddressRange):
            return value
        if not isinstance(value, str):
            raise Unfit("must be a range as text", _RANGE)
        if "/" in value:
            network = parse_network(value)
            return cls(network[0], network[-1])
        start, dash, end = (part.strip() for part in value.partition("-"))
        first = parse_address(start, _RANGE, written=value)
        if not dash:
            return cls(first, first)
        whole = end if "." in end or ":" in end else f"{start.rpartition('.')[0]}.{end}"
        last = parse_address(whole, _RANGE, written=value)
        if last < first:
            raise Unfit("the range starts after its end", f"write {last}-{first}")
        return cls(first, last)

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def overlaps(self, other: AddressRange) -> bool:
        """Whether both share an address."""
        return self.first <= other.last and other.first <= self.last

    def shared(self, other: AddressRange) -> AddressRange:
        """What two overlapping ranges have in common."""
        return AddressRange(max(self.first, other.first), min(self.last, other.last))

    @classmethod
    def of(cls, network: IPv4Network) -> AddressRange:
        """A network as a range, its first and last address included."""
        return cls(network.network_address, network.broadcast_address)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "description": "10.1.1.100-10.1.1.150, 10.1.1.100-150 or 10.1.1.112/28"}
