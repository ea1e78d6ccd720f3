"""The sections of an inventory beside its machines and add-ons: cluster, access and limits.

Field descriptions are the reference page of the inventory and the editor's completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.inventory.ranges import AddressRange
from lab.inventory.reaction import Name as Reaction
from lab.inventory.settled import REBUILD, RECONFIGURE, UPGRADE
from lab.inventory.tested import version_field
from lab.inventory.types import (
    PLAIN_BRIDGES,
    Address,
    Bridge,
    CommandLine,
    Domain,
    Login,
    Net,
    Number,
    Port,
    PublicKey,
    Registry,
    Seconds,
    Server,
    Switch,
    Url,
    Version,
    VersionV,
    Whole,
    Zone,
)


class Model(BaseModel):
    """Frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Kubernetes(Model):
    """The cluster."""

    version: VersionV = version_field("kubernetes", "Kubernetes version.", marks=UPGRADE)
    pod_subnet: Net = Field(
        IPv4Network("10.244.0.0/16"),
        description="Addresses of pods.",
        json_schema_extra=REBUILD,
    )
    service_subnet: Net = Field(
        IPv4Network("10.96.0.0/12"),
        description="Addresses of services.",
        json_schema_extra=REBUILD,
    )
    node_mask: Whole = Field(
        24,
        ge=16,
        le=30,
        description="Prefix length of each node's part of the pod subnet.",
        json_schema_extra=REBUILD,
    )
    max_pods: Whole = Field(110, ge=10, le=500, description="Pods a node may run.")
    dns_domain: Domain = Field(
        "cluster.local", description="DNS domain of the cluster.", json_schema_extra=REBUILD
    )
    api_port: Port = Field(
        6443,
        description="Port of the API servers and of the balancer.",
        json_schema_extra=REBUILD,
    )
    api_names: tuple[Server, ...] = Field(
        (),
        description="Further names and addresses by which the API is reached (a name in your DNS, a router "
        "that forwards), for its certificates.",
        json_schema_extra=RECONFIGURE,
    )
    proxy_mode: Literal["iptables", "nftables"] = Field(
        "iptables",
        description="How kube-proxy leads to services; nftables wants kernel 5.13 or newer on every node.",
        json_schema_extra=RECONFIGURE,
    )
    node_monitor_grace_seconds: Whole = Field(
        50,
        ge=20,
        le=600,
        description="How long a node may be silent before it is NotReady.",
        json_schema_extra=RECONFIGURE,
    )
    reaction: Reaction = Field(
        "default",
        description="Times until a death is noticed and answered: upstream's or fast ones.",
        json_schema_extra=RECONFIGURE,
    )
    single_master: Switch = Field(
        False, description="Allow one control plane machine: no high availability, for experiments only."
    )
    pod_log_max_mib: Whole = Field(
        10, ge=1, le=1024, description="Size at which a container's log is rotated."
    )


class Containerd(Model):
    """The container runtime."""

    version: Version = version_field("containerd", "containerd version.", v=False)
    mirrors: Mapping[Registry, tuple[Url, ...]] = Field(
        default_factory=dict,
        description="Mirrors of a registry in the order in which they are tried, before the registry itself.",
    )


class LoadBalancer(Model):
    """HAProxy in front of the API servers."""

    check_interval_seconds: Seconds = Field(
        1, description="Pause between two health checks of an API server."
    )
    fall: Whole = Field(2, ge=1, le=20, description="Failed checks after which a server is down.")
    rise: Whole = Field(1, ge=1, le=20, description="Good checks after which a server is up.")
    timeout_connect_seconds: Seconds = Field(2, description="Time to connect to an API server.")
    timeout_idle_seconds: Seconds = Field(3600, description="Idle time of client and server connections.")
    timeout_tunnel_seconds: Seconds = Field(14400, description="Idle time of watches, exec and logs.")


class HostPower(Model):
    """How a machine that exists already is switched; a person is asked before each use."""

    on: CommandLine = Field("", description="Command on this machine that gives it power (a PoE port, IPMI).")
    off: CommandLine = Field("", description="Command on this machine that takes its power away.")
    wake_on_lan: Switch = Field(False, description="A wake-up packet to its mac switches it on.")


