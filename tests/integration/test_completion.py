"""The tab key in real shells: the lines of docs/completion.md, typed on a terminal."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.unit.core.terminal import Terminal

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "completion.md"
SHELLS = {
    "bash": (["bash", "--norc", "-i"], ""),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D\n"),
    "fish": (["fish", "--no-config", "-i"], ""),
}
"""Without anybody's own settings, and what the page says must have come before."""


def line(shell: str) -> str:
    """The one line of the page for a shell."""
    [found] = [text for text in PAGE.read_text().splitlines() if f"--print-completion-script {shell}" in text]
    return found


@pytest.mark.parametrize("program", ["invoke", ".venv/bin/invoke"])
@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_tasks_and_options_are_completed(shell: str, program: str, tmp_path: Path) -> None:
    """Also where no `invoke` is in the PATH, as for who never activated the environment."""
    assert shutil.which(shell), f"{shell} is missing: make packages-test"
    argv, before = SHELLS[shell]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PS1": "$ ", "TERM": "xterm"}
    terminal = Terminal(argv, env, ROOT)
    terminal.type(f"{before}{line(shell)}\n")
    terminal.type("echo $((40 + 2))\n" if shell != "fish" else "math 40 + 2\n")
    terminal.until("42")  # the line was taken
    terminal.type(f"{program} destr\t")
    terminal.until("destroy")
    terminal.type("--lo\t")
    terminal.until("se-quorum")
    terminal.type(f"\x15{program} proxmox.\t\t")
    terminal.until("templates")
    terminal.type("\x15exit\n")
    assert terminal.end() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.text)
    assert "not found" not in plain
    assert "Traceback" not in plain
