"""P1-16 and C59: where the journal lies, how large it may be, and in which zone a machine's times are."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.journal import OWN, settings, size, stays
from lab.hosts.converge import HostFacts, compare
from lab.hosts.survey import FolderFile
from lab.render.bundle import Bundle
from tests.host_survey import surveyed

ON_DISK = "/var/log/journal/0123456789abcdef0123456789abcdef/system.journal"


def entry(path: str, text: str) -> dict[str, Any]:
    return {"path": path, "leads": "", "package": "", "changed": False, "text": text}


def own(wanted: Bundle) -> dict[str, Any]:
    return entry(OWN, next(file.text for file in wanted.files if file.path == OWN))


def judge(
    wanted: Bundle, *more: dict[str, Any], disk: int = 1 << 20, opened: str = ON_DISK, **zone: str
) -> None:
    main = entry("/etc/systemd/journald.conf", "[Journal]\n#Storage=auto\n")
    found = surveyed(
        wanted,
        entries=[main, own(wanted), *more],
        journal={"disk": disk, "memory": 0, "opened": [opened] if opened else []},
        time_zone={"name": "Etc/UTC", "rule": "UTC0"} | zone,
    )
    stays(wanted, found)


def test_a_machine_as_rendered_is_good_on_every_role(master: Bundle, balancer: Bundle, full: Bundle) -> None:
    for wanted in (master, balancer, full):
        judge(wanted)
        judge(
            wanted, entry("/usr/lib/systemd/journald.conf.d/10-plumbline.conf", "[Journal]\nStorage=none\n")
        )
        judge(wanted, entry("/etc/systemd/journald.conf.d/05-first.conf", "[Journal]\nStorage=none\n"))
        judge(wanted, name="", rule="UTC0")


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("/etc/systemd/journald.conf.d/99-x.conf", "[Journal]\nStorage = volatile\n", "Storage=volatile"),
        ("/run/systemd/journald.conf.d/20-x.conf", "[Journal]\nSystemMaxUse=20G\n", "SystemMaxUse=20G"),
        ("/usr/lib/systemd/journald.conf.d/90-x.conf", "[Journal]\nStorage=\n", r"Storage= \(by /usr/lib"),
    ],
)
def test_what_a_later_file_says_is_named_with_the_file(
    worker: Bundle, path: str, text: str, says: str
) -> None:
    with pytest.raises(AssertionError, match=f"(?s)journal and time zone.*{says}"):
        judge(worker, entry(path, text))


def test_a_journal_in_memory_is_named(worker: Bundle) -> None:
    with pytest.raises(AssertionError, match=r"/run/log/journal/x/system\.journal, and nothing below"):
        judge(worker, opened="/run/log/journal/x/system.journal")
    with pytest.raises(AssertionError, match="writes no file"):
        judge(worker, opened="")


def test_a_journal_beyond_its_bound_is_named(worker: Bundle) -> None:
    judge(worker, disk=600 << 20)
    with pytest.raises(AssertionError, match="takes 900 MiB of the disk, more than 512"):
        judge(worker, disk=900 << 20)


def test_another_zone_is_named_linked_or_copied(master: Bundle) -> None:
    with pytest.raises(AssertionError, match="the time zone is Europe/Berlin, not Etc/UTC"):
        judge(master, name="Europe/Berlin", rule="CET-1CEST,M3.5.0,M10.5.0/3")
    with pytest.raises(AssertionError, match="the time zone is JST-9"):
        judge(master, name="", rule="JST-9")


def test_without_our_file_its_settings_are_missing() -> None:
    found = [FolderFile(**entry("/etc/systemd/journald.conf", "[Journal]\n; x\nStorage=auto\n"))]
    assert settings(found) == {"Storage": ("auto", "/etc/systemd/journald.conf")}


def test_sizes_are_as_systemd_writes_them() -> None:
    assert (size("512M"), size("1G"), size("7"), size("much")) == (512 << 20, 1 << 30, 7, None)


def test_a_build_sets_the_zone_of_a_machine_that_shows_another(worker: Bundle) -> None:
    facts = {
        "files": {file.path: None for file in worker.files},
        "sysctls": worker.sysctls,
        "units": {unit.name: {"active": "active", "enabled": "enabled"} for unit in worker.units},
        "exists": {},
        "time_zone": "Asia/Tokyo",
    }
    facts["exists"] = dict.fromkeys(("/etc/kubernetes/plumbline-joined",), False)
    [change] = [
        change
        for change in compare(worker, HostFacts.model_validate(facts))
        if change.sentence.startswith("time zone")
    ]
    assert change.sentence == "time zone: Asia/Tokyo -> Etc/UTC"
    assert change.commands == (("ln", "-sfn", "/usr/share/zoneinfo/Etc/UTC", "/etc/localtime"),)
