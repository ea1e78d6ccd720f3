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
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lab.inventory.ranges import AddressRange

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A DNS label (RFC 1123): lower case letters, digits, inner dashes, at most 63 characters."""
Version = Annotated[str, StringConstraints(pattern=r"^v?\d+\.\d+\.\d+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1, le=86400)]


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
    address: IPv4Address = Field(description="Its static address on the LAN.")
    arch: Arch = Field(Arch.AMD64, description="Processor architecture.")
    os: Literal["debian-12", "ubuntu-22.04", "ubuntu-24.04"] = Field(
        "debian-12", description="Operating system of the machine's image."
    )
    provider: ProviderName | None = Field(None, description="Overrides the lab's provider for this machine.")
    mac: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")] | None = Field(
        None, description="MAC address, lower case; default: derived from lab and host name."
    )
    cpus: int = Field(4, ge=1, le=256, description="Virtual CPUs.")
    memory_gib: int = Field(8, ge=1, le=4096, description="Memory in GiB.")
    disk_gib: int = Field(100, ge=4, le=65536, description="System disk in GiB.")
    hardware: Literal["vm", "raspberry-pi-5"] = Field("vm", description="What the machine is made of.")
    hypervisor: str | None = Field(None, description="Name of the hypervisor node that carries the machine.")
    labels: Mapping[str, str] = Field(default_factory=dict, description="Kubernetes node labels, as text.")


class Network(Model):
    """The LAN of the machines and the networks around it."""

    lan: IPv4Network = Field(description="Network of all machines; every address lies in it.")
    gateway: IPv4Address = Field(description="Router of the LAN.")
    management: IPv4Network | None = Field(None, description="Network of hypervisor and router.")
    router: IPv4Address | None = Field(None, description="Router of the management network.")
    nameservers: tuple[IPv4Address, ...] = Field((), description="DNS servers; default: the gateway.")
    dhcp: AddressRange | None = Field(None, description="Addresses that a DHCP server of the LAN hands out.")
    vlan: int | None = Field(None, ge=1, le=4094, description="VLAN tag of the LAN, if it is tagged.")


class Kubernetes(Model):
    """The cluster."""

    version: Version = Field("v1.31.0", description="Kubernetes version.")
    pod_subnet: IPv4Network = Field(IPv4Network("10.244.0.0/16"), description="Addresses of pods.")
    service_subnet: IPv4Network = Field(IPv4Network("10.96.0.0/12"), description="Addresses of services.")
    node_mask: int = Field(24, ge=16, le=30, description="Prefix length of each node's part of the pod subnet.")
    max_pods: int = Field(110, ge=10, le=500, description="Pods a node may run.")
    dns_domain: str = Field("cluster.local", description="DNS domain of the cluster.")
    api_port: Port = Field(6443, description="Port of the API servers and of the balancer.")
    proxy_mode: Literal["iptables", "nftables"] = Field("iptables", description="How kube-proxy works.")
    node_monitor_grace_seconds: int = Field(
        50, ge=20, le=600, description="How long a node may be silent before it is NotReady."
    )
    pod_log_max_mib: int = Field(10, ge=1, le=1024, description="Size at which a container's log is rotated.")


class Containerd(Model):
    """The container runtime."""

    version: Version = Field("1.7.28", description="containerd version.")


class LoadBalancer(Model):
    """HAProxy in front of the API servers."""

    check_interval_seconds: Seconds = Field(1, description="Pause between two health checks of an API server.")
    fall: int = Field(2, ge=1, le=20, description="Failed checks after which a server is down.")
    rise: int = Field(1, ge=1, le=20, description="Good checks after which a server is up.")
    timeout_connect_seconds: Seconds = Field(5, description="Time to connect to an API server.")
    timeout_idle_seconds: Seconds = Field(3600, description="Idle time of client and server connections.")
    timeout_tunnel_seconds: Seconds = Field(14400, description="Idle time of watches, exec and logs.")


class Pool(Model):
    """Addresses that MetalLB hands out."""

    name: DnsLabel = Field(description="Name of the pool.")
    addresses: tuple[AddressRange, ...] = Field(min_length=1, description="Ranges (A-B) or networks (A/N).")
    auto_assign: bool = Field(True, description="Hand out to services that ask for no pool.")


class MetalLB(Model):
    """Load balancer addresses by ARP (layer 2)."""

    version: Version = Field("v0.15.2", description="MetalLB version.")
    pools: tuple[Pool, ...] = Field(min_length=1, description="Address pools, each announced on the LAN.")


class Flannel(Model):
    """The pod network."""

    version: Version = Field("v0.28.10", description="Flannel version.")
    vni: int = Field(1, ge=1, le=16777215, description="VXLAN network identifier.")
    port: Port = Field(8472, description="UDP port of the VXLAN.")


class Storage(Model):
    """Persistent volumes."""

    kind: Literal["none", "local-path", "longhorn"] = Field("none", description="Who provides volumes.")


class Exposure(Model):
    """A service of the platform that people reach at a node's port."""

    host: DnsLabel = Field(description="Host whose address people use.")
    port: int = Field(ge=30000, le=32767, description="NodePort.")


class Observability(Model):
    """Metrics, logs and alerts of the platform."""

    grafana: Exposure | None = Field(None, description="Where Grafana is reached.")


class Hypervisor(Model):
    """One hypervisor node and what it holds."""

    cpus: int = Field(ge=1, description="CPU cores.")
    memory_gib: int = Field(ge=1, description="Memory in GiB.")
    disk_gib: int = Field(ge=1, description="Disk in GiB.")
    cpu_overcommit: float = Field(2.0, ge=1, le=16, description="Virtual CPUs for each core.")


class Ssh(Model):
    """How the harness reaches machines."""

    user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = Field(
        "plumbline", description="Login, with sudo and without a password."
    )
    authorized_keys: tuple[str, ...] = Field((), description="Public keys of people, besides the lab's own.")


class Thresholds(Model):
    """Limits of the acceptance suite; defaults are the catalogue's."""

    api_gap_seconds: float = Field(10.0, gt=0, description="Longest gap of the API when a master dies.")
    leader_seconds: float = Field(5.0, gt=0, description="Time to a new etcd leader.")
    address_seconds: float = Field(60.0, gt=0, description="Time until a service has its address.")
    minimum_writes_per_second: float = Field(
        5.0, gt=0, description="Acknowledged writes a second below which a fault run is void."
    )


class Inventory(Model):
    """One lab."""

    lab: DnsLabel = Field(description="Name of the lab; marks everything that belongs to it.")
    provider: ProviderName = Field(description="Who makes the machines.")
    disposable: bool = Field(False, description="Faults may be injected; the lab may be broken.")
    network: Network
    hosts: Mapping[DnsLabel, Host] = Field(min_length=1, description="Machines by name.")
    kubernetes: Kubernetes = Kubernetes()
    containerd: Containerd = Containerd()
    load_balancer: LoadBalancer = LoadBalancer()
    flannel: Flannel = Flannel()
    metallb: MetalLB
    storage: Storage = Storage()
    observability: Observability = Observability()
    hypervisors: Mapping[str, Hypervisor] = Field(default_factory=dict, description="Hypervisor nodes by name.")
    ssh: Ssh = Ssh()
    thresholds: Thresholds = Thresholds()

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
