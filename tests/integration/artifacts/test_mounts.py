"""Making artefacts leaves nothing mounted, whatever ends it and whenever.

In a mount namespace of its own whose root is shared, as systemd makes it: what anything mounts outside a
namespace of its own would show there, and nowhere else.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab.artifacts.provide import provide
from lab.artifacts.store import cache_folder
from lab.artifacts.wanted import wanted
from lab.inventory import load
from lab.render.roles import all_packages
from lab.waits import NotYet, wait_for
from tests.integration.conftest import ROOT, await_end, family, kill_all, mounts
from tests.soon import SOON

MOUNTING = ("debian", "debian-layer", "containerd-root", "payload")
"""What is made by programs that mount; all else comes from the store of this machine."""
SEED, KILLS = 23, 20
LATEST = 25.0
"""Seconds after which a run is killed at the latest; it takes about a minute."""
WHOLE_SECONDS = 900


class Apart:
    """A mount namespace that lives as long as this object, and a store in which `MOUNTING` is missing."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.cache.mkdir()
        here = cache_folder()
        same = here.stat().st_dev == folder.stat().st_dev
        how = ["--link"] if same else ["--reflink=auto"]
        subprocess.run(["cp", "--archive", *how, here / "objects", self.cache], check=True)
        shutil.copytree(here / "entries", self.cache / "entries")
        self.forget()
        keeper = [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            "mount --make-rshared / && echo there && exec sleep 3600",
        ]
        self._keeper = subprocess.Popen(keeper, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout
        assert self._keeper.stdout.readline() == "there\n"

    def forget(self) -> None:
        """Nothing that mounts has been made."""
        for name in MOUNTING:
            for entry in (self.cache / "entries").glob(f"{name}-a*.json"):
                entry.unlink()

    def mounts(self) -> list[str]:
        """What is mounted in there."""
        return mounts(Path(f"/proc/{self._keeper.pid}/mountinfo"))

    def fetch(self) -> subprocess.Popen[bytes]:
        """`invoke artifacts --fetch` in there."""
        enter = ["nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt", "sh", "-ec", 'cd "$0" && exec "$@"']
        return subprocess.Popen(
            [
                *enter,
                str(ROOT),
                sys.executable,
                "-m",
                "invoke",
                "artifacts",
                "--fetch",
                "--source",
                "modules",
            ],
            cwd=ROOT,
            env={**os.environ, "PLUMBLINE_CACHE": str(self.cache)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def mounted_by_anybody(self, process: subprocess.Popen[bytes]) -> None:
        """Whether any process has /proc of a tree in the making among its mounts."""
        if process.poll() is not None:
            raise AssertionError("the run ended before anything was mounted")
        making = re.escape(str(self.cache / "work"))
        tree = re.compile(rf" {making}/\S+/tree/proc ")
        for table in Path("/proc").glob("[0-9]*/mountinfo"):
            with suppress(OSError):  # it has just ended
                if tree.search(table.read_text()):
                    return
        raise NotYet("not mounted yet")

    def finish(self) -> str:
        """Run it to its end; what it said on standard error."""
        process = self.fetch()
        said = process.communicate(timeout=WHOLE_SECONDS)[1].decode()
        assert process.returncode == 0, said
        return said

    def end(self) -> None:
        self._keeper.kill()
        self._keeper.wait()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    provide(wanted(load("rehearsal")), packages=all_packages(), source="modules", say=print)
    made = Apart(tmp_path)
    yield made
    made.end()
    # with the namespace every mount in it is gone, so this removes files of the test alone
    shutil.rmtree(made.cache)


def killed(process: subprocess.Popen[bytes], after: float, whole: bool) -> bool:
    """kill -9 of the harness, or of it and all its children; False when it had ended before."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        if whole:
            kill_all(process)
        else:
            started = family(process)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            await_end(started)
        return True
    return False


@pytest.mark.long
def test_nothing_is_mounted_that_was_not_before(apart: Apart) -> None:
    before = apart.mounts()
    apart.finish()
    assert apart.mounts() == before


@pytest.mark.parametrize("whole", [False, True])
def test_nothing_stays_mounted_after_kill_9_while_debian_is_installed(apart: Apart, whole: bool) -> None:
    before = apart.mounts()
    process = apart.fetch()
    wait_for(
        "/proc of a tree", lambda: apart.mounted_by_anybody(process), seconds=WHOLE_SECONDS, interval=0.05
    )
    assert killed(process, 0.0, whole)
    assert apart.mounts() == before


@pytest.mark.long
def test_nothing_stays_mounted_after_kill_9_at_random_moments(apart: Apart) -> None:
    before = apart.mounts()
    moments = random.Random(SEED)
    done = 0
    while done < KILLS:
        after = moments.uniform(0.5, LATEST)
        if killed(apart.fetch(), after, whole=bool(done % 2)):
            done += 1
        else:
            apart.forget()
        assert apart.mounts() == before, f"after kill {done}, {after:.1f} s into the run"
    apart.finish()
    assert apart.mounts() == before


def test_what_an_older_version_left_is_taken_away_with_a_word(tmp_path: Path) -> None:
    """In a namespace of its own: two mounts in a tree, and one that is the user's own disk."""
    script = """
import sys
from pathlib import Path
from lab.artifacts.mounts import take_away
take_away(Path(sys.argv[1]), print)
take_away(Path(sys.argv[1]), print)
print(*(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()))
"""
    for folder in ("trees/debian-amd64-0/proc", "go"):
        (tmp_path / folder).mkdir(parents=True)
    mounts = 'cd $1; mount -t proc proc trees/debian-amd64-0/proc; mount -t tmpfs t go; shift; exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", mounts, "sh", tmp_path, sys.executable, "-c", script, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SOON,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, points = done.stdout.splitlines()
    place = tmp_path / "trees/debian-amd64-0/proc"
    assert said == f"unmounted {place}, which an older version left behind"
    assert str(place) not in points.split()
    assert str(tmp_path / "go") in points.split()
