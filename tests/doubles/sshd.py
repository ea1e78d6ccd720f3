"""A hypervisor's SSH server on the loopback: the sshd of the machines' image, in a root of its own.

Proxmox VE 8 is Debian 12, and so is the image; nothing needs to be installed on this machine.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.artifacts.toolchain import host_arch
from lab.render.roles import all_packages
from lab.ssh import key_pair
from lab.waits import NotYet, wait_for
from tests.doubles.ports import free_port
from tests.soon import SOON

FOLDER = "/var/lib/vz/snippets"
_SERVE = """
mount -t tmpfs -o mode=755 root "$1/layer"
mkdir "$1/layer/upper" "$1/layer/work"
mount -t overlay -o "lowerdir=$2,upperdir=$1/layer/upper,workdir=$1/layer/work" root "$1/root"
mkdir -p "$1/root$4" "$1/root/run/sshd" "$1/root/root/.ssh" "$1/root/etc/lab"
mount --bind "$1/snippets" "$1/root$4"
mount --bind /dev "$1/root/dev"
cp "$1/host" "$1/root/etc/lab/host"
chmod 600 "$1/root/etc/lab/host"
cp "$1/user.pub" "$1/root/etc/lab/authorized_keys"
exec chroot "$1/root" /usr/sbin/sshd -D -e -f /dev/null -p "$3" -h /etc/lab/host \
    -o ListenAddress=127.0.0.1 -o PidFile=none -o UsePAM=no -o PasswordAuthentication=no \
    -o AuthorizedKeysFile=/etc/lab/authorized_keys
"""


@dataclass(frozen=True)
class Sshd:
    """A server at work: `snippets` is the folder that it has at `FOLDER`, `client` has an `ssh` for PATH."""

    snippets: Path
    client: Path
    process: subprocess.Popen[bytes]


@contextmanager
def sshd(folder: Path, names: tuple[str, ...]) -> Iterator[Sshd]:
    """Serve root's login under these names, for an `ssh` in `client`; the server ends with the context."""
    image = debian_tree(Store(), all_packages(), host_arch(), say=lambda _text: None)
    for part in ("layer", "root", "snippets", "client"):
        (folder / part).mkdir()
    host = key_pair(folder / "host", "host")
    (folder / "user.pub").write_text(f"{key_pair(folder / 'user', 'user').public}\n")
    port = free_port()
    (folder / "known").write_text(f"hypervisor {host.public}\n")
    (folder / "config").write_text(
        f"Host {' '.join(names)}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder / 'user'}\n"
        f"  IdentitiesOnly yes\n  HostKeyAlias hypervisor\n  UserKnownHostsFile {folder / 'known'}\n"
    )
    ssh = folder / "client" / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder / "config"} "$@"\n')
    ssh.chmod(0o755)
    serve = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _SERVE, "sh"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*serve, str(folder), str(image), str(port), FOLDER], stdout=log, stderr=log
        )
    try:
        wait_for("the hypervisor's sshd", lambda: _answers(process, port, folder), seconds=SOON, interval=0.1)
        yield Sshd(folder / "snippets", folder / "client", process)
    finally:
        process.terminate()
        process.wait()


def _answers(process: subprocess.Popen[bytes], port: int, folder: Path) -> bool:
    assert process.poll() is None, (folder / "log").read_text()
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            if connection.recv(4) == b"SSH-":
                return True
            raise NotYet("no greeting")
    except OSError as error:
        raise NotYet(str(error)) from error
