"""Makers of artefacts for a store to call, and where what they say goes when nobody listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

Produce = Callable[[Path], Mapping[str, Path]]


def producer(content: str, calls: list[str] | None = None) -> Produce:
    def produce(work: Path) -> Mapping[str, Path]:
        if calls is not None:
            calls.append(content)
        (work / "program").write_text(content)
        (work / "program").chmod(0o700)
        return {"program": work / "program"}

    return produce


def quiet(_line: str) -> None:
    pass
