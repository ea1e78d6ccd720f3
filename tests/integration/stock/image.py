"""The disk of a stock machine: Debian from its archive as an installer leaves it, a checkout, a store.

Nothing of this machine's set-up is in them. What changes a host when it is installed, `lxc` above all, only
lies in apt's cache, so that it is the guest that installs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[3]
USER = "person"
"""Who logs in: not root, but with sudo."""
CHECKOUT = f"home/{USER}/plumbline"
STORE = "srv/plumbline-store"
"""Where the guest finds its artefacts: on the file system of its labs, for emulation copies slowly."""

# What Debian's installer leaves with "standard system utilities", and a person's git and make.
STOCK = ("apparmor", "git", "linux-image-amd64", "make", "openssh-server", "procps", "sudo", "systemd-sysv")
LATER = ("iptables", "lxc", "nftables")
"""Installed in the guest, under its own systemd; the rest of our list would only cost time there."""
ARCHIVE = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
# The same for every one of these machines: it hears on loopback of the machine that runs it, nowhere else.
INTERFACES = (
    "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n    address 10.0.2.15/24\n"
)


def install(tree: Path, suite: str) -> None:
    """Make the root filesystem of a Debian suite; about three minutes."""
    later = f"APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --yes --download-only {' '.join(_NO_EXTRAS)} install "
    _quiet(
        "unshare",
        "--mount",
        "mmdebstrap",
        "--mode=root",
        "--variant=important",
        "--skip=cleanup/apt",  # its lists and packages are all the archive that the guest has
        f"--include={','.join({*STOCK, *_our_packages()} - {*LATER})}",
        '--customize-hook=rm -f "$1"/var/cache/apt/archives/*.deb',
        f"--customize-hook={later}{' '.join(LATER)}",
        suite,
        str(tree),
        f"deb {ARCHIVE} {suite} main",
        f"deb {ARCHIVE} {suite}-updates main",
        f"deb {SECURITY} {suite}-security main",
    )


_NO_EXTRAS = ("--no-install-recommends",)


def _our_packages() -> list[str]:
    lines = (ROOT / "artifacts/packages.txt").read_text().splitlines()
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def furnish(tree: Path, public_key: str, wheels: Path) -> None:
    """Network, login and a checkout of what is tested here, with its Python environment made in the tree."""
    _write(tree / "etc/network/interfaces", INTERFACES)
    _write(tree / "etc/hostname", "stock\n")
    _write(tree / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 stock\n")
    _write(tree / "etc/resolv.conf", "")
    _write(tree / "etc/fstab", "/dev/vda / ext4 rw 0 1\n")
    _quiet("chroot", str(tree), "/usr/sbin/useradd", "--create-home", "--shell", "/bin/bash", USER)
    _write(tree / "etc/sudoers.d/person", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
    _write(tree / f"home/{USER}/.ssh/authorized_keys", public_key, mode=0o600)
    checkout(tree)
    shutil.copytree(wheels, tree / "srv/wheels", dirs_exist_ok=True)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/srv/wheels",
    }
    _quiet("chroot", str(tree), "make", "-C", f"/{CHECKOUT}", ".venv/locked", env=environment)
    _quiet("chroot", str(tree), "chown", "--recursive", f"{USER}:{USER}", f"/home/{USER}", env=environment)


def checkout(tree: Path) -> None:
    """The files that git knows or would add, as they are here now."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, tree / CHECKOUT / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def wheels(folder: Path, python: str) -> None:
    """Every wheel of the lock for a Python version, so that the guest needs no index."""
    _quiet(
        str(ROOT / ".venv/bin/python"),
        *("-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary=:all:"),
        *("--python-version", python, "--dest", str(folder), "-r", str(ROOT / "requirements.lock")),
        env=dict(os.environ),
    )


def disk(folder: Path, image: Path, gib: int) -> None:
    """An ext4 disk with the content of a folder; mke2fs keeps hard links, and whole seconds of every time."""
    _quiet("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(folder), str(image), f"{gib}G")


def store(cache: Path, folder: Path) -> None:
    """A copy of the artefact store without what only makes the next build quick, by hard links."""
    folder.mkdir(parents=True)
    for part in ("entries", "objects", "trees"):
        _quiet("cp", "--archive", "--link", str(cache / part), str(folder / part))


def kernel(tree: Path) -> tuple[Path, Path]:
    """Kernel and initial RAM disk of a tree."""
    boot = tree / "boot"
    return next(iter(sorted(boot.glob("vmlinuz-*")))), next(iter(sorted(boot.glob("initrd.img-*"))))


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _quiet(*argv: str, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
