"""Seeded defects of MetalLB: addresses nobody announces, two who do, pools that are not the declared ones."""

from __future__ import annotations

import re
from shlex import quote

from addons.metallb.defects_of_services import given
from addons.metallb.exclusion import EXCLUDED
from addons.metallb.section import MetalLB
from lab.checks.objects import HTTP, UDP
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.render.firewall import port_of
from lab.selftest.defect import KEPT, Defect, Slip, Told, breakage, filtered
from lab.selftest.on_cluster import APPS, PODS_NETWORK, kubectl, removed

NAMESPACE = "metallb-system"
WEBHOOK = "MetalLB's webhook"
"""It judges every pool and advertisement that is written."""
LOCAL = ("L3-04", "L3-24")
"""Rows of the test of policy Local."""
SPACE = f"-n {NAMESPACE}"
POOLS = "addons/metallb/objects.yaml.j2"


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    return [*_rendered(), *_cluster(lab), *_services(lab), *given(lab)]


def _rendered() -> list[Defect]:
    return [
        Slip(
            name="pool-not-announced",
            title="a pool that no advertisement names",
            row="L0-14",
            host="",
            says="announced pools",
            file=POOLS,
            old='ipAddressPools: {{ section.pools | map(attribute="name") | list | quote }}',
            new="ipAddressPools: []",
        ),
        Slip(
            name="manifest-unknown-field",
            title="a field of a manifest is misspelt",
            row="L0-18",
            host="",
            says="adresses",
            file=POOLS,
            old="  addresses:",
            new="  adresses:",
        ),
        Slip(
            name="metallb-evicted",
            title="a taint takes what every node needs from it",
            row="L0-22",
            host="",
            says="speaker",
            listed=True,
            file="addons/metallb/patch.yaml.j2",
            old="      tolerations: [{operator: Exists}]\n",
            new="",
        ),
    ]


def _cluster(lab: Inventory) -> list[Defect]:
    first, other = lab.masters[0], lab.workers[1]
    members = port_of(lab, "MetalLB's member list")
    pool = lab.section(MetalLB).pools[0].name
    controller = "-n metallb-system scale deployment controller --replicas"
    advertisement = f"{SPACE} patch l2advertisement lan --type merge -p"
    limited = f'{{"spec":{{"nodeSelectors":[{{"matchLabels":{{"kubernetes.io/hostname":"{other}"}}}}]}}}}'
    return [
        breakage(
            layer="cluster",
            name="advertisement-limited",
            title="addresses are announced by one worker only",
            row="P2-07",
            host="",
            says=rf"L2Advertisement/{NAMESPACE}/lan spec.nodeSelectors: .*{other}.*added by kubectl-patch",
            **kubectl(
                lab,
                f"{advertisement} {quote(limited)}",
                f"""{advertisement} '{{"spec":{{"nodeSelectors":null}}}}'""",
                "l2advertisement/lan",
            ),
            listed=True,
            needs=(WEBHOOK, PODS_NETWORK),
        ),
        breakage(
            layer="cluster",
            name="controller-gone",
            title="MetalLB's controller was scaled to nothing",
            row="L2-08",
            host="",
            says="metallb-system/controller: 0 of 0",
            listed=True,
            stops=(WEBHOOK,),
            reddens=("P2-07",),
            **kubectl(lab, f"{controller}=0", f"{controller}=1", "deployment/controller"),
        ),
        breakage(
            layer="cluster",
            name="pool-renamed",
            title="a pool was renamed, and the one of the old name stayed",
            row="P2-10",
            host="",
            says=f"IPAddressPool/metallb-system/{pool}-before: of add-on metallb",
            alone=True,
            settles=True,
            **_renamed(lab, pool, f"{pool}-before"),
        ),
        breakage(
            layer="cluster",
            name="member-port-closed",
            title="the speakers of one node cannot be reached by the others",
            row="L1-19",
            host=first,
            says=f"does not reach on {members}/tcp.*{other}",
            at=other,
            **filtered(f"tcp dport {members} reject with tcp reset"),
        ),
    ]


