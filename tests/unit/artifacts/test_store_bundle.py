"""Bundles: what one store wrote another has, and a file that is not what its list says leaves nothing."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from lab.artifacts.bundle import LISTING, Listing, fetch_wheels, try_out, write
from lab.artifacts.store import Entry, Key, Store
from lab.artifacts.unbundle import take
from lab.commands import bundling
from lab.errors import CommandError, FailedError, InputError, PreflightError
from tests.world import inventory

PROGRAM, IMAGE = Key.of("tools", "amd64", {"v": 1}), Key.of("coredns", "arm64", {"v": 1})
LIKE_IT = Key.of("etcd", "arm64", {"v": 1})
"""Has a layer of that image."""
TREE = Key.of("debian", "amd64", {"v": 1})
Change = Callable[[dict[str, bytes]], None]


def quiet(_line: str) -> None:
    pass


def filled(store: Store) -> list[Entry]:
    """Two programs that share nothing, two images of one layer that is twice in each, and a tree with what
    trees of Debian have."""

    def tools(work: Path) -> dict[str, Path]:
        for name in ("one", "two"):
            (work / name).write_text(name)
            (work / name).chmod(0o755)
        return {name: work / name for name in ("one", "two")}

    def image(work: Path) -> dict[str, Path]:
        (work / "layer").write_bytes(b"layer" * 1000)
        (work / "config").write_text(f"config of {work.name}")
        names = ("layer-000", "layer-001")
        return {"config.json": work / "config", **dict.fromkeys(names, work / "layer")}

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
        store.ensure(LIKE_IT, image, say=quiet),
        store.ensure_tree(TREE, tree, say=quiet),
    ]


def no_wheels(_folder: Path) -> list[Path]:
    return []


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trees here belong to whoever runs the tests, who can unpack them."""
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 0)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of all of it, and one wheel."""
    store = Store(tmp_path / "there")
    (tmp_path / "thing-1-py3-none-any.whl").write_bytes(b"wheel")
    wheels = [tmp_path / "thing-1-py3-none-any.whl"]
    write(store, filled(store), lambda _: wheels, tmp_path / "bundle.tar", say=quiet)
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
    for key in (PROGRAM, IMAGE, LIKE_IT, TREE):
        mine, theirs = here.find(key), there.find(key)
        assert mine
        assert theirs
        assert here.damage(mine, full=True) == ""
        assert (mine.digest, mine.size, mine.notes) == (theirs.digest, theirs.size, theirs.notes)
        assert [file.sha256 for file in mine.files.values()] == [
            file.sha256 for file in theirs.files.values()
        ]
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
    write(store, filled(store), lambda _: wheels, tmp_path / "again.tar", say=quiet)
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_a_file_that_is_there_is_not_written_over(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        write(Store(tmp_path / "there"), [], no_wheels, bundle, say=quiet)


def test_a_damaged_object_is_not_bundled(tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    entries = filled(store)
    path = store.object_path(mine_file(store, "one"))
    path.write_text("eno")
    with pytest.raises(FailedError, match=r"tools \(amd64\): one: .* no longer has its digest") as raised:
        write(store, entries, no_wheels, tmp_path / "bundle.tar", say=quiet)
    assert f"rm {store.entry_path(PROGRAM)}" in raised.value.next_step
    assert [path.name for path in tmp_path.iterdir()] == ["there"], "no half bundle"


def test_a_damaged_tree_is_not_bundled(tmp_path: Path) -> None:
    """A changed file in it changes no time of the top folder, which is all that the quick check looks at."""
    store = Store(tmp_path / "there")
    entries = filled(store)
    (store.tree_path(TREE) / "usr/bin/su").write_text("us")
    assert store.find(TREE)
    with pytest.raises(FailedError, match=r"debian \(amd64\): .* was changed after it was stored") as raised:
        write(store, entries, no_wheels, tmp_path / "bundle.tar", say=quiet)
    assert f"rm {store.entry_path(TREE)}" in raised.value.next_step
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
        r"(tools|coredns|etcd) \(a\w+64\): [\w.-]+: is sha256:\w{64}, its list says sha256:",
    ),
    "wrong byte in a tree": (flip("trees/"), r"debian \(amd64\): its tree: is sha256:"),
    "wrong byte in a wheel": (flip("wheels/"), r"wheels/thing-1.*: is sha256:"),
    "missing object": (drop("objects/"), "is in its list, but not in it"),
    "missing tree": (drop("trees/"), r"debian \(amd64\): its tree: is in its list, but not in it"),
    "no list": (drop(LISTING), r"it has no bundle\.json"),
    "extra member": (add("objects/more"), "objects/more: is not in its list"),
    "path traversal": (add("../../etc/cron.d/evil"), r"\.\./\.\./etc/cron\.d/evil: is not in its list"),
    "absolute path": (add("/etc/cron.d/evil"), "etc/cron.d/evil: is not in its list"),
    "list is no JSON": (lambda members: members.update({LISTING: b"{"}), r"bundle\.json: Invalid JSON"),
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
    assert ("do not use it" in raised.value.next_step) is ("is not in its list" in why)
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
        listed(lambda said: said["entries"][3]["tree"].update(archive=archive))(members)

    with pytest.raises(InputError, match="leads out of the tree"):
        take(here, rewritten(bundle, change), say=quiet)
    assert_empty(here)


def test_a_tree_that_unpacks_to_something_else_is_not_taken(bundle: Path, here: Store) -> None:
    other = listed(lambda said: said["entries"][3]["tree"].update(sha256="0" * 64))
    with pytest.raises(InputError, match=r"debian \(amd64\): its tree is not the one of its list") as raised:
        take(here, rewritten(bundle, other), say=quiet)
    named = "tools (amd64), coredns (arm64), etcd (arm64)"
    assert f"3 of its 4 artefacts are in the store, and sound: {named}" in str(raised.value)
    assert "bundle anew" in raised.value.next_step
    assert here.find(PROGRAM)
    assert here.find(IMAGE)
    assert here.find(TREE) is None
    assert list((here.folder / "trees").iterdir()) == []


def test_a_bundle_that_changes_while_it_is_read_says_what_was_taken(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(line: str) -> None:
        if line == "coredns (arm64)":
            monkeypatch.setattr("lab.artifacts.unbundle._stream", lambda *_: io.BytesIO(b"other"))

    with pytest.raises(InputError, match="changed while it was read; 1 of its 4 artefacts") as raised:
        take(here, bundle, say=other)
    assert "tools (amd64); `invoke artifacts.bundle --from` goes on" in raised.value.message
    monkeypatch.undo()
    take(here, bundle, say=quiet)
    assert here.find(IMAGE)


def test_a_disk_that_is_full_while_a_tree_is_unpacked_is_one_block(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(command: list[str], *, log: Path, **_: object) -> float:
        said = f"tar: ./ping: Cannot write: {os.strerror(errno.ENOSPC)}"
        raise CommandError("", " ".join(command), 2, said, next_step=f"less {log}")

    monkeypatch.setattr("lab.artifacts.bundle.programs.run", full)
    said: list[str] = []
    with pytest.raises(FailedError, match=r"^debian: .*: the disk is full \(\d+ MiB are free\)\n") as raised:
        take(here, bundle, say=said.append)
    assert "tar:" not in str(raised.value)
    assert "df -h" in raised.value.next_step
    assert said[-1].startswith("3 of its 4 artefacts are in the store, and sound: tools (amd64), coredns")


def test_a_tree_is_refused_to_whoever_is_not_root_before_anything_is_taken(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 1000)
    with pytest.raises(PreflightError, match=r"b\w+\.tar: debian \(amd64\): only root can keep") as raised:
        take(here, bundle, say=quiet)
    assert "nothing of it was taken" in raised.value.message
    assert raised.value.next_step.startswith("take it as root, onto a file system that keeps owners")
    assert_empty(here)
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 0)
    take(here, bundle, say=quiet)
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 1000)
    take(here, bundle, say=quiet)  # the tree is in the store


def test_an_owner_that_tar_cannot_keep_is_told_with_what_helps(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(command: list[str], *, log: Path, **_: object) -> float:
        said = "tar: ./ping: Cannot change ownership to uid 0, gid 0: Operation not permitted\ntar: Exiting"
        raise CommandError("", " ".join(command), 2, said, next_step=f"less {log}")

    monkeypatch.setattr("lab.artifacts.bundle.programs.run", refusing)
    with pytest.raises(InputError, match=r"its tree: \./ping: Cannot change ownership") as raised:
        take(here, bundle, say=quiet)
    assert "3 of its 4 artefacts are in the store" in raised.value.message
    assert "Exiting" not in raised.value.message
    assert raised.value.next_step.startswith("take it as root, onto a file system that keeps owners")


def test_another_failure_of_tar_keeps_its_words_and_a_log_that_is_there(bundle: Path, here: Store) -> None:
    (here.folder / "bin").mkdir()
    tar = here.folder / "bin" / "tar"
    tar.write_text("#!/bin/sh\necho not today; exit 2\n")
    tar.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tar.parent}:{os.environ['PATH']}")
        with pytest.raises(CommandError, match="not today") as raised:
            take(here, bundle, say=quiet)
    assert Path(raised.value.next_step.removeprefix("less ")).read_text() == "not today\n"


def test_the_log_of_wheels_that_cannot_be_fetched_is_there_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.artifacts.bundle.sys.executable", "/bin/false")
    store, log = Store(tmp_path / "there"), tmp_path / "there" / "logs" / "wheels.log"
    with pytest.raises(CommandError) as raised:
        write(store, [], partial(fetch_wheels, log=log, say=quiet), tmp_path / "b.tar", say=quiet)
    assert raised.value.next_step == f"less {log}"
    assert log.exists()


CAPABLE = b"\x01\x00\x00\x02" + b"\x00\x20" + bytes(14)
"""cap_net_raw=ep, as ping has it (linux/capability.h, vfs_cap_data)."""


def test_capabilities_are_carried_and_a_tree_that_lost_them_is_refused(
    tmp_path: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only root may set one, so what the kernel tells of them is stood in for."""
    there = Store(tmp_path / "there")

    def capable(path: Path, *_: object, **__: object) -> bytes:
        if path.name == "su":
            return CAPABLE
        raise OSError(errno.ENODATA, "none")

    monkeypatch.setattr("lab.artifacts.digests.os.getxattr", capable)
    write(there, filled(there), no_wheels, tmp_path / "bundle.tar", say=quiet)
    take(here, tmp_path / "bundle.tar", say=quiet)
    found = here.find(TREE)
    assert found
    assert found == replace_time(there.find(TREE), found)
    monkeypatch.undo()
    assert "was changed" in here.damage(found, full=True)
    with pytest.raises(InputError, match="its tree is not the one of its list") as raised:
        take(Store(tmp_path / "third"), tmp_path / "bundle.tar", say=quiet)
    assert "keeps owners and capabilities" in raised.value.next_step


