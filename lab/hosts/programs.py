"""The programs that are sent to hosts and run there: one round trip answers or changes everything."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

LOOK = Path(__file__).with_name("remote_look.py")
"""Says what a host is of its bundle, and what runs there; changes nothing. `SETTLED` is sent before it."""
CHANGE = Path(__file__).with_name("remote_change.py")
"""Writes and removes files, and runs commands."""
ANSWER = Path(__file__).with_name("remote_answer.py")
"""Answers a request section by section."""
FACTS = Path(__file__).with_name("remote_facts.py")
"""Says what the host is; changes nothing. `ANSWER` is sent before it."""
SETTLED = Path(__file__).with_name("remote_settled.py")
"""Says what a master's control plane was started with; changes nothing. It also runs alone."""
PLACES = Path(__file__).with_name("remote_places.py")
SURVEY = Path(__file__).with_name("remote_survey.py")
"""Says what is on a host beside what was declared; changes nothing. `ANSWER`, `PLACES` go before it."""
_END = re.compile(r'^if __name__ == "__main__":\n(?: .*\n)+', re.MULTILINE)
_OWN_IMPORT = re.compile(r"^from lab\.hosts\.\w+ import .*\n", re.MULTILINE)
_FUTURE = re.compile(r"^from __future__ import .*\n", re.MULTILINE)
"""Once, at the beginning of the whole text."""


def command(program: Path, *before: Path) -> str:
    """The shell command that runs a program on a host; the request goes to its standard input.

    What it imports of this folder stands in the texts that are sent `before` its own: programs that run alone
    as well, so what they do then is left out.
    """
    texts = [*(_END.sub("", path.read_text()) for path in before), program.read_text()]
    first, *others = (_OWN_IMPORT.sub("", text) for text in texts)
    text = first + "".join(_FUTURE.sub("", other) for other in others)
    return f"python3 -c {shlex.quote(text)}"
