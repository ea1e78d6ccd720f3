"""The programs that are sent to hosts and run there: one round trip answers or changes everything."""

from __future__ import annotations

import shlex
from pathlib import Path

CHANGE = Path(__file__).with_name("remote.py")
"""Looks at files and units, and changes what differs."""
FACTS = Path(__file__).with_name("remote_facts.py")
"""Says what the host is; changes nothing."""


def command(program: Path) -> str:
    """The shell command that runs a program on a host; the request goes to its standard input."""
    return f"python3 -c {shlex.quote(program.read_text())}"
