"""The programs that are sent to hosts and run there: one round trip answers or changes everything."""

from __future__ import annotations

import shlex
from pathlib import Path

LOOK = Path(__file__).with_name("remote_look.py")
"""Says what a host is of its bundle, and what runs there; changes nothing."""
CHANGE = Path(__file__).with_name("remote_change.py")
"""Writes and removes files, and runs commands."""
FACTS = Path(__file__).with_name("remote_facts.py")
"""Says what the host is; changes nothing."""
SETTLED = Path(__file__).with_name("remote_settled.py")
"""Says what a master's control plane was started with; changes nothing."""


def command(program: Path) -> str:
    """The shell command that runs a program on a host; the request goes to its standard input."""
    return f"python3 -c {shlex.quote(program.read_text())}"
