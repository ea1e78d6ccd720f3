"""What the double lets nobody do: rights, parameters, storages, tasks, and failures on order."""

from __future__ import annotations

import hashlib

import pytest

from tests.doubles.pve.access import Caller
from tests.doubles.pve.answers import Dropped
from tests.doubles.pve.api import Headers
from tests.doubles.pve.faults import TaskScript
from tests.doubles.pve.fixture import IMAGE_URL, RIGHTS, ROLE, TOKEN, USER
from tests.doubles.pve.parameters import MISSING, UNKNOWN
from tests.doubles.pve.sizes import GIB
from tests.doubles.pve.state import Vnet
from tests.unit.doubles.asking import NODE, Asking

VM = f"{NODE}/qemu/101"


# --- who asks


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (Headers(), "No ticket"),
        (
            Headers("PVEAPIToken=plumbline@pve!build=11111111-2222-3333-4444-555555555555"),
            "invalid token value!",
        ),
        (Headers("PVEAPIToken=plumbline@pve!nope=1"), "no such token 'nope' for user 'plumbline@pve'"),
        (Headers("PVEAPIToken=plumbline"), "invalid token format"),
        (Headers(cookie="PVE:root@pam:1::x"), "permission denied - invalid PVE ticket"),
    ],
)
def test_strangers_are_not_let_in(double: Asking, headers: Headers, text: str) -> None:
    answer = double.api.ask("GET", "/version", headers=headers)
    assert (answer.status, answer.message) == (401, text)


def test_a_ticket_needs_its_csrf_token_and_grows_old(double: Asking) -> None:
    given = {"username": USER, "password": "a password"}
    ticket = double.api.ask("POST", "/access/ticket", given).data
    cookie, csrf = ticket["ticket"], ticket["CSRFPreventionToken"]
    made = {"poolid": "lab"}
    assert double.api.ask("POST", "/pools", made, Headers(cookie=cookie)).status == 401
    assert double.api.ask("POST", "/pools", made, Headers(cookie=cookie, csrf=csrf)).status == 200
    double.clock.advance(7200)
    assert double.api.ask("GET", "/version", headers=Headers(cookie=cookie)).status == 401
    assert double.api.ask("POST", "/access/ticket", given | {"password": cookie}).status == 401
    assert double.world.journal.requests[0].parameters["password"] == "***"


# --- what they may


def test_c19_a_separated_token_without_rights_sees_an_empty_world(cluster: Asking) -> None:
    access = cluster.world.access
    access.acl = [entry for entry in access.acl if "!" not in entry.who]
    assert cluster.get("/cluster/resources", type="vm") == []
    assert cluster.get(f"{NODE}/storage") == []
    assert cluster.get("/access/permissions") == {}
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    assert (answer.status, answer.message) == (403, "Permission check failed (/vms/9000, VM.Clone)")


def test_a_token_that_is_not_separated_has_its_users_rights(double: Asking) -> None:
    secret = double.world.access.add_token(USER, "whole", separated=False)
    headers = Headers(f"PVEAPIToken={USER}!whole={secret}")
    assert double.api.ask("GET", "/cluster/status", headers=headers).status == 200


@pytest.mark.parametrize(
    ("privilege", "path"),
    [
        ("VM.Clone", "/vms/9000"),
        ("VM.Allocate", "/vms/101"),
        ("Datastore.AllocateSpace", "/storage/local-lvm"),
    ],
)
def test_a_clone_names_the_right_that_is_missing(cluster: Asking, privilege: str, path: str) -> None:
    cluster.world.access.roles[ROLE] -= {privilege}
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    assert (answer.status, answer.message) == (403, f"Permission check failed ({path}, {privilege})")
    assert 101 not in cluster.world.vms


@pytest.mark.parametrize(
    ("option", "privilege", "path"),
    [
        ({"cores": 4}, "VM.Config.CPU", "/vms/101"),
        ({"memory": 4096}, "VM.Config.Memory", "/vms/101"),
        ({"tags": "a"}, "VM.Config.Options", "/vms/101"),
        ({"scsihw": "virtio-scsi-single"}, "VM.Config.HWType", "/vms/101"),
        ({"net0": "virtio,bridge=vmbr0,tag=20"}, "SDN.Use", "/sdn/zones/localnetwork/vmbr0/20"),
        ({"scsi1": "local-lvm:8"}, "VM.Config.Disk", "/vms/101"),
    ],
)
def test_a_change_needs_the_right_of_its_option(
    cluster: Asking, option: dict[str, object], privilege: str, path: str
) -> None:
    cluster.clone(101)
    assert cluster.ask("PUT", f"{VM}/config", **option).status == 200
    cluster.world.access.roles[ROLE] -= {privilege}
    answer = cluster.ask("PUT", f"{VM}/config", **option)
    assert (answer.status, answer.message) == (403, f"Permission check failed ({path}, {privilege})")


