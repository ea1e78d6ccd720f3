"""`invoke open` as a program, of a lab that is a test's: NAMESPACE SSH_CONFIG NAME PORT."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.exceptions import Exit

from lab.commands import opening
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.local import enter_network
from lab.ssh import Ssh
from tests.fake_api import FakeApi
from tests.fakes import FakeProvider
from tests.world import INVENTORY, inventory

SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/monitoring/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3D"
)
LAB = inventory(f"{INVENTORY}observability: {{}}\n")


class Elsewhere(FakeProvider):
    """A provider whose lab has a network of its own: the namespace of a file."""

    def __init__(self, namespace: Path) -> None:
        super().__init__()
        self._namespace = namespace

    def enter(self) -> None:
        enter_network(self._namespace)


def main(namespace: str, config: str, name: str, port: str) -> None:
    """Open a page whose pod is the loopback of the lab's network, on its one machine."""
    api = FakeApi()
    pod = {"addresses": ["127.0.0.1"], "nodeName": "worker-1", "conditions": {"ready": True}}
    for service in ("prometheus", "alertmanager"):
        labels = {"kubernetes.io/service-name": service}
        api.objects[f"{SLICES}{service}/{service}"] = {"metadata": {"labels": labels}, "endpoints": [pod]}

    def opened(found: Inventory) -> Lab:
        return Lab(found, Path("/nowhere"), Elsewhere(Path(namespace)), ssh=Ssh(Path(config)), api=api)

    opening.__dict__.update(read=lambda *_: LAB, open_lab=opened)
    try:
        opening.open_page("rehearsal", "", name, port=int(port), show=False)
    except Exit as left:
        sys.exit(left.code)


if __name__ == "__main__":
    main(*sys.argv[1:])
