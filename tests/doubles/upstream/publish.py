"""Images as upstream publishes them: an index over architectures, compressed layers, pushed to a registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

OCI = {
    "index": "application/vnd.oci.image.index.v1+json",
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
DOCKER = {
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


@dataclass(frozen=True)
class Blob:
    """A file that a registry holds."""

    path: Path
    digest: str
    size: int


class Publisher:
    """Pushes to a registry that takes pushes from anybody. Packed layers are kept in `folder`."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder
        self._packed: dict[tuple[Path, str], Blob] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def image(
        self,
        repository: str,
        tag: str,
        layers: Sequence[Path],
        configs: Mapping[str, dict[str, Any]],
        *,
        types: Mapping[str, str] = OCI,
        packing: str = "gzip",
    ) -> str:
        """Push an image of one set of plain layer tars; gives the digest of its index.

        `configs`: architecture -> config. `diff_ids` are filled in where a config has none.
        """
        blobs = [self.pack(layer, packing) for layer in layers]
        manifests = []
        for arch, config in configs.items():
            digest, size = self.manifest(repository, config, blobs, types=types, packing=packing)
            platform = {"os": "linux", "architecture": arch}
            manifests.append(
                {"mediaType": types["manifest"], "digest": digest, "size": size, "platform": platform}
            )
        index = {"schemaVersion": 2, "mediaType": types["index"], "manifests": manifests}
        return self.put_manifest(repository, tag, encode(index), types["index"])

    def manifest(
        self,
        repository: str,
        config: dict[str, Any],
        blobs: Sequence[Blob],
        *,
        types: Mapping[str, str] = OCI,
        packing: str = "gzip",
    ) -> tuple[str, int]:
        """Push config, layers and manifest of one architecture; gives digest and size of the manifest."""
        content = encode(config)
        own = self.folder / f"config-{hashlib.sha256(content).hexdigest()}"
        own.write_bytes(content)
        described = blob_of(own)
        for blob in (described, *blobs):
            self.push(repository, blob)
        manifest = {
            "schemaVersion": 2,
            "mediaType": types["manifest"],
            "config": {"mediaType": types["config"], "digest": described.digest, "size": described.size},
            "layers": [
                {"mediaType": types[packing], "digest": blob.digest, "size": blob.size} for blob in blobs
            ],
        }
        body = encode(manifest)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return self.put_manifest(repository, digest, body, types["manifest"]), len(body)

    def pack(self, layer: Path, packing: str) -> Blob:
        """A layer as it travels."""
        if (layer, packing) not in self._packed:
            target = self.folder / f"{hashlib.sha256(str(layer).encode()).hexdigest()[:16]}.{packing}"
            if packing == "zstd":
                subprocess.run(["zstd", "-q", "-1", "-T0", "-f", layer, "-o", target], check=True)
            else:
                with layer.open("rb") as plain, gzip.open(target, "wb", compresslevel=1) as out:
                    shutil.copyfileobj(plain, out, 1 << 20)
            self._packed[layer, packing] = blob_of(target)
        return self._packed[layer, packing]

    def push(self, repository: str, blob: Blob) -> None:
        """Push one blob, unless it is there."""
        url = f"{self.address}/v2/{repository}/blobs"
        if requests.head(f"{url}/{blob.digest}", timeout=30).ok:
            return
        begun = requests.post(f"{url}/uploads/", timeout=30)
        begun.raise_for_status()
        with blob.path.open("rb") as content:
            put = requests.put(
                begun.headers["Location"], params={"digest": blob.digest}, data=content, timeout=120
            )
        put.raise_for_status()

    def put_manifest(self, repository: str, name: str, body: bytes, media_type: str) -> str:
        """Push a manifest or an index under a tag or its digest; gives its digest."""
        url = f"{self.address}/v2/{repository}/manifests/{name}"
        put = requests.put(url, data=body, headers={"Content-Type": media_type}, timeout=30)
        assert put.ok, put.text
        return f"sha256:{hashlib.sha256(body).hexdigest()}"


def config_of(arch: str, layers: Sequence[Path], **run: Any) -> dict[str, Any]:
    """The config of an image of plain layer tars."""
    return {
        "os": "linux",
        "architecture": arch,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [blob_of(layer).digest for layer in layers]},
    }


def blob_of(path: Path) -> Blob:
    """A file as a blob."""
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Blob(path, f"sha256:{digest}", path.stat().st_size)


def encode(data: object) -> bytes:
    """JSON as registries keep it."""
    return json.dumps(data, indent=2).encode()


def small_layer(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A layer tar with a few files."""
    number = len(list(folder.glob("layer-*.tar")))
    target = folder / f"layer-{number}.tar"
    with tarfile.open(target, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target
