"""Taking a bundle into the store: first every byte is checked, then anything is written."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import ValidationError

from lab.artifacts import programs
from lab.artifacts.bundle import LISTING, XATTRS, Listing, Packed, PackedEntry, PackedTree
from lab.artifacts.digests import tree_digest
from lab.artifacts.store import Say, Store
from lab.errors import InputError, PreflightError

LARGEST_LISTING = 64 << 20
"""Bytes; one of all components for two architectures has a quarter of a megabyte."""
PIECE = 1 << 20


def take(store: Store, source: Path, *, say: Say) -> tuple[Listing, str]:
    """Fill the store from a bundle; its listing, and the listing's sha256.

    What the store has already is kept. Raises `InputError` for a file that is not what its listing says
    in every byte, and then nothing of it is in the store; `PreflightError` when the disk is too small.
    """
    with _opened(source) as tar:
        members = _members(source, tar)
        listing, digest = _listing(source, tar, members)
        wanted, labels = listing.members(), listing.labels()
        _same_names(source, members, labels, wanted)
        say(f"{source.name}: checking {len(wanted)} files")
        for name, packed in wanted.items():
            _check(source, tar, members[name], packed, labels[name])
            if name.startswith("trees/"):
                _check_tree(source, tar, members[name])
        _room(store, listing)
        for entry in listing.entries:
            _take_entry(store, source, tar, entry, say)
    return listing, digest


def refused(source: Path, why: str, taken: str = "nothing of it was taken") -> InputError:
    """The error of a bundle that is not what it should be."""
    return InputError(
        f"{source}: {why}; {taken}",
        next_step="copy it again, and compare sha256sum of both copies",
    )


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise refused(source, f"no complete bundle: {error}") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if error.filename != str(source):
            raise
        raise InputError(f"{source}: {error.strerror}", next_step="name the file of a bundle") from None


def _members(source: Path, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The members by name: plain files that are there in full, each once."""
    found: dict[str, tarfile.TarInfo] = {}
    size = source.stat().st_size
    for member in tar:
        if not member.isreg():
            raise refused(source, f"{member.name}: no plain file")
        if member.name in found:
            raise refused(source, f"{member.name}: is in it twice")
        if member.offset_data + member.size > size:
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
        field = ".".join(str(part) for part in first["loc"])
        raise refused(source, f"{LISTING}: {field}: {first['msg']}") from None


def _same_names(
    source: Path, members: Mapping[str, object], labels: Mapping[str, str], wanted: Mapping[str, object]
) -> None:
    if extra := sorted(members.keys() - wanted.keys() - {LISTING}):
        raise refused(source, f"{extra[0]}: is not in its list")
    if absent := sorted(wanted.keys() - members.keys()):
        raise refused(source, f"{labels[absent[0]]}: is in its list, but not in it")


def _check(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, wanted: Packed, label: str) -> None:
    if member.size != wanted.size:
        raise refused(source, f"{label}: {member.size} bytes, its list says {wanted.size}")
    stream = _stream(source, tar, member)
    got = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if got != wanted.sha256:
        raise refused(source, f"{label}: is sha256:{got}, its list says sha256:{wanted.sha256}")


def _check_tree(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Refuse a tree that could write outside its folder: by a name, or through a link of its own."""
    stream = tar.extractfile(member)
    links: set[PurePosixPath] = set()
    with tarfile.open(fileobj=stream, mode="r:") as tree:
        for inner in tree:
            for name in (inner.name, inner.linkname) if inner.islnk() else (inner.name,):
                path = PurePosixPath(name)
                if path.is_absolute() or ".." in path.parts or links & {path, *path.parents}:
                    raise refused(source, f"{member.name}: {name}: leads out of the tree")
            if inner.issym():
                links.add(PurePosixPath(inner.name))


def _room(store: Store, listing: Listing) -> None:
    new = [entry for entry in listing.entries if not store.find(entry.store_key)]
    need = sum(file.size for entry in new for file in entry.files.values())
    need += sum(entry.tree.size + entry.tree.archive.size for entry in new if entry.tree)
    free = shutil.disk_usage(store.folder).free
    if free < need:
        raise PreflightError(
            f"{store.folder}: {free // 2**20} MiB free, the bundle takes {need // 2**20} MiB",
            next_step="free some disk space, or let PLUMBLINE_CACHE name a folder elsewhere",
        )


def _take_entry(store: Store, source: Path, tar: tarfile.TarFile, entry: PackedEntry, say: Say) -> None:
    def files(work: Path) -> Mapping[str, Path]:
        for name, file in entry.files.items():
            _copy(source, tar, f"objects/{file.sha256}", file, work / name)
            (work / name).chmod(0o755 if file.executable else 0o644)
        return {name: work / name for name in entry.files}

    def tree(target: Path, packed: PackedTree) -> Mapping[str, str]:
        archive = target.with_name("tree.tar")
        _copy(source, tar, f"trees/{entry.store_key.slug}.tar", packed.archive, archive)
        target.mkdir()
        command = ["tar", "--extract", "--file", str(archive), "--directory", str(target)]
        command += ["--numeric-owner", "--same-owner", "--same-permissions", *XATTRS]
        programs.run(command, log=store.folder / "logs" / "bundle.log", cwd=target)
        archive.unlink()
        if tree_digest(target)[0] != packed.sha256:
            raise refused(source, f"{entry.name}: its tree is not the one of its list")
        return entry.notes

    say(f"{entry.name} ({entry.arch})")
    key, packed = entry.store_key, entry.tree
    if packed:
        store.ensure_tree(key, lambda target: tree(target, packed), say=say)
    else:
        store.ensure(key, files, say=say, notes=entry.notes)


def _copy(source: Path, tar: tarfile.TarFile, name: str, wanted: Packed, target: Path) -> None:
    """Write a member to a file, checked once more: the bundle may lie on a medium that is failing."""
    stream = _stream(source, tar, tar.getmember(name))
    seen = hashlib.sha256()
    with target.open("wb") as out:
        while piece := stream.read(PIECE):
            seen.update(piece)
            out.write(piece)
    if seen.hexdigest() != wanted.sha256:
        raise refused(source, f"{name}: changed while it was read", "what was taken before it is sound")
