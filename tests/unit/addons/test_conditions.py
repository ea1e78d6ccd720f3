"""A condition of an add-on decides something: its place is in the section's model, and can be missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from lab.addons import AddOn, addons, load, selected
from lab.artifacts.wanted import wanted
from lab.checks.outcomes import NotPartOfLab
from lab.errors import InputError
from lab.inventory import addon_sections
from lab.inventory.conditions import unfit
from lab.inventory.rules import addons as needs
from lab.inventory.rules import ports
from lab.inventory.sections import Model
from lab.render import firewall
from lab.verify import plugin
from lab.verify.plugin import DRIVER, pytest_runtest_setup
from tests.world import INVENTORY, inventory


class Logs(Model):
    """Where logs go."""

    store: Literal["loki", "other"] = "loki"
    days: int = 14


class Toy(Model):
    """A section."""

    logs: Logs | None = None
    rules: Logs = Logs()
    items: tuple[Logs, ...] = ()
    port: int | None = None


@pytest.mark.parametrize("when", ["logs", "port", "logs.store", "logs.store=loki", "rules.store=other"])
def test_a_condition_that_decides_something_is_taken(when: str) -> None:
    assert unfit(Toy, "toy", when) == ""


@pytest.mark.parametrize(
    ("when", "rule"),
    [
        ("log", "toy has no key log; there are: logs, rules, items, port"),
        ("logs.stor=loki", "toy.logs has no key stor; there are: store, days"),
        ("logs.store.kind", "toy.logs.store has no key kind; there are: none"),
        ("items.store", "toy.items has no key store; there are: none"),
        ("logs.store=lokii", "toy.logs.store must be one of loki, other"),
        ("logs.days=14", "toy.logs.days is no closed list of values; leave =14 out"),
        ("rules", "toy.rules is a part of every toy; leave `when` out, or write =VALUE"),
        ("rules.store", "toy.rules.store is a part of every toy; leave `when` out, or write =VALUE"),
    ],
)
def test_a_condition_that_no_inventory_meets_or_every_one_is_refused(when: str, rule: str) -> None:
    assert unfit(Toy, "toy", when) == rule


TRAEFIK = next(item for item in addons() if item.name == "traefik")
WITH = inventory(INVENTORY.replace("ingress: {", "ingress: {domain: apps.example.com, "))
WITHOUT = inventory()
PORT = {"name": "its port", "port": 9999, "protocol": "tcp", "from": ["nodes"]}


def conditional(monkeypatch: pytest.MonkeyPatch, when: str = "domain") -> AddOn:
    """Traefik as a part of those labs alone whose ingress names a domain, and with a port of the nodes."""
    told = TRAEFIK.model_dump(by_alias=True) | {"when": when, "ports": [PORT]}
    item = AddOn.model_validate(told)
    found = tuple(item if one is TRAEFIK else one for one in addons())
    for module in (load, addon_sections, plugin, needs, ports):
        monkeypatch.setattr(module, "addons", lambda: found)
    own = tuple((item if one is TRAEFIK else one, section) for one, section in addon_sections.sections())
    monkeypatch.setattr(addon_sections, "sections", lambda: own)
    return item


def test_what_is_wrong_with_a_condition_is_told_with_file_and_field(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = addon_sections.sections.__wrapped__
    conditional(monkeypatch, "domains")
    with pytest.raises(InputError) as error:
        loaded()
    assert error.value.message.startswith(
        "addons/traefik/addon.yaml: when: domains: ingress has no key domains; there are: address, "
    )
    conditional(monkeypatch)
    assert len(loaded()) >= 3


def test_a_lab_without_the_condition_has_nothing_of_the_add_on(monkeypatch: pytest.MonkeyPatch) -> None:
    item = conditional(monkeypatch)
    for lab, there in ((WITH, True), (WITHOUT, False)):
        assert (item in selected(lab)) is there
        assert (item in [addon for addon, _ in addon_sections.of_lab(lab)]) is there
        assert ("Traefik" in addon_sections.versions(lab)) is there
        assert ("traefik" in [one.name for one in wanted(lab)]) is there
        assert (9999 in [port.port for port in firewall.listening(lab, "worker-1")]) is there


def test_a_port_of_an_add_on_that_the_lab_has_not_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"kubernetes": WITH.kubernetes.model_copy(update={"api_port": 9999})}
    conditional(monkeypatch)
    monkeypatch.setattr(ports, "_of_addons", ports._of_addons.__wrapped__)
    assert not list(ports.ports(WITHOUT.model_copy(update=busy)))
    (problem,) = ports.ports(WITH.model_copy(update=busy))
    assert problem.rule == "is the port of its port"


def test_its_checks_are_skipped_by_the_name_of_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    item = conditional(monkeypatch)
    test = SimpleNamespace(path=item.folder / "test_30_services_ingress.py")
    test.config = SimpleNamespace(stash={DRIVER: SimpleNamespace(inventory=WITH)})
    pytest_runtest_setup(test)  # type: ignore[arg-type]
    test.config.stash = {DRIVER: SimpleNamespace(inventory=WITHOUT)}
    with pytest.raises(NotPartOfLab, match=r"^ingress\.domain: .* no such section, so Traefik is"):
        pytest_runtest_setup(test)  # type: ignore[arg-type]


def test_who_needs_it_is_told_what_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    item = conditional(monkeypatch)
    told = {"title": "Toy", "folder": Path("addons/toy"), "namespaces": ("toy",), "ready": ("job/toy/setup",)}
    toy = AddOn.model_validate(told | {"needs": (item.name,)})
    chosen = selected
    monkeypatch.setattr(needs, "selected", lambda lab: (*chosen(lab), toy))
    (problem,) = needs.needed(WITHOUT)
    assert (problem.path, problem.fix) == ((), "add ingress.domain")
    assert problem.depends == (("ingress", "domain"),)
    assert not list(needs.needed(WITH))
