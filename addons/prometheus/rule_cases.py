"""Cases for promtool: for every alert, series by which it fires and series by which it does not.

`rules/tests/NAME.yaml` stands beside `rules/NAME.yaml`; what a case does not feed, does not exist in it but
what is expected of the lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, RootModel, StringConstraints

from addons.prometheus.section_expected import Expected
from addons.prometheus.section_rule_files import annotated, written
from addons.prometheus.section_rules import (
    FOLDER,
    Alert,
    Duration,
    Level,
    Line,
    RuleFile,
    Severity,
    rule_files,
)
from lab.addons.model import Data
from lab.own_yaml import load

CASES = FOLDER / "tests"
CLUSTER = "rehearsal"
LAB = Expected(
    hosts={
        name: {"role": role, "arch": "amd64", "shared_kernel": "true" if name == "master-3" else "false"}
        for name, role in (
            ("haproxy", "load-balancer"),
            *((f"master-{number}", "control-plane") for number in (1, 2, 3)),
            *((f"worker-{number}", "worker") for number in (1, 2)),
        )
    },
    targets={job: 1 for file in rule_files().values() for job in file.jobs}
    | {"alertmanager": 2, "apiserver": 3, "etcd": 3, "kube-scheduler": 3},
)
"""What is expected of the lab that the cases are about; the last master's kernel is not its own."""
EVERY = "1m"


class Firing(Data):
    """An alert that must fire: its labels without name and severity, and its summary as people read it."""

    severity: Severity | None = None
    """May be left out where an alert has one level."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    says: Line

    def is_of(self, alert: Alert, level: Level) -> bool:
        """Whether this is what a level of an alert fires."""
        wanted = self.severity or alert.levels[0].severity
        return wanted == level.severity and level.labels.items() <= self.labels.items()


class Case(Data):
    """Series in promtool's notation, one value an interval, and all that fires at a time."""

    series: Mapping[str, Annotated[str, StringConstraints(min_length=1)]]
    at: Duration
    interval: Duration = EVERY
    firing: tuple[Firing, ...] = ()


class CaseFile(RootModel[dict[str, tuple[Case, ...]]]):
    """Cases by the alert that they are about."""


@cache
def cases() -> Mapping[str, Mapping[str, tuple[Case, ...]]]:
    """All cases by file and alert. Raises `InputError` with what is wrong in a file."""
    return {path.stem: load(path, CaseFile).root for path in sorted(CASES.glob("*.yaml"))}


def gaps(files: Mapping[str, RuleFile], known: Mapping[str, Mapping[str, tuple[Case, ...]]]) -> Iterator[str]:
    """Alerts without a case in which they fire, or without one in which they are quiet; cases of no alert."""
    for name, file in files.items():
        own = known.get(name, {})
        for alert, level in file.rules():
            fired = [any(one.is_of(alert, level) for one in case.firing) for case in own.get(alert.alert, ())]
            said = f"{name}: {alert.alert} ({' '.join((level.severity, *level.labels.values()))})"
            if True not in fired:
                yield f"{said}: no case in which it fires"
            if False not in fired:
                yield f"{said}: no case in which it is quiet"
        for stray in own.keys() - {alert.alert for alert in file.alerts}:
            yield f"{name}: {stray}: cases of an alert that there is not"
    for stray in known.keys() - files.keys():
        yield f"{stray}: cases of a file that there is not"


def lay(folder: Path) -> list[Path]:
    """Write the rules of the cases' lab and promtool's tests of them into a folder. The tests' paths."""
    for name, text in written(LAB).items():
        (folder / name).write_text(text, encoding="utf-8")
    found = []
    for name, known in cases().items():
        path = folder / f"{name}.test.yaml"
        text = yaml.safe_dump(_tests(name, known), sort_keys=False, width=10_000)
        path.write_text(text, encoding="utf-8")
        found.append(path)
    return found


def _tests(name: str, known: Mapping[str, tuple[Case, ...]]) -> dict[str, Any]:
    alerts = {alert.alert: alert for alert in rule_files()[name].alerts}
    return {
        "rule_files": ["expected.yaml", f"{name}.yaml"],
        "group_eval_order": ["expected", name],
        "evaluation_interval": EVERY,
        "tests": [_test(alerts[alert], case) for alert, some in known.items() for case in some],
    }


def _test(alert: Alert, case: Case) -> dict[str, Any]:
    return {
        "name": alert.alert,
        "interval": case.interval,
        "external_labels": {"cluster": CLUSTER},
        "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
        "alert_rule_test": [
            {
                "eval_time": case.at,
                "alertname": alert.alert,
                "exp_alerts": [
                    {
                        "exp_labels": {
                            "severity": one.severity or alert.levels[0].severity,
                            **one.labels,
                        },
                        "exp_annotations": annotated(alert) | {"summary": one.says},
                    }
                    for one in case.firing
                ],
            }
        ],
    }
