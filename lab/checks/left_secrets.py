"""Secrets of the platform that lie where nobody needs them: tokens, kubeconfigs, keys (P1-14)."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checks.patterns import among
from lab.hosts.survey import HostSurvey
from lab.inventory.models import Inventory
from lab.machines import Traits

PLACES = (
    *("/etc/kubernetes/*", "/etc/kubernetes/pki/**/*", "/run/plumbline/*", "/run/cloud-init/*"),
    *("/root/*", "/root/.kube/*", "/home/*/*", "/home/*/.kube/*", "/tmp/*", "/var/tmp/*", "/opt/*", "/srv/*"),
    *("/var/lib/cloud/seed/**/*", "/var/lib/cloud/instances/**/*", "/var/backups/*"),
)
OF_A_MASTER = "/etc/kubernetes/{admin,super-admin,controller-manager,scheduler}.conf"
PLATFORM = ("/etc/kubernetes/**/*", "/var/lib/cloud/**/*", "/run/plumbline/**/*", "/run/cloud-init/**/*")
CLOUD = ("/var/lib/cloud/**/*", "/run/cloud-init/**/*")


def trouble(inventory: Inventory, traits: Traits, survey: HostSurvey) -> Iterator[str]:
    """A line for each secret that lies where it should not, or that every account can read.

    What is no part of the platform and lies on a machine that is not of our making is its owner's.
    """
    master = survey.host in inventory.masters
    servers = {
        inventory.endpoint,
        *(f"{one}:{inventory.kubernetes.api_port}" for one in inventory.addresses.values()),
    }
    for found in survey.secrets:
        ours, of_platform = found.server in servers, among(found.path, PLATFORM)
        if found.kind == "token" and (ours or of_platform or traits.layered):
            yield f"{found.path}: holds a token to join; kubeadm removes it when a node has joined"
        elif among(found.path, ("/etc/kubernetes/pki/**/*",)) and not master:
            yield f"{found.path}: is a key of the control plane, and {survey.host} is no master"
        elif among(found.path, (OF_A_MASTER,)) and master:
            pass
        elif ours or (among(found.path, ("/etc/kubernetes/*",)) and found.kind == "key"):
            yield f"{found.path}: holds a client's key for the cluster's API"
        elif traits.layered and not of_platform:
            yield f"{found.path}: holds a private key that nobody declared"
        if found.open and among(found.path, CLOUD):
            yield f"{found.path}: holds a secret of the first boot, and every account can read it"
