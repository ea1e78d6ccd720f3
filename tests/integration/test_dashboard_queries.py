"""promtool reads every query of every dashboard as the lab's own Prometheus does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from addons.grafana.dashboards import DASHBOARDS
from addons.grafana.dashboards.questions import PanelQuestion, Window, questions
from lab import local
from lab.artifacts.provide import program
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.inventory.loading import parse

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
SIXTEEN = tuple(f"worker-{number}" for number in range(1, 17))


@pytest.fixture(scope="module")
def promtool() -> str:
    text = (ROOT / "inventory" / "rehearsal.yaml").read_text()
    if "\nobservability:" not in text:
        text += "\nobservability: {}\n"
    return str(program("promtool", wanted(parse(text, "rehearsal.yaml")), arch=host_arch(), say=print))


def refused(promtool: str, expr: str) -> str:
    """What promtool has against a query; "" for one that it can read."""
    command = [promtool, "--experimental", "promql", "format", expr]
    told = local.run(command, timeout=60, check=False)
    return "" if told.code == 0 else told.stderr.strip() or f"exit code {told.code}"


@pytest.mark.parametrize("hosts", [(), SIXTEEN[:1], SIXTEEN], ids=["all", "one machine", "sixteen machines"])
def test_promtool_reads_every_query(promtool: str, hosts: tuple[str, ...]) -> None:
    asked = questions(DASHBOARDS, Window(3600, 60), {"host": hosts})

    def judged(one: PanelQuestion) -> str:
        return refused(promtool, one.expr)

    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip((one.expr for one in asked), pool.map(judged, asked), strict=True))
    assert {expr: why for expr, why in answers.items() if why} == {}


@pytest.mark.parametrize("expr", ["rate(up)", "sum(up", 'up{host=~"("}', "up{$host}"])
def test_promtool_refuses_what_is_no_query(promtool: str, expr: str) -> None:
    assert refused(promtool, expr)
