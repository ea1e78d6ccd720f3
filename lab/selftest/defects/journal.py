"""Defects of the journal and of time: kept in memory alone, without a bound, in another zone."""

from __future__ import annotations

from functools import partial

from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Breakage, added, breakage

_journal = partial(breakage, layer="node", row="P1-16", listed=True)
FOLDER = "/etc/systemd/journald.conf.d"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    zone, kept = "/usr/share/zoneinfo/Asia/Tokyo", f"{KEPT}/time-zone"
    back = f"test ! -L {kept} || {{ cp -P --remove-destination {kept} /etc/localtime && rm {kept}; }}"
    return [
        _journal(
            name="journal-in-memory",
            title="a later file keeps the journal in memory, from the next start of journald on",
            host=worker,
            says=r"Storage=volatile \(by /etc/systemd/journald.conf.d/99-small.conf\)",
            reddens=("P1-12",),
            **added(f"{FOLDER}/99-small.conf", "[Journal]\nStorage=volatile\n"),
        ),
        _journal(
            name="journal-without-bound",
            title="a later file takes the journal's bound away",
            host=lab.balancer,
            says=r"SystemMaxUse=20G \(by /run/systemd/journald.conf.d/50-more.conf\)",
            reddens=("P1-12",),
            **added("/run/systemd/journald.conf.d/50-more.conf", "[Journal]\nSystemMaxUse=20G\n"),
        ),
        _journal(
            name="journal-lost-its-folder",
            title="the journal's folder was taken away while journald wrote there",
            host=second,
            says="nothing below /var/log/journal/",
            # a file in its place: journald would make the folder again as soon as something has it look
            alone=True,
            touches=("journal",),
            damage="mv /var/log/journal /var/log/journal.away && touch /var/log/journal",
            repair="test ! -d /var/log/journal.away || { rm -rf /var/log/journal"
            " && mv /var/log/journal.away /var/log/journal; }",
        ),
        _journal(
            name="time-zone",
            title="a machine's clock shows another zone",
            host=third,
            says="the time zone is Asia/Tokyo, not Etc/UTC",
            touches=("time zone",),
            damage=f"mkdir -p {KEPT} && cp -P /etc/localtime {kept} && ln -sfn {zone} /etc/localtime",
            repair=back,
        ),
        _journal(
            name="time-zone-copied",
            title="the zone's file was copied instead of linked",
            host=first,
            says="the time zone is JST-9, not Etc/UTC",
            touches=("time zone",),
            damage=f"mkdir -p {KEPT} && cp -P /etc/localtime {kept}"
            f" && cp --remove-destination {zone} /etc/localtime",
            repair=back,
        ),
        _journal(
            name="journal-setting-weaker",
            title="a file of the same name in /run does not count, one behind it does",
            host=other,
            says=r"RuntimeMaxUse=4G \(by /usr/local/lib/systemd/journald.conf.d/20-more.conf\)",
            reddens=("P1-12",),
            **added("/usr/local/lib/systemd/journald.conf.d/20-more.conf", "[Journal]\nRuntimeMaxUse=4G\n"),
        ),
    ]
