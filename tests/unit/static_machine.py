"""A machine that exists, as it was recorded, and that nobody has used."""

from __future__ import annotations

from typing import Any

from lab.hosts.converge import EVIDENCE
from lab.hosts.facts import HostSections
from lab.providers.static.facts import MARK, Existing
from tests.host_facts import recorded

KEY = "ssh-ed25519 AAAA plumbline"
USED: dict[str, Any] = {"files": dict.fromkeys(EVIDENCE), "texts": {MARK: None}}
"""What the two sections say that depend on the question: nobody has used the machine."""


def existing(offset: float = 0.0, **changes: Any) -> Existing:
    """A good Pi whose facts differ in this."""
    return Existing(HostSections("pi-1", recorded(**USED | changes)), offset)
