"""The inventory as frozen types: what one file may say, and what follows from it.

Field descriptions are the reference page of the inventory and the editor's completion; defaults are
computed here once. Rules that compare fields with each other live in `rules.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from lab.inventory.ranges import AddressRange
from lab.inventory.types import (
    Address,
    DnsLabel,
    Domain,
    HostName,
    LabelKey,
    LabelValue,
    Login,
    Mac,
    Net,
    Number,
    Port,
    PublicKey,
    Seconds,
    Switch,
    Version,
    VersionV,
    Whole,
)


class ProviderName(StrEnum):
    """Who makes the machines."""

    LXC = "lxc"
    VAGRANT = "vagrant"
    PROXMOX = "proxmox"
    STATIC = "static"


class HostRole(StrEnum):
    """What a machine is for."""

    LOAD_BALANCER = "load-balancer"
    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


class Arch(StrEnum):
    """Processor architecture, as Kubernetes spells it."""

    AMD64 = "amd64"
    ARM64 = "arm64"


class Model(BaseModel):
    """Frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class Host(Model):
    """One machine."""

    role: HostRole = Field(description="What the machine is for.")
    address: Address = Field(description="Its static address on the LAN.")
    arch: Arch = Field(Arch.AMD64, description="Processor architecture.")
    os: Literal["debian-12", "ubuntu-22.04", "ubuntu-24.04"] = Field(
        "debian-12", description="Operating system of the machine's image."
    )
    provider: ProviderName | None = Field(None, description="Overrides the lab's provider for this machine.")
    mac: Mac | None = Field(
        None, description="MAC address, lower case; default: derived from lab and host name."
    )
    cpus: Whole = Field(4, ge=1, le=256, description="Virtual CPUs.")
    memory_gib: Whole = Field(8, ge=1, le=4096, description="Memory in GiB.")
    disk_gib: Whole = Field(100, ge=4, le=65536, description="System disk in GiB.")
    hardware: Literal["vm", "raspberry-pi-5"] = Field("vm", description="What the machine is made of.")
    hypervisor: HostName | None = Field(
        None, description="Name of the hypervisor node that carries the machine."
    )
    vmid: Whole | None = Field(
        None,
        ge=100,
        le=999_999_999,
        description="Number of the machine on Proxmox VE; default: the next free one.",
    )
    labels: Mapping[LabelKey, LabelValue] = Field(
        default_factory=dict, description="Kubernetes node labels, as text."
    )


class Network(Model):
    """The LAN of the machines and the networks around it."""

    lan: Net = Field(description="Network of all machines; every address lies in it.")
    gateway: Address = Field(description="Router of the LAN.")
    management: Net | None = Field(None, description="Network of hypervisor and router.")
    router: Address | None = Field(None, description="Router of the management network.")
    nameservers: tuple[Address, ...] = Field((), description="DNS servers; default: the gateway.")
    dhcp: AddressRange | None = Field(None, description="Addresses that a DHCP server of the LAN hands out.")
    vlan: Whole | None = Field(None, ge=1, le=4094, description="VLAN tag of the LAN, if it is tagged.")


class Kubernetes(Model):
    """The cluster."""

    version: VersionV = Field("v1.31.0", description="Kubernetes version.")
    pod_subnet: Net = Field(IPv4Network("10.244.0.0/16"), description="Addresses of pods.")
    service_subnet: Net = Field(IPv4Network("10.96.0.0/12"), description="Addresses of services.")
    node_mask: Whole = Field(
        24, ge=16, le=30, description="Prefix length of each node's part of the pod subnet."
    )
    max_pods: Whole = Field(110, ge=10, le=500, description="Pods a node may run.")
    dns_domain: Domain = Field("cluster.local", description="DNS domain of the cluster.")
    api_port: Port = Field(6443, description="Port of the API servers and of the balancer.")
    proxy_mode: Literal["iptables", "nftables"] = Field("iptables", description="How kube-proxy works.")
    node_monitor_grace_seconds: Whole = Field(
        50, ge=20, le=600, description="How long a node may be silent before it is NotReady."
    )
    single_master: Switch = Field(
        False, description="Allow one control plane machine: no high availability, for experiments only."
    )
    pod_log_max_mib: Whole = Field(
        10, ge=1, le=1024, description="Size at which a container's log is rotated."
    )


class Containerd(Model):
    """The container runtime."""

    version: Version = Field("1.7.28", description="containerd version.")


class LoadBalancer(Model):
    """HAProxy in front of the API servers."""

    check_interval_seconds: Seconds = Field(
        1, description="Pause between two health checks of an API server."
    )
    fall: Whole = Field(2, ge=1, le=20, description="Failed checks after which a server is down.")
    rise: Whole = Field(1, ge=1, le=20, description="Good checks after which a server is up.")
    timeout_connect_seconds: Seconds = Field(5, description="Time to connect to an API server.")
    timeout_idle_seconds: Seconds = Field(3600, description="Idle time of client and server connections.")
    timeout_tunnel_seconds: Seconds = Field(14400, description="Idle time of watches, exec and logs.")


