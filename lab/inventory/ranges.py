"""Ranges of IPv4 addresses, written as MetalLB writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, order=True)
class AddressRange:
    """All addresses from `first` to `last`, both included."""

    first: IPv4Address
    last: IPv4Address

    @classmethod
    def parse(cls, text: object) -> AddressRange:
        """Read `A-B`, `A-N` (last octet), `A/N` or a single address.

        Raises `ValueError` with the rule for reversed ends, leading zeros and octets above 255.
        """
        if isinstance(text, AddressRange):
            return text
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is not text; write a range as 10.1.1.100-10.1.1.150 or 10.1.1.112/28")
        if "/" in text:
            network = IPv4Network(text)
            return cls(network[0], network[-1])
        start, dash, end = (part.strip() for part in text.partition("-"))
        first = IPv4Address(start)
        if not dash:
            return cls(first, first)
        last = IPv4Address(end if "." in end else f"{start.rpartition('.')[0]}.{end}")
        if last < first:
            raise ValueError(f"the range starts after its end; write {last}-{first}")
        return cls(first, last)

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def __iter__(self) -> Iterator[IPv4Address]:
        return (IPv4Address(number) for number in range(int(self.first), int(self.last) + 1))

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def overlaps(self, other: AddressRange) -> bool:
        """Whether both share an address."""
        return self.first <= other.last and other.first <= self.last

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "description": "10.1.1.100-10.1.1.150, 10.1.1.100-150 or 10.1.1.112/28"}
