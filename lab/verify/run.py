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
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape

from lab import report
from lab.checks.outcomes import Outcome
from lab.checks.record import LayerResult, Record, Verdict, count
from lab.console import Console
from lab.damage import undamaged
from lab.errors import FailedError, InputError
from lab.labs import Lab
from lab.runs import Run
from lab.verify.layers import Layer, chosen
from lab.verify.session import SuiteContext
from lab.verify.stream import RecordStream, blind

ROOT = Path(__file__).parents[2]

SILENCE_SECONDS = 600.0
"""Longest time without a word of a layer's process, beside that of the load profile that it runs; the longest
other check takes a third of it."""
MANY_ROWS = 6
"""With so many terms a selection is worth the start of several processes: rows that wait do so together."""
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
    `PreflightError` when another command is at work on the lab, or something is broken in it on purpose.
    """
    picked, left_out = chosen(layers, lab.inventory)
    started, begun = datetime.now(UTC), time.monotonic()
    alive = any(layer.needs_lab for layer in picked)
    with undamaged(lab, "invoke verify") if alive else nullcontext():
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
        notes=(*lab.inventory.notes, *notes),
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
        key = f"verify {layer.name}"
        with run.event(key, ""), console.working(key, key):
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
        pointing = sum(bool(record.because) for record in found)
        more = f"; {pointing} of them could not look for a cause that others tell" if pointing else ""
        console.say(f"{layer.name}: {_summary(counts)} in {results[-1].seconds:.1f} s{more}")
        if counts[Outcome.FAILED] or counts[Outcome.COULD_NOT_TELL]:
            blocked = f"layer {layer.name} is not green"
    return results, records


def _summary(counts: dict[Outcome, int]) -> str:
    said = [f"{number} {outcome.value}" for outcome, number in counts.items() if number]
    return ", ".join(said) or "nothing selected"


def examine(
    lab: Lab, folder: Path, console: Console, layer: Layer, selection: str, *, evidence: bool = True
) -> list[Record]:
    """One layer, run in a process of its own, which leaves what it knew in `folder`; one record a check.

    Without `evidence` nothing is gathered about what is red. The caller holds the lab's lock.
    """
    with ExitStack() as held:
        if layer.needs_lab:
            try:
                held.enter_context(lab.inside())
            except FailedError as error:
                console.say(f"[yellow]could-not-tell: {escape(error.message)}[/yellow]")
                return [
                    blind(layer, f"{layer.name}: reach[{host}]", error.message, host, error.next_step)
                    for host in lab.inventory.hosts
                ]
        return _listen(lab, folder, console, layer, selection, evidence=evidence)


def workers(layer: Layer, selection: str) -> int:
    """In how many processes a layer runs: those of few rows would end before all have started."""
    return 1 if selection and len(selection.split(",")) < MANY_ROWS else layer.workers


def _listen(
    lab: Lab, folder: Path, console: Console, layer: Layer, selection: str, *, evidence: bool
) -> list[Record]:
    """Run the layer's files by pytest and turn what it says into records."""
    reader, writer = os.pipe()
    context = SuiteContext.of(lab, folder, layer, selection, writer, evidence=evidence)
    path = folder / "verify" / f"{layer.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(context.model_dump_json(indent=1))
    # by file, so that what a file's fixtures made is made once (--dist loadgroup of xdist 3.8 does nothing
    # under pytest 9.2)
    number = workers(layer, selection)
    command = [
        *(sys.executable, "-m", "pytest", "-p", "lab.verify.plugin", "-p", "lab.verify.fixtures"),
        *("-p", "no:cacheprovider"),
        *("--plumbline-context", str(path), "--rootdir", str(ROOT), "--tb=short"),
        *(("-p", "xdist.plugin", "-n", str(number), "--dist", "loadfile") if number > 1 else ()),
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
    stream = RecordStream(layer, console)
    try:
        for line in _lines(reader, SILENCE_SECONDS + _silent(lab, layer)):
            stream.hear(json.loads(line))
    except BaseException:
        _unwind(process, console, layer)
        raise
    finally:
        os.close(reader)
    code = _end(process)
    tail = path.with_suffix(".log").read_text()[-1500:]
    hosts = tuple(lab.inventory.hosts) if layer.every_host and not selection else ()
    return stream.close(code, tail, hosts, selected=bool(selection))


def _silent(lab: Lab, layer: Layer) -> float:
    """Seconds for which a check of the layer runs a load profile without a word."""
    return lab.inventory.load_profiles[layer.profile].seconds if layer.profile else 0.0


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
