"""What a machine needs beside its files: packages, kernel modules, programs and images, brought over SSH.

Machines whose provider lays all of it below their root are left out. Programs and images come from our
store, so a machine needs no download site for them; packages come from its own distribution.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.artifacts.images import image_id
from lab.hosts.changes import INCOMING, HostChange, actions
from lab.render.bundle import Bundle
from lab.ssh import Ssh

PACKAGE_SECONDS = 900
SEND_SECONDS = 300
"""One program or image: 130 MB at most, and a card of a Raspberry Pi writes some 20 MB a second."""
PINNED = "registry.k8s.io/pause:"
APT = ("apt-get", "-qq", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300")
"""Files of ours that lie there win over the package's; a machine's own nightly update is waited for."""


@dataclass(frozen=True)
class Held:
    """What a host has of its equipment: missing packages and modules, digests of programs, ids of images."""

    missing_packages: list[str] = field(default_factory=list)
    missing_modules: list[str] = field(default_factory=list)
    programs: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


def asked(wanted: Bundle) -> dict[str, Any] | None:
    """What to ask a host about its equipment; None for one whose provider brings it."""
    if wanted.stock is None:
        return None
    return {
        "packages": list(wanted.packages),
        "modules": list(wanted.modules),
        "programs": [item.path for item in wanted.binaries],
    }


def missing(wanted: Bundle, held: Held) -> list[HostChange]:
    """What is to be brought, in the order in which it is needed."""
    stock = wanted.stock
    if stock is None:
        return []
    changes = []
    if held.missing_packages:
        names = tuple(held.missing_packages)
        changes.append(HostChange(f"install {', '.join(names)}", packages=names))
    if held.missing_modules:
        command = ("modprobe", "--all", *held.missing_modules)
        changes.append(HostChange(f"load modules {', '.join(held.missing_modules)}", commands=(command,)))
    for item in wanted.binaries:
        program = stock.programs[item.artifact]
        digest = program.name
        if held.programs.get(item.path) != digest:
            put = ("install", "-D", "-m", "0755", f"{INCOMING}/{digest}", item.path)
            changes.append(
                HostChange(f"install {item.path}", commands=(put, *actions(item.on_change)), program=program)
            )
    for reference, tar in stock.images.items():
        if held.images.get(reference) != image_id(tar):
            changes.append(HostChange(f"import image {reference}", image=(reference, tar)))
    return changes


def bring_before(ssh: Ssh, host: str, changes: Iterable[HostChange]) -> None:
    """Packages, then programs, which wait in `INCOMING` for their commands."""
    listed = tuple(changes)
    packages = [name for change in listed for name in change.packages]
    if packages:
        install = shlex.join([*APT, "install", "--yes", "--no-install-recommends", *packages])
        update = shlex.join([*APT, "update"])
        command = f"export DEBIAN_FRONTEND=noninteractive; {update} && {install}"
        ssh.run(host, command, seconds=PACKAGE_SECONDS)
    for program in (change.program for change in listed if change.program):
        put = f"{INCOMING}/{program.name}"
        ssh.run(
            host,
            f"mkdir -p {INCOMING} && cat > {put}.part && mv {put}.part {put}",
            seconds=SEND_SECONDS,
            stdin=program,
        )


def bring_after(ssh: Ssh, host: str, changes: Iterable[HostChange]) -> None:
    """Images, into a containerd that runs by now; what waited in `INCOMING` is installed and goes."""
    ctr = "/usr/local/bin/ctr --namespace k8s.io images"
    listed = tuple(changes)
    for reference, tar in (change.image for change in listed if change.image):
        ssh.run(host, f"{ctr} import --snapshotter overlayfs - >/dev/null", seconds=SEND_SECONDS, stdin=tar)
        if reference.startswith(PINNED):
            # the sandbox image must survive the kubelet's clean-up of images
            ssh.run(host, f"{ctr} label {reference} io.cri-containerd.pinned=pinned >/dev/null")
    if any(change.program for change in listed):
        ssh.run(host, f"rm -rf {INCOMING}")
