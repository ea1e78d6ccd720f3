"""What an inventory wants of the catalogue, and what a source says to what it does not have."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lab.artifacts import choice
from lab.artifacts.choice import choose, placed_programs, root_key_of, source_of
from lab.artifacts.images import CONFIG
from lab.artifacts.provide import program
from lab.artifacts.rootfs import debian_key
from lab.artifacts.status import status
from lab.artifacts.store import Entry, Key, Store, StoredFile
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.catalogue.catalogue import Catalogue, Selection
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import ComponentVersion
from lab.errors import InputError
from tests.unit.artifacts.making import producer
from tests.unit.catalogue.test_catalogue import file, image, tool
from tests.world import INVENTORY, inventory


def names(text: str = INVENTORY) -> dict[str, str]:
    return dict(wanted(inventory(text)))


def test_the_default_lab_wants_one_version_of_each_and_nothing_that_only_images_are_made_of() -> None:
    items = wanted(inventory())
    assert len({item.name for item in items}) == len(items)
    assert names()["kubernetes"] == names()["kube-proxy"] == names()["kubernetes-openapi"] == "v1.31.0"
    assert names()["containerd"] == "v1.7.28", "the inventory writes it without v"
    assert not {"flanneld", "traefik-proxy", "probe-program"} & names().keys()
    made = {item.name for item, _ in load_catalogue().select(items).programs()}
    assert {"flanneld", "traefik-proxy", "probe-program"} <= made
    assert not [item for item in load_catalogue().select(items).components if item.version == "v1.32.13"]


def test_a_section_that_is_left_out_brings_nothing() -> None:
    without = names(INVENTORY.replace("ingress: {address: 10.1.1.100}\n", ""))
    assert names().keys() - without.keys() == {"traefik"}
    made = {item.name for item in load_catalogue().select(without.items()).components}
    assert "traefik-proxy" not in made


def test_an_addon_that_is_left_out_brings_nothing_whoever_names_the_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A helper of the ingress with versions of its own, and the same beside an add-on that every lab has."""
    catalogue = Catalogue.model_validate(
        {
            "components": {name: tool(install={name: "/bin"}) for name in ("side", "dns", "platform")},
            "homes": {"side": "traefik", "dns": "coredns"},
        }
    )
    monkeypatch.setattr("lab.artifacts.wanted.load_catalogue", lambda: catalogue)
    assert names().keys() == {"side", "dns", "platform"}
    without = INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "")
    assert names(without).keys() == {"dns", "platform"}


