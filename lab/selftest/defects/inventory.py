"""Mistakes behind the rules: what is rendered is not the inventory that was judged and found good."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import Slip

LOADING = "lab/inventory/loading.py"
KUBEADM = "templates/kubeadm/cluster.yaml.j2"


def defects(lab: Inventory) -> list[Slip]:  # noqa: ARG001
    """All of them: the rules have refused no such inventory, so a check must."""
    return [
        Slip(
            name="networks-overlap",
            title="the LAN is replaced by the pods' network after the rules were asked",
            row="L0-09",
            says=r"overlapping networks: .*network\.lan .* and kubernetes\.pod_subnet",
            file=LOADING,
            old="    notes: tuple[str, ...] = ()\n",
            new="    notes: tuple[str, ...] = ()\n"
            + _changed("network", "lan=inventory.kubernetes.pod_subnet"),
            # every address is in another network, so that other files are wrong as well
            alone=True,
        ),
        Slip(
            name="subnets-swapped",
            title="kubeadm is given the pods' network for the services",
            row="L0-10",
            says="podSubnet: expected",
            file=KUBEADM,
            old="podSubnet: {{ inventory.kubernetes.pod_subnet | quote }}",
            new="podSubnet: {{ inventory.kubernetes.service_subnet | quote }}",
        ),
        Slip(
            name="more-pods-than-addresses",
            title="a node is told more pods than its part of the network holds",
            row="L0-11",
            says="addresses of a node: expected at least 300",
            file=LOADING,
            old="    value_of = _value_of(inventory)\n    warnings",
            new=_changed("kubernetes", "max_pods=300") + "    value_of = _value_of(inventory)\n    warnings",
        ),
        Slip(
            name="two-masters",
            title="a master is lost on the way",
            row="L0-12",
            says="masters: expected odd, at least 3; seen: 2",
            file=LOADING,
            old="    return inventory.told(notes, warnings)",
            new="    hosts = dict(inventory.hosts)\n    del hosts[inventory.masters[-1]]\n"
            '    return inventory.model_copy(update={"hosts": hosts}).told(notes, warnings)',
        ),
    ]


def _changed(section: str, value: str) -> str:
    """A line that replaces a value of a section of the inventory."""
    copy = f"inventory.{section}.model_copy(update=dict({value}))"
    return f'    inventory = inventory.model_copy(update={{"{section}": {copy}}})\n'
