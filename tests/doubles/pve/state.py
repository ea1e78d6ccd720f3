"""What a cluster consists of: nodes, storages with their volumes, virtual machines, pools."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from tests.doubles.pve.answers import ApiError
from tests.doubles.pve.contract_vm import CLOUD_INIT
from tests.doubles.pve.formats import property_string
from tests.doubles.pve.sizes import GIB

Config = dict[str, str]
"""Options of a VM as its configuration file has them."""
DRIVE = re.compile(r"(ide|scsi|virtio)\d+")


@dataclass
class Volume:
    """One file or logical volume.

    `used` bytes are taken from the storage, `virtual` is the size of the disk in an image file, `parent` the
    base of a linked clone.
    """

    volid: str
    content: str
    size: int
    used: int
    format: str
    vmid: int = 0
    parent: str = ""
    ctime: int = 0
    data: bytes = b""
    virtual: int = 0


@dataclass
class Storage:
    """A storage as `/etc/pve/storage.cfg` has it. Not shared: each node has volumes of its own.

    `nodes` restricts it to some nodes; empty for all.
    """

    name: str
    kind: str
    content: tuple[str, ...]
    total: int = 1024 * GIB
    shared: bool = False
    nodes: tuple[str, ...] = ()
    enabled: bool = True
    foreign_bytes: int = 0
    """Bytes taken by what is none of the double's volumes."""
    volumes: dict[str, dict[str, Volume]] = field(default_factory=dict)
    """By node ("" on a shared storage), then by volume id."""

    @property
    def file_based(self) -> bool:
        return self.kind in ("dir", "nfs", "cifs", "cephfs", "btrfs")

    @property
    def thin(self) -> bool:
        """Whether a linked clone's volume is named without its base."""
        return self.kind == "lvmthin"

    def on(self, node: str) -> dict[str, Volume]:
        """The volumes a node sees."""
        return self.volumes.setdefault("" if self.shared else node, {})

    def used(self, node: str) -> int:
        return self.foreign_bytes + sum(volume.used for volume in self.on(node).values())

    def free(self, node: str) -> int:
        return max(0, self.total - self.used(node))

    def usable_on(self, node: str) -> bool:
        return self.enabled and (not self.nodes or node in self.nodes)


@dataclass
class Node:
    """One hypervisor. `bridges` may have VLANs or not; `down` ones answer nothing."""

    name: str
    cpus: int = 32
    memory: int = 128 * GIB
    bridges: dict[str, bool] = field(default_factory=lambda: {"vmbr0": True})
    nameservers: tuple[str, ...] = ("192.0.2.53",)
    search: str = "example.test"
    down: bool = False
    cache: int = 0
    """Bytes of memory that the kernel's caches hold and give back when they are wanted."""


@dataclass
class Vnet:
    """A VNet of an SDN zone: to machines a bridge, on all nodes or on the zone's `nodes`."""

    zone: str
    vlan_aware: bool = False
    nodes: tuple[str, ...] = ()

    def on(self, node: str) -> bool:
        return not self.nodes or node in self.nodes


@dataclass
class Vm:
    """A virtual machine: its configuration, what is pending until the next start, and its power.

    `seed` is what its cloud-init drive holds, by file name; it is made at start and by a regeneration.
    """

    vmid: int
    node: str
    config: Config = field(default_factory=dict)
    pending: Config = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    status: str = "stopped"
    paused: bool = False
    started_at: float = 0.0
    booted_at: float = 0.0
    seed: dict[str, str] = field(default_factory=dict)
    running: Config = field(default_factory=dict)
    """The configuration the process was started with."""

    @property
    def name(self) -> str:
        return self.config.get("name", f"VM {self.vmid}")

    @property
    def lock(self) -> str:
        return self.config.get("lock", "")

    @property
    def template(self) -> bool:
        return self.config.get("template") == "1"

    @property
    def digest(self) -> str:
        """SHA-1 of the configuration file, pending part included."""
        lines = [f"{key}: {value}" for key, value in sorted(self.config.items())]
        lines += ["[PENDING]", *(f"{key}: {value}" for key, value in sorted(self.pending.items()))]
        lines += [f"delete: {key}" for key in sorted(self.deleted)]
        return hashlib.sha1("\n".join(lines).encode()).hexdigest()

    @property
    def wanted(self) -> Config:
        """The configuration of the next start."""
        kept = {key: value for key, value in self.config.items() if key not in self.deleted}
        return kept | self.pending

    def drives(self) -> dict[str, dict[str, str]]:
        """Drives by name, each as its words; `file` is the volume id or `none`."""
        return {key: parse_drive(value) for key, value in self.config.items() if DRIVE.fullmatch(key)}

    def apply_pending(self, keys: set[str] | None = None) -> None:
        """Make what is pending real, or only these keys."""
        for key in list(self.pending):
            if keys is None or key in keys:
                self.config[key] = self.pending.pop(key)
        for key in sorted(self.deleted):
            if keys is None or key in keys:
                self.config.pop(key, None)
                self.deleted.discard(key)

    def unlocked(self) -> Vm:
        """This VM. Raises `ApiError` while a lock is on its configuration."""
        if self.lock:
            raise ApiError(500, f"VM is locked ({self.lock})")
        return self


@dataclass
class Pool:
    """A resource pool and its VMs."""

    poolid: str
    comment: str = ""
    vmids: set[int] = field(default_factory=set)


def parse_drive(value: str) -> dict[str, str]:
    """The words of a drive; nothing is refused, the API has looked at them before."""
    names = tuple({word.partition("=")[0] for word in value.split(",")[1:]} - {"file"})
    return property_string(value, ("file", *names))


def write_drive(words: dict[str, str]) -> str:
    """A drive's words in one line, `file` first and the size last, as PVE writes them."""
    others = sorted(set(words) - {"file", "size"})
    names = [*others, *(["size"] if "size" in words else [])]
    return ",".join([words["file"], *(f"{name}={words[name]}" for name in names)])


def is_cloud_init_option(key: str) -> bool:
    """Whether an option ends in the cloud-init drive."""
    return key in CLOUD_INIT or key.startswith("ipconfig")