def test_rights_pass_on_and_nearer_ones_replace_them(double: Asking) -> None:
    access = double.world.access
    access.acl = []
    access.grant("/", "a@pve", "PVEAuditor")
    access.grant("/vms", "a@pve", "NoAccess", propagate=False)
    access.grant("/vms/7000", "a@pve", "Administrator")
    caller = Caller("a@pve")
    assert access.allows(caller, "/nodes/pve-1", "Sys.Audit")
    assert not access.allows(caller, "/vms", "VM.Audit")
    assert access.allows(caller, "/vms/101", "VM.Audit")
    assert not access.allows(caller, "/vms/101", "VM.Allocate")
    assert access.allows(caller, "/vms/7000", "VM.Allocate")
    assert access.rights(caller, "/")["VM.Audit"]


def test_a_pool_gives_its_rights_to_its_vms(cluster: Asking) -> None:
    cluster.ask("POST", "/pools", poolid="lab")
    cluster.clone(101, pool="lab")
    access = cluster.world.access
    access.acl = []
    for who in (USER, f"{USER}!{TOKEN}"):
        access.grant("/pool/lab", who, ROLE)
    assert cluster.ask("GET", f"{VM}/config").status == 200
    assert cluster.ask("GET", f"{NODE}/qemu/9000/config").status == 403
    assert [line["vmid"] for line in cluster.get("/pools/lab")["members"]] == [101]


def test_pve_9_knows_other_privileges(double: Asking) -> None:
    nine = Asking(double.folder, major=9)
    eight = double
    for asked, refused in ((nine, "VM.Monitor"), (eight, "VM.GuestAgent.Audit")):
        asked.world.access.roles[ROLE] |= {"Sys.Modify"}
        answer = asked.ask("POST", "/access/roles", roleid="Other", privs=f"VM.Audit,{refused}")
        assert answer.errors == {"privs": f"invalid format - invalid privilege '{refused}'\n"}
    assert nine.get("/version")["release"] == "9.0"
    assert nine.ask("POST", "/cluster/ha/groups", group="lab", nodes="pve-1").status == 500
    assert eight.ask("GET", "/cluster/ha/rules").status == 501
    assert nine.get("/cluster/ha/rules") == []


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


def test_an_order_of_starts_needs_a_right_over_the_nodes(cluster: Asking) -> None:
    cluster.clone(101)
    answer = cluster.ask("PUT", f"{VM}/config", startup="order=1")
    assert (answer.status, answer.message) == (403, "Permission check failed (/, Sys.Modify)")
    cluster.world.access.roles[ROLE] |= {"Sys.Modify"}
    assert cluster.ask("PUT", f"{VM}/config", startup="order=1").status == 200


def test_the_bridges_of_a_source_count_for_its_clone(cluster: Asking) -> None:
    cluster.world.access.roles[ROLE] -= {"SDN.Use"}
    answer = cluster.ask("POST", f"{NODE}/qemu/9000/clone", newid=101)
    path = "/sdn/zones/localnetwork/vmbr0"
    assert (answer.status, answer.message) == (403, f"Permission check failed ({path}, SDN.Use)")


def test_a_vnet_is_a_bridge_whose_rights_are_in_its_zone(cluster: Asking) -> None:
    cluster.clone(101)
    cluster.world.vnets["labnet"] = Vnet("zone1", nodes=("pve-1",))
    listed = {node: cluster.get(f"/nodes/{node}/network", type="any_bridge") for node in ("pve-1", "pve-2")}
    assert [[line["iface"] for line in lines] for lines in listed.values()] == [
        ["vmbr0", "labnet"],
        ["vmbr0"],
    ]
    assert len(cluster.get(f"{NODE}/network", type="any_local_bridge")) == 1
    assert cluster.ask("PUT", f"{VM}/config", net0="virtio,bridge=labnet,tag=20").status == 200
    assert cluster.do("POST", f"{VM}/status/start") == "vm vlans are not allowed on vnet labnet"
    cluster.world.vnets["labnet"].vlan_aware = True
    assert cluster.do("POST", f"{VM}/status/start") == "OK"
    access = cluster.world.access
    access.roles[ROLE] -= {"SDN.Use"}
    for path in ("/sdn/zones/localnetwork", "/sdn/zones/zone1/labnet/20"):
        access.add_role(f"net{len(path)}", ["SDN.Use"])
        for who in (USER, f"{USER}!{TOKEN}"):
            access.grant(path, who, f"net{len(path)}")
    assert cluster.ask("PUT", f"{VM}/config", net0="virtio,bridge=labnet,tag=20").status == 200
    refused = cluster.ask("PUT", f"{VM}/config", net0="virtio,bridge=labnet,tag=21")
    assert refused.message == "Permission check failed (/sdn/zones/zone1/labnet/21, SDN.Use)"


def test_only_version_9_tells_what_memory_is_available(double: Asking) -> None:
    nine = Asking(double.folder, major=9)
    for asked in (double, nine):
        asked.world.nodes["pve-1"].cache = 100 * GIB
    eight, newer = (asked.get(f"{NODE}/status")["memory"] for asked in (double, nine))
    assert "available" not in eight
    assert (eight["free"], newer["free"], newer["available"]) == (28 * GIB, 28 * GIB, 128 * GIB)


def test_the_fixtures_rights_are_those_of_a_build(double: Asking) -> None:
    assert set(RIGHTS.split()) <= double.world.access.privileges
