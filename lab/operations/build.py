"""The build: a visible list of phases, and the steps that the decisions make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from lab.addons import selected
from lab.cluster.apply import COMPARE_SECONDS, ObjectChange
from lab.errors import PlumblineError
from lab.machines import State
from lab.steps import control_plane, hosts, machines, services
from lab.steps.context import Build
from lab.steps.decide import Decision, Origin, decide
from lab.steps.engine import Step, execute
from lab.steps.gather import gather
from lab.steps.preflight import states

PHASES = (
    ("machine", "make machines, or switch them on; the balancer and the founding master first"),
    ("boot", "wait for SSH and for cloud-init to end well"),
    ("converge", "write what differs from the roles, run its on-change action"),
    ("init", "found the cluster on one master, if no host is a part of one"),
    ("api", "wait for a ready API server behind the balancer"),
    ("addon", "apply the kubelets' settings and the add-ons, each after those it needs, while nodes join"),
    ("join", "workers all at once, masters one after the other"),
    ("nodes", "wait until every node is Ready"),
    ("ready", "wait until every add-on runs its newest version"),
)
"""Name and meaning, in the order of a fresh build; steps of different hosts overlap."""


@dataclass(frozen=True)
class Plan:
    """What a build would change: by host, and by add-on."""

    decisions: dict[str, Decision]
    objects: dict[str, list[ObjectChange]]
    addons_unknown: bool
    """No API server answers yet, so add-ons will be applied as a whole."""
    untold: PlumblineError | None = None
    """Why add-ons were not compared: the API, or a webhook of it, did not serve. What differs on the
    hosts is often the cause, so it is told all the same."""

    @property
    def empty(self) -> bool:
        """Whether the lab is what the inventory says."""
        hosts_differ = any(decision.sentences() for decision in self.decisions.values())
        objects_differ = any(self.objects.values())
        return not (hosts_differ or objects_differ or self.addons_unknown or self.untold)


def plan(build: Build) -> Plan:
    """Facts, then decisions; changes nothing."""
    inventory = build.lab.inventory
    facts = gather(build, tuple(inventory.hosts))
    decisions = decide(inventory, build.bundles, facts)
    if not facts.joined(inventory.masters):
        return Plan(decisions, {addon.name: [] for addon in selected(inventory)}, addons_unknown=True)
    try:
        control_plane.api_answers(build, COMPARE_SECONDS)
        return Plan(decisions, services.planned(build), addons_unknown=False)
    except PlumblineError as error:
        return Plan(decisions, {}, addons_unknown=False, untold=error)


def build_lab(build: Build) -> bool:
    """Converge the whole lab; True when something was changed."""
    inventory, provider = build.lab.inventory, build.lab.provider
    changed = provider.prepare()
    provider.enter()
    changed |= _switch_on(build)
    facts = gather(build, tuple(inventory.hosts))
    build.fresh = {name for name, state in facts.states.items() if state is State.ABSENT}
    decisions = decide(inventory, build.bundles, facts)
    return execute(steps(build, decisions), build.console, build.run, build.stop) or changed


def _switch_on(build: Build) -> bool:
    """Start machines that exist and do not run, before anything is decided: they may hold the cluster."""
    idle = [name for name, state in states(build.lab).items() if state in (State.OFF, State.PAUSED)]
    switched = [_machine_step(build, name, frozenset()) for name in idle]
    return execute(
        [*switched, *(_boot_step(build, name) for name in idle)], build.console, build.run, build.stop
    )


def _machine_step(build: Build, name: str, needs: frozenset[str]) -> Step:
    return Step("machine", name, "machine", needs, partial(_changed, build, name))


def _changed(build: Build, name: str) -> tuple[bool, str]:
    return machines.start(build, name), ""


def _boot_step(build: Build, name: str) -> Step:
    def run() -> tuple[bool, str]:
        machines.booted(build, name)
        return False, ""

    return Step("boot", name, "first boot", frozenset({f"machine:{name}"}), run)


def steps(build: Build, decisions: dict[str, Decision]) -> list[Step]:
    """The steps of a build in the order of the inventory; what needs what is their only order.

    On few cores the machines compete, so those that nothing waits for start when the founding master is up.
    """
    inventory = build.lab.inventory
    founder = next((name for name, item in decisions.items() if item.cluster is Origin.INIT), None)
    fresh = {name for name, item in decisions.items() if item.machine}
    first = {inventory.balancer, founder} & fresh
    found: list[Step] = []
    for name, item in decisions.items():
        later = frozenset(f"boot:{other}" for other in first) if name not in first else frozenset()
        if name in fresh:
            found += [_machine_step(build, name, later), _boot_step(build, name)]
        elif item.resize:
            found.append(
                Step("machine", name, "; ".join(item.resize), frozenset(), partial(_changed, build, name))
            )
        if name in fresh or item.host:
            found.append(
                _step(
                    "converge",
                    name,
                    "converge",
                    {f"boot:{name}"} & {f"boot:{x}" for x in fresh},
                    partial(hosts.converge, build, name),
                )
            )
    converged = {step.key for step in found if step.phase == "converge"}
    api_needs: set[str] = {f"converge:{inventory.balancer}"} & converged
    if founder:
        needs = {f"converge:{founder}", f"converge:{inventory.balancer}"} & converged
        found.append(
            _step("init", founder, "kubeadm init", needs, partial(control_plane.found, build, founder))
        )
        api_needs |= {f"init:{founder}"}
    found.append(
        _step("api", "", "API behind the balancer", api_needs, partial(control_plane.api_answers, build))
    )
    previous = "api"
    if founder is None:  # a new cluster is born with them
        previous = "addon-kubelet"
        settings = partial(services.apply_kubelet_configuration, build)
        found.append(_step(previous, "", "kubelet settings", {"api"}, settings))
    found += _joins(build, decisions, converged, previous)
    for addon in selected(inventory):
        needs = {previous, *(f"addon-{name}" for name in addon.needs)}
        apply = partial(services.apply_addon, build, addon)
        found.append(_step(f"addon-{addon.name}", "", f"add-on {addon.name}", needs, apply))
    everything = {step.key for step in found if step.phase in ("join", "converge")} | {previous}
    everything |= {f"addon-{addon.name}" for addon in selected(inventory)}
    found.append(_step("nodes", "", "all nodes Ready", everything, partial(services.nodes, build)))
    for addon in selected(inventory):
        ready = partial(services.addon_ready, build, addon)
        found.append(_step(f"ready-{addon.name}", "", f"{addon.name} ready", {"nodes"}, ready))
    return found


def _joins(build: Build, decisions: dict[str, Decision], converged: set[str], first: str) -> Iterable[Step]:
    """Workers join together; masters in a row, because etcd takes one learner at a time."""
    previous: set[str] = set()
    for name, item in decisions.items():
        if item.cluster is not Origin.JOIN:
            continue
        needs = {first} | ({f"converge:{name}"} & converged)
        if name in build.lab.inventory.masters:
            needs |= previous
            previous = {f"join:{name}"}
        yield _step("join", name, "kubeadm join", needs, partial(control_plane.join, build, name))


def _step(
    phase: str, host: str, title: str, needs: Iterable[str], run: Callable[[], tuple[bool, str]]
) -> Step:
    return Step(phase, host, title, frozenset(needs), run)
