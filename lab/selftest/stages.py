"""Where defects are applied and what verify says there: the running lab, and a copy of this checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab import report
from lab.checks.record import Record
from lab.console import Console
from lab.damage import Entry, Journal, repair
from lab.errors import FailedError
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
MEND = "mend the defect's definition in lab/selftest/defects/"


class Stage(Protocol):
    """A place for defects."""

    def apply(self, defect: Defect) -> None:
        """Put a defect in place. Raises `FailedError` when that does not work."""

    def undo(self) -> list[str]:
        """Take out every defect that was applied; the problems of those that stay."""

    def examine(self, layer: str, rows: Sequence[str]) -> list[Record]:
        """What verify says about these rows."""


class Quiet(Console):
    """Says nothing aloud: what is red here is red on purpose."""

    def say(self, text: str, host: str = "") -> None:
        """Say it to the debug log alone."""
        self.note(f"verify {host}", text)


class OnLab:
    """The running lab. The caller holds its lock."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab, self._folder = lab, folder
        self._journal = Journal(lab)
        self._number = 0

    def apply(self, defect: Defect) -> None:
        """Run the damage on its host, noted down before."""
        if not isinstance(defect, Breakage):
            raise FailedError(f"{defect.name}: is no damage to a running lab", next_step=MEND)
        self._journal.add(Entry(defect.name, defect.place, defect.repair))
        self._lab.ssh.run(defect.place, defect.damage, seconds=60)
        if defect.cuts:
            forget(self._lab.ssh, defect.place)

    def undo(self) -> list[str]:
        """Run the repair of every noted defect."""
        return self._journal.undo(lambda entry: repair(self._lab, entry), lambda _: None)

    def examine(self, layer: str, rows: Sequence[str]) -> list[Record]:
        """Run the rows' checks, with facts of this moment."""
        self._number += 1
        # its name marks what the checks make in the cluster, so it differs between runs
        folder = self._folder / f"{self._number:02d}-{self._folder.name}".lower()
        folder.mkdir()
        return examine(self._lab, folder, Quiet(), named(layer), ",".join(rows))


class OnCopy:
    """A copy of this checkout, in which `invoke verify --layer render` is run as people run it."""

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

    def apply(self, defect: Defect) -> None:
        """Edit the file. Raises `FailedError` when it no longer holds what the mistake replaces."""
        if not isinstance(defect, Slip):
            raise FailedError(f"{defect.name}: is no mistake in a file", next_step=MEND)
        path = self._root / defect.file
        text = path.read_text()
        if defect.old not in text:
            raise FailedError(
                f"{defect.name}: {defect.file} does not hold {defect.old!r}",
                next_step=MEND,
            )
        path.write_text(text.replace(defect.old, defect.new, 1))

    def undo(self) -> list[str]:
        """Copy the originals anew."""
        for part in ("addons", "lab", "roles", "templates"):
            for original in (ROOT / part).rglob("*"):
                copy = self._root / part / original.relative_to(ROOT / part)
                if original.is_file() and copy.exists() and copy.read_bytes() != original.read_bytes():
                    shutil.copy(original, copy)
        return []

    def examine(self, layer: str, rows: Sequence[str]) -> list[Record]:
        """Run verify on the copy and read its report. Raises `FailedError` when there is none."""
        runs = self._root / ".lab" / self._lab / "runs"
        before = {path.name for path in runs.glob("*Z")}
        argv = [sys.executable, "-m", "invoke", "verify", "-i", "inventory/selftest.yaml"]
        done = subprocess.run(
            [*argv, "--layer", layer, "--select", ",".join(rows)],
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
