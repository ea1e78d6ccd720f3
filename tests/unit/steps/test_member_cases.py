"""Faults that people reported of members that join a cluster, each under its number, as whole builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import PreflightError
from lab.operations import build as operation
from lab.steps import joining
from lab.steps.context import Context
from lab.steps.engine import listed, something_to_do
from tests import born
from tests.fakes import FakeClock
from tests.world import CERTIFICATE_KEY, INVENTORY, TOKEN, World, inventory

pytestmark = pytest.mark.usefixtures("healthy")

OTHERS = "".join(f"  master-{n}: {{role: control-plane, address: 10.1.1.1{n}}}\n" for n in (2, 3))
ONE = INVENTORY.replace(OTHERS, "") + "kubernetes: {single_master: true}\n"


def build(world: World) -> bool:
    made = world.build()
    try:
        return made.engine.execute(operation.steps(made))
    finally:
        made.run.close()


def kept(folder: Path) -> str:
    """Everything that is kept in a folder, as text."""
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_c16_masters_join_a_cluster_that_was_born_with_one(world: World) -> None:
    world.inventory = inventory(ONE)
    assert build(world)
    assert born.configuration(world)["controlPlaneEndpoint"] == "10.1.1.50:6443"
    world.inventory = inventory()
    assert build(world)
    assert set(world.etcd) == {"master-1", "master-2", "master-3"}
    assert [verb for verb, _ in world.verbs()].count("init") == 1


def test_c16_the_first_masters_certificate_lacks_the_others_and_reconfigure_adds_them(world: World) -> None:
    world.inventory = inventory(ONE)
    build(world)
    assert "master-2" not in world.hosts["master-1"].names
    world.inventory = inventory()
    build(world)
    made = world.build()
    with pytest.raises(PreflightError, match=r"certificate names: the certificate lacks .*master-2") as told:
        listed(operation.steps(made))
    made.run.close()
    assert told.value.next_step == "invoke reconfigure"


@pytest.mark.parametrize("left", [{}, {"kubeconfig": "clusters: [{name: of-another-lab}]\n"}])
def test_c17_a_member_is_replaced_from_any_checkout(
    world: World, tmp_path: Path, left: dict[str, str]
) -> None:
    """Nothing that a join needs is kept beside the inventory; what lies there of another lab is not used."""
    build(world)
    world.lose("master-2")
    world.kubeadm_runs.clear()
    world.folder = tmp_path / "another"
    for name, text in left.items():
        (world.folder / ".lab" / "test").mkdir(parents=True)
        (world.folder / ".lab" / "test" / name).write_text(text)
    assert build(world)
    [(verb, host, document)] = world.kubeadm_runs
    assert (verb, host) == ("join", "master-2")
    assert document["controlPlane"]["certificateKey"] == CERTIFICATE_KEY
    made = world.build()
    assert not something_to_do(listed(operation.steps(made)))
    made.run.close()


def test_c17_each_join_has_secrets_of_its_own_however_long_the_build_lasts(
    up: World, context: Context, clock: FakeClock
) -> None:
    """A certificate key lives two hours: here the second join comes after 130 minutes."""
    up.becomes_member("master-1", founding=True)
    joining.join(context, "master-2")
    clock.now += 130 * 60
    joining.join(context, "master-3")
    assert len(up.ssh.commands("token create --ttl 20m")) == 2
    assert len(up.ssh.commands("upload-certs")) == 2
    assert len(up.ssh.commands(f"delete secret bootstrap-token-{TOKEN[:6]} kubeadm-certs")) == 2


def test_c17_no_secret_of_a_join_is_kept(world: World, tmp_path: Path) -> None:
    build(world)
    said = kept(tmp_path)
    assert "kubeadm" in said
    assert CERTIFICATE_KEY not in said
    assert TOKEN not in said
