"""Convergence of a host that runs: look, compare with its bundle, change what differs and nothing else."""

from __future__ import annotations

import base64
import difflib
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

import yaml

from lab.cluster.kubeadm import JOINED, UNIT
from lab.errors import CommandError, FailedError, PreflightError
from lab.hosts import payload as equipment
from lab.hosts import programs
from lab.hosts.changes import HostChange, actions
from lab.render import firewall
from lab.render.bundle import SYSCTL_FILE, Bundle, File
from lab.render.components import KUBELET_CONFIG
from lab.render.roles import Unit
from lab.ssh import Ssh

STATES = {"missing": "is missing", "differs": "was changed by hand"}
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
ETCD_DATA = "/var/lib/etcd/member"
EVIDENCE = (JOINED, KUBELET_CONF, ETCD_DATA)
"""What kubeadm leaves behind, from its end to its beginning."""


@dataclass(frozen=True)
class HostFacts:
    """What a host looks like right now."""

    files: dict[str, dict[str, str] | None]
    sysctls: dict[str, str | None]
    units: dict[str, dict[str, str]]
    exists: dict[str, bool]
    pending: list[list[str]] = field(default_factory=list)
    client: str = ""
    """Our own address as the host sees it."""
    firewall: str = ""
    """`missing` or `differs`: the rules in force are not those of the host's own file."""
    strangers: dict[str, dict[str, str]] = field(default_factory=dict)
    """Files where the bundle owns every file and names none: what an earlier inventory left."""
    booting: bool = False
    """cloud-init is still at work: what is not there yet is no drift."""
    equipment: dict[str, Any] = field(default_factory=dict)
    """What it has of its equipment (`lab.hosts.payload.Held`); empty where the provider brings it."""

    @property
    def joined(self) -> bool:
        """Whether kubeadm has made this host a part of a cluster."""
        return self.exists[JOINED]

    @property
    def touched(self) -> bool:
        """Whether kubeadm has begun here and not ended well."""
        return not self.joined and (self.kubeadm != "idle" or any(self.exists.values()))

    @property
    def kubeadm(self) -> str:
        """`running`, `failed` or `idle`: our kubeadm unit on the host."""
        active = self.units[f"{UNIT}.service"]["active"]
        return {"active": "running", "activating": "running", "failed": "failed"}.get(active, "idle")


def look(ssh: Ssh, wanted: Bundle) -> HostFacts:
    """Facts of a host, in one round trip."""
    answer = _ask(
        ssh,
        wanted.host,
        {
            "verb": "look",
            "files": [
                *(file.path for file in wanted.files),
                *([KUBELET_CONFIG] if wanted.kubelet else []),
            ],
            "sysctls": list(wanted.sysctls),
            "units": [*(unit.name for unit in wanted.units), f"{UNIT}.service"],
            "exists": list(EVIDENCE),
            "owned": list(wanted.owned),
            "equipment": equipment.asked(wanted),
            "firewall": {"table": firewall.TABLE, "file": firewall.FILE}
            if any(file.path == firewall.FILE for file in wanted.files)
            else None,
        },
    )
    return HostFacts(**answer)


def compare(wanted: Bundle, facts: HostFacts) -> tuple[HostChange, ...]:
    """What must change on a host, in the order in which it is done."""
    changes = [
        HostChange(f"finish what an earlier run began: {shlex.join(command)}", commands=(tuple(command),))
        for command in facts.pending
    ]
    changes += equipment.missing(wanted, equipment.Held(**facts.equipment))
    changes += [change for file in wanted.files if (change := _file_change(file, facts.files[file.path]))]
    changes += [_removal(path, seen) for path, seen in facts.strangers.items()]
    held = facts.files.get(KUBELET_CONFIG)
    if wanted.kubelet and held and facts.joined:
        changes += _kubelet_change(wanted.kubelet, held)
    written = {change.file.path for change in changes if change.file}
    if firewall.FILE in written:
        _not_locked_out(wanted, facts)
    elif facts.firewall:
        sentence = f"load {firewall.FILE}: table {firewall.TABLE} {STATES[facts.firewall]}"
        changes.append(HostChange(sentence, commands=actions(("reload nftables",))))
    changes += _sysctl_changes(wanted, facts)
    changes += [change for unit in wanted.units for change in _unit_changes(unit, facts)]
    if SYSCTL_FILE in written:
        load = ("sysctl", "--quiet", "--load", SYSCTL_FILE)
        changes.append(HostChange(f"load {SYSCTL_FILE}", commands=(load,)))
    return tuple(changes)


def _sysctl_changes(wanted: Bundle, facts: HostFacts) -> list[HostChange]:
    """Kernel settings that have another value now."""
    return [
        HostChange(
            f"sysctl {name}: {facts.sysctls[name]} -> {value}",
            commands=(("sysctl", "--quiet", "-w", f"{name}={value}"),),
        )
        for name, value in wanted.sysctls.items()
        if facts.sysctls[name] != value
    ]


