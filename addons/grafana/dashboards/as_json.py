"""Dashboards as Grafana reads them: the Foundation SDK knows its fields, this file what of ours they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from addons.grafana.dashboards.model import EVERY, NEWEST, Dashboard, Kind, Limits, Panel, Query, Variable

METRICS = DataSourceRef(type_val="prometheus", uid="prometheus")
"""The data source, by the uid that `objects.yaml.j2` gives it."""
TAG = "plumbline"
"""Of all dashboards: each links to the others by it."""
HEIGHTS: Mapping[Kind, int] = {"number": 4}
"""Heights in Grafana's units; all other kinds have the same."""
HEIGHT = 8

GOOD, WARNING, CRITICAL = "green", "orange", "red"
YES, NO = "blue", "transparent"
"""Colours of states of which none is better than the other."""


def as_json(made: Dashboard, refresh_seconds: int) -> str:
    """The text of a dashboard's file; it is asked anew as often as there is something new."""
    builder = (
        dashboard.Dashboard(made.title)
        .uid(made.uid)
        .description(made.about)
        .tags([TAG])
        .readonly()
        .time("now-1h", "now")
        .refresh(f"{refresh_seconds}s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .variables([_variable(one) for one in made.variables])
        .links(
            [
                dashboard.DashboardLink("Dashboards")
                .type(DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .as_dropdown(True)
                .keep_time(True)
            ]
        )
    )
    number = 0
    for row in made.rows:
        number += 1
        builder.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            builder.with_panel(_panel(panel, number))
    return JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(builder.build()) + "\n"


def _panel(panel: Panel, number: int) -> Any:
    made = (
        _KINDS[panel.kind]()
        .id(number)
        .title(panel.title)
        .datasource(METRICS)
        .span(panel.width)
        .height(HEIGHTS.get(panel.kind, HEIGHT))
        .unit(panel.unit)
        .thresholds(dashboard.ThresholdsConfig().steps(steps(panel.limits)))
        .targets(
            [
                _query(query, panel, letter)
                for query, letter in zip(panel.queries, ascii_uppercase, strict=False)
            ]
        )
    )
    if panel.note:
        made.description(panel.note)
    if panel.may_be_empty:
        made.no_value(panel.may_be_empty)
    if panel.kind == "states":
        made.mappings([ValueMap(_words(panel.limits))])
    if panel.limits and panel.kind == "lines":
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return made


def _query(query: Query, panel: Panel, letter: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(METRICS)
    if query.legend:
        made.legend_format(query.legend)
    if panel.kind == "table":
        made.format(PromQueryFormat.TABLE)
    return made.instant() if panel.kind in NEWEST else made.range()


def steps(limits: Limits | None) -> list[Threshold]:
    """The colours of values from the lowest on: Grafana takes the last step that a value reaches."""
    if limits is None:
        return [Threshold(None, GOOD)]
    if limits.falling:
        return [
            Threshold(None, CRITICAL),
            Threshold(limits.critical, WARNING),
            Threshold(limits.warning, GOOD),
        ]
    return [Threshold(None, GOOD), Threshold(limits.warning, WARNING), Threshold(limits.critical, CRITICAL)]


def _variable(one: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(one.name)
        .label(one.title)
        .datasource(METRICS)
        .query(f"label_values({one.values}, {one.label})")
        .multi(True)
        .include_all(True)
        .all_value(EVERY)
        .current(VariableOption(True, "All", "$__all"))
        # machines and namespaces come and go while the page is open
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )


def _lines() -> timeseries.Panel:
    return (
        timeseries.Panel()
        .line_width(1)
        .show_points(VisibilityMode.NEVER)
        .axis_soft_min(0)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


def _stacked() -> timeseries.Panel:
    return _lines().fill_opacity(30).stacking(common.StackingConfig().mode(StackingMode.NORMAL))


def _number() -> stat.Panel:
    return (
        stat.Panel()
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _bars() -> bargauge.Panel:
    return (
        bargauge.Panel()
        .display_mode(BarGaugeDisplayMode.BASIC)
        .orientation(VizOrientation.HORIZONTAL)
        .min(0)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _words(limits: Limits | None) -> dict[str, ValueMappingResult]:
    """What stands for 0 and 1 of a state: one of them is bad where there are limits, and neither without."""
    no, yes = (NO, YES) if limits is None else (CRITICAL, GOOD) if limits.falling else (GOOD, CRITICAL)
    return {"0": ValueMappingResult("no", no), "1": ValueMappingResult("yes", yes)}


def _states() -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .show_value(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


def _table() -> table.Panel:
    # of each row the labels alone: its time is now, its value counts series or is 1
    hidden = {"excludeByName": {"Time": True, "Value": True}}
    return table.Panel().with_transformation(DataTransformerConfig(id_val="organize", options=hidden))


_KINDS: Mapping[Kind, Callable[[], Any]] = {
    "lines": _lines,
    "stacked": _stacked,
    "number": _number,
    "bars": _bars,
    "states": _states,
    "table": _table,
}
