"""open: where a page of an add-on is for a browser, led to this machine where nothing else leads there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from lab.addons import AddOn
from lab.cluster.api import ApiError, Unavailable
from lab.cluster.endpoints import PodEndpoint, ready_endpoints
from lab.cluster.passwords import password
from lab.commands.forwarding import LOOPBACK, answers, listener, relay, tunnel
from lab.commands.session import aside, open_lab, read, shown
from lab.errors import FailedError, InputError
from lab.inventory.addon_sections import WebPage, page_owners, pages
from lab.inventory.models import Inventory
from lab.labs import Lab

_NETWORK = Path("/proc/thread-self/ns/net")


@shown
def open_page(inventory: str, provider: str, name: str, port: int, show: bool) -> None:
    """Print the address of a page; forward it until Ctrl-C where this machine has no way to it."""
    found = read(inventory, provider)
    addon, page = page_of(found, name)
    lab = open_lab(found)
    before = network()
    with lab.inside():
        apart = network() != before
        behind = _behind(lab, name, page)
        login = _login(lab, addon, page, show=show)
    if page.only or apart or port:
        _forward(lab, behind, page, port, login)
    else:
        _tell(page.url, login)


def _forward(lab: Lab, behind: PodEndpoint, page: WebPage, port: int, login: list[str]) -> None:
    """Lead a port of this machine to the page until Ctrl-C. Raises `FailedError` when that cannot be."""
    path = urlsplit(page.url).path or "/"
    with listener(port) as taken, tunnel(lab, behind.node, f"{behind.address}:{page.port}") as leading:
        url = f"http://{LOOPBACK}:{taken.getsockname()[1]}{path}"
        until = f"leads to {page.told}, through {behind.node}, until Ctrl-C"

        async def lead() -> None:
            await answers(leading, path)
            await relay(leading, taken, lambda: _tell(url, [*login, until]))

        asyncio.run(lead())


def _tell(url: str, lines: list[str]) -> None:
    """The address is the output, the rest is for whoever reads along."""
    print(url, flush=True)
    for line in lines:
        aside(line)


def page_of(inventory: Inventory, name: str) -> tuple[AddOn, WebPage]:
    """A page of the lab with the add-on that shows it. Raises `InputError` with what there is, or with the
    field of the inventory that brings it."""
    known, here = page_owners(), pages(inventory)
    if name not in known:
        raise InputError(
            f"open {name}: no add-on shows a page of that name; there are: {', '.join(sorted(known))}",
            next_step=f"invoke open {sorted(known)[0]}" if known else "",
        )
    if name not in here:
        raise InputError(
            f"open {name}: is no part of lab {inventory.lab}; field `{known[name].condition}` brings it",
            next_step="write it into the inventory, then invoke build",
        )
    return here[name]


def network() -> int:
    """The network namespace in which this thread opens sockets, by its number."""
    return _NETWORK.stat().st_ino


def _behind(lab: Lab, name: str, page: WebPage) -> PodEndpoint:
    """The pod that shows it. Raises `FailedError` when the API cannot be asked, or no pod is ready."""
    try:
        found = ready_endpoints(lab.api, page.namespace, page.service)
    except (ApiError, Unavailable) as error:
        raise FailedError(
            f"open {name}: {lab.inventory.lab} cannot be asked: {error.message}", next_step="invoke status"
        ) from error
    if not found:
        raise FailedError(
            f"open {name}: Service {page.namespace}/{page.service} has no pod that is ready",
            next_step=f"invoke kubectl -- -n {page.namespace} get pods -o wide",
        )
    return found[0]


def _login(lab: Lab, addon: AddOn, page: WebPage, *, show: bool) -> list[str]:
    """By whom to log in, and where the password is kept, or the password itself; nothing for a page that asks
    for nobody. Raises `FailedError` for a file of it that cannot be one."""
    if not page.user:
        return []
    (wanted,) = [secret for secret in addon.secrets if secret.kept]
    value = password(lab.api, wanted, lab.passwords)
    if not value:
        raise FailedError(
            f"{addon.title}: neither {lab.passwords.file(wanted.namespace, wanted.name)} nor the lab has the "
            f"password of {page.user}",
            next_step="invoke build",
        )
    kept = f"in {lab.passwords.file(wanted.namespace, wanted.name)} (--show prints it)"
    return [f"user {page.user}, password {value if show else kept}"]
