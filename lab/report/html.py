"""The page of a verdict: one file that opens without a network, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.checks.outcomes import Outcome
from lab.checks.record import Figure, Record, Timeline, Verdict
from lab.render.roles import TEMPLATES
from lab.report.compare import compare
from lab.report.defences import DEFENCES, defences_in, newest_defences
from lab.report.pictures import SeriesPicture, series_picture
from lab.report.series import Series, read
from lab.report.timeline import build_picture

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
class MatrixLine:
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
    made.filters["figure"] = plain
    made.filters["moment"] = moment
    return made


def page(verdict: Verdict, folder: Path, against: Verdict | None = None) -> str:
    """The whole page of a run's verdict.

    `folder` is the run's, for its series and files of evidence; `against` an older run to compare with.
    """
    columns = ("", *verdict.hosts)
    bad = grouped(verdict.bad)
    stories, unread = drawn(folder)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            verdict=verdict,
            changes=compare(against, verdict) if against else None,
            counts={outcome.value: number for outcome, number in verdict.counts().items()},
            signs={outcome.value: sign for outcome, sign in SIGN.items()},
            columns=columns,
            layers=_by_layer(lines(verdict.records, columns)),
            bad=bad,
            evidence={card[0][1].evidence: evidence(folder, card[0][1]) for card in bad},
            skipped=_by_reason(verdict.records),
            figures=figures(verdict.records),
            stories=stories,
            unread=unread,
            records={record.id: (anchor(record), record.outcome.value) for record in verdict.records},
            build=build_picture(verdict.timeline) if verdict.timeline else None,
            defences=newest_defences(folder.parent),
            slowest=sorted(verdict.records, key=lambda record: -record.seconds)[:SLOWEST],
        )
    )


def run_page(timeline: Timeline | None, folder: Path) -> str:
    """The page of a run that is no verify: its steps, the pictures of its series, what a selftest proved."""
    stories, unread = drawn(folder)
    build, defences = build_picture(timeline) if timeline else None, defences_in(folder / DEFENCES)
    title = "What clients lived through" if stories or unread else "Seeded defects"
    return (
        _environment()
        .get_template("run.html.j2")
        .render(
            build=build, stories=stories, unread=unread, records={}, signs={}, defences=defences, title=title
        )
    )


def drawn(folder: Path) -> tuple[list[SeriesPicture], list[str]]:
    """The pictures of a run's series, and a line for each file that cannot be read."""
    found = list(read(folder))
    return [series_picture(item) for item in found if isinstance(item, Series)], [
        item for item in found if isinstance(item, str)
    ]


def evidence(folder: Path, record: Record) -> list[str]:
    """Files of a record's evidence, relative to the run's folder; those of the check itself first."""
    if not record.evidence:
        return []
    top = folder / record.evidence
    found = sorted(path.relative_to(folder) for path in top.rglob("*") if path.is_file())
    return [str(path) for path in sorted(found, key=lambda path: ("rendered" in path.parts, len(path.parts)))]


def anchor(record: Record) -> str:
    """Id of a record's place on the page."""
    return "check-" + "".join(c if c.isalnum() else "-" for c in record.id)


def grouped(records: Iterable[Record]) -> list[list[tuple[str, Record]]]:
    """Records with their places on the page; those with one cause together, failures first.

    A host that cannot be reached is one cause, however many checks it keeps from looking.
    """
    found: dict[tuple[Outcome, str, str], list[tuple[str, Record]]] = {}
    keys: dict[str, tuple[Outcome, str, str]] = {}
    # the record that others point at may stand behind them
    for record in sorted(records, key=lambda record: bool(record.because)):
        key = keys.get(record.because, (record.outcome, record.host, record.message))
        keys[record.id] = key
        found.setdefault(key, []).append((anchor(record), record))
    return sorted(found.values(), key=lambda held: -RANK.index(held[0][1].outcome))


def seconds(value: float) -> str:
    """Seconds for people."""
    if value >= 90:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.1f} s" if value >= 0.95 else f"{value * 1000:.0f} ms"


def moment(stamp: str) -> str:
    """An ISO 8601 time for people; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return stamp


def plain(value: float) -> str:
    """A figure with two decimals at most; a small one with two digits."""
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def lines(records: Iterable[Record], columns: tuple[str, ...]) -> list[MatrixLine]:
    """The matrix: a line for each behaviour, in the order in which they ran; the first column is the lab."""
    found: dict[tuple[str, str], dict[str, list[Record]]] = {}
    rows: dict[tuple[str, str], str] = {}
    for record in records:
        key = (record.layer, record.title)
        rows[key] = ", ".join(record.checks)
        column = record.host if record.host in columns else ""
        found.setdefault(key, {}).setdefault(column, []).append(record)
    return [
        MatrixLine(rows[key], key[1], key[0], tuple(_cell(held.get(column, [])) for column in columns))
        for key, held in found.items()
    ]


def _by_layer(found: Iterable[MatrixLine]) -> dict[str, list[MatrixLine]]:
    layers: dict[str, list[MatrixLine]] = {}
    for line in found:
        layers.setdefault(line.layer, []).append(line)
    return layers


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
