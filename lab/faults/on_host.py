"""Faults that are commands on a host, with a dead man's switch there.

Before the damage is done the host gets a timer that undoes it at the bound: the dead man's switch. So a fault
that cuts the way to its host, or whose harness was killed, is healed all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.errors import DeadlineError, FailedError
from lab.faults.kinds import Kind
from lab.labs import Lab
from lab.waits import still, wait_for

Script = Callable[[Lab, str], str]
"""A shell script for a host of a lab."""

SWITCH = "plumbline-heal"
"""Transient timer and service of the dead man's switch."""
PATIENCE = 30.0
"""Seconds a host has, beyond the fault's bound, to be reached again."""
HEAL_SECONDS = 300.0
"""The longest healing: a member of etcd starts again and its data is compacted."""


ONE_AT_A_TIME = f"exec 9>/run/{SWITCH}.lock; flock 9; "
"""The damage, the switch and the harness's healing wait for each other: of two healings at the same time each
would take away what the other puts back."""


def always(script: str) -> Script:
    """The same script for every host."""
    return lambda _lab, _host: script


NOTHING = always("true")


@dataclass(frozen=True)
class OnHost(Kind):
    """`begin` does the damage, `end` undoes it and is idempotent.

    `needs` is a command that must succeed for the fault to be possible, else `because` is the reason.
    """

    begin: Script
    end: Script = NOTHING
    needs: str = ""
    because: str = ""

    def unavailable(self, lab: Lab, host: str) -> str:
        """The reason, when what it needs fails on the host."""
        if not self.needs:
            return ""
        return "" if lab.ssh.try_run(host, self.needs, seconds=20).code == 0 else self.because

    def inject(self, lab: Lab, host: str, seconds: float) -> None:
        """Set the dead man's switch, then do the damage."""
        if self.end is not NOTHING:
            # a file, because systemd would take the script's own $ for variables of the unit
            lab.ssh.run(
                host,
                f"cat >/run/{SWITCH}.sh && systemd-run --quiet --collect --unit {SWITCH} "
                f"--on-active={seconds:g}s --timer-property=AccuracySec=1s sh /run/{SWITCH}.sh",
                stdin=ONE_AT_A_TIME + self.end(lab, host),
                seconds=20,
            )
        lab.ssh.run(host, ONE_AT_A_TIME + self.begin(lab, host), seconds=HEAL_SECONDS)

    def heal(self, lab: Lab, host: str, seconds: float) -> None:
        """Undo it and take the switch away; waits for a host that the fault has cut off."""
        if self.end is NOTHING:
            return

        def undone() -> None:
            try:
                lab.ssh.run(host, undoing(self.end(lab, host)), seconds=HEAL_SECONDS)
            except (FailedError, DeadlineError) as error:
                raise still(error) from error

        wait_for(f"{host}: {self.name} undone", undone, seconds=seconds + PATIENCE, interval=0.5)


def undoing(end: str) -> str:
    """The script, and if it succeeds the switch, which is gone when it was faster.

    Not `( ... ) && systemctl`: a shell takes no notice of `set -e` in what stands before `&&`, and the script
    would go on after its first failure.
    """
    return (
        f"{ONE_AT_A_TIME}(\n{end}\n)\ncode=$?\n"
        f"test $code != 0 || systemctl stop {SWITCH}.timer 2>/dev/null\nexit $code"
    )
