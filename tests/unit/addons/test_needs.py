"""What an add-on needs is a part of its lab, and what it installs is in a catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.addons import AddOn, addons, selected
from lab.errors import InputError
from lab.inventory.rules import addons as rule
from tests.world import INVENTORY, inventory

WITHOUT = INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "")


def toy(**more: object) -> AddOn:
    """An add-on of every lab, which is not in this checkout."""
    told = {"title": "Toy", "folder": Path("addons/toy"), "namespaces": ("toy",), "ready": ("job/toy/setup",)}
    return AddOn.model_validate(told | more)


def with_toy(monkeypatch: pytest.MonkeyPatch, item: AddOn) -> None:
    """Let the rules find it beside those of the checkout."""
    chosen = selected
    monkeypatch.setattr(rule, "addons", lambda: (*addons(), item))
    monkeypatch.setattr(rule, "selected", lambda lab: (*chosen(lab), item))


def test_a_need_that_is_not_a_part_of_the_lab_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, without = inventory(), inventory(WITHOUT)
    with_toy(monkeypatch, toy(needs=("flannel", "traefik")))
    assert list(rule.needed(whole)) == []
    (problem,) = rule.needed(without)
    assert problem.rule == "Toy needs Traefik, which is not a part of this lab"
    assert problem.fix == "add the section ingress"


def test_manifests_and_programs_are_those_of_the_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    rule._made.__wrapped__()
    program = {"artifact": "flanel", "path": "/opt/cni/bin/flannel"}
    with_toy(monkeypatch, toy(manifest="flannel", on_hosts={"programs": [program]}))
    with pytest.raises(InputError) as error:
        rule._made.__wrapped__()
    assert error.value.message.splitlines() == [
        "addons/toy/addon.yaml: manifest: flannel: no catalogue.yaml has a file of this name",
        "addons/toy/addon.yaml: on_hosts.programs: flanel: no catalogue.yaml has such a program",
    ]