class Network(Model):
    """The LAN of the machines and the networks around it."""

    lan: Net = Field(description="Network of all machines; every address lies in it.")
    gateway: Address = Field(description="Router of the LAN.")
    management: Net | None = Field(
        None, description="Network of hypervisor and router; machines are administered from there."
    )
    nameservers: tuple[Address, ...] = Field((), description="DNS servers; default: the gateway.")
    search_domains: tuple[Domain, ...] = Field(
        (), description="Domains that machines and pods search for a short name; none is told outright, too."
    )
    time_servers: tuple[Server, ...] = Field(
        ("pool.ntp.org",),
        min_length=1,
        description="NTP servers, names or addresses; a container has this machine's clock.",
    )
    dhcp: AddressRange | None = Field(None, description="Addresses that a DHCP server of the LAN hands out.")
    vlan: Whole | None = Field(None, ge=1, le=4094, description="VLAN tag of the LAN, if it is tagged.")


class Hypervisor(Model):
    """One hypervisor node and what it holds."""

    cpus: Whole = Field(ge=1, description="CPU cores.")
    memory_gib: Whole = Field(ge=1, description="Memory in GiB.")
    disk_gib: Whole = Field(ge=1, description="Disk in GiB.")
    bridge: Bridge = Field("vmbr0", description="Bridge of the machines' LAN, or VNet.")
    zone: Zone = Field(PLAIN_BRIDGES, description="SDN zone of a VNet; the default is that of bridges.")
    cpu_overcommit: Number = Field(2.0, ge=1, le=16, description="Virtual CPUs for each core.")


class SshSection(Model):
    """How the harness reaches machines."""

    user: Login = Field("plumbline", description="Login, with sudo and without a password.")
    authorized_keys: tuple[PublicKey, ...] = Field(
        (), min_length=1, description="Public keys of people, besides the lab's own."
    )
    networks: tuple[Net, ...] = Field(
        (),
        min_length=1,
        description="Networks that may reach SSH and the API, besides the LAN and the management network.",
    )


class LoadProfile(Model):
    """Users who ask the ingress, and the limits that their requests are judged by."""

    users: Whole = Field(20, ge=1, le=100_000, description="Users at the same time.")
    spawn_rate: Number = Field(10.0, gt=0, le=10_000, description="Users that begin each second.")
    seconds: Seconds = Field(60, description="How long all users ask; the time in which they begin is extra.")
    pause_seconds: Number = Field(
        0.25,
        gt=0,
        le=3600,
        description="Time from a user's request to its next, if the answer is in by then.",
    )
    failure_percent: Number = Field(0.1, ge=0, le=100, description="Share of requests that may fail.")
    p95_ms: Number = Field(500.0, gt=0, description="Time within which 95 % of requests are answered.")
    p99_ms: Number = Field(1000.0, gt=0, description="Time within which 99 % of requests are answered.")
    baseline_p99_ms: Number | None = Field(
        None, gt=0, description="What 99 % took on a good day; a run may exceed it by a fifth."
    )


class Verify(Model):
    """What the acceptance suite does."""

    ha: Literal["short", "full"] = Field(
        "short", description="Faults of the layer ha: one of each family, or all of them."
    )


class Thresholds(Model):
    """Limits of the acceptance suite; defaults are the catalogue's."""

    api_gap_seconds: Number = Field(10.0, gt=0, description="Longest gap of the API when a master dies.")
    leader_seconds: Number = Field(5.0, gt=0, description="Time to a new etcd leader.")
    lease_seconds: Number = Field(
        20.0, gt=0, description="Time until another master leads the controllers or the scheduler."
    )
    address_gap_seconds: Number = Field(
        10.0, gt=0, description="Longest silence of a service's address when its machine dies."
    )
    component_seconds: Number = Field(
        60.0, gt=0, description="Time until a killed part of Kubernetes works again."
    )
    recovery_seconds: Number = Field(
        300.0, gt=0, description="Time until the lab is healthy after a fault was healed."
    )
    address_seconds: Number = Field(60.0, gt=0, description="Time until a service has its address.")
    ingress_success_percent: Number = Field(
        99.0, gt=0, le=100, description="Least share of requests that succeed while an ingress pod dies."
    )
    pod_start_seconds: Number = Field(
        5.0, gt=0, description="Time within which 99 % of pods whose image is there are Ready."
    )
    api_available_percent: Number = Field(
        99.5, gt=0, le=100, description="Least share of good answers of each API server under load."
    )
    minimum_writes_per_second: Number = Field(
        5.0, gt=0, description="Acknowledged writes a second below which a fault run is void."
    )
