"""The double with real machines behind it, and commands of people who are in the machines' network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.artifacts.toolchain import host_arch
from lab.render.roles import all_packages
from tests.doubles.pve.fixture import Double, furnish
from tests.doubles.pve.lxc_backing import LxcBacking
from tests.doubles.pve.server import Server
from tests.doubles.pve.world import World

ROOT = Path(__file__).parents[3]
NETWORK = "pve-double"
"""Name of the network namespace's lab; the lab that is built has a name of its own."""
MACHINES = Path("/var/lib/plumbline") / NETWORK
HERE = "127.0.0.1"
"""The API's address, within the namespace."""


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code, and both of its streams together."""

    code: int
    output: str


@dataclass(frozen=True)
class Backed:
    """A double at work, and its network."""

    double: Double
    backing: LxcBacking

    def invoke(self, inventory: Path, task: str, *arguments: str, seconds: float = 900) -> Done:
        """Run one task on an inventory, on a machine of the lab's network."""
        inside = ["nsenter", f"--net=/run/netns/plumbline-{NETWORK}", "--"]
        module = [sys.executable, "-m", "tests.doubles.pve.containers"]
        environment = os.environ | {
            "PLUMBLINE_PROXMOX_SECRET": self.double.secret,
            "PYTEST_PLUGINS": "tests.doubles.pve.containers",
        }
        done = subprocess.run(
            [*inside, *module, task, "-i", str(inventory), *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout + done.stderr)


@contextmanager
def backed(folder: Path, router: IPv4Interface, nodes: tuple[str, ...]) -> Iterator[Backed]:
    """The double in a network of its own with the address `router`; nothing is left afterwards."""
    image = debian_tree(Store(), all_packages(), host_arch(), say=lambda _text: None)
    backing = LxcBacking(NETWORK, MACHINES, router, image)
    backing.open()
    try:
        world = World(backing=backing, task_seconds=0.2)
        secret = furnish(world, nodes)
        world.put_snippets("local", folder / "snippets")
        with _serve_inside(backing, world, folder) as server:
            yield Backed(Double(world, server, secret), backing)
    finally:
        backing.close()


def _serve_inside(backing: LxcBacking, world: World, folder: Path) -> Server:
    """A server whose socket was opened in the machines' network; this process stays where it is."""

    def listen() -> Server:
        backing.enter()
        return Server(world, folder, HERE, 8006)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(listen).result()
