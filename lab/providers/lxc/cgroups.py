"""The cgroups of a lab's machines: what runs, killing it at once, freezing it.

The kernel's own account is the truth about a machine here, not LXC's: it is right also when LXC's monitor was
killed, and it can be read without entering the lab's network.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from pathlib import Path

from lab.machines import State
from lab.waits import NotYet, wait_for

# A cgroup goes with its last process: its files are not there any more, or are there and answer no more.
_GOING = (errno.ENOENT, errno.ENODEV)
_SECONDS = 15.0  # a process in an uninterruptible write dies when its write ends


class Cgroups:
    """The folder `plumbline@<lab>@<machine>` in every hierarchy; in it `machine`, `monitor` and `pivot`.

    They lie at the top, so that the kernel shares the processors out by machine: below a folder of the lab,
    all its machines together would get as much as one busy program of the host.

    `mounts` is the text of /proc/mounts; by default this machine's.
    """

    def __init__(self, lab: str, mounts: str | None = None) -> None:
        self._prefix = f"plumbline@{lab}@"
        self._hierarchies: list[Path] = []
        self._freezer: Path | None = None
        unified: Path | None = None
        for line in (Path("/proc/mounts").read_text() if mounts is None else mounts).splitlines():
            _, target, kind, options, *_ = line.split(" ")
            if kind not in ("cgroup", "cgroup2"):
                continue
            self._hierarchies.append(Path(target))
            if kind == "cgroup2":
                unified = Path(target)
            elif "freezer" in options.split(","):
                self._freezer = Path(target)
        # Version 1 has the freezer in a hierarchy of its own; the unified tree beside it, if any, has none.
        self._version = 1 if self._freezer else 2
        self._account = self._freezer or unified or Path("/sys/fs/cgroup")

    def path(self, name: str) -> str:
        """The machine's folder below each hierarchy's root."""
        return f"{self._prefix}{name}"

    def state(self, name: str) -> State:
        """OFF, RUNNING or PAUSED: whether a process lives in the machine, and whether it is frozen."""
        folder = self._machine(name)
        if self._version == 1:
            if not _read(folder / "cgroup.procs"):
                return State.OFF
            return State.PAUSED if _read(folder / "freezer.state") == "FROZEN" else State.RUNNING
        events = _read(folder / "cgroup.events").splitlines()
        if "populated 1" not in events:
            return State.OFF
        return State.PAUSED if "frozen 1" in events else State.RUNNING

    def freeze(self, name: str, frozen: bool) -> None:
        """Freeze every process of a running machine, or thaw them.

        Returns when the kernel has done it. Raises `DeadlineError`.
        """
        wanted = State.PAUSED if frozen else State.RUNNING
        self._order(name, frozen)

        def probe() -> None:
            state = self.state(name)
            if state is not wanted:
                raise NotYet(state)

        wait_for(f"{name}: {wanted}", probe, seconds=_SECONDS, interval=0.01)

    def kill(self, name: str) -> bool:
        """SIGKILL to every process of the machine; True when there was one. Returns when all are gone.

        Raises `DeadlineError` with the processes that stay.
        """
        folder = self._machine(name)
        if not _tree_processes(folder):
            return False

        def probe() -> None:
            left = _tree_processes(folder)
            if not left:
                return
            # Init is first in the list: with it the kernel ends the whole process namespace.
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self._version == 1:
                self._order(name, False)  # a version 1 freezer holds even dying processes
            raise NotYet("processes " + " ".join(map(str, left)))

        wait_for(f"{name}: all processes ended", probe, seconds=_SECONDS, interval=0.01)
        return True

    def remove(self, name: str) -> bool:
        """Remove the emptied folders of a machine everywhere; True when there was one.

        Raises `DeadlineError`.
        """
        folders = [root / self.path(name) for root in self._hierarchies]
        found = any(folder.exists() for folder in folders)

        def probe() -> None:
            for folder in folders:
                try:
                    _remove_tree(folder)
                except OSError as error:
                    raise NotYet(f"{error.filename}: {error.strerror}") from error

        wait_for(f"{name}: cgroups removed", probe, seconds=_SECONDS, interval=0.02)
        return found

    def names(self) -> set[str]:
        """Machines that have a folder in any hierarchy, whether they run or not."""
        return {folder.name.removeprefix(self._prefix) for folder in self.folders()}

    def folders(self) -> list[Path]:
        """The lab's folders that exist, for the list of leftovers."""
        return [folder for root in self._hierarchies for folder in root.glob(f"{self._prefix}*")]

    def _machine(self, name: str) -> Path:
        return self._account / self.path(name) / "machine"

    def _order(self, name: str, frozen: bool) -> None:
        folder = self._machine(name)
        try:
            if self._version == 1:
                (folder / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
            else:
                (folder / "cgroup.freeze").write_text("1" if frozen else "0")
        except OSError as error:
            if error.errno not in _GOING:
                raise


def _read(file: Path) -> str:
    """The file's text without its end of line; "" when its cgroup is gone."""
    try:
        return file.read_text().strip()
    except OSError as error:
        if error.errno not in _GOING:
            raise
        return ""


def _tree_processes(folder: Path) -> list[int]:
    """Processes of the folder and of all below it, its own first."""
    if not folder.is_dir():
        return []
    trees = [Path(top) for top, _, _ in os.walk(folder)]
    return [int(pid) for tree in trees for pid in _read(tree / "cgroup.procs").split()]


def _remove_tree(folder: Path) -> None:
    """rmdir from the bottom up; a folder that is not there is fine."""
    for top, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            Path(top).rmdir()
