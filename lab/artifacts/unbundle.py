"""Taking a bundle into the store: first every byte is checked, then anything is written."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import ValidationError

from lab.artifacts.bundle import LISTING, Listing, Packed, PackedEntry, PackedTree, run_tar
from lab.artifacts.digests import tree_digest
from lab.artifacts.store import Entry, Produced, Say, Store, StoredFile
from lab.errors import CommandError, InputError, PreflightError

LARGEST_LISTING = 64 << 20
"""Bytes; one of all components for two architectures has a quarter of a megabyte."""
PIECE = 1 << 20


def take(store: Store, source: Path, *, say: Say) -> tuple[Listing, str]:
    """Fill the store from a bundle; its listing, and the listing's sha256.

    What the store has already is kept. Raises `InputError` for a file that is not what its listing says
    in every byte, and then nothing of it was taken; for one that changes while it is read, or a tree that
    unpacks to something else, it says what was taken until then; `PreflightError` when the disk is too small,
    or for a tree that only root can unpack.
    """
    taken: list[str] = []
    with _opened(source) as tar:
        members = _members(source, tar)
        listing, digest = _listing(source, tar, members)
        wanted, labels = listing.members(), listing.labels()
        _same_names(source, members, labels, wanted)
        _may_keep(store, source, listing)
        say(f"{source.name}: checking {len(wanted)} files")
        for name, packed in wanted.items():
            _check(source, tar, members[name], packed, labels[name])
            if name.startswith("trees/"):
                _check_tree(source, tar, members[name], labels[name])
        _room(store, listing)
        held: dict[str, StoredFile] = {}
        try:
            for entry in listing.entries:
                made = _take_entry(store, source, tar, entry, held, say)
                held |= {file.sha256: file for file in made.files.values()}
                taken.append(f"{entry.name} ({entry.arch})")
        except _OtherError as error:
            why, next_step = error.args
            raise refused(source, why, _so_far(taken, listing), next_step) from None
        except BaseException:
            say(_so_far(taken, listing))
            raise
    return listing, digest


class _OtherError(Exception):
    """A part that was checked is another one when it is taken: why, and the next step."""


def _so_far(taken: Sequence[str], listing: Listing) -> str:
    if not taken:
        return "nothing of it was taken"
    named = f"{len(taken)} of its {len(listing.entries)} artefacts are in the store, and sound"
    return f"{named}: {', '.join(taken)}; `invoke artifacts.bundle --from` goes on behind them"


COPY_AGAIN = "copy it again, and compare sha256sum of both copies"
OTHER_VERSION = "take it with the version that wrote it, or bundle anew with this one"
ADDED_TO = "somebody added to it: do not use it; bundle anew where there is internet"
_UNREADABLE = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, MemoryError)
"""What `tarfile` raises for headers that nobody's tar writes."""


def refused(
    source: Path, why: str, taken: str = "nothing of it was taken", next_step: str = COPY_AGAIN
) -> InputError:
    """The error of a bundle that is not what it should be."""
    return InputError(f"{source}: {why}; {taken}", next_step=next_step)


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        if not source.is_dir() and not stat.S_ISREG(source.stat().st_mode):  # who opens a pipe waits for ever
            raise InputError(f"{source}: no plain file", next_step="name the file of a bundle")
        stream = source.open("rb")
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}", next_step="name the file of a bundle") from None
    with stream, ExitStack() as stack:
        with _reading(source, "no complete bundle"):
            tar = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
        yield tar


@contextmanager
def _reading(source: Path, what: str) -> Iterator[None]:
    """Refuse what cannot be read as a tar, or not at all."""
    try:
        yield
    except _UNREADABLE as error:
        raise refused(source, f"{what}: {error}") from None
    except OSError as error:
        raise refused(source, f"{what}: cannot be read: {error.strerror}") from None


def _members(source: Path, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The members by name: plain files that are there in full, each once."""
    found: dict[str, tarfile.TarInfo] = {}
    size = source.stat().st_size
    with _reading(source, "no complete bundle"):
        for member in tar:
            if not member.isreg():
                raise refused(source, f"{member.name}: no plain file")
            if member.name in found:
                raise refused(source, f"{member.name}: is in it twice")
            if member.size < 0 or member.offset_data + member.size > size:
                raise refused(source, f"{member.name}: cut off")
            found[member.name] = member
    _end(source, max((member.offset_data + member.size for member in found.values()), default=0))
    return found


def _end(source: Path, last: int) -> None:
    """Refuse a file that does not end as a tar does: with zeros, up to a whole record."""
    begin = -(-last // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    wanted = -(-(begin + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
    with source.open("rb") as stream:
        stream.seek(begin)
        rest = stream.read(wanted - begin + 1)
    if begin + len(rest) < wanted:
        raise refused(source, "its end is cut off")
    if begin + len(rest) > wanted or rest.strip(b"\0"):
        raise refused(source, "there is something behind its end")


def _stream(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The bytes of a member. Raises `InputError` for one that is no file."""
    stream = tar.extractfile(member)
    if stream is None:
        raise refused(source, f"{member.name}: is no file")
    return stream


def _listing(
    source: Path, tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo]
) -> tuple[Listing, str]:
    if LISTING not in members or members[LISTING].size > LARGEST_LISTING:
        raise refused(source, f"no bundle: it has no {LISTING}")
    text = _stream(source, tar, members[LISTING]).read()
    try:
        return Listing.model_validate_json(text), hashlib.sha256(text).hexdigest()
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",) and isinstance(first["input"], int):
            why = f"is of format {first['input']}, and this version of Plumbline reads format 1"
            raise refused(source, why, next_step=OTHER_VERSION) from None
        field = ".".join(str(part) for part in first["loc"])
        named = f"{LISTING}: {field}" if field else LISTING  # what is no JSON at all has no field
        raise refused(source, f"{named}: {first['msg']}") from None