def _unit_changes(unit: Unit, facts: HostFacts) -> list[HostChange]:
    """A unit is enabled, and started where it should run by now."""
    seen, changes = facts.units[unit.name], []
    if seen["enabled"] != "enabled":
        enable = ("systemctl", "enable", "--quiet", unit.name)
        changes.append(HostChange(f"enable {unit.name}", commands=(enable,)))
    expected = unit.started_by == "boot" or facts.joined
    if expected and seen["active"] not in ("active", "activating", "reloading"):
        start = ("systemctl", "start", unit.name)
        changes.append(HostChange(f"start {unit.name} (it is {seen['active']})", commands=(start,)))
    return changes


def _not_locked_out(wanted: Bundle, facts: HostFacts) -> None:
    """A firewall that shuts this very session out would be the last thing we did to the host."""
    if facts.client and not any(ip_address(facts.client) in network for network in wanted.operators):
        raise PreflightError(
            f"{wanted.host}: its firewall would shut us out: we come from {facts.client}, and SSH is open "
            f"for {', '.join(map(str, wanted.operators))}",
            next_step="add our network to ssh.networks in the inventory",
        )


def _file_change(file: File, seen: dict[str, str] | None) -> HostChange | None:
    before = base64.b64decode(seen["text"]).decode(errors="replace") if seen else ""
    if seen and before == file.text:
        if (seen["mode"], seen["owner"]) == (file.mode, file.owner):
            return None
        sentence = f"{file.path}: {seen['mode']} {seen['owner']} -> {file.mode} {file.owner}"
        return HostChange(sentence, file=file)
    diff = "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), file.text.splitlines(keepends=True), file.path, file.path
        )
    )
    then = f"; then {', '.join(file.on_change)}" if file.on_change else ""
    return HostChange(f"write {file.path}{then}", diff=diff, file=file, commands=actions(file.on_change))


def _removal(path: str, seen: dict[str, str]) -> HostChange:
    # such files are read when they are used, so nothing is to be reloaded after one is gone
    before = base64.b64decode(seen["text"]).decode(errors="replace")
    diff = "".join(difflib.unified_diff(before.splitlines(keepends=True), [], path, "/dev/null"))
    return HostChange(f"remove {path}", diff=diff, remove=path)


def _kubelet_change(wanted: dict[str, Any], held: dict[str, str]) -> list[HostChange]:
    """Our settings in the file that kubeadm wrote, if one of them differs; the others stay as they are."""
    before = base64.b64decode(held["text"]).decode(errors="replace")
    settings: dict[str, Any] = yaml.safe_load(before) or {}
    differing = {key: value for key, value in wanted.items() if settings.get(key) != value}
    if not differing:
        return []
    named = ", ".join(f"{key}: {settings.get(key)} -> {value}" for key, value in differing.items())
    text = yaml.safe_dump(settings | differing, sort_keys=True)
    file = File(KUBELET_CONFIG, text, held["owner"], held["mode"], ("restart kubelet",))
    change = _file_change(file, held)
    sentence = f"{KUBELET_CONFIG}: {named}; then restart kubelet"
    return [replace(change, sentence=sentence)] if change else []


def apply(ssh: Ssh, host: str, changes: Iterable[HostChange]) -> None:
    """Make the changes of a host in one round trip: files first, then each command once, in order.

    Equipment takes round trips of its own, packages and programs before, images after.
    """
    listed = tuple(changes)
    equipment.bring_before(ssh, host, listed)
    commands = list(dict.fromkeys(command for change in listed for command in change.commands))
    # systemd must know a unit's new file before the unit is touched
    commands.sort(key=lambda command: command != ("systemctl", "daemon-reload"))
    request = {
        "verb": "change",
        "write": [
            {
                "path": change.file.path,
                "text": base64.b64encode(change.file.text.encode()).decode(),
                "mode": change.file.mode,
                "owner": change.file.owner,
            }
            for change in listed
            if change.file
        ],
        "remove": [change.remove for change in listed if change.remove],
        "commands": commands,
    }
    answer = _ask(ssh, host, request)
    if answer["failed"]:
        raise CommandError(host, shlex.join(answer["failed"]), answer["code"], answer["output"])
    equipment.bring_after(ssh, host, listed)


def _ask(ssh: Ssh, host: str, request: dict[str, Any]) -> dict[str, Any]:
    said = ssh.run(host, programs.command(programs.CHANGE), seconds=60, stdin=json.dumps(request))
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError as error:
        raise FailedError(f"{host}: an answer that is no JSON: {said[:200]!r}") from error
    return answer
