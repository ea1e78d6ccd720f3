"""Seeded defects of files, tried in the image of our machines: no lab, no unit that runs.

Run in namespaces of its own (mounts, network, processes), so that nothing of this machine changes:
`python -m tests.integration.on_the_image TREE FOLDER`.
Writes one JSON object: what is told of each machine as it was made, and by name what came of each defect.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.checks import access, folders, journal, modes, next_boot
from lab.checks.outcomes import CouldNotTell
from lab.checks.survey import PROGRAM, Survey, request_for
from lab.hosts.units import KUBELET_FLAGS
from lab.inventory.loading import load
from lab.machines import Traits
from lab.render.bundle import Bundle, bundle, pins
from lab.selftest.catalogue import catalogue
from lab.selftest.defect import Breakage

TRAITS = Traits(shares_kernel=True, oom_score_restricted=True, layered=True)
KEY = f"ssh-ed25519 {'A' * 68} own"
ROWS = ("P1-11", "P1-12", "P1-13", "P1-14", "P1-16")
NEEDS_UNITS = ("systemctl", ".sock", "journal.away", "kubeadm-flags.env")
"""In the commands of defects that nothing without a running systemd, containerd or kubelet can show."""
FIRST = """
mkdir -p /run/sshd /home/{user}/.ssh && chmod 755 /run && ssh-keygen -A >/dev/null
useradd -M -s /bin/bash {user} && echo '{key}' > /home/{user}/.ssh/authorized_keys
echo '{user} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-cloud-init-users
chmod 440 /etc/sudoers.d/90-cloud-init-users
"""


class Image:
    """The image below a folder, with what a first boot and kubeadm write."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.root = folder / "root"
        self.inventory = load("rehearsal")
        self._pins = pins(self.inventory)
        self._mount(["-t", "tmpfs", "tmpfs", str(folder)])
        for name in ("root", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir={tree},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        self._mount(["-t", "overlay", "overlay", "-o", layers, str(self.root)])
        self._mount(["-t", "proc", "proc", str(self.root / "proc")])
        (self.root / "survey.py").write_text(shlex.split(PROGRAM)[2])
        self.run(FIRST.format(user=self.inventory.ssh.user, key=KEY))

    def _mount(self, arguments: list[str]) -> None:
        subprocess.run(["mount", *arguments], check=True)

    def run(self, command: str) -> int:
        """Run a shell command as root of the image; gives back its exit code."""
        argv = ["chroot", str(self.root), "sh", "-c", command]
        return subprocess.run(argv, capture_output=True, check=False).returncode

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the image."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def becomes(self, name: str) -> Bundle:
        """Write what a host of the inventory has."""
        wanted = bundle(self.inventory, TRAITS, self._pins, name)
        for file in wanted.files:
            self.put(file.path, file.text, int(file.mode, 8))
        address, own = self.inventory.addresses[name], self.inventory.interface(name)
        self.put("/etc/hostname", f"{name}\n")
        network = f"[Address]\nAddress={own}\n[Route]\nGateway={self.inventory.network.gateway}\n"
        self.put("/etc/systemd/network/10-cloud-init-eth0.network", network)
        self.put(KUBELET_FLAGS, f'KUBELET_KUBEADM_ARGS="--node-ip={address}"\n')
        self.put("/etc/kubernetes/kubelet.conf", "x\n", 0o600)
        for path in ("/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.key"):
            if name in self.inventory.masters:
                self.put(path, "x\n", 0o600)
            else:
                (self.root / path.lstrip("/")).unlink(missing_ok=True)
        folders = {"etc/kubernetes/manifests": 0o700, "var/lib/etcd": 0o700, "var/lib/kubelet": 0o750}
        for folder, mode in folders.items():
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            (self.root / folder).chmod(mode)
        return wanted

    def told(self, wanted: Bundle) -> dict[str, str]:
        """What the rows say about it now, by row; a row that has nothing to say is left out."""
        sections = ["states", "entries", "accounts", "sudo", "sshd", "secrets", "time_zone", "boot"]
        request = request_for(self.inventory, wanted) | {"sections": sections}
        argv = ["chroot", str(self.root), "python3", "/survey.py"]
        done = subprocess.run(argv, input=json.dumps(request), capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout) | {"units": [], "mounts": []}
        answer["journal"] = {"disk": 0, "memory": 0, "opened": [f"{journal.ON_DISK}x"]}
        survey = Survey(wanted.host, answer)
        looks: dict[str, Callable[[], None]] = {
            "P1-11": lambda: modes.are_declared(wanted, survey),
            "P1-12": lambda: folders.hold_what_is_declared(wanted, TRAITS, survey),
            "P1-13": lambda: next_boot.brings_the_same(self.inventory, wanted, survey),
            "P1-14": lambda: access.is_closed(self.inventory, wanted, TRAITS, survey, KEY),
            "P1-16": lambda: journal.stays(wanted, survey),
        }
        found = {}
        for row, look in looks.items():
            try:
                look()
            except (AssertionError, CouldNotTell) as error:
                found[row] = str(error)
        return found


def tried(image: Image) -> Iterator[tuple[str, str]]:
    """What is wrong with each defect, by name; "" for one that was named and undone."""
    for defect in catalogue(image.inventory):
        if not isinstance(defect, Breakage) or defect.row not in ROWS:
            continue
        if any(word in defect.damage for word in NEEDS_UNITS):
            continue
        wanted = image.becomes(defect.host)
        if image.run(defect.damage):
            yield defect.name, "its damage failed"
            continue
        seen = image.told(wanted)
        codes = [image.run(defect.repair) for _ in range(2)]
        left = image.told(wanted)
        named = re.search(defect.says, seen.get(defect.row, ""), re.DOTALL)
        others = sorted(set(seen) - {defect.row, *defect.reddens})
        if not named:
            yield defect.name, f"not named: {seen}"
        elif any(codes) or left:
            yield defect.name, f"its repair ended with {codes}, and there is left: {left}"
        else:
            yield defect.name, f"turns {', '.join(others)} red as well, and does not say so" if others else ""


def main(tree: str, folder: str) -> None:
    """Try all, and write what came of it."""
    image = Image(Path(tree), Path(folder))
    made = {name: image.told(image.becomes(name)) for name in image.inventory.hosts}
    json.dump({"made": made, "defects": dict(tried(image))}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
