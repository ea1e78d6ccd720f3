"""Container images: tars that `ctr images import` takes, byte-identical for the same content.

The form is that of `docker save`: `manifest.json`, one config, one tar for each layer. Nothing in it
depends on the time or the machine: members are sorted, times are 0, owners are numbers.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.artifacts.digests import file_digest

# Contents that the container runtime mounts over.
MOUNTED_OVER = ("dev", "proc", "sys", "run")


@dataclass(frozen=True)
class Layer:
    """An uncompressed layer tar and its sha256."""

    path: Path
    digest: str


def layer_of_folder(folder: Path, target: Path) -> Layer:
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
    return Layer(target, file_digest(target))


def layer_of_programs(programs: Mapping[str, Path], target: Path) -> Layer:
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
    return Layer(target, file_digest(target))


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


def write_image(reference: str, config: bytes, layers: Sequence[Layer], target: Path) -> None:
    """Write an image tar. `config` is written as it is: its digest is the image's id."""
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [
        {
            "Config": config_name,
            "RepoTags": [reference],
            "Layers": [f"{layer.digest}/layer.tar" for layer in layers],
        }
    ]
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        _add_bytes(tar, "manifest.json", encode(manifest))
        _add_bytes(tar, config_name, config)
        for digest, layer in {layer.digest: layer for layer in layers}.items():
            info = tarfile.TarInfo(f"{digest}/layer.tar")
            info.mode, info.size = 0o644, layer.path.stat().st_size
            with layer.path.open("rb") as content:
                tar.addfile(info, content)


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


@cache
def image_id(tar: Path) -> str:
    """The id of the image in a tar: the sha256 of its configuration, as CRI lists it."""
    # `tar` itself finds the first member at once; the archive is hundreds of megabytes.
    done = subprocess.run(
        ["tar", "--extract", "--occurrence=1", "--to-stdout", "--file", str(tar), "manifest.json"],
        capture_output=True,
        check=True,
    )
    return str(json.loads(done.stdout)[0]["Config"]).removesuffix(".json")
