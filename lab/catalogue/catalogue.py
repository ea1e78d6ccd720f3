"""All components with all their versions, and what is chosen of them for one lab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, model_validator

from lab.catalogue.model import AnyVersion, CatalogueModel, ComponentVersion, Image, Programs, SingleFile
from lab.errors import InputError


class Component(CatalogueModel):
    """A component: what stands beside `versions` is the same in each of them unless a version says otherwise.

    `section` is the section of the inventory whose `version` names that of this component; without one it has
    its first version. The first version is the newest tested one and the default.
    """

    section: str = ""
    versions: dict[str, Annotated[AnyVersion, Field(discriminator="kind")]] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("versions"), dict):
            return data
        common = {key: value for key, value in data.items() if key not in cls.model_fields}
        versions = {
            version: common | (own or {}) | {"version": version}
            if own is None or isinstance(own, dict)
            else own
            for version, own in data["versions"].items()
        }
        return {**{key: data[key] for key in cls.model_fields if key in data}, "versions": versions}

    @model_validator(mode="after")
    def _has_a_tested_one(self) -> Component:
        if next(iter(self.versions.values())).untested:
            raise ValueError("the first version is the default, so it cannot be untested")
        return self

    @property
    def first(self) -> str:
        """The version that a lab has unless it says otherwise."""
        return next(iter(self.versions))

    @property
    def tested(self) -> tuple[str, ...]:
        """The versions that an inventory may name, the default first."""
        return tuple(version for version, one in self.versions.items() if not one.untested)


class CatalogueFile(CatalogueModel):
    """What one file of the catalogue says: components by name, in the order in which they are made."""

    components: dict[str, Component]


class Catalogue(CatalogueFile):
    """All components of all files; `homes` names the folder of the add-on that brings a component."""

    homes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Catalogue:
        owners: dict[str, str] = {}
        references: dict[str, ComponentVersion] = {}
        for item, one in self._all():
            if isinstance(one, Programs):
                for program in one.named:
                    if owners.setdefault(program, item.name) != item.name:
                        raise ValueError(f"{item}: program {program} is also in {owners[program]}")
            elif isinstance(one, Image):
                if references.setdefault(one.tagged, item) != item:
                    raise ValueError(
                        f"{item}: reference {one.tagged} is also that of {references[one.tagged]}"
                    )
                for part in one.parts:
                    owner = self.components.get(part.name)
                    found = owner.versions.get(part.version) if owner else None
                    if not isinstance(found, Programs) or not found.modules:
                        raise ValueError(f"{item}: {part}: no such set of programs that is built here")
        for section, members in self._sections.items():
            lists = {self.components[name].tested: name for name in members}
            if len(lists) > 1:
                raise ValueError(
                    f"{' and '.join(lists.values())}: are versions of {section}, but not the same"
                )
        return self

    @cached_property
    def _sections(self) -> dict[str, list[str]]:
        sections: dict[str, list[str]] = {}
        for name, component in self.components.items():
            if component.section:
                sections.setdefault(component.section, []).append(name)
        return sections

    def _all(self) -> Iterator[tuple[ComponentVersion, AnyVersion]]:
        return (
            (ComponentVersion(name, version), one)
            for name, component in self.components.items()
            for version, one in component.versions.items()
        )

    @cached_property
    def program_names(self) -> frozenset[str]:
        """The programs that may be installed on a machine."""
        return frozenset(name for _, one in self._all() if isinstance(one, Programs) for name in one.install)

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections of an inventory that name the version of something."""
        return tuple(self._sections)

    def versions(self, section: str) -> dict[str, str]:
        """The versions of a section of the inventory: version -> why it is not tested, "" if it is."""
        first = self.components[self._sections[section][0]]
        return {version: one.untested for version, one in first.versions.items()}

    def tested(self, section: str) -> tuple[str, ...]:
        """The versions that a section of the inventory may name, the default first."""
        return self.components[self._sections[section][0]].tested

    def get(self, item: ComponentVersion) -> AnyVersion:
        """One version of a component. Raises `InputError` with those there are."""
        component = self.components.get(item.name)
        if component is None:
            raise InputError(
                f"component: {item.name!r} is not in the artefact catalogue", next_step="invoke artifacts"
            )
        if item.version not in component.versions:
            raise InputError(
                f"{item.name}: version {item.version} is not in the artefact catalogue, which has "
                f"{', '.join(component.versions)}",
                next_step="name one of them, or add the version (docs/artifacts.md)",
            )
        return component.versions[item.version]

    def select(self, wanted: Iterable[tuple[str, str]]) -> Selection:
        """What is wanted, and the sets of programs that wanted images are composed of.

        Raises `InputError` for what is not in the catalogue.
        """
        named = dict.fromkeys(ComponentVersion(*item) for item in wanted)
        chosen = {item: self.get(item) for item in named}
        for one in list(chosen.values()):
            if isinstance(one, Image):
                chosen |= {part: self.get(part) for part in one.parts}
        ordered = {item: one for item, one in self._all() if item in chosen}
        return Selection(ordered, frozenset(named))

    def everything(self) -> Selection:
        """Every version of every component."""
        return self.select(item for item, _ in self._all())


@dataclass(frozen=True)
class Selection:
    """What one lab needs: components in the order in which they are made, and those of them that it named."""

    components: Mapping[ComponentVersion, AnyVersion]
    wanted: frozenset[ComponentVersion]

    def programs(self) -> Iterator[tuple[ComponentVersion, Programs]]:
        """The sets of programs."""
        return ((item, one) for item, one in self.components.items() if isinstance(one, Programs))

    def named(self) -> Iterator[tuple[ComponentVersion, Programs]]:
        """The sets of programs that are had for themselves: for machines, or as tools of this one."""
        return ((item, one) for item, one in self.programs() if one.named and item in self.wanted)

    def installed(self) -> Iterator[tuple[ComponentVersion, Programs]]:
        """The sets of programs that go to machines."""
        return ((item, one) for item, one in self.named() if one.install)

    def images(self) -> Iterator[tuple[ComponentVersion, Image]]:
        """The images."""
        return ((item, one) for item, one in self.components.items() if isinstance(one, Image))

    def files(self) -> Iterator[tuple[ComponentVersion, SingleFile]]:
        """The single files."""
        return ((item, one) for item, one in self.components.items() if isinstance(one, SingleFile))
