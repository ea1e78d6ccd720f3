"""How fast the platform reacts to a death: two sets of times that fit together, and nothing in between.

The times depend on each other (a grace period must be longer than a client takes to leave a dead connection
and renew its lease), so one word of the inventory chooses them all. docs/reaction.md has the price of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Name = Literal["default", "fast"]


@dataclass(frozen=True)
class Reaction:
    """Times in seconds unless the name says otherwise.

    `grace` is the upper bound of the inventory's node_monitor_grace_seconds, None for no bound. `read_idle`
    and `ping` are the HTTP/2 client's: their sum is how long a dead connection can go unnoticed
    (k8s.io/apimachinery util/net). A node renews its lease every quarter of `lease`. `member_milliseconds` is
    the pause between two probes of MetalLB's member list, None for its own second: a dead member is suspected
    for four of them after the first probe without an answer (DefaultLANConfig of hashicorp/memberlist).
    """

    check_milliseconds: int | None
    connect: int | None
    read_idle: int
    ping: int
    status: int
    lease: int
    monitor: int
    grace: int | None
    toleration: int
    member_milliseconds: int | None

    @property
    def dead_connection(self) -> int:
        """Longest time a client talks to a server that is gone."""
        return self.read_idle + self.ping

    @property
    def shortest_grace(self) -> int:
        """A live node must find another API server and renew its lease before it is called dead."""
        return self.dead_connection + -(-self.lease // 4)


CHECK_TIMEOUT = 2
"""Seconds that /readyz may take, times the lab's patience: a slow API server is not a dead one."""


@dataclass(frozen=True)
class ApiChecks:
    """How the balancer looks at API servers: milliseconds between two checks, and how many may fail; seconds
    for a connection, and for the answer to a check."""

    milliseconds: int
    fall: int
    connect: int
    timeout: int

    @property
    def silence(self) -> int:
        """Milliseconds that a master's kernel may leave data or probes unacknowledged; then its connections
        end. As long as a dead one takes to miss its checks."""
        return self.milliseconds * self.fall


REACTIONS: dict[Name, Reaction] = {
    # upstream's own times: kubelet 10 s and 40 s, tolerations 300 s, HTTP/2 30 s and 15 s
    "default": Reaction(
        check_milliseconds=None,
        connect=None,
        read_idle=30,
        ping=15,
        status=10,
        lease=40,
        monitor=5,
        grace=None,
        toleration=300,
        member_milliseconds=None,
    ),
    "fast": Reaction(
        check_milliseconds=500,
        connect=1,
        read_idle=3,
        ping=2,
        status=4,
        lease=8,
        monitor=1,
        grace=10,
        toleration=20,
        member_milliseconds=500,
    ),
}
