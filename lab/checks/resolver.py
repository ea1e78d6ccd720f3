"""What a resolver file says (resolv.conf(5)): who is asked, and where a short name is searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.checks.facts import RESOLVER, Facts
from lab.checks.verbs import agrees, holds, nothing
from lab.inventory.models import Inventory
from lab.own_yaml import loads
from lab.render.components import KUBELET_CONFIG
from lab.render.detected import POD_RESOLVER

STUB = "127.0.0.53"
"""systemd-resolved's own listener: an answer for the machine, and a loop for a pod of its network."""


@dataclass(frozen=True)
class Resolver:
    """Name servers and searched domains, in the order of the file."""

    servers: tuple[str, ...]
    search: tuple[str, ...]


def read(text: str) -> Resolver:
    """The file as libc reads it: of several lists of domains the last counts, and the root alone is none."""
    servers: list[str] = []
    search: list[str] = []
    for line in text.splitlines():
        key, *values = line.split() or [""]
        if key == "nameserver":
            servers += values[:1]
        elif key in ("search", "domain"):
            search = [value.rstrip(".") for value in values if value != "."]
    return Resolver(tuple(servers), tuple(search))


def of_machine(inventory: Inventory, facts: Facts) -> None:
    """A machine asks somebody, not itself, and searches the inventory's domains alone."""
    text, command = facts.texts[RESOLVER] or "", f"cat {RESOLVER}"
    found = read(text)
    holds(
        "name servers",
        bool(found.servers),
        expected="at least one",
        seen=text or "no file",
        command=command,
    )
    # Ubuntu's libc asks systemd-resolved, which has the inventory's servers from a file of the roles
    meant = STUB if inventory.hosts[facts.host].os.startswith("ubuntu") else ""
    loops = [name for name in found.servers if name.startswith("127.") and name != meant]
    nothing("name servers on the loopback", loops, rule="none", command=command)
    wanted = _listed(inventory.network.search_domains)
    agrees("search list", _listed(found.search), wanted, command=command)


def of_pods(inventory: Inventory, facts: Facts) -> None:
    """A kubelet hands pods the file of the roles, and in it are the inventory's servers and domains."""
    settings = loads(facts.texts[KUBELET_CONFIG] or "") or {}
    path, command = str(settings.get("resolvConf", "none")), f"grep resolvConf {KUBELET_CONFIG}"
    agrees("the kubelet's resolvConf", path, POD_RESOLVER, command=command)
    found, command = read(facts.texts[POD_RESOLVER] or ""), f"cat {POD_RESOLVER}"
    servers = _listed(map(str, inventory.nameservers))
    agrees("name servers of pods", _listed(found.servers), servers, command=command)
    wanted = _listed(inventory.network.search_domains)
    agrees("search list of pods", _listed(found.search), wanted, command=command)


def _listed(items: Iterable[str]) -> str:
    """Servers or domains as a person reads them."""
    return " ".join(items) or "none"
