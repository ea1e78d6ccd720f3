"""What clients lived through, recorded for the report's pictures: the contract of tests and report.

Whoever damages or loads a lab records a `Series` and calls `write`; the report of the run draws it. All times
are seconds of one clock, any clock: the page counts from the first fault, or from the first sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab.checks.alerts import AlertsSeen
from lab.runs import mask

FOLDER = "series"
"""Below the run's folder; one file a series."""

Seconds = Annotated[float, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0)]
Number = Annotated[int, Field(ge=0)]


class SeriesModel(BaseModel):
    """Frozen; an unknown key, an infinity and a NaN are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Probe(SeriesModel):
    """One question of a client that asks all the time."""

    t: float = Field(description="When it was sent, in seconds of the series' clock.")
    ok: bool
    ms: Milliseconds = Field(description="Until the answer, or until the client gave up.")
    by: str = Field("", description="Who answered: pod, node or address, where the client knows.")
    why: str = Field("", description="Why the answer was no good one.")


class Target(SeriesModel):
    """What was asked, and every probe of it in the order of sending."""

    name: str = Field(description="As a person says it: API through the balancer.")
    probes: tuple[Probe, ...] = Field(min_length=1)
    limit: Seconds | None = Field(None, description="Longest time without a good answer that is allowed.")


class SeriesMark(SeriesModel):
    """Something that happened at a moment."""

    t: float
    kind: Literal["fault", "healed", "note"]
    text: str = Field(description="In a few words: master-1: power off.")


class Holder(SeriesModel):
    """From `t` on, `name` holds `what`; `name` is "" for nobody. One entry a change, one at the start."""

    what: str = Field(description="etcd leader, kube-scheduler lease, owner of 10.1.1.200, ...")
    t: float
    name: str


class Gaps(SeriesModel):
    """The same thing measured in repeated trials."""

    name: str = Field(description="What was measured: API gap after power-off of the leader.")
    seconds: tuple[Seconds | None, ...] = Field(
        min_length=1, description="One value a trial, in their order; null: it never came back."
    )
    limit: Seconds | None = None
    limit_of: Literal["p50", "p95", "max"] = Field("p95", description="Which value the limit is for.")


class Load(SeriesModel):
    """Requests that ended within one interval of a load run, all paths together."""

    t: float = Field(description="Beginning of the interval.")
    seconds: Annotated[float, Field(gt=0)] = Field(description="Its length.")
    requests: Number
    failures: Number
    p50: Milliseconds
    p95: Milliseconds
    p99: Milliseconds
    max: Milliseconds


class Share(SeriesModel):
    """Requests that one pod answered."""

    pod: str
    node: str
    requests: Number


class Series(SeriesModel):
    """One story: a fault, a row of trials or a load run. Whatever is left empty is not drawn."""

    schema_version: Literal[1] = 1
    title: str = Field(description="What happened, in words.")
    checks: tuple[str, ...] = Field((), description="Rows of the catalogue, as L4-03.")
    test: str = Field("", description="Id of the check's record, where there is one.")
    started: str = Field("", description="UTC, ISO 8601, of the first sample.")
    marks: tuple[SeriesMark, ...] = ()
    targets: tuple[Target, ...] = ()
    holders: tuple[Holder, ...] = ()
    alerts: AlertsSeen | None = Field(None, description="null: the lab has no alerts of its own.")
    gaps: tuple[Gaps, ...] = ()
    load: tuple[Load, ...] = ()
    load_limit_ms: Milliseconds | None = Field(None, description="Limit of p95.")
    shares: tuple[Share, ...] = ()


def write(series: Series, folder: Path, name: str) -> Path:
    """Keep a series as `series/<name>.json` below a run's folder, secrets masked, in one step.

    `name` may hold letters, digits, dots, dashes; anything else becomes a dash.
    """
    file = re.sub(r"[^\w.-]+", "-", name).strip("-")
    path = folder / FOLDER / f"{file}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(mask(series.model_dump_json()))
    part.replace(path)
    return path


def read(folder: Path) -> Iterator[Series | str]:
    """Every series of a run by name of its file; for one that cannot be read, a line that says why.

    A report is for the worst of days: one broken file must not cost the others, nor go unsaid.
    """
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            yield Series.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            first = error.errors()[0] if isinstance(error, ValidationError) else None
            where = ".".join(map(str, first["loc"])) or "the document" if first else "file"
            yield f"{FOLDER}/{path.name}: {where}: {first['msg'] if first else error}"
