"""The service that checks of addresses ask, from outside the nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.checks.driver import Driver
from lab.checks.objects import deployment, service
from lab.checks.outside import Answer, forget_neighbour, http_get
from lab.checks.verbs import Refused, succeeds
from lab.checks.workspace import Workspace, workspace


@dataclass(frozen=True)
class Web:
    """A service before echo servers on the workers, and its address."""

    space: Workspace
    address: str
    seconds: float
    """Time from the creation of the service to its address."""

    @property
    def driver(self) -> Driver:
        """How to look at the lab."""
        return self.space.driver


@contextmanager
def web_service(driver: Driver, purpose: str) -> Iterator[Web]:
    """Two echo servers (on two workers where there are two) behind one load-balanced service, `web`, in a
    namespace that is called by its purpose."""
    with workspace(driver, purpose) as space:
        space.create("deployments", deployment("web", space.probe_image, 2))
        space.await_pods("web", 2)
        begun = time.monotonic()
        space.create("services", service("web", "web"))
        address = space.await_address("web")
        yield Web(space, address, time.monotonic() - begun)


def ask(web: Web, *, seconds: float = 2) -> Answer:
    """One request from outside; an answer that is not 200 is a refusal."""
    answer = http_get(web.address, 80, seconds=seconds)
    if answer.status != 200:
        raise Refused(f"http://{web.address}/: status {answer.status}")
    return answer


def first_answer(web: Web) -> Answer:
    """The first answer from outside: an address is announced a moment after it is given, and this machine may
    still know the node that announced it for another service."""
    forget_neighbour(web.driver.lan_interface, web.address)
    command = f"curl -m 2 http://{web.address}/"
    return succeeds(f"http://{web.address}/", lambda: ask(web), within=10, command=command)
