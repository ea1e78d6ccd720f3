"""Defects of behaviour: objects, files and settings are right, and what runs does something else."""

from __future__ import annotations

import json
from functools import partial
from shlex import quote
from typing import Any

from lab.checks.objects import HTTP
from lab.cluster.etcd import KEYS, etcdctl
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.render.firewall import port_of
from lab.selftest.defect import KEPT, Breakage, breakage, filtered

_other = partial(breakage, layer="cluster")
LEASE = "-n kube-system {} lease kube-scheduler"
PROGRAM = "/usr/local/bin/etcdctl"
UNIT = "plumbline-defect-leader"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [
        _other(
            name="members-differ",
            title="a member of etcd tells another hash of its data than its peers",
            row="L2-04",
            says=r"etcd: hash of the members at one revision.*: 7, ",
            at=lab.masters[0],
            **_hash(),
        ),
        _other(
            name="leader-restless",
            title="etcd's leader changes all the time",
            row="L2-06",
            says=r"etcd's leader \(after .* of 5 s\): expected .*, all the time; seen: ",
            at=lab.masters[0],
            # what asks for one leader after the other finds none
            alone=True,
            **_restless(lab),
        ),
        _other(
            name="lease-of-a-stranger",
            title="a stranger holds the scheduler's lease, so that nobody schedules",
            row="L2-07",
            says="lease of kube-scheduler.*stranger",
            at=lab.masters[0],
            # who had it gives up and is started again; till then no pod starts, which others wait for
            alone=True,
            settles=True,
            reddens=("L2-08", "P2-05", "L2-17"),
            **_lease(),
        ),
        _other(
            name="connections-stall",
            title="a node loses the first packet of every fifth connection to its pods",
            row="L2-12",
            says=r"slowest request: expected below 1000 ms; seen: [1-9]\d{3,} ms",
            at=lab.workers[0],
            **filtered(
                f"tcp dport {HTTP} tcp flags & (syn | ack) == syn numgen inc mod 5 == 0 drop", hook="forward"
            ),
        ),
    ]


def _hash() -> dict[str, Any]:
    """Damage and repair of the program that asks etcd: of what it tells, the second hash is another."""
    real, fake = f"{KEPT}/etcdctl", f"{KEPT}/etcdctl-told"
    script = (
        f'#!/bin/sh\ncase "$*" in\n*hashkv*) {real} "$@" | sed \'s/"hash":[0-9]*/"hash":7/2\';;\n'
        f'*) exec {real} "$@";;\nesac\n'
    )
    return {
        "damage": f"mkdir -p {KEPT} && cp {PROGRAM} {real} && printf %s {quote(script)} > {fake}"
        f" && chmod 755 {fake} && mount --bind {fake} {PROGRAM}",
        "repair": f"while umount {PROGRAM} 2>/dev/null; do :; done; rm -f {real} {fake}",
        "touches": (f"file {PROGRAM}",),
    }


def _restless(lab: Inventory) -> dict[str, Any]:
    """Damage and repair of a program that makes one member after the other the leader."""
    port = port_of(lab, "etcd")
    everywhere = ",".join(f"https://{lab.hosts[name].address}:{port}" for name in lab.masters)
    loop = (
        f"while sleep 0.5; do for id in $({etcdctl('member list')} | cut -d , -f 1); do"
        f" etcdctl move-leader $id --endpoints={everywhere} {KEYS}; sleep 1; done; done"
    )
    return {
        "damage": f"systemd-run --quiet --collect --unit={UNIT} sh -c {quote(loop.replace('$', '$$'))}",
        "repair": f"systemctl stop {UNIT} 2>/dev/null || true",
        "touches": ("leader of etcd",),
    }


def _lease() -> dict[str, Any]:
    """Damage and repair of a lease that somebody holds for an hour."""
    held = {"spec": {"holderIdentity": "stranger_defect", "leaseDurationSeconds": 3600}}
    free = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 15}}
    holder = f"{KUBECTL} {LEASE.format('get')} -o jsonpath={{.spec.holderIdentity}}"
    patch = f"{KUBECTL} {LEASE.format('patch')} --type merge -p"
    return {
        "damage": f"{patch} {quote(json.dumps(held))}",
        "repair": f'test "$({holder})" != stranger_defect || {patch} {quote(json.dumps(free))}',
        "touches": ("lease/kube-scheduler",),
    }
