"""What add-ons bring to an inventory: found by its class, and whole in each place that asks for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from addons.flannel.section import Flannel
from addons.metallb.section import MetalLB
from addons.traefik.section import Ingress
from lab.addons import FOLDER, addons
from lab.checks.driver import Driver
from lab.checks.ingress import has_ingress, ingress_client
from lab.checks.outcomes import NotPartOfLab
from lab.inventory.addon_sections import domain, pod_interfaces, sections, versions
from lab.inventory.complete import inventory_model
from lab.inventory.problems import Loc
from lab.inventory.shape import place
from lab.inventory.stand_ins import stand_in
from lab.labs import Lab
from lab.render import firewall
from lab.render.bundle import pins
from lab.verify.layers import TESTS
from lab.verify.plugin import DRIVER, pytest_runtest_setup
from tests.world import INVENTORY, inventory

WITHOUT = INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "")


def test_a_section_is_asked_for_by_its_class() -> None:
    lab, without = inventory(), inventory(WITHOUT)
    assert lab.section(Flannel).vni == 1
    assert str(lab.section(Ingress).address) == "10.1.1.100"
    assert without.find(Ingress) is None
    assert len(without.section(MetalLB).pools) == 1
    with pytest.raises(LookupError, match=r"no section of addons\.traefik\.section"):
        without.section(Ingress)


def test_a_field_is_reached_by_its_path() -> None:
    assert inventory().number("flannel.port") == 8472
    for path in ("flannel.version", "toy.port", "flannel.nothing"):
        with pytest.raises(LookupError, match="has no number there"):
            inventory().number(path)


def test_the_domain_is_that_of_the_add_on_that_serves_names() -> None:
    assert domain(inventory()) == domain(inventory(WITHOUT)) == "test.internal"
    named = INVENTORY.replace("ingress: {", "ingress: {domain: apps.example.com, ")
    assert domain(inventory(named)) == "apps.example.com"


def test_versions_are_named_by_title_and_only_of_add_ons_the_lab_has() -> None:
    assert list(versions(inventory())) == ["Kubernetes", "containerd", "Flannel", "MetalLB", "Traefik"]
    assert list(versions(inventory(WITHOUT))) == ["Kubernetes", "containerd", "Flannel", "MetalLB"]


def test_the_firewall_takes_ports_and_interfaces_from_the_add_ons() -> None:
    lab = inventory(INVENTORY + "flannel: {vni: 7, port: 4789}\n")
    assert pod_interfaces(lab) == ("cni0", "flannel.7")
    found = {(port.port, port.protocol) for port in firewall.listening(lab, "worker-1")}
    assert {(4789, "udp"), (7946, "tcp"), (7946, "udp"), (7472, "tcp")} <= found
    assert not {(4789, "udp"), (7946, "tcp")} & {
        (port.port, port.protocol) for port in firewall.listening(lab, "haproxy")
    }


def test_a_lab_without_an_ingress_says_so_to_whoever_wants_one(tmp_path: Path) -> None:
    without = inventory(WITHOUT)
    assert not has_ingress(without)
    with pytest.raises(NotPartOfLab, match="ingress"):
        ingress_client(Driver(Lab(without, tmp_path), tmp_path, pins(without)))
    found = ingress_client(Driver(Lab(inventory(), tmp_path), tmp_path, pins(inventory())))
    assert (found.address, found.name("shop")) == ("10.1.1.100", "shop.test.internal")


def required(model: type[BaseModel], path: Loc = ()) -> list[Loc]:
    """The places of keys without default, below lists and names as well."""
    found: list[Loc] = []
    for key, field in model.model_fields.items():
        here = (*path, key)
        if field.is_required():
            found.append(here)
        for step in ((), (0,), ("name",)):
            inner = place((*here, *step))
            if inner and inner.model:
                found += required(inner.model, (*here, *step))
    return found


def test_every_required_key_has_a_stand_in_that_its_type_takes() -> None:
    """Else one refused value of an add-on's would hide all other problems of the file."""
    places = required(inventory_model())
    assert ("metallb", "pools", 0, "addresses") in places
    assert ("hosts", "name", "role") in places
    for path in places:
        assert stand_in(path) is not None, path


def test_every_section_says_what_it_is_for_and_is_of_one_key() -> None:
    keys = [addon.section for addon, section in sections() if section.model]
    assert len(set(keys)) == len(keys)
    assert all((section.model.__doc__ or "").strip() for _, section in sections() if section.model)
    assert {addon.name for addon in addons()} >= {"coredns", "flannel", "metallb", "traefik"}


def test_checks_of_an_add_on_that_the_lab_has_not_are_skipped_by_the_name_of_its_section() -> None:
    def set_up(text: str, path: Path) -> None:
        config = SimpleNamespace(stash={DRIVER: SimpleNamespace(inventory=inventory(text))})
        pytest_runtest_setup(SimpleNamespace(path=path, config=config))  # type: ignore[arg-type]

    own = FOLDER / "traefik" / "test_30_services_ingress.py"
    set_up(INVENTORY, own)
    set_up(WITHOUT, TESTS / "test_00_render.py")
    set_up(WITHOUT, FOLDER / "metallb" / "test_30_services_pools.py")
    with pytest.raises(NotPartOfLab, match=r"ingress.*so Traefik is not installed"):
        set_up(WITHOUT, own)
