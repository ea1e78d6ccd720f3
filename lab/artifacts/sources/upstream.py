"""Source `upstream`: the projects' own release files and images, pinned by digest."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab import proxies
from lab.artifacts.digests import PIECE, DigestedFile, DigestingWriter
from lab.artifacts.files import fetched, file_key
from lab.artifacts.images import FORM
from lab.artifacts.sources import Mirrors
from lab.artifacts.sources.modules import ModulesSource
from lab.artifacts.store import Entry, Key, Produced, Say, Store
from lab.catalogue.catalogue import Selection
from lab.catalogue.model import AnyVersion, ComponentVersion, Image, Programs, SingleFile
from lab.errors import FailedError

# What `auto` waits for an answer, in seconds.
PATIENCE = 3.0


@dataclass(frozen=True)
class OfficialFile:
    """A download for one version and architecture; `members`: program -> file in the tar."""

    url: str
    sha256: str
    members: Mapping[str, str]


class UpstreamSource:
    """Fetches official files.

    What has none (our own probe) or is not pinned is built from modules instead, and said so: an
    official file whose digest we do not know is never used.
    """

    name = "upstream"

    def __init__(
        self, store: Store, selection: Selection, arch: str, say: Say, mirrors: Mirrors | None = None
    ) -> None:
        self._store, self._selection, self._arch, self._say = store, selection, arch, say
        self._mirrors = mirrors or {}
        self._modules = ModulesSource(store, selection, arch, say)

    def components(self) -> list[ComponentVersion]:
        # Programs that go into images only come with the official images.
        programs = [item for item, _ in self._selection.named()]
        others = [item for item, one in self._selection.components.items() if not isinstance(one, Programs)]
        return [*programs, *others]

    def origin(self, item: ComponentVersion) -> str:
        return self.name if self.fetched(item) else self._modules.origin(item)

    def fetched(self, item: ComponentVersion) -> bool:
        return self._selection.components[item].official

    def key(self, item: ComponentVersion) -> Key | None:
        component = self._selection.components[item]
        return self._key(item, component) if component.official else self._modules.key(item)

    def behind(self, item: ComponentVersion) -> list[Key]:
        component = self._selection.components[item]
        return [self._key(item, component)] if component.official else self._modules.behind(item)

    def make(self, item: ComponentVersion) -> Entry:
        component = self._selection.components[item]
        if not component.official:
            if component.unpinned and not self._modules.ready(item):
                self._say(f"{item.name}: not pinned ({component.unpinned}): built from modules")
            return self._modules.make(item)
        if isinstance(component, SingleFile):
            with _named(item.name):
                return fetched(self._store, item.name, component, self._say)
        key = self._key(item, component)
        if isinstance(component, Image):
            return self._store.ensure(key, lambda work: self._pull(item.name, component, work), say=self._say)
        return self._store.ensure(key, lambda work: self._download(item.name, component, work), say=self._say)

    def _key(self, item: ComponentVersion, component: AnyVersion) -> Key:
        if isinstance(component, SingleFile):
            return file_key(item.name, component)
        inputs: dict[str, object] = {"source": self.name}
        if isinstance(component, Image):
            inputs |= {"form": FORM, "reference": component.tagged, "digest": component.digest}
        else:
            inputs |= {"files": [vars(file) for file in official_files(component, self._arch).values()]}
        return Key.of(item.name, self._arch, inputs)

    def _download(self, name: str, component: Programs, work: Path) -> Mapping[str, DigestedFile]:
        # brings an HTTP client along, and whoever has everything fetches nothing
        from lab.artifacts.sources.fetch import fetch

        made: dict[str, DigestedFile] = {}
        for part, file in official_files(component, self._arch).items():
            self._say(f"{name}: fetching {file.url}")
            received = self._store.download_path(file.sha256)
            with _named(name), proxies.fetching():
                fetch(file.url, file.sha256, received, say=lambda line: self._say(f"{name}: {line}"))
            if program := component.upstream[part].program:
                (work / program).hardlink_to(received)
                made[program] = DigestedFile(work / program, file.sha256)
            else:
                with _named(name):
                    made |= extract(received, file.members, work, file.url)
            received.unlink()
        for one in made.values():
            one.path.chmod(0o755)
        return made

    def _pull(self, name: str, image: Image, work: Path) -> Produced:
        if not image.digest:
            raise FailedError(f"{name}: has no digest", next_step="add `digest` in artifacts/catalogue.yaml")
        from lab.artifacts.sources.registry import Pull

        pull = Pull(
            component=name,
            reference=image.tagged,
            digest=image.digest,
            arch=self._arch,
            mirrors=self._mirrors,
            work=work,
            log=self._store.folder / "logs" / f"{name}.log",
            say=self._say,
        )
        with _named(name):
            return pull.files()


@contextmanager
def _named(component: str) -> Iterator[None]:
    """Put the component before what an error says of an address."""
    try:
        yield
    except FailedError as error:
        raise FailedError(f"{component}: {error.message}", next_step=error.next_step) from error


def answers(selection: Selection, arch: str) -> bool:
    """Whether the first official file of a selection can be had from here, within `PATIENCE`."""
    from lab.artifacts.sources.fetch import can_be_had

    programs = (file.url for _, one in selection.programs() for file in official_files(one, arch).values())
    single = (one.filled(one.url) for _, one in selection.files())
    for url in (*programs, *single):
        with proxies.fetching():
            return can_be_had(url, PATIENCE)
    return False


def extract(archive: Path, members: Mapping[str, str], folder: Path, url: str) -> dict[str, DigestedFile]:
    """Take single files out of a tar, however it is packed; program -> file in `folder`.

    It is read once, as far as the last of them. Raises `FailedError` for a member that is missing or no
    plain file.
    """
    programs = {name: program for program, name in members.items()}
    made = {}
    with _opened(archive) as tar:
        for member in tar:
            program = programs.get(Path(member.name).as_posix())
            wanted = tar.extractfile(member) if program and member.isfile() else None
            if program and wanted:
                made[program] = _copied(wanted, folder / program)
            if len(made) == len(programs):
                break
    for program, name in members.items():
        if program not in made:
            raise FailedError(f"{url}: no file {name} in it", next_step="correct `members` in the catalogue")
    return made


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """A tar, read once from its beginning; gzip by igzip: zlib was most of the work beside receiving."""
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"  # RFC 1952, 2.3.1
    if not packed:
        with tarfile.open(archive, "r|*", bufsize=PIECE) as tar:
            yield tar
        return
    from isal import igzip

    with igzip.open(archive) as content, tarfile.open(fileobj=content, mode="r|", bufsize=PIECE) as tar:
        yield tar


def _copied(content: IO[bytes], target: Path) -> DigestedFile:
    with content, target.open("wb") as file:
        out = DigestingWriter(file)
        shutil.copyfileobj(content, out, PIECE)
    return DigestedFile(target, out.sha256)


def official_files(component: Programs, arch: str) -> dict[str, OfficialFile]:
    """The official files of a set of programs by their names in the catalogue; none if it is not pinned."""
    values = {"version": component.version, "number": component.number, "arch": arch}
    return {
        name: OfficialFile(
            one.url.format(**values),
            component.sha256[name].of(arch),
            {program: member.format(**values) for program, member in one.members.items()},
        )
        for name, one in component.upstream.items()
        if name in component.sha256
    }
