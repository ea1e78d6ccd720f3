"""Container images: a config and layers in the store, and the tar of them that `ctr images import` takes.

The tar has the form of `docker save` (`manifest.json`, the config, one file for each layer) and is on no
disk: it is written where it is read. Nothing in it or in a layer made here depends on the time or the
machine: members are sorted, times are 0, owners are numbers.
"""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from lab.artifacts.digests import PIECE, DigestedFile, file_digest
from lab.artifacts.entries import Produced, StoredFile

FORM = "config and layers"
"""Part of every image's key. The keys without it are of entries that hold an image as one tar: who has such
entries makes the images anew, of the programs and the layer that are there, and only images."""
CONFIG = "config.json"
# Contents that the container runtime mounts over.
MOUNTED_OVER = ("dev", "proc", "sys", "run")


def layer_of_folder(folder: Path, target: Path) -> DigestedFile:
    """Pack a folder as a layer: owners, modes, links and devices as they are, times 0."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        first_name: dict[tuple[int, int], str] = {}
        for path in sorted(_members(folder)):
            name = path.relative_to(folder).as_posix()
            info = tar.gettarinfo(path, name)
            status = path.lstat()
            info = _plain(info, uid=status.st_uid, gid=status.st_gid)
            place = (status.st_dev, status.st_ino)
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                # tarfile decides about hard links itself, by paths; here by the sorted order.
                if place in first_name:
                    info.type, info.linkname, info.size = tarfile.LNKTYPE, first_name[place], 0
                else:
                    info.type, info.size = tarfile.REGTYPE, status.st_size
                    first_name[place] = name
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)
    return DigestedFile(target, file_digest(target))


def layer_of_programs(programs: Mapping[str, Path], target: Path) -> DigestedFile:
    """Pack programs (path in the image -> file) as a layer, mode 0755, owner root; and a /tmp."""
    folders = {str(parent): 0o755 for name in programs for parent in Path(name).parents if str(parent) != "/"}
    folders["/tmp"] = 0o1777
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder, mode in sorted(folders.items()):
            info = tarfile.TarInfo(folder.lstrip("/"))
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        for name, path in sorted(programs.items()):
            info = tarfile.TarInfo(name.lstrip("/"))
            info.mode, info.size = 0o755, path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(info, content)
    return DigestedFile(target, file_digest(target))


def image_config(
    arch: str, diff_ids: Sequence[str], entrypoint: Sequence[str], *, user: str = ""
) -> dict[str, Any]:
    """The config of an image: what runs, as whom, on which layers."""
    run: dict[str, Any] = {
        "Entrypoint": list(entrypoint),
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "WorkingDir": "/",
    }
    if user:
        run["User"] = user
    return {
        "architecture": arch,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in diff_ids]},
    }


def image_files(config: Path, layers: Sequence[DigestedFile | StoredFile]) -> Produced:
    """The files of an image's entry: names that keep the layers' order, the lowest first."""
    return {CONFIG: config, **{f"layer-{number:03}": layer for number, layer in enumerate(layers)}}


@dataclass(frozen=True)
class StoredImage:
    """An image of the store. Its config and its layers, the lowest first, are files that are named by their
    sha256; a layer is a plain tar, or packed as its registry has it."""

    reference: str
    config: Path
    layers: tuple[Path, ...]

    @classmethod
    def of(cls, reference: str, paths: Mapping[str, Path]) -> Self:
        """The image of an entry's files, which `image_files` named."""
        layers = tuple(path for name, path in sorted(paths.items()) if name != CONFIG)
        return cls(reference, paths[CONFIG], layers)

    @property
    def id(self) -> str:
        """The image's id: the sha256 of its config, as CRI lists it."""
        return self.config.name

    def write_to(self, stream: BinaryIO) -> None:
        """Write the tar of `docker save` to a stream, which need not be seekable."""
        config = f"{self.id}.json"
        manifest = {
            "Config": config,
            "RepoTags": [self.reference],
            "Layers": [_member(layer) for layer in self.layers],
        }
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT, bufsize=PIECE) as tar:
            _add_bytes(tar, "manifest.json", encode([manifest]))
            _add_bytes(tar, config, self.config.read_bytes())
            # one that is there twice is sent once
            for layer in dict.fromkeys(self.layers):
                info = tarfile.TarInfo(_member(layer))
                info.mode, info.size = 0o644, layer.stat().st_size
                with layer.open("rb") as content:
                    tar.addfile(info, content)


def _member(layer: Path) -> str:
    return f"{layer.name}/layer.tar"


def encode(data: object) -> bytes:
    """JSON in one fixed form."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.size = 0o644, len(content)
    tar.addfile(info, io.BytesIO(content))


def _plain(info: tarfile.TarInfo, *, uid: int, gid: int) -> tarfile.TarInfo:
    info.mtime, info.uname, info.gname, info.uid, info.gid = 0, "", "", uid, gid
    info.pax_headers = {}
    return info


def _members(folder: Path) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        found += [here / name for name in folders + files]
        if here == folder:
            folders[:] = [name for name in folders if name not in MOUNTED_OVER]
    return found


def is_sandbox(reference: str) -> bool:
    """Whether an image is the one of pods' sandboxes (component `pause` of the catalogue).

    It must survive the kubelet's clean-up of images, so containerd is told to keep it.
    """
    return reference.startswith("registry.k8s.io/pause:")
