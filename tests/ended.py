"""Whether a process that was killed has ended."""

from __future__ import annotations

from pathlib import Path

from lab.waits import NotYet


def ended(pid: int) -> None:
    """A killed process runs on for a moment. Raises `NotYet` as long as it does."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return
    # A zombie is dead; it is the business of whoever adopted it.
    if state != "Z":
        raise NotYet(f"still there, state {state}")
