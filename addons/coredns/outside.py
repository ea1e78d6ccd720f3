"""Names of the outside as pods get them, and what stands in their way: names below domains that are searched.

A resolver tries a name with few dots below each domain of its list first (resolv.conf(5), ndots; Kubernetes
gives pods 5). A record for all names below one of them, as home routers and providers have it, then answers
for every name of the internet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.workspace import Workspace
from lab.inventory.models import Inventory
from lab.objects import Object

TIMES = 3
"""So often each name is asked for: several replicas answer, and each asks one of several servers."""
MOST = 2
"""Names of the outside; each is asked for below every domain."""
NONE = "no such host"
"""How the probe's resolver says that there is no such name."""


def names_outside(inventory: Inventory, images: Mapping[str, str]) -> list[str]:
    """Names of the outside for which the lab itself has use: its time servers, registries of its images."""
    servers = [name for name in inventory.network.time_servers if not _is_address(name)]
    registries = [reference.partition("/")[0] for reference in images.values()]
    found = [*servers, *sorted(name for name in registries if "." in name and ":" not in name)]
    return list(dict.fromkeys(found))[:MOST]


def searched(inventory: Inventory, space: str) -> list[str]:
    """The domains that a pod of a namespace searches, in this order."""
    domain = inventory.kubernetes.dns_domain
    return [f"{space}.svc.{domain}", f"svc.{domain}", domain, *inventory.network.search_domains]


def below(domains: Iterable[str], labels: Iterable[str]) -> list[str]:
    """Absolute names that must not exist: each label, or name of the outside, below each domain."""
    names = tuple(labels)
    return [f"{name}.{domain}." for domain in domains for name in names]


def asked(space: Workspace, pod: Object, names: Sequence[str], *options: str) -> list[Object]:
    """What a pod gets for names, each asked several times; one result an attempt."""
    command = ["/probe", "dns", *names, "--count", str(TIMES), "--timeout", "6s", *options]
    seconds = 30.0 + 6 * TIMES * len(names)
    name = pod["metadata"]["name"]
    found = space.driver.cluster.execute(space.name, name, command, seconds=seconds).lines()
    if len(found) != TIMES * len(names):
        raise CouldNotTell(f"the probe on {pod['spec']['nodeName']} told {len(found)} answers")
    return found


def swallowed(results: Iterable[Object]) -> list[str]:
    """Names that exist although nobody has given them, with what they are."""
    found = {result["target"]: result["answers"] for result in results if result.get("answers")}
    return [f"{name} is {', '.join(answers)}" for name, answers in found.items()]


def undecided(results: Iterable[Object]) -> list[str]:
    """Names of which nobody says that they do not exist, with what was said instead."""
    found = {
        result["target"]: str(result.get("error", "no answer"))
        for result in results
        if not result.get("answers") and NONE not in str(result.get("error", ""))
    }
    return [f"{name}: {error}" for name, error in found.items()]


def unanswered(results: Iterable[Object]) -> list[str]:
    """Questions for a name that is there, and that got no address: name and attempt, and what was said."""
    return [
        f"{result['target']}, question {result['attempt']} of {TIMES}: {result.get('error', 'no address')}"
        for result in results
        if not result.get("answers")
    ]


def known_outside(driver: Driver, space: Workspace, pod: Object, names: Sequence[str]) -> list[str]:
    """Those names that one of the inventory's name servers knows, asked by a pod past CoreDNS.

    Raises `CouldNotTell` when none of them says whether there is such a name.
    """
    told = [
        result
        for server in driver.inventory.nameservers
        for result in asked(space, pod, [f"{name}." for name in names], "--server", str(server))
    ]
    answered = {result["target"].rstrip(".") for result in told if result.get("answers")}
    denied = {result["target"].rstrip(".") for result in told if NONE in str(result.get("error", ""))}
    silent = [name for name in names if name not in answered | denied]
    if silent:
        why = next(str(result["error"]) for result in told if result["target"].rstrip(".") in silent)
        raise CouldNotTell(f"{pod['spec']['nodeName']}: {why}", next_step="invoke shell")
    return [name for name in names if name in answered]


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
