"""What add-ons bring to an inventory: `addons/NAME/section.py`, found and loaded.

Such a file holds one `SECTION`. It may use all of `lab.inventory`; nothing here knows an add-on by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Literal

from lab.addons import AddOn, addons
from lab.errors import InputError
from lab.inventory.conditions import unfit
from lab.inventory.models import Inventory
from lab.inventory.outside import OutsideSecret
from lab.inventory.problems import Loc, Problem
from lab.inventory.provider_sections import provider_sections
from lab.inventory.ranges import AddressRange
from lab.inventory.sections import Model
from lab.parts import part

if TYPE_CHECKING:
    from rich.console import RenderableType

Rule = Callable[[Inventory], Iterator[Problem]]
"""What a rule between fields is: the problems that it sees."""


@dataclass(frozen=True)
class LanRange:
    """Addresses of the LAN that an add-on hands out: their place in the file, and what messages call them."""

    path: Loc
    what: str
    addresses: AddressRange


@dataclass(frozen=True)
class NewLab:
    """What is known when a new inventory is written: its free addresses, in order, and its workers."""

    free: AddressRange
    workers: int

    @property
    def first(self) -> IPv4Address:
        """The first free address."""
        return self.free.first


@dataclass(frozen=True, kw_only=True)
class WebPage:
    """What an add-on shows in a browser: `url` is where it answers, `only` to whom ("": to all in the LAN).

    Behind it stands a Service, whose pods answer at `port`. `user` logs in there with the add-on's kept
    secret; "" for a page that asks for nobody.
    """

    namespace: str
    service: str
    port: int
    url: str
    only: str = ""
    user: str = ""

    @property
    def told(self) -> str:
        """Where it is, and for whom, as a line says it."""
        return f"{self.url}, {self.only}" if self.only else self.url


def _nothing(_: Inventory) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Section:
    """One add-on's part of an inventory; everything but what it needs may be left out.

    `model` is the section itself, under the key that addon.yaml names; None for an add-on that has no section
    of its own. `presence` says what a file without the key means: an error (`required`), the section with its
    defaults (`default`), or a lab without the add-on (`optional`). The functions are asked only about labs
    that have the add-on.
    """

    model: type[Model] | None = None
    presence: Literal["required", "default", "optional"] = "optional"
    rules: tuple[Rule, ...] = ()
    values: Callable[[Inventory, Mapping[str, str]], Mapping[str, Any]] = lambda *_: {}
    """Further values for its own templates, from the inventory and the images by component."""
    on_machines: Callable[[Inventory], Mapping[str, Any]] = _nothing
    """Further values for its templates of machines (`host/`)."""
    places: Callable[[Inventory], Mapping[str, str]] = _nothing
    """Machines by what addon.yaml calls them (`at` of a port)."""
    rows: Callable[[Inventory], Mapping[str, str]] = _nothing
    """What `invoke show` says about it, a line each."""
    tables: Callable[[Inventory], tuple[RenderableType, ...]] = lambda _: ()
    """What `invoke show` shows about it besides."""
    written: Callable[[NewLab], str] = lambda _: ""
    """Its lines in a new inventory; empty: none."""
    outside: Callable[[Inventory], tuple[OutsideSecret, ...]] = lambda _: ()
    """Secrets of its pods that are files of whoever runs the lab."""
    lan_ranges: Callable[[Inventory], tuple[LanRange, ...]] = lambda _: ()
    """Addresses of the LAN that it hands out."""
    served: Callable[[Inventory], tuple[str, ...]] = lambda _: ()
    """What people ask it by, as `NO_PROXY` lists it: domains with a leading dot, addresses."""
    pages: Mapping[str, Callable[[Inventory], WebPage]] = field(default_factory=dict)
    """What people open in a browser, by what they call it: a line each in `status`, and a name for `open`."""
    domain: Callable[[Inventory], str] = lambda _: ""
    """The domain whose names it serves; empty: none of its own."""
    pod_interfaces: Callable[[Inventory], tuple[str, ...]] = lambda _: ()
    """Interfaces of a node by which packets of pods come to it, if it is the pods' network."""


