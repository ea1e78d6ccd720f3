"""Looks at many objects, of which one that cannot be looked at hides none of the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.cluster.api import Unavailable
from lab.cluster.apply import ObjectChange
from lab.errors import DeadlineError, FailedError, PlumblineError
from lab.objects import Object, title


class PartlySeenError(FailedError):
    """Why some objects could not be looked at, each reason once; carries what the others would change.

    The exit code is that of the reasons where they agree, and 1 where they do not.
    """

    def __init__(
        self,
        errors: Iterable[PlumblineError],
        unasked: Mapping[str, Sequence[str]],
        changes: Sequence[ObjectChange],
    ) -> None:
        reasons = list({error.message: error for error in errors}.values())
        lines = [error.message for error in reasons]
        lines += [
            f"{', '.join(names)}: not asked, since nobody answered for {kind}"
            for kind, names in unasked.items()
        ]
        next_step = next((error.next_step for error in reasons if error.next_step), "")
        super().__init__("\n".join(lines), next_step=next_step)
        codes = {error.exit_code for error in reasons}
        self.exit_code = codes.pop() if len(codes) == 1 else FailedError.exit_code
        self.changes = tuple(changes)
        self._errors, self._unasked = reasons, unasked

    def besides(self, names: Collection[str]) -> PartlySeenError:
        """The same without the changes of these objects."""
        kept = [change for change in self.changes if change.name not in names]
        return PartlySeenError(self._errors, self._unasked, kept)


@dataclass
class Looks:
    """What looks at the objects of one add-on came to."""

    errors: list[PlumblineError] = field(default_factory=list)
    _unasked: dict[str, list[str]] = field(default_factory=dict)
    """Titles by kind. What judges a kind and does not answer would be waited for with each of its objects."""
    _away: bool = False
    """No API server answers."""

    def at(
        self, look: Callable[[], Iterable[ObjectChange | None]], item: Object | None = None
    ) -> list[ObjectChange]:
        """What a look found; nothing when it cannot be told. `item` is the object that it is about."""
        kind = item["kind"] if item else ""
        if item and kind in self._unasked:
            self._unasked[kind].append(title(item))
        elif not self._away:
            try:
                return [change for change in look() if change]
            except PlumblineError as error:
                self.errors.append(error)
                self._away |= isinstance(error, Unavailable)
                if item and isinstance(error, DeadlineError):
                    self._unasked.setdefault(kind, [])
        return []

    def judge(self, found: Sequence[ObjectChange]) -> None:
        """Raise `PartlySeenError` when something could not be looked at."""
        if self.errors:
            unasked = {kind: names for kind, names in self._unasked.items() if names}
            raise PartlySeenError(self.errors, unasked, found)
