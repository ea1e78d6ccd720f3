"""What making things for another architecture takes is told before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.artifacts import choice
from lab.artifacts.choice import check_cross, source_of
from lab.artifacts.images import CONFIG
from lab.artifacts.provide import root_filesystem
from lab.artifacts.sources.modules import LAYER_TAR
from lab.artifacts.store import Store
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.catalogue.catalogue import Selection
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import Image, Programs
from lab.errors import FailedError, PreflightError
from tests.world import inventory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of the other kind with nothing installed: a folder for programs, and what its kernel runs."""
    for name in ("bin", "binfmt"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(choice, "BINFMT", tmp_path / "binfmt")
    monkeypatch.setattr("lab.artifacts.compile.host_arch", lambda: "amd64")
    return tmp_path


def selected() -> Selection:
    return load_catalogue().select(wanted(inventory()))


def check(store: Store, source: str) -> None:
    selection = selected()
    check_cross(store, selection, source_of(source, store, selection, "arm64", print), "arm64")


@pytest.mark.usefixtures("machine")
def test_everything_that_is_missing_is_told_at_once(store: Store) -> None:
    with pytest.raises(PreflightError, match=r"Debian layer under some images.*pause") as refused:
        check(store, "modules")
    packages = "qemu-user-static binfmt-support gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
    assert refused.value.next_step == f"apt-get install {packages}, or use --source upstream"


def test_only_what_is_missing_is_asked_for(machine: Path, store: Store) -> None:
    (machine / "binfmt" / "qemu-aarch64").touch()
    with pytest.raises(PreflightError, match="aarch64-linux-gnu-gcc") as refused:
        check(store, "modules")
    assert "qemu" not in refused.value.next_step
    compiler = machine / "bin" / "aarch64-linux-gnu-gcc"
    compiler.touch(mode=0o755)
    check(store, "modules")


@pytest.mark.usefixtures("machine")
def test_official_files_need_nothing(store: Store) -> None:
    check(store, "upstream")


def test_a_mirror_takes_what_is_there_and_names_all_that_is_not(store: Store) -> None:
    """Nothing is made or fetched for it: not even the recipe that another source would follow."""
    selection = selected()
    crictl, kubernetes = (
        next(item for item in selection.wanted if item.name == name) for name in ("crictl", "kubernetes")
    )

    def produce(work: Path) -> dict[str, Path]:
        (work / "crictl").write_text("program")
        return {"crictl": work / "crictl"}

    key = source_of("modules", store, selection, "amd64", print).key(crictl)
    assert key
    held = store.ensure(key, produce, say=print)
    mirror = source_of("mirror", store, selection, "amd64", print)
    assert mirror.make(crictl) == held
    with pytest.raises(
        FailedError, match=r"kubernetes, .*probe, .*traefik, .*-manifest \(amd64\): not in the store"
    ) as refused:
        mirror.make(kubernetes)
    assert "crictl" not in refused.value.message, "it is there"
    assert "artifacts.bundle --from FILE" in refused.value.next_step
    program = store.paths(held)["crictl"]
    program.chmod(0o644)
    program.write_text("another")
    with pytest.raises(FailedError, match=r"crictl \[crictl: .* was changed after it was stored\]"):
        mirror.make(crictl)


@pytest.mark.parametrize("what", ["debian", "manifest"])
def test_a_mirror_asks_nobody_for_what_no_component_is(what: str, store: Store, monkeypatch: Any) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    with pytest.raises(FailedError, match="source mirror neither builds nor fetches"):
        if what == "debian":
            root_filesystem(store, "mirror", [], "amd64", say=print)
        else:
            provide_files("mirror", wanted(inventory()), ["flannel-manifest"], say=print)


@pytest.mark.parametrize("source", ["upstream", "modules"])
def test_a_mirror_serves_whatever_source_the_bundle_was_made_by(source: str, store: Store) -> None:
    selection = selected()
    origin = source_of(source, store, selection, "amd64", print)
    for name in origin.components():
        for key in origin.behind(name):  # all but the key of an image that is put together of them
            store.ensure(key, lambda work: whole(selection, key.name, work), say=print)  # noqa: B023
        key = origin.behind(name)[-1]
        store.ensure(key, lambda work: whole(selection, key.name, work), say=print)  # noqa: B023
    carried = {key for name in origin.components() for key in origin.behind(name)}
    other = Store(store.folder.parent / "elsewhere")
    for key in carried:
        other.ensure(key, lambda work: whole(selection, key.name, work), say=print)  # noqa: B023
    mirror = source_of("mirror", other, selection, "amd64", print)
    assert mirror.components() == origin.components()
    assert {name: mirror.make(name).key for name in mirror.components()} == {
        name: origin.key(name) for name in origin.components()
    }


def whole(selection: Selection, name: str, work: Path) -> dict[str, Path]:
    """Files of a component under the names that others look for."""
    component = next((one for item, one in selection.components.items() if item.name == name), None)
    names = {CONFIG} if isinstance(component, Image) else {LAYER_TAR}
    if isinstance(component, Programs):
        made = [image.modules.programs.values() for _, image in selection.images() if image.modules]
        inside = [source for sources in made for source in sources]
        names = {*component.named, *(path.split("/")[1] for path in inside if path.startswith(f"{name}/"))}
    for one in names:
        (work / one).write_text(f"{name} {one}")
    return {one: work / one for one in names}
