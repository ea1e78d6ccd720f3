"""Reaching hosts: OpenSSH with keys only, one shared connection a host.

The client configuration is a file, so that people (`ssh -F`), the build and the acceptance suite all use
the same one. Host keys are ours from the first boot on, so no key is ever taken on trust.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import shlex
import subprocess
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from platformdirs import user_data_path

from lab.errors import CommandError, DeadlineError, FailedError
from lab.inventory.models import Inventory
from lab.local import Pour, own_folder, poured
from lab.runs import mask
from lab.ssh_config import client_config, kept
from lab.waits import patient

log = logging.getLogger("plumbline")

_MAKING = threading.Lock()

UNREACHABLE = 255
"""ssh's own exit code when it could not reach the host or log in (ssh(1))."""


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key in OpenSSH's text forms."""

    private: str
    public: str


def key_pair(path: Path, comment: str) -> KeyPair:
    """Read the key at `path`, or make one there; the private half has mode 600.

    Several threads may ask for the same new key: all get the one that was made first.
    """
    with _MAKING:
        if not path.exists():
            _make_key(path)
    key_text = path.read_text()
    return KeyPair(key_text, f"{_public_half(path, key_text)} {comment}")


def _public_half(path: Path, private: str) -> str:
    """The public key, which stands unencrypted in a private one (OpenSSH's PROTOCOL.key, section 1).

    Read here, because rendering wants it of every host and cryptography is slow to import. Raises
    `FailedError` for a file that holds no such key.
    """
    try:
        packed = base64.b64decode("".join(private.splitlines()[1:-1]))
        fields, rest = [], packed.removeprefix(b"openssh-key-v1\0")
        for skip in (0, 0, 4, 0):  # cipher, its key derivation, that one's options and the count, public key
            size = int.from_bytes(rest[:4], "big")
            fields.append(rest[4 : 4 + size])
            rest = rest[4 + size + skip :]
    except ValueError:
        fields = []
    if not fields or not fields[-1].startswith(b"\0\0\0\x0bssh-ed25519\0\0\0\x20") or len(fields[-1]) != 51:
        raise FailedError(
            f"{path}: is not an ed25519 key in OpenSSH's format",
            next_step=f"ssh-keygen -y -f {path}, or move it away: a new one is made for new machines",
        )
    return f"ssh-ed25519 {base64.b64encode(fields[-1]).decode()}"


def _make_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    own_folder(path.parent)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_bytes(private)
    part.replace(path)


def data_folder() -> Path:
    """The data folder of this user; `PLUMBLINE_DATA` names another one."""
    return Path(os.environ.get("PLUMBLINE_DATA") or user_data_path("plumbline")).absolute()


class Keys:
    """The harness's key and the lab's host keys, in the user's data folder: every checkout finds them."""

    def __init__(self, lab: str) -> None:
        self.folder = data_folder() / lab
        self.identity = self.folder / "id_ed25519"
        self._lab = lab

    def own(self) -> KeyPair:
        """The key the harness logs in with."""
        return key_pair(self.identity, f"plumbline@{self._lab}")

    def host(self, name: str) -> KeyPair:
        """The host key of a machine."""
        return key_pair(self.folder / "hosts" / name, name)


@dataclass(frozen=True)
class Result:
    """What a remote command printed."""

    code: int
    stdout: str
    stderr: str


