"""The double as a pytest fixture: a small cluster, a token with a build's rights, an image to fetch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doubles.pve.backing import Backing
from tests.doubles.pve.clock import Clock
from tests.doubles.pve.server import Server
from tests.doubles.pve.sizes import GIB, MIB
from tests.doubles.pve.state import Node, Pool, Storage, Vm
from tests.doubles.pve.world import Image, World

USER, TOKEN, ROLE = "plumbline@pve", "build", "Plumbline"
RIGHTS = (
    "VM.Allocate VM.Clone VM.Audit VM.PowerMgmt VM.Config.Disk VM.Config.CPU VM.Config.Memory "
    "VM.Config.Network VM.Config.HWType VM.Config.Options VM.Config.CDROM VM.Config.Cloudinit "
    "Datastore.Audit Datastore.AllocateSpace Datastore.AllocateTemplate SDN.Use Pool.Audit "
    "Pool.Allocate Sys.Audit Sys.Console Sys.AccessNetwork"
)
AGENT_RIGHTS = {8: "VM.Monitor", 9: "VM.GuestAgent.Audit"}
IMAGE_URL = "https://images.example.test/jammy/current/jammy-server-cloudimg-amd64.img"
IMAGE = Image(b"\x51\x46\x49\xfb a cloud image", 600 * MIB, 2252 * MIB)
IMAGE_SHA256 = hashlib.sha256(IMAGE.data).hexdigest()


@dataclass(frozen=True)
class Double:
    """A running double: `world` to set up and to judge, `server` to talk to, `secret` of the token."""

    world: World
    server: Server
    secret: str

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def snippets(self) -> Path:
        """The snippets of the storage `local`: in here, each node has a folder of its own."""
        return self.world.snippets["local"]

    @property
    def token_id(self) -> str:
        """user@realm!token."""
        return f"{USER}!{TOKEN}"

    def add_pool(self, name: str) -> None:
        """A pool without machines."""
        self.world.pools[name] = Pool(name)

    def add_foreign_vm(self, vmid: int, name: str, node: str = "pve-1") -> Vm:
        """A VM of somebody else's."""
        vm = self.world.vms[vmid] = Vm(vmid, node, {"name": name, "cores": "2", "memory": "2048"})
        return vm


def furnish(world: World, nodes: tuple[str, ...] = ("pve-1", "pve-2", "pve-3")) -> str:
    """Nodes, storages, user and image of a small cluster; gives back the token's secret."""
    world.nodes = {name: Node(name) for name in nodes}
    world.storages = {
        "local": Storage("local", "dir", ("iso", "vztmpl", "backup", "snippets", "import"), 200 * GIB),
        "local-lvm": Storage("local-lvm", "lvmthin", ("images", "rootdir"), 1800 * GIB),
    }
    world.web[IMAGE_URL] = IMAGE
    access = world.access
    access.add_user("root@pam", "a root password")
    access.add_user(USER, "a password")
    access.add_role(ROLE, [*RIGHTS.split(), AGENT_RIGHTS[world.major]])
    secret = access.add_token(USER, TOKEN)
    for who in (USER, f"{USER}!{TOKEN}"):
        access.grant("/", who, ROLE)
    return secret


def running(
    folder: Path,
    *,
    major: int = 8,
    nodes: tuple[str, ...] = ("pve-1", "pve-2", "pve-3"),
    task_seconds: float = 0.02,
    clock: Clock | None = None,
    backing: Backing | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Double]:
    """A double for as long as the caller iterates."""
    world = World(major=major, clock=clock, backing=backing, task_seconds=task_seconds)
    secret = furnish(world, nodes)
    world.put_snippets("local", folder / "snippets")
    with Server(world, folder, host) as server:
        yield Double(world, server, secret)


@pytest.fixture
def pve(tmp_path: Path) -> Iterator[Double]:
    """PVE 8.4 with three nodes on 127.0.0.1."""
    yield from running(tmp_path)


@pytest.fixture
def pve9(tmp_path: Path) -> Iterator[Double]:
    """The same cluster with PVE 9.0."""
    yield from running(tmp_path, major=9)
