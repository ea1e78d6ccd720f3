"""Every valid inventory's output, taken by the programs that hosts run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.inventory import load
from lab.inventory.models import HostRole, Inventory
from lab.local import Completed
from lab.providers.base import Traits
from lab.render.bundle import pins
from lab.render.outputs import host_outputs
from lab.ssh import Keys
from lab.verify.programs import FILE, INSIDE, Programs
from tests.unit.inventory.table import VALID


@pytest.fixture(scope="module")
def programs() -> Programs:
    return Programs.provide(say=print)


def one_of_each_kind(lab: Inventory) -> list[str]:
    """The first host of each role, and of each hardware."""
    kinds = {(host.role, host.hardware): name for name, host in reversed(list(lab.hosts.items()))}
    return list(kinds.values())


def good(done: Completed) -> None:
    assert done.code == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [*VALID, Path("production")], ids=lambda path: path.stem)
def test_the_programs_take_every_valid_inventory(
    programs: Programs, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path))
    lab = load(str(path))
    for name in one_of_each_kind(lab):
        found = host_outputs(lab, Traits(), pins(), Keys(lab.lab), name)
        files = {where.partition("/")[2]: text for where, text in found}
        good(
            programs.in_debian(
                ["nft", "--file", f"{INSIDE}/rules"], {"rules": files["root/etc/nftables.conf"]}
            )
        )
        if lab.hosts[name].role is HostRole.LOAD_BALANCER:
            text = files["root/etc/haproxy/haproxy.cfg"]
            good(programs.in_debian(["haproxy", "-c", "-f", f"{INSIDE}/cfg"], {"cfg": text}))
        seeds = [key for key in files if key.endswith("user-data") or key.startswith("proxmox/plumb")]
        assert len(seeds) == 1
        command = ["cloud-init", "schema", "--config-file", f"{INSIDE}/seed"]
        good(programs.in_debian(command, {"seed": files[seeds[0]]}))
        for key in (key for key in files if key.startswith("kubeadm/")):
            command = [str(programs.kubeadm), "config", "validate", "--config", FILE]
            good(programs.over_file(command, files[key]))
