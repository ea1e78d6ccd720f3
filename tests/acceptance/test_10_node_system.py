"""Layer node: hardware, kernel, names and addresses of each machine."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import pytest

from lab.checks.after_boot import kernel_settings
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import NotPartOfLab
from lab.checks.verbs import agrees, becomes, holds, nothing, present
from lab.hosts.facts import UnitState
from lab.inventory.models import Arch, Inventory

MACHINE = {Arch.AMD64: "x86_64", Arch.ARM64: "aarch64"}
NFTABLES_KERNEL = (5, 13)
"""Oldest kernel with which kube-proxy's nftables mode works (kubespray's preinstall checks)."""
DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def shares_kernel(driver: Driver, host: str) -> bool:
    """Whether the machine is a container."""
    return driver.lab.provider.traits_of(host).shares_kernel


@pytest.mark.check("L1-01")
@pytest.mark.each("all")
def test_architecture_and_kernel_are_the_inventorys(inventory: Inventory, facts: Facts, host: str) -> None:
    """The machine has the inventory's architecture, and a kernel that kube-proxy's mode works with."""
    system = facts.system
    agrees("architecture", system.machine, MACHINE[inventory.hosts[host].arch], command="uname -m")
    if inventory.kubernetes.proxy_mode == "nftables":
        version = tuple(int(part) for part in re.findall(r"\d+", system.kernel)[:2])
        holds("kernel", version >= NFTABLES_KERNEL, expected="5.13 or newer", seen=system.kernel)


@pytest.mark.check("L1-02")
@pytest.mark.each("nodes")
def test_cgroups_are_version_two(driver: Driver, facts: Facts) -> None:
    """The machine has cgroup v2 with the memory controller."""
    if shares_kernel(driver, facts.host):
        raise NotPartOfLab("provider", "the machine is a container and has its host's cgroups")
    system = facts.system
    agrees("filesystem of /sys/fs/cgroup", system.cgroup, "cgroup2fs", command="stat -f /sys/fs/cgroup")
    # /proc/cgroups is not read: newer kernels leave the memory row out (raspberrypi/linux#6980)
    holds("controllers", "memory" in system.controllers, expected="memory", seen=system.controllers)


@pytest.mark.check("L1-07")
@pytest.mark.each("nodes")
def test_there_is_no_swap(driver: Driver, facts: Facts) -> None:
    """The machine has no swap."""
    if shares_kernel(driver, facts.host):
        raise NotPartOfLab("provider", "the machine is a container and shares its host's swap")
    nothing("swap", facts.system.swap, rule="none", command="cat /proc/swaps")


@pytest.mark.check("L1-08")
@pytest.mark.each("all")
def test_kernel_settings_are_as_the_roles_say(driver: Driver, facts: Facts) -> None:
    """Every sysctl and module of the machine's roles is in force, and in the files that set it at boot."""
    kernel_settings(driver, facts)


@pytest.mark.check("L1-08")
@pytest.mark.each("nodes")
def test_bridged_traffic_reaches_the_packet_filter(driver: Driver, host: str) -> None:
    """Packets are forwarded, and where bridges can be filtered they are."""
    machine = driver.host(host)
    seen = machine.sysctl("net.ipv4.ip_forward")
    agrees("net.ipv4.ip_forward", seen, 1, command="sysctl net.ipv4.ip_forward", host=host)
    filtered = machine.file("/proc/sys/net/bridge").exists
    if shares_kernel(driver, host) and not filtered:
        return  # the module is that of the machine's host, and without it bridges pass everything
    holds("bridges can be filtered", filtered, expected="br_netfilter loaded", seen="not loaded", host=host)
    name = "net.bridge.bridge-nf-call-iptables"
    agrees(name, machine.sysctl(name), 1, command=f"sysctl {name}", host=host)


@pytest.mark.check("L1-09")
def test_no_two_machines_share_an_identity(driver: Driver) -> None:
    """Machine id, product uuid, MAC, host name and address are unique over all machines."""
    everyone = driver.all_facts(driver.inventory.hosts)
    owners: dict[str, list[str]] = defaultdict(list)
    for facts in everyone:
        system = facts.system
        owners[f"machine-id {system.machine_id}"].append(facts.host)
        owners[f"host name {system.hostname}"].append(facts.host)
        if system.product_uuid and not shares_kernel(driver, facts.host):
            owners[f"product uuid {system.product_uuid}"].append(facts.host)
        own = facts.link_of(str(driver.inventory.hosts[facts.host].address))
        if own:
            owners[f"MAC {own.mac}"].append(facts.host)
            for address in own.addresses:
                if not address.startswith("fe80"):
                    owners[f"address {address}"].append(facts.host)
    shared = {key: names for key, names in owners.items() if len(names) > 1}
    nothing(
        "identities held by several machines", shared, rule="none", command="cat /etc/machine-id; ip -br link"
    )
    empty = [facts.host for facts in everyone if len(facts.system.machine_id) != 32]
    nothing("machines without a machine-id", empty, rule="none", command="cat /etc/machine-id")


