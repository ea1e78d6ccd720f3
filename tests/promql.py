"""Queries taken apart, for tests that judge them: a parser with Prometheus' types, so no server is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser as promql
from promql_parser import MatchOp


@dataclass(frozen=True)
class Selector:
    """One selector of a query: the series it names, and what it asks of their labels.

    `function` is what its range of time is given to, "" for an instant; `seconds` is that range.
    """

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    """(label, operator, value)"""
    function: str
    seconds: float

    def equal(self, label: str) -> str:
        """The value that a label must have; "" where none is asked for."""
        return next((value for name, op, value in self.matchers if name == label and op == "="), "")


@dataclass(frozen=True)
class Grouping:
    """Labels that a part of a query groups or matches by, and the selectors they are of."""

    labels: tuple[str, ...]
    selectors: tuple[Selector, ...]


_OPERATORS = ((MatchOp.Equal, "="), (MatchOp.NotEqual, "!="), (MatchOp.Re, "=~"), (MatchOp.NotRe, "!~"))


def parsed(expr: str) -> promql.Expr:
    """The expression as a tree. Raises `ValueError` for one that Prometheus would refuse."""
    tree: promql.Expr = promql.parse(expr)
    return tree


def selectors(tree: promql.Expr, function: str = "") -> Iterator[Selector]:
    """Every selector below a part of a query, in its order."""
    if isinstance(tree, promql.VectorSelector):
        yield _selector(tree, function, 0)
    elif isinstance(tree, promql.MatrixSelector):
        yield _selector(tree.vector_selector, function, tree.range.total_seconds())
    for part in _parts(tree):
        yield from selectors(part, tree.func.name if isinstance(tree, promql.Call) else "")


def groupings(tree: promql.Expr) -> Iterator[Grouping]:
    """Every `by`, `on`, `ignoring`, `without` and `group_left` of a query."""
    labels: list[str] = []
    if isinstance(tree, promql.AggregateExpr) and tree.modifier is not None:
        labels += tree.modifier.labels
    if isinstance(tree, promql.BinaryExpr) and tree.modifier is not None:
        labels += tree.modifier.group_labels or []
        labels += tree.modifier.matching.labels if tree.modifier.matching else []
    if labels:
        yield Grouping(tuple(labels), tuple(selectors(tree)))
    for part in _parts(tree):
        yield from groupings(part)


def _parts(tree: promql.Expr) -> list[promql.Expr]:
    if isinstance(tree, promql.BinaryExpr):
        return [tree.lhs, tree.rhs]
    if isinstance(tree, promql.Call):
        return list(tree.args)
    if isinstance(tree, promql.AggregateExpr):
        return [tree.expr, *([tree.param] if isinstance(tree.param, promql.Expr) else [])]
    if isinstance(tree, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return [tree.expr]
    return []


def _selector(found: promql.VectorSelector, function: str, seconds: float) -> Selector:
    words = tuple((one.name, _operator(one.op), one.value) for one in found.matchers.matchers)
    return Selector(found.name or "", words, function, seconds)


def _operator(op: MatchOp) -> str:
    return next(word for one, word in _OPERATORS if one == op)