def test_the_version_of_a_section_is_that_of_all_its_components() -> None:
    """As an upgrade will ask, whose inventory names a version that is tested by then."""
    lab = inventory()
    newer = lab.model_copy(update={"kubernetes": lab.kubernetes.model_copy(update={"version": "v1.32.13"})})
    old, new = set(wanted(lab)), set(wanted(newer))
    assert {item.version for item in new - old} == {"v1.32.13"}
    assert {item.name for item in new - old} == {item.name for item in old - new}
    assert {item.name for item in new - old} == {
        *("kubernetes", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
        "kubernetes-openapi",
    }
    unknown = lab.model_copy(update={"kubernetes": lab.kubernetes.model_copy(update={"version": "v1.2.3"})})
    with pytest.raises(InputError, match=r"kubernetes: version v1\.2\.3 is not in the artefact catalogue"):
        wanted(unknown)


@pytest.fixture
def upstream_only() -> Selection:
    """A lab with a dashboard that is not built here."""
    dashboard = image(
        reference="example.test/dashboard:{version}", modules=None, unbuilt="AGPL, its image is used as it is"
    )
    return Catalogue.model_validate(
        {"components": {"tool": tool(), "dashboard": dashboard, "text": file()}}
    ).everything()


def test_what_is_not_built_here_is_refused_before_anything_is_built(
    store: Store, upstream_only: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "dashboard v1: source modules does not have it: AGPL, its image is used as it is"
    with pytest.raises(InputError, match=said) as refused:
        choose("modules", store, upstream_only, "amd64", print)
    assert refused.value.next_step == "use --source upstream, or leave it out of the inventory"
    monkeypatch.delenv("PLUMBLINE_SOURCE", raising=False)
    monkeypatch.setattr(choice, "answers", lambda *_: False)
    with pytest.raises(InputError, match=said):
        choose("auto", store, upstream_only, "amd64", lambda _: None)
    modules = source_of("modules", store, upstream_only, "amd64", print)
    with pytest.raises(InputError, match=said):
        modules.make(ComponentVersion("dashboard", "v1"))
    assert modules.key(ComponentVersion("dashboard", "v1")) is None
    assert list((store.folder / "entries").iterdir()) == []


def test_upstream_has_what_is_not_built_here_and_a_lab_without_it_is_built(
    store: Store, upstream_only: Selection
) -> None:
    official = choose("upstream", store, upstream_only, "amd64", print)
    assert official.origin(ComponentVersion("dashboard", "v1")) == "upstream"
    assert official.key(ComponentVersion("dashboard", "v1"))
    without = Selection(
        {item: one for item, one in upstream_only.components.items() if item.name != "dashboard"},
        upstream_only.wanted,
    )
    assert choose("modules", store, without, "amd64", print).name == "modules"


def entry(name: str, *files: str) -> Entry:
    key = Key.of(name, "amd64", {})
    return Entry(key, {file: StoredFile(f"{name}:{file}", 1, 0) for file in files}, None, {})


def two_versions() -> Selection:
    versions = {version: {"unpinned": "test"} for version in ("v2", "v1")}
    raw = {
        "containerd": tool(install={"containerd": "/bin"}, versions=versions),
        "picture": image(
            modules={"programs": {"/tool": "containerd/tool"}, "entrypoint": ["/tool"]},
            versions=versions,
        ),
    }
    return Catalogue.model_validate({"components": raw}).everything()


def test_a_machine_has_one_version_of_a_program() -> None:
    made = {item: entry(str(item), "containerd") for item, _ in two_versions().programs()}
    with pytest.raises(InputError, match="containerd: of both containerd v2 and containerd v1"):
        placed_programs(two_versions(), made)


def test_two_versions_of_an_image_have_an_image_store_each() -> None:
    """An upgrade has both on a node: each set of images has its own key, and one may hold both versions."""
    both = two_versions()
    made = {item: entry(str(item), "containerd", CONFIG) for item in both.components}
    keys = set()
    for left_out in ("v1", "v2", ""):
        part = {
            item: one
            for item, one in both.components.items()
            if item.name == "containerd" or item.version != left_out
        }
        selection = Selection(part, frozenset({ComponentVersion("containerd", "v2")}))
        keys.add(root_key_of(selection, made, "amd64").digest)
    assert len(keys) == 3
    with pytest.raises(InputError, match="containerd: is not wanted"):
        root_key_of(Selection(both.components, frozenset()), made, "amd64")


def test_a_program_is_one_of_the_labs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    with pytest.raises(InputError, match="program: kubeadm is none of those of the lab"):
        program("kubeadm", [("crictl", "v1.34.0")], source="modules", say=print)


@pytest.mark.parametrize("source", ["modules", "upstream"])
def test_a_tool_is_had_by_name_from_each_source_and_goes_to_no_machine(
    store: Store, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """promtool: a program of the set that the image is made of, which this machine runs."""
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    pinned = {"v1": {"digest": f"sha256:{'ab' * 32}"}}
    judge = tool(install={}, tools=["tool"], modules="probe")
    catalogue = Catalogue.model_validate({"components": {"tool": judge, "picture": image(versions=pinned)}})
    for module in ("wanted", "provide"):
        monkeypatch.setattr(f"lab.artifacts.{module}.load_catalogue", lambda: catalogue)
    items = wanted(inventory())
    assert items == (("tool", "v1"), ("picture", "v1"))
    selection = catalogue.select(items)
    origin = source_of(source, store, selection, "amd64", print)
    assert origin.components() == list(items)
    key = origin.key(items[0])
    assert key
    made = store.ensure(key, lambda work: {"tool": producer("judges")(work)["program"]}, say=print)
    assert program("tool", items, source=source, say=print).read_text() == "judges"
    assert placed_programs(selection, {items[0]: made}) == {}


def test_the_table_has_what_the_lab_wants_and_makes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    rows = status(wanted(inventory()), source="modules")
    assert {row.state for row in rows} == {"missing"}
    assert {row.component for row in rows} >= names().keys()
    official = status(wanted(inventory()), source="upstream")
    assert "flanneld" not in {row.component for row in official}, "the official image has its programs"


@pytest.mark.parametrize("full", [False, True])
def test_a_sound_store_is_present_though_its_times_were_lost_and_cannot_be_written(
    store: Store, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """And one that was changed is broken."""
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    key = debian_key((), "amd64")

    def produce(tree: Path) -> dict[str, str]:
        tree.mkdir()
        (tree / "file").write_text("whole")
        return {}

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    def state() -> str:
        rows = status(wanted(inventory()), source="modules", full=full)
        return next(row.state for row in rows if row.component == "debian")

    store.ensure_tree(key, produce, say=lambda _line: None)
    os.utime(store.tree_path(key), ns=(0, 10**18))
    monkeypatch.setattr("lab.artifacts.status.host_arch", lambda: "amd64")
    monkeypatch.setattr("lab.artifacts.store.TemporaryDirectory", refused)
    monkeypatch.setattr("lab.artifacts.store.os.utime", refused)
    assert state() == "present"
    (store.tree_path(key) / "more").write_text("more")
    assert state().startswith("broken: ")


def test_an_entry_is_looked_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    monkeypatch.setattr("lab.artifacts.status.host_arch", lambda: "amd64")
    entry = store.ensure_tree(debian_key((), "amd64"), lambda tree: tree.mkdir() or {}, say=print)  # type: ignore[func-returns-value]
    looks = []
    real = Store.damage

    def damage(self: Store, entry: Entry, *, full: bool = False, times: bool = True) -> str:
        looks.append(entry)
        return real(self, entry, full=full, times=times)

    monkeypatch.setattr(Store, "damage", damage)
    status(wanted(inventory()), source="modules")
    assert looks == [entry]


def test_a_source_that_does_not_exist_is_refused_even_when_nothing_is_fetched(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    with pytest.raises(InputError, match=r"^--source foo: is not one of auto, upstream, modules"):
        provide_files("foo", wanted(inventory()), [], say=print)
    monkeypatch.setenv("PLUMBLINE_SOURCE", "bar")
    with pytest.raises(InputError, match=r"^PLUMBLINE_SOURCE=bar: is not one of auto, upstream, modules"):
        provide_files("auto", wanted(inventory()), [], say=print)
    monkeypatch.delenv("PLUMBLINE_SOURCE")
    assert provide_files("auto", wanted(inventory()), [], say=print) == {}


def test_an_architecture_that_does_not_exist_is_refused_with_one_that_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(store.folder))
    with pytest.raises(InputError, match=r"^--arch sparc: is not one of amd64, arm64") as refused:
        status(wanted(inventory()), source="modules", arch="sparc")
    assert refused.value.next_step.startswith("invoke artifacts --arch a")
