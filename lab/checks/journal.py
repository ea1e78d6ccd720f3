"""The journal outlives the power and fills no disk; times are of the declared zone (P1-16)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lab.checks import drop_ins
from lab.checks.verbs import nothing
from lab.hosts.survey import FolderFile, HostSurvey
from lab.render.bundle import Bundle

MAIN = "/etc/systemd/journald.conf"
FOLDER = "systemd/journald.conf.d"
OWN = "/etc/systemd/journald.conf.d/10-plumbline.conf"
UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
ON_DISK = "/var/log/journal/"
SLACK = 1.25
"""Of the bound: the file that is being written counts as a whole."""


def asked() -> list[str]:
    """The files of which journald makes its settings."""
    return [MAIN, *drop_ins.patterns(FOLDER)]


def settings(entries: Iterable[FolderFile]) -> dict[str, tuple[str, str]]:
    """What journald's files say together, and which says it: by setting, of several the last."""
    listed = list(entries)
    ordered = [*(entry for entry in listed if entry.path == MAIN), *drop_ins.in_order(listed, FOLDER)]
    lines = ((line.strip(), entry.path) for entry in ordered for line in entry.text.splitlines())
    pairs = ((line.partition("="), path) for line, path in lines if line[:1] not in ("", "#", ";", "["))
    return {key.strip(): (value.strip(), path) for (key, _, value), path in pairs}


def size(text: str) -> int | None:
    """Bytes of a size as systemd writes it; None for what is none."""
    found = re.fullmatch(r"(\d+)([KMGT]?)", text)
    return int(found.group(1)) * UNITS.get(found.group(2), 1) if found else None


def stays(bundle: Bundle, survey: HostSurvey) -> None:
    """The journal is on the disk, within its bound, and times are of the declared zone."""
    wrong = [*_other_settings(bundle, survey), *_elsewhere(bundle, survey), *_zone(bundle, survey)]
    command = "systemd-analyze cat-config systemd/journald.conf; journalctl --header; ls -l /etc/localtime"
    nothing("journal and time zone", wrong, rule="as rendered", command=command, host=survey.host)


def _wanted(bundle: Bundle) -> dict[str, str]:
    text = next(file.text for file in bundle.files if file.path == OWN)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def _other_settings(bundle: Bundle, survey: HostSurvey) -> Iterator[str]:
    found = settings(survey.entries)
    for key, value in _wanted(bundle).items():
        said, path = found.get(key, ("nothing", "no file"))
        if said != value:
            yield f"journald: {key}={said} (by {path}), not {value}"


def _elsewhere(bundle: Bundle, survey: HostSurvey) -> Iterator[str]:
    journal = survey.journal
    if not any(path.startswith(ON_DISK) for path in journal.opened):
        where = ", ".join(journal.opened) or "no file"
        yield f"journald writes {where}, and nothing below {ON_DISK}: the journal ends with the power"
    bound = size(_wanted(bundle)["SystemMaxUse"]) or 0
    if journal.disk > bound * SLACK:
        taken, most = journal.disk // UNITS["M"], bound // UNITS["M"]
        yield f"the journal takes {taken} MiB of the disk, more than {most}"


def _zone(bundle: Bundle, survey: HostSurvey) -> Iterator[str]:
    zone = survey.time_zone
    if bundle.time_zone and zone.rule != "UTC0":
        yield f"the time zone is {zone.name or zone.rule}, not {bundle.time_zone}"
