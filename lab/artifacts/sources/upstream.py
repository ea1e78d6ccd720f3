"""Source `upstream`: the projects' own release files and images, pinned by digest."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import proxies
from lab.artifacts.catalogue import Catalogue, Component, Download, Image, Programs
from lab.artifacts.sources.modules import IMAGE_TAR, ModulesSource
from lab.artifacts.sources.registry import Mirrors, Pull
from lab.artifacts.store import Entry, Key, Say, Store
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
        self, store: Store, catalogue: Catalogue, arch: str, say: Say, mirrors: Mirrors | None = None
    ) -> None:
        self._store, self._catalogue, self._arch, self._say = store, catalogue, arch, say
        self._mirrors = mirrors or {}
        self._modules = ModulesSource(store, catalogue, arch, say)

    def components(self) -> list[str]:
        # Programs that go into images only come with the official images.
        return [
            name
            for name, component in self._catalogue.components.items()
            if isinstance(component, Image) or component.install
        ]

    def origin(self, name: str) -> str:
        return self.name if _official(self._catalogue.components[name]) else self._modules.origin(name)

    def fetched(self, name: str) -> bool:
        return _official(self._catalogue.components[name])

    def key(self, name: str) -> Key | None:
        component = self._catalogue.components[name]
        return self._key(name, component) if _official(component) else self._modules.key(name)

    def behind(self, name: str) -> list[Key]:
        component = self._catalogue.components[name]
        return [self._key(name, component)] if _official(component) else self._modules.behind(name)

    def make(self, name: str) -> Entry:
        component = self._catalogue.components[name]
        if not _official(component):
            if component.unpinned and not self._modules.ready(name):
                self._say(f"{name}: not pinned ({component.unpinned}): built from modules")
            return self._modules.make(name)
        key = self._key(name, component)
        if isinstance(component, Image):
            return self._store.ensure(key, lambda work: self._pull(name, component, work), say=self._say)
        return self._store.ensure(key, lambda work: self._download(name, component, work), say=self._say)

    def _key(self, name: str, component: Component) -> Key:
        inputs: dict[str, object] = {"source": self.name}
        if isinstance(component, Image):
            inputs |= {"reference": component.tagged, "digest": component.digest}
        else:
            inputs |= {
                "files": [vars(official_file(component, one, self._arch)) for one in component.upstream]
            }
        return Key.of(name, self._arch, inputs)

    def _download(self, name: str, component: Programs, work: Path) -> Mapping[str, Path]:
        # brings an HTTP client along, and whoever has everything fetches nothing
        from lab.artifacts.sources.fetch import fetch

        made: dict[str, Path] = {}
        for one in component.upstream:
            file = official_file(component, one, self._arch)
            self._say(f"{name}: fetching {file.url}")
            received = self._store.download_path(file.sha256)
            with _named(name), proxies.fetching():
                fetch(file.url, file.sha256, received, say=lambda line: self._say(f"{name}: {line}"))
            if one.program:
                made[one.program] = work / one.program
                shutil.copyfile(received, made[one.program])
            else:
                with _named(name):
                    made |= extract(received, file.members, work, file.url)
            for program in made.values():
                program.chmod(0o755)
            received.unlink()
        return made

    def _pull(self, name: str, image: Image, work: Path) -> Mapping[str, Path]:
        if not image.digest:
            raise FailedError(f"{name}: has no digest", next_step="add `digest` in artifacts/catalogue.yaml")
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
            pull.to(work / IMAGE_TAR)
        return {IMAGE_TAR: work / IMAGE_TAR}


@contextmanager
def _named(component: str) -> Iterator[None]:
    """Put the component before what an error says of an address."""
    try:
        yield
    except FailedError as error:
        raise FailedError(f"{component}: {error.message}", next_step=error.next_step) from error


def answers(catalogue: Catalogue, arch: str) -> bool:
    """Whether the first official file of the catalogue can be had from here, within `PATIENCE`."""
    from lab.artifacts.sources.fetch import can_be_had

    for _, component in catalogue.programs():
        for download in component.upstream:
            with proxies.fetching():
                return can_be_had(official_file(component, download, arch).url, PATIENCE)
    return False


def extract(archive: Path, members: Mapping[str, str], folder: Path, url: str) -> dict[str, Path]:
    """Take single files out of a tar, whatever else is in it; program -> file in `folder`.

    Raises `FailedError` for a member that is missing or no plain file.
    """
    made = {}
    with tarfile.open(archive) as tar:
        found = {Path(member.name).as_posix(): member for member in tar if member.isfile()}
        for program, name in members.items():
            content = tar.extractfile(found[name]) if name in found else None
            if content is None:
                raise FailedError(
                    f"{url}: no file {name} in it", next_step="correct `members` in artifacts/catalogue.yaml"
                )
            made[program] = folder / program
            with content, made[program].open("wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
    return made


def _official(component: Component) -> bool:
    """Whether there is an official file or image whose digest we know."""
    return bool(component.digest) if isinstance(component, Image) else bool(component.upstream)


def official_file(component: Programs, download: Download, arch: str) -> OfficialFile:
    values = {"version": component.version, "number": component.version.removeprefix("v"), "arch": arch}
    return OfficialFile(
        download.url.format(**values),
        download.sha256.of(arch),
        {program: member.format(**values) for program, member in download.members.items()},
    )
