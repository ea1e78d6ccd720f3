"""Defects of services: addresses nobody announces, two who do, pools that are not the declared ones."""

from __future__ import annotations

from lab.checks.exclusion import EXCLUDED
from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Breakage, filtered
from lab.selftest.on_cluster import KUBECTL, kubectl

SPACE = "-n metallb-system"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    pool = lab.metallb.pools[0]
    first = pool.addresses[0].first
    few = [str(first + number) for number in range(4) if first + number in pool.addresses[0]]
    patch = f"{SPACE} patch ipaddresspool {pool.name} --type merge -p"
    ranges = ", ".join(f'"{item}"' for item in pool.addresses)
    worker = lab.workers[0]
    speaker = f"{SPACE} patch daemonset speaker --type merge -p"
    none, anywhere = '"none"', "null"
    selector = '{"spec":{"template":{"spec":{"nodeSelector":{"defect":%s}}}}}'
    return [
        _breakage(
            "second-owner",
            "a machine outside the cluster has addresses of the pool",
            "L3-03",
            f"who answers ARP.*{lab.balancer}",
            at=lab.balancer,
            damage=" && ".join(f"ip address replace {address}/32 dev lo" for address in few),
            repair="; ".join(f"ip address del {address}/32 dev lo 2>/dev/null" for address in few) + "; true",
        ),
        _breakage(
            "pod-traffic-refused",
            "one worker refuses traffic to its pods",
            "L3-05",
            "requests of 50 that failed",
            at=worker,
            **filtered("tcp dport 8080 reject with tcp reset", hook="forward"),
        ),
        _breakage(
            "pool-missing",
            "an address pool was deleted",
            "L3-17",
            f"MetalLB does not know.*{pool.name}",
            alone=True,
            **_removed(lab, "ipaddresspool", pool.name),
        ),
        _breakage(
            "pool-not-advertised",
            "no advertisement names the pool",
            "P3-01",
            f"no L2Advertisement names.*{pool.name}",
            alone=True,
            **_removed(lab, "l2advertisement", "lan"),
        ),
        _breakage(
            "pool-of-other-addresses",
            "a pool has addresses that the inventory does not give it",
            "P3-01",
            "pools of the cluster.*192.0.2",
            alone=True,
            **kubectl(
                lab,
                f'{patch} \'{{"spec":{{"addresses":["192.0.2.10-192.0.2.20"]}}}}\'',
                f'{patch} \'{{"spec":{{"addresses":[{ranges}]}}}}\'',
            ),
        ),
        _breakage(
            "pool-on-request-only",
            "a pool is no longer handed out by default",
            "P3-01",
            "pools of the cluster.*on request",
            alone=True,
            **kubectl(
                lab,
                f'{patch} \'{{"spec":{{"autoAssign":false}}}}\'',
                f'{patch} \'{{"spec":{{"autoAssign":true}}}}\'',
            ),
        ),
        _breakage(
            "worker-excluded",
            "a worker was excluded from load balancers and forgotten",
            "P3-02",
            worker,
            **kubectl(
                lab, f"label node {worker} {EXCLUDED}= --overwrite", f"label node {worker} {EXCLUDED}-"
            ),
        ),
        _breakage(
            "speakers-gone",
            "no speaker of MetalLB runs",
            "L3-02",
            "http://",
            settles=True,
            at=lab.masters[0],
            damage=f"{KUBECTL} {speaker} '{selector % none}' && for i in $(seq 300); do"
            f" {KUBECTL} {SPACE} get pods -l component=speaker -o name | grep -q . || exit 0;"
            " sleep 0.2; done; exit 1",
            repair=f"{KUBECTL} {speaker} '{selector % anywhere}'",
        ),
    ]


def _breakage(name: str, title: str, row: str, says: str, **fields: object) -> Breakage:
    return Breakage(name=name, title=title, layer="services", row=row, says=says, **fields)  # type: ignore[arg-type]


def _removed(lab: Inventory, kind: str, name: str) -> dict[str, str]:
    """Damage and repair of an object that is deleted."""
    kept = f"{KEPT}/{kind}-{name}"
    item = f"{KUBECTL} {SPACE} get {kind} {name} -o yaml"
    unique = "/^  resourceVersion:/d; /^  uid:/d; /^  creationTimestamp:/d"
    return {
        "at": lab.masters[0],
        "damage": f"mkdir -p {KEPT} && {item} | sed '{unique}' > {kept}.part && mv {kept}.part {kept}"
        f" && {KUBECTL} {SPACE} delete {kind} {name} >/dev/null",
        "repair": f"test ! -e {kept} || {{ {KUBECTL} apply -f {kept} >/dev/null && rm {kept}; }}",
    }
