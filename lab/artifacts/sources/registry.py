"""Pulling an image from a registry by digest: its config and its layers, as `images.image_files` names them.

`skopeo` speaks with the registry (docs/adr/0021): tokens, redirects, credentials, proxies, authorities and
rate limits are its business. Trusted is nothing but digests, which it checks link by link, from the pinned
one: index -> manifest of the architecture -> config and layers, which stay packed. What they unpack to is
compared with the config by containerd, when it imports them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts import programs
from lab.artifacts.digests import DigestedFile
from lab.artifacts.images import image_files
from lab.artifacts.sources import Mirrors
from lab.artifacts.sources.skopeo import NoSuchImageError, skopeo
from lab.artifacts.sources.trouble import BUILD_HERE
from lab.artifacts.store import Produced, Say
from lab.catalogue.load import line_of
from lab.errors import FailedError

SHA256 = re.compile("sha256:[0-9a-f]{64}")
"""The one algorithm whose digests name files of the store."""


@dataclass(frozen=True)
class RegistryPlace:
    """Where an image can be had: HOST/REPOSITORY at the registry itself or at a mirror of it."""

    repository: str
    plain: bool = False

    def at(self, name: str) -> str:
        """The place with a tag or a digest, as people write it."""
        return f"{self.repository}{'@' if name.startswith('sha256:') else ':'}{name}"


@dataclass(frozen=True)
class Pull:
    """One image to be pulled.

    `component` names it to people, `reference` is HOST/REPOSITORY:TAG, `digest` pins its index or its single
    manifest; `work` is an empty folder, `log` gets all that skopeo says.
    """

    component: str
    reference: str
    digest: str
    arch: str
    mirrors: Mirrors
    work: Path
    log: Path
    say: Say

    def files(self) -> Produced:
        """The files of the image, in `work`. Raises `FailedError` for every broken link of the chain, with
        the trouble of each place where it was looked for."""
        failures: list[FailedError] = []
        for place in self._places():
            try:
                return self._from(place)
            except FailedError as error:
                programs.still_wanted(self.component)
                failures.append(error)
        raise FailedError(
            "\n  ".join(one.message for one in failures), next_step=failures[-1].next_step
        ) from failures[-1]

    def _places(self) -> list[RegistryPlace]:
        """The mirrors of the registry in their order, then the registry itself."""
        name, _, _ = self.reference.rpartition(":")
        host, _, repository = name.partition("/")
        places = []
        for mirror in self.mirrors.get(host, ()):
            scheme, _, address = mirror.removesuffix("/v2").partition("://")
            if "/" in address:
                # containerd puts it before /v2, where skopeo cannot ask
                self.say(f"{self.component}: mirror {mirror}: has a path, only nodes can use it")
                continue
            places.append(RegistryPlace(f"{address}/{repository}", plain=scheme == "http"))
        return [*places, RegistryPlace(name)]

    def _from(self, place: RegistryPlace) -> Produced:
        where = place.at(self.digest)
        folder = self.work / "image"
        self.say(f"{self.component}: pulling from {place.repository}")
        source = ["--src-tls-verify=false"] if place.plain else []
        command = ["copy", "--quiet", "--override-arch", self.arch, *source]
        command += [f"docker://{where}", f"dir:{folder}"]
        try:
            skopeo(where, command, into=folder, log=self.log, say=self._tell)
        except NoSuchImageError as error:
            raise FailedError(error.message, next_step=self._pin(place)) from None
        manifest = _parsed(folder / "manifest.json", where)
        config = folder / _plain(manifest.get("config"), where)
        described = _parsed(config, where)
        built_for = f"{described.get('os')}/{described.get('architecture')}"
        if built_for != f"linux/{self.arch}":
            raise FailedError(
                f"{where}: is for {built_for}, wanted linux/{self.arch}",
                next_step=f"pin the digest of the index, {line_of(self.digest)}",
            )
        layers = [_plain(one, where) for one in _list(manifest, "layers", where)]
        if len(layers) != len(_list(_field(described, "rootfs", where), "diff_ids", where)):
            raise _malformed(where)
        # what skopeo received under a digest had that digest (docs/adr/0021)
        return image_files(config, [DigestedFile(_present(folder / one, where), one) for one in layers])

    def _pin(self, place: RegistryPlace) -> str:
        """The one line of the catalogue to change, with what the tag names today if it names anything."""
        tag = self.reference.rpartition(":")[2]
        line = line_of(self.digest)
        try:
            now = f"sha256:{hashlib.sha256(self._inspect(place, tag)).hexdigest()}"
        except FailedError:
            return f"pin another version: `version` and `digest`, {line}"
        return f"{line}: `digest: {now}` is what the tag {tag} names today, if the project says so too"

    def _inspect(self, place: RegistryPlace, name: str) -> bytes:
        """The bytes of a manifest or index under a tag or digest."""
        source = ["--tls-verify=false"] if place.plain else []
        output = self.work / "manifest"
        where = place.at(name)
        skopeo(
            where,
            ["inspect", *source, "--raw", f"docker://{where}"],
            into=output,
            log=self.log,
            say=self._tell,
        )
        return output.read_bytes()

    def _tell(self, text: str) -> None:
        self.say(f"{self.component}: {text}")


def _present(file: Path, where: str) -> Path:
    """A file that the registry was asked for."""
    if not file.is_file():
        raise _malformed(where)
    return file


def _parsed(file: Path, where: str) -> dict[str, Any]:
    try:
        data = json.loads(_present(file, where).read_bytes())
    except ValueError:
        raise _malformed(where) from None
    if not isinstance(data, dict):
        raise _malformed(where)
    return data


def _field(data: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise _malformed(where)
    return found


def _plain(described: object, where: str) -> str:
    """The digest of a part of an image, as skopeo names the part's file."""
    found = described.get("digest") if isinstance(described, Mapping) else None
    if not isinstance(found, str) or not SHA256.fullmatch(found):
        raise _malformed(where)
    return found.removeprefix("sha256:")


def _list(data: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = data.get(name)
    if not isinstance(found, list):
        raise _malformed(where)
    return found


def _malformed(where: str) -> FailedError:
    return FailedError(f"{where}: is no image that can be run here", next_step=f"check the pin; {BUILD_HERE}")
