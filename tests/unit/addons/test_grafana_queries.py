"""Every query of every dashboard is one that Prometheus takes, about metrics and labels that are known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from addons.grafana.dashboards import DASHBOARDS
from addons.grafana.dashboards.known import OF_TARGETS, PARTS, KnownJob, Metric, base_name, jobs
from addons.grafana.dashboards.questions import PanelQuestion, Window, questions
from tests.promql import Selector, groupings, parsed, selectors

WINDOW = Window(3600, 60)
QUESTIONS = questions(DASHBOARDS, WINDOW)
GROWING = {"rate", "increase", "irate"}
"""What is asked of counters; of gauges it is meaningless."""
OVER_TIME = GROWING | {"predict_linear", "sum_over_time"}


def job_of(selector: Selector) -> str:
    """The job that a selector is about: the one it names, or Prometheus' own list for what it adds itself."""
    own = base_name(selector.name) in jobs()["*"].metrics
    return selector.equal("job") or ("*" if own else "")


def metric_of(selector: Selector) -> tuple[KnownJob, Metric | None]:
    """The job and the metric of a selector; None where the job does not have it."""
    name, job = base_name(selector.name), jobs()[job_of(selector)]
    return job, job.metrics.get(name) or jobs()["*"].metrics.get(name)


def labels_of(selector: Selector) -> set[str]:
    """The labels that its series have."""
    job, metric = metric_of(selector)
    assert metric is not None
    found = {*metric.labels, *job.targets, *OF_TARGETS}
    return found | {"le"} if selector.name.endswith("_bucket") else found


def problems(expr: str) -> Iterator[str]:
    """What is wrong with a query whose variables are filled in."""
    try:
        tree = parsed(expr)
    except ValueError as error:
        yield f"is none: {error}"
        return
    for selector in (found := list(selectors(tree))):
        if not job_of(selector) or job_of(selector) not in jobs():
            yield f"{selector.name}: names no job that there is"
        elif metric_of(selector)[1] is None:
            yield f"{selector.name}: is no metric of job {job_of(selector)}"
        else:
            yield from _of_selector(selector)
    if any(metric_of(one)[1] is None for one in found if job_of(one) in jobs()):
        return
    for grouping in groupings(tree):
        known = set().union(*(labels_of(one) for one in grouping.selectors))
        yield from (f"by {label}: no series has it" for label in grouping.labels if label not in known)


def _of_selector(selector: Selector) -> Iterator[str]:
    _, metric = metric_of(selector)
    assert metric is not None
    unknown = {label for label, _, _ in selector.matchers} - labels_of(selector)
    yield from (f"{selector.name}: has no label {label}" for label in sorted(unknown))
    part = selector.name.endswith(PARTS) and base_name(selector.name) != selector.name
    if metric.type == "histogram" and not part:
        yield f"{selector.name}: a histogram has no series of its own name"
    counts = metric.type == "counter" or part
    if counts and selector.function not in GROWING:
        yield f"{selector.name}: a counter as it is says how long the process runs"
    if not counts and selector.function in GROWING:
        yield f"{selector.name}: {selector.function} of a gauge"
    if selector.function not in {"", *OVER_TIME} and selector.seconds:
        yield f"{selector.name}: {selector.function}: not expected here"
    if 0 < selector.seconds < WINDOW.rate_seconds:
        yield f"{selector.name}: looks back for {selector.seconds:.0f} s, less than four scrapes"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.title)
def test_a_query_is_about_known_metrics_of_a_known_job(question: PanelQuestion) -> None:
    assert list(problems(question.expr)) == []


def test_the_list_of_metrics_holds_no_other() -> None:
    used: dict[str, set[str]] = {}
    for question in QUESTIONS:
        for selector in selectors(parsed(question.expr)):
            own = base_name(selector.name) in jobs()["*"].metrics
            used.setdefault("*" if own else job_of(selector), set()).add(base_name(selector.name))
    assert used == {name: set(job.metrics) for name, job in jobs().items() if job.metrics}


def test_the_list_of_labels_holds_no_other() -> None:
    """A label that no query asks for needs no promise."""
    used: set[tuple[str, str]] = set()
    for question in QUESTIONS:
        tree = parsed(question.expr)
        for selector in selectors(tree):
            used |= {(base_name(selector.name), label) for label, _, _ in selector.matchers}
        for grouping in groupings(tree):
            used |= {(base_name(one.name), label) for one in grouping.selectors for label in grouping.labels}
    promised = {
        (name, label) for job in jobs().values() for name, one in job.metrics.items() for label in one.labels
    }
    assert promised - used == set()


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("sum(rate(up[5m])", "is none: unclosed left parenthesis"),
        ("rate(sum(up))", "is none: expected type matrix in call to function 'rate', got vector"),
        ("node_load1", "node_load1: names no job that there is"),
        ('node_load1{job="nodes"}', "node_load1: names no job that there is"),
        ('node_load1{job=~"node"}', "node_load1: names no job that there is"),
        ('node_load5{job="node"}', "node_load5: is no metric of job node"),
        ('node_load1{job="etcd"}', "node_load1: is no metric of job etcd"),
        ('node_load1{job="node",hots="a"}', "node_load1: has no label hots"),
        ('sum by (hots) (node_load1{job="node"})', "by hots: no series has it"),
        ('rate(node_load1{job="node"}[5m])', "node_load1: rate of a gauge"),
        (
            'node_vmstat_pgmajfault{job="node"}',
            "node_vmstat_pgmajfault: a counter as it is says how long the process runs",
        ),
        (
            'etcd_disk_wal_fsync_duration_seconds{job="etcd"}',
            "etcd_disk_wal_fsync_duration_seconds: a histogram has no series of its own name",
        ),
        (
            'rate(node_vmstat_pgmajfault{job="node"}[1m])',
            "node_vmstat_pgmajfault: looks back for 60 s, less than four scrapes",
        ),
        (
            'max by (host) (kube_node_status_allocatable{job="kube-state-metrics"})',
            "by host: no series has it",
        ),
    ],
)
def test_what_is_wrong_with_a_query_is_told(expr: str, said: str) -> None:
    assert list(problems(expr)) == [said]
