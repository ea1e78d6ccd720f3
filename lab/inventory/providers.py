"""The providers there are, and what an inventory must know of each.

A provider is a folder of `lab/providers/` with a `provider.yaml`; nothing lists them. Names and rules are
data; of its code, which stands above the inventory, the section alone is read here (`provider_sections`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.addons.load import has_files
from lab.errors import InputError
from lab.own_yaml import load

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
    shares_kernel: bool = False
    """Whether all its machines share this machine's kernel: CPU, memory, load and clock are not their own."""
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
def known(folder: Path = FOLDER) -> Mapping[str, ProviderRules]:
    """The rules of every provider. Raises `InputError` with all that is wrong, each with file and field.

    A folder without any file is none: git leaves those of another branch, with Python's caches in them.
    """
    found: dict[str, ProviderRules] = {}
    problems: list[str] = []
    for path in sorted(path for path in folder.glob("[!._]*/") if has_files(path)):
        place = f"lab/providers/{path.name}"
        problems += [
            f"{place}/{file}: is missing; write it, or remove the folder"
            for file in (FILE, "face.py")
            if not (path / file).is_file()
        ]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", path.name):
            problems.append(f"{place}: the folder's name may hold only a-z, 0-9 and _, as bare_metal")
        if (path / FILE).is_file():
            try:
                found[path.name] = load(path / FILE, ProviderRules)
            except InputError as error:
                problems.append(error.message)
    usual = [name for name, rules in found.items() if rules.usual]
    if len(usual) != 1 and not problems:
        said = f"is that of {' and '.join(usual)}" if usual else "no provider has it"
        problems.append(f"lab/providers/*/{FILE}: usual: {said}; one provider is proposed to a new inventory")
    if problems:
        raise InputError("\n".join(problems), next_step="correct the file, or: git checkout -- lab/providers")
    return found


def rules_of(name: str) -> ProviderRules:
    """The rules of a provider that exists."""
    return known()[name]


def usual() -> str:
    """The provider that a new inventory is proposed."""
    return next(name for name in names() if rules_of(name).usual)


class ProviderName(StrEnum):
    """Who makes the machines."""

    _ignore_ = "_members"
    _members = vars()
    _members.update({name.upper(): name for name in names()})
