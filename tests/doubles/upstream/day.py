"""How the servers of upstream behave, and what they were asked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Day:
    """How servers behave. Keys are parts of a path; the first that fits counts.

    `refuse`: status codes answered first, one for each request (the first for ever if `endless`).
    `retry_after` goes with 429 and 503. `cut`: bytes after which the connection is dropped, one for each
    answer. `pace`: bytes a second. `instead`: what a registry looks up in place of what it is asked for.
    `asked`: server, path, Range and Authorization of every request. `transfers`: begin, end, bytes.
    """

    refuse: dict[str, list[int]] = field(default_factory=dict)
    endless: bool = False
    retry_after: str = ""
    cut: dict[str, list[int]] = field(default_factory=dict)
    pace: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    instead: dict[str, str] = field(default_factory=dict)
    transfers: list[tuple[float, float, int]] = field(default_factory=list)

    def refusal(self, path: str) -> int:
        """The status with which a request is refused, 0 for none."""
        for key, codes in self.refuse.items():
            if key in path and codes:
                return codes[0] if self.endless else codes.pop(0)
        return 0
