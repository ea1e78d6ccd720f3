"""The control plane's processes as steps: those with older certificates are started anew, one by one."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from lab.cluster.kubeadm_flags import API_SERVER
from lab.hosts import rotation
from lab.hosts.changes import HostChange
from lab.hosts.converge import apply, look
from lab.hosts.static_pods import outdated
from lab.steps.context import Context, LabFacts
from lab.steps.engine import Step
from lab.steps.gate import gate
from lab.waits import NotYet, wait_for

SECONDS = 180
"""The kubelet starts an ended container at once, but for one that has ended often lately."""
CARRIES = (API_SERVER, "etcd")
"""Of which two masters may not lack at the same time."""


def restarting(context: Context, facts: LabFacts) -> list[Step]:
    """A step for each master with such a process, one after the other."""
    steps: list[Step] = []
    for name in context.lab.inventory.masters:
        found = tuple(outdated(facts.hosts[name].static_pods)) if name in facts.hosts else ()
        if not found:
            continue
        components = [item.component for item in found]
        needs = frozenset({"api", *(step.key for step in steps[-1:])})
        will = tuple(item.sentence for item in found)
        run = partial(restart, context, name)
        steps.append(Step("restart", name, f"restart of {', '.join(components)}", needs, run, will=will))
        if set(components) & set(CARRIES):
            steps.append(gate(context, name, {steps[-1].key}))
    return steps


def restart(context: Context, name: str) -> tuple[bool, str]:
    """End what runs with older files; the kubelet starts it again, and it reads them."""
    lab, note = context.lab, context.noting(f"restart:{name}")
    found = tuple(outdated(look(lab.ssh, context.bundles[name]).static_pods))
    components = [item.component for item in found]
    served = API_SERVER in components and len(lab.inventory.masters) > 1
    aside = rotation.out(lab.ssh, lab.inventory.balancer, name, note) if served else nullcontext()
    with aside:
        apply(lab.ssh, name, [_ending(component) for component in components])

        def probe() -> None:
            context.check()
            running = look(lab.ssh, context.bundles[name]).static_pods
            state = [f"{component} does not run" for component in components if component not in running]
            state += [item.sentence for item in outdated(running)]
            if state:
                note(state[0])
                raise NotYet(state[0])

        wait_for(
            f"restart of {', '.join(components)} on {name}",
            probe,
            seconds=SECONDS,
            interval=1,
            next_step=f"invoke logs --host {name}",
        )
    return bool(found), ", ".join(components)


def _ending(component: str) -> HostChange:
    """Ends a component's process; ends well where it is gone: an interrupted change does it again."""
    pattern = f"^([^ ]*/)?{component} "
    return HostChange(f"end {component}", commands=(("sh", "-c", f"pkill -TERM -f '{pattern}' || true"),))
