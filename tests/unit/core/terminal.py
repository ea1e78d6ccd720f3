"""A command on a terminal of its own: what is asked is read, and answered as a person would."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from lab.waits import NotYet, wait_for
from tests.soon import SOON

ROOT = Path(__file__).parents[3]
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """`argv` with a pseudo-terminal as its input, output and controlling terminal."""

    def __init__(self, argv: list[str], env: Mapping[str, str], cwd: Path = ROOT) -> None:
        self.text = ""
        self._seen = 0
        self._pid, self._side = pty.fork()
        if self._pid == 0:
            # whoever started the tests in the background has these ignored, and the child would inherit it
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(cwd)
            os.execvpe(argv[0], argv, {**os.environ, "TERM": "dumb", **env})

    def until(self, words: str) -> str:
        """Everything up to `words` that was not read yet. Fails when they do not come."""
        deadline = time.monotonic() + SOON
        while words not in self.text[self._seen :]:
            assert time.monotonic() < deadline, f"{words!r} did not come: {self.text}"
            assert self._read(), f"the command ended without {words!r}: {self.text}"
        begin, self._seen = self._seen, self.text.index(words, self._seen) + len(words)
        return self.text[begin : self._seen]

    def type(self, keys: str) -> None:
        """Press these keys; Ctrl-C once the program has nothing to do but read.

        Python notices one that comes between its question and its read only with the next key.
        """
        if keys == CTRL_C:
            wait_for("a program that reads its terminal", self._reads, seconds=SOON, interval=0.01)
        os.write(self._side, keys.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self._pid, 0)
        os.close(self._side)
        return os.waitstatus_to_exitcode(status)

    def _reads(self) -> None:
        # the call that it sleeps in and that call's first argument (proc(5), syscall): a read of input 0
        call = Path(f"/proc/{self._pid}/syscall").read_text().split()
        if call[1:2] != ["0x0"]:
            raise NotYet(f"system call {' '.join(call[:2])}")

    def _read(self) -> bool:
        """Read what there is; False at the end. Fails after `SOON` of silence."""
        ready, _, _ = select.select([self._side], [], [], SOON)
        assert ready, f"silence: {self.text}"
        try:
            data = os.read(self._side, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


def invoke(*arguments: str, **env: str) -> Terminal:
    """One task, on a terminal."""
    return Terminal([sys.executable, "-m", "invoke", *arguments], env)


def without_terminal(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One task with nobody to ask."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SOON,
    )
