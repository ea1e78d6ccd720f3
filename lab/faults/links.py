"""Link faults: the network card goes down, or packets are late."""

from __future__ import annotations

from lab.faults.kinds import ANY, MASTERS, Kind
from lab.faults.on_host import OnHost
from lab.labs import Lab

CARD, ROUTES = "/run/plumbline-card", "/run/plumbline-routes"
"""On the host: the card's name, and the routes that the kernel forgets when it goes down."""
DELAY, JITTER = "75ms", "50ms"
"""Row L4-13, the magnitudes of etcd's robustness suite."""


def _card(lab: Lab, host: str) -> str:
    """Sets $card: the interface on the LAN, by its hardware's address because the other one may be gone."""
    address = lab.inventory.addresses[host]
    return (
        f'card=$(cat {CARD} 2>/dev/null || ip -o -4 address show to {address} | cut -d" " -f2)\n'
        f'echo "$card" >{CARD}'
    )


def _down(lab: Lab, host: str) -> str:
    # half a second later, so that this session ends properly; no timer, which may be a minute late
    return (
        f'set -e\n{_card(lab, host)}\nip route save dev "$card" >{ROUTES}\n'
        'systemd-run --quiet --collect sh -c "sleep 0.5; exec ip link set dev $card down"'
    )


def _up(lab: Lab, host: str) -> str:
    # routes that are there already are no error; whoever manages the network may have been faster
    return (
        f'set -e\n{_card(lab, host)}\nip link set dev "$card" up\n'
        f"test ! -e {ROUTES} || ip route restore <{ROUTES} 2>/dev/null\nrm -f {CARD} {ROUTES}"
    )


def _late(lab: Lab, host: str) -> str:
    return f'{_card(lab, host)}\ntc qdisc replace dev "$card" root netem delay {DELAY} {JITTER}'


def _in_time(lab: Lab, host: str) -> str:
    return f'{_card(lab, host)}\ntc qdisc delete dev "$card" root 2>/dev/null\nrm -f {CARD}'


KINDS: tuple[Kind, ...] = (
    OnHost("nic-down", "the network card is down; it comes up by itself", ANY, 30, begin=_down, end=_up),
    OnHost(
        "delay",
        f"every packet it sends is {DELAY} late, more or less {JITTER}",
        MASTERS,
        60,
        begin=_late,
        end=_in_time,
        needs="unshare --net tc qdisc add dev lo root netem delay 1ms",
        because="its kernel has no netem queueing discipline",
    ),
)
