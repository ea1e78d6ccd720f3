"""P1-15: sockets, network, mounts and units, on surveys of machines of our making and of others."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.undeclared import is_nowhere
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Bundle
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.host_survey import surveyed
from tests.world import INVENTORY, inventory


def socket(protocol: str, address: str, port: int, process: str, **more: Any) -> dict[str, Any]:
    return (
        {"protocol": protocol, "address": address, "port": port, "process": process}
        | {
            "unit": "",
            "pod": False,
        }
        | more
    )


def link(name: str, *addresses: str, kind: str = "", up: bool = True) -> dict[str, Any]:
    return {"name": name, "kind": kind, "mac": "", "up": up, "addresses": [*addresses]}


def route(to: str, device: str = "eth0", via: str = "", **more: Any) -> dict[str, Any]:
    rest = {"kind": "unicast", "metric": 0, "table": "main"}
    return {"to": to, "via": via, "device": device} | rest | more


def unit(name: str, file: str, package: str = "", **more: Any) -> dict[str, Any]:
    rest: dict[str, Any] = {"active": "active", "enabled": "enabled", "transient": False, "drop_ins": []}
    return {"name": name, "file": file, "package": package} | rest | more


def mount(target: str, kind: str = "ext4", source: str = "/dev/vda1") -> dict[str, str]:
    return {"target": target, "kind": kind, "source": source}


SOCKETS = (
    socket("tcp", "0.0.0.0", 22, "sshd"),
    socket("tcp", "127.0.0.1", 41234, "containerd"),
    socket("tcp", "127.0.0.1", 10248, "kubelet"),
    socket("tcp", "*", 10250, "kubelet"),
    socket("udp", "0.0.0.0", 8472, ""),
    socket("udp", "127.0.0.1", 323, "chronyd"),
    socket("tcp", "*", 30555, "kube-proxy", pod=True),
)
MOUNTS = (
    *(mount("/", "overlay"), mount("/proc"), mount("/proc/sys/kernel/panic"), mount("/run/user/1000")),
    *(mount("/var/lib/etcd"), mount("/var/lib/kubelet"), mount("/dev/shm"), mount("/tmp", "tmpfs")),
    mount("/var/lib/kubelet/pods/u/volumes/kubernetes.io~projected/t", "tmpfs"),
)
UNITS = (
    unit("ssh.service", "/lib/systemd/system/ssh.service", "openssh-server"),
    unit(
        "kubelet.service",
        "/etc/systemd/system/kubelet.service",
        drop_ins=["/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"],
    ),
    unit("plumbline-kubeadm.service", "/run/systemd/transient/plumbline-kubeadm.service", transient=True),
    unit("old.service", "/etc/systemd/system/old.service", active="inactive", enabled="disabled"),
    unit("gone.service", ""),
)


def judge(lab: Inventory, wanted: Bundle, traits: Traits, **more: Any) -> None:
    own = str(lab.interface(wanted.host))
    links = (
        link("lo", "127.0.0.1/8", "::1/128"),
        link("eth0", own, "fe80::1/64", kind="veth"),
        link("tunl0", kind="ipip", up=False),
        link("veth12", "fe80::2/64", kind="veth"),
        *(link(name, "10.244.1.1/24", kind="bridge") for name in wanted.pod_interfaces),
    )
    routes = (
        route("default", via="10.1.1.1"),
        route("10.1.1.0/24"),
        *(route("10.244.2.0/24", name, "10.244.2.0") for name in wanted.pod_interfaces),
    )
    rules = tuple({"priority": number, "table": "main"} for number in (0, 32766, 32767))
    survey = surveyed(
        wanted,
        sockets=[*SOCKETS[:1], *(SOCKETS[1:] if wanted.kubelet else ()), *more.get("sockets", ())],
        network={
            "links": [*links, *more.get("links", ())],
            "routes": [*routes, *more.get("routes", ())],
            "rules": [*rules, *more.get("rules", ())],
        },
        mounts=[*(MOUNTS if wanted.kubelet else MOUNTS[:4]), *more.get("mounts", ())],
        units=[*UNITS[: 2 if wanted.kubelet else 1], *UNITS[2:], *more.get("units", ())],
    )
    is_nowhere(lab, wanted, traits, survey)


def test_a_machine_as_it_was_made_has_nothing_else(
    lab: Inventory, master: Bundle, worker: Bundle, balancer: Bundle, full: Bundle
) -> None:
    for wanted in (master, worker, balancer):
        judge(lab, wanted, CONTAINERS)
    judge(lab, full, FULL_MACHINES)


CASES = [
    (
        "sockets",
        socket("tcp", "0.0.0.0", 9999, "python3", unit="x.service"),
        "tcp 0.0.0.0:9999 .python3.: listens.*unit x",
    ),
    ("sockets", socket("tcp", "127.0.0.1", 9999, "nc"), "9999"),
    ("sockets", socket("tcp", "0.0.0.0", 10249, "kube-proxy", pod=True), "declared for loopback alone"),
    ("sockets", socket("udp", "0.0.0.0", 323, "chronyd"), "udp 0.0.0.0:323"),
    ("links", link("wg0", "192.0.2.1/24", kind="wireguard"), "link wg0 .wireguard.: nobody"),
    ("links", link("eth1"), "link eth1 .card."),
    ("links", link("veth3", "10.1.1.120/24", kind="veth"), "address 10.1.1.120/24 on veth3: is of the LAN"),
    (
        "routes",
        route("default", via="10.1.1.9", metric=9),
        "default via 10.1.1.9 on eth0: the way out is by 10.1.1.1",
    ),
    ("routes", route("10.1.1.13", via="10.1.1.9"), "leads a part of the LAN elsewhere"),
    ("routes", route("10.96.0.0/12", "eth0"), "kube-proxy alone"),
    ("routes", route("10.244.2.7", "", kind="blackhole"), "blackhole 10.244.2.7: leads a part of the pods"),
    ("routes", route("192.0.2.0/24", table="77"), "table 77: nobody declared"),
    ("rules", {"priority": 100, "table": "77"}, "routing rule 100"),
    ("mounts", mount("/opt/cni/bin"), "covers what the platform has there"),
    ("mounts", mount("/usr/local/bin/kubectl"), "covers"),
    ("mounts", mount("/etc/hosts"), "covers"),
    ("mounts", mount("/srv", "nfs"), "on /srv: nobody declared"),
    ("mounts", mount("/var/lib/etcd", "tmpfs"), "2 lie there"),
    ("units", unit("mend.service", "/etc/systemd/system/mend.service"), "mend.service: of /etc"),
    ("units", unit("run-r1.timer", "/run/systemd/transient/run-r1.timer", transient=True), "started by hand"),
    (
        "units",
        unit("ssh.service", "/x", "openssh-server", drop_ins=["/etc/systemd/system/ssh.service.d/9.conf"]),
        "ssh.service: takes",
    ),
]


@pytest.mark.parametrize(("what", "item", "says"), CASES, ids=[case[2][:30] for case in CASES])
def test_what_nobody_declared_is_named(
    lab: Inventory, worker: Bundle, what: str, item: dict[str, Any], says: str
) -> None:
    with pytest.raises(AssertionError, match=f"(?s)what nobody declared.*{says}"):
        judge(lab, worker, CONTAINERS, **{what: (item,)})


def test_an_owner_may_have_more_on_a_machine_of_his(full: Bundle) -> None:
    lab = inventory(INVENTORY.replace("provider: lxc", "provider: static"))
    judge(
        lab,
        full,
        FULL_MACHINES,
        sockets=(socket("tcp", "0.0.0.0", 25, "master"),),
        links=(link("docker0", "172.17.0.1/16", kind="bridge"),),
        routes=(route("default", "wlan0", "192.0.2.1", metric=600),),
        rules=({"priority": 5210, "table": "52"},),
        mounts=(mount("/boot/firmware"), mount("/srv")),
        units=(unit("backup.timer", "/etc/systemd/system/backup.timer"),),
    )


@pytest.mark.parametrize(
    "case", [CASES[6], CASES[8], CASES[9], CASES[10], CASES[13], CASES[20]], ids=lambda case: case[2][:20]
)
def test_what_hurts_the_platform_is_named_on_every_machine(
    full: Bundle, case: tuple[str, dict[str, Any], str]
) -> None:
    lab = inventory(INVENTORY.replace("provider: lxc", "provider: static"))
    what, item, says = case
    with pytest.raises(AssertionError, match=f"(?s){says}"):
        judge(lab, full, FULL_MACHINES, **{what: (item,)})
