"""Bundles: what one store wrote another has, and a file that is not what its list says leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.bundle import LISTING, write
from lab.artifacts.store import Entry, Key, Store
from lab.artifacts.unbundle import take
from lab.errors import FailedError, InputError, PreflightError

PROGRAM, IMAGE = Key.of("tools", "amd64", {"v": 1}), Key.of("coredns", "arm64", {"v": 1})
TREE = Key.of("debian", "amd64", {"v": 1})
Change = Callable[[dict[str, bytes]], None]


def quiet(_line: str) -> None:
    pass


def filled(store: Store) -> list[Entry]:
    """Two programs that share nothing, an image, and a tree with what trees of Debian have."""

    def tools(work: Path) -> dict[str, Path]:
        for name in ("one", "two"):
            (work / name).write_text(name)
            (work / name).chmod(0o755)
        return {name: work / name for name in ("one", "two")}

    def image(work: Path) -> dict[str, Path]:
        (work / "image.tar").write_bytes(b"layers" * 1000)
        return {"image.tar": work / "image.tar"}

    def tree(target: Path) -> dict[str, str]:
        (target / "usr/bin").mkdir(parents=True)
        (target / "bin").symlink_to("usr/bin")
        (target / "run").symlink_to("/run")
        (target / "usr/bin/su").write_text("su")
        (target / "usr/bin/su").chmod(0o4755)
        os.link(target / "usr/bin/su", target / "usr/bin/also")
        (target / "ü name").write_text("text")
        return {"su": "1.0"}

    return [
        store.ensure(PROGRAM, tools, say=quiet, notes={"by": "hand"}),
        store.ensure(IMAGE, image, say=quiet),
        store.ensure_tree(TREE, tree, say=quiet),
    ]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of all of it, and one wheel."""
    store = Store(tmp_path / "there")
    (tmp_path / "thing-1-py3-none-any.whl").write_bytes(b"wheel")
    wheels = [tmp_path / "thing-1-py3-none-any.whl"]
    write(store, filled(store), wheels, tmp_path / "bundle.tar", say=quiet)
    return tmp_path / "bundle.tar"


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


