"""A machine's folder: made whole under another name and renamed, so that it is there or it is not.

machines/NAME/machine.json   the mark
machines/NAME/upper          what the machine wrote over its read-only layers (and our seed, init, names)
machines/NAME/volumes/N      folders of its own on this filesystem
machines/NAME/config         written at every start
machines/NAME/console.log, lxc.log
machines/.new-NAME           being made;  machines/.gone-NAME  being removed
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from lab.local import run
from lab.machines import Machine, Volume
from lab.providers.lxc.config import INIT, SYSCTLS, config_text, init_text
from lab.providers.lxc.mark import MachineMark, write_mark
from lab.providers.lxc.seeds import within_reach

SEED = "var/lib/cloud/seed/nocloud"
# cloud-init 22.4 does not pass `accept-ra: false` on to networkd, which then waits 12 s at every boot for a
# router, and 0.8 s more for its own link-local address; nobody on the lab's switch speaks IPv6.
_NETWORKD = "etc/systemd/network/10-cloud-init-eth0.network.d/plumbline.conf"
_NETWORKD_TEXT = "[Network]\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"
_PROC_SYS = Path("/proc/sys")
_NEW, _GONE = ".new-", ".gone-"
_SECONDS = 300.0  # some thousand hard links, or as many files that go


def build(machines: Path, lab: str, machine: Machine, layers: Sequence[Path]) -> None:
    """Make the folder of a machine that has none; what an earlier try left is thrown away first."""
    _erase_half(machines, machine.name)
    new = machines / f"{_NEW}{machine.name}"
    new.mkdir(parents=True, mode=0o700)
    _fill_upper(new / "upper", lab, machine)
    for number, volume in enumerate(machine.volumes):
        _fill_volume(new / "volumes" / str(number), volume, machines.parent)
    for key in SYSCTLS:
        setting = new / "sysctl" / key
        setting.parent.mkdir(parents=True, exist_ok=True)
        setting.write_text((_PROC_SYS / key).read_text())
    paths = tuple(volume.path for volume in machine.volumes)
    write_mark(new, MachineMark(lab, machine.name, machine.mac, tuple(map(str, layers)), paths))
    new.rename(machines / machine.name)


def write_config(folder: Path, mark: MachineMark, cgroup: str) -> Path:
    """Write the configuration LXC starts the machine from; gives back its path."""
    text = config_text(
        name=mark.name,
        folder=folder,
        cgroup=cgroup,
        mac=mark.mac,
        layers=[Path(layer) for layer in mark.layers],
        volumes=[(folder / "volumes" / str(number), path) for number, path in enumerate(mark.volumes)],
    )
    config = folder / "config"
    config.write_text(text)
    return config


def discard(machines: Path, name: str, *, whole: bool) -> None:
    """Remove what is half made or half removed of a machine, and its `whole` folder.

    Nothing may run in it any more.
    """
    _erase_half(machines, name)
    if whole:
        (machines / name).rename(machines / f"{_GONE}{name}")
        _erase_half(machines, name)


def half_made(machines: Path) -> set[str]:
    """Names of machines a killed run left half made or half removed."""
    if not machines.is_dir():
        return set()
    return {
        entry.name.removeprefix(prefix)
        for entry in machines.iterdir()
        for prefix in (_NEW, _GONE)
        if entry.name.startswith(prefix)
    }


def _erase_half(machines: Path, name: str) -> None:
    """Remove the half-made and the half-removed folder of a machine, never what is mounted below them."""
    folders = [machines / f"{_NEW}{name}", machines / f"{_GONE}{name}"]
    if any(folder.parent != machines for folder in folders):  # nothing but a child of ours is ever removed
        raise ValueError(f"{name!r} is not the name of a machine")
    there = [str(folder) for folder in folders if folder.exists()]
    if there:
        run(["rm", "-rf", "--one-file-system", "--", *there], timeout=_SECONDS)


def _fill_upper(upper: Path, lab: str, machine: Machine) -> None:
    """What the machine finds at its first boot: names, init, and the NoCloud seed, which holds secrets."""
    # Stable for a machine of this name, so a rebuilt one is the same to whoever remembers it.
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"plumbline:{lab}/{machine.name}").hex
    files: dict[str, tuple[str, int]] = {
        "etc/hostname": (f"{machine.name}\n", 0o644),
        "etc/machine-id": (f"{identity}\n", 0o444),
        INIT.lstrip("/"): (init_text(), 0o755),
        _NETWORKD: (_NETWORKD_TEXT, 0o644),
        **{f"{SEED}/{name}": (text, 0o600) for name, text in machine.cloud_init.items()},
    }
    upper.mkdir()
    upper.chmod(0o755)  # it is the machine's root folder: the mode must not depend on a umask
    for path, (text, mode) in files.items():
        _make_folders(upper, Path(path).parent)
        file = upper / path
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
            opened.write(text)
        file.chmod(mode)


def _make_folders(root: Path, below: Path) -> None:
    for part in reversed([below, *below.parents][:-1]):
        folder = root / part
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)


def _fill_volume(folder: Path, volume: Volume, home: Path) -> None:
    """A volume from its seed: one file for all machines where it is only read, a copy where it is written."""
    folder.parent.mkdir(exist_ok=True)
    if volume.seed is None:
        folder.mkdir(mode=0o700)  # as etcd and kubelet make theirs
        return
    seed = within_reach(volume.seed, home)
    run(["cp", "--archive", "--link", "--", str(seed), str(folder)], timeout=_SECONDS)
    for private in volume.private:
        (folder / private).unlink()
        run(["cp", "--archive", "--", str(seed / private), str(folder / private)], timeout=_SECONDS)
