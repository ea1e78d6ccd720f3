"""A world in which upstream is on loopback, for tests and `invoke bench --what artifacts`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import proxies
from lab.waits import NotYet, wait_for
from tests.soon import SOON

ROOT = Path(__file__).resolve().parents[3]
APART = ("unshare", "--net", "--mount", "--propagation", "private")


class World:
    """Use it as a context manager; `folder` gets all that is published and a `cache` of its own."""

    def __init__(self, folder: Path, *, bad_day: bool = False) -> None:
        self.folder = folder
        self._more = ["--bad-day"] if bad_day else []

    def __enter__(self) -> World:
        self.folder.mkdir(exist_ok=True)
        command = [*APART, sys.executable, "-m", "tests.doubles.upstream", str(self.folder), *self._more]
        with (self.folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            wait_for("upstream to be published", self._ready, seconds=600, interval=0.2)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(SOON)

    def _ready(self) -> None:
        if self._process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text()[-4000:])
        if not (self.folder / "ready").exists():
            raise NotYet("it is being published")

    def command(self, *words: str, folder: Path = ROOT) -> list[str]:
        """A command that is run inside, in a folder (entering a mount namespace leaves the one before)."""
        inside = ["nsenter", "--net", "--mount", "--target", str(self._process.pid), f"--wd={folder}"]
        return [*inside, "--", *words]

    def env(self, **more: str) -> Mapping[str, str]:
        """The environment of a command inside: the world's cache, and no proxy in between."""
        aside = (*proxies.settings(), *(proxies.ASIDE + kind for kind in proxies.KINDS))
        kept = {key: value for key, value in os.environ.items() if key not in aside}
        return kept | {"PLUMBLINE_CACHE": str(self.folder / "cache")} | more

    def invoke(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """What a person types, inside."""
        words = self.command(sys.executable, "-m", "invoke", *arguments)
        return subprocess.run(
            words, cwd=ROOT, env=self.env(**env), capture_output=True, text=True, check=False
        )

    def seen(self) -> dict[str, Any]:
        """What the servers saw, once they have stopped."""
        seen: dict[str, Any] = json.loads((self.folder / "seen.json").read_text())
        return seen
