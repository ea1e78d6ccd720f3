"""Machines of several providers in one lab: the same contract, each call sent to the host's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.machines import Blocker, Leftovers, Machine, Power, Provider, State, Traits


class MixedProvider:
    """`owners` names the provider of each host; `parts` are all of them, the owner of the network first."""

    def __init__(self, parts: tuple[Provider, ...], owners: Mapping[str, Provider]) -> None:
        self._parts, self._owners = parts, owners

    def traits_of(self, name: str) -> Traits:
        return self._owners[name].traits_of(name)

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        listed = list(machines)
        return [
            problem
            for part in self._parts
            for problem in part.preflight([item for item in listed if self._owners[item.name] is part])
        ]

    def enter(self) -> None:
        self._parts[0].enter()

    def prepare(self) -> bool:
        changed = [part.prepare() for part in self._parts]
        return any(changed)

    def create(self, machine: Machine) -> bool:
        return self._owners[machine.name].create(machine)

    def changes(self, machine: Machine) -> tuple[str, ...]:
        return self._owners[machine.name].changes(machine)

    def remarks(self, machine: Machine) -> list[Blocker]:
        return self._owners[machine.name].remarks(machine)

    def destroy(self, name: str) -> bool:
        return self._owner(name).destroy(name)

    def clean(self) -> bool:
        """The owner of the network last: the others are reached through it."""
        changed = [part.clean() for part in reversed(self._parts)]
        return any(changed)

    def leftovers(self) -> Leftovers:
        items: dict[str, tuple[str, ...]] = {}
        for part in self._parts:
            for kind, names in part.leftovers().items.items():
                items[kind] = (*items.get(kind, ()), *names)
        return Leftovers(items)

    def machines(self) -> dict[str, State]:
        found = {name: state for part in self._parts for name, state in part.machines().items()}
        return dict(sorted(found.items()))

    def state(self, name: str) -> State:
        return self._owner(name).state(name)

    def power(self, name: str, action: Power) -> None:
        self._owners[name].power(name, action)

    def _owner(self, name: str) -> Provider:
        """The provider of a machine, of one that is no longer in the inventory as well."""
        if name in self._owners:
            return self._owners[name]
        return next((part for part in self._parts if name in part.machines()), self._parts[0])

    def console(self, name: str) -> str:
        return self._owners[name].console(name)
