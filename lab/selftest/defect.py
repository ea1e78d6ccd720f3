"""A seeded defect: damage of one kind, its undoing, and the check that must name it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from lab.checks.outcomes import Outcome
from lab.checks.record import Record

SSHD_SETTINGS = "what sshd tells of its settings"
"""`stops` and `needs` of defects by which, and without which, it does."""
KEPT = "/var/lib/plumbline/defects"
"""Folder on a host for what a defect replaced."""


@dataclass(frozen=True)
class Told:
    """A check that must name a defect: its row, a pattern of its message, its host ("" for the whole lab).

    `test` is a part of the name of the one test that is looked at, where others of the row would take long.
    """

    row: str
    says: str
    host: str = ""
    test: str = ""

    @property
    def term(self) -> str:
        """What verify is asked to select."""
        return self.test or self.row

    @property
    def place(self) -> str:
        """Row and host, for people."""
        return f"{self.row} {self.host or 'lab'}"

    def by(self, record: Record, outcome: Outcome) -> bool:
        """Whether a record is that check's, and names it."""
        told = f"{record.message}\n{record.seen}"
        return (
            self.row in record.checks
            and record.host == self.host
            and record.outcome is outcome
            and re.search(self.says, told, re.DOTALL) is not None
        )


@dataclass(frozen=True, kw_only=True)
class Defect:
    """What every defect says of itself.

    `row` and `host` name the check that must turn red ("" for a check of the lab as a whole), `says` is a
    pattern that its message must match: it must name the defect, not merely be red. `also` are further checks
    that must name it in words of their own: damage that many rows are there for is applied once. `test` is
    that of `Told`.

    The rest decides which others may be in place at the same time (`batches.conflict`). `touches` is what it
    changes, the same thing by the same name; a defect that does not say it goes alone. `listed` says that
    its check tells of it beside others: it lists all that it finds, or has a test of its own in the row.
    `reddens` are further rows that it turns red. `stops` is what nobody has while it is in place, `needs`
    what it cannot be applied, seen or undone without, beside its machine. `alone` keeps it apart from all
    others, `settles` from those that are gone at once: what it touched needs about a minute.
    """

    name: str
    title: str
    layer: str
    row: str
    says: str
    host: str = ""
    outcome: Outcome = Outcome.FAILED
    touches: tuple[str, ...] = ()
    listed: bool = False
    reddens: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    alone: bool = False
    settles: bool = False
    also: tuple[Told, ...] = ()
    test: str = ""

    @property
    def told(self) -> tuple[Told, ...]:
        """Every check that must name it; the first is the one it is called by."""
        return Told(self.row, self.says, self.host, self.test), *self.also

    @property
    def rows(self) -> frozenset[str]:
        """The rows of those checks."""
        return frozenset(one.row for one in self.told)

    @property
    def things(self) -> frozenset[str]:
        """What it changes, with the place where that is; nothing when the defect does not say."""
        return frozenset(self.touches)

    def named_by(self, record: Record) -> bool:
        """Whether a record is one of the expected ones."""
        return any(one.by(record, self.outcome) for one in self.told)

    def unnamed(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Row and host of each check that must name it and, by these records, does not."""
        return tuple(
            one.place for one in self.told if not any(one.by(record, self.outcome) for record in records)
        )


@dataclass(frozen=True, kw_only=True)
class Breakage(Defect):
    """Damage to the running lab: two shell commands that root runs on the host `at` (default: `host`).

    `repair` is idempotent, and does nothing when there is nothing to repair. `cuts` says that the damage ends
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

    @property
    def things(self) -> frozenset[str]:
        """What it changes, with the host: a file of one is not that of another."""
        return frozenset(f"{thing} of {self.place}" for thing in self.touches)


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

    @property
    def things(self) -> frozenset[str]:
        """The words of the file."""
        return frozenset({f"{self.old} in {self.file}"})


def edited(name: str, path: str, program: str) -> dict[str, Any]:
    """Damage and repair of a file that a sed program changes in place; mode, owner stay, its time returns."""
    kept, file = f"{KEPT}/{name}", shlex.quote(path)
    return {
        "damage": f"mkdir -p {KEPT} && cat {file} > {kept}.part && touch -r {file} {kept}.part"
        f" && mv {kept}.part {kept} && sed {shlex.quote(program)} {kept} > {file}",
        "repair": f"test ! -e {kept} || {{ cat {kept} > {file} && touch -r {kept} {file} && rm {kept}; }}",
        "touches": (f"file {path}",),
    }


def moved(name: str, path: str) -> dict[str, Any]:
    """Damage and repair of a file that is taken away."""
    kept, file = f"{KEPT}/{name}", shlex.quote(path)
    return {
        "damage": f"mkdir -p {KEPT} && mv {file} {kept}",
        "repair": f"test ! -e {kept} || mv {kept} {file}",
        "touches": (f"file {path}",),
    }


def added(path: str, text: str, *, after: str = "") -> dict[str, Any]:
    """Damage and repair of a file that nobody declared; `after` is what follows both, as a reload."""
    file, folder = shlex.quote(path), shlex.quote(str(PurePosixPath(path).parent))
    made, then = f"{KEPT}/made{path.replace('/', '-')}", f" && {after}" if after else ""
    return {
        "damage": f"mkdir -p {KEPT}"
        f" && {{ test -d {folder} || {{ touch {made} && mkdir -p -m 700 {folder}; }}; }}"
        f" && printf %s {shlex.quote(text)} > {file}{then}",
        "repair": f"rm -f {file} && {{ test ! -e {made} || {{ rmdir {folder}; rm {made}; }}; }}{then}",
        "touches": (f"file {path}",),
    }


def permitted(name: str, path: str, *, mode: str = "", owner: str = "") -> dict[str, Any]:
    """Damage and repair of a path that has another mode (octal text) or owner; both return as they were."""
    kept, file = f"{KEPT}/{name}", shlex.quote(path)
    change = [f"chmod {mode} {file}"] if mode else []
    change += [f"chown {owner} {file}"] if owner else []
    return {
        "damage": f"mkdir -p {KEPT} && stat -c '%u:%g %a' {file} > {kept}.part && mv {kept}.part {kept}"
        f" && {' && '.join(change)}",
        "repair": f"test ! -e {kept} || {{ read -r owner mode < {kept} && chown $owner {file}"
        f" && chmod $mode {file} && rm {kept}; }}",
        "touches": (f"file {path}",),
    }


def served(name: str, port: int) -> dict[str, Any]:
    """Damage and repair of a TCP port on which a stranger listens."""
    unit = f"plumbline-defect-{name}"
    return {
        "damage": f"systemd-run --quiet --collect --unit={unit} socat TCP-LISTEN:{port},fork,reuseaddr -"
        f" && for i in $(seq 50); do ss -Hlnt sport = :{port} | grep -q . && exit 0; sleep 0.1; done; exit 1",
        "repair": f"systemctl stop {unit} 2>/dev/null || true",
        "touches": (f"port {port}",),
    }


def filtered(*rules: str, hook: str = "input", name: str = "") -> dict[str, Any]:
    """Damage and repair of a packet filter that has rules nobody asked for, in a table of its own; two of one
    hook on one host have a `name` each."""
    chain = f"type filter hook {hook} priority -20; policy accept; {'; '.join(rules)};"
    table = f"inet defect_{hook}{name and f'_{name}'}"
    text = f"table {table} {{\n chain cut {{\n {chain}\n }}\n}}\n"
    return {
        "damage": f"printf %s {shlex.quote(text)} | nft -f -",
        "repair": f"nft delete table {table} 2>/dev/null || true",
        "touches": (f"packet filter {hook} {name}".rstrip(),),
    }
