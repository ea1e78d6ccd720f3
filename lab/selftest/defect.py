"""A seeded defect: damage of one kind, its undoing, and the check that must name it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from lab.checks.outcomes import Outcome
from lab.checks.record import Record

KEPT = "/var/lib/plumbline/defects"
"""Folder on a host for what a defect replaced."""


@dataclass(frozen=True, kw_only=True)
class Defect:
    """What every defect says of itself.

    `row` and `host` name the check that must turn red ("" for a check of the lab as a whole), `says` is a
    pattern that its message must match: it must name the defect, not merely be red. `alone` keeps the defect
    apart from all others, `settles` from those that are gone at once: what it touched needs about a minute.
    """

    name: str
    title: str
    layer: str
    row: str
    says: str
    host: str = ""
    outcome: Outcome = Outcome.FAILED
    alone: bool = False
    settles: bool = False

    def named_by(self, record: Record) -> bool:
        """Whether a record is the expected one."""
        told = f"{record.message}\n{record.seen}"
        return (
            self.row in record.checks
            and record.host == self.host
            and record.outcome is self.outcome
            and re.search(self.says, told, re.DOTALL) is not None
        )


@dataclass(frozen=True, kw_only=True)
class Breakage(Defect):
    """Damage to the running lab: two shell commands that root runs on the host `at` (default: `host`).

    `repair` may be run at any time, also when there is nothing to repair. `cuts` says that the damage ends
    the way in: the connections that are open are given up, and the host must mend itself after a while.
    """

    damage: str
    repair: str
    at: str = ""
    cuts: bool = False

    @property
    def place(self) -> str:
        """The host that is damaged."""
        return self.at or self.host


def breakage(*, name: str, title: str, layer: str, row: str, says: str, **fields: object) -> Breakage:
    """A breakage whose other fields come in part from a helper, such as `edited`, by their names."""
    return Breakage(name=name, title=title, layer=layer, row=row, says=says, **fields)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Slip(Defect):
    """A mistake in a file of this checkout: in a copy of it, `old` is replaced by `new` once."""

    file: str
    old: str
    new: str
    layer: str = field(default="render")


def edited(name: str, path: str, program: str) -> dict[str, str]:
    """Damage and repair of a file that is changed in place by a sed program; mode and owner stay."""
    kept, file = f"{KEPT}/{name}", shlex.quote(path)
    return {
        "damage": f"mkdir -p {KEPT} && cat {file} > {kept}.part && mv {kept}.part {kept}"
        f" && sed {shlex.quote(program)} {kept} > {file}",
        "repair": f"test ! -e {kept} || {{ cat {kept} > {file} && rm {kept}; }}",
    }


def moved(name: str, path: str) -> dict[str, str]:
    """Damage and repair of a file that is taken away."""
    kept, file = f"{KEPT}/{name}", shlex.quote(path)
    return {
        "damage": f"mkdir -p {KEPT} && mv {file} {kept}",
        "repair": f"test ! -e {kept} || mv {kept} {file}",
    }


def served(name: str, port: int) -> dict[str, str]:
    """Damage and repair of a TCP port on which a stranger listens."""
    unit = f"plumbline-defect-{name}"
    return {
        "damage": f"systemd-run --quiet --collect --unit={unit} socat TCP-LISTEN:{port},fork,reuseaddr -"
        f" && for i in $(seq 50); do ss -Hlnt sport = :{port} | grep -q . && exit 0; sleep 0.1; done; exit 1",
        "repair": f"systemctl stop {unit} 2>/dev/null || true",
    }


def filtered(*rules: str, hook: str = "input") -> dict[str, str]:
    """Damage and repair of a packet filter that has rules nobody asked for, in a table of its own."""
    chain = f"type filter hook {hook} priority -20; policy accept; {'; '.join(rules)};"
    table = f"table inet defect_{hook} {{\n chain cut {{\n {chain}\n }}\n}}\n"
    return {
        "damage": f"printf %s {shlex.quote(table)} | nft -f -",
        "repair": f"nft delete table inet defect_{hook} 2>/dev/null || true",
    }
