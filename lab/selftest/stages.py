"""Where defects are applied and what verify says there: the running lab, and a copy of this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from lab import report
from lab.checks.record import Record
from lab.console import Console
from lab.damage import Damage, Journal, repair
from lab.errors import FailedError, PlumblineError
from lab.labs import Lab
from lab.selftest.defect import Breakage, Defect, Slip
from lab.ssh import forget
from lab.verify.layers import named
from lab.verify.run import ROOT, examine

PARTS = (
    "addons",
    "artifacts",
    "inventory",
    "lab",
    "roles",
    "templates",
    "tests/acceptance",
    "pyproject.toml",
    "tasks.py",
)
"""What of a checkout `invoke verify --layer render` reads; pyproject.toml keeps pytest inside the copy."""
RENDER_SECONDS = 300
AT_ONCE = 4
"""Damages and repairs at the same time: enough to hide the round trips, few enough for two cores."""
MEND = "mend the defect's definition in lab/selftest/defects/"


class Stage(Protocol):
    """A place for defects. `lasting` says that what was undone there must be seen to be green again."""

    @property
    def lasting(self) -> bool:
        """Whether others work with it afterwards."""

    def apply(self, defects: Sequence[Defect]) -> dict[str, str]:
        """Put defects in place; by name, what kept some of them from it."""

    def undo(self) -> list[str]:
        """Take out every defect that was applied; the problems of those that stay."""

    def examine(self, layer: str, terms: Sequence[str], *, evidence: bool = False) -> list[Record]:
        """What verify says about rows or tests; with `evidence`, all that hosts of red ones know is kept."""


class Quiet(Console):
    """Says nothing aloud: what is red here is red on purpose."""

    def say(self, text: str, host: str = "") -> None:
        """Say it to the debug log alone."""
        self.note(f"verify {host}", text)


class OnLab:
    """The running lab. The caller holds its lock, and is inside its network."""

    lasting = True

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab, self._folder = lab, folder
        self._journal = Journal(lab)
        self._number = 0

    def apply(self, defects: Sequence[Defect]) -> dict[str, str]:
        """Run the damage of each on its host, some at the same time, all noted down before."""
        found = [defect for defect in defects if isinstance(defect, Breakage)]
        self._journal.add(*(Damage(defect.name, defect.place, defect.repair) for defect in found))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            said = list(pool.map(self._damage, found))
        return {defect.name: problem for defect, problem in zip(found, said, strict=True) if problem}

    def _damage(self, defect: Breakage) -> str:
        try:
            self._lab.ssh.run(defect.place, defect.damage, seconds=60)
        except PlumblineError as error:
            return error.message
        if defect.cuts:
            forget(self._lab.ssh, defect.place)
        return ""

    def undo(self) -> list[str]:
        """Run the repair of every noted defect: those of a wave touch nothing of each other's."""

        def one(entry: Damage) -> str:
            return self._journal.undo_one(entry, lambda noted: repair(self._lab, noted))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [problem for problem in pool.map(one, self._journal.entries()) if problem]

    def examine(self, layer: str, terms: Sequence[str], *, evidence: bool = False) -> list[Record]:
        """Run the checks, with facts of this moment."""
        self._number += 1
        # its name marks what the checks make in the cluster, so it differs between runs
        folder = self._folder / f"{self._number:02d}-{self._folder.name}".lower()
        folder.mkdir()
        return examine(self._lab, folder, Quiet(), named(layer), ",".join(terms), evidence=evidence)


class OnCopy:
    """A copy of this checkout, in which `invoke verify --layer render` is run as people run it."""

    lasting = False

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab.inventory.lab
        self._root = folder / "checkout"
        for part in PARTS:
            source, target = ROOT / part, self._root / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        # the inventory as it was given, whatever its file or provider
        (self._root / "inventory" / "selftest.yaml").write_text(
            lab.inventory.model_dump_json(exclude_defaults=True)
        )

    def apply(self, defects: Sequence[Defect]) -> dict[str, str]:
        """Edit the files. A file that no longer holds what a mistake replaces is a problem of that one."""
        problems = {}
        for defect in defects:
            if isinstance(defect, Slip):
                path = self._root / defect.file
                text = path.read_text()
                if defect.old in text:
                    path.write_text(text.replace(defect.old, defect.new, 1))
                else:
                    problems[defect.name] = f"{defect.file} does not hold `{defect.old}`: {MEND}"
        return problems

    def undo(self) -> list[str]:
        """Copy the originals anew."""
        for part in ("addons", "lab", "roles", "templates"):
            for original in (ROOT / part).rglob("*"):
                copy = self._root / part / original.relative_to(ROOT / part)
                if original.is_file() and copy.exists() and copy.read_bytes() != original.read_bytes():
                    shutil.copy(original, copy)
        return []

    def examine(self, layer: str, terms: Sequence[str], *, evidence: bool = False) -> list[Record]:  # noqa: ARG002
        """Run verify on the copy and read its report. Raises `FailedError` when there is none."""
        runs = self._root / ".lab" / self._lab / "runs"
        before = {path.name for path in runs.glob("*Z")}
        argv = [sys.executable, "-m", "invoke", "verify", "-i", "inventory/selftest.yaml"]
        done = subprocess.run(
            [*argv, "--layer", layer, "--select", ",".join(terms)],
            cwd=self._root,
            capture_output=True,
            text=True,
            timeout=RENDER_SECONDS,
            check=False,
        )
        fresh = [path for path in runs.glob("*Z") if path.name not in before]
        if not fresh or not (fresh[0] / "report.json").exists():
            raise FailedError(f"verify of a copy left no report: {(done.stdout + done.stderr)[-1000:]}")
        verdict = report.read(fresh[0] / "report.json")
        if verdict.green != (done.returncode == 0):
            raise FailedError(
                f"verify of a copy ended with {done.returncode}, its report says {verdict.green}"
            )
        return list(verdict.records)
