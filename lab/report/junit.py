"""JUnit XML as CI systems read it: failed is a failure, could-not-tell an error, both make the run red."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from lab.checks.outcomes import Outcome
from lab.checks.record import Record, Verdict, count

ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def junit(verdict: Verdict) -> str:
    """One test suite a layer, one case a check; the class name is layer and host."""
    root = ET.Element("testsuites", name=f"plumbline {verdict.lab}", time=f"{verdict.seconds:.1f}")
    for layer in verdict.layers:
        records = [record for record in verdict.records if record.layer == layer.name]
        counts = count(records)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=layer.name,
            timestamp=verdict.started,
            time=f"{layer.seconds:.1f}",
            tests=str(max(len(records), layer.state == "not run")),
            failures=str(counts[Outcome.FAILED]),
            errors=str(counts[Outcome.COULD_NOT_TELL] + (layer.state == "not run")),
            skipped=str(counts[Outcome.SKIPPED]),
        )
        for record in records:
            suite.append(_case(record))
        if layer.state == "not run":
            case = ET.SubElement(suite, "testcase", classname=layer.name, name="not run")
            ET.SubElement(case, "error", type="not-run", message=_clean(layer.reason))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(record: Record) -> ET.Element:
    rows = f" ({', '.join(record.checks)})" if record.checks else ""
    case = ET.Element(
        "testcase",
        classname=".".join(part for part in (record.layer, record.host or "lab") if part),
        name=_clean(record.title + rows),
        time=f"{record.seconds:.3f}",
    )
    tags = {
        Outcome.FAILED: ("failure", "failed"),
        Outcome.COULD_NOT_TELL: ("error", "could-not-tell"),
        Outcome.SKIPPED: ("skipped", "not-part-of-this-lab"),
    }
    if record.outcome in tags:
        tag, kind = tags[record.outcome]
        said = ET.SubElement(case, tag, type=kind, message=_clean(record.message[:500]))
        said.text = _clean(
            f"check: {record.id}\nexpected: {record.expected}\nseen: {record.seen}\n"
            f"command: {record.command}\nevidence: {record.evidence}\n"
        )
    return case


def _clean(text: str) -> str:
    return ILLEGAL.sub("?", text)
