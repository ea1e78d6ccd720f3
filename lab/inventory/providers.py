"""The providers there are, and what an inventory must know of each.

A provider is a folder of `lab/providers/` with a `provider.yaml`; nothing lists them. Names and rules are
data; of its code, which stands above the inventory, the section alone is read here (`provider_sections`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.own_yaml import read

FOLDER = Path(__file__).parents[1] / "providers"
FILE = "provider.yaml"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Data):
    """One thing that a new inventory must know; `quoted` when the answer may need quotes in YAML.

    `assumed` stands in for it while earlier answers are judged: what leaves them the most room.
    """

    key: str
    text: str
    default: str
    quoted: bool = False
    assumed: str = ""


class Init(_Data):
    """What `invoke init` asks for a provider and writes: `host` into each machine, `text` beside the network.

    Both are formats (str.format) over the answers.
    """

    questions: tuple[Question, ...] = ()
    host: str = ""
    text: str = ""


class NeededSection(_Data):
    """A section of the inventory that the provider cannot do without; its model stands in section.py."""

    key: str
    rule: str
    fix: str


class ProviderRules(_Data):
    """What an inventory must know of one provider."""

    title: str
    """What messages call it."""
    makes: bool = True
    """Whether it makes machines, with the MAC address we give them; else they exist already."""
    stands_in: bool = False
    """Whether it makes any machine on this one, and so can rehearse any lab."""
    usual: bool = False
    """Whether a new inventory is proposed it; one provider is."""
    backends: tuple[str, ...] = ()
    """What `--backend` may choose among."""
    closed: bool = False
    """Whether its network never leaves this machine; only machines that exist may have been put there."""
    takes: Mapping[str, tuple[str, ...]] = {}
    """For fields of a host of which it does not take every value: those it takes, the usual one first."""
    refuses: tuple[str, ...] = ()
    """Fields of a host that mean nothing to it."""
    needs_hypervisor: bool = False
    vlan: bool = False
    """Whether it can give a machine's card a VLAN tag."""
    section: NeededSection | None = None
    init: Init = Init()


@cache
def names() -> tuple[str, ...]:
    """The names of all providers, sorted."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{FILE}")))


@cache
def rules_of(name: str) -> ProviderRules:
    """The rules of a provider that exists."""
    return ProviderRules.model_validate(read((FOLDER / name / FILE).read_text()))


def usual() -> str:
    """The provider that a new inventory is proposed."""
    return next(name for name in names() if rules_of(name).usual)


class ProviderName(StrEnum):
    """Who makes the machines."""

    _ignore_ = "_members"
    _members = vars()
    _members.update({name.upper(): name for name in names()})
