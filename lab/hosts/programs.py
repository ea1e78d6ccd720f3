"""The programs that are sent to hosts and run there: one round trip answers or changes everything."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

LOOK = Path(__file__).with_name("remote_look.py")
"""Says what a host is of its bundle, and what runs there; changes nothing."""
CHANGE = Path(__file__).with_name("remote_change.py")
"""Writes and removes files, and runs commands."""
ANSWER = Path(__file__).with_name("remote_answer.py")
"""Answers a request section by section."""
FACTS = Path(__file__).with_name("remote_facts.py")
"""Says what the host is; changes nothing. `ANSWER` is sent before it."""
SETTLED = Path(__file__).with_name("remote_settled.py")
"""Says what a master's control plane was started with; changes nothing."""
PLACES = Path(__file__).with_name("remote_places.py")
SURVEY = Path(__file__).with_name("remote_survey.py")
"""Says what is on a host beside what was declared; changes nothing. `ANSWER`, `PLACES` go before it."""
_OWN_IMPORT = re.compile(r"^from (?:__future__|lab\.hosts\.\w+) import .*\n", re.MULTILINE)


def command(program: Path, *before: Path) -> str:
    """The shell command that runs a program on a host; the request goes to its standard input.

    What it imports of this folder stands in the texts that are sent `before` its own.
    """
    texts = [path.read_text() for path in (*before, program)]
    text = texts[0] + "".join(_OWN_IMPORT.sub("", more) for more in texts[1:])
    return f"python3 -c {shlex.quote(text)}"
