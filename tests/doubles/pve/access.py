"""Who asks, and what they may: users, API tokens, tickets, roles, and access control lists by path."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.doubles.pve.answers import ApiError, wrong
from tests.doubles.pve.clock import Clock

TICKET_SECONDS = 7200.0
_KNOWN = {
    "VM": (
        "Allocate Audit Backup Clone Config.CDROM Config.CPU Config.Cloudinit Config.Disk "
        "Config.HWType Config.Memory Config.Network Config.Options Console Migrate PowerMgmt "
        "Snapshot Snapshot.Rollback"
    ),
    "Datastore": "Allocate AllocateSpace AllocateTemplate Audit",
    "Pool": "Allocate Audit",
    "SDN": "Allocate Audit Use",
    "Sys": "AccessNetwork Audit Console Incoming Modify PowerMgmt Syslog",
    "Mapping": "Audit Modify Use",
    "Group": "Allocate",
    "Permissions": "Modify",
    "Realm": "Allocate AllocateUser",
    "User": "Modify",
}
PRIVILEGES = frozenset(f"{area}.{what}" for area, words in _KNOWN.items() for what in words.split(" "))
ONLY_8 = frozenset({"VM.Monitor"})
ONLY_9 = frozenset(
    f"VM.GuestAgent.{what}" for what in ("Audit", "FileRead", "FileWrite", "FileSystemMgmt", "Unrestricted")
) | {"VM.Replicate"}
ROOT = "root@pam"


@dataclass(frozen=True)
class Caller:
    """Who sent a request: user@realm, and the token's name when it came with one."""

    user: str
    token: str = ""

    def __str__(self) -> str:
        return f"{self.user}!{self.token}" if self.token else self.user


@dataclass(frozen=True)
class Entry:
    """One line of the access control list; `who` is user@realm or user@realm!token."""

    path: str
    who: str
    role: str
    propagate: bool = True


@dataclass(frozen=True)
class _Token:
    secret: str
    separated: bool


