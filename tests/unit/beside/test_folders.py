"""P1-12: files that a program takes because they lie there, on our own machines and on others' ones."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.folders import asked, hold_what_is_declared
from lab.checks.patterns import among, matches, spread
from lab.machines import Traits
from lab.render.bundle import Bundle
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.host_survey import surveyed


def entry(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "leads": "", "package": "", "changed": False, "text": ""} | more


OF_DEBIAN = (
    entry("/etc/cron.d/e2scrub_all", package="e2fsprogs"),
    entry("/etc/sysctl.d/99-sysctl.conf", package="procps", leads="../sysctl.conf"),
    entry("/usr/lib/sysctl.d/50-pid-max.conf", package="systemd"),
    entry("/etc/modules-load.d/modules.conf", package="kmod", leads="../modules"),
    entry("/etc/sudoers.d/README", package="sudo"),
    entry("/etc/default/ssh", package="openssh-server"),
)
OF_CLOUD_INIT = (
    entry("/etc/sudoers.d/90-cloud-init-users"),
    entry("/etc/systemd/network/10-cloud-init-eth0.network"),
    entry("/etc/systemd/network/10-cloud-init-eth0.network.d/plumbline.conf"),
    entry("/etc/udev/rules.d/70-persistent-net.rules"),
    entry("/etc/netplan/50-cloud-init.yaml"),
    entry("/etc/apt/apt.conf.d/90cloud-init-pipelining"),
    entry("/etc/ssh/sshd_config.d/50-cloud-init.conf"),
)
OF_PLUMBLINE = (
    entry("/etc/sysctl.d/90-plumbline.conf"),
    entry("/etc/modules-load.d/plumbline.conf"),
    entry("/etc/ssh/sshd_config.d/10-plumbline.conf"),
)
GOOD = (*OF_DEBIAN, *OF_CLOUD_INIT, *OF_PLUMBLINE)
OF_A_MASTER = tuple(
    entry(f"/etc/kubernetes/manifests/{name}.yaml")
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
)


def judge(wanted: Bundle, *found: dict[str, Any], traits: Traits = CONTAINERS) -> None:
    hold_what_is_declared(wanted, traits, surveyed(wanted, entries=[*found]))


def test_a_machine_as_it_was_made_is_good(master: Bundle, worker: Bundle, balancer: Bundle) -> None:
    cni = entry("/etc/cni/net.d/10-flannel.conflist")
    judge(master, *GOOD, *OF_A_MASTER, cni)
    judge(worker, *GOOD, cni)
    defaults = entry("/etc/default/haproxy", package="haproxy")
    judge(balancer, *GOOD, entry("/etc/haproxy/haproxy.cfg"), defaults)


@pytest.mark.parametrize(
    ("path", "reader"),
    [
        ("/etc/kubernetes/manifests/kube-scheduler.yaml.bak", "the kubelet"),
        ("/etc/kubernetes/manifests/more", "the kubelet"),
        ("/etc/cni/net.d/00-other.conflist", "containerd"),
        ("/etc/containerd/certs.d/docker.io/ca.crt", "containerd"),
        ("/etc/containerd/conf.d/10-more.toml", "containerd"),
        ("/etc/default/kubelet", "the units of these names"),
        ("/etc/sysctl.d/99-zz.conf", "systemd-sysctl"),
        ("/run/sysctl.d/10-tuning.conf", "systemd-sysctl"),
        ("/etc/modules-load.d/more.conf", "systemd-modules-load"),
        ("/etc/modprobe.d/no-vxlan.conf", "modprobe"),
        ("/etc/cron.hourly/mend", "cron"),
        ("/var/spool/cron/crontabs/root", "cron"),
        ("/etc/apt/sources.list.d/foreign.sources", "apt"),
        ("/etc/systemd/journald.conf.d/00-first.conf", "systemd"),
        ("/etc/systemd/network/00-first.network", "systemd-networkd"),
    ],
)
def test_what_nobody_declared_is_named_with_its_reader(master: Bundle, path: str, reader: str) -> None:
    with pytest.raises(AssertionError, match=f"(?s)files that nobody declared.*{path}: is read by {reader}"):
        judge(master, *GOOD, entry(path))


def test_a_worker_has_no_static_pods_at_all(worker: Bundle) -> None:
    with pytest.raises(AssertionError, match=r"etcd\.yaml: is read by the kubelet"):
        judge(worker, OF_A_MASTER[0])


def test_a_hidden_file_is_no_static_pod(master: Bundle) -> None:
    judge(master, entry("/etc/kubernetes/manifests/.etcd.yaml.swp"))


def test_a_packages_file_that_was_changed_is_named(balancer: Bundle) -> None:
    changed = entry("/etc/default/haproxy", package="haproxy", changed=True)
    with pytest.raises(AssertionError, match="not as the package haproxy brought it"):
        judge(balancer, changed)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/cron.d/backup",
        "/etc/apt/sources.list.d/ubuntu.sources",
        "/etc/sudoers.d/vagrant",
        "/etc/sysctl.d/10-own.conf",
        "/etc/netplan/01-netcfg.yaml",
        "/etc/udev/rules.d/75-cloud-ifupdown.rules",
    ],
)
def test_what_the_owner_of_another_machine_put_there_is_left_alone(full: Bundle, path: str) -> None:
    judge(full, entry(path), traits=FULL_MACHINES)


@pytest.mark.parametrize(
    "path", ["/etc/kubernetes/manifests/x", "/etc/cni/net.d/1.conf", "/etc/default/kubelet"]
)
def test_what_the_platform_alone_reads_is_named_on_every_machine(full: Bundle, path: str) -> None:
    with pytest.raises(AssertionError, match=path):
        judge(full, entry(path), traits=FULL_MACHINES)


def test_a_link_says_where_it_leads(worker: Bundle) -> None:
    with pytest.raises(AssertionError, match="leads to /dev/null"):
        judge(worker, entry("/etc/sysctl.d/50-pid-max.conf", leads="/dev/null"))


def test_every_pattern_is_asked_without_braces(master: Bundle) -> None:
    assert not [pattern for pattern in asked(master) if "{" in pattern]
    assert "/run/sysctl.d/*.conf" in asked(master)


def test_braces_stand_for_several_patterns() -> None:
    assert spread("/{a,b}/{c,d}.x") == ("/a/c.x", "/a/d.x", "/b/c.x", "/b/d.x")
    assert matches("/usr/lib/x.d/1.conf", "/{etc,usr/lib}/x.d/*.conf")
    assert not matches("/usr/x.d/1.conf", "/{etc,usr/lib}/x.d/*.conf")
    assert among("/m/a.b", ["/m/[!.]*"])
    assert not among("/m/.b", ["/m/[!.]*"])