class Pool(Model):
    """Addresses that MetalLB hands out."""

    name: DnsLabel = Field(description="Name of the pool.")
    addresses: tuple[AddressRange, ...] = Field(min_length=1, description="Ranges (A-B) or networks (A/N).")
    auto_assign: Switch = Field(True, description="Hand out to services that ask for no pool.")


class MetalLB(Model):
    """Load balancer addresses by ARP (layer 2)."""

    version: VersionV = Field("v0.15.2", description="MetalLB version.")
    pools: tuple[Pool, ...] = Field(min_length=1, description="Address pools, each announced on the LAN.")


class Flannel(Model):
    """The pod network."""

    version: VersionV = Field("v0.28.10", description="Flannel version.")
    vni: Whole = Field(1, ge=1, le=16777215, description="VXLAN network identifier.")
    port: Port = Field(8472, description="UDP port of the VXLAN.")


class Storage(Model):
    """Persistent volumes."""

    kind: Literal["none", "local-path", "longhorn"] = Field("none", description="Who provides volumes.")


class Exposure(Model):
    """A service of the platform that people reach at a node's port."""

    host: HostName = Field(description="Host whose address people use.")
    port: Whole = Field(ge=30000, le=32767, description="NodePort.")


class Observability(Model):
    """Metrics, logs and alerts of the platform."""

    grafana: Exposure | None = Field(None, description="Where Grafana is reached.")


class Hypervisor(Model):
    """One hypervisor node and what it holds."""

    cpus: Whole = Field(ge=1, description="CPU cores.")
    memory_gib: Whole = Field(ge=1, description="Memory in GiB.")
    disk_gib: Whole = Field(ge=1, description="Disk in GiB.")
    cpu_overcommit: Number = Field(2.0, ge=1, le=16, description="Virtual CPUs for each core.")


class Ssh(Model):
    """How the harness reaches machines."""

    user: Login = Field("plumbline", description="Login, with sudo and without a password.")
    authorized_keys: tuple[PublicKey, ...] = Field(
        (), min_length=1, description="Public keys of people, besides the lab's own."
    )


class Thresholds(Model):
    """Limits of the acceptance suite; defaults are the catalogue's."""

    api_gap_seconds: Number = Field(10.0, gt=0, description="Longest gap of the API when a master dies.")
    leader_seconds: Number = Field(5.0, gt=0, description="Time to a new etcd leader.")
    address_seconds: Number = Field(60.0, gt=0, description="Time until a service has its address.")
    minimum_writes_per_second: Number = Field(
        5.0, gt=0, description="Acknowledged writes a second below which a fault run is void."
    )


class Inventory(Model):
    """One lab."""

    lab: DnsLabel = Field(description="Name of the lab; marks everything that belongs to it.")
    provider: ProviderName = Field(description="Who makes the machines.")
    disposable: Switch = Field(False, description="Faults may be injected; the lab may be broken.")
    network: Network
    hosts: Mapping[HostName, Host] = Field(min_length=1, description="Machines by name.")
    kubernetes: Kubernetes = Kubernetes()
    containerd: Containerd = Containerd()
    load_balancer: LoadBalancer = LoadBalancer()
    flannel: Flannel = Flannel()
    metallb: MetalLB
    storage: Storage = Storage()
    observability: Observability = Observability()
    hypervisors: Mapping[HostName, Hypervisor] = Field(
        default_factory=dict, description="Hypervisor nodes by name."
    )
    ssh: Ssh = Ssh()
    thresholds: Thresholds = Thresholds()

    _notes: tuple[str, ...] = PrivateAttr(())
    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a rehearsal replaced, one line each; empty for an inventory as written."""
        return self._notes

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but tight or unused, one line each."""
        return self._warnings

    def named(self, role: HostRole) -> tuple[str, ...]:
        """Names of the hosts of a role, in the order of the file."""
        return tuple(name for name, host in self.hosts.items() if host.role is role)

    @cached_property
    def balancer(self) -> str:
        """Name of the load balancer's host."""
        return self.named(HostRole.LOAD_BALANCER)[0]

    @cached_property
    def masters(self) -> tuple[str, ...]:
        """Names of the control plane's hosts."""
        return self.named(HostRole.CONTROL_PLANE)

    @cached_property
    def workers(self) -> tuple[str, ...]:
        """Names of the workers."""
        return self.named(HostRole.WORKER)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Names of all Kubernetes nodes."""
        return self.masters + self.workers

    @cached_property
    def endpoint(self) -> str:
        """The control plane endpoint, host:port: always the balancer, even before a single master."""
        return f"{self.hosts[self.balancer].address}:{self.kubernetes.api_port}"

    @cached_property
    def nameservers(self) -> tuple[IPv4Address, ...]:
        """DNS servers of the machines."""
        return self.network.nameservers or (self.network.gateway,)

    def interface(self, name: str) -> IPv4Interface:
        """Address and prefix length of a host."""
        return IPv4Interface((self.hosts[name].address, self.network.lan.prefixlen))

    def mac(self, name: str) -> str:
        """MAC address of a host: its own, or a locally administered one derived from lab and host name."""
        digest = sha256(f"{self.lab}/{name}".encode()).digest()
        return self.hosts[name].mac or ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