def _services(lab: Inventory) -> list[Defect]:
    pool = lab.section(MetalLB).pools[0]
    first = pool.addresses[0].first
    few = [str(first + number) for number in range(4) if first + number in pool.addresses[0]]
    last = pool.addresses[-1].last
    patch = f"{SPACE} patch ipaddresspool {pool.name} --type merge -p"
    ranges = ", ".join(f'"{item}"' for item in pool.addresses)
    worker = lab.workers[0]
    worker_address = re.escape(str(lab.hosts[worker].address))
    speaker = f"{SPACE} patch daemonset speaker --type merge -p"
    none, anywhere = '"none"', "null"
    selector = '{"spec":{"template":{"spec":{"nodeSelector":{"defect":%s}}}}}'
    return [
        breakage(
            layer="services",
            name="second-owner",
            title="a machine outside the cluster has addresses of the pool",
            row="L3-03",
            says=f"who answers ARP.*{lab.balancer}",
            reddens=("P3-03",),
            at=lab.balancer,
            damage=" && ".join(f"ip address replace {address}/32 dev lo" for address in few),
            repair="; ".join(f"ip address del {address}/32 dev lo 2>/dev/null" for address in few) + "; true",
            touches=("addresses of lo",),
        ),
        breakage(
            layer="services",
            name="stranger-in-pool",
            title="a device that nobody wrote down has an address of the pool",
            row="P3-03",
            says=f"{last}: no service has it, and {lab.balancer} answers",
            at=lab.balancer,
            damage=f"ip address replace {last}/32 dev lo",
            repair=f"ip address del {last}/32 dev lo 2>/dev/null; true",
            touches=("addresses of lo",),
        ),
        breakage(
            layer="services",
            name="pod-traffic-refused",
            title="one worker refuses traffic to its pods",
            row="L3-05",
            says="requests of 50 that failed",
            also=(
                Told("L3-06", r"(http|udp)://[\d.:/]+(, client \d+ of \d+)?: expected success"),
                Told("L3-18", rf"http://{worker_address}:\d+/: expected success within", host=worker),
            ),
            at=worker,
            stops=(APPS,),
            **filtered(f"tcp dport {HTTP} reject with tcp reset", f"udp dport {UDP} drop", hook="forward"),
        ),
        breakage(
            layer="services",
            name="pool-missing",
            title="an address pool was deleted",
            row="L3-17",
            says=f"MetalLB does not know.*{pool.name}",
            alone=True,
            **removed(lab, "ipaddresspool", pool.name, NAMESPACE),
        ),
        breakage(
            layer="services",
            name="pool-not-advertised",
            title="no advertisement names the pool",
            row="P3-01",
            says=f"no L2Advertisement names.*{pool.name}",
            also=(
                # no row that only asks the address: a client that knew the announcer goes on reaching it
                *(Told(row, "who answers ARP for .*expected one node with an endpoint") for row in LOCAL),
                Told("L3-16", "who answers ARP: expected one machine"),
            ),
            alone=True,
            **removed(lab, "l2advertisement", "lan", NAMESPACE),
        ),
        breakage(
            layer="services",
            name="pool-of-other-addresses",
            title="a pool has addresses that the inventory does not give it",
            row="P3-01",
            says="pools of the cluster.*192.0.2",
            alone=True,
            **kubectl(
                lab,
                f'{patch} \'{{"spec":{{"addresses":["192.0.2.10-192.0.2.20"]}}}}\'',
                f'{patch} \'{{"spec":{{"addresses":[{ranges}]}}}}\'',
                f"ipaddresspool/{pool.name}",
            ),
        ),
        breakage(
            layer="services",
            name="pool-on-request-only",
            title="a pool is no longer handed out by default",
            row="P3-01",
            says="pools of the cluster.*on request",
            alone=True,
            **kubectl(
                lab,
                f'{patch} \'{{"spec":{{"autoAssign":false}}}}\'',
                f'{patch} \'{{"spec":{{"autoAssign":true}}}}\'',
                f"ipaddresspool/{pool.name}",
            ),
        ),
        breakage(
            layer="services",
            name="worker-excluded",
            title="a worker was excluded from load balancers and forgotten",
            row="P3-02",
            says=worker,
            **kubectl(
                lab,
                f"label node {worker} {EXCLUDED}= --overwrite",
                f"label node {worker} {EXCLUDED}-",
                f"node/{worker}",
            ),
        ),
        breakage(
            layer="services",
            name="speakers-gone",
            title="no speaker of MetalLB runs",
            row="L3-02",
            says="http://",
            settles=True,
            at=lab.masters[0],
            damage=f"{KUBECTL} {speaker} '{selector % none}' && for i in $(seq 300); do"
            f" {KUBECTL} {SPACE} get pods -l component=speaker -o name | grep -q . || exit 0;"
            " sleep 0.2; done; exit 1",
            repair=f"{KUBECTL} {speaker} '{selector % anywhere}'",
            touches=("daemonset/speaker",),
        ),
    ]


def _renamed(lab: Inventory, old: str, new: str) -> dict[str, str]:
    """Damage and repair of a pool that has another name: MetalLB refuses two with the same addresses."""
    kind = "ipaddresspool"
    gone = removed(lab, kind, old, NAMESPACE)
    made = f"sed 's/^  name: {old}$/  name: {new}/' {KEPT}/{kind}-{old} | {KUBECTL} create -f - >/dev/null"
    unmade = f"{KUBECTL} {SPACE} delete {kind} {new} --ignore-not-found >/dev/null"
    return gone | {
        "damage": f"{gone['damage']} && {made}",
        "repair": f"{unmade} && {{ {gone['repair']}; }}",
    }
