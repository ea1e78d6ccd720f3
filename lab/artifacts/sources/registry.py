"""Pulling an image from a registry by digest, into the tar form of `images.write_image`.

`skopeo` speaks with the registry (docs/adr/0021): tokens, redirects, credentials, proxies, authorities and
rate limits are its business. Trusted is nothing but digests, and they are checked here, link by link, from
the pinned one: index -> manifest of the architecture -> config -> unpacked layers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts import programs
from lab.artifacts.digests import file_digest
from lab.artifacts.images import Layer, write_image
from lab.artifacts.sources.skopeo import NoSuchImageError, skopeo
from lab.artifacts.sources.trouble import BUILD_HERE
from lab.artifacts.store import Say
from lab.catalogue.load import line_of
from lab.errors import FailedError

# registry -> URLs of its mirrors, in the order in which they are tried
Mirrors = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Place:
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

    def to(self, target: Path) -> None:
        """Write the image to `target`. Raises `FailedError` for every broken link of the chain, with the
        trouble of each place where it was looked for."""
        failures: list[FailedError] = []
        for place in self._places():
            try:
                self._from(place, target)
                return
            except FailedError as error:
                programs.still_wanted(self.component)
                failures.append(error)
        raise FailedError(
            "\n  ".join(one.message for one in failures), next_step=failures[-1].next_step
        ) from failures[-1]

    def _places(self) -> list[Place]:
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
            places.append(Place(f"{address}/{repository}", plain=scheme == "http"))
        return [*places, Place(name)]

    def _from(self, place: Place, target: Path) -> None:
        manifest_digest, manifest = self._manifest(place)
        where = place.at(manifest_digest)
        folder = self.work / "image"
        count = len(_list(manifest, "layers", where))
        self.say(f"{self.component}: pulling {count} layer{'s'[: count - 1]} from {place.repository}")
        source = ["--src-tls-verify=false"] if place.plain else []
        command = ["copy", "--quiet", *source, "--dest-decompress", f"docker://{where}", f"dir:{folder}"]
        skopeo(where, command, into=folder, log=self.log, say=self._tell)
        name = _plain(_field(manifest, "config", where)["digest"])
        config = _checked(folder / name, name, where).read_bytes()
        described = _parsed(config, where)
        built_for = f"{described.get('os')}/{described.get('architecture')}"
        if built_for != f"linux/{self.arch}":
            raise FailedError(
                f"{where}: is for {built_for}, wanted linux/{self.arch}",
                next_step=f"pin the digest of the index, {line_of(self.digest)}",
            )
        diff_ids = _list(_field(described, "rootfs", where), "diff_ids", where)
        if len(diff_ids) != len(manifest["layers"]):
            raise _malformed(where)
        layers = [Layer(_checked(folder / _plain(one), _plain(one), where), _plain(one)) for one in diff_ids]
        write_image(self.reference, config, layers, target)

    def _manifest(self, place: Place) -> tuple[str, dict[str, Any]]:
        """Digest and content of the manifest of the architecture, through the index if there is one."""
        first = self._raw(place, self.digest)
        if "manifests" not in first:
            return self.digest, first
        for one in _list(first, "manifests", place.at(self.digest)):
            platform = one.get("platform", {})
            if (platform.get("os"), platform.get("architecture")) == ("linux", self.arch):
                return str(one["digest"]), self._raw(place, str(one["digest"]))
        raise FailedError(
            f"{place.at(self.digest)}: has no image for linux/{self.arch}",
            next_step=f"pin another version, {line_of(self.digest)}; {BUILD_HERE}",
        )

    def _raw(self, place: Place, digest: str) -> dict[str, Any]:
        """A manifest or index by its digest, checked against it."""
        where = place.at(digest)
        try:
            body = self._inspect(place, digest)
        except NoSuchImageError:
            raise FailedError(
                f"{where}: the registry has no such image", next_step=self._pin(place)
            ) from None
        got = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if got != digest:
            raise FailedError(
                f"{where}: wrong digest\n  wanted {digest}\n  got    {got}",
                next_step=f"do not use that image; {BUILD_HERE}",
            )
        return _parsed(body, where)

    def _pin(self, place: Place) -> str:
        """The one line of the catalogue to change, with what the tag names today if it names anything."""
        tag = self.reference.rpartition(":")[2]
        line = line_of(self.digest)
        try:
            now = f"sha256:{hashlib.sha256(self._inspect(place, tag)).hexdigest()}"
        except FailedError:
            return f"pin another version: `version` and `digest`, {line}"
        return f"{line}: `digest: {now}` is what the tag {tag} names today, if the project says so too"

    def _inspect(self, place: Place, name: str) -> bytes:
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


def _checked(file: Path, digest: str, where: str) -> Path:
    """A received file, its content checked against its digest; layers lie there unpacked."""
    if not file.is_file():
        said = f"{where}: no layer of it unpacks to sha256 {digest}, which its config names"
    elif (got := file_digest(file)) != digest:
        said = f"{where}: wrong digest of a part\n  wanted sha256 {digest}\n  got    sha256 {got}"
    else:
        return file
    raise FailedError(said, next_step=f"do not use that image; {BUILD_HERE}")


def _plain(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _parsed(body: bytes, where: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
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


def _list(data: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = data.get(name)
    if not isinstance(found, list):
        raise _malformed(where)
    return found


def _malformed(where: str) -> FailedError:
    return FailedError(f"{where}: is no image that can be run here", next_step=f"check the pin; {BUILD_HERE}")
