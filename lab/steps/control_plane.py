"""The cluster's birth: kubeadm init on one master, and an API server behind the balancer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from lab.cluster import kubeadm
from lab.errors import FailedError
from lab.hosts import rotation
from lab.render.kubeadm import init as init_document
from lab.render.kubeadm import reset as reset_document
from lab.steps.context import Context
from lab.steps.decide import Origin, founding_master
from lab.steps.engine import Step
from lab.steps.gather import gather
from lab.waits import NotYet, wait_for

API_SECONDS = 180
LEFTOVER = "kubeadm: finish or undo what an earlier run began"


def founding(context: Context, name: str, needs: Iterable[str], *, leftover: bool) -> Step:
    """The cluster is founded on this master."""
    will = ((LEFTOVER,) if leftover else ()) + (Origin.INIT.value,)
    return Step("init", name, "kubeadm init", frozenset(needs), partial(found, context, name), will=will)


def answering(context: Context, needs: Iterable[str]) -> Step:
    """Wait for the API."""
    return Step("api", "", "API behind the balancer", frozenset(needs), partial(api_answers, context))


def returning(context: Context, names: Iterable[str], needs: Iterable[str] = ()) -> list[Step]:
    """API servers that a killed operation left drained get connections again; no step where there is none.

    HAProxy's own checks keep out one that is not ready.
    """
    left = sorted(names)
    if not left:
        return []
    will = tuple(f"{name} into the rotation of API servers again: it was left drained" for name in left)
    run = partial(give_back, context, left)
    return [Step("rotation", context.lab.inventory.balancer, "rotation", frozenset(needs), run, will=will)]


def give_back(context: Context, names: Iterable[str]) -> tuple[bool, str]:
    """Undrain API servers in HAProxy."""
    for name in names:
        rotation.back(context.lab.ssh, context.lab.inventory.balancer, name)
    return True, ", ".join(names)


def found(context: Context, name: str) -> tuple[bool, str]:
    """`kubeadm init` on the founding master, continued where an earlier build left it.

    The evidence is gathered once more right before: nothing may have been born in the meantime.
    """
    lab = context.lab
    known = tuple(host for host in lab.inventory.nodes if host == name or host not in context.fresh)
    facts = gather(context, known)
    if founding_master(lab.inventory, facts) != name:
        raise FailedError(
            f"{name}: no cluster is founded here: another master is a part of one, or has begun",
            next_step="invoke build again: it decides by what it finds",
        )
    seen = facts.hosts[name]
    if seen.kubeadm != "running":
        if seen.touched:
            undo = reset_document(lab.inventory, lab.provider.traits_of(name))
            kubeadm.reset(lab.ssh, name, undo, context.bundles[name].pod_interfaces)
        document = init_document(lab.inventory, lab.provider.traits_of(name), context.pins, name)
        kubeadm.start(lab.ssh, name, "init", document)
    kubeadm.finish(lab.ssh, name, context.noting(f"init:{name}"))
    return True, "" if not seen.touched else "continued"


def api_answers(context: Context, seconds: float = API_SECONDS) -> tuple[bool, str]:
    """Wait for a ready API server behind the balancer."""

    def probe() -> None:
        context.check()
        try:
            ready = context.api.ready()
        except FailedError as error:
            raise NotYet(error.message) from error
        if not ready:
            raise NotYet(f"https://{context.lab.inventory.endpoint}/readyz does not answer 200")

    wait_for("API behind the balancer", probe, seconds=seconds, next_step="invoke status")
    return False, ""
