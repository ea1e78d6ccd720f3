"""The inventory as frozen types: what one file may say, and what follows from it.

Field descriptions are the reference page of the inventory and the editor's completion; defaults are
computed here once. Rules that compare fields with each other live in `rules/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Interface
from typing import Literal, Self, TypeVar

from pydantic import Field, PrivateAttr

from lab.inventory.providers import ProviderName, rules_of
from lab.inventory.reaction import CHECK_TIMEOUT, REACTIONS, ApiChecks, Reaction
from lab.inventory.sections import (
    Containerd,
    HostPower,
    Hypervisor,
    Kubernetes,
    LoadBalancer,
    LoadProfile,
    Model,
    Network,
    SshSection,
    Thresholds,
    Verify,
)
from lab.inventory.settled import REBUILD, RECONFIGURE
from lab.inventory.types import (
    Address,
    DnsLabel,
    HostKey,
    HostName,
    LabelKey,
    LabelValue,
    Mac,
    Number,
    Switch,
    System,
    Whole,
)


class HostRole(StrEnum):
    """What a machine is for."""

    LOAD_BALANCER = "load-balancer"
    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


class Arch(StrEnum):
    """Processor architecture, as Kubernetes spells it."""

    AMD64 = "amd64"
    ARM64 = "arm64"


class Host(Model):
    """One machine."""

    role: HostRole = Field(description="What the machine is for.")
    address: Address = Field(description="Its static address on the LAN.", json_schema_extra=REBUILD)
    arch: Arch = Field(Arch.AMD64, description="Processor architecture.")
    os: System = Field("debian-12", description="Operating system of the machine's image.")
    provider: ProviderName | None = Field(None, description="Overrides the lab's provider for this machine.")
    mac: Mac | None = Field(
        None, description="MAC address, lower case; default: derived from lab and host name."
    )
    cpus: Whole = Field(
        4,
        ge=1,
        le=256,
        description="Virtual CPUs; a container shares this machine's, without a limit.",
    )
    memory_gib: Whole = Field(
        8, ge=1, le=4096, description="Memory in GiB; a container shares this machine's, without a limit."
    )
    disk_gib: Whole = Field(
        100,
        ge=4,
        le=65536,
        description="System disk in GiB; a container writes to this machine's disk, without a limit.",
    )
    hardware: Literal["vm", "raspberry-pi-5"] = Field("vm", description="What the machine is made of.")
    hypervisor: HostName | None = Field(
        None, description="Name of the hypervisor node that carries the machine."
    )
    vmid: Whole | None = Field(
        None,
        ge=100,
        le=999_999_999,
        description="Number of the machine at its hypervisors; default: the next free one.",
    )
    host_key: HostKey | None = Field(
        None,
        description="SSH host key (ed25519, public) of a machine that exists; default: the key of its seed.",
    )
    power: HostPower = Field(
        default_factory=lambda: HostPower(), description="How a machine that exists is switched."
    )
    labels: Mapping[LabelKey, LabelValue] = Field(
        default_factory=dict,
        description="Kubernetes node labels, as text; not for the load balancer, which is no node.",
    )


S = TypeVar("S", bound=Model)


class Inventory(Model):
    """One lab.

    The sections of add-ons and providers are fields as well, which their folders bring: a file is read into
    `lab.inventory.complete.inventory_model()`, and code asks for a section by its class.
    """

    lab: DnsLabel = Field(description="Name of the lab; marks everything that belongs to it.")
    provider: ProviderName = Field(description="Who makes the machines.")
    disposable: Switch = Field(
        False, description="Faults may be injected; the lab may be broken, and is destroyed unasked."
    )
    patience: Number = Field(
        1.0,
        ge=1,
        le=60,
        description="How many times longer everything may take on slow machines before it is given up; the "
        "thresholds stay.",
        json_schema_extra=RECONFIGURE,
    )
    network: Network
    hosts: Mapping[HostName, Host] = Field(min_length=1, description="Machines by name.")
    kubernetes: Kubernetes = Field(default_factory=Kubernetes)
    containerd: Containerd = Field(default_factory=Containerd)
    load_balancer: LoadBalancer = LoadBalancer()
    hypervisors: Mapping[HostName, Hypervisor] = Field(
        default_factory=dict, description="Hypervisor nodes by name."
    )
    ssh: SshSection = SshSection()
    load: Mapping[DnsLabel, LoadProfile] = Field(
        default_factory=dict, description="Load profiles by name; `default` is there without being written."
    )
    thresholds: Thresholds = Thresholds()
    verify: Verify = Verify()

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

    def told(self, notes: tuple[str, ...], warnings: tuple[str, ...]) -> Self:
        """The same inventory with what there is to say about it."""
        copy = self.model_copy()
        copy._notes, copy._warnings = notes, warnings
        return copy

    def section(self, kind: type[S]) -> S:
        """The section of an add-on or provider by its class. Raises `LookupError` when the lab has none."""
        found = self.find(kind)
        if found is None:
            raise LookupError(f"{self.lab}: the inventory has no section of {kind.__module__}")
        return found

    def find(self, kind: type[S]) -> S | None:
        """The section of an add-on or provider by its class; None when the lab has none."""
        values = (getattr(self, key) for key in type(self).model_fields)
        return next((value for value in values if isinstance(value, kind)), None)

    def number(self, path: str) -> int:
        """The number at SECTION.KEY. Raises `LookupError` when there is none."""
        section, _, key = path.partition(".")
        found = getattr(getattr(self, section, None), key, None)
        if not isinstance(found, int):
            raise LookupError(f"{path}: the inventory has no number there")
        return found

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
    def load_profiles(self) -> Mapping[str, LoadProfile]:
        """The load profiles by name, `default` among them."""
        return {"default": LoadProfile(), **self.load}

    @cached_property
    def reaction(self) -> Reaction:
        """The times of the chosen reaction."""
        return REACTIONS[self.kubernetes.reaction]

    @cached_property
    def grace_seconds(self) -> int:
        """How long a node may be silent before it is NotReady."""
        return min(self.kubernetes.node_monitor_grace_seconds, self.reaction.grace or 600)

    @cached_property
    def api_checks(self) -> ApiChecks:
        """How the balancer looks at API servers; a lab that is patient is so with them, too."""
        pause = self.load_balancer.check_interval_seconds * 1000
        connect = self.load_balancer.timeout_connect_seconds
        return ApiChecks(
            milliseconds=round(self.patience * min(pause, self.reaction.check_milliseconds or pause)),
            fall=self.load_balancer.fall,
            connect=round(self.patience * min(connect, self.reaction.connect or connect)),
            timeout=round(self.patience * CHECK_TIMEOUT),
        )

    @cached_property
    def client_environment(self) -> Mapping[str, str]:
        """For every client of the API: when it leaves a dead connection (Kubernetes' own names)."""
        return {
            "HTTP2_READ_IDLE_TIMEOUT_SECONDS": str(self.reaction.read_idle),
            "HTTP2_PING_TIMEOUT_SECONDS": str(self.reaction.ping),
        }

    @cached_property
    def api_environment(self) -> Mapping[str, str]:
        """By what a pod reaches the API before, and without, kube-proxy: through the balancer.

        On a fresh node the API's ClusterIP does not work yet, and what starts early would wait 30 s for it.
        """
        return {
            "KUBERNETES_SERVICE_HOST": self.addresses[self.balancer],
            "KUBERNETES_SERVICE_PORT": str(self.kubernetes.api_port),
            **self.client_environment,
        }

    @cached_property
    def nameservers(self) -> tuple[IPv4Address, ...]:
        """DNS servers of the machines."""
        return self.network.nameservers or (self.network.gateway,)

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """Address of each host as text, by name: every host's files list all of them, so they are kept."""
        return {name: str(host.address) for name, host in self.hosts.items()}

    @cached_property
    def name_table(self) -> str:
        """A line `ADDRESS NAME` for each host, as hosts(5) has them."""
        return "\n".join(f"{address} {name}" for name, address in self.addresses.items())

    def provided_by(self, name: str) -> ProviderName:
        """Who makes a machine."""
        return self.hosts[name].provider or self.provider

    def makes(self, name: str) -> bool:
        """Whether the machine is made, with the MAC address we give it, or exists already."""
        return rules_of(self.provided_by(name)).makes

    def interface(self, name: str) -> IPv4Interface:
        """Address and prefix length of a host."""
        return IPv4Interface((self.hosts[name].address, self.network.lan.prefixlen))

    def mac(self, name: str) -> str:
        """MAC address of a host: its own, or a locally administered one derived from lab and host name."""
        digest = sha256(f"{self.lab}/{name}".encode()).digest()
        return self.hosts[name].mac or ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))
