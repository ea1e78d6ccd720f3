"""The real programs that judge what we render: the versions that hosts run, in no lab and on no network."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import local
from lab.artifacts.provide import program, root_filesystem
from lab.artifacts.sources import named_source
from lab.artifacts.store import Say, Store
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.inventory.models import Inventory
from lab.local import Completed
from lab.render.roles import all_packages

SECONDS = 300.0
"""It guards against hanging alone: how fast they are is nothing that is judged."""
INSIDE = "/tmp/rendered"
"""Where the files lie for a program in the hosts' root filesystem."""
FILE = "FILE"
ENTER = """
mount --make-rprivate /
mount --bind {tree} {point} && mount -o remount,bind,ro {point}
for folder in tmp run var/log; do mount -t tmpfs tmpfs {point}/$folder; done
mkdir {point}{inside} && mount --bind {files} {point}{inside}
mount -t proc proc {point}/proc
exec chroot {point} {command}
"""


@dataclass(frozen=True)
class CheckedPrograms:
    """kubeadm and containerd of the artefact catalogue, and the hosts' root filesystem."""

    kubeadm: Path
    containerd: Path
    debian: Path

    @classmethod
    def provide(cls, inventory: Inventory, source: str = "auto", *, say: Say) -> CheckedPrograms:
        """Make or find those of a lab; under a second when a lab was built before."""
        items, arch = wanted(inventory), host_arch()
        return cls(
            kubeadm=program("kubeadm", items, source=source, arch=arch, say=say),
            containerd=program("containerd", items, source=source, arch=arch, say=say),
            debian=root_filesystem(Store(say=say), named_source(source), all_packages(), arch, say=say),
        )

    def in_debian(self, command: list[str], files: Mapping[str, str]) -> Completed:
        """Run a program of the hosts' root filesystem over `files` (name -> text), which lie in INSIDE.

        In namespaces of its own: the root filesystem is read-only and shared, and there is no network.
        Names are relative paths; the folder belongs to the program while it runs.
        """
        with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
            given, point = Path(folder, "files"), Path(folder, "root")
            point.mkdir()
            _write(given, files)
            script = ENTER.format(
                tree=shlex.quote(str(self.debian)),
                point=shlex.quote(str(point)),
                files=shlex.quote(str(given)),
                inside=INSIDE,
                command=shlex.join(command),
            )
            spaces = ["unshare", "--mount", "--net", "--pid", "--ipc", "--fork"]
            if os.geteuid():
                spaces.append("--map-root-user")
            return local.run(
                [*spaces, "sh", "-ec", script],
                timeout=SECONDS,
                check=False,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            )

    def over_file(self, command: list[str], text: str) -> Completed:
        """Run one of our own programs; the argument FILE becomes the path of a file with `text`."""
        with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
            file = Path(folder, "document")
            file.write_text(text)
            words = [str(file) if word == FILE else word for word in command]
            return local.run(words, timeout=SECONDS, check=False)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
