"""The answer of a host to one program, section by section: each is read when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, overload

from pydantic import TypeAdapter

from lab.answers import fit
from lab.errors import FailedError, PlumblineError

T = TypeVar("T")


class FactSection(Generic[T]):
    """A section of a host's answer, read when it is asked for: an error in one hides none of the others."""

    def __init__(self, shape: TypeAdapter[T]) -> None:
        self._shape = shape

    def __set_name__(self, owner: type[Sections], name: str) -> None:
        self._name = name
        owner.names = (*owner.names, name)

    @overload
    def __get__(self, answer: None, owner: type[Sections]) -> FactSection[T]: ...
    @overload
    def __get__(self, answer: Sections, owner: type[Sections]) -> T: ...
    def __get__(self, answer: Sections | None, owner: type[Sections]) -> FactSection[T] | T:
        if answer is None:
            return self
        return answer.section(self._name, self._shape)


class Sections:
    """The sections of an answer; a program's own has a `FactSection` for each.

    Reading one raises `unread` when the host could not tell it, when it was not asked for, or when it does
    not fit its record.
    """

    names: ClassVar[tuple[str, ...]] = ()
    unread: ClassVar[type[PlumblineError]] = FailedError

    def __init__(self, host: str, answer: Mapping[str, Any]) -> None:
        self.host, self._answer = host, answer
        self._read: dict[str, Any] = {}

    def section(self, name: str, shape: TypeAdapter[T]) -> T:
        """One section as its record; see the class for what it raises."""
        if name not in self._read:
            self._read[name] = self._fitting(name, shape)
        found: T = self._read[name]
        return found

    def _fitting(self, name: str, shape: TypeAdapter[T]) -> T:
        if name not in self._answer:
            raise self.unread(f"{self.host}: {name}: was not asked for")
        value = self._answer[name]
        if isinstance(value, dict) and set(value) == {"error"}:
            raise self.unread(f"{self.host}: {name}: {value['error']}", next_step=f"invoke ssh {self.host}")
        try:
            return fit(self.host, name, shape, value)
        except FailedError as error:
            raise self.unread(error.message, next_step=error.next_step) from error