class Ssh:
    """Runs commands on the hosts of one lab."""

    def __init__(self, config: Path) -> None:
        self.config = config

    @classmethod
    def write(
        cls,
        folder: Path,
        user: str,
        keys: Keys,
        hosts: dict[str, IPv4Address],
        own_keys: Mapping[str, str] = MappingProxyType({}),
        *,
        holds: bool = False,
    ) -> Ssh:
        """Write the configuration of the hosts into `folder`, as `kept` does; `holds` is its `everybody`.

        `own_keys` are the public host keys of machines that have one of their own; all others have ours.
        The control sockets live in a short folder of their own: a unix socket's path has room for about
        108 bytes, and ssh adds 17 of its own while it connects.
        """
        keys.own()
        sockets = control_folder(keys.folder)
        sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        public = {name: own_keys.get(name) or keys.host(name).public for name in hosts}
        known = "".join(f"{address} {public[name]}\n" for name, address in hosts.items())

        text = partial(client_config, user, keys.identity, hosts, sockets)
        return cls(kept(folder, text, known, everybody=holds))

    def argv(self, host: str, command: str) -> list[str]:
        """The local command line that runs `command` on `host`."""
        return ["ssh", "-F", str(self.config), "-o", "BatchMode=yes", host, command]

    def try_run(
        self, host: str, command: str, *, seconds: float = 60, stdin: str | Path | Pour = ""
    ) -> Result:
        """Run `command` as root on `host` and give back its end, whatever it was.

        `stdin` is text, a file whose bytes are sent, or what writes the bytes while they are sent. Raises
        `FailedError` when the host cannot be reached, `DeadlineError` after `seconds`, times the lab's
        patience.
        """
        seconds = patient(seconds)
        log.debug("%s: $ %s", host, command)
        with _opened(stdin) as file:
            given: dict[str, Any] = {"stdin": file} if file else {"input": stdin}
            try:
                done = subprocess.run(
                    self.argv(host, f"sudo -n sh -c {shlex.quote(command)}"),
                    **given,
                    capture_output=True,
                    text=True,
                    timeout=seconds,
                    check=False,
                    errors="replace",
                )
            except subprocess.TimeoutExpired as error:
                raise DeadlineError(f"{host}: `{shorten(command)}`", seconds, "still running") from error
        # masked before it is cut: half a secret is no longer recognised as one
        said = mask(done.stdout)[-2000:] + mask(done.stderr)[-2000:]
        log.debug("%s: -> %d %s", host, done.returncode, said)
        if done.returncode == UNREACHABLE:
            raise FailedError(f"{host}: not reachable by SSH: {done.stderr.strip() or 'no message'}")
        return Result(done.returncode, done.stdout, done.stderr)

    def run(self, host: str, command: str, *, seconds: float = 60, stdin: str | Path | Pour = "") -> str:
        """Standard output of `command`, run as root on `host`. Raises `CommandError` unless it succeeds."""
        result = self.try_run(host, command, seconds=seconds, stdin=stdin)
        if result.code:
            raise CommandError(host, shorten(command), result.code, result.stderr or result.stdout)
        return result.stdout


def _opened(stdin: str | Path | Pour) -> AbstractContextManager[BinaryIO | None]:
    """What a command reads from; None for text."""
    if isinstance(stdin, str):
        return nullcontext()
    return stdin.open("rb") if isinstance(stdin, Path) else poured(stdin)


def forget(ssh: Ssh, host: str) -> None:
    """End the shared connection to a host: over a dead one every command would hang for 15 s."""
    argv = ["ssh", "-F", str(ssh.config), "-O", "exit", host]
    subprocess.run(argv, capture_output=True, check=False, timeout=10)


def control_folder(keys: Path) -> Path:
    """The lab's folder of control sockets: short by design, and never shared by two labs."""
    return Path("/run/plumbline") / hashlib.sha256(str(keys).encode()).hexdigest()[:12]


def close_connections(keys: Path) -> None:
    """End the shared connections of a lab, so that no process of ours stays behind."""
    folder = control_folder(keys)
    for socket in sorted(folder.glob("*")) if folder.exists() else ():
        subprocess.run(
            ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"],
            capture_output=True,
            check=False,
            timeout=10,
        )
        socket.unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()


def shorten(command: str, length: int = 120) -> str:
    """A command's first line, short enough for a message."""
    line = command.strip().splitlines()[0] if command.strip() else ""
    return line if len(line) <= length else line[: length - 1] + "…"


def reachable(ssh: Ssh, hosts: Iterable[str]) -> dict[str, bool]:
    """Which hosts let us in right now."""

    def once(host: str) -> bool:
        try:
            return ssh.try_run(host, "true", seconds=5).code == 0
        except (FailedError, DeadlineError):
            return False

    return {host: once(host) for host in hosts}


def ssh_for(inventory: Inventory, root: Path, *, holds: bool = False) -> Ssh:
    """SSH to the hosts of a lab; its configuration lies in the checkout's folder of the lab.

    `holds`: the command holds the lab, so it is by its inventory that people reach it from now on.
    """
    addresses = {name: host.address for name, host in inventory.hosts.items()}
    own_keys = {name: host.host_key for name, host in inventory.hosts.items() if host.host_key}
    folder = root / ".lab" / inventory.lab / "ssh"
    user, keys = inventory.ssh.user, Keys(inventory.lab)
    return Ssh.write(folder, user, keys, addresses, own_keys, holds=holds)
