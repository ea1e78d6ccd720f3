"""What the double takes: parameters, images, tasks, and failures on order."""

from __future__ import annotations

import hashlib

import pytest

from tests.doubles.pve.answers import Dropped
from tests.doubles.pve.faults import TaskScript
from tests.doubles.pve.fixture import IMAGE_URL, TOKEN, USER
from tests.doubles.pve.parameters import MISSING, UNKNOWN
from tests.doubles.pve.sizes import GIB
from tests.unit.doubles.asking import NODE, VM, Asking

# --- what is well formed


@pytest.mark.parametrize(
    ("options", "errors"),
    [
        ({"colour": "red"}, {"colour": UNKNOWN}),
        ({"cores": 0}, {"cores": "value must have a minimum value of 1"}),
        ({"cores": "many"}, {"cores": "type check ('integer') failed - got 'many'"}),
        ({"onboot": "True!"}, {"onboot": "type check ('boolean') failed - got 'True!'"}),
        ({"name": "a_b"}, {"name": "invalid format - value does not look like a valid DNS name"}),
        ({"sshkeys": "ssh-ed25519 AAAA x"}, {"sshkeys": "invalid format - invalid urlencoded string"}),
        ({"sshkeys": "ssh-ed25519+AAAA"}, {"sshkeys": "invalid format - invalid urlencoded string"}),
        ({"sshkeys": "ssh-rsa%20AA/AA"}, {"sshkeys": "invalid format - invalid urlencoded string"}),
        ({"sshkeys": "ssh-rsa%20AA:"}, {"sshkeys": "invalid format - invalid urlencoded string"}),
        (
            {"nameserver": "10.1.1.1 x"},
            {"nameserver": "invalid format - value does not look like a valid address: x"},
        ),
    ],
)
def test_c10_a_wrong_parameter_is_named(
    cluster: Asking, options: dict[str, object], errors: dict[str, str]
) -> None:
    cluster.clone(101)
    before = cluster.get(f"{VM}/config")
    answer = cluster.ask("PUT", f"{VM}/config", **options)
    assert (answer.status, answer.message, answer.errors) == (400, "Parameter verification failed.", errors)
    assert cluster.get(f"{VM}/config") == before


def test_all_wrong_parameters_are_named_at_once(cluster: Asking) -> None:
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=7, full="perhaps", x=1)
    assert set(answer.errors) == {"newid", "full", "x"}
    assert cluster.ask("POST", f"{NODE}/qemu/9000/clone").errors == {"newid": MISSING}


def test_a_boolean_may_be_a_word(cluster: Asking) -> None:
    assert cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101, full=True).status == 200


@pytest.mark.parametrize(
    ("drive", "status", "text"),
    [
        ("local-lvm:8,import-from=local:import/jammy.qcow2", 400, "'import-from' requires special syntax"),
        ("local-lvm:0,import-from=/root/jammy.qcow2", 500, "Only root can pass arbitrary filesystem paths."),
        (
            "local-lvm:0,import-from=local:import/none.qcow2",
            500,
            "volume 'local:import/none.qcow2' does not exist",
        ),
        ("local-lvm:0,import-from=local:iso/jammy.img", 400, "has wrong type 'iso'"),
        ("local:0,import-from=local:import/jammy.qcow2", 400, "does not support vm images"),
        ("nowhere:8", 500, "storage 'nowhere' does not exist"),
    ],
)
def test_an_import_is_as_strict_as_pves(cluster: Asking, drive: str, status: int, text: str) -> None:
    cluster.do(
        "POST", f"{NODE}/storage/local/download-url", url=IMAGE_URL, content="iso", filename="jammy.img"
    )
    answer = cluster.ask("POST", f"{NODE}/qemu", vmid=200, scsi0=drive)
    assert answer.status == status
    assert text in answer.message + "".join(answer.errors.values())
    assert 200 not in cluster.world.vms


# --- images


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"filename": "jammy.img"}, "wrong file extension"),
        ({"content": "snippets", "filename": "x.yaml"}, "does not have a value in the enumeration"),
        ({"checksum": "00"}, "missing property - 'checksum' requires this property"),
        ({"url": "ftp://x/y"}, "value does not match the regex pattern"),
    ],
)
def test_a_download_is_looked_at_first(double: Asking, options: dict[str, str], text: str) -> None:
    given = {"url": IMAGE_URL, "content": "import", "filename": "jammy.qcow2"} | options
    answer = double.ask("POST", f"{NODE}/storage/local/download-url", **given)
    assert (answer.status, text in "".join(answer.errors.values())) == (400, True)


