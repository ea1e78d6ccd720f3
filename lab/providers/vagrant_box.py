"""The box of the lxc backend, made from the root filesystem of our own machines."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from lab.local import run
from lab.providers.lxc_config import INIT, init_text

SECONDS = 600.0
METADATA = {"provider": "lxc", "version": "1.0.0"}
"""The only version of the format that vagrant-lxc 1.4.3 does not call deprecated."""
_NETWORKD = "etc/systemd/network/10-cloud-init-eth0.network.d/plumbline.conf"
_NETWORKD_TEXT = "[Network]\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"


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
    (work / "metadata.json").write_text(json.dumps(METADATA))
    box = work / "plumbline.box"
    with tarfile.open(box, "w") as tar:
        for name in ("metadata.json", "rootfs.tar.gz"):
            tar.add(work / name, name)
    return box