@dataclass
class Access:
    """Users and rights of one cluster. `major` is the version of PVE, which knows its own privileges."""

    clock: Clock
    major: int = 8
    passwords: dict[str, str] = field(default_factory=dict)
    acl: list[Entry] = field(default_factory=list)
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    pools_of: dict[int, str] = field(default_factory=dict)
    """Pool of each VM that is in one: its rights count for the VM."""
    _tokens: dict[str, _Token] = field(default_factory=dict)
    _tickets: dict[str, tuple[str, str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.privileges = PRIVILEGES | (ONLY_9 if self.major >= 9 else ONLY_8)
        self.roles |= {
            "Administrator": self.privileges,
            "NoAccess": frozenset(),
            "PVEAuditor": frozenset(
                {"Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"}
            ),
        }

    # --- set up, as `pveum` would

    def add_role(self, name: str, privileges: Iterable[str]) -> None:
        """Raises `ApiError` for a privilege that this version does not know."""
        wanted = frozenset(privileges)
        unknown = sorted(wanted - self.privileges)
        if unknown:
            raise wrong("privs", f"invalid format - invalid privilege '{unknown[0]}'\n")
        if name in self.roles:
            raise ApiError(500, f"create role failed: role '{name}' already exists")
        self.roles[name] = wanted

    def add_user(self, user: str, password: str = "") -> None:
        """A user, who can log in if there is a password."""
        self.passwords[user] = password

    def add_token(self, user: str, name: str, *, separated: bool = True) -> str:
        """A token of a user; gives back its secret."""
        secret = secrets.token_hex(16)
        secret = "-".join((secret[:8], secret[8:12], secret[12:16], secret[16:20], secret[20:]))
        self._tokens[f"{user}!{name}"] = _Token(secret, separated)
        return secret

    def grant(self, path: str, who: str, role: str, *, propagate: bool = True) -> None:
        """Add one line to the access control list."""
        self.acl.append(Entry(path, who, role, propagate))

    def expire_tickets(self) -> None:
        """All tickets are too old from here on."""
        self._tickets = {ticket: (user, csrf, 0.0) for ticket, (user, csrf, _) in self._tickets.items()}

    # --- who asks

    def log_in(self, user: str, password: str) -> dict[str, str]:
        """A ticket and its CSRF token. `password` may be a ticket to renew. Raises `ApiError` 401."""
        known = self.passwords.get(user)
        renewing = self._tickets.get(password)
        renewed = renewing is not None and renewing[0] == user and self.clock.now() < renewing[2]
        if not renewed and not (known and hmac.compare_digest(known, password)):
            raise ApiError(401, "authentication failure")
        stamp = f"{int(self.clock.now()):08X}"
        ticket = f"PVE:{user}:{stamp}::{secrets.token_urlsafe(32)}"
        csrf = f"{stamp}:{secrets.token_urlsafe(24)}"
        self._tickets[ticket] = (user, csrf, self.clock.now() + TICKET_SECONDS)
        return {"username": user, "ticket": ticket, "CSRFPreventionToken": csrf}

    def caller_of(self, method: str, authorization: str, cookie: str, csrf: str) -> Caller:
        """Who sent a request, by its headers. Raises `ApiError` 401."""
        if authorization.startswith("PVEAPIToken="):
            return self._token_holder(authorization.removeprefix("PVEAPIToken="))
        if not cookie:
            raise ApiError(401, "No ticket")
        user, expected, until = self._tickets.get(cookie, ("", "", 0.0))
        if self.clock.now() >= until:
            raise ApiError(401, "permission denied - invalid PVE ticket")
        if method != "GET" and not hmac.compare_digest(expected, csrf):
            raise ApiError(401, "Permission denied - invalid csrf token")
        return Caller(user)

    def _token_holder(self, text: str) -> Caller:
        found = re.fullmatch(r"([^\s:/]+@[A-Za-z][\w.\-]+)!([A-Za-z][\w.\-]+)[=:]([\w-]+)", text)
        if not found:
            raise ApiError(401, "invalid token format")
        user, name, secret = found.groups()
        token = self._tokens.get(f"{user}!{name}")
        if token is None:
            raise ApiError(401, f"no such token '{name}' for user '{user}'")
        if not hmac.compare_digest(token.secret, secret):
            raise ApiError(401, "invalid token value!")
        return Caller(user, name)

    # --- what they may

    def rights(self, caller: Caller, path: str) -> dict[str, bool]:
        """Privileges on a path, each with whether it passes on to what lies below.

        A token with privilege separation has what both it and its user have.
        """
        user = self._user_rights(caller.user, path)
        if not caller.token or not self._tokens[str(caller)].separated:
            return user
        own = self._granted(str(caller), path)
        return {name: passed and user[name] for name, passed in own.items() if name in user}

    def _user_rights(self, user: str, path: str) -> dict[str, bool]:
        return dict.fromkeys(self.privileges, True) if user == ROOT else self._granted(user, path)

    def _granted(self, who: str, path: str) -> dict[str, bool]:
        found = self._roles_on(who, path)
        pool = self.pools_of.get(int(path.split("/")[2])) if re.fullmatch(r"/vms/\d+", path) else None
        if pool and "NoAccess" not in found:
            found = self._roles_on(who, f"/pool/{pool}") | found
        if "NoAccess" in found:
            return {}
        rights: dict[str, bool] = {}
        for role, passed in found.items():
            for name in self.roles.get(role, frozenset()):
                rights[name] = rights.get(name, False) or passed
        return rights

    def _roles_on(self, who: str, path: str) -> dict[str, bool]:
        """Roles of the nearest level that says anything; some count on their own path only."""
        parts = [part for part in path.split("/") if part]
        levels = ["/", *("/" + "/".join(parts[: length + 1]) for length in range(len(parts)))]
        found: dict[str, bool] = {}
        for level in levels:
            here = {
                entry.role: entry.propagate
                for entry in self.acl
                if entry.who == who and entry.path == level and (entry.propagate or level == levels[-1])
            }
            found = here or found
        return found

    def allows(self, caller: Caller, path: str, *privileges: str, any_of: bool = False) -> bool:
        """Whether all (or one) of the privileges are held on the path."""
        held = self.rights(caller, path)
        wanted = [privilege in held for privilege in privileges]
        return any(wanted) if any_of else all(wanted)
