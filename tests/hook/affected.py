"""Which unit tests belong to changed files: those that import one, however far away, or read the tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

ALL = ("tests/unit",)
PAGES = ("tests/unit/test_generated.py",)
"""Of pages only the generated ones are tested."""
FOUND = {
    "lab.checks.alerts": ("addons/*/client.py",),
    "lab.checks.ingress": ("addons/*/client.py",),
    "lab.commands.generated": ("addons/*/pages.py",),
    "lab.commands": ("lab/commands/*.py", "lab/providers/*/cli.py"),
    "lab.commands.menu": ("lab/providers/*/menu.py",),
    "lab.inventory.addon_sections": ("addons/*/section.py",),
    "lab.inventory.provider_sections": ("lab/providers/*/section.py",),
    "lab.operations": ("lab/operations/*.py",),
    "lab.providers.face": ("lab/providers/*/face.py",),
    "lab.selftest.catalogue": ("lab/selftest/defects/*.py", "addons/*/defects.py"),
    "lab.steps.removing": ("addons/*/removal.py",),
    "lab.verify.layers": (
        *("tests/acceptance/*.py", "addons/*/test_*.py", "addons/*/conftest.py"),
        "lab/providers/*/test_*.py",
    ),
}
"""What a module imports by a name that it finds when it runs; a unit test compares this with the code."""
BY_NAME = re.compile(r"lab(\.\w+)+")
"""Of a module in a string, as `monkeypatch.setattr` takes it."""


def affected(tree: Tree, changed: Iterable[str]) -> tuple[str, ...]:
    """The unit tests to run, as arguments of pytest; `changed` are paths below the root of the checkout.

    Templates, roles and other data belong to no module: after a change of them all tests are run. So they are
    when a module is gone, since who imported it cannot be seen any more.
    """
    changes = set(changed)
    pages = {path for path in changes if path.endswith(".md")}
    code = changes - pages
    if not code:
        return PAGES if pages else ()
    if not code <= set(tree.names):
        return ALL
    reached = tree.who_imports({tree.names[path] for path in code})
    tests = [path for path, name in tree.names.items() if _is_test(path) and name in reached]
    tests += [path for path in tree.names if _is_test(path) and tree.reads_files(path)]
    return tuple(sorted({*tests, *(PAGES if pages else ())}))


def _is_test(path: str) -> bool:
    return path.startswith("tests/unit/") and path.rpartition("/")[2].startswith("test_")


class Tree:
    """The modules of a checkout and who imports whom."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [root / "tasks.py"]
        paths += [path for folder in ("lab", "addons", "tests") for path in (root / folder).rglob("*.py")]
        relative = [path.relative_to(root) for path in paths]
        self.names = {str(path): ".".join(path.with_suffix("").parts) for path in relative}
        """Name of each module by its path; a package is named without its `__init__`."""
        self.names = {path: name.removesuffix(".__init__") for path, name in self.names.items()}
        self._known = set(self.names.values())
        self._texts = {path: (root / path).read_text(encoding="utf-8") for path in self.names}

    def reads_files(self, path: str) -> bool:
        """Whether a test looks at files of the checkout instead of importing them.

        One that starts commands as well costs seconds: it is run when it imports what changed, and with all.
        """
        return "__file__" in self._texts[path] and "sys.executable" not in self._texts[path]

    @cached_property
    def importers(self) -> dict[str, set[str]]:
        """Who imports a module by itself."""
        found: dict[str, set[str]] = {}
        for path, name in self.names.items():
            for other in self._imports(path, name):
                found.setdefault(other, set()).add(name)
        return found

    def who_imports(self, names: set[str]) -> set[str]:
        """These modules and all that import one of them, however far away."""
        reached, waiting = set(names), list(names)
        while waiting:
            new = self.importers.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        return reached

    def _imports(self, path: str, name: str) -> Iterator[str]:
        for pattern in FOUND.get(name, ()):
            yield from (self.names[str(file.relative_to(self.root))] for file in self.root.glob(pattern))
        if path.startswith("tests/"):
            # pytest hands a test what the conftest.py of its folder, and of those above it, defines
            parents = name.split(".")[:-1]
            yield from (".".join([*parents[:depth], "conftest"]) for depth in range(1, len(parents) + 1))
        for node in ast.walk(ast.parse(self._texts[path])):
            written: list[str] = []
            if isinstance(node, ast.Import):
                written = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                written = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                written = [node.value] if BY_NAME.fullmatch(node.value) else []
            for item in written:
                yield from self._with_parents(item)

    def _with_parents(self, name: str) -> Iterator[str]:
        """A module and the packages it lies in, which are imported before it."""
        while name:
            if name in self._known:
                yield name
            name = name.rpartition(".")[0]
