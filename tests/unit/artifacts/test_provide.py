"""Everything at once: what is fetched beside what is built, and an end when one of them fails."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.artifacts import programs
from lab.artifacts.entries import Entry, Key
from lab.artifacts.provide import TRANSFERS, make_all
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError
from tests.soon import SOON


class Made:
    """A source of components that are fetched (`f...`) or built (`b...`)."""

    name = "made"

    def __init__(self, names: list[str], fails: str = "") -> None:
        self.names, self.fails = names, fails
        self.begun: list[str] = []
        self.together = threading.Barrier(TRANSFERS)
        self.building = threading.Event()

    def components(self) -> list[ComponentVersion]:
        return [ComponentVersion(name, "v1") for name in self.names]

    def origin(self, _item: ComponentVersion) -> str:
        return self.name

    def fetched(self, item: ComponentVersion) -> bool:
        return item.name.startswith("f")

    def key(self, item: ComponentVersion) -> Key | None:
        return Key.of(item.name, "amd64", {})

    def behind(self, _item: ComponentVersion) -> list[Key]:
        return []

    def make(self, item: ComponentVersion) -> Entry:
        self.begun.append(item.name)
        if item.name == self.fails:
            assert self.building.wait(SOON)
            raise FailedError(f"{item.name}: does not work")
        if self.fails:
            self.building.set()
            programs.pause(SOON)  # whatever takes long ends when the work is stopped
        if item.name in ("f0", "f1", "f2", "f3"):
            self.together.wait(SOON)  # broken unless so many are at work at one time
        return Entry(Key.of(item.name, "amd64", {}), {}, None, {})


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    programs.start_anew()
    yield
    programs.start_anew()


def test_four_are_fetched_at_a_time_beside_what_is_built_in_its_order() -> None:
    source = Made(["b0", "f0", "f1", "b1", "f2", "f3", "b2"])
    tree, made = make_all(source, lambda: Path("/tree"))
    assert tree == Path("/tree")
    assert sorted(item.name for item in made) == sorted(source.names)
    assert [name for name in source.begun if name.startswith("b")] == ["b0", "b1", "b2"]


def test_nothing_new_is_begun_once_something_failed() -> None:
    source = Made(["f9", *(f"b{number}" for number in range(100))], fails="f9")
    with pytest.raises(FailedError, match="f9: does not work"):
        make_all(source, lambda: None)
    assert sorted(source.begun) == ["b0", "f9"]
    with pytest.raises(FailedError, match="being stopped"):
        programs.still_wanted("more")


def test_what_only_makes_or_refuses_something_is_not_imported_by_who_has_everything() -> None:
    """`invoke artifacts --fetch` is asked often, and answers in half a second."""
    only_then = "requests filelock lab.artifacts.compile lab.artifacts.bundle lab.inventory.salvage"
    program = (
        f"import sys, lab.commands.artifacts\nprint(sorted(set({only_then.split()}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