def _same_names(
    source: Path, members: Mapping[str, object], labels: Mapping[str, str], wanted: Mapping[str, object]
) -> None:
    if extra := sorted(members.keys() - wanted.keys() - {LISTING}):
        raise refused(source, f"{extra[0]}: is not in its list", next_step=ADDED_TO)
    if absent := sorted(wanted.keys() - members.keys()):
        raise refused(source, f"{labels[absent[0]]}: is in its list, but not in it")


def _check(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, wanted: Packed, label: str) -> None:
    if member.size != wanted.size:
        raise refused(source, f"{label}: {member.size} bytes, its list says {wanted.size}")
    with _reading(source, label):
        stream = _stream(source, tar, member)
        got = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if got != wanted.sha256:
        raise refused(source, f"{label}: is sha256:{got}, its list says sha256:{wanted.sha256}")


def _check_tree(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, label: str) -> None:
    """Refuse a tree that could write outside its folder: by a name, or through a link of its own."""
    stream = tar.extractfile(member)
    links: set[PurePosixPath] = set()
    with _reading(source, label), tarfile.open(fileobj=stream, mode="r:") as tree:
        for inner in tree:
            if inner.size < 0 or inner.offset_data + inner.size > member.size:
                raise refused(source, f"{label}: {inner.name}: cut off")
            for name in (inner.name, inner.linkname) if inner.islnk() else (inner.name,):
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or links & {path, *path.parents}:
                    raise refused(source, f"{member.name}: {name}: leads out of the tree")
            if inner.issym():
                links.add(PurePosixPath(inner.name))


def _room(store: Store, listing: Listing) -> None:
    new = [entry for entry in listing.entries if not store.find(entry.store_key)]
    need = sum({file.sha256: file.size for entry in new for file in entry.files.values()}.values())
    need += sum(entry.tree.size + entry.tree.archive.size for entry in new if entry.tree)
    free = shutil.disk_usage(store.folder).free
    if free < need:
        raise PreflightError(
            f"{store.folder}: {free // 2**20} MiB free, the bundle takes {need // 2**20} MiB",
            next_step="free some disk space, or let PLUMBLINE_CACHE name a folder elsewhere",
        )


_AS_ROOT = "take it as root, onto a file system that keeps owners and capabilities (ext4, XFS)"
_KEPT = f"{_AS_ROOT}; if it was so, write the bundle anew where it is from"


_NOT_KEPT = ("Cannot change ownership", "Cannot change mode", "Cannot mknod", "extended attribute")
"""What GNU tar says (src/extract.c, src/xattrs.c) of a user or a file system that cannot keep a tree."""


def _may_keep(store: Store, source: Path, listing: Listing) -> None:
    """Refuse a tree that is not in the store yet to whoever is not root."""
    trees = [one for one in listing.entries if one.tree and not store.find(one.store_key)]
    if trees and os.geteuid():
        named = ", ".join(f"{one.name} ({one.arch})" for one in trees)
        raise PreflightError(
            f"{source}: {named}: only root can keep the owners and capabilities of a tree; "
            "nothing of it was taken",
            next_step=_AS_ROOT,
        )


def _take_entry(
    store: Store,
    source: Path,
    tar: tarfile.TarFile,
    entry: PackedEntry,
    held: Mapping[str, StoredFile],
    say: Say,
) -> Entry:
    """Make an entry of the store; what another entry has brought (`held`, by digest) is not copied again."""

    def files(work: Path) -> Produced:
        made: dict[str, Path | StoredFile] = {}
        for name, file in entry.files.items():
            made[name] = work / name if file.executable else held.get(file.sha256, work / name)
            if made[name] == work / name:
                _copy(source, tar, f"objects/{file.sha256}", file, work / name)
                (work / name).chmod(0o755 if file.executable else 0o644)
        return made

    def tree(target: Path, packed: PackedTree) -> Mapping[str, str]:
        archive = target.with_name("tree.tar")
        _copy(source, tar, f"trees/{entry.store_key.slug}.tar", packed.archive, archive)
        target.mkdir()
        command = ["--extract", "--file", str(archive), "--directory", str(target)]
        command += ["--same-owner", "--same-permissions"]
        try:
            run_tar(command, log=store.folder / "logs" / "bundle.log", cwd=target)
        except CommandError as error:
            said = [line for line in error.output.splitlines() if any(words in line for words in _NOT_KEPT)]
            if not said:
                raise
            why = said[0].removeprefix("tar: ")
            raise _OtherError(f"{entry.name} ({entry.arch}): its tree: {why}", _KEPT) from None
        archive.unlink()
        if tree_digest(target, form=packed.form)[0] != packed.sha256:
            raise _OtherError(f"{entry.name} ({entry.arch}): its tree is not the one of its list", _KEPT)
        return entry.notes

    say(f"{entry.name} ({entry.arch})")
    key, packed = entry.store_key, entry.tree
    if packed:
        return store.ensure_tree(key, lambda target: tree(target, packed), say=say)
    return store.ensure(key, files, say=say, notes=entry.notes)


def _copy(source: Path, tar: tarfile.TarFile, name: str, wanted: Packed, target: Path) -> None:
    """Write a member to a file, checked once more: the bundle may lie on a medium that is failing."""
    stream = _stream(source, tar, tar.getmember(name))
    seen = hashlib.sha256()
    with target.open("wb") as out:
        while piece := stream.read(PIECE):
            seen.update(piece)
            out.write(piece)
    if seen.hexdigest() != wanted.sha256:
        raise _OtherError(f"{name}: changed while it was read", COPY_AGAIN)
