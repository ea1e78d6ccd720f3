"""P1-13: what the files of boot say together, for machines that are well now."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.next_boot import brings_the_same, sysctls
from lab.hosts.survey import FolderFile
from lab.hosts.units import KUBELET_FLAGS
from lab.inventory.models import Inventory
from lab.render.bundle import MODULES_FILE, SYSCTL_FILE, Bundle
from tests.host_survey import surveyed

NETWORK = "/etc/systemd/network/10-cloud-init-eth0.network"
RUNS = [
    "/usr/local/bin/kubelet",
    "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
    "--kubeconfig=/etc/kubernetes/kubelet.conf",
    "--config=/var/lib/kubelet/config.yaml",
    "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
]


def entry(path: str, text: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "leads": "", "package": "", "changed": False, "text": text} | more


def unit(name: str, enabled: str) -> dict[str, Any]:
    rest: dict[str, Any] = {"file": "", "package": "", "transient": False, "drop_ins": []}
    return {"name": name, "active": "active", "enabled": enabled} | rest


def mount(source: str, target: str, kind: str, *options: str, there: bool = True) -> dict[str, Any]:
    return {"source": source, "target": target, "kind": kind, "options": [*options], "there": there}


def judge(
    lab: Inventory,
    wanted: Bundle,
    *more: dict[str, Any],
    units: tuple[dict[str, Any], ...] = (),
    mounts: tuple[dict[str, Any], ...] = (),
    target: str = "graphical.target",
    without: str = "",
) -> None:
    address = lab.addresses[wanted.host]
    flags = f"{RUNS[-1]} --node-ip={address}"
    own = {file.path: file.text for file in wanted.files}
    found = [
        entry(SYSCTL_FILE, own[SYSCTL_FILE]),
        entry(MODULES_FILE, own[MODULES_FILE]),
        entry(
            "/usr/lib/sysctl.d/50-default.conf",
            "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n",
        ),
        entry("/etc/sysctl.d/99-sysctl.conf", "# nothing\n", leads="../sysctl.conf"),
        entry("/etc/hostname", f"{wanted.host}\n"),
        entry(NETWORK, f"[Network]\nDHCP=no\n[Address]\nAddress={address}/24\n[Route]\nGateway=10.1.1.1\n"),
        entry(KUBELET_FLAGS, f'KUBELET_KUBEADM_ARGS="{flags}"\n'),
    ]
    over = {item["path"] for item in more} | {without}
    survey = surveyed(
        wanted,
        entries=[*(item for item in found if item["path"] not in over), *more],
        units=[*(unit(item.name, "enabled") for item in wanted.units), *units],
        boot={"target": target, "kubelet": [*RUNS, f"--node-ip={address}"], "mounts": [*mounts]},
        mounts=[],
    )
    brings_the_same(lab, wanted, survey)


def test_a_machine_as_it_was_made_is_good(
    lab: Inventory, master: Bundle, worker: Bundle, balancer: Bundle, full: Bundle
) -> None:
    root = mount("UUID=1", "/", "ext4", "defaults")
    late = mount("UUID=2", "/srv", "ext4", "defaults", "nofail", there=False)
    for wanted in (master, worker, balancer, full):
        judge(lab, wanted, mounts=(root, late))


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        (
            "/etc/sysctl.d/99-z.conf",
            "net.ipv4.ip_forward=0\n",
            "net.ipv4.ip_forward: 0 by /etc/sysctl.d/99-z",
        ),
        ("/usr/lib/sysctl.d/99-z.conf", "net/ipv4/ip_forward = 0\n", "ip_forward: 0 by /usr/lib"),
        (
            "/etc/modprobe.d/x.conf",
            "blacklist br-netfilter\n",
            "br_netfilter: barred by /etc/modprobe.d/x.conf",
        ),
        ("/etc/modprobe.d/x.conf", "install vxlan /bin/false\n", "vxlan: barred"),
        (MODULES_FILE, "overlay\n", "module vxlan: no file"),
        ("/etc/hostname", "localhost\n", "will be called localhost, not worker-1"),
        (NETWORK, "[Network]\nAddress=10.9.9.9/24\n", "no file gives the machine 10.1.1.31/24"),
        (
            "/etc/netplan/99.yaml",
            "network: {ethernets: {e: {addresses: [10.1.1.77/24]}}}\n",
            "10.1.1.77/24 in the LAN",
        ),
        (
            "/etc/network/interfaces",
            "iface eth0 inet static\n address 10.1.1.31/24\n gateway 10.1.1.9\n",
            "10.1.1.9",
        ),
        (
            KUBELET_FLAGS,
            'KUBELET_KUBEADM_ARGS="--node-ip=192.0.2.9"\n',
            "starts with --node-ip=192.0.2.9, and runs",
        ),
        ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--max-pods=40\n", "starts with --max-pods=40"),
        ("/etc/ufw/ufw.conf", "ENABLED=yes\n", "ufw puts its rules"),
    ],
)
def test_what_a_file_says_for_then_is_named(
    lab: Inventory, full: Bundle, path: str, text: str, says: str
) -> None:
    with pytest.raises(AssertionError, match=f"(?s)after the next boot.*{says}"):
        judge(lab, full, entry(path, text))


def test_without_our_file_no_setting_is_made(lab: Inventory, worker: Bundle) -> None:
    with pytest.raises(AssertionError, match="ip_forward: nothing by no file"):
        judge(lab, worker, without=SYSCTL_FILE)


@pytest.mark.parametrize(
    ("name", "enabled", "says"),
    [
        ("kubelet.service", "enabled-runtime", "kubelet.service: enabled-runtime"),
        ("systemd-sysctl.service", "masked", "systemd-sysctl.service: masked"),
        ("firewalld.service", "enabled", "firewalld.service: is enabled"),
        ("k3s-agent.service", "enabled", "k3s-agent.service: is enabled"),
        ("swapfile.swap", "enabled", "a node has no swap"),
    ],
)
def test_units_that_start_or_do_not(
    lab: Inventory, worker: Bundle, name: str, enabled: str, says: str
) -> None:
    with pytest.raises(AssertionError, match=says):
        judge(lab, worker, units=(unit(name, enabled),))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (mount("/swap.img", "none", "swap", "sw"), "/swap.img is swap"),
        (mount("UUID=9", "/srv", "ext4", "defaults", there=False), "UUID=9 for /srv is not there"),
        (mount("tmpfs", "/var/lib/kubelet", "tmpfs", "defaults"), "tmpfs will lie over /var/lib/kubelet"),
    ],
)
def test_lines_of_fstab_that_hurt(lab: Inventory, worker: Bundle, line: dict[str, Any], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        judge(lab, worker, mounts=(line,))


def test_a_balancer_may_have_swap_and_a_line_that_waits_may_wait(lab: Inventory, balancer: Bundle) -> None:
    judge(lab, balancer, mounts=(mount("/swap.img", "none", "swap", "sw"),))
    judge(lab, balancer, mounts=(mount("UUID=9", "/x", "ext4", "noauto", there=False),))


def test_another_target_is_named(lab: Inventory, worker: Bundle) -> None:
    with pytest.raises(AssertionError, match=r"systemd starts rescue\.target"):
        judge(lab, worker, target="rescue.target")


def test_a_machine_whose_address_comes_by_dhcp_is_good(lab: Inventory, full: Bundle) -> None:
    judge(lab, full, entry(NETWORK, "[Network]\nDHCP=yes\n"))


def test_of_several_files_the_later_counts_and_a_hidden_one_does_not() -> None:
    said = [
        entry("/usr/lib/sysctl.d/10-a.conf", "a.b = 9\nc.d = 1\n"),
        entry("/etc/sysctl.d/10-a.conf", "a.b = 1\n"),
        entry("/run/sysctl.d/20-b.conf", "-a/b =  2   3\n# a.b = 4\n"),
    ]
    assert sysctls([FolderFile(**item) for item in said]) == {"a.b": ("2 3", "/run/sysctl.d/20-b.conf")}
