"""Partitions: packets are dropped or refused by a table of nftables of our own on one host.

The harness keeps its way in: only packets from and to the other side of the cut are touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.faults.kinds import BALANCER, MASTERS, Kind
from lab.faults.on_host import OnHost, Script, always
from lab.inventory.models import HostRole
from lab.labs import Lab

TABLE = "plumbline_fault"
EARLY = -300
"""Before connection tracking (nft(8), priority raw), so that established connections are cut as well."""
LOST_PERCENT = 50
"""Row L4-13: half of the packets between the peers."""

Matches = Callable[[Lab, str], tuple[str, str]]
"""What comes in, and what goes out, over the cut."""


def _peers(lab: Lab, host: str) -> tuple[str, str]:
    others = ", ".join(lab.inventory.addresses[name] for name in lab.inventory.masters if name != host)
    return f"ip saddr {{ {others} }}", f"ip daddr {{ {others} }}"


def _balancer(lab: Lab, _host: str) -> tuple[str, str]:
    address = lab.inventory.addresses[lab.inventory.balancer]
    return f"ip saddr {address}", f"ip daddr {address}"


def _clients(lab: Lab, _host: str) -> tuple[str, str]:
    port = lab.inventory.kubernetes.api_port
    return f"tcp dport {port}", f"tcp sport {port}"


@dataclass(frozen=True)
class Cut:
    """Between what a partition runs, and on which hosts it can be made."""

    name: str
    between: str
    roles: tuple[HostRole, ...]
    matches: Matches


CUTS = (
    Cut("peers", "this master and the other masters", MASTERS, _peers),
    Cut("balancer", "this master and HAProxy", MASTERS, _balancer),
    Cut("clients", "HAProxy and its clients, nodes among them", BALANCER, _clients),
)
DROP = ("{match} drop",)
REFUSE = ("{match} meta l4proto tcp reject with tcp reset", "{match} reject")
LOSE = (f"{{match}} numgen random mod 100 < {LOST_PERCENT} drop",)


def _table(matches: Matches, verdict: tuple[str, ...], *, inward: bool, outward: bool) -> Script:
    def script(lab: Lab, host: str) -> str:
        coming, going = matches(lab, host)
        chains = [("input", coming)] * inward + [("output", going)] * outward
        lines = [f"table inet {TABLE} {{"]
        for hook, match in chains:
            lines.append(f"chain {hook} {{ type filter hook {hook} priority {EARLY}; policy accept;")
            lines += [line.format(match=match) for line in verdict]
            lines.append("}")
        return "\n".join(["nft -f - <<'RULES'", *lines, "}", "RULES"])

    return script


UNDO = always(f"nft delete table inet {TABLE} 2>/dev/null || true")


def _kinds() -> Iterator[Kind]:
    for cut in CUTS:
        for suffix, meaning, verdict, inward, outward in (
            ("", "nothing passes, silently", DROP, True, True),
            ("-refused", "everything is refused", REFUSE, True, True),
            ("-inward", "nothing comes in, silently", DROP, True, False),
            ("-outward", "nothing goes out, silently", DROP, False, True),
        ):
            yield OnHost(
                f"cut-{cut.name}{suffix}",
                f"between {cut.between} {meaning}",
                cut.roles,
                60,
                begin=_table(cut.matches, verdict, inward=inward, outward=outward),
                end=UNDO,
            )
    yield OnHost(
        "lose-peers",
        f"{LOST_PERCENT} % of the packets from the other masters are lost",
        MASTERS,
        10,
        begin=_table(_peers, LOSE, inward=True, outward=False),
        end=UNDO,
        needs=(
            "unshare --net nft -f - <<'RULES'\ntable inet probe { chain input { type filter hook input "
            "priority 0; numgen random mod 100 < 1 drop\n}\n}\nRULES"
        ),
        because="its nftables cannot draw random numbers (numgen)",
    )


KINDS: tuple[Kind, ...] = tuple(_kinds())
