"""What the double lets nobody do without a right to it."""

from __future__ import annotations

import pytest

from tests.doubles.pve.access import Caller
from tests.doubles.pve.api import Headers
from tests.doubles.pve.fixture import RIGHTS, ROLE, TOKEN, USER
from tests.doubles.pve.state import Vnet
from tests.unit.doubles.asking import NODE, VM, Asking

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


def test_the_fixtures_rights_are_those_of_a_build(double: Asking) -> None:
    assert set(RIGHTS.split()) <= double.world.access.privileges