def contents(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def rewritten(bundle: Path, change: Change) -> Path:
    """The bundle with changed members."""
    members = contents(bundle)
    change(members)
    with tarfile.open(bundle, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return bundle


def assert_empty(store: Store) -> None:
    """Nothing in the store that anybody would trust, and nothing that takes room."""
    for name in ("entries", "objects", "trees", "work"):
        assert list((store.folder / name).iterdir()) == [], name


def test_the_other_store_has_everything_with_the_same_digests(
    bundle: Path, here: Store, tmp_path: Path
) -> None:
    there = Store(tmp_path / "there")
    listing, digest = take(here, bundle, say=quiet)
    assert digest == hashlib.sha256(contents(bundle)[LISTING]).hexdigest()
    assert set(listing.wheels) == {"thing-1-py3-none-any.whl"}
    for key in (PROGRAM, IMAGE, TREE):
        mine, theirs = here.find(key), there.find(key)
        assert mine
        assert theirs
        assert here.damage(mine, full=True) == ""
        assert (mine.digest, mine.size, mine.notes) == (theirs.digest, theirs.size, theirs.notes)
    assert here.object_path(mine_file(here, "one")).stat().st_mode & 0o777 == 0o755
    tree = here.tree_path(TREE)
    assert (tree / "usr/bin/su").stat().st_mode & 0o7777 == 0o4755
    assert (tree / "usr/bin/su").samefile(tree / "usr/bin/also")
    assert (tree / "run").readlink() == Path("/run")
    assert list((here.folder / "work").iterdir()) == []


def mine_file(store: Store, name: str) -> Any:
    found = store.find(PROGRAM)
    assert found
    return found.files[name]


def test_twice_is_once(bundle: Path, here: Store) -> None:
    take(here, bundle, say=quiet)
    before = {path: path.stat().st_mtime_ns for path in here.folder.rglob("*") if path.is_file()}
    take(here, bundle, say=quiet)
    kept = {path: path.stat().st_mtime_ns for path in before}
    assert kept == before


def test_the_same_store_gives_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    wheels = [tmp_path / "thing-1-py3-none-any.whl"]
    write(store, filled(store), wheels, tmp_path / "again.tar", say=quiet)
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_a_file_that_is_there_is_not_written_over(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        write(Store(tmp_path / "there"), [], [], bundle, say=quiet)


def test_a_damaged_object_is_not_bundled(tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    entries = filled(store)
    path = store.object_path(mine_file(store, "one"))
    path.write_text("eno")
    with pytest.raises(FailedError, match=r"tools: one: .* no longer has its digest"):
        write(store, entries, [], tmp_path / "bundle.tar", say=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["there"], "no half bundle"


def first(members: dict[str, bytes], kind: str) -> str:
    return next(name for name in members if name.startswith(kind))


def flip(kind: str) -> Change:
    def change(members: dict[str, bytes]) -> None:
        name = first(members, kind)
        content = bytearray(members[name])
        content[len(content) // 2] ^= 1
        members[name] = bytes(content)

    return change


def drop(kind: str) -> Change:
    def change(members: dict[str, bytes]) -> None:
        del members[first(members, kind)]

    return change


def add(name: str) -> Change:
    return lambda members: members.update({name: b"more"})


def listed(edit: Callable[[dict[str, Any]], Any]) -> Change:
    """A list that says something else."""

    def change(members: dict[str, bytes]) -> None:
        said = json.loads(members[LISTING])
        edit(said)
        members[LISTING] = json.dumps(said).encode()

    return change


REFUSED: dict[str, tuple[Change, str]] = {
    "wrong byte in a program": (
        flip("objects/"),
        r"(tools|coredns) \(a\w+64\): [\w.]+: is sha256:\w{64}, its list says sha256:",
    ),
    "wrong byte in a tree": (flip("trees/"), r"debian \(amd64\): its tree: is sha256:"),
    "wrong byte in a wheel": (flip("wheels/"), r"wheels/thing-1.*: is sha256:"),
    "missing object": (drop("objects/"), "is in its list, but not in it"),
    "missing tree": (drop("trees/"), r"debian \(amd64\): its tree: is in its list, but not in it"),
    "no list": (drop(LISTING), r"it has no bundle\.json"),
    "extra member": (add("objects/more"), "objects/more: is not in its list"),
    "path traversal": (add("../../etc/cron.d/evil"), r"\.\./\.\./etc/cron\.d/evil: is not in its list"),
    "absolute path": (add("/etc/cron.d/evil"), "etc/cron.d/evil: is not in its list"),
    "list is no JSON": (lambda members: members.update({LISTING: b"{"}), r"bundle\.json: .*Invalid JSON"),
    "other format": (listed(lambda said: said.update(format=2)), "format: Input should be 1"),
    "file name that leads out": (
        listed(lambda said: said["entries"][0]["files"].update({"../x": said["entries"][0]["files"]["one"]})),
        r"entries\.0\.files\.\.\./x",
    ),
    "entry name that leads out": (
        listed(lambda said: said["entries"][0].update(name="../../x")),
        r"entries\.0\.name",
    ),
    "size that is wrong": (
        listed(lambda said: said["entries"][0]["files"]["one"].update(size=9)),
        "3 bytes, its list says 9",
    ),
    "unknown field": (listed(lambda said: said.update(more=1)), "more: Extra inputs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_as_its_list_says_is_refused_and_leaves_nothing(
    name: str, bundle: Path, here: Store
) -> None:
    change, why = REFUSED[name]
    with pytest.raises(InputError, match=why) as raised:
        take(here, rewritten(bundle, change), say=quiet)
    assert "nothing of it was taken" in raised.value.message
    assert_empty(here)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_bundle_leaves_nothing(share: float, bundle: Path, here: Store) -> None:
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match="nothing of it was taken"):
        take(here, bundle, say=quiet)
    assert_empty(here)


def test_something_behind_the_end_is_refused(bundle: Path, here: Store) -> None:
    with bundle.open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(InputError, match="something behind its end"):
        take(here, bundle, say=quiet)
    assert_empty(here)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
def test_another_file_is_no_bundle(content: bytes, bundle: Path, here: Store) -> None:
    bundle.write_bytes(content)
    with pytest.raises(InputError):
        take(here, bundle, say=quiet)
    assert_empty(here)


def test_a_link_as_a_member_is_refused(bundle: Path, here: Store) -> None:
    with tarfile.open(bundle, "a") as tar:
        tar.addfile(member("objects/link", tarfile.SYMTYPE, "/etc/passwd"))
    with pytest.raises(InputError, match="objects/link: no plain file"):
        take(here, bundle, say=quiet)
    assert_empty(here)


def test_a_member_that_is_there_twice_is_refused(bundle: Path, here: Store) -> None:
    with tarfile.open(bundle, "a") as tar:
        tar.addfile(member(LISTING))
    with pytest.raises(InputError, match=r"bundle\.json: is in it twice"):
        take(here, bundle, say=quiet)
    assert_empty(here)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


LEADING_OUT = {
    "upwards": [member("../evil")],
    "absolute": [member("/tmp/evil")],
    "through a link": [member("./out", tarfile.SYMTYPE, "/tmp"), member("./out/evil")],
    "over a link": [member("./out", tarfile.SYMTYPE, "/tmp/evil"), member("./out")],
    "a hard link outside": [member("./passwd", tarfile.LNKTYPE, "../../../etc/passwd")],
    "a hard link through a link": [
        member("./etc", tarfile.SYMTYPE, "/etc"),
        member("./passwd", tarfile.LNKTYPE, "etc/passwd"),
    ],
}


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_tree_that_leads_out_of_its_folder_is_refused(name: str, bundle: Path, here: Store) -> None:
    """Its digests are all right: whoever wrote the bundle meant it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for one in LEADING_OUT[name]:
            tar.addfile(one)
    evil = buffer.getvalue()

    def change(members: dict[str, bytes]) -> None:
        members[first(members, "trees/")] = evil
        archive = {"sha256": hashlib.sha256(evil).hexdigest(), "size": len(evil)}
        listed(lambda said: said["entries"][2]["tree"].update(archive=archive))(members)

    with pytest.raises(InputError, match="leads out of the tree"):
        take(here, rewritten(bundle, change), say=quiet)
    assert_empty(here)


def test_a_tree_that_unpacks_to_something_else_is_not_taken(bundle: Path, here: Store) -> None:
    other = listed(lambda said: said["entries"][2]["tree"].update(sha256="0" * 64))
    with pytest.raises(InputError, match="debian: its tree is not the one of its list"):
        take(here, rewritten(bundle, other), say=quiet)
    assert here.find(TREE) is None
    assert list((here.folder / "trees").iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_written(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("lab.artifacts.unbundle.shutil.disk_usage", lambda _folder: free)
    with pytest.raises(PreflightError, match="0 MiB free"):
        take(here, bundle, say=quiet)
    assert_empty(here)
