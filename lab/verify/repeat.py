"""Verify a lab that nobody disturbs many times: what is red there is a false alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from rich.table import Table

from lab.checks.record import Verdict


def alarms(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """In how many runs each check was red, by its row and name; nothing for a suite without false alarms."""
    found = Counter(
        f"{' '.join(record.checks) or '-'} {record.id}" for verdict in verdicts for record in verdict.bad
    )
    return dict(found.most_common())


def durations(verdicts: Sequence[Verdict]) -> dict[str, tuple[float, float, float]]:
    """Shortest, median and longest time of each layer that ran, in seconds."""
    seconds: dict[str, list[float]] = {}
    for verdict in verdicts:
        for layer in verdict.layers:
            if layer.state == "run":
                seconds.setdefault(layer.name, []).append(layer.seconds)
    return {name: (min(took), round(median(took), 1), max(took)) for name, took in seconds.items()}


def tables(verdicts: Sequence[Verdict]) -> list[Table]:
    """Both for people."""
    times = Table("layer", "runs", "shortest", "median", "longest", title=f"{len(verdicts)} runs, in seconds")
    for name, (least, middle, most) in durations(verdicts).items():
        number = sum(layer.name == name and layer.state == "run" for v in verdicts for layer in v.layers)
        times.add_row(name, str(number), f"{least:.1f}", f"{middle:.1f}", f"{most:.1f}")
    found = alarms(verdicts)
    if not found:
        return [times]
    red = Table("check", "runs in which it was red", title="Alarms")
    for name, count in found.items():
        red.add_row(name, str(count))
    return [times, red]
