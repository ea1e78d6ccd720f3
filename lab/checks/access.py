"""Who gets into a machine and who becomes root there: effective settings and closed lists (P1-14)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from lab.checks import left_secrets
from lab.checks.verbs import nothing
from lab.hosts.survey import Account, HostSurvey, PublicKey
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Bundle

SSHD = "/etc/ssh/sshd_config.d/10-plumbline.conf"
OUTSIDE = "192.0.2.1"
"""An address of nobody (RFC 5737): what holds for it holds for the world."""
ALWAYS = {"permitemptypasswords": "no", "hostbasedauthentication": "no", "strictmodes": "yes"}
CLOSED = {
    "authorizedkeyscommand": "none",
    "trustedusercakeys": "none",
    "authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
}
"""Other ways for a key to be taken; sshd_config(5)'s own values."""
NO_LOGIN = ("nologin", "false", "sync", "halt", "shutdown")
SUDOERS = ("root", "%sudo", "%admin")
"""Whom Debian and Ubuntu let become root; the groups have no members that a role does not name."""
AS_ROOT = ("sudo", "admin", "docker", "lxd", "disk", "shadow")
"""Groups whose members are root in all but name."""


def asked(inventory: Inventory) -> list[tuple[str, str]]:
    """For which account and address of a client sshd's settings are to be asked of a host."""
    places = (str(inventory.network.gateway), OUTSIDE)
    return [(account, place) for account in (inventory.ssh.user, "root") for place in places]


def is_closed(inventory: Inventory, bundle: Bundle, traits: Traits, survey: HostSurvey, own_key: str) -> None:
    """Nobody gets in whom the inventory does not name. Raises `Mismatch` with every way that is open.

    `own_key` is the harness's public key. Accounts, rules of sudo and keys are closed lists on machines of
    our making; on others they are their owner's, whom sshd does not let in (AllowUsers).
    """
    accounts = survey.accounts
    wrong = [*_sshd(bundle, survey.sshd, strict=traits.layered), *_everywhere(accounts)]
    if inventory.makes(survey.host) and not traits.management_mac:
        wrong += _keys(accounts, {own_key, *inventory.ssh.authorized_keys}, inventory.ssh.user)
    if traits.layered:
        wrong += _accounts(accounts, inventory.ssh.user)
        wrong += _sudo(survey.sudo, inventory.ssh.user)
    wrong += left_secrets.trouble(inventory, traits, survey)
    command = "sshd -T -C user=root,host=x,addr=192.0.2.1; getent passwd; cvtsudoers -f json /etc/sudoers"
    nothing("ways into the machine", wrong, rule="those of the inventory", command=command, host=survey.host)


def _sshd(bundle: Bundle, said: Mapping[str, Mapping[str, Sequence[str]]], *, strict: bool) -> Iterator[str]:
    """Settings that sshd would use otherwise than rendered; a line for each, with the clients it is for."""
    text = next(file.text for file in bundle.files if file.path == SSHD)
    wanted = {key.lower(): value for key, _, value in (line.partition(" ") for line in text.splitlines())}
    wanted |= ALWAYS | (CLOSED if strict else {})
    for key, value in wanted.items():
        found: dict[str, list[str]] = {}
        for client, settings in said.items():
            seen = " ".join(settings.get(key, ()))
            if seen != value and (key != "authorizedkeysfile" or seen not in value.split()):
                found.setdefault(seen or "nothing", []).append(client)
        for seen, clients in found.items():
            whom = "" if len(clients) == len(said) else f" (for {', '.join(clients)})"
            yield f"sshd: {key} {seen}{whom}, not {value}"


def _everywhere(accounts: Iterable[Account]) -> Iterator[str]:
    for one in accounts:
        if one.number == 0 and one.name != "root":
            yield f"account {one.name}: is root by another name (number 0)"
        if one.password == "empty":
            yield f"account {one.name}: needs no password"


def _accounts(accounts: Iterable[Account], user: str) -> Iterator[str]:
    for one in accounts:
        if one.name not in ("root", user) and one.shell.rpartition("/")[2] not in NO_LOGIN:
            yield f"account {one.name}: has a shell ({one.shell}), and the inventory does not name it"
        if one.password == "set":
            yield f"account {one.name}: has a password; all that are ours have keys"
        strange = [group for group in one.groups if group in AS_ROOT and one.name not in ("root", user)]
        if strange:
            yield f"account {one.name}: is in {', '.join(strange)}, whose members are as good as root"


def _keys(accounts: Iterable[Account], known: Iterable[str], user: str) -> Iterator[str]:
    """Keys that the inventory does not name, of whichever account."""
    ours = {_body(key) for key in known}
    for one in accounts:
        for key in one.keys:
            # cloud-init lets nobody in by root's: its line says whom to be instead
            refers = one.name == "root" and "Please login as the user" in key.line
            if not refers and (_body(key.line) not in ours or one.name != user):
                yield f"account {one.name}: {key.file} lets in {_shown(key)}"


def _body(line: str) -> str:
    """The key itself, behind its options and before its comment."""
    words = line.split()
    return next((after for word, after in pairwise(words) if _is_type(word)), line)


def _is_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-"))


def _shown(key: PublicKey) -> str:
    body = _body(key.line)
    comment = key.line.rpartition(body)[2].strip()
    return f"…{body[-16:]}{f' ({comment})' if comment else ''}"


def _sudo(rules: Sequence[Mapping[str, object]], user: str) -> Iterator[str]:
    """Whom sudo lets become somebody else, beside those whom Debian and the inventory name."""
    for rule in rules:
        for one in _of(rule.get("User_List")):
            name = one.get("username") or ("%" + one["usergroup"] if "usergroup" in one else "")
            if name not in (*SUDOERS, user):
                who = name or ", ".join(f"{kind} {value}" for kind, value in one.items())
                yield f"sudo: {who} may run commands as others"


def _of(value: object) -> list[Mapping[str, str]]:
    return value if isinstance(value, list) else []
