"""The cluster's machines as they are now: which are ours, where they are, whether they run.

That a machine exists is asked of the cluster, which knows it at once and for dead nodes too; whether it runs,
of its node, because the cluster's own list is up to ten seconds old (pvestatd).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

from lab.errors import DeadlineError, FailedError, PreflightError
from lab.machines import State
from lab.providers.proxmox.api import IN_FLIGHT, ProxmoxApi
from lab.providers.proxmox.mark import TAG, ProxmoxMark, lab_tag, read_mark, tags
from lab.providers.proxmox.retry import ProxmoxApiError

FRESH_SECONDS = 1.0
"""Age at which the lists are read again: all threads together ask once a second, however many they are."""


@dataclass(frozen=True)
class FleetRow:
    """One machine or template of the cluster. `status` is running, paused, stopped, or unknown."""

    vmid: int
    node: str
    name: str
    status: str
    lock: str
    tags: frozenset[str]
    template: bool

    @property
    def path(self) -> str:
        """Of the API."""
        return f"nodes/{self.node}/qemu/{self.vmid}"

    @property
    def state(self) -> State:
        """What it does. A machine that is suspended in memory is paused."""
        known = {"running": State.RUNNING, "paused": State.PAUSED}
        return known.get(self.status, State.OFF)


class Fleet:
    """All machines that the token may see. `names` are the inventory's hosts with their numbers, if given."""

    def __init__(self, api: ProxmoxApi, lab: str, names: Mapping[str, int | None]) -> None:
        self._api, self._lab, self._names = api, lab, names
        self._rows: dict[int, FleetRow] = {}
        self._read_at = float("-inf")
        self._stale = threading.Event()
        self._marks: dict[int, ProxmoxMark] = {}
        self._lock = threading.Lock()

    def rows(self) -> dict[int, FleetRow]:
        """By number, at most a second old."""
        with self._lock:
            if self._stale.is_set() or time.monotonic() - self._read_at > FRESH_SECONDS:
                self._stale.clear()  # before it is read: what changes meanwhile has it read once more
                self._read_at, begun = float("-inf"), time.monotonic()
                self._rows = self._look()
                self._read_at = begun
            return self._rows

    def changed(self) -> None:
        """What was read is no longer true: the next question reads again. Waits for nobody who reads."""
        self._stale.set()

    def machines(self) -> dict[str, FleetRow]:
        """The lab's own machines by the name in their mark, sorted."""
        found = {mark.name: row for row, mark in self._marked("lab") if mark.owner == self._lab}
        return dict(sorted(found.items()))

    def templates(self) -> dict[str, list[FleetRow]]:
        """Templates that Plumbline made, by image; the one with the lowest number first."""
        found: dict[str, list[FleetRow]] = {}
        for row, mark in sorted(self._marked("template"), key=lambda item: item[0].vmid):
            found.setdefault(mark.owner, []).append(row)
        return found

    def find(self, name: str) -> tuple[State, FleetRow | None]:
        """State and row of a host: its own machine, or the stranger that has its name or number."""
        rows = self.rows()
        wanted = self._names.get(name)
        same_number = rows.get(wanted) if wanted is not None else None
        candidates = [row for row in rows.values() if row.name == name or TAG in row.tags]
        for row in [same_number, *candidates]:
            mark = self.mark(row) if row else None
            if row and mark and (mark.kind, mark.owner, mark.name) == ("lab", self._lab, name):
                return row.state, row
        for row in [same_number, *candidates]:
            if row and (row is same_number or (row.name == name and not row.template)):
                return State.FOREIGN, row
        return State.ABSENT, None

    def refuse_stranger(self, name: str) -> None:
        """Raise `PreflightError` when somebody else's machine has this host's name or number."""
        state, row = self.find(name)
        if state is State.FOREIGN and row and row.lock in ("clone", "create"):
            raise PreflightError(
                f"{name}: machine {row.vmid} on {row.node} has its number and is still being made",
                next_step="wait for the end of its task, then the same command again",
            )
        if state is State.FOREIGN and row:
            raise PreflightError(
                f"{name}: machine {row.vmid} ({row.name or 'without a name'}) on {row.node} has its "
                f"{'number' if row.vmid == self._names.get(name) else 'name'} and does not carry the mark of "
                f"{self._lab}; it is not touched",
                next_step=f"give hosts.{name} another name or vmid; a machine that exists and shall join "
                "this lab is written with provider: static",
            )

    def next_number(self) -> int:
        """A free number that the inventory keeps for no host.

        It is not reserved on the cluster: whoever takes it must be ready to hear that it is taken.
        """
        first, kept = int(self._api.get("cluster/nextid")), set(self._names.values())
        return next(
            number
            for number in count(first)
            if number not in kept and (number == first or self.is_free(number))
        )

    def is_free(self, number: int) -> bool:
        """Whether no machine has this number, those that the token may not see included."""
        try:
            self._api.get("cluster/nextid", vmid=number)
        except ProxmoxApiError as error:
            if not error.says("already exists"):
                raise
            return False
        return True

    def mark(self, row: FleetRow) -> ProxmoxMark | None:
        """The mark in a machine's description. Marks never change, so one that was seen is remembered."""
        if row.vmid not in self._marks:
            try:
                config = self._api.get(f"{row.path}/config")
            except ProxmoxApiError as error:
                if error.says("does not exist"):
                    return None  # removed since the list was read
                raise
            mark = read_mark(config.get("description"), row.vmid)
            if mark is None:
                return None
            self._marks[row.vmid] = mark
        return self._marks[row.vmid]

    def forget(self, vmid: int) -> None:
        """The machine is gone; its number may be given to somebody else."""
        self._marks.pop(vmid, None)
        self.changed()

    def _marked(self, kind: str) -> list[tuple[FleetRow, ProxmoxMark]]:
        numbers = set(self._names.values())
        rows = [
            row
            for row in self.rows().values()
            if TAG in row.tags or row.name in self._names or row.vmid in numbers
        ]
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            marks = list(pool.map(self.mark, rows))
        return [(row, mark) for row, mark in zip(rows, marks, strict=True) if mark and mark.kind == kind]

    def _look(self) -> dict[int, FleetRow]:
        if not any("VM.Audit" in privileges for privileges in self._permissions.values()):
            # such a token sees an empty cluster, and everything would look as if it did not exist
            raise PreflightError(
                f"{self._api.where}: this token may see no machine (no VM.Audit anywhere)",
                next_step="invoke proxmox.role prints the commands that grant its rights",
            )
        listed = self._listed()
        online = {node["node"] for node in self._api.get("nodes") if node.get("status") == "online"}
        live: dict[int, dict[str, Any]] = {}
        for node in sorted({item["node"] for item in listed}):
            ours = [item for item in listed if item["node"] == node and self._concerns(item)]
            try:
                if node not in online:
                    raise self._unknown(ours[0] if ours else {}, node)
                live |= {int(item["vmid"]): item for item in self._api.get(f"nodes/{node}/qemu", full=1)}
            except (FailedError, DeadlineError):
                if ours:
                    raise
                # what is there of others does not stop this lab, and could not be asked for its mark
                listed = [item for item in listed if item["node"] != node]
        lost = {int(item["vmid"]) for item in listed} - set(live)
        if lost:
            # removed between the two questions; or it moved, and is neither gone nor to be made once more
            listed = [item for item in listed if int(item["vmid"]) not in lost]
            listed += [
                item for item in self._listed() if int(item["vmid"]) in lost and item["node"] in online
            ]
        rows = [_row(item, live.get(int(item["vmid"]), {})) for item in listed]
        return {row.vmid: row for row in rows}

    def _concerns(self, listed: Mapping[str, Any]) -> bool:
        """Whether a line of the cluster's list is a machine of this lab, or has a name or number of it.

        Tags are files that all nodes have: they are told of a dead node's machines, too.
        """
        numbers = set(self._names.values())
        ours = lab_tag(self._lab) in tags(listed.get("tags"))
        return ours or listed.get("name") in self._names or int(listed["vmid"]) in numbers

    def _unknown(self, listed: Mapping[str, Any], node: str) -> FailedError:
        """Why nothing is known of a machine whose hypervisor is offline."""
        back = f"bring {node} back, then the same command again"
        moving = "wait some minutes, until high availability has started it on another node, or "
        return FailedError(
            f"{listed.get('name') or listed.get('vmid')}: its hypervisor {node} is offline, so its state is "
            "unknown",
            next_step=f"{moving}{back}" if listed.get("hastate") else back,
        )

    def _listed(self) -> list[dict[str, Any]]:
        return [item for item in self._api.get("cluster/resources", type="vm") if item["type"] == "qemu"]

    @cached_property
    def _permissions(self) -> dict[str, dict[str, int]]:
        return self._api.get("access/permissions") or {}


def _row(listed: dict[str, Any], live: dict[str, Any]) -> FleetRow:
    status = live.get("status", "unknown")
    if status == "running" and live.get("qmpstatus") in ("paused", "suspended"):
        status = "paused"
    return FleetRow(
        vmid=int(listed["vmid"]),
        node=listed["node"],
        name=live.get("name") or listed.get("name") or "",
        status=status,
        lock=live.get("lock") or listed.get("lock") or "",
        tags=tags(live.get("tags") or listed.get("tags")),
        template=bool(int(live.get("template") or listed.get("template") or 0)),
    )
