"""The pytest plugin of the acceptance suite: hosts from the inventory, four outcomes, one record a check.

Loaded only by `lab.verify.run` (`-p lab.verify.plugin`). It asks nothing of the lab while tests are
collected, so that every worker collects the same tests in the same order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from lab.addons import addons, selected
from lab.checks.driver import Driver
from lab.checks.evidence import collect
from lab.checks.facts import Facts
from lab.checks.items import Measure, checks_of, short_id
from lab.checks.outcomes import NotPartOfLab, Outcome
from lab.checks.record import Figure, Record
from lab.checks.survey import Survey
from lab.inventory.models import HostRole, Inventory
from lab.verify.judging import judged, with_events
from lab.verify.session import SuiteContext
from lab.verify.stash import CONTEXT

DRIVER = pytest.StashKey[Driver]()
RECORD = pytest.StashKey[dict[str, Any]]()
TOLD = pytest.StashKey[dict[int, tuple[BaseException, str]]]()
"""What fixtures have raised, and the check that tells it."""
FIGURES = pytest.StashKey[list[Figure]]()

FIRST_WORKER = "gw0"
"""As pytest-xdist calls it."""
SEVERITY = (Outcome.PASSED, Outcome.SKIPPED, Outcome.COULD_NOT_TELL, Outcome.FAILED)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option: where the starter wrote the context."""
    parser.addoption("--plumbline-context", type=Path, required=True, help="written by `invoke verify`")


def pytest_configure(config: pytest.Config) -> None:
    """Open the context, and in the controlling process the stream of records."""
    for line in (
        "check(id): row of the catalogue that this test answers",
        "each(group): run once for each host of all, nodes, masters, workers or balancer",
        "full: left out unless the inventory says `verify.ha: full`",
    ):
        config.addinivalue_line("markers", line)
    context = SuiteContext.model_validate_json(config.getoption("--plumbline-context").read_text())
    config.stash[CONTEXT] = context
    config.stash[TOLD] = {}
    config.stash[DRIVER] = context.driver()
    # a polite kill unwinds like Ctrl-C, so that a fault is healed and what a test made is removed; a job in
    # a shell's background is started with Ctrl-C ignored
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Stream(context.records), "plumbline-stream")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before a layer that looks at every host ask them all at the same time, while the workers still load."""
    config = session.config
    if config.stash[CONTEXT].layer.every_host and not hasattr(config, "workerinput"):
        driver = config.stash[DRIVER]
        hosts = tuple(driver.inventory.hosts)
        threading.Thread(target=driver.facts.gather, args=(hosts,), name="facts", daemon=True).start()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Ask all the hosts that tests want to know of at the same time; of several workers the first does."""
    config = session.config
    worker = getattr(config, "workerinput", {"workerid": FIRST_WORKER})["workerid"]
    driver = config.stash[DRIVER]
    for fixture, told in (("facts", "facts"), ("survey", "surveys")):
        wanting = (item for item in session.items if fixture in getattr(item, "fixturenames", ()))
        hosts = {_host(item) for item in wanting} - {""}
        early = fixture == "facts" and config.stash[CONTEXT].layer.every_host
        if hosts and worker == FIRST_WORKER and not early:
            gather = getattr(driver, told).gather
            threading.Thread(target=gather, args=(sorted(hosts),), name=told, daemon=True).start()


