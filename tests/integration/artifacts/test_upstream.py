"""Source upstream: official files and images, against a loopback server."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.sources import upstream
from lab.artifacts.sources.modules import IMAGE_TAR
from lab.artifacts.sources.registry import INDEXES, MANIFESTS
from lab.artifacts.sources.upstream import UpstreamSource, answers
from lab.artifacts.store import Store
from lab.catalogue.catalogue import Catalogue, Selection
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError

from .conftest import Site


def quiet(_line: str) -> None:
    pass


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


TOOL = ComponentVersion("tool", "v1.2.3")
THING = ComponentVersion("thing", "v1")


def selection(components: dict[str, Any]) -> Selection:
    return Catalogue.model_validate({"components": components}).everything()


def source(store: Store, components: dict[str, Any], arch: str = "amd64") -> UpstreamSource:
    return UpstreamSource(store, selection(components), arch, quiet)


def programs(download: dict[str, Any], install: list[str]) -> dict[str, Any]:
    """A set of programs in one file, whose `sha256` stands with the version."""
    return {
        "kind": "programs",
        "install": dict.fromkeys(install, "/usr/local/bin"),
        "upstream": {"file": {key: value for key, value in download.items() if key != "sha256"}},
        "modules": "none",
        "versions": {"v1.2.3": {"sha256": {"file": download["sha256"]}}},
    }


def test_a_file_is_a_program(site: Site, store: Store) -> None:
    sha256 = site.put("/v1.2.3/arm64/tool", b"#!tool")
    url = f"{site.url}/{{version}}/{{arch}}/tool"
    download = {"url": url, "program": "tool", "sha256": {"amd64": "0" * 64, "arm64": sha256}}
    made = source(store, {"tool": programs(download, ["tool"])}, "arm64").make(TOOL)
    path = store.paths(made)["tool"]
    assert path.read_bytes() == b"#!tool"
    assert path.stat().st_mode & 0o777 == 0o755
    assert [one for one in (store.folder / "downloads").iterdir() if one.suffix != ".lock"] == []


def test_single_members_of_a_tar_are_programs(site: Site, store: Store) -> None:
    packed = gzip.compress(tar_of({"./bin/one": b"1", "./bin/two": b"2", "./bin/three": b"3"}))
    sha256 = site.put("/tool-1.2.3.tgz", packed)
    download = {
        "url": f"{site.url}/tool-{{number}}.tgz",
        "members": {"one": "bin/one", "zwei": "bin/two"},
        "sha256": {"amd64": sha256, "arm64": "0" * 64},
    }
    origin = source(store, {"tool": programs(download, ["one", "zwei"])})
    paths = store.paths(origin.make(TOOL))
    assert {name: path.read_bytes() for name, path in paths.items()} == {"one": b"1", "zwei": b"2"}
    site.files.clear()
    assert store.paths(origin.make(TOOL)) == paths


def test_a_member_that_is_not_there_is_named(site: Site, store: Store) -> None:
    sha256 = site.put("/tool.tar", tar_of({"bin/one": b"1"}))
    download = {
        "url": f"{site.url}/tool.tar",
        "members": {"one": "bin/uno"},
        "sha256": {"amd64": sha256, "arm64": sha256},
    }
    origin = source(store, {"tool": programs(download, ["one"])})
    with pytest.raises(FailedError, match=r"tool\.tar: no file bin/uno in it"):
        origin.make(TOOL)
    key = origin.key(TOOL)
    assert key
    assert store.find(key) is None


def test_upstream_answers_or_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PATIENCE", 0.5)
    site.put("/tool", b"tool")
    good = {"url": f"{site.url}/tool", "program": "tool", "sha256": {"amd64": "0" * 64, "arm64": "0" * 64}}
    gone = {**good, "url": "http://127.0.0.1:1/tool"}
    for download, expected in ((good, True), (gone, False)):
        assert answers(selection({"tool": programs(download, ["tool"])}), "amd64") is expected


class Registry:
    """An image on a site, as a registry serves it: an index of two architectures, gzip layers."""

    def __init__(self, site: Site, *, docker: bool = False) -> None:
        self.site = site
        self.layers = [tar_of({"bin/tool": b"tool"}), tar_of({"etc/conf": b"conf"})]
        kind = 1 if docker else 0
        manifests = []
        for arch in ("amd64", "arm64"):
            config = json.dumps(
                {
                    "os": "linux",
                    "architecture": arch,
                    "rootfs": {"type": "layers", "diff_ids": [self.digest(layer) for layer in self.layers]},
                }
            ).encode()
            packed = [gzip.compress(layer, mtime=0) for layer in self.layers]
            manifest = {
                "mediaType": MANIFESTS[kind],
                "config": {"digest": self.blob(config)},
                "layers": [
                    {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": self.blob(one)}
                    for one in packed
                ],
            }
            digest = self.manifest(json.dumps(manifest).encode())
            manifests.append({"digest": digest, "platform": {"os": "linux", "architecture": arch}})
            self.single = digest
        self.index = self.manifest(json.dumps({"mediaType": INDEXES[kind], "manifests": manifests}).encode())

    @staticmethod
    def digest(content: bytes) -> str:
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

    def blob(self, content: bytes) -> str:
        self.site.put(f"/v2/thing/blobs/{self.digest(content)}", content)
        return self.digest(content)

    def manifest(self, content: bytes) -> str:
        self.site.put(f"/v2/thing/manifests/{self.digest(content)}", content)
        return self.digest(content)

    def component(self, digest: str) -> dict[str, Any]:
        host = self.site.url.removeprefix("http://")
        modules = {"programs": {}, "entrypoint": ["/bin/tool"]}
        reference = f"{host}/thing:{{version}}"
        return {
            "kind": "image",
            "reference": reference,
            "modules": modules,
            "versions": {"v1": {"digest": digest}},
        }


def pulled(store: Store, registry: Registry, digest: str, arch: str = "amd64") -> Path:
    made = source(store, {"thing": registry.component(digest)}, arch).make(THING)
    return store.paths(made)[IMAGE_TAR]


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_an_image_is_pulled_by_digest(site: Site, store: Store, arch: str, docker: bool) -> None:
    registry = Registry(site, docker=docker)
    with tarfile.open(pulled(store, registry, registry.index, arch)) as tar:
        read = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (manifest,) = json.loads(read["manifest.json"])
    assert manifest["RepoTags"] == [f"{site.url.removeprefix('http://')}/thing:v1"]
    assert json.loads(read[manifest["Config"]])["architecture"] == arch
    assert [read[layer] for layer in manifest["Layers"]] == registry.layers


def test_a_registry_that_wants_a_token_gets_one(site: Site, store: Store) -> None:
    registry = Registry(site)
    site.token = "sesame"
    assert pulled(store, registry, registry.index).is_file()
    assert "/token" in [path for path, _ in site.asked]


def test_a_cut_layer_is_resumed(site: Site, store: Store) -> None:
    registry = Registry(site)
    blob = next(path for path in site.files if "/blobs/" in path)
    site.cut[blob] = [10]
    assert pulled(store, registry, registry.index).is_file()
    assert site.starts(blob) == ["", "bytes=10-"]


@pytest.mark.parametrize("kind", ["/manifests/", "/blobs/"])
def test_a_changed_link_of_the_chain_is_refused(site: Site, store: Store, kind: str) -> None:
    registry = Registry(site)
    for path in site.files:
        if kind in path:
            site.files[path] += b" "
    with pytest.raises(FailedError, match="wrong digest"):
        pulled(store, registry, registry.index)


def test_a_layer_that_unpacks_to_something_else_is_refused(site: Site, store: Store) -> None:
    registry = Registry(site)
    registry.layers = [b"other", b"layers"]
    config = {
        "os": "linux",
        "architecture": "amd64",
        "rootfs": {"diff_ids": [registry.digest(b"other")]},
    }
    layer = {"mediaType": "application/gzip", "digest": registry.blob(gzip.compress(b"thing", mtime=0))}
    manifest = {"config": {"digest": registry.blob(json.dumps(config).encode())}, "layers": [layer]}
    digest = registry.manifest(json.dumps(manifest).encode())
    with pytest.raises(FailedError, match="unpacks to"):
        pulled(store, registry, digest)


def test_an_image_of_another_architecture_is_refused(site: Site, store: Store) -> None:
    registry = Registry(site)
    with pytest.raises(FailedError, match="is for linux/arm64, wanted linux/amd64"):
        pulled(store, registry, registry.single)


def test_an_index_without_this_architecture_is_refused(site: Site, store: Store) -> None:
    registry = Registry(site)
    other = {"digest": registry.single, "platform": {"os": "linux", "architecture": "s390x"}}
    digest = registry.manifest(json.dumps({"manifests": [other]}).encode())
    with pytest.raises(FailedError, match="has no image for linux/amd64"):
        pulled(store, registry, digest)


def test_a_digest_that_the_registry_lacks(site: Site, store: Store) -> None:
    registry = Registry(site)
    with pytest.raises(FailedError, match="HTTP 404"):
        pulled(store, registry, f"sha256:{'0' * 64}")


def test_what_is_not_pinned_is_never_pulled(site: Site, store: Store) -> None:
    registry = Registry(site)
    unpinned = {"v1": {"unpinned": "nobody knows it"}}
    component = {**registry.component(registry.index), "versions": unpinned}
    origin = source(store, {"thing": component})
    assert origin.origin(THING) == "modules"
    # Composed here instead: of nothing, in this test.
    assert origin.make(THING).files
    assert site.asked == []
