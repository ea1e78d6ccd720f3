"""What every step may use, and the facts that decisions are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from lab.addons import AddOn, selected
from lab.artifacts.provide import Provided
from lab.artifacts.stock import Stock
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.cluster.api import Api
from lab.console import Console
from lab.errors import PlumblineError
from lab.hosts.converge import HostFacts
from lab.labs import Lab
from lab.machines import State
from lab.objects import Object
from lab.render.addons import addon_manifests, objects
from lab.render.bundle import Bundle, Pins, bundle, pins
from lab.runs import Run
from lab.steps.engine import Engine, Stopped


@dataclass
class Context:
    """One operation at work, or its plan: the lab, its artefacts and its evidence."""

    lab: Lab
    provided: Provided | None
    """None for an operation that asks for no artefacts."""
    console: Console
    run: Run
    stocks: Mapping[str, Stock] = field(default_factory=dict)
    """Programs and images by architecture, for machines that get them over SSH."""
    lacking: PlumblineError | None = None
    """What a plan says that needs artefacts while there are none: it brings none."""
    fresh: set[str] = field(default_factory=set)
    """Machines that this build makes: they cannot be a part of anything yet."""
    found_ready: set[str] = field(default_factory=set)
    """Titles of add-ons' objects that were ready when compared, which holds while nothing is changed."""
    planning: bool = False
    """Nothing is changed and nobody waited for: the facts of now, and who does not answer is named."""

    @cached_property
    def engine(self) -> Engine:
        """What runs the steps."""
        return Engine(self.console, self.run)

    @property
    def artefacts(self) -> Provided:
        """The artefacts. Raises `lacking`, and `LookupError` where the operation asked for none: a defect of
        ours."""
        if self.lacking:
            raise self.lacking
        if self.provided is None:
            raise LookupError("a step uses artefacts that its operation did not ask for")
        return self.provided

    @cached_property
    def pins(self) -> Pins:
        """Image references by component."""
        return pins(self.lab.inventory)

    @cached_property
    def bundles(self) -> dict[str, Bundle]:
        """What each host must be."""
        return {name: self._bundle(name) for name in self.lab.inventory.hosts}

    def _bundle(self, name: str) -> Bundle:
        inventory, traits = self.lab.inventory, self.lab.provider.traits_of(name)
        made = bundle(inventory, traits, self.pins, name)
        if made.certificates:
            made = replace(made, authority=self.lab.authority)
        if traits.layered:
            images = self.provided.images if self.provided and name in inventory.nodes else {}
            programs = self.provided.binaries if self.provided else {}
            return replace(made, images=images, programs=programs)
        if self.lacking:
            raise self.lacking
        stock = self.stocks[inventory.hosts[name].arch]
        images = stock.images if name in inventory.nodes else {}
        return replace(made, stock=stock, images=images)

    @cached_property
    def manifests(self) -> dict[str, Path]:
        """Upstream's manifests of the add-ons."""
        inventory = self.lab.inventory
        return provide_files(
            self.artefacts.source, wanted(inventory), addon_manifests(inventory), say=self.console.say
        )

    @cached_property
    def addon_objects(self) -> dict[AddOn, list[Object]]:
        """Each add-on of the lab with its objects, in the order in which they are applied."""
        inventory = self.lab.inventory
        return {addon: objects(inventory, addon, self.manifests) for addon in selected(inventory)}

    @property
    def api(self) -> Api:
        """The cluster's API through the balancer; the kubeconfig is fetched from a master first."""
        return self.lab.api

    def noting(self, key: str) -> Callable[[str], None]:
        """A function that tells what a running step sees, and ends it when the operation is stopped."""

        def note(state: str) -> None:
            self.console.note(key, state)
            self.check()

        return note

    def check(self) -> None:
        """End this step when the operation is being stopped."""
        if self.engine.stop.is_set():
            raise Stopped


@dataclass(frozen=True)
class LabFacts:
    """The lab as it is: machines by state, and what those that answer look like."""

    states: dict[str, State]
    hosts: dict[str, HostFacts]
    changes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What differs between a machine itself (not its inside) and the inventory, by host."""
    drained: frozenset[str] = frozenset()
    """API servers that a killed operation left out of HAProxy's rotation."""
    silent: dict[str, PlumblineError] = field(default_factory=dict)
    """Machines that run and did not answer a plan, with the reason."""

    def joined(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those hosts that are a part of a cluster."""
        return tuple(name for name in names if name in self.hosts and self.hosts[name].joined)
