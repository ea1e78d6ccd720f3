"""A file that is not what its list says leaves nothing in the store."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lab.artifacts.bundle import LISTING
from lab.artifacts.store import Store
from lab.artifacts.unbundle import take
from lab.errors import InputError
from tests.unit.artifacts.bundles import (
    IMAGE,
    PROGRAM,
    TREE,
    Change,
    assert_empty,
    first,
    listed,
    member,
    rewritten,
)
from tests.unit.artifacts.making import quiet

pytestmark = pytest.mark.usefixtures("root")


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
    "other format": (
        listed(lambda said: said.update(format=2)),
        "is of format 2, and this version of Plumbline reads",
    ),
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
