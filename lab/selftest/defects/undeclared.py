"""Defects of what nobody declared: a port, an address, a route, a link, a mount, a unit, a timer."""

from __future__ import annotations

from functools import partial

from lab.inventory.models import Inventory
from lab.render.detected import CLUSTER_DNS
from lab.selftest.defect import Breakage, breakage, served

_strange = partial(breakage, layer="node", row="P1-15", listed=True)
PORT = 9999


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    # an address beside the machine's own, whatever the networks are
    beside = r"a=$(ip -o -4 address show dev eth0 | sed -n '1s/.*inet \([0-9.]*\)[.].*/\1/p')"
    # the first address of the pods' network, whatever that is: nobody has it
    pods = r"a=$(sed -n 's|.*--cluster-cidr=\([0-9.]*\)/.*|\1|p' /etc/kubernetes/manifests/*manager.yaml)"
    names, unit = lab.kubernetes.service_subnet[CLUSTER_DNS], "/etc/systemd/system/mend.service"
    return [
        _strange(
            name="stranger-listens",
            title="a program listens on a port that nobody declared",
            host=worker,
            says=rf"tcp .*:{PORT} \(socat\): listens, and no role declares",
            **served("stranger-listens", PORT),
        ),
        _strange(
            name="second-default-route",
            title="a second default route waits for the first one's end",
            host=other,
            says="route default .*on eth0: the way out is by",
            damage="ip route add default dev eth0 metric 4321",
            repair="ip route delete default dev eth0 metric 4321 2>/dev/null || true",
            touches=("default routes",),
        ),
        _strange(
            name="address-of-nobody",
            title="a machine has a second address in the LAN",
            host=lab.balancer,
            says=r"address .*\.249/32 on eth0: is of the LAN",
            damage=f"{beside}; ip address add $a.249/32 dev eth0",
            repair=f"{beside}; ip address delete $a.249/32 dev eth0 2>/dev/null || true",
            touches=("addresses of eth0",),
        ),
        _strange(
            name="service-network-route",
            title="a route leads the services' network away from kube-proxy",
            host=third,
            says="is of the services' network, which kube-proxy alone leads on",
            damage=f"ip route add blackhole {names}/32",
            repair=f"ip route delete blackhole {names}/32 2>/dev/null || true",
            touches=("route of services",),
        ),
        _strange(
            name="pod-network-route",
            title="a part of the pods' network is led elsewhere",
            host=second,
            says="leads a part of the pods' network elsewhere",
            damage=f"{pods}; ip route add blackhole $a/32",
            repair=f"{pods}; ip route delete blackhole $a/32 2>/dev/null || true",
            touches=("route of pods",),
        ),
        _strange(
            name="routing-rule",
            title="a rule chooses another table of routes",
            host=first,
            says="routing rule 1234, table 77",
            damage="ip rule add priority 1234 from 192.0.2.0/24 table 77",
            repair="ip rule delete priority 1234 2>/dev/null || true",
            touches=("routing rules",),
        ),
        _strange(
            name="link-of-nobody",
            title="a bridge that nobody declared",
            host=lab.balancer,
            says=r"link docker0 \(bridge\): nobody declared it",
            damage="ip link add docker0 type bridge && ip address add 192.0.2.129/25 dev docker0",
            repair="ip link delete docker0 2>/dev/null || true",
            touches=("link docker0",),
        ),
        _strange(
            name="mount-over-cni",
            title="something lies over the folder of CNI's programs",
            host=worker,
            says="mount .* on /opt/cni/bin: covers what the platform has there",
            damage="mount --bind /opt/cni/bin /opt/cni/bin",
            repair="while umount /opt/cni/bin 2>/dev/null; do :; done",
            touches=("mount /opt/cni/bin",),
        ),
        _strange(
            name="mount-of-nobody",
            title="a filesystem that nobody declared",
            host=second,
            says=r"mount tmpfs \(tmpfs\) on /srv: nobody declared it",
            damage="mkdir -p /srv && mount -t tmpfs -o size=1m tmpfs /srv",
            repair="while umount /srv 2>/dev/null; do :; done",
            touches=("mount /srv",),
        ),
        _strange(
            name="unit-by-hand",
            title="somebody's service starts with the machine",
            host=third,
            says=f"unit mend.service: of {unit}",
            touches=(f"file {unit}",),
            damage="printf '%s\\n' [Service] 'ExecStart=/bin/sleep infinity' [Install]"
            " WantedBy=multi-user.target"
            f" > {unit}"
            " && systemctl enable --quiet --now mend",
            repair=f"systemctl disable --quiet --now mend 2>/dev/null; rm -f {unit}; systemctl daemon-reload",
        ),
        _strange(
            name="timer-of-nobody",
            title="a timer that nobody declared starts something now and then",
            host=other,
            says="unit visit.timer: started by hand",
            touches=("unit visit",),
            damage="systemd-run --quiet --unit=visit --on-active=1h /bin/true",
            repair="systemctl stop visit.timer 2>/dev/null || true",
        ),
        _strange(
            name="part-of-a-unit",
            title="a part of the kubelet's unit for the time being, in /run",
            host=first,
            says="unit kubelet.service: takes /run/systemd/system/kubelet.service.d/50-limit.conf",
            touches=("unit kubelet",),
            damage="mkdir -p /run/systemd/system/kubelet.service.d"
            " && printf '[Service]\\nCPUWeight=90\\n' > /run/systemd/system/kubelet.service.d/50-limit.conf"
            " && systemctl daemon-reload",
            repair="rm -rf /run/systemd/system/kubelet.service.d && systemctl daemon-reload",
        ),
    ]
