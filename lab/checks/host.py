"""A host in testinfra's words: file, socket, user, service, sysctl, command.

testinfra parses what `stat`, `ss`, `systemctl` and the like print; here its commands go over the connection
to the host that everything else uses, with its deadline, as root. A command of testinfra's own that ends
unexpectedly is a check that could not look; testinfra itself raises an AssertionError, which would be a
failure of the lab.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from lab.checks.outcomes import CouldNotTell
from lab.ssh import Result, shorten

Ask = Callable[[str], Result]
"""Runs a command as root; raises `CouldNotTell` when it could not be run."""


class AskBackend(BaseBackend):  # type: ignore[misc]  # testinfra has no types
    """testinfra's way to one host."""

    NAME = "ask"

    def __init__(self, name: str, ask: Ask) -> None:
        super().__init__(name)
        self._ask = ask

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """The end of a command, whatever it was."""
        command = self.quote(command, *args)
        done = self._ask(command)
        return CommandResult(self, done.code, command, done.stdout, done.stderr)


class AskedHost(Host):  # type: ignore[misc]  # testinfra has no types
    """One host; `invoke ssh NAME` shows a person what these words say."""

    has_command_v = True
    """The shells of all systems that a host may have (`lab.inventory.models`) know `command -v`."""

    def __init__(self, name: str, ask: Ask) -> None:
        super().__init__(AskBackend(name, ask))
        self.name = name

    def exists(self, command: str) -> bool:
        """Whether a program is on root's PATH; not told by the exit code, 127 has another meaning."""
        return bool(self.run("command -v %s || true", command).stdout)

    def run_expect(self, expected: list[int], command: str, *args: str, **_: Any) -> CommandResult:
        """A command that ends with one of these codes. Raises `CouldNotTell` for another."""
        done = self.run(command, *args)
        if done.rc not in expected:
            said = (done.stderr or done.stdout).strip()[-300:]
            raise CouldNotTell(
                f"{self.name}: `{shorten(done.command)}` ended with exit code {done.rc}: {said}",
                next_step=f"invoke ssh {self.name}",
            )
        return done

    def check_output(self, command: str, *args: str, **_: Any) -> str:
        """What a command prints, without the line feeds at its end. Raises `CouldNotTell` when it fails."""
        return str(self.run_expect([0], command, *args).stdout).rstrip("\r\n")
