"""A registry with images, and what is pulled from it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.images import StoredImage
from lab.artifacts.sources import Mirrors
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Store
from lab.catalogue.catalogue import Catalogue
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError
from lab.local import poured
from tests.doubles.upstream.publish import Publisher, config_of, small_layer
from tests.doubles.upstream.servers import Upstream

ZERO = f"sha256:{'0' * 64}"
THING = ComponentVersion("thing", "v1")


class Shelf:
    """A registry with images of two small layers, and a store to pull them into."""

    def __init__(self, upstream: Upstream, store: Store, folder: Path) -> None:
        self.upstream, self.store, self.day, self.folder = upstream, store, upstream.day, folder
        self.layers = [
            small_layer(folder, {"bin/tool": os.urandom(200_000)}),
            small_layer(folder, {"etc/conf": b"conf"}),
        ]
        self.host = upstream.host("registry")
        self.said: list[str] = []

    @contextmanager
    def publisher(self) -> Iterator[Publisher]:
        with self.upstream.publishing() as address:
            yield Publisher(address, self.folder / "packed")

    def publish(self, repository: str = "some/thing", **how: Any) -> str:
        """Push an image for both architectures under v1; gives the digest of its index."""
        configs = {arch: config_of(arch, self.layers, Cmd=[arch]) for arch in ("amd64", "arm64")}
        with self.publisher() as publisher:
            return publisher.image(repository, "v1", self.layers, configs, **how)

    def source(
        self, digest: str, arch: str = "amd64", repository: str = "some/thing", host: str = "",
        mirrors: Mirrors | None = None,
    ) -> UpstreamSource:  # fmt: skip
        component = {
            "kind": "image",
            "reference": f"{host or self.host}/{repository}:{{version}}",
            "modules": {"programs": {}, "entrypoint": ["/bin/tool"]},
            "versions": {"v1": {"digest": digest}},
        }
        selection = Catalogue.model_validate({"components": {"thing": component}}).everything()
        return UpstreamSource(self.store, selection, arch, self.said.append, mirrors)

    def pull(self, digest: str, arch: str = "amd64", **where: Any) -> dict[str, bytes]:
        """Pull it; gives the members of the tar that is imported."""
        made = self.source(digest, arch, **where).make(THING)
        image = StoredImage.of(f"{where.get('host') or self.host}/some/thing:v1", self.store.paths(made))
        with poured(image.write_to) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            return {member.name: read(tar, member) for member in tar}

    def refused(self, digest: str, arch: str = "amd64", **where: Any) -> FailedError:
        """Pull it and fail: the error, in one block that names the component; and nothing is in the store."""
        source = self.source(digest, arch, **where)
        with pytest.raises(FailedError) as raised:
            source.make(THING)
        key = source.key(THING)
        assert key
        assert self.store.read(key) is None
        assert list((self.store.folder / "work").iterdir()) == []
        assert raised.value.message.startswith("thing: ")
        assert "level=" not in str(raised.value)
        assert raised.value.next_step
        return raised.value


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content
    return content.read()
