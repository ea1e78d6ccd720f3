"""The box of the lxc backend, made from the root filesystem of our own machines."""

from __future__ import annotations

import json
import os
import tarfile
from hashlib import sha256
from pathlib import Path

from lab.local import run
from lab.providers.lxc.config import INIT, init_text
from lab.providers.vagrant.config import LXC_BOX

SECONDS = 600.0
METADATA = {"provider": "lxc", "version": "1.0.0"}
"""The only version of the format that vagrant-lxc 1.4.3 does not call deprecated."""
_NETWORKD = "etc/systemd/network/10-cloud-init-eth0.network.d/plumbline.conf"
_NETWORKD_TEXT = "[Network]\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"


def made_of(tree: str) -> str:
    """What a box of the tree with this name is known by: a digest of all that goes into it."""
    return sha256("\0".join((tree, INIT, init_text(), _NETWORKD, _NETWORKD_TEXT)).encode()).hexdigest()


def added_box() -> str:
    """What the box that Vagrant has under our name is made of, "" when it has none or an older one.

    Vagrant keeps the box's metadata beside it, in VAGRANT_HOME (Vagrant's documentation, box file format).
    """
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    folder = home / "boxes" / LXC_BOX.replace("/", "-VAGRANTSLASH-")
    try:
        return str(json.loads((folder / "0" / "lxc" / "metadata.json").read_text()).get("made_of", ""))
    except (OSError, ValueError):
        return ""


def make_box(tree: Path, work: Path) -> Path:
    """Pack `tree` (a Debian root filesystem, only read) as a box below `work`; gives back its path.

    vagrant-lxc unpacks rootfs.tar.gz without its two leading path components. The compression is the
    quickest: a box is unpacked for every machine, and disk is cheaper than the time of a build.
    """
    extra = work / "extra"
    for name, text, mode in (
        (INIT.lstrip("/"), init_text(), 0o755),
        (_NETWORKD, _NETWORKD_TEXT, 0o644),
    ):
        path = extra / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(mode)
    archive = work / "rootfs.tar"
    pack = ["tar", "--numeric-owner", "--xform=s,^\\.,./rootfs,S", "--file", str(archive)]
    run([*pack, "--create", "-C", str(tree), "."], timeout=SECONDS)
    added = [f"./{INIT.lstrip('/')}", f"./{_NETWORKD}"]
    run([*pack, "--owner=0", "--group=0", "--append", "-C", str(extra), *added], timeout=SECONDS)
    run(["gzip", "-1", str(archive)], timeout=SECONDS)
    (work / "metadata.json").write_text(json.dumps(METADATA | {"made_of": made_of(tree.name)}))
    box = work / "plumbline.box"
    with tarfile.open(box, "w") as tar:
        for name in ("metadata.json", "rootfs.tar.gz"):
            tar.add(work / name, name)
    return box
