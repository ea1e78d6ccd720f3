"""Which objects a rule of admission is for: kinds, selectors of labels (admissionregistration/v1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.objects import Object

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Thing:
    """What a request is about: a kind by group and plural (`pods/exec` for a part of one), labels of the
    object and of its namespace. `space` is "" for what is in none."""

    group: str
    plural: str
    space: str = ""
    space_labels: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.plural} in {self.space}" if self.space else self.plural


def selects(selector: Object | None, labels: Labels) -> bool:
    """Whether a LabelSelector (meta/v1) fits labels; none, and an empty one, fits all."""
    wanted = (selector or {}).get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_fits(term, labels) for term in (selector or {}).get("matchExpressions") or ())


def _fits(term: Object, labels: Labels) -> bool:
    key, values = term["key"], term.get("values") or ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[term["operator"]]


def covers(rules: Iterable[Object], thing: Thing) -> bool:
    """Whether one of the rules (RuleWithOperations) is for such a thing, whatever is done with it."""
    for rule in rules:
        scoped = {"Cluster": not thing.space, "Namespaced": bool(thing.space)}.get(
            rule.get("scope", "*"), True
        )
        if scoped and {"*", thing.group} & set(rule.get("apiGroups") or ()):
            part = thing.plural.partition("/")
            fitting = (
                {thing.plural, f"{part[0]}/*", f"*/{part[2]}", "*/*"} if part[2] else {part[0], "*", "*/*"}
            )
            # by `pods/*` and `*/status` the object itself is not meant
            if fitting & set(rule.get("resources") or ()):
                return True
    return False


def is_matched(matching: Object, rules: Iterable[Object], thing: Thing) -> bool:
    """Whether rules with their selectors, `namespaceSelector` and `objectSelector`, are for a thing.

    `matchConditions` are expressions that only an API server evaluates: what has some is taken to match.
    """
    of_space = thing.labels if thing.plural == "namespaces" else thing.space_labels
    inside = thing.space or thing.plural == "namespaces"
    return (
        covers(rules, thing)
        and not covers(matching.get("excludeResourceRules") or (), thing)
        and (not inside or selects(matching.get("namespaceSelector"), dict(of_space)))
        and selects(matching.get("objectSelector"), dict(thing.labels))
    )
