"""What is made of the folder that `skopeo` fills, which is a script here: the files of an image's entry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts import programs
from lab.artifacts.images import FORM, StoredImage
from lab.artifacts.sources import skopeo
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Key, Produced, Store
from lab.catalogue.catalogue import Catalogue
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError

THING = ComponentVersion("thing", "v1")
PINNED = f"sha256:{'1' * 64}"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry:
    """An image that is pulled: its packed layers, and what its config and its manifest say."""

    def __init__(self, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.served = store, folder / "served"
        self.served.mkdir()
        program = folder / "skopeo"
        program.write_text(f'#!/bin/sh\nfor last; do :; done\ncp -r {self.served}/. "${{last#dir:}}"\n')
        program.chmod(0o755)
        monkeypatch.setattr(skopeo, "PROGRAM", str(program))
        programs.start_anew()

    def serve(self, *layers: bytes, diff_ids: int | None = None, **manifest: Any) -> bytes:
        """Gives the config."""
        count = len(layers) if diff_ids is None else diff_ids
        rootfs = {"diff_ids": [f"sha256:{number}" for number in range(count)]}
        config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
        for content in (config, *layers):
            (self.served / digest(content).removeprefix("sha256:")).write_bytes(content)
        said = {
            "config": {"digest": digest(config)},
            "layers": [{"digest": digest(layer)} for layer in layers],
            **manifest,
        }
        (self.served / "manifest.json").write_text(json.dumps(said))
        return config

    @property
    def source(self) -> UpstreamSource:
        component = {
            "kind": "image",
            "reference": "registry.example/thing:{version}",
            "modules": {"programs": {}, "entrypoint": ["/bin/tool"]},
            "versions": {"v1": {"digest": PINNED}},
        }
        selection = Catalogue.model_validate({"components": {"thing": component}}).everything()
        return UpstreamSource(self.store, selection, "amd64", print)

    def pulled(self) -> StoredImage:
        return StoredImage.of("registry.example/thing:v1", self.store.paths(self.source.make(THING)))


@pytest.fixture
def registry(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return Registry(store, tmp_path, monkeypatch)


def test_config_and_layers_are_kept_as_they_came(registry: Registry) -> None:
    """In the manifest's order; one that is there twice is one file."""
    layers = (b"\x1f\x8bbase", b"", b"\x28\xb5\x2f\xfdtop", b"\x1f\x8bbase")
    config = registry.serve(*layers)
    image = registry.pulled()
    assert image.id == digest(config).removeprefix("sha256:")
    assert image.config.read_bytes() == config
    assert tuple(path.read_bytes() for path in image.layers) == layers
    assert [f"sha256:{path.name}" for path in image.layers] == [digest(layer) for layer in layers]
    assert image.layers[0] == image.layers[3]
    assert len(list((registry.store.folder / "objects").glob("*/*"))) == 4
    assert list((registry.store.folder / "work").iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_layers_as_the_config_says(registry: Registry, count: int) -> None:
    registry.serve(b"base", b"top", diff_ids=count)
    with pytest.raises(FailedError, match="is no image that can be run here"):
        registry.pulled()


@pytest.mark.parametrize("name", ["sha512:" + "a" * 128, "sha256:../../etc/passwd", "sha256:" + "A" * 64, 1])
def test_a_digest_names_a_file_of_the_store(registry: Registry, name: object) -> None:
    registry.serve(b"base", layers=[{"digest": name}])
    with pytest.raises(FailedError, match="is no image that can be run here"):
        registry.pulled()
    assert list((registry.store.folder / "objects").iterdir()) == []


def test_an_entry_of_the_former_form_is_not_taken(registry: Registry) -> None:
    """One tar under the key that had no form: the image is fetched anew, and is what it should be."""
    former = {"source": "upstream", "reference": "registry.example/thing:v1", "digest": PINNED}

    def one_tar(work: Path) -> Produced:
        (work / "image.tar").write_bytes(b"tar")
        return {"image.tar": work / "image.tar"}

    old = registry.store.ensure(Key.of("thing", "amd64", former), one_tar, say=print)
    key = registry.source.key(THING)
    assert key == Key.of("thing", "amd64", {"form": FORM, **former})
    assert registry.store.find(key) is None
    registry.serve(b"base")
    assert [path.read_bytes() for path in registry.pulled().layers] == [b"base"]
    assert registry.store.find(old.key) == old
