"""Pulling an image from a registry by digest, into the tar form of `images.write_image`.

Every byte is checked against a digest that comes, link by link, from the pinned one: index -> manifest of
the architecture -> config and layers.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import re
import shutil
import urllib.error
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts.digests import file_digest
from lab.artifacts.images import Layer, write_image
from lab.artifacts.sources.fetch import fetch, request
from lab.artifacts.store import Say, Store
from lab.errors import FailedError

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class Reference:
    """A parsed image reference: host of the registry, repository, tag."""

    host: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Split HOST/REPOSITORY:TAG; images of docker.io are served by a host of another name."""
        host, _, rest = text.partition("/")
        repository, _, tag = rest.rpartition(":")
        return cls("registry-1.docker.io" if host == "docker.io" else host, repository, tag)

    @property
    def url(self) -> str:
        # A registry on this machine has no certificate; nothing else is asked without TLS.
        scheme = "http" if re.fullmatch(r"(localhost|127\.\d+\.\d+\.\d+)(:\d+)?", self.host) else "https"
        return f"{scheme}://{self.host}/v2/{self.repository}"


def pull(reference: str, digest: str, arch: str, store: Store, work: Path, target: Path, *, say: Say) -> None:
    """Pull the image that `digest` pins for an architecture and write it to `target`.

    `digest` is that of an index or of a single manifest. Layers are unpacked in `work`. Raises
    `FailedError` naming the URL for every broken link of the chain.
    """
    place = Reference.parse(reference)
    headers = _authorised(place)
    manifest = _manifest(place, digest, arch, headers)
    config = _blob(store, place, manifest["config"]["digest"], headers, say).read_bytes()
    described = json.loads(config)
    built_for = f"{described['os']}/{described['architecture']}"
    if built_for != f"linux/{arch}":
        raise FailedError(
            f"{reference}@{digest}: is for {built_for}, wanted linux/{arch}",
            next_step="pin the digest of the index in artifacts/catalogue.yaml",
        )
    layers = []
    say(f"{reference}: {len(manifest['layers'])} layers")
    for number, (blob, diff_id) in enumerate(
        zip(manifest["layers"], described["rootfs"]["diff_ids"], strict=True)
    ):
        packed = _blob(store, place, blob["digest"], headers, say)
        plain = work / f"layer-{number}.tar"
        layers.append(
            _unpacked(packed, plain, blob["mediaType"], diff_id, f"{place.url}/blobs/{blob['digest']}")
        )
    write_image(reference, config, layers, target)
    for blob in (manifest["config"], *manifest["layers"]):
        store.download_path(_plain(blob["digest"])).unlink(missing_ok=True)


def _manifest(place: Reference, digest: str, arch: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of an architecture, through the index if `digest` is that of an index."""
    data = _json(place, digest, headers)
    if data.get("mediaType") not in INDEXES and "manifests" not in data:
        return data
    for one in data["manifests"]:
        platform = one.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", arch):
            return _json(place, str(one["digest"]), headers)
    raise FailedError(
        f"{place.url}/manifests/{digest}: has no image for linux/{arch}",
        next_step="use --source modules, or pin another version in artifacts/catalogue.yaml",
    )


def _json(place: Reference, digest: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """A manifest or index by digest, checked against it."""
    url = f"{place.url}/manifests/{digest}"
    try:
        with request(url, {**headers, "Accept": ", ".join((*INDEXES, *MANIFESTS))}) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        raise FailedError(
            f"{url}: HTTP {error.code} {error.reason}",
            next_step="check reference and digest in artifacts/catalogue.yaml, or use --source modules",
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise FailedError(f"{url}: {error}", next_step="run it again, or use --source modules") from None
    got = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if got != digest:
        raise FailedError(
            f"{url}: wrong digest\n  wanted {digest}\n  got    {got}",
            next_step="do not use that image; try again, or use --source modules",
        )
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def _blob(store: Store, place: Reference, digest: str, headers: Mapping[str, str], say: Say) -> Path:
    """Receive a blob into the store's downloads."""
    target = store.download_path(_plain(digest))
    fetch(f"{place.url}/blobs/{digest}", _plain(digest), target, say=say, headers=headers)
    return target


def _plain(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _unpacked(packed: Path, plain: Path, media_type: str, diff_id: str, url: str) -> Layer:
    """The layer as a plain tar, checked against the digest that the config names for it."""
    if media_type.endswith("zstd"):
        raise FailedError(
            f"{url}: compressed with zstd, which is not supported", next_step="use --source modules"
        )
    with (
        gzip.open(packed) if media_type.endswith("gzip") else packed.open("rb") as source,
        plain.open("wb") as out,
    ):
        shutil.copyfileobj(source, out, 1 << 20)
    got = f"sha256:{file_digest(plain)}"
    if got != diff_id:
        raise FailedError(f"{url}: unpacks to {got}, the image's config says {diff_id}")
    return Layer(plain, _plain(diff_id))


def _authorised(place: Reference) -> dict[str, str]:
    """The header that lets an anonymous client read, if the registry wants one."""
    try:
        with request(f"{place.url}/manifests/{place.tag}", {"Accept": ", ".join(INDEXES)}):
            return {}
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
        if error.code != 401 or not challenge.startswith("Bearer "):
            # The manifest itself is asked for by digest; whatever is wrong is said then.
            return {}
    except (OSError, http.client.HTTPException) as error:
        raise FailedError(
            f"{place.url}: {error}", next_step="check the network, or use --source modules"
        ) from None
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    query = urllib.parse.urlencode({name: fields[name] for name in ("service", "scope") if name in fields})
    try:
        with request(f"{fields['realm']}?{query}", {}) as answer:
            said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
        raise FailedError(
            f"{place.url}: no anonymous access: {error}", next_step="use --source modules"
        ) from None
    return {"Authorization": f"Bearer {said.get('token') or said['access_token']}"}
