"""A host that is this machine: what is sent to it runs here, and its systemctl is a script."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.hosts.converge import apply, compare, look
from lab.local import Pour
from lab.render.bundle import Bundle, File
from lab.render.role import Unit
from lab.ssh import Result, Ssh

SYSTEMCTL = r"""#!/bin/sh
# What systemctl says of three units, and a note of everything else it was asked to do.
if [ "$1" = show ]; then
    shift 2
    first=yes
    for unit; do
        [ -n "$first" ] || echo
        first=
        case $unit in
            good.service) printf 'ActiveState=active\nSubState=running\nUnitFileState=enabled\nNRestarts=2\n'
                printf 'NeedDaemonReload=yes\nMainPID=7\nStateChangeTimestampMonotonic=5000000000\n';;
            off.service) printf 'ActiveState=failed\nUnitFileState=disabled\n';;
            *) printf 'ActiveState=inactive\nUnitFileState=\n';;
        esac
    done
    exit
fi
echo "systemctl $*" >> "$LOG"
[ "$2" != broken ] || { echo 'Job for broken.service failed.' >&2; exit 5; }
"""
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"


class HereSsh(Ssh):
    """A host that is this machine: the command of a login shell, without ssh and sudo."""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(Path("/nowhere"))
        self.environment = environment
        self.round_trips = 0

    def try_run(
        self,
        host: str,  # noqa: ARG002
        command: str,
        *,
        seconds: float = 60,  # noqa: ARG002
        stdin: str | Path | Pour = "",
    ) -> Result:
        self.round_trips += 1
        login = f"sh -c {shlex.quote(command)}"
        done = subprocess.run(
            ["sh", "-c", login],
            input=str(stdin),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        return Result(done.returncode, done.stdout, done.stderr)


Wanted = Callable[..., Bundle]


def bundle(*files: File, units: tuple[Unit, ...] = (), sysctls: dict[str, str] | None = None) -> Bundle:
    return Bundle("m1", files, (), (), sysctls or {}, units, (), (), ())


def file(path: Path, text: str = "wanted\n", mode: str = "0644", *then: str) -> File:
    return File(str(path), text, OWNER, mode, then)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def converge(ssh: HereSsh, wanted: Bundle) -> list[str]:
    """Look, compare, apply; the sentences."""
    changes = compare(wanted, look(ssh, wanted))
    apply(ssh, "m1", changes)
    return [change.sentence for change in changes]