def replace_time(entry: Entry | None, other: Entry) -> Entry:
    assert entry
    assert entry.tree
    assert other.tree
    return replace(entry, tree=replace(entry.tree, mtime_ns=other.tree.mtime_ns))


def test_a_bundle_of_an_older_version_is_taken_by_the_digest_that_it_tells(bundle: Path, here: Store) -> None:
    older = listed(lambda said: said["entries"][3]["tree"].pop("form"))
    take(here, rewritten(bundle, older), say=quiet)
    found = here.find(TREE)
    assert found
    assert found.tree
    assert found.tree.form == 2, "it is digested anew when it is stored"


def header(*, size: bytes = b"00000000000\0", kind: bytes = b"0", name: bytes = b"x") -> bytes:
    """A tar header as no tar writes it, with its right checksum."""
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size + b"00000000000\0")
    block += b" " * 8 + kind + bytes(100) + b"ustar\x0000" + bytes(247)
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


CRAFTED = {
    "a size beyond any file": header(size=b"\x80" + b"\xff" * 11),
    "a size below nothing": header(size=b"\xff" * 11 + b"\x00"),
    "a long name of a size beyond any file": header(kind=b"L", size=b"\x80\x00\x00\x00\x7f" + b"\xff" * 7),
    "names of names without an end": header(kind=b"L") * 3000,
    "attributes that are no text": header(kind=b"x", size=b"00000000012\0") + b"\xff\xfe9=\n" + bytes(507),
}


