"""Idempotent convergence of a running host: look, compare with its bundle, change what differs."""

from __future__ import annotations

import base64
import difflib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lab.answers import AnswerPart, fit, read
from lab.cluster.kubeadm import JOINED, UNIT
from lab.errors import CommandError, PreflightError
from lab.hosts import certificates, left_addons, payload, programs
from lab.hosts.changes import HostChange, actions
from lab.hosts.held import HeldFile
from lab.hosts.payload import Held
from lab.hosts.settled import MasterAnswer
from lab.hosts.static_pods import HeldStaticPod, read_at_start
from lab.hosts.units import HeldUnit, outdated, readers, unit_changes
from lab.own_yaml import as_kubernetes, loads
from lab.render import firewall
from lab.render.bundle import SYSCTL_FILE, Bundle, File
from lab.render.components import KUBELET_CONFIG
from lab.ssh import Ssh

STATES = {"missing": "is missing", "differs": "was changed by hand"}
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
ETCD_DATA = "/var/lib/etcd/member"
SECONDS = 60.0
EVIDENCE = (JOINED, KUBELET_CONF, ETCD_DATA)
"""What kubeadm leaves behind, from its end to its beginning."""


class HostFacts(AnswerPart):
    """What a host looks like right now: the answer of `remote_look.py`."""

    files: Mapping[str, HeldFile | None]
    sysctls: Mapping[str, str | None]
    units: Mapping[str, HeldUnit]
    exists: Mapping[str, bool]
    pending: Sequence[Sequence[str]] = ()
    client: str = ""
    """Our own address as the host sees it."""
    firewall: str = ""
    """`missing` or `differs`: the rules in force are not those of the host's own file."""
    strangers: Mapping[str, HeldFile] = {}
    """Files where the bundle owns every file and names none: what an earlier inventory left."""
    booting: bool = False
    """cloud-init is still at work: what is not there yet is no drift."""
    payload: Held = Held()
    """What it has of its payload; empty where the provider brings it."""
    time_zone: str = ""
    """Its name, or its rule; "" for UTC."""
    written: Mapping[str, float | None] = {}
    """When files that units read were written, in seconds since 1970; None for one that is not there."""
    static_pods: Mapping[str, HeldStaticPod] = {}
    """The control plane's processes by program."""
    links: Mapping[str, Sequence[str]] = {}
    """IPv4 addresses, with prefix length, of the pods' interfaces that are there."""
    routes: Mapping[str, str] = {}
    """Interface of each IPv4 route to a network (in the main table), by the network."""
    resolvers: Mapping[str, str] = {}
    """What each pod of this node that runs was given as /etc/resolv.conf, by namespace/name."""
    control_plane: MasterAnswer | None = None
    """What it says of its control plane, of a master that was asked for it."""

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
        active = self.units[f"{UNIT}.service"].active
        return {"active": "running", "activating": "running", "failed": "failed"}.get(active, "idle")


class ChangeEnd(AnswerPart):
    """How a change ended: the command that failed, None when all went well, its exit code and output."""

    failed: Sequence[str] | None
    code: int = 0
    output: str = ""


def look(
    ssh: Ssh,
    wanted: Bundle,
    *,
    seconds: float = SECONDS,
    control_plane: Mapping[str, Any] | None = None,
) -> HostFacts:
    """Facts of a host, in one round trip. Raises `FailedError` or `DeadlineError` for one that is silent.

    `control_plane` is what a master is asked of its own (`lab.hosts.settled.asked`).
    """
    reading = readers(wanted)
    answer = _ask(
        ssh,
        wanted.host,
        programs.LOOK,
        {
            "files": [
                *(file.path for file in wanted.files),
                *certificates.public(wanted),
                *([KUBELET_CONFIG] if wanted.kubelet else []),
            ],
            "sysctls": list(wanted.sysctls),
            "units": list(
                dict.fromkeys((*(unit.name for unit in wanted.units), *reading, f"{UNIT}.service"))
            ),
            "written": list(
                dict.fromkeys(
                    [*(path for files in reading.values() for path in files), *certificates.keys(wanted)]
                )
            ),
            "static_pods": read_at_start() if wanted.kubelet else {},
            "links": list(wanted.pod_interfaces),
            "exists": list(EVIDENCE),
            "owned": list(wanted.owned),
            "payload": payload.asked(wanted),
            "firewall": {"table": firewall.TABLE, "file": firewall.FILE}
            if any(file.path == firewall.FILE for file in wanted.files)
            else None,
            "control_plane": control_plane,
        },
        seconds,
        *([programs.SETTLED] if control_plane else ()),
    )
    return fit(wanted.host, "state", TypeAdapter(HostFacts), answer)


