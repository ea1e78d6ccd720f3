"""Virtual machines of the double: copies, changes, power, locks, and what PVE refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.pve.faults import NEVER, TaskScript
from tests.doubles.pve.sizes import GIB, MIB, format_size, parse_size
from tests.unit.doubles.asking import NODE, Asking

VM = f"{NODE}/qemu/101"


def test_a_linked_clone_stands_on_its_template(cluster: Asking) -> None:
    assert cluster.clone(101, name="worker-1") == "OK"
    disk = cluster.get(f"{NODE}/storage/local-lvm/content", vmid=101, content="images")
    assert {line["volid"]: line.get("parent") for line in disk} == {
        "local-lvm:vm-101-disk-0": "local-lvm:base-9000-disk-0",
        "local-lvm:vm-101-cloudinit": None,
    }
    assert cluster.do("DELETE", f"{NODE}/qemu/9000") == (
        "base volume 'local-lvm:base-9000-disk-0' is still in use by linked cloned"
    )


def test_a_full_clone_needs_its_template_no_more(cluster: Asking) -> None:
    assert cluster.clone(101, name="worker-1", full=1, storage="local-lvm") == "OK"
    assert cluster.do("DELETE", f"{NODE}/qemu/9000") == "OK"


def test_a_clone_takes_over_tags_but_no_mac_and_no_identity(cluster: Asking) -> None:
    cluster.ask("PUT", f"{NODE}/qemu/9000/config", tags="Ubuntu;plumbline")
    cluster.clone(101)
    template, clone = (cluster.get(f"{NODE}/qemu/{vmid}/config") for vmid in (9000, 101))
    assert (clone["name"], clone["tags"]) == ("Copy-of-VM-template", "plumbline;ubuntu")
    assert not {"template", "lock"} & set(clone)
    for own in ("net0", "smbios1", "vmgenid", "digest"):
        assert clone[own] != template[own]


@pytest.mark.parametrize("option", [{"storage": "local-lvm"}, {"format": "raw"}])
def test_a_linked_clone_goes_nowhere_else(cluster: Asking, option: dict[str, str]) -> None:
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101, **option)
    assert (answer.status, answer.message) == (
        500,
        f"parameter '{next(iter(option))}' not allowed for linked clones",
    )


def test_only_a_template_can_be_cloned_linked(double: Asking) -> None:
    double.make_template(8000)
    double.create(9000, name="plain")
    answer = double.ask("POST", f"{NODE}/qemu/9000/clone", newid=101, full=0)
    assert (answer.status, answer.message) == (500, "Linked clone feature for 'scsi0' is not available")


def test_a_clone_to_another_node_needs_a_shared_storage(cluster: Asking) -> None:
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101, target="pve-2")
    assert (answer.status, "local storage" in answer.message) == (500, True)
    cluster.world.storages["local-lvm"].shared = True
    cluster.world.storages["local-lvm"].volumes[""] = cluster.world.storages["local-lvm"].volumes["pve-1"]
    assert cluster.clone(101, target="pve-2") == "OK"
    assert cluster.world.vms[101].node == "pve-2"


def test_clones_of_one_template_at_the_same_time_lose(cluster: Asking) -> None:
    first = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    second = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=102)
    assert first.status == 200
    assert (second.status, second.message) == (
        500,
        "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout",
    )
    assert 102 not in cluster.world.vms


def test_a_vm_is_locked_until_its_clone_is_whole(cluster: Asking) -> None:
    cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    assert cluster.get(f"{VM}/status/current")["lock"] == "clone"
    answer = cluster.ask("PUT", f"{VM}/config", cores=4)
    assert (answer.status, answer.message) == (500, "VM is locked (clone)")
    cluster.clock.advance(10)
    assert cluster.ask("PUT", f"{VM}/config", cores=4).status == 200


def test_an_id_is_taken_once(cluster: Asking) -> None:
    cluster.clone(101)
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    assert answer.message == "unable to create VM 101: config file already exists"
    assert cluster.ask("GET", "/cluster/nextid", vmid=101).errors == {"vmid": "VM 101 already exists"}
    assert cluster.get("/cluster/nextid") == "100"


def test_a_clone_that_fails_leaves_nothing(cluster: Asking) -> None:
    cluster.world.faults.tasks("qmclone", TaskScript(error="clone failed: no space left"))
    assert cluster.clone(101) == "clone failed: no space left"
    assert (101 in cluster.world.vms, cluster.world.orphans()) == (False, [])


def test_a_full_storage_ends_a_full_clone(cluster: Asking) -> None:
    storage = cluster.world.storages["local-lvm"]
    storage.foreign_bytes = storage.total - 700 * MIB
    assert "no space left" in cluster.clone(101, full=1)
    assert cluster.world.orphans() == []


def test_a_running_vm_takes_memory_at_its_next_start(cluster: Asking) -> None:
    cluster.clone(101)
    cluster.do("POST", f"{VM}/status/start")
    cluster.ask("PUT", f"{VM}/config", memory=4096, name="renamed")
    assert cluster.get(f"{VM}/config")["memory"] == "4096"
    assert cluster.get(f"{VM}/config", current=1)["memory"] == "2048"
    pending = {line["key"]: line for line in cluster.get(f"{VM}/pending") if "pending" in line}
    assert {key: line["pending"] for key, line in pending.items()} == {"memory": "4096"}
    cluster.do("POST", f"{VM}/status/reset")
    assert cluster.get(f"{VM}/status/current")["maxmem"] == 2 * GIB
    cluster.do("POST", f"{VM}/status/reboot")
    assert cluster.get(f"{VM}/status/current")["maxmem"] == 4 * GIB


def test_a_digest_of_yesterday_is_refused(cluster: Asking) -> None:
    cluster.clone(101)
    old = cluster.get(f"{VM}/config")["digest"]
    assert cluster.ask("PUT", f"{VM}/config", cores=2, digest=old).status == 200
    answer = cluster.ask("PUT", f"{VM}/config", cores=4, digest=old)
    assert answer.message.startswith("detected modified configuration")


@pytest.mark.parametrize(
    ("size", "seen"), [("+10G", "12492M"), ("40G", "40G"), ("1T", "1T"), ("2252M", "2252M")]
)
def test_a_disk_grows(cluster: Asking, size: str, seen: str) -> None:
    cluster.clone(101)
    assert cluster.do("PUT", f"{VM}/resize", disk="scsi0", size=size) == "OK"
    assert cluster.get(f"{VM}/config")["scsi0"] == f"local-lvm:vm-101-disk-0,size={seen}"


def test_a_disk_never_shrinks(cluster: Asking) -> None:
    cluster.clone(101)
    answer = cluster.ask("PUT", f"{VM}/resize", disk="scsi0", size="1G")
    assert (answer.status, answer.message) == (500, "shrinking disks is not supported")
    assert (
        cluster.ask("PUT", f"{VM}/resize", disk="scsi7", size="9G").message == "disk 'scsi7' does not exist"
    )


@pytest.mark.parametrize("text", ["0", "512", "4K", "2252M", "32G", "2T"])
def test_sizes_are_written_as_they_are_read(text: str) -> None:
    assert format_size(parse_size(text)) == text


def test_power_is_one_task_at_a_time(cluster: Asking) -> None:
    cluster.clone(101)
    first = cluster.ask("POST", f"{VM}/status/start")
    second = cluster.ask("POST", f"{VM}/status/start")
    assert cluster.exit_status(second.data) == (
        "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout"
    )
    assert cluster.ask("PUT", f"{VM}/config", cores=2).message.startswith("can't lock file")
    cluster.clock.advance(10)
    assert cluster.exit_status(first.data) == "OK"
    assert cluster.do("POST", f"{VM}/status/start") == "VM 101 already running"
    assert len(cluster.world.journal.happened("vm started", "101")) == 1


def test_a_running_vm_is_not_destroyed(cluster: Asking) -> None:
    cluster.clone(101)
    cluster.do("POST", f"{VM}/status/start")
    assert cluster.ask("DELETE", VM).message == "VM 101 is running - destroy failed"
    assert cluster.do("POST", f"{VM}/status/stop") == "OK"
    assert cluster.do("DELETE", VM) == "OK"
    assert cluster.ask("GET", f"{VM}/config").message.endswith("qemu-server/101.conf' does not exist")
    assert cluster.world.orphans() == []


def test_a_protected_vm_is_not_destroyed(cluster: Asking) -> None:
    cluster.clone(101)
    cluster.ask("PUT", f"{VM}/config", protection=1)
    assert "protection mode" in cluster.ask("DELETE", VM).message


def test_a_shutdown_that_hangs_can_be_overruled(cluster: Asking) -> None:
    cluster.clone(101)
    cluster.do("POST", f"{VM}/status/start")
    cluster.world.faults.tasks("qmshutdown", TaskScript(seconds=NEVER))
    cluster.ask("POST", f"{VM}/status/shutdown")
    assert cluster.do("POST", f"{VM}/status/stop").startswith("can't lock file")
    assert cluster.do("POST", f"{VM}/status/stop", **{"overrule-shutdown": 1}) == "OK"
    assert cluster.get(f"{VM}/status/current")["status"] == "stopped"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"net0": "virtio,bridge=vmbr9"}, "bridge 'vmbr9' does not exist"),
        ({"cicustom": "vendor=local:snippets/none.yaml"}, "can't open '/var/lib/vz/snippets/none.yaml'"),
    ],
)
def test_a_vm_that_cannot_start_says_why(cluster: Asking, options: dict[str, str], text: str) -> None:
    cluster.clone(101)
    assert cluster.ask("PUT", f"{VM}/config", **options).status == 200
    assert cluster.do("POST", f"{VM}/status/start").startswith(text)
    assert cluster.get(f"{VM}/status/current")["status"] == "stopped"


def test_a_template_does_not_start(cluster: Asking) -> None:
    assert cluster.do("POST", f"{NODE}/qemu/9000/status/start") == "you can't start a vm if it's a template"


def test_the_agent_answers_only_when_it_is_there(cluster: Asking) -> None:
    path = f"{VM}/agent/network-get-interfaces"
    cluster.clone(101)
    cluster.ask("PUT", f"{VM}/config", ipconfig0="ip=10.1.1.31/24,gw=10.1.1.1")
    assert cluster.ask("GET", path).message == "VM 101 is not running"
    cluster.world.backing.agent_seconds = 30.0  # type: ignore[attr-defined]
    cluster.do("POST", f"{VM}/status/start")
    assert cluster.ask("GET", path).message == "QEMU guest agent is not running"
    cluster.clock.advance(30)
    found: list[dict[str, Any]] = cluster.get(path)["result"]
    assert [line["name"] for line in found] == ["lo", "eth0"]
    assert found[1]["ip-addresses"][0]["ip-address"] == "10.1.1.31"
    cluster.do("POST", f"{VM}/status/stop")
    cluster.ask("PUT", f"{VM}/config", delete="agent")
    assert cluster.ask("GET", path).message == "No QEMU guest agent configured"


def test_the_ha_manager_starts_and_stops_what_it_manages(cluster: Asking) -> None:
    cluster.clone(101)
    assert cluster.ask("POST", "/cluster/ha/resources", sid="vm:101").status == 200
    cluster.clock.advance(10)
    assert cluster.get(f"{VM}/status/current")["status"] == "running"
    stop = cluster.ask("POST", f"{VM}/status/stop")
    assert ":hastop:" in stop.data
    cluster.clock.advance(10)
    assert cluster.exit_status(stop.data) == "OK"
    assert cluster.get(f"{VM}/status/current")["status"] == "running", "the manager acts after its task"
    cluster.clock.advance(10)
    assert cluster.get(f"{VM}/status/current")["status"] == "stopped"
    assert "HA resources" in cluster.ask("DELETE", VM).message
    assert cluster.do("DELETE", VM, purge=1) == "OK"
    assert cluster.get("/cluster/ha/resources") == []


def test_the_clusters_list_is_as_old_as_its_nodes_last_word(cluster: Asking) -> None:
    def told() -> dict[int, str]:
        return {line["vmid"]: line["status"] for line in cluster.get("/cluster/resources", type="vm")}

    assert told() == {9000: "stopped"}
    cluster.world.tasks.default_seconds = 1
    cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    assert told() == {9000: "stopped", 101: "unknown"}
    cluster.clock.advance(2)
    cluster.ask("POST", f"{VM}/status/start")
    cluster.clock.advance(2)
    assert cluster.get(f"{VM}/status/current")["status"] == "running"
    assert told()[101] == "unknown"
    cluster.clock.advance(10)
    assert told()[101] == "running"
