"""One VM of the double with a real machine behind it: born of its drive, seen by its agent, gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.ssh import key_pair
from lab.waits import NotYet, wait_for
from tests.doubles.pve.api import Api, Headers
from tests.doubles.pve.backed import NETWORK, Backed, backed
from tests.doubles.pve.fixture import IMAGE_URL
from tests.soon import SOON

NODE, ADDRESS = "/nodes/pve-1", "10.1.1.31"
VM = f"{NODE}/qemu/101"


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    with backed(tmp_path_factory.mktemp("pve"), IPv4Interface("10.1.1.1/24"), ("pve-1",)) as machines:
        yield machines


def ask(machines: Backed, method: str, path: str, **parameters: object) -> Any:
    """The data of a request that must succeed, with the build's token."""
    double = machines.double
    headers = Headers(f"PVEAPIToken={double.token_id}={double.secret}")
    given = {key: str(value) for key, value in parameters.items()}
    answer = Api(double.world).ask(method, path, given, headers)
    assert answer.status == 200, answer
    return answer.data


def do(machines: Backed, method: str, path: str, **parameters: object) -> None:
    """Run a task to its good end."""
    upid = ask(machines, method, path, **parameters)

    def probe() -> str:
        told = ask(machines, "GET", f"{NODE}/tasks/{upid}/status")
        if told["status"] == "running":
            raise NotYet(f"{path} runs")
        return str(told["exitstatus"])

    assert wait_for(path, probe, seconds=SOON) == "OK"


def test_a_machine_is_what_its_drive_says(machines: Backed, tmp_path: Path) -> None:
    key = key_pair(tmp_path / "key", "test").public
    vendor = "locale: C.UTF-8\nssh_genkeytypes: [ed25519]\nruncmd: [[touch, /run/from-vendor-data]]\n"
    (machines.double.snippets / "pve-1" / "v.yaml").write_text(f"#cloud-config\n{vendor}")
    fetch = {"url": IMAGE_URL, "content": "import", "filename": "image.qcow2"}
    do(machines, "POST", f"{NODE}/storage/local/download-url", **fetch)
    do(
        machines,
        "POST",
        f"{NODE}/qemu",
        vmid=101,
        name="worker-1",
        memory=2048,
        agent="enabled=1",
        scsi0="local-lvm:0,import-from=local:import/image.qcow2",
        ide2="local-lvm:cloudinit",
        net0="virtio=52:54:00:0A:01:1F,bridge=vmbr0",
        ipconfig0=f"ip={ADDRESS}/24,gw=10.1.1.1",
        nameserver="10.1.1.1",
        ciuser="ops",
        ciupgrade=0,
        sshkeys=quote(key, safe=""),
        cicustom="vendor=local:snippets/v.yaml",
    )
    do(machines, "POST", f"{VM}/status/start")

    def told() -> str:
        """What the machine says of itself to whoever the drive lets in."""
        inside = ["nsenter", f"--net=/run/netns/plumbline-{NETWORK}", "ssh", "-i", str(tmp_path / "key")]
        options = [
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ]
        remote = "cat /run/cloud-init/result.json && hostname && ls /run/from-vendor-data && sudo id -un"
        argv = [*inside, *options, f"ops@{ADDRESS}", remote]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SOON, check=False)
        if done.returncode:
            raise NotYet(done.stderr.strip()[-200:])
        return done.stdout

    said = wait_for("a machine that lets ops in", told, seconds=SOON, interval=1)
    assert said.split()[-3:] == ["worker-1", "/run/from-vendor-data", "root"]
    assert '"errors": []' in said


def test_its_agent_knows_its_address(machines: Backed) -> None:
    found = ask(machines, "GET", f"{VM}/agent/network-get-interfaces")["result"]
    card = next(line for line in found if line["hardware-address"] == "52:54:00:0a:01:1f")
    assert ADDRESS in [address["ip-address"] for address in card["ip-addresses"]]


def test_it_is_gone_with_its_vm(machines: Backed) -> None:
    do(machines, "POST", f"{VM}/status/stop")
    do(machines, "DELETE", VM)
    assert list(Path(f"/var/lib/plumbline/{NETWORK}/machines").iterdir()) == []
    assert machines.double.world.orphans() == []