@pytest.mark.parametrize("name", CRAFTED)
@pytest.mark.parametrize("inside", [False, True], ids=["bundle", "tree"])
def test_a_header_that_nobodys_tar_writes_is_refused(
    name: str, inside: bool, bundle: Path, here: Store
) -> None:
    evil = CRAFTED[name] + bytes(tarfile.RECORDSIZE)
    if inside:

        def change(members: dict[str, bytes]) -> None:
            members[first(members, "trees/")] = evil
            archive = {"sha256": hashlib.sha256(evil).hexdigest(), "size": len(evil)}
            listed(lambda said: said["entries"][3]["tree"].update(archive=archive))(members)

        rewritten(bundle, change)
    else:
        bundle.write_bytes(evil)
    with pytest.raises(InputError, match="nothing of it was taken"):
        take(here, bundle, say=quiet)
    assert_empty(here)


def test_a_medium_that_cannot_be_read_is_told(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Listing.model_validate_json(contents(bundle)[LISTING])

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("lab.artifacts.unbundle._stream", failing)
    monkeypatch.setattr("lab.artifacts.unbundle._listing", lambda *_: (known, ""))
    with pytest.raises(InputError, match="cannot be read: Input/output error; nothing of it was taken"):
        take(here, bundle, say=quiet)


def test_a_full_disk_is_told_before_anything_is_written(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("lab.artifacts.unbundle.shutil.disk_usage", lambda _folder: free)
    with pytest.raises(PreflightError, match="0 MiB free"):
        take(here, bundle, say=quiet)
    assert_empty(here)


def test_a_bundle_that_cannot_be_made_where_it_should_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/b.tar: cannot be written: Not a directory"):
        write(store, [], no_wheels, tmp_path / "file" / "b.tar", say=quiet)


def test_a_pipe_is_no_bundle_and_nobody_waits_for_its_writer(tmp_path: Path, here: Store) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: no plain file"):
        take(here, tmp_path / "pipe", say=quiet)
    with pytest.raises(InputError, match=f"{tmp_path}: Is a directory"):
        take(here, tmp_path, say=quiet)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("there", "is there already"),
        ("no/b.tar", "its folder does not exist"),
        ("x" * 300, "cannot be written: File name too long"),
        ("x" * 252, "cannot be written: File name too long"),
        ("file/b.tar", "cannot be written: Not a directory"),
        ("/proc/x.tar", "cannot be written: No such file or directory"),
    ],
)
def test_a_target_that_cannot_be_is_told_by_a_look(name: str, why: str, tmp_path: Path) -> None:
    """The name of 252 characters is one that the folder beside the bundle makes too long."""
    (tmp_path / "there").touch()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{name}: {why}") as raised:
        try_out(tmp_path / name)
    assert raised.value.next_step
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file"}