@pytest.mark.check("L1-10")
@pytest.mark.each("all")
def test_the_host_name_is_the_inventorys(facts: Facts, host: str) -> None:
    """The machine's name is a DNS label and the one of the inventory."""
    name = facts.system.hostname
    holds(
        "host name",
        bool(DNS_1123.fullmatch(name)),
        expected="a DNS-1123 label",
        seen=name,
        command="hostname",
    )
    agrees("host name", name, host, command="hostname")


@pytest.mark.check("L1-11")
@pytest.mark.each("all")
def test_the_address_is_on_the_machine(inventory: Inventory, facts: Facts, host: str) -> None:
    """The inventory's address, with the LAN's prefix length, is on an interface that is up."""
    address = str(inventory.hosts[host].address)
    every = [item for entry in facts.links for item in entry.addresses]
    link = present(
        f"address {address}",
        facts.link_of(address),
        expected="on an interface",
        seen=every,
        command="ip -br address",
    )
    own = str(inventory.interface(host))
    holds(
        "address with its network",
        own in link.addresses,
        expected=own,
        seen=link.addresses,
        command="ip -br address",
    )
    holds("interface", "UP" in link.flags, expected="UP", seen=link.flags, command="ip -br link")


@pytest.mark.check("L1-12")
@pytest.mark.each("all")
def test_the_clock_agrees_with_the_others(driver: Driver, facts: Facts) -> None:
    """The machine's clock is synchronised and within a second of the harness's."""
    if shares_kernel(driver, facts.host):
        raise NotPartOfLab("provider", "the machine is a container and has its host's clock")
    # etcd warns when peers differ by more than a second
    tracking = facts.clock
    agrees("chrony: leap status", tracking.leap, "Normal", command="chronyc tracking")
    offset = abs(tracking.offset_seconds)
    holds(
        "chrony: offset", offset < 1, expected="below 1 s", seen=f"{offset:.3f} s", command="chronyc tracking"
    )


@pytest.mark.check("L1-24")
@pytest.mark.each("all")
def test_there_is_room_on_the_disks(driver: Driver, facts: Facts, host: str) -> None:
    """Filesystems are less than 85 % full, and etcd has four times its database free."""
    disks = facts.disks
    full = {
        path: f"{use.used / use.total:.0%}"
        for path, use in disks.filesystems.items()
        if use.used / use.total >= 0.85
    }
    nothing("full filesystems", full, rule="all below 85 %", command="df -h")
    if host in driver.inventory.masters:
        free, size = disks.filesystems["/var/lib/etcd"].free, disks.etcd_bytes
        holds(
            "room for etcd",
            free > 4 * size,
            expected=f"more than {4 * size} bytes",
            seen=free,
            command="df -h",
        )


@pytest.mark.check("L1-30")
@pytest.mark.each("masters")
def test_a_master_is_large_enough(facts: Facts) -> None:
    """The machine has kubeadm's minimum for a control plane: 2 CPUs and 1700 MiB."""
    system = facts.system
    holds("CPUs", system.cpus >= 2, expected="at least 2", seen=system.cpus, command="nproc")
    mib = system.memory_kib // 1024
    holds("memory", mib >= 1700, expected="at least 1700 MiB", seen=f"{mib} MiB", command="free -m")


@pytest.mark.check("L1-14")
@pytest.mark.each("all")
def test_units_run_and_stay(driver: Driver, facts: Facts, host: str) -> None:
    """Every unit of the machine's roles is enabled and has run for a minute without a restart."""
    units = driver.bundles[host].units
    enabled = ("enabled", "enabled-runtime", "static", "alias", "indirect")
    found = facts.units
    off = {u.name: found[u.name].enabled for u in units if found[u.name].enabled not in enabled}
    nothing("units that are not enabled", off, rule="enabled", command="systemctl list-unit-files", host=host)

    def unsteady(states: Mapping[str, UnitState]) -> dict[str, str]:
        # a unit that has been active for a minute has not restarted in it: no need to watch for a minute
        return {
            name: f"{state.active} ({state.sub}) for {state.active_seconds} s, {state.restarts} restarts"
            for name, state in states.items()
            if state.active != "active" or state.active_seconds < 60
        }

    dead = [name for name, state in found.items() if state.active not in ("active", "activating")]
    nothing(
        "units that do not run",
        {n: found[n].active for n in dead},
        rule="active",
        command="systemctl --failed",
    )
    if unsteady(found):
        becomes(
            "units",
            lambda: unsteady(driver.facts.fresh(host).units),
            lambda state: not state,
            within=75,
            expected="active for a minute without a restart",
            command=f"systemctl status {' '.join(found)}",
            host=host,
        )
