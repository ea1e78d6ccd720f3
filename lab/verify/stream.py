"""The stream of a layer's process turned into records: a check that is not heard of has one as well."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.checks.words import fitted
from lab.console import Console
from lab.verify.causes import pointed
from lab.verify.layers import Layer


class RecordStream:
    """What one layer's process tells, turned into records; what it does not tell is a record as well."""

    def __init__(self, layer: Layer, console: Console) -> None:
        self._layer, self._console = layer, console
        self._expected: list[str] = []
        self._records: dict[str, Record] = {}
        self._broken: list[str] = []
        self._running: dict[str, None] = {}
        self._causes: set[str] = set()

    def hear(self, message: dict[str, Any]) -> None:
        """One line of the stream: collected, begun, record, died or broken."""
        ((kind, value),) = message.items()
        if kind == "collected":
            self._expected = value
        elif kind == "begun":
            self._running[value] = None
        elif kind == "record":
            record = Record.model_validate(value)
            self._records[record.id] = record
            self._running.pop(record.id, None)
            self._tell(record)
        elif kind == "died":
            name, text = value
            self._running.pop(name, None)
            self._records[name] = blind(self._layer, name, f"its process died: {fitted(text)}")
        elif kind == "broken":
            self._broken.append(value)
        self._console.note(f"verify {self._layer.name}", self.state)

    @property
    def state(self) -> str:
        """How far the layer is, and the check that has run for longest."""
        done, (first, *more) = f"{len(self._records)} of {len(self._expected)}", list(self._running) or [""]
        others = f", and {len(more)} more" if more else ""
        return f"{done} {first.partition('::')[2] or first}{others}".strip()

    def _tell(self, record: Record) -> None:
        """Say what is wrong; each cause of not being able to look once."""
        green = record.outcome in (Outcome.PASSED, Outcome.SKIPPED)
        if green or record.because or record.cause in self._causes:
            return
        if record.cause:
            self._causes.add(record.cause)
        colour = "red" if record.outcome is Outcome.FAILED else "yellow"
        rows = ", ".join(record.checks)
        said = escape(f"{record.outcome.value} {rows} {record.title}: {record.message}")
        self._console.say(f"[{colour}]{said}[/{colour}]", record.host)

    def close(self, code: int, tail: str, hosts: tuple[str, ...], *, selected: bool) -> list[Record]:
        """All records in the order of collection; every expected check and every host has one.

        `code` is pytest's exit code: 0 and 1 are orderly ends, and 5 when a selection left nothing.
        Nothing is green by absence: a layer in which nothing ran says so in a record of its own.
        """
        records = [
            self._records.get(name) or blind(self._layer, name, "was not run to its end")
            for name in self._expected
        ]
        strangers = [record for name, record in self._records.items() if name not in self._expected]
        records += strangers
        broken = list(self._broken)
        if code not in ((0, 1, 5) if selected else (0, 1)) and not broken:
            broken.append(f"pytest ended with exit code {code}: {fitted(tail)}")
        if not selected and not broken and all(r.outcome is Outcome.SKIPPED for r in records):
            broken.append("no check of this layer looked at anything")
        records += [blind(self._layer, f"{self._layer.name}: suite", text) for text in broken]
        seen = {record.host for record in records}
        records += [
            blind(self._layer, f"{self._layer.name}: reach[{host}]", "no check looked at this host", host)
            for host in hosts
            if host not in seen
        ]
        return pointed(records)


def blind(layer: Layer, name: str, text: str, host: str = "", command: str = "") -> Record:
    """The record of something that nobody looked at; `text` says why."""
    return Record(
        id=name,
        title=name,
        layer=layer.name,
        host=host,
        outcome=Outcome.COULD_NOT_TELL,
        message=text,
        command=command,
    )
