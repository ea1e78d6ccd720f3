"""The page of a verdict: one file that opens without a network, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.render.templates import TEMPLATES
from lab.verify.outcomes import Outcome
from lab.verify.record import Event, Figure, Record, Timeline, Verdict

SIGN = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.COULD_NOT_TELL: "?", Outcome.SKIPPED: "–"}
RANK = (Outcome.SKIPPED, Outcome.PASSED, Outcome.COULD_NOT_TELL, Outcome.FAILED)
SLOWEST = 8


@dataclass(frozen=True)
class Cell:
    """What a check came to on a host: the worst of its records there."""

    outcome: Outcome
    anchor: str
    tip: str

    @property
    def sign(self) -> str:
        """One character, so that colour is never the only difference."""
        return SIGN[self.outcome]


@dataclass(frozen=True)
class Line:
    """One behaviour: its rows of the catalogue and a cell for each column (None: not asked there)."""

    rows: str
    title: str
    layer: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Measured:
    """A figure over the hosts on which it was measured; `host` is where it was highest."""

    name: str
    rows: str
    title: str
    unit: str
    lowest: float
    highest: float
    host: str
    number: int
    limit: float | None

    @property
    def share(self) -> float | None:
        """How full the limit is, in percent; None without a limit, or with one of 0."""
        return min(100.0, 100 * self.highest / self.limit) if self.limit else None

    @property
    def over(self) -> bool:
        """Whether it is above its limit."""
        return self.limit is not None and self.highest > self.limit


@dataclass(frozen=True)
class Bar:
    """One piece of work of a build; `left` and `width` in percent of the whole."""

    phase: str
    host: str
    left: float
    width: float
    seconds: float
    changed: bool
    colour: int


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES / "report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["seconds"] = seconds
    return made


def page(verdict: Verdict) -> str:
    """The whole page."""
    columns = ("", *verdict.hosts)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            verdict=verdict,
            counts={outcome.value: number for outcome, number in verdict.counts().items()},
            signs={outcome.value: sign for outcome, sign in SIGN.items()},
            columns=columns,
            lines=lines(verdict.records, columns),
            bad=grouped(verdict.bad),
            skipped=_by_reason(verdict.records),
            figures=figures(verdict.records),
            bars=bars(verdict.timeline),
            length=_length(verdict.timeline),
            slowest=sorted(verdict.records, key=lambda record: -record.seconds)[:SLOWEST],
        )
    )


def anchor(record: Record) -> str:
    """Id of a record's place on the page."""
    return "check-" + "".join(c if c.isalnum() else "-" for c in record.id)


def grouped(records: Iterable[Record]) -> list[list[tuple[str, Record]]]:
    """Records with their places on the page; those with one cause together, failures first.

    A host that cannot be reached is one cause, however many checks it keeps from looking.
    """
    found: dict[tuple[Outcome, str, str], list[tuple[str, Record]]] = {}
    for record in records:
        found.setdefault((record.outcome, record.host, record.message), []).append((anchor(record), record))
    return sorted(found.values(), key=lambda held: -RANK.index(held[0][1].outcome))


def seconds(value: float) -> str:
    """Seconds for people."""
    if value >= 90:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.1f} s" if value >= 0.95 else f"{value * 1000:.0f} ms"


def lines(records: Iterable[Record], columns: tuple[str, ...]) -> list[Line]:
    """The matrix: a line for each behaviour, in the order in which they ran; the first column is the lab."""
    found: dict[tuple[str, str], dict[str, list[Record]]] = {}
    rows: dict[tuple[str, str], str] = {}
    for record in records:
        key = (record.layer, record.title)
        rows[key] = ", ".join(record.checks)
        column = record.host if record.host in columns else ""
        found.setdefault(key, {}).setdefault(column, []).append(record)
    return [
        Line(rows[key], key[1], key[0], tuple(_cell(held.get(column, [])) for column in columns))
        for key, held in found.items()
    ]


def _cell(records: list[Record]) -> Cell | None:
    if not records:
        return None
    worst = max(records, key=lambda record: RANK.index(record.outcome))
    return Cell(worst.outcome, anchor(worst), worst.message or f"{worst.title}: {worst.outcome.value}")


def figures(records: Iterable[Record]) -> list[Measured]:
    """What was measured: one line a figure and check, over all hosts on which it was."""
    found: dict[tuple[str, str], list[tuple[Record, Figure]]] = {}
    for record in records:
        for figure in record.figures:
            found.setdefault((record.title, figure.name), []).append((record, figure))
    return [_measured(name, held) for (_, name), held in found.items()]


def _measured(name: str, held: list[tuple[Record, Figure]]) -> Measured:
    record, figure = held[0]
    values = sorted(item.value for _, item in held)
    hosts = [owner.host for owner, item in held if item.value == values[-1] and owner.host]
    return Measured(
        name=name,
        rows=", ".join(record.checks),
        title=record.title,
        unit=figure.unit,
        lowest=values[0],
        highest=values[-1],
        host=hosts[0] if len(held) > 1 and hosts else "",
        number=len(held),
        limit=figure.limit,
    )


def _by_reason(records: Iterable[Record]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        if record.outcome is Outcome.SKIPPED:
            titles = found.setdefault(record.message, [])
            if record.title not in titles:
                titles.append(record.title)
    return found


def _length(timeline: Timeline | None) -> float:
    return max((_end(event) for event in timeline.events), default=0.0) if timeline else 0.0


def _end(event: Event) -> float:
    return event.end if event.end is not None else event.start


def bars(timeline: Timeline | None) -> dict[str, list[Bar]]:
    """The build's picture: bars by host, in the order in which hosts first appear."""
    if timeline is None:
        return {}
    whole = _length(timeline) or 1.0
    phases = list(dict.fromkeys(event.phase.partition("-")[0] for event in timeline.events))
    found: dict[str, list[Bar]] = {}
    for event in timeline.events:
        took = _end(event) - event.start
        found.setdefault(event.host or "lab", []).append(
            Bar(
                phase=event.phase,
                host=event.host,
                left=round(100 * event.start / whole, 2),
                width=round(max(100 * took / whole, 0.4), 2),
                seconds=round(took, 1),
                changed=event.changed,
                colour=phases.index(event.phase.partition("-")[0]) % 8,
            )
        )
    return found
