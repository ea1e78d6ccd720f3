"""Which endpoint a request means, by the version of PVE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from tests.doubles.pve.contract import ENDPOINTS
from tests.doubles.pve.endpoint import Endpoint, perm

_WIDE = {"volume": ".+"}
"""A volume's name is the rest of the path, slashes included."""


@dataclass(frozen=True)
class Route:
    """An endpoint with its method and path template."""

    method: str
    template: str
    endpoint: Endpoint

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The template as a pattern, with the path's parameters as its groups."""
        parts = re.split(r"\{(\w+)\}", self.template)
        for at in range(1, len(parts), 2):
            parts[at] = f"(?P<{parts[at]}>{_WIDE.get(parts[at], '[^/]+')})"
        return re.compile("".join(parts))


AGENT_9 = perm("/vms/{vmid}", "VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted", any_of=True)
"""What PVE 9 asks for instead of VM.Monitor."""


def routes(major: int) -> list[Route]:
    """All endpoints of a major version of PVE."""
    found = []
    for name, endpoint in ENDPOINTS.items():
        method, template = name.split(" ")
        if "/agent/" in template and major >= 9:
            endpoint = Endpoint(AGENT_9, endpoint.parameters)
        if endpoint.since <= major:
            found.append(Route(method, template, endpoint))
    return found
