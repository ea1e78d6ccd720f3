"""The stacked etcd, asked through etcdctl on a master."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from lab.answers import fit, read
from lab.cluster.etcd_answers import HEALTH, MEMBERS
from lab.errors import FailedError
from lab.render.roles import port_number
from lab.ssh import Ssh

PKI = "/etc/kubernetes/pki/etcd"
KEYS = f"--cacert={PKI}/ca.crt --cert={PKI}/healthcheck-client.crt --key={PKI}/healthcheck-client.key"
CLIENTS = "etcd"
"""What the roles call the port for clients."""


def etcdctl(arguments: str) -> str:
    """The command line of etcdctl on a master. Flags come last, so that a shortened command still says what
    was asked."""
    return f"etcdctl {arguments} --endpoints=https://127.0.0.1:{port_number(CLIENTS)} {KEYS}"


@dataclass(frozen=True)
class Member:
    """A member of etcd. `id` is hexadecimal, as etcdctl takes it; `name` is empty before its first start."""

    id: str
    name: str
    peer: str
    learner: bool

    @property
    def client(self) -> str:
        """The URL that its health is listed under: stacked members stand at one address with both ports."""
        return f"https://{self.address}:{port_number(CLIENTS)}"

    @property
    def address(self) -> str:
        """Where it stands (IPv4, as text)."""
        return self.peer.split("/")[2].rpartition(":")[0]


def members(ssh: Ssh, master: str) -> tuple[Member, ...]:
    """The member list as `master`'s etcd knows it."""
    said = read(master, ssh.run(master, etcdctl("member list -w json"), seconds=15))
    found = fit(master, "etcd", MEMBERS, said)
    return tuple(
        Member(id=f"{entry.id:x}", name=entry.name, peer=entry.peers[0], learner=entry.learner)
        for entry in found.members
    )


def healthy(ssh: Ssh, master: str) -> dict[str, bool]:
    """Health of each member by its client URL, as seen from `master`."""
    result = ssh.try_run(master, etcdctl("endpoint health --cluster -w json"), seconds=30)
    found = fit(master, "etcd", HEALTH, json.loads(result.stdout or "[]"))
    return {entry.endpoint: entry.health for entry in found}


def stale(listed: Iterable[Member], address: str) -> list[Member]:
    """Members at an address (IPv4, as text)."""
    return [member for member in listed if f"//{address}:" in member.peer]


def remove_stale(ssh: Ssh, through: str, address: str, name: str) -> bool:
    """Remove the dead member of a machine that is to join again; True when there was one.

    Raises `FailedError` when the removal would cost the quorum: each other voter must be healthy.
    """
    listed = members(ssh, through)
    dead = stale(listed, address)
    if not dead:
        return False
    others = [member for member in listed if member not in dead and not member.learner]
    health = healthy(ssh, through)
    sick = [member.name or member.peer for member in others if not health.get(member.client)]
    if sick:
        raise FailedError(
            f"etcd: removing {name} would leave {len(others) - len(sick)} of {len(others)} voters; "
            f"not healthy: {', '.join(sick)}",
            next_step=f"recover {sick[0]} first (invoke status; invoke build starts machines that are off)",
        )
    for member in dead:
        remove(ssh, through, member)
    return True


def remove(ssh: Ssh, through: str, member: Member) -> None:
    """Remove a member. Raises `CommandError` with etcd's own words when it refuses."""
    ssh.run(through, etcdctl(f"member remove {member.id}"), seconds=15)
