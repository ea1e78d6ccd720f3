"""`invoke verify`: the layers one after the other, each in a pytest process of its own, and the verdict."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from lab import report
from lab.checks.outcomes import Outcome
from lab.checks.record import LayerResult, Record, Verdict, count
from lab.console import Console
from lab.damage import take_out_left_behind
from lab.errors import FailedError, InputError
from lab.labs import Lab
from lab.locks import exclusive
from lab.runs import Run
from lab.verify.layers import Layer, chosen
from lab.verify.session import Context

ROOT = Path(__file__).parents[2]

SILENCE_SECONDS = 600.0
"""Longest time without a word of a layer's process, beside that of the load profile that it runs; the longest
other check takes a third of it."""
UNWIND_SECONDS = 180.0
"""Time for an interrupted layer to heal its fault and to remove what it made."""


def verify(
    lab: Lab,
    run: Run,
    console: Console,
    layers: Sequence[str],
    selection: str = "",
    notes: Sequence[str] = (),
) -> Verdict:
    """Run the acceptance suite against a lab and write its reports into the run's folder.

    `layers` are names (none: all that this lab allows), `selection` a comma-separated list of rows, hosts or
    parts of test names, `notes` what the report has to say besides. The verdict is red, never an exception,
    when the lab is not as it should be. Raises `InputError` for a layer or selection that does not exist,
    `PreflightError` when another verify of the lab is running.
    """
    picked, left_out = chosen(layers, lab.inventory)
    started, begun = datetime.now(UTC), time.monotonic()
    alive = any(layer.needs_lab for layer in picked)
    with exclusive(lab, "invoke verify") if alive else nullcontext():
        taken_out = take_out_left_behind(lab, console) if alive else ()
        results, records = _run_layers(lab, run, console, picked, selection)
    if selection and not records:
        raise InputError(
            f"--select {selection}: no check of these layers has such a row, host or name",
            next_step="invoke verify without --select, or see docs/verify.md for the rows",
        )
    results += [
        LayerResult(name=name, title="", state="not part of this lab", reason=reason)
        for name, reason in left_out.items()
    ]
    green = (
        bool(records)
        and all(record.outcome in (Outcome.PASSED, Outcome.SKIPPED) for record in records)
        and all(result.state != "not run" for result in results)
    )
    verdict = Verdict(
        lab=lab.inventory.lab,
        provider=lab.inventory.provider.value,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begun, 1),
        green=green,
        selection=selection,
        hosts={name: host.role.value for name, host in lab.inventory.hosts.items()},
        versions=report.versions(lab.inventory),
        layers=tuple(results),
        records=tuple(records),
        timeline=report.newest_build(lab.folder / "runs"),
        notes=(*lab.inventory.notes, *notes, *taken_out),
    )
    report.write(verdict, run.folder)
    return verdict


def _run_layers(
    lab: Lab, run: Run, console: Console, layers: Sequence[Layer], selection: str
) -> tuple[list[LayerResult], list[Record]]:
    results: list[LayerResult] = []
    records: list[Record] = []
    blocked = ""
    for layer in layers:
        if blocked:
            results.append(LayerResult(name=layer.name, title=layer.title, state="not run", reason=blocked))
            console.say(f"[dim]{layer.name}: not run: {blocked}[/dim]")
            continue
        begun = time.monotonic()
        with run.event(f"verify {layer.name}", ""):
            found = examine(lab, run.folder, console, layer, selection)
        counts = count(found)
        results.append(
            LayerResult(
                name=layer.name,
                title=layer.title,
                state="run",
                seconds=round(time.monotonic() - begun, 1),
                counts=counts,
            )
        )
        records += found
        console.say(f"{layer.name}: {_summary(counts)} in {results[-1].seconds:.1f} s")
        if counts[Outcome.FAILED] or counts[Outcome.COULD_NOT_TELL]:
            blocked = f"layer {layer.name} is not green"
    return results, records


def _summary(counts: dict[Outcome, int]) -> str:
    said = [f"{number} {outcome.value}" for outcome, number in counts.items() if number]
    return ", ".join(said) or "nothing selected"


def examine(lab: Lab, folder: Path, console: Console, layer: Layer, selection: str) -> list[Record]:
    """One layer, run in a process of its own, which leaves what it knew in `folder`; one record a check.

    The caller holds the lab's lock.
    """
    if layer.needs_lab:
        try:
            lab.provider.enter()
        except FailedError as error:
            console.say(f"[yellow]could-not-tell: {escape(error.message)}[/yellow]")
            return [
                _blind(layer, f"{layer.name}: reach[{host}]", error.message, host, error.next_step)
                for host in lab.inventory.hosts
            ]
    reader, writer = os.pipe()
    context = Context.of(lab, folder, layer.name, selection, writer)
    path = folder / "verify" / f"{layer.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(context.model_dump_json(indent=1))
    # by file, so that what a file's fixtures made is made once (--dist loadgroup of xdist 3.8 does nothing
    # under pytest 9.2)
    # a selection is short: the start of workers would cost more time than they save
    workers = 1 if selection else layer.workers
    command = [
        *(sys.executable, "-m", "pytest", "-p", "lab.verify.plugin", "-p", "lab.verify.fixtures"),
        *("-p", "no:cacheprovider"),
        *("--plumbline-context", str(path), "--rootdir", str(ROOT), "--tb=short"),
        *(("-p", "xdist.plugin", "-n", str(workers), "--dist", "loadfile") if workers > 1 else ()),
        *map(str, layer.files),
    ]
    with path.with_suffix(".log").open("w") as log:
        # a session of its own: an interrupt reaches it once, from here, and it has time to unwind
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            # installed plugins are not loaded by themselves: testinfra's has a `host` of its own
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)
    story = Story(layer, console)
    try:
        for line in _lines(reader, SILENCE_SECONDS + lab.inventory.load_profiles["default"].seconds):
            story.hear(json.loads(line))
    except BaseException:
        _unwind(process, console, layer)
        raise
    finally:
        os.close(reader)
    code = _end(process)
    tail = path.with_suffix(".log").read_text()[-1500:]
    hosts = () if selection or layer.name != "node" else tuple(lab.inventory.hosts)
    return story.close(code, tail, hosts, selected=bool(selection))


def _lines(reader: int, patience: float) -> Iterator[str]:
    """Lines of a pipe until its writers are gone. Raises `FailedError` after too long a silence."""
    rest = b""
    while True:
        if not select.select([reader], [], [], patience)[0]:
            raise FailedError(f"verify: no word of the running checks for {patience:g} s")
        chunk = os.read(reader, 65536)
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


def _unwind(process: subprocess.Popen[bytes], console: Console, layer: Layer) -> None:
    if process.poll() is not None:
        return
    console.say(f"{layer.name}: interrupted; healing and tidying up (up to {UNWIND_SECONDS:g} s)")
    process.send_signal(signal.SIGINT)
    try:
        process.wait(UNWIND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


class Story:
    """What one layer's process tells, turned into records; what it does not tell is a record as well."""

    def __init__(self, layer: Layer, console: Console) -> None:
        self._layer, self._console = layer, console
        self._expected: list[str] = []
        self._records: dict[str, Record] = {}
        self._broken: list[str] = []

    def hear(self, message: dict[str, Any]) -> None:
        """One line of the stream: collected, begun, record, died or broken."""
        ((kind, value),) = message.items()
        if kind == "collected":
            self._expected = value
        elif kind == "record":
            record = Record.model_validate(value)
            self._records[record.id] = record
            self._tell(record)
        elif kind == "died":
            name, text = value
            self._records[name] = _blind(self._layer, name, f"its process died: {text}")
        elif kind == "broken":
            self._broken.append(value)
        done = f"{len(self._records)} of {len(self._expected)}"
        self._console.note(f"verify {self._layer.name}", f"{done} {value if kind == 'begun' else ''}".strip())

    def _tell(self, record: Record) -> None:
        if record.outcome in (Outcome.PASSED, Outcome.SKIPPED):
            return
        colour = "red" if record.outcome is Outcome.FAILED else "yellow"
        rows = ", ".join(record.checks)
        text = record.message.splitlines()[0] if record.message else ""
        said = escape(f"{record.outcome.value} {rows} {record.title}: {text}")
        self._console.say(f"[{colour}]{said}[/{colour}]", record.host)

    def close(self, code: int, tail: str, hosts: tuple[str, ...], *, selected: bool) -> list[Record]:
        """All records in the order of collection; every expected check and every host has one.

        `code` is pytest's exit code: 0 and 1 are orderly ends, and 5 when a selection left nothing.
        Nothing is green by absence: a layer in which nothing ran says so in a record of its own.
        """
        records = [
            self._records.get(name) or _blind(self._layer, name, "was not run to its end")
            for name in self._expected
        ]
        strangers = [record for name, record in self._records.items() if name not in self._expected]
        records += strangers
        broken = list(self._broken)
        if code not in ((0, 1, 5) if selected else (0, 1)) and not broken:
            broken.append(f"pytest ended with exit code {code}: {tail}")
        if not selected and not broken and all(r.outcome is Outcome.SKIPPED for r in records):
            broken.append("no check of this layer looked at anything")
        records += [_blind(self._layer, f"{self._layer.name}: suite", text) for text in broken]
        seen = {record.host for record in records}
        records += [
            _blind(self._layer, f"{self._layer.name}: reach[{host}]", "no check looked at this host", host)
            for host in hosts
            if host not in seen
        ]
        return records


def _blind(layer: Layer, name: str, text: str, host: str = "", command: str = "") -> Record:
    return Record(
        id=name,
        title=name,
        layer=layer.name,
        host=host,
        outcome=Outcome.COULD_NOT_TELL,
        message=text,
        command=command,
    )
