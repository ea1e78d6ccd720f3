"""Source `upstream`: the projects' own release files and images, pinned by digest."""

from __future__ import annotations

import http.client
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import proxies
from lab.artifacts.files import fetched, file_key
from lab.artifacts.sources.fetch import fetch, request
from lab.artifacts.sources.modules import IMAGE_TAR, ModulesSource
from lab.artifacts.sources.registry import pull
from lab.artifacts.store import Entry, Key, Say, Store
from lab.catalogue.catalogue import Selection
from lab.catalogue.model import AnyVersion, ComponentVersion, File, Image, Programs
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

    def __init__(self, store: Store, selection: Selection, arch: str, say: Say) -> None:
        self._store, self._selection, self._arch, self._say = store, selection, arch, say
        self._modules = ModulesSource(store, selection, arch, say)

    def components(self) -> list[ComponentVersion]:
        # Programs that go into images only come with the official images.
        programs = [item for item, _ in self._selection.installed()]
        others = [item for item, one in self._selection.components.items() if not isinstance(one, Programs)]
        return [*programs, *others]

    def origin(self, item: ComponentVersion) -> str:
        return self.name if self._selection.components[item].official else self._modules.origin(item)

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
        if isinstance(component, File):
            return fetched(self._store, item.name, component, self._say)
        key = self._key(item, component)
        if isinstance(component, Image):
            return self._store.ensure(key, lambda work: self._pull(item.name, component, work), say=self._say)
        return self._store.ensure(key, lambda work: self._download(item.name, component, work), say=self._say)

    def _key(self, item: ComponentVersion, component: AnyVersion) -> Key:
        if isinstance(component, File):
            return file_key(item.name, component)
        inputs: dict[str, object] = {"source": self.name}
        if isinstance(component, Image):
            inputs |= {"reference": component.tagged, "digest": component.digest}
        else:
            inputs |= {"files": [vars(file) for file in official_files(component, self._arch)]}
        return Key.of(item.name, self._arch, inputs)

    def _download(self, name: str, component: Programs, work: Path) -> Mapping[str, Path]:
        made: dict[str, Path] = {}
        for one, file in zip(component.upstream.values(), official_files(component, self._arch), strict=True):
            self._say(f"{name}: fetching {file.url}")
            received = self._store.download_path(file.sha256)
            with proxies.fetching():
                fetch(file.url, file.sha256, received, say=self._say)
            if one.program:
                made[one.program] = work / one.program
                shutil.copyfile(received, made[one.program])
            else:
                made |= extract(received, file.members, work, file.url)
            for program in made.values():
                program.chmod(0o755)
            received.unlink()
        return made

    def _pull(self, name: str, image: Image, work: Path) -> Mapping[str, Path]:
        assert image.digest
        self._say(f"{name}: pulling {image.tagged}@{image.digest}")
        with proxies.fetching():
            pull(image.tagged, image.digest, self._arch, self._store, work, work / IMAGE_TAR, say=self._say)
        return {IMAGE_TAR: work / IMAGE_TAR}


def answers(selection: Selection, arch: str) -> bool:
    """Whether the first official file of a selection can be had from here, within `PATIENCE`."""
    programs = (file.url for _, one in selection.programs() for file in official_files(one, arch))
    single = (one.filled(one.url) for _, one in selection.files())
    for url in (*programs, *single):
        try:
            with proxies.fetching(), request(url, {"Range": "bytes=0-0"}, seconds=PATIENCE):
                return True
        except (OSError, http.client.HTTPException):
            return False
    return False


def extract(archive: Path, members: Mapping[str, str], folder: Path, url: str) -> dict[str, Path]:
    """Take single files out of a tar, whatever else is in it; program -> file in `folder`.

    Raises `FailedError` for a member that is missing or no plain file.
    """
    made = {}
    with tarfile.open(archive) as tar:
        found = {Path(member.name).as_posix(): member for member in tar if member.isfile()}
        for program, name in members.items():
            if name not in found:
                raise FailedError(
                    f"{url}: no file {name} in it", next_step="correct `members` in artifacts/catalogue.yaml"
                )
            content = tar.extractfile(found[name])
            assert content
            made[program] = folder / program
            with content, made[program].open("wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
    return made


def official_files(component: Programs, arch: str) -> list[OfficialFile]:
    """The official files of a set of programs, none for one that is not pinned."""
    values = {"version": component.version, "number": component.number, "arch": arch}
    return [
        OfficialFile(
            component.upstream[name].url.format(**values),
            digests.of(arch),
            {
                program: member.format(**values)
                for program, member in component.upstream[name].members.items()
            },
        )
        for name in component.upstream
        if (digests := component.sha256.get(name))
    ]
