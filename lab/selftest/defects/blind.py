"""Defects that keep verify from looking: each must be told as could-not-tell, never as passed."""

from __future__ import annotations

from lab.checks.outcomes import Outcome
from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, moved

BACK_AFTER_SECONDS = 40
"""A host that lets nobody in mends itself after this time: no repair could reach it."""


def back(command: str) -> str:
    """A timer that runs a command when the time is over."""
    return (
        f"systemd-run --quiet --on-active={BACK_AFTER_SECONDS} --timer-property=AccuracySec=100ms {command}"
    )


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    return [
        _blind(
            "no-such-command",
            "crictl is not on the path",
            "L1-15",
            first,
            "runtime:.*No such file.*crictl",
            **moved("no-such-command", "/usr/local/bin/crictl"),
        ),
        _blind(
            "permission-denied",
            "ss may not be run",
            "L1-18",
            second,
            "sockets:.*Permission denied.*ss",
            damage="chmod a-x /bin/ss",
            repair="chmod a+x /bin/ss",
            touches=("file /bin/ss",),
        ),
        _blind(
            "no-python",
            "Python may not be run, so the machine tells nothing about itself",
            "L1-10",
            third,
            "facts program ended with 12[67].*Permission denied",
            damage="chmod a-x $(readlink -f /usr/bin/python3)",
            repair="chmod a+x $(readlink -f /usr/bin/python3)",
            touches=("file /usr/bin/python3",),
        ),
        _blind(
            "sshd-stopped",
            "a machine refuses SSH",
            "L1-10",
            worker,
            "not reachable by SSH.*refused",
            cuts=True,
            damage=f"{back('systemctl start ssh')} && systemctl stop ssh",
            repair="systemctl start ssh",
            touches=("unit ssh",),
        ),
        _blind(
            "sudo-refused",
            "the harness's user may not become root",
            "L1-10",
            other,
            "facts program ended with 1: sudo",
            cuts=True,
            damage=f"{back('chmod 4755 /usr/bin/sudo')} && chmod 0755 /usr/bin/sudo",
            repair="chmod 4755 /usr/bin/sudo",
            touches=("file /usr/bin/sudo",),
        ),
    ]


def _blind(name: str, title: str, row: str, host: str, says: str, **fields: object) -> Breakage:
    return Breakage(
        name=name,
        title=title,
        layer="node",
        row=row,
        host=host,
        says=says,
        outcome=Outcome.COULD_NOT_TELL,
        **fields,  # type: ignore[arg-type]
    )
