"""One meaning a name: whoever looks for a class finds one; a provider is named in its own folder alone."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator

from lab.addons import addons
from lab.inventory.addon_sections import pod_interfaces
from lab.inventory.providers import names
from tests.unit.test_floors import MODULES, ROOT, provider_of
from tests.world import inventory

ENGLISH = {"static"}
"""Names of providers that are words of English as well: in a longer text they mean nothing here."""
ELSE = {"test_10_node_system.py": {"static"}}
"""What means something else as a whole value, too: a state of systemd's unit files."""


def test_no_two_public_classes_have_one_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_the_type_of_kubernetes_objects_stands_in_one_module() -> None:
    places = [
        module
        for module, path in MODULES.items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "Object"
    ]
    assert places == ["lab.objects"]


def named(text: str, known: Collection[str]) -> Iterator[str]:
    """The names that a module's identifiers and values say, with the line; docstrings only explain."""
    tree = ast.parse(text)
    explaining = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(said)) if id(node) not in explaining:
                words = {said} | (set(re.findall(r"[a-z]+", said.lower())) - ENGLISH)
            case (
                ast.Name(id=said) | ast.Attribute(attr=said) | ast.arg(arg=said) | ast.keyword(arg=str(said))
            ):
                words = set(re.findall(r"[a-z]+", said.lower())) - ENGLISH
            case _:
                continue
        yield from (f"{node.lineno}: {name}" for name in known if name in words)


def test_no_provider_is_named_outside_its_folder() -> None:
    """The code that every provider shares, the menu and the suite ask faces, rules and traits."""
    shared = {name: path for name, path in MODULES.items() if not provider_of(name)}
    files = [*shared.values(), ROOT / "tasks.py", *ROOT.glob("tests/acceptance/*.py")]
    found = [
        f"{path.name}:{said}"
        for path in files
        for said in named(path.read_text(), names())
        if said.partition(": ")[2] not in ELSE.get(path.name, ())
    ]
    assert found == []


def test_a_name_is_seen_as_a_value_an_attribute_and_a_word_of_a_text() -> None:
    fine = '"""Vagrant has its own card."""\nheld = "manifests of static pods"\nstatic_pods = held\n'
    assert list(named(fine, names())) == []
    wrong = 'one = "static"\ntwo = lab.proxmox\nthree = "-p lxc: here"\nvagrant_box = 4\nf(lxc=5)\n'
    assert sorted(named(wrong, names())) == ["1: static", "2: proxmox", "3: lxc", "4: vagrant", "5: lxc"]


OF_ADDONS = {
    "bench_inventory.py": {"metallb"},
    "reference.py": {"metallb"},
    "objects.py": {"coredns"},
    "resolver.py": {"coredns"},
    "network.py": {"metallb"},
}
"""Who may name an add-on, and why: docs/adr/0025."""


def test_no_add_on_is_named_outside_its_folder() -> None:
    """Neither by its name, nor by that of a process or an interface that it brings."""
    own = {item.name for item in addons()} | {one for item in addons() for one in item.on_hosts.processes}
    own |= {name.partition(".")[0] for name in pod_interfaces(inventory())}
    files = [path for name, path in MODULES.items() if name.startswith("lab")]
    found = [
        f"{path.name}:{said}"
        for path in [*files, ROOT / "tasks.py", *ROOT.glob("tests/acceptance/*.py")]
        for said in named(path.read_text(), own)
        if said.partition(": ")[2] not in OF_ADDONS.get(path.name, ())
    ]
    assert found == []