def test_a_look_at_a_target_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try_out(tmp_path / "b.tar")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InputError, match=r"b\.tar: cannot be written: Permission denied"):
        try_out(tmp_path / "b.tar")


def test_a_target_is_looked_at_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundling, "read", lambda *_: inventory())
    monkeypatch.setattr(bundling, "provide", lambda *_, **__: pytest.fail("made"))
    with pytest.raises(Exit) as left:
        bundling.bundle("x", "", "auto", to=str(tmp_path / ("x" * 300)), from_="")
    assert left.value.code == InputError.exit_code
    assert "x: cannot be written: File name too long" in capfd.readouterr().err


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    store, target = Store(tmp_path / "there"), tmp_path / "b.tar"
    scratch = tmp_path / ".b.tar.part"
    scratch.mkdir()
    (scratch / "bundle.tar").write_text("half")
    (scratch / "wheels").mkdir()
    (scratch / "wheels" / "half.whl").write_text("half")
    held = os.open(scratch, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(PreflightError, match="another process writes it"):
        write(store, [], no_wheels, target, say=quiet)
    assert (scratch / "bundle.tar").read_text() == "half"
    os.close(held)

    def empty(folder: Path) -> list[Path]:
        return list(folder.iterdir())

    write(store, filled(store), empty, target, say=quiet)
    assert target.exists()
    assert not scratch.exists()


def test_a_disk_that_fills_up_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lab.artifacts.bundle._add", full)
    with pytest.raises(FailedError, match=r"b.tar: cannot be written to its end: No space left on device"):
        write(Store(tmp_path / "there"), [], no_wheels, tmp_path / "b.tar", say=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
