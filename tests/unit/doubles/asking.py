"""Asking the double without a socket, on a clock that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.pve.api import Answer, Api, Headers
from tests.doubles.pve.clock import ManualClock
from tests.doubles.pve.fixture import IMAGE_SHA256, IMAGE_URL, TOKEN, USER, furnish
from tests.doubles.pve.world import World

NODE = "/nodes/pve-1"
VM = f"{NODE}/qemu/101"


@dataclass
class Asking:
    """A double of its own, asked with the token of a build; tasks take 10 s."""

    folder: Path
    major: int = 8
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.world = World(major=self.major, clock=self.clock, task_seconds=10)
        self.secret = furnish(self.world)
        self.world.put_snippets("local", self.folder)
        self.api = Api(self.world)
        self.headers = Headers(f"PVEAPIToken={USER}!{TOKEN}={self.secret}")

    def snippet(self, name: str, text: str, node: str = "pve-1") -> None:
        """Put a snippet into a node's own folder, as somebody would who is logged in there."""
        (self.folder / node / name).write_text(text)

    def ask(self, method: str, path: str, **parameters: object) -> Answer:
        """One request; `_` in a parameter's name stands for `-`."""
        given = {key.replace("_", "-"): str(value) for key, value in parameters.items()}
        return self.api.ask(method, path, given, self.headers)

    def get(self, path: str, **parameters: object) -> Any:
        """The data of a request that must succeed."""
        answer = self.ask("GET", path, **parameters)
        assert answer.status == 200, answer
        return answer.data

    def do(self, method: str, path: str, **parameters: object) -> str:
        """Run a task to its end; gives back its exit status."""
        answer = self.ask(method, path, **parameters)
        assert answer.status == 200, answer
        self.clock.advance(10)
        return self.exit_status(answer.data)

    def exit_status(self, upid: str) -> str:
        """How a task ended."""
        node = upid.split(":")[1]
        found = self.get(f"/nodes/{node}/tasks/{upid}/status")
        assert found["status"] == "stopped", found
        return str(found["exitstatus"])

    def make_template(self, vmid: int = 9000) -> None:
        """From an image on a web server to a template, as an operator would."""
        done = self.do(
            "POST",
            f"{NODE}/storage/local/download-url",
            url=IMAGE_URL,
            content="import",
            filename="jammy.qcow2",
            checksum=IMAGE_SHA256,
            checksum_algorithm="sha256",
        )
        assert done == "OK"
        assert self.create(vmid, name="template") == "OK"
        assert self.do("POST", f"{NODE}/qemu/{vmid}/template") == "OK"

    def create(self, vmid: int, **options: object) -> str:
        """A VM with a disk from the image and a cloud-init drive; the exit status of its making."""
        given: dict[str, object] = {
            "memory": 2048,
            "scsi0": "local-lvm:0,import-from=local:import/jammy.qcow2",
            "ide2": "local-lvm:cloudinit",
            "net0": "virtio,bridge=vmbr0",
            "agent": "enabled=1",
        }
        return self.do("POST", f"{NODE}/qemu", vmid=vmid, **given | options)

    def clone(self, newid: int, **options: object) -> str:
        """A clone of the template; the exit status of its making."""
        return self.do("POST", f"{NODE}/qemu/9000/clone", newid=newid, **options)
