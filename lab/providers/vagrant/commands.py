"""Vagrant's command line by python-vagrant: its words and its parsers, above the one way to run programs."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import vagrant

from lab import proxies
from lab.errors import CommandError
from lab.local import run
from lab.providers.lxc.network import LabNetwork

log = logging.getLogger("plumbline")

SECONDS = 180.0
LONG_SECONDS = {"up": 900.0, "box": 600.0}
"""Fetching a box of 500 MB and a first boot, packing one; every other command is a matter of seconds."""
_MACHINE_READABLE = re.compile(r"\d+,[^,]*,")
"""How a line of --machine-readable begins: time and target. Plugins print lines of their own between."""


class VagrantCommands(vagrant.Vagrant):
    """Commands of Vagrant in `folder`, where the Vagrantfile stands; without one, those that need none.

    Every command goes through `lab.local.run`, inside `network` for the lxc backend: it has a deadline, its
    process group ends with it, and its output is kept for the message. What runs programs past these two
    methods (`validate`, `up` with `stream_output`) is not used.
    """

    def __init__(
        self, folder: Path | None = None, backend: str = "", network: LabNetwork | None = None
    ) -> None:
        super().__init__(root=folder)  # type: ignore[no-untyped-call]
        self._network = network
        self._settings = {
            **proxies.settings(),  # `up` fetches boxes; to machines it talks by SSH alone
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            # 2.3 attaches disks only then; later versions do it always
            "VAGRANT_EXPERIMENTAL": "disks",
        }
        if folder:
            self._settings["VAGRANT_CWD"] = str(folder)
        if backend:
            self._settings["VAGRANT_DEFAULT_PROVIDER"] = backend

    def _call_vagrant_command(self, args: Sequence[str | None]) -> None:
        """Run a command for what it changes; its output goes to the debug log."""
        words = [word for word in args if word is not None]
        log.debug("vagrant %s: %s", " ".join(words), self._run_vagrant_command(words))

    def _run_vagrant_command(self, args: Sequence[str | None]) -> str:
        """Standard output of a command. Raises `CommandError` with the end of all that it said."""
        words = [word for word in args if word is not None]
        settings = (f"{key}={value}" for key, value in self._settings.items())
        argv = ["env", *settings, "vagrant", *words, "--no-color"]
        seconds = LONG_SECONDS.get(words[0], SECONDS)
        if self._network:
            done = self._network.command(argv, timeout=seconds, check=False)
        else:
            done = run(argv, timeout=seconds, check=False)
        if done.code:
            said = without_trace(done.stdout + done.stderr)
            raise CommandError("", f"vagrant {' '.join(words)}", done.code, said, next_step=f"cd {self.root}")
        if "--machine-readable" not in words:
            return done.stdout
        return "\n".join(line for line in done.stdout.splitlines() if _MACHINE_READABLE.match(line))


def without_trace(output: str) -> str:
    """The output of a command without Ruby's stack: a hundred lines that follow the cause."""
    return "\n".join(line for line in output.splitlines() if not line.startswith("\tfrom "))
