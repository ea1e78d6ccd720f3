"""Rules as files of Prometheus': those of a lab, and a copy that fires sixty times sooner for the suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from addons.prometheus.section_expected import Expected
from addons.prometheus.section_rules import FOLDER, Alert, Level, RuleFile, rule_files

SOONER = 60
"""A minute of `for` is a second in the suite's copy."""
SHORT = "short_for"
"""The label of the suite's copy: no receiver of people's gets what carries it."""
SHORT_INTERVAL = "15s"


def of_lab(expected: Expected) -> dict[str, RuleFile]:
    """The files whose jobs a lab scrapes, by their names."""
    return {
        name: file for name, file in rule_files(FOLDER).items() if expected.targets.keys() >= {*file.jobs}
    }


def written(expected: Expected) -> dict[str, str]:
    """The rule files of a lab, text by name: what is expected, then one file a part of the platform."""
    groups = {"expected": expected.group()} | {
        name: {"name": name, "rules": [*records(file), *(alerting(*rule) for rule in file.rules())]}
        for name, file in of_lab(expected).items()
    }
    return {f"{name}.yaml": _text([group]) for name, group in groups.items()}


def written_short(expected: Expected) -> str:
    """The same alerts for the suite alone: expressions as they are, `for` divided by `SOONER`.

    They carry the label `SHORT`. Records and what is for machines alone are not there a second time.
    """
    return _text(
        [
            {
                "name": f"{name}-short",
                "interval": SHORT_INTERVAL,
                "rules": [_short(*rule) for rule in file.rules() if rule[1].severity != "none"],
            }
            for name, file in of_lab(expected).items()
        ]
    )


def records(file: RuleFile) -> list[dict[str, Any]]:
    """The recording rules of a file."""
    return [
        {"record": item.record, "expr": item.expr, **_some("labels", item.labels)} for item in file.records
    ]


def alerting(alert: Alert, level: Level) -> dict[str, Any]:
    """One alert at one of its levels as Prometheus reads it."""
    return {
        "alert": alert.alert,
        "expr": alert.expression(level),
        **_some("for", level.lasting),
        "labels": {"severity": level.severity, **level.labels},
        "annotations": annotated(alert),
    }


def annotated(alert: Alert) -> dict[str, str]:
    """What an alert brings beside its labels."""
    return {"summary": alert.summary, "runbook": alert.place}


def _short(alert: Alert, level: Level) -> dict[str, Any]:
    rule = alerting(alert, level)
    sooner = f"{level.seconds * 1000 // SOONER}ms" if level.lasting else None
    return {
        **{key: value for key, value in rule.items() if key != "for"},
        **_some("for", sooner),
        "labels": rule["labels"] | {SHORT: "true"},
    }


def _some(key: str, value: str | Mapping[str, str] | None) -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, Mapping) else value} if value else {}


def _text(groups: list[dict[str, Any]]) -> str:
    text: str = yaml.safe_dump({"groups": groups}, sort_keys=False, width=10_000, allow_unicode=True)
    return text