def test_a_wrong_checksum_stores_nothing(double: Asking) -> None:
    given = {"checksum": hashlib.sha256(b"other").hexdigest(), "checksum_algorithm": "sha256"}
    path = f"{NODE}/storage/local/download-url"
    done = double.do("POST", path, url=IMAGE_URL, content="import", filename="jammy.qcow2", **given)
    assert done.startswith("checksum mismatch: got ")
    assert double.get(f"{NODE}/storage/local/content") == []


def test_a_storage_takes_only_its_content(double: Asking) -> None:
    double.world.storages["local"].content = ("iso", "vztmpl", "backup")
    path = f"{NODE}/storage/local/download-url"
    answer = double.ask("POST", path, url=IMAGE_URL, content="import", filename="jammy.qcow2")
    assert (answer.status, "'import' content" in answer.message) == (500, True)


# --- tasks and failures on order


def test_a_task_tells_how_it_ended(cluster: Asking) -> None:
    cluster.world.faults.tasks("qmclone", TaskScript(warning="a guest is odd"))
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    upid = answer.data
    assert len(upid.split(":")) == 9
    assert upid.split(":")[5:8] == ["qmclone", "9000", f"{USER}!{TOKEN}"]
    path = f"{NODE}/tasks/{upid}"
    running = cluster.get(f"{path}/status")
    assert (running["status"], "exitstatus" in running) == ("running", False)
    cluster.clock.advance(10)
    assert cluster.get(f"{path}/status")["exitstatus"] == "WARNINGS: 1"
    assert [line["t"] for line in cluster.get(f"{path}/log")] == ["WARN: a guest is odd", "TASK WARNINGS: 1"]
    assert cluster.get(f"{path}/log", start=1, limit=1)[0]["n"] == 2


def test_a_task_may_hide_at_first_and_end_without_a_word(cluster: Asking) -> None:
    cluster.world.faults.tasks("qmclone", TaskScript(hidden_polls=2, no_status=True))
    path = f"{NODE}/tasks/{cluster.ask('POST', f'{NODE}/qemu/9000/clone', newid=101).data}/status"
    cluster.clock.advance(10)
    for _ in range(2):
        assert cluster.ask("GET", path).errors == {"upid": "no such task"}
    assert "exitstatus" not in cluster.get(path)


def test_a_failure_strikes_at_its_chance_and_not_again(cluster: Asking) -> None:
    cluster.world.faults.answer("GET", r"/nodes/pve-1/qemu/\d+/config", 599, "Too many redirections", nth=2)
    asked = [cluster.ask("GET", f"{NODE}/qemu/9000/config").status for _ in range(3)]
    assert asked == [200, 599, 200]


@pytest.mark.parametrize("after", [True, False])
def test_a_dropped_connection_may_have_done_its_work(cluster: Asking, after: bool) -> None:
    cluster.world.faults.drop("POST", r".*/clone", after=after)
    with pytest.raises(Dropped):
        cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    assert (101 in cluster.world.vms) == after
    assert cluster.world.journal.asked("POST", ".*/clone", newid="101")[0].status == -1


def test_the_journal_knows_what_was_sent_twice(cluster: Asking) -> None:
    assert cluster.world.journal.repeated() == []
    for _ in range(2):
        cluster.ask("PUT", f"{NODE}/qemu/9000/config", description="once")
    assert [request.path for request in cluster.world.journal.repeated()] == [f"{NODE}/qemu/9000/config"]


def test_a_node_that_is_down_is_behind_a_pseudo_code(cluster: Asking) -> None:
    cluster.world.nodes["pve-2"].down = True
    assert cluster.ask("GET", "/nodes/pve-2/qemu").status == 595
    assert {line["node"]: line["status"] for line in cluster.get("/nodes")}["pve-2"] == "offline"


@pytest.mark.parametrize("path", ["/nodes/pve-1.example.test/status", "/nodes/pve-1.example.test/qemu"])
def test_a_name_that_resolves_and_is_no_node_s_is_not_trusted(double: Asking, path: str) -> None:
    double.world.other_names.add("pve-1.example.test")
    answer = double.ask("GET", path)
    assert (answer.status, "certificate verify failed" in answer.message) == (596, True)


def test_only_version_9_tells_what_memory_is_available(double: Asking) -> None:
    nine = Asking(double.folder, major=9)
    for asked in (double, nine):
        asked.world.nodes["pve-1"].cache = 100 * GIB
    eight, newer = (asked.get(f"{NODE}/status")["memory"] for asked in (double, nine))
    assert "available" not in eight
    assert (eight["free"], newer["free"], newer["available"]) == (28 * GIB, 28 * GIB, 128 * GIB)