class Stream:
    """Writes what happens as JSON lines to the starter, from the controlling process alone."""

    def __init__(self, descriptor: int) -> None:
        self._out = os.fdopen(descriptor, "w", buffering=1)
        self._told = False

    def _say(self, kind: str, value: Any) -> None:
        self._out.write(json.dumps({kind: value}) + "\n")

    def _collected(self, ids: list[str]) -> None:
        if not self._told:
            self._told = True
            self._say("collected", [short_id(item) for item in ids])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """A worker knows its tests; all workers know the same."""
        self._collected(list(ids))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers this process knows the tests itself."""
        if session.items:
            self._collected([item.nodeid for item in session.items])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be read makes the layer worthless."""
        if report.failed:
            self._say("broken", f"{report.nodeid}: {str(report.longrepr)[-2000:]}")

    def pytest_internalerror(self, excrepr: object) -> None:
        """pytest itself, or this plugin, broke."""
        self._say("broken", str(excrepr)[-2000:])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._say("begun", short_id(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has ended, or its worker has."""
        record = getattr(report, "plumbline", None)
        if record is not None:
            self._say("record", record)
        elif str(report.when) == "???":  # xdist's report for the test during which a worker died
            self._say("died", [short_id(report.nodeid), str(report.longrepr)[-500:]])


def hosts_of(inventory: Inventory, group: str) -> tuple[str, ...]:
    """Hosts of a group, in the order of the file."""
    groups = {
        "all": tuple(inventory.hosts),
        "nodes": inventory.nodes,
        "masters": inventory.masters,
        "workers": inventory.workers,
        "balancer": inventory.named(HostRole.LOAD_BALANCER),
    }
    return groups[group]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The checks of an add-on that is not part of the lab say so, before anything is made for them."""
    inventory = item.config.stash[DRIVER].inventory
    own = [addon for addon in addons() if item.path.is_relative_to(addon.folder)]
    if own and own[0] not in selected(inventory):
        said = f"is not {own[0].value}" if own[0].value else "the inventory has no such section"
        raise NotPartOfLab(".".join(own[0].path), f"{said}, so {own[0].title} is not installed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs once for each host of its group if it asks for `host`, for each add-on if for `addon`."""
    if "addon" in metafunc.fixturenames:
        # of one without objects nothing can be unlike what was rendered
        found = [item for item in selected(metafunc.config.stash[DRIVER].inventory) if item.in_cluster]
        metafunc.parametrize("addon", found, ids=[addon.name for addon in found])
    if "host" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("each")
        if marker is None:
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid}: a test with `host` needs mark.each(group)"
            )
        inventory = metafunc.config.stash[DRIVER].inventory
        metafunc.parametrize("host", hosts_of(inventory, marker.args[0]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what the selection names: a row (L1-08), a host, or a part of a test's name."""
    terms = [term.strip() for term in config.stash[CONTEXT].selection.split(",") if term.strip()]
    if terms:
        kept = [item for item in items if any(_selected(item, term) for term in terms)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def _selected(item: pytest.Item, term: str) -> bool:
    return term == _host(item) or term in checks_of(item) or term in short_id(item.nodeid)


def _host(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("host", "")) if callspec else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Give the phase its outcome, and with the last phase send the test's record."""
    report: Any = yield
    record = item.stash.setdefault(RECORD, _blank(item))
    record["seconds"] = round(record["seconds"] + call.duration, 3)
    if call.excinfo is not None and not isinstance(call.excinfo.value, KeyboardInterrupt):
        _judge(item, call.excinfo, report, record)
    if call.when == "teardown":
        record["figures"] = [figure.model_dump() for figure in item.stash.get(FIGURES, [])]
        report.plumbline = Record.model_validate(record).model_dump(mode="json")
    return report


def _blank(item: pytest.Item) -> dict[str, Any]:
    function = getattr(item, "function", None)
    doc = (getattr(function, "__doc__", "") or item.name).strip().splitlines()[0]
    return {
        "id": short_id(item.nodeid),
        "checks": checks_of(item),
        "title": doc.rstrip("."),
        "layer": item.config.stash[CONTEXT].layer.name,
        "host": _host(item),
        "outcome": Outcome.PASSED,
        "seconds": 0.0,
    }


def _judge(
    item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], report: Any, record: dict[str, Any]
) -> None:
    error = excinfo.value
    outcome, details = judged(error)
    if report.when == "setup" and outcome is Outcome.FAILED:
        # pytest raises what a shared fixture has raised in every test that wants it: the first one tells it
        _, first = item.config.stash[TOLD].setdefault(id(error), (error, record["id"]))
        if first != record["id"]:
            outcome, details = Outcome.COULD_NOT_TELL, details | {"cause": str(error), "because": first}
    if outcome is Outcome.SKIPPED:
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, str(error))
    else:
        report.outcome = "failed"
    if SEVERITY.index(outcome) <= SEVERITY.index(record["outcome"]):
        return
    host = details.pop("host", "") or record["host"]
    record |= {"outcome": outcome, "host": host} | details
    context, driver = item.config.stash[CONTEXT], item.config.stash[DRIVER]
    if outcome is Outcome.SKIPPED or not context.layer.needs_lab or not context.evidence:
        return
    if outcome is Outcome.FAILED and not context.layer.every_host:
        record["message"] = with_events(driver, record["message"], record["seen"], host)
    name = re.sub(r"[^\w.-]+", "_", record["id"])
    record["evidence"] = collect(driver, [host] if host else [], f"evidence/{name}", report.longreprtext)


@pytest.fixture(scope="session")
def driver(request: pytest.FixtureRequest) -> Driver:
    """How tests look at the lab."""
    return request.config.stash[DRIVER]


@pytest.fixture(scope="session")
def inventory(driver: Driver) -> Inventory:
    """What the lab must be."""
    return driver.inventory


@pytest.fixture
def facts(driver: Driver, host: str) -> Facts:
    """What the test's host said about itself in this run."""
    return driver.facts.get(host)


@pytest.fixture
def survey(driver: Driver, host: str) -> Survey:
    """What lies and runs on the test's host beside what was declared."""
    return driver.surveys.get(host)


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Where a test notes what it measured."""
    return Measure(request.node.stash.setdefault(FIGURES, []))
