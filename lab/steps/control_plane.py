"""The cluster's birth and its members: kubeadm init on one master, kubeadm join on all other nodes."""

from __future__ import annotations

import yaml

from lab.cluster import etcd, kubeadm
from lab.cluster.api import patiently
from lab.errors import DeadlineError, FailedError
from lab.hosts.converge import HostFacts, look
from lab.render.kubeadm import init as init_document
from lab.render.kubeadm import join as join_document
from lab.render.kubeadm import reset as reset_document
from lab.steps.context import Build
from lab.steps.decide import founding_master
from lab.steps.gather import gather
from lab.waits import NotYet, wait_for

API_SECONDS = 180
KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"


def found(build: Build, name: str) -> tuple[bool, str]:
    """`kubeadm init` on the founding master, continued where an earlier build left it.

    The evidence is gathered once more right before: nothing may have been born in the meantime.
    """
    lab = build.lab
    known = tuple(host for host in lab.inventory.nodes if host == name or host not in build.fresh)
    facts = gather(build, known)
    if founding_master(lab.inventory, facts) != name:
        raise FailedError(
            f"{name}: no cluster is founded here: another master is a part of one, or has begun",
            next_step="invoke build again: it decides by what it finds",
        )
    seen = facts.hosts[name]
    if seen.kubeadm != "running":
        if seen.touched:
            kubeadm.reset(lab.ssh, name, reset_document(lab.provider.traits_of(name)))
        document = init_document(lab.inventory, lab.provider.traits_of(name), build.pins, name)
        kubeadm.start(lab.ssh, name, "init", document)
    kubeadm.finish(lab.ssh, name, build.noting(f"init:{name}"))
    return True, "" if not seen.touched else "continued"


def api_answers(build: Build, seconds: float = API_SECONDS) -> tuple[bool, str]:
    """Wait for a ready API server behind the balancer."""

    def probe() -> None:
        build.check()
        try:
            ready = build.api.ready()
        except FailedError as error:
            raise NotYet(error.message) from error
        if not ready:
            raise NotYet(f"https://{build.lab.inventory.endpoint}/readyz does not answer 200")

    wait_for("API behind the balancer", probe, seconds=seconds, next_step="invoke status")
    return False, ""


def _same_endpoint(build: Build) -> None:
    """A cluster with another endpoint would tie every new node to it: the balancer would stand beside it."""
    inventory = build.lab.inventory
    held = patiently("kubeadm's configuration", lambda: build.api.get(KUBEADM_CONFIG))
    if held is None:  # kubeadm itself says then that nobody can join
        return
    cluster = yaml.safe_load(held["data"]["ClusterConfiguration"])
    endpoint = cluster.get("controlPlaneEndpoint", "")
    if endpoint != inventory.endpoint:
        raise FailedError(
            f"{inventory.lab}: the cluster's controlPlaneEndpoint is {endpoint or 'not set'}, and the "
            f"inventory's balancer is {inventory.endpoint}: no node can join it",
            next_step=f"write controlPlaneEndpoint: {inventory.endpoint} into ConfigMap kubeadm-config; "
            "then on each master remove /etc/kubernetes/pki/apiserver.crt and apiserver.key, and run kubeadm "
            f"init phase certs apiserver --control-plane-endpoint {inventory.endpoint}",
        )


def join(build: Build, name: str) -> tuple[bool, str]:
    """`kubeadm join` of a node, continued where an earlier build left it.

    Before a master joins, the dead etcd member of its address goes; before any node joins, the Node object
    of its former life goes, for kubeadm refuses a name that is Ready. Secrets live for this join alone.
    """
    lab, inventory = build.lab, build.lab.inventory
    seen = look(lab.ssh, build.bundles[name])
    if seen.joined:
        return False, ""
    _same_endpoint(build)
    remarks = []
    master = _living_master(build)
    control_plane = name in inventory.masters
    if seen.kubeadm != "running":
        if seen.touched:
            kubeadm.reset(lab.ssh, name, reset_document(lab.provider.traits_of(name)))
            remarks.append("after undoing a half-finished join")
        if control_plane and etcd.remove_stale(lab.ssh, master, str(inventory.hosts[name].address), name):
            remarks.append("dead etcd member removed")
        if patiently(f"former Node {name} removed", lambda: build.api.delete(f"/api/v1/nodes/{name}")):
            remarks.append("former Node object removed")
        secrets = kubeadm.join_secrets(lab.ssh, master, control_plane=control_plane)
        document = join_document(inventory, lab.provider.traits_of(name), build.pins, name, secrets)
        try:
            kubeadm.start(lab.ssh, name, "join", document)
            kubeadm.finish(lab.ssh, name, build.noting(f"join:{name}"))
        finally:
            # a stopped build leaves the join at work on the host: its secrets die by themselves
            if not build.stop.is_set():
                kubeadm.forget(lab.ssh, master, secrets)
    else:
        remarks.append("continued")
        kubeadm.finish(lab.ssh, name, build.noting(f"join:{name}"))
    return True, "; ".join(remarks)


def _living_master(build: Build) -> str:
    """A master that is a part of the cluster and whose own API server is ready."""
    lab = build.lab
    for name in lab.inventory.masters:
        facts = _look(build, name)
        if facts is None or not facts.joined:
            continue
        address = f"https://{lab.inventory.hosts[name].address}:{lab.inventory.kubernetes.api_port}"
        if _answers(build, name, f"{kubeadm.KUBECTL} --server {address} get --raw /readyz"):
            return name
    raise FailedError(
        "no master of the cluster is ready, so nothing can join",
        next_step="invoke status",
    )


def _answers(build: Build, name: str, command: str) -> bool:
    try:
        return build.lab.ssh.try_run(name, command, seconds=10).code == 0
    except (FailedError, DeadlineError):
        return False


def _look(build: Build, name: str) -> HostFacts | None:
    try:
        return look(build.lab.ssh, build.bundles[name])
    except (FailedError, DeadlineError):
        return None
