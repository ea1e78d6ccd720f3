"""A bundle: all that one host must be, the same on every render, different where machines differ."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import MODULES_FILE, SYSCTL_FILE, Bundle, bundle, pins
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.world import INVENTORY, inventory

HAPROXY = "/etc/haproxy/haproxy.cfg"


def rendered(name: str, traits: Traits = CONTAINERS, wanted: Inventory | None = None) -> Bundle:
    return bundle(lab := wanted or inventory(), traits, pins(lab), name)


def text(found: Bundle, path: str) -> str:
    return next(file.text for file in found.files if file.path == path)


def paths(found: Bundle) -> set[str]:
    return {file.path for file in found.files}


@pytest.mark.parametrize("name", list(inventory().hosts))
@pytest.mark.parametrize("traits", [CONTAINERS, FULL_MACHINES], ids=["container", "machine"])
def test_rendering_twice_gives_the_same_bytes_and_no_template_marker(name: str, traits: Traits) -> None:
    first, second = rendered(name, traits), rendered(name, traits)
    assert first == second
    assert [file.digest for file in first.files] == [file.digest for file in second.files]
    for file in first.files:
        assert not re.search(r"\{\{|\}\}|\{%|%\}|None\b", file.text), file.path
        assert file.text == "" or file.text.endswith("\n"), file.path
        assert not re.search(r"[ \t]$", file.text, re.MULTILINE), file.path


@pytest.mark.parametrize("name", list(inventory().hosts))
def test_no_path_port_or_package_is_named_twice(name: str) -> None:
    found = rendered(name)
    for items in (
        [file.path for file in found.files],
        [item.path for item in found.binaries],
        [unit.name for unit in found.units],
        [(port.port, port.protocol) for port in found.listen],
    ):
        assert len(items) == len(set(items)), items
    assert list(found.packages) == sorted(set(found.packages))


def test_every_host_knows_every_other_by_name() -> None:
    lab = inventory()
    for name in lab.hosts:
        lines = text(rendered(name), "/etc/hosts").splitlines()
        assert {f"{host.address} {other}" for other, host in lab.hosts.items()} <= set(lines)
        assert lines[0] == "127.0.0.1 localhost"


def test_a_container_gets_no_module_clock_or_setting_that_is_its_hosts() -> None:
    container, machine = rendered("worker-1"), rendered("worker-1", FULL_MACHINES)
    assert container.modules == ()
    assert set(machine.modules) >= {"br_netfilter", "overlay"}
    assert "chrony.service" not in {unit.name for unit in container.units}
    assert "chrony.service" in {unit.name for unit in machine.units}
    assert set(container.sysctls) < set(machine.sysctls)
    assert container.sysctls["net.ipv4.ip_forward"] == "1"
    assert machine.sysctls["net.bridge.bridge-nf-call-iptables"] == "1"


def test_c28_what_is_set_at_boot_is_what_is_in_force() -> None:
    """C28: modules and sysctls are files that act at every boot, from the same data."""
    found = rendered("worker-1", FULL_MACHINES)
    lines = text(found, SYSCTL_FILE).splitlines()
    assert dict(line.split(" = ") for line in lines) == found.sysctls
    assert text(found, MODULES_FILE).split() == list(found.modules)


def test_a_balancer_is_no_kubernetes_node_and_a_worker_no_master() -> None:
    balancer, worker, master = rendered("haproxy"), rendered("worker-1"), rendered("master-1")
    assert HAPROXY in paths(balancer)
    assert "/etc/containerd/config.toml" not in paths(balancer)
    assert HAPROXY not in paths(worker)
    assert {item.artifact for item in master.binaries} > {item.artifact for item in worker.binaries}
    assert 6443 in {port.port for port in master.listen}
    assert 6443 in {port.port for port in worker.closed}


def test_a_file_of_one_operating_system_is_left_out_on_another() -> None:
    ubuntu = inventory(
        INVENTORY.replace("provider: lxc", "provider: vagrant").replace(
            "address: 10.1.1.31,", "address: 10.1.1.31, os: ubuntu-22.04,"
        )
    )
    assert "/etc/resolv.conf" in paths(rendered("worker-2", FULL_MACHINES, ubuntu))
    assert "/etc/resolv.conf" not in paths(rendered("worker-1", FULL_MACHINES, ubuntu))


def test_nameservers_are_the_inventorys_or_the_gateway() -> None:
    assert "nameserver 10.1.1.1\n" in text(rendered("worker-1"), "/etc/resolv.conf")
    own = inventory(
        INVENTORY.replace("gateway: 10.1.1.1", "gateway: 10.1.1.1, nameservers: [10.1.1.2, 9.9.9.9]")
    )
    lines = text(rendered("worker-1", CONTAINERS, own), "/etc/resolv.conf")
    assert lines.startswith("nameserver 10.1.1.2\nnameserver 9.9.9.9\n")


def test_ssh_takes_keys_alone_and_only_of_the_labs_user() -> None:
    lines = text(rendered("haproxy"), "/etc/ssh/sshd_config.d/10-plumbline.conf").splitlines()
    assert {"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin no"} <= set(
        lines
    )
    assert f"AllowUsers {inventory().ssh.user}" in lines
    found = next(
        file for file in rendered("haproxy").files if file.path.endswith("sshd_config.d/10-plumbline.conf")
    )
    assert found.mode == "0600"


def containerd(traits: Traits) -> dict[str, Any]:
    """L0-16: the CRI plugin's part of containerd's configuration."""
    document = tomllib.loads(text(rendered("worker-1", traits), "/etc/containerd/config.toml"))
    assert document["version"] == 2
    found: dict[str, Any] = document["plugins"]["io.containerd.grpc.v1.cri"]
    return found


def test_containerd_uses_systemds_cgroups_and_the_pinned_pause_image() -> None:
    found = containerd(FULL_MACHINES)
    runc = found["containerd"]["runtimes"]["runc"]
    assert runc["runtime_type"] == "io.containerd.runc.v2"
    assert runc["options"]["SystemdCgroup"] is True
    assert found["containerd"]["default_runtime_name"] == "runc"
    assert found["sandbox_image"] == pins(inventory()).images["pause"]
    assert found["sandbox_image"] == "registry.k8s.io/pause:3.10"


@pytest.mark.parametrize("restricted", [True, False])
def test_the_oom_switch_is_set_only_where_the_kernel_needs_it(restricted: bool) -> None:
    traits = Traits(shares_kernel=True, oom_score_restricted=restricted)
    assert containerd(traits)["restrict_oom_score_adj"] is restricted


def sections(found: str) -> dict[str, list[str]]:
    """An HAProxy configuration as directives by section."""
    told: dict[str, list[str]] = {}
    for line in found.splitlines():
        if line.strip().startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            told[line.strip()] = []
        else:
            told[list(told)[-1]].append(line.strip())
    return told


def test_the_balancer_has_one_checked_server_for_each_master_in_tcp_mode() -> None:
    """L0-06."""
    lab = inventory()
    found = sections(text(rendered("haproxy"), HAPROXY))
    servers = [line for line in found["backend kube-apiservers"] if line.startswith("server ")]
    assert servers == [f"server {name} {lab.hosts[name].address}:6443" for name in lab.masters]
    [default] = [line for line in found["backend kube-apiservers"] if line.startswith("default-server ")]
    assert default.split()[1] == "check"
    assert "mode tcp" in found["defaults"]
    assert "bind 10.1.1.50:6443" in found["frontend kube-apiserver"]
    assert "default_backend kube-apiservers" in found["frontend kube-apiserver"]


def test_the_balancer_asks_readyz_over_tls_and_drops_sessions_of_a_silent_server_alone() -> None:
    """L0-07: at loads of 100 a slow /readyz marked the last server down and cut every session."""
    found = sections(text(rendered("haproxy"), HAPROXY))["backend kube-apiservers"]
    assert "option httpchk" in found
    assert "http-check connect ssl" in found
    assert "http-check send meth GET uri /readyz" in found
    assert "http-check expect status 200" in found
    [default] = [line for line in found if line.startswith("default-server ")]
    assert "inter 1000ms fall 2 rise 1" in default
    assert default.endswith("tcp-ut 2000ms")
    assert "shutdown-sessions" not in text(rendered("haproxy"), HAPROXY)


def test_when_no_api_server_is_ready_clients_reach_those_that_live() -> None:
    """L0-07: the same servers without checks, and the same end of silent connections."""
    lab = inventory()
    found = sections(text(rendered("haproxy"), HAPROXY))
    assert (
        "use_backend kube-apiservers-unready if { nbsrv(kube-apiservers) eq 0 }"
        in (found["frontend kube-apiserver"])
    )
    assert found["backend kube-apiservers-unready"] == [
        "balance roundrobin",
        "default-server tcp-ut 2000ms",
        *[f"server {name} {lab.hosts[name].address}:6443" for name in lab.masters],
    ]
    assert {"option srvtcpka", "srvtcpka-idle 1s", "srvtcpka-intvl 1s"} <= set(found["defaults"])


def test_the_balancers_timeouts_let_idle_watches_live() -> None:
    """L0-07: client and server equal and above the 30 s of an HTTP/2 ping, connect at most 5 s."""
    lines = sections(text(rendered("haproxy"), HAPROXY))["defaults"]
    times = {
        line.split()[1]: int(line.split()[2].removesuffix("s"))
        for line in lines
        if line.startswith("timeout ")
    }
    assert times["connect"] <= 5
    assert times["client"] == times["server"] >= 35
    assert times["tunnel"] >= times["client"]


def test_the_inventory_decides_port_and_times_of_the_balancer() -> None:
    own = inventory(
        INVENTORY + "kubernetes: {api_port: 8443}\nload_balancer: {check_interval_seconds: 2, fall: 3}\n"
    )
    found = text(rendered("haproxy", CONTAINERS, own), HAPROXY)
    assert "bind 10.1.1.50:8443" in found
    assert "10.1.1.12:8443" in found
    assert "inter 2000ms fall 3" in found


def test_pins_know_the_image_of_each_part_of_the_control_plane() -> None:
    assert {"pause", "etcd", "coredns"} <= set(pins(inventory()).images)
    assert pins(inventory()).tags["pause"] == "3.10"
    assert all(":" in reference for reference in pins(inventory()).images.values())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("haproxy", "/etc/systemd/system/haproxy.service.d/10-plumbline.conf"),
        ("worker-1", "/etc/systemd/system/containerd.service"),
        ("worker-1", "/etc/systemd/system/kubelet.service"),
    ],
)
def test_c51_a_unit_that_a_lab_lives_by_is_started_until_it_runs(name: str, path: str) -> None:
    """Five starts in ten seconds, before a machine has its address say, and systemd would give it up."""
    found = text(rendered(name), path)
    assert re.search(r"^StartLimitInterval(Sec)?=0$", found, re.MULTILINE)
