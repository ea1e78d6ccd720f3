"""Links, addresses, routes and rules of routing that nobody declared (P1-15)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv4Network, ip_interface, ip_network

from lab.hosts.survey import HostSurvey, Route, SurveyedLink
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import Bundle

USUAL_RULES = (0, 32766, 32767)
"""The kernel's own: its tables local, main and default (ip-rule(8))."""
OF_PODS = ("veth", "dummy")
"""Kinds of links that pods and kube-proxy's ipvs mode have."""


def trouble(inventory: Inventory, bundle: Bundle, traits: Traits, survey: HostSurvey) -> Iterator[str]:
    """A line for each; what cuts pods, services or the LAN is wrong on every machine."""
    network, host = survey.network, survey.host
    gateway = str(inventory.network.gateway)
    # Vagrant's own card has a way out of its own; who owns a machine may have given it several
    made = inventory.makes(host) and not traits.management_mac
    lan = next((link.name for link in network.links if _holds(link, inventory, host)), "")
    yield from _addresses(inventory, traits, survey, lan)
    for link in network.links if traits.layered else ():
        known = link.name in ("lo", lan, *bundle.pod_interfaces) or link.kind in OF_PODS
        if not known and (link.up or link.addresses):
            yield f"link {link.name} ({link.kind or 'card'}): nobody declared it"
    for route in network.routes:
        told = _told(route)
        if route.to == "default" and route.table == "main":
            if made and not (route.via == gateway and route.device == lan):
                yield f"route {told}: the way out is by {gateway} on {lan or 'the LAN'}"
        elif traits.layered and route.table != "main":
            yield f"route {told}, table {route.table}: nobody declared that table"
        elif route.to != "default" and (why := _cuts(inventory, bundle, route, lan)):
            yield f"route {told}: {why}"
    for rule in network.rules:
        if traits.layered and rule.priority not in USUAL_RULES:
            yield f"routing rule {rule.priority}, table {rule.table}: nobody declared it"


def _holds(link: SurveyedLink, inventory: Inventory, host: str) -> bool:
    return str(inventory.interface(host)) in link.addresses


def _addresses(inventory: Inventory, traits: Traits, survey: HostSurvey, lan: str) -> Iterator[str]:
    own = str(inventory.interface(survey.host))
    for link in survey.network.links:
        for address in link.addresses:
            one = ip_interface(address)
            if not isinstance(one, IPv4Interface) or address == own:
                continue
            if one.ip in inventory.network.lan:
                yield f"address {address} on {link.name}: is of the LAN, and is not the machine's ({own})"
            elif traits.layered and (link.name == lan or (link.name == "lo" and not one.is_loopback)):
                yield f"address {address} on {link.name}: nobody declared it"


def _cuts(inventory: Inventory, bundle: Bundle, route: Route, lan: str) -> str:
    """What a route takes away from pods, services or the LAN; "" for one that does not."""
    to = ip_network(route.to)
    if not isinstance(to, IPv4Network) or to.prefixlen == 0:
        return ""
    kubernetes = inventory.kubernetes
    if to.subnet_of(inventory.network.lan):
        whole = to == inventory.network.lan or to.network_address == inventory.network.gateway
        ours = whole and route.device == lan and route.kind == "unicast"
        return "" if ours else "leads a part of the LAN elsewhere"
    if bundle.kubelet and to.overlaps(kubernetes.service_subnet):
        return "is of the services' network, which kube-proxy alone leads on"
    if bundle.kubelet and to.overlaps(kubernetes.pod_subnet):
        ours = route.kind == "unicast" and route.device in bundle.pod_interfaces
        return "" if ours else "leads a part of the pods' network elsewhere"
    return ""


def _told(route: Route) -> str:
    kind = "" if route.kind == "unicast" else f"{route.kind} "
    via = f" via {route.via}" if route.via else ""
    return f"{kind}{route.to}{via}" + (f" on {route.device}" if route.device else "")
