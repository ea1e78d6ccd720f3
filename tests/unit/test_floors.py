"""The house has floors: a module imports from its own room and from rooms below it, never from above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from lab.inventory.providers import names, rules_of
from lab.providers.face import face

ROOT = Path(__file__).parents[2]
FLOORS = (
    *(
        "errors",
        "answers",
        "console",
        "own_yaml",
        "parts",
        "objects",
        "waits",
        "runs",
        "proxies",
        "local",
        "machines",
        "authority",
        "passwords",
    ),
    *(
        "addons",
        "catalogue",
        "inventory",
        "ssh_config",
        "ssh",
        "artifacts",
        "render",
        "cluster",
        "hosts",
        "providers",
        "labs",
        "locks",
    ),
    *("damage", "checks", "steps", "operations", "report", "load", "faults", "verify", "selftest"),
    "commands",
)
"""The rooms of `lab/`, lowest first: folders and modules; `folder.module` would be a room of its own."""
OF_ADDONS = {"section": "inventory", "dashboards": "inventory", "defects": "selftest"}
"""The rooms to which files and folders of an add-on's folder belong, by a name's first word; all others:
`checks`."""
OF_PROVIDERS = {"section": "inventory", "menu": "commands", "cli": "commands"}
"""The same for a provider's folder; all others are `providers`."""
BESIDE = {"vagrant": {"lxc"}}
"""Providers that are made of another: Vagrant's lxc backend is LXC in our own network."""
LONGEST = 300
"""Lines of a module, those of tests included."""


def modules() -> dict[str, Path]:
    """Every module of the product by its name; tests of add-ons stand in their folders, and are none."""
    paths = [*(ROOT / "lab").rglob("*.py"), *(ROOT / "addons").rglob("*.py")]
    product = [path for path in paths if not path.name.startswith(("test_", "conftest"))]
    named = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in product}
    return {name.removesuffix(".__init__"): path for name, path in named.items()}


MODULES = modules()


def imported(text: str) -> Iterator[str]:
    """The modules of the product that a text imports, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            found = name if name in MODULES else name.rpartition(".")[0]
            if found in MODULES:
                yield found


IMPORTS = {name: set(imported(path.read_text())) - {name} for name, path in MODULES.items()}


def room(name: str) -> str:
    """The room of a module: the longest of the list that it lies in; "" for the package itself."""
    if name.startswith("addons."):
        return OF_ADDONS.get([*name.split("."), ""][2].partition("_")[0], "checks")
    if provider_of(name):
        return OF_PROVIDERS.get(name.rpartition(".")[2], "providers")
    inner = name.removeprefix("lab.")
    fitting = [floor for floor in FLOORS if inner == floor or inner.startswith(f"{floor}.")]
    return max(fitting, key=len, default="")


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph; nothing when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_every_module_has_a_room_and_every_room_exists() -> None:
    assert [name for name in MODULES if not room(name) and name != "lab"] == []
    assert [floor for floor in FLOORS if f"lab.{floor}" not in MODULES] == []


def test_no_import_goes_up() -> None:
    level = {name: index for index, name in enumerate(FLOORS)}
    up = [
        f"{name} -> {other}"
        for name, others in IMPORTS.items()
        for other in others
        if room(name) and level[room(other)] > level[room(name)]
    ]
    assert up == []


def test_there_is_no_circle_of_files() -> None:
    assert circle(IMPORTS) == []


def strangers(imports: dict[str, set[str]]) -> list[str]:
    """Imports of a provider's modules by others than its own."""
    return [
        f"{name} -> {other}"
        for name, others in imports.items()
        for other in sorted(others)
        for provider in names()
        if other.startswith(f"lab.providers.{provider}.")
        if (owner := provider_of(name)) != provider and provider not in BESIDE.get(owner, ())
    ]


def provider_of(module: str) -> str:
    """The provider in whose folder a module lies; "" for all others."""
    found = [name for name in names() if f"{module}.".startswith(f"lab.providers.{name}.")]
    return found[0] if found else ""


def test_no_provider_is_imported_outside_its_folder() -> None:
    assert strangers(IMPORTS) == []


def test_an_import_of_a_provider_by_a_stranger_is_seen() -> None:
    own, others = {"lab.providers.static.face"}, {"lab.providers.lxc.face"}
    assert strangers({"lab.providers.static.power": own, "lab.providers.vagrant.face": others}) == []
    assert strangers({"lab.labs": own, "lab.providers.static.power": others}) == [
        "lab.labs -> lab.providers.static.face",
        "lab.providers.static.power -> lab.providers.lxc.face",
    ]


def test_a_folder_is_a_provider_when_it_has_a_face_and_its_rules() -> None:
    folders = {path.parent.name for path in (ROOT / "lab" / "providers").glob("*/__init__.py")}
    assert set(names()) == folders
    assert all(rules_of(name).title and face(name).open for name in names())


def test_no_module_is_too_long() -> None:
    paths = [path for folder in ("lab", "addons", "tests") for path in (ROOT / folder).rglob("*.py")]
    lengths = {path: len(path.read_text().splitlines()) for path in (*paths, ROOT / "tasks.py")}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_each_way_of_writing_an_import_is_seen_and_a_circle_is_found() -> None:
    text = "import lab.errors\nfrom lab import report\ndef f():\n    from lab.verify.run import verify\n"
    assert list(imported(text)) == ["lab.errors", "lab.report", "lab.verify.run"]
    assert circle({"a": {"b"}, "b": {"a"}})