def compare(wanted: Bundle, facts: HostFacts) -> tuple[HostChange, ...]:
    """What must change on a host, in the order in which it is done."""
    changes = [
        HostChange(f"finish what an earlier run began: {shlex.join(command)}", commands=(tuple(command),))
        for command in facts.pending
    ]
    changes += payload.missing(wanted, facts.payload)
    changes += [change for file in wanted.files if (change := _file_change(file, facts.files[file.path]))]
    changes += certificates.missing(wanted, facts.files, facts.written)
    changes += [
        _removal(path, seen) for path, seen in facts.strangers.items() if not left_addons.is_record(path)
    ]
    changes += left_addons.removals(wanted, facts.files, facts.strangers)
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
    if wanted.time_zone and facts.time_zone:
        link = ("ln", "-sfn", f"/usr/share/zoneinfo/{wanted.time_zone}", "/etc/localtime")
        changes.append(HostChange(f"time zone: {facts.time_zone} -> {wanted.time_zone}", commands=(link,)))
    for unit in wanted.units:
        expected = unit.started_by == "boot" or facts.joined
        changes += unit_changes(unit, facts.units[unit.name], expected=expected)
    done = {command for change in changes for command in change.commands}
    changes += [
        change for change in outdated(wanted, facts.units, facts.written) if not done >= {*change.commands}
    ]
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


def _not_locked_out(wanted: Bundle, facts: HostFacts) -> None:
    """A firewall that shuts this very session out would be the last thing we did to the host."""
    if facts.client and not any(ip_address(facts.client) in network for network in wanted.operators):
        raise PreflightError(
            f"{wanted.host}: its firewall would shut us out: we come from {facts.client}, and SSH is open "
            f"for {', '.join(map(str, wanted.operators))}",
            next_step="add our network to ssh.networks in the inventory",
        )


def _file_change(file: File, seen: HeldFile | None) -> HostChange | None:
    before = seen.content if seen else ""
    if seen and before == file.text:
        if (seen.mode, seen.owner) == (file.mode, file.owner):
            return None
        sentence = f"{file.path}: {seen.mode} {seen.owner} -> {file.mode} {file.owner}"
        return HostChange(sentence, file=file)
    diff = "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), file.text.splitlines(keepends=True), file.path, file.path
        )
    )
    then = f"; then {', '.join(file.on_change)}" if file.on_change else ""
    return HostChange(f"write {file.path}{then}", diff=diff, file=file, commands=actions(file.on_change))


def _removal(path: str, seen: HeldFile) -> HostChange:
    # such files are read when they are used, so nothing is to be reloaded after one is gone
    diff = "".join(difflib.unified_diff(seen.content.splitlines(keepends=True), [], path, "/dev/null"))
    return HostChange(f"remove {path}", diff=diff, remove=path)


def _kubelet_change(wanted: dict[str, Any], held: HeldFile) -> list[HostChange]:
    """Our settings in the file that kubeadm wrote, if one of them differs; the others stay as they are."""
    settings: dict[str, Any] = loads(held.content) or {}
    differing = {key: value for key, value in wanted.items() if settings.get(key) != value}
    if not differing:
        return []
    named = ", ".join(f"{key}: {settings.get(key)} -> {value}" for key, value in differing.items())
    text = as_kubernetes(settings | differing)
    file = File(KUBELET_CONFIG, text, held.owner, held.mode, ("restart kubelet",))
    change = _file_change(file, held)
    sentence = f"{KUBELET_CONFIG}: {named}; then restart kubelet"
    return [replace(change, sentence=sentence)] if change else []


def apply(ssh: Ssh, host: str, changes: Iterable[HostChange]) -> None:
    """Make the changes of a host in one round trip: files first, then each command once, in order.

    The payload takes round trips of its own, packages and programs before, images after.
    """
    listed = tuple(changes)
    payload.bring_before(ssh, host, listed)
    signed = [
        file for one in listed if one.certificate for file in certificates.made(ssh, host, *one.certificate)
    ]
    commands = list(dict.fromkeys(command for change in listed for command in change.commands))
    # systemd must know a unit's new file before the unit is touched
    commands.sort(key=lambda command: command != ("systemctl", "daemon-reload"))
    request = {
        "write": [
            {
                "path": file.path,
                "text": base64.b64encode(file.text.encode()).decode(),
                "mode": file.mode,
                "owner": file.owner,
            }
            for file in (*(change.file for change in listed if change.file), *signed)
        ],
        "remove": [change.remove for change in listed if change.remove],
        "commands": commands,
    }
    answer = _ask(ssh, host, programs.CHANGE, request)
    done = fit(host, "change", TypeAdapter(ChangeEnd), answer)
    if done.failed:
        raise CommandError(host, shlex.join(done.failed), done.code, done.output)
    payload.bring_after(ssh, host, listed)


def _ask(
    ssh: Ssh, host: str, program: Path, request: dict[str, Any], seconds: float = SECONDS, *before: Path
) -> dict[str, Any]:
    said = ssh.run(host, programs.command(program, *before), seconds=seconds, stdin=json.dumps(request))
    return read(host, said)
