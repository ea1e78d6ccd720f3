"""What a machine needs beside its files: packages, kernel modules, programs and images, brought over SSH.

Machines whose provider lays all of it below their root are asked for their images, of which one can be lost
(containerd writes there), and for the programs of add-ons, which may have come later than the machine.
Programs and images come from our store, so a machine needs no download site for them; packages come from its
own distribution.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.answers import AnswerPart
from lab.artifacts.images import is_sandbox
from lab.hosts.changes import INCOMING, HostChange, actions
from lab.render.bundle import Bundle
from lab.render.role import RoleBinary
from lab.ssh import Ssh

PACKAGE_SECONDS = 900
SEND_SECONDS = 300
"""One program or image: 130 MB at most, and a card of a Raspberry Pi writes some 20 MB a second."""
APT = ("apt-get", "-qq", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300")
"""Files of ours that lie there win over the package's; a machine's own nightly update is waited for."""


class Held(AnswerPart):
    """What a host has of its payload: missing packages and modules, digests of programs, ids of images.

    `images` is None where no container runtime answers.
    """

    missing_packages: Sequence[str] = ()
    missing_modules: Sequence[str] = ()
    programs: Mapping[str, str] = {}
    images: Mapping[str, str] | None = None


def asked(wanted: Bundle) -> dict[str, Any] | None:
    """What to ask a host about its payload; None for one that needs none of us."""
    brought = _brought(wanted)
    if wanted.stock is None and not wanted.images and not brought:
        return None
    whole = wanted.stock is not None
    return {
        "packages": list(wanted.packages) if whole else [],
        "modules": list(wanted.modules) if whole else [],
        "programs": [item.path for item, _ in brought],
    }


def _brought(wanted: Bundle) -> list[tuple[RoleBinary, Path]]:
    """The programs that are compared with ours, each with its file of the store, named by its digest.

    Of a machine that is equipped by its provider those of add-ons: what else it was made with stays.
    """
    if wanted.stock is not None:
        return [(item, wanted.stock.programs[item.artifact]) for item in wanted.binaries]
    known = wanted.programs
    return [(item, known[item.artifact]) for item in wanted.of_addons if item.artifact in known]


def missing(wanted: Bundle, held: Held) -> list[HostChange]:
    """What is to be brought, in the order in which it is needed."""
    changes = []
    if held.missing_packages:
        names = tuple(held.missing_packages)
        changes.append(HostChange(f"install {', '.join(names)}", packages=names))
    if held.missing_modules:
        command = ("modprobe", "--all", *held.missing_modules)
        changes.append(HostChange(f"load modules {', '.join(held.missing_modules)}", commands=(command,)))
    for item, program in _brought(wanted):
        digest = program.name
        if held.programs.get(item.path) != digest:
            put = ("install", "-D", "-m", "0755", f"{INCOMING}/{digest}", item.path)
            changes.append(
                HostChange(f"install {item.path}", commands=(put, *actions(item.on_change)), program=program)
            )
    # a new machine has no runtime yet; where its provider has laid images, a silent runtime says nothing
    unknown = held.images is None and wanted.stock is None
    there = held.images or {}
    for reference, image in wanted.images.items() if not unknown else ():
        if there.get(reference) != image.id:
            changes.append(HostChange(f"import image {reference}", image=image))
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
    for image in (change.image for change in listed if change.image):
        command = f"{ctr} import --snapshotter overlayfs - >/dev/null"
        ssh.run(host, command, seconds=SEND_SECONDS, stdin=image.write_to)
        if is_sandbox(image.reference):
            # the sandbox image must survive the kubelet's clean-up of images
            ssh.run(host, f"{ctr} label {image.reference} io.cri-containerd.pinned=pinned >/dev/null")
    if any(change.program for change in listed):
        ssh.run(host, f"rm -rf {INCOMING}")