@cache
def sections() -> tuple[tuple[AddOn, Section], ...]:
    """Every add-on that has a section.py, in the order of add-ons.

    Raises `InputError` with all that is wrong: a file that cannot be loaded or holds no `SECTION`, a section
    without a key, two sections of one key or one of a key that the inventory has already, a key that nobody
    brings, and a condition (`when`) that the section's model cannot meet.
    """
    found: list[tuple[AddOn, Section]] = []
    problems: list[str] = []
    for addon in addons():
        try:
            if addon.has("section.py"):
                found.append((addon, _load(addon)))
        except InputError as error:
            problems.append(error.message)
    owners: dict[str, AddOn] = {}
    models: dict[str, type[Model]] = {}
    for addon, section in found:
        if section.model is None:
            continue
        place = f"addons/{addon.folder.name}/addon.yaml: section"
        if not addon.section:
            problems.append(f"{place}: is missing; it is the key of section.py's model")
        elif addon.section in owners:
            other = owners[addon.section].folder.name
            problems.append(f"{place}: {addon.section}: is that of addons/{other} as well; rename one")
        elif addon.section in {*Inventory.model_fields, *provider_sections()}:
            problems.append(f"{place}: {addon.section}: is a key of every inventory already; choose another")
        else:
            owners[addon.section], models[addon.section] = addon, section.model
    # what could not be loaded may have brought the key
    for addon in addons() if not problems else ():
        if addon.section and addon.section not in owners:
            known = ", ".join(owners) or "none"
            problems.append(
                f"addons/{addon.folder.name}/addon.yaml: section: {addon.section}: no section.py brings it; "
                f"there are: {known}"
            )
        elif addon.when and (rule := unfit(models[addon.section], addon.section, addon.when)):
            problems.append(f"addons/{addon.folder.name}/addon.yaml: when: {addon.when}: {rule}")
    if problems:
        raise InputError("\n".join(problems), next_step="correct the file, or remove its folder of addons")
    return tuple(found)


def of_lab(inventory: Inventory) -> Iterator[tuple[AddOn, Section]]:
    """The sections of the add-ons that are part of a lab."""
    for addon, section in sections():
        if addon.is_part_of(inventory):
            yield addon, section


def section_of(addon: AddOn) -> Section | None:
    """What an add-on brings; None when it has no section.py."""
    return next((section for one, section in sections() if one is addon), None)


def place_of(inventory: Inventory, addon: AddOn, name: str) -> str:
    """The machine that an add-on's section calls by a name. Raises `LookupError` when it calls none so."""
    section = section_of(addon)
    places = section.places(inventory) if section else {}
    if name not in places:
        raise LookupError(f"addons/{addon.folder.name}: at: {name}: its section.py knows no such place")
    return places[name]


def values_on_machines(inventory: Inventory, addon: AddOn) -> Mapping[str, Any]:
    """What an add-on's templates of machines know besides, by its section."""
    section = section_of(addon)
    return section.on_machines(inventory) if section else {}


def outside(inventory: Inventory, addon: AddOn) -> tuple[OutsideSecret, ...]:
    """The secrets of an add-on that are files of whoever runs the lab."""
    section = section_of(addon)
    return section.outside(inventory) if section else ()


def versions(inventory: Inventory) -> dict[str, str]:
    """The versions that the inventory names, by what people call the thing."""
    found = {"Kubernetes": inventory.kubernetes.version, "containerd": inventory.containerd.version}
    for addon, section in of_lab(inventory):
        if section.model and "version" in section.model.model_fields:
            found[addon.title] = getattr(inventory, addon.section).version
    return found


def pages(inventory: Inventory) -> dict[str, tuple[AddOn, WebPage]]:
    """What people open in a browser of this lab, by what they call it, with the add-on that shows it."""
    return {
        name: (addon, made(inventory))
        for addon, section in of_lab(inventory)
        for name, made in section.pages.items()
    }


def page_owners() -> dict[str, AddOn]:
    """The names of all pages that a lab could have, with the add-on that shows each."""
    return {name: addon for addon, section in sections() for name in section.pages}


def addresses(inventory: Inventory) -> dict[str, str]:
    """Where people find what add-ons show them, by what they call it."""
    return {name: page.told for name, (_, page) in pages(inventory).items()}


def domain(inventory: Inventory) -> str:
    """The domain of what the lab serves by name: what an add-on's section says, else LAB.internal."""
    named = (section.domain(inventory) for _, section in of_lab(inventory))
    return next(filter(None, named), f"{inventory.lab}.internal")


def pod_interfaces(inventory: Inventory) -> tuple[str, ...]:
    """Interfaces of a node by which packets of pods come to it."""
    return tuple(name for _, section in of_lab(inventory) for name in section.pod_interfaces(inventory))


def _load(addon: AddOn) -> Section:
    found = part(f"{addon.module}.section", "SECTION")
    if not isinstance(found, Section):
        place = f"addons/{addon.folder.name}/section.py"
        raise InputError(f"{place}: SECTION: must be a Section(...) of lab.inventory.addon_sections")
    return found
