"""P1-14: who gets in, on surveys of machines of our making and of others."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.access import is_closed
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Bundle
from tests.fakes import CONTAINERS, FULL_MACHINES
from tests.host_survey import surveyed
from tests.world import INVENTORY, inventory

OURS = "ssh-ed25519 AAAAours plumbline"
SETTINGS = {
    "passwordauthentication": ["no"],
    "kbdinteractiveauthentication": ["no"],
    "permitrootlogin": ["no"],
    "usedns": ["no"],
    "allowusers": ["lab"],
    "maxsessions": ["50"],
    "maxstartups": ["50:30:100"],
    "permitemptypasswords": ["no"],
    "hostbasedauthentication": ["no"],
    "strictmodes": ["yes"],
    "authorizedkeyscommand": ["none"],
    "trustedusercakeys": ["none"],
    "authorizedkeysfile": [".ssh/authorized_keys .ssh/authorized_keys2"],
}
SUDO = [{"User_List": [{"username": "root"}]}, {"User_List": [{"usergroup": "sudo"}]}]


def account(name: str, number: int = 1000, shell: str = "/usr/sbin/nologin", **more: Any) -> dict[str, Any]:
    rest = {"password": "locked", "groups": [], "keys": []}
    return {"name": name, "number": number, "shell": shell} | rest | more


def key(line: str, home: str = "/home/lab") -> dict[str, str]:
    return {"file": f"{home}/.ssh/authorized_keys", "line": line}


def secret(path: str, kind: str = "key", server: str = "", *, is_open: bool = False) -> dict[str, Any]:
    return {"path": path, "kind": kind, "server": server, "open": is_open}


def judge(
    lab: Inventory,
    wanted: Bundle,
    *accounts: dict[str, Any],
    traits: Traits = CONTAINERS,
    sshd: dict[str, list[str]] | None = None,
    sudo: tuple[dict[str, Any], ...] = (),
    secrets: tuple[dict[str, Any], ...] = (),
) -> None:
    user = lab.ssh.user
    settings = SETTINGS | {"allowusers": [user]}
    good = [
        account(
            "root",
            0,
            "/bin/bash",
            keys=[key(f'command="echo Please login as the user {user}" {OURS}', "/root")],
        ),
        account("sync", 4, "/bin/sync"),
        account(user, 1000, "/bin/bash", keys=[key(OURS)]),
        account("haproxy", 101),
    ]
    named = {item["name"] for item in accounts}
    survey = surveyed(
        wanted,
        accounts=[*(item for item in good if item["name"] not in named), *accounts],
        sshd={"root from 192.0.2.1": settings | (sshd or {}), f"{user} from 10.1.1.1": settings},
        sudo=[*SUDO, {"User_List": [{"username": user}]}, *sudo],
        secrets=[*secrets],
    )
    is_closed(lab, wanted, traits, survey, OURS)


def test_a_machine_as_it_was_made_is_closed(
    lab: Inventory, master: Bundle, worker: Bundle, balancer: Bundle, full: Bundle
) -> None:
    seed = secret("/var/lib/cloud/instances/i/user-data.txt")
    own = (secret("/etc/kubernetes/admin.conf", server=lab.endpoint), secret("/etc/kubernetes/pki/ca.key"))
    judge(lab, master, secrets=(seed, *own))
    for wanted in (worker, balancer):
        judge(lab, wanted, secrets=(seed,))
    judge(lab, full, traits=FULL_MACHINES)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"passwordauthentication": ["yes"]},
            r"passwordauthentication yes \(for root from 192.0.2.1\), not no",
        ),
        ({"allowusers": ["lab", "eve"]}, "allowusers lab eve"),
        ({"permitrootlogin": ["without-password"]}, "permitrootlogin without-password"),
        ({"permitemptypasswords": ["yes"]}, "permitemptypasswords yes"),
        ({"authorizedkeyscommand": ["/usr/bin/keys"]}, "authorizedkeyscommand /usr/bin/keys"),
        ({"trustedusercakeys": ["/etc/ssh/ca.pub"]}, "trustedusercakeys"),
        ({"authorizedkeysfile": ["/etc/keys/%u"]}, "authorizedkeysfile /etc/keys/%u"),
    ],
)
def test_effective_settings_count(
    lab: Inventory, worker: Bundle, settings: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(AssertionError, match=f"(?s)ways into the machine.*sshd: {says}"):
        judge(lab, worker, sshd=settings)


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (account("toor", 0), "toor: is root by another name"),
        (account("eve", shell="/bin/sh"), r"eve: has a shell \(/bin/sh\)"),
        (account("eve", password="set"), "eve: has a password"),
        (account("eve", password="empty"), "eve: needs no password"),
        (account("www-data", 33, groups=["docker"]), "www-data: is in docker"),
        (
            account("root", 0, "/bin/bash", keys=[key("ssh-rsa AAAAx eve@home", "/root")]),
            r"root: .*AAAAx \(eve@home\)",
        ),
        (account("games", 5, keys=[key(OURS)]), "games: .*lets in"),
    ],
)
def test_accounts_and_keys_are_closed_lists(
    lab: Inventory, worker: Bundle, who: dict[str, Any], says: str
) -> None:
    with pytest.raises(AssertionError, match=says):
        judge(lab, worker, who)


def test_a_second_key_of_our_own_user_is_named(lab: Inventory, worker: Bundle) -> None:
    user = account(lab.ssh.user, 1000, "/bin/bash", keys=[key(OURS), key('from="*" ssh-rsa AAAAx eve')])
    with pytest.raises(AssertionError, match=r"AAAAx \(eve\)"):
        judge(lab, worker, user)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ({"username": "eve"}, "eve"),
        ({"username": "ALL"}, "ALL"),
        ({"usergroup": "dev"}, "%dev"),
        ({"useralias": "A"}, "useralias A"),
    ],
)
def test_rules_of_sudo_are_a_closed_list(
    lab: Inventory, worker: Bundle, one: dict[str, str], says: str
) -> None:
    with pytest.raises(AssertionError, match=f"sudo: {says} may run"):
        judge(lab, worker, sudo=({"User_List": [one]},))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (secret("/root/join.yaml", "token"), "holds a token to join"),
        (secret("/etc/kubernetes/bootstrap-kubelet.conf", "token"), "holds a token to join"),
        (secret("/home/lab/.kube/config", server="10.1.1.50:6443"), "a client's key for the cluster's API"),
        (secret("/etc/kubernetes/pki/ca.key"), "worker-1 is no master"),
        (secret("/etc/kubernetes/admin.conf", server="10.1.1.50:6443"), "a client's key"),
        (secret("/tmp/key.pem"), "a private key that nobody declared"),
        (secret("/var/lib/cloud/seed/nocloud/user-data", is_open=True), "every account can read it"),
    ],
)
def test_secrets_that_were_left_are_named(
    lab: Inventory, worker: Bundle, found: dict[str, Any], says: str
) -> None:
    with pytest.raises(AssertionError, match=f"{found['path']}: .*{says}"):
        judge(lab, worker, secrets=(found,))


def test_what_is_the_owners_on_another_machine_is_left_alone(worker: Bundle) -> None:
    lab = inventory(INVENTORY.replace("provider: lxc", "provider: static"))
    own = account(
        "owner", 1001, "/bin/zsh", password="set", groups=["sudo"], keys=[key("ssh-rsa AAAAx", "/home/o")]
    )
    rule = {"User_List": [{"username": "owner"}]}
    other = (secret("/root/.kube/config", server="192.0.2.7:6443"), secret("/home/o/key.pem"))
    judge(lab, worker, own, traits=FULL_MACHINES, sudo=(rule,), secrets=other)
    with pytest.raises(AssertionError, match="holds a client's key"):
        judge(lab, worker, traits=FULL_MACHINES, secrets=(secret("/root/c", server="10.1.1.50:6443"),))
