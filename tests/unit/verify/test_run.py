"""The verdict: a small suite of its own, run by the real runner in the layer that needs no lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.addons import selected
from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.console import Console
from lab.errors import InputError, PreflightError
from lab.inventory import load
from lab.labs import Lab
from lab.locks import exclusive
from lab.runs import Run
from lab.verify import run as runner
from lab.verify.layers import LAYERS, Layer, chosen, named
from lab.verify.stream import RecordStream
from tests.unit.verify.small_suite import FOUR, SHARED, suite, verify

ROOT = Path(__file__).parents[3]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    return Lab(load("rehearsal"), tmp_path)


def test_four_outcomes_are_told_apart(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite(tmp_path, monkeypatch, _four=FOUR)
    verdict, folder = verify(lab, tmp_path)
    found = {record.id.partition("::")[2]: record for record in verdict.records}
    outcomes = {name: record.outcome.value for name, record in found.items()}
    hosts = tuple(lab.inventory.hosts)
    assert outcomes == dict.fromkeys((f"test_passes[{host}]" for host in hosts), "passed") | {
        "test_fails": "failed",
        "test_plain_assertion": "failed",
        "test_unreachable": "could-not-tell",
        "test_unreachable_too": "could-not-tell",
        "test_defect_of_the_check": "could-not-tell",
        "test_bare_skip": "could-not-tell",
        "test_not_here": "skipped",
        "test_fixture": "could-not-tell",
        "test_measures": "passed",
        "test_gevent_is_not_here": "passed",
    }
    assert not verdict.green
    failed = found["test_fails"]
    assert (failed.host, failed.checks, failed.title) == ("worker-1", ("L0-02",), "It fails")
    assert (failed.expected, failed.seen, failed.command) == ("0600", "0644", "ls")
    assert found["test_unreachable_too"].because == found["test_unreachable"].id
    assert found["test_unreachable"] in verdict.findings
    assert found["test_unreachable_too"] not in verdict.findings
    assert "KeyError: 'missing'" in found["test_defect_of_the_check"].message
    assert found["test_measures"].figures[0].value == 1.5
    assert json.loads((folder / "report.json").read_text())["green"] is False
    assert {path.name for path in folder.glob("*.*") if path.is_file()} >= {"report.html", "junit.xml"}


def test_what_a_shared_fixture_found_is_one_finding(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite(tmp_path, monkeypatch, _shared=SHARED)
    verdict, _ = verify(lab, tmp_path)
    first, *others = verdict.records
    assert (first.outcome, first.message) == (Outcome.FAILED, "pods of front: expected 2 Ready; seen: 1")
    assert [record.outcome for record in others] == [Outcome.COULD_NOT_TELL] * 2
    assert {record.because for record in others} == {first.id}
    told = "could not look: pods of front: expected 2 Ready; seen: 1; see L0-01 It needs the site"
    assert {record.message for record in others} == {told}
    assert verdict.findings == (first,)
    assert capsys.readouterr().out.count("pods of front") == 1


def test_a_selection_keeps_rows_hosts_and_names(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(tmp_path, monkeypatch, _four=FOUR)
    verdict, _ = verify(lab, tmp_path, "worker-1, L0-01, measures")
    assert verdict.green
    assert len(verdict.records) == len(lab.inventory.hosts) + 1
    with pytest.raises(InputError, match="no check of these layers"):
        verify(lab, tmp_path, "L9-99")


def test_a_check_that_asks_for_an_add_on_runs_once_for_each_of_the_lab(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(tmp_path, monkeypatch, _each="def test_each(addon):\n    assert addon.title\n")
    verdict, _ = verify(lab, tmp_path)
    found = [record.id.partition("::")[2] for record in verdict.records]
    assert found == [f"test_each[{addon.name}]" for addon in selected(lab.inventory)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("", "pytest ended with exit code 5"),
        (
            "from lab.checks.outcomes import NotPartOfLab as N\n\ndef test_x():\n    raise N('a', 'b')\n",
            "no check of this layer",
        ),
        ("import os\n\ndef test_x():\n    os._exit(3)\n", "was not run to its end"),
    ],
)
def test_c34_nothing_is_green_by_absence(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    suite(tmp_path, monkeypatch, _x=text)
    verdict, _ = verify(lab, tmp_path)
    assert not verdict.green
    assert any(said in record.message for record in verdict.bad), [record.message for record in verdict.bad]


def test_c34_every_host_is_looked_at_or_named() -> None:
    node = Layer("node", 10, "")
    story = RecordStream(node, Console())
    story.hear({"collected": ["t::a[one]", "t::a[two]"]})
    record = Record(id="t::a[one]", title="a", layer="node", host="one", outcome=Outcome.PASSED)
    story.hear({"record": record.model_dump(mode="json")})
    found = story.close(0, "", ("one", "two", "three"), selected=False)
    assert [(r.id, r.outcome.value) for r in found] == [
        ("t::a[one]", "passed"),
        ("t::a[two]", "could-not-tell"),
        ("node: reach[two]", "could-not-tell"),
        ("node: reach[three]", "could-not-tell"),
    ]


def test_c34_nine_hosts_of_ten_that_cannot_be_reached_are_nine_findings() -> None:
    hosts = tuple(f"worker-{number}" for number in range(1, 11))
    story = RecordStream(Layer("node", 10, ""), Console())
    checks = [f"t::a[{name}]" for name in hosts]
    story.hear({"collected": checks})
    for number, (name, check) in enumerate(zip(hosts, checks, strict=True)):
        cause = f"{name}: not reachable by SSH: No route to host" if number else ""
        outcome = Outcome.COULD_NOT_TELL if number else Outcome.PASSED
        record = Record(
            id=check, title="a", layer="node", host=name, outcome=outcome, message=cause, cause=cause
        )
        story.hear({"record": record.model_dump(mode="json")})
    found = story.close(1, "", hosts, selected=False)
    assert [record.host for record in found] == list(hosts)
    silent = [record for record in found if record.outcome is Outcome.COULD_NOT_TELL]
    assert [record.message.partition(":")[0] for record in silent] == list(hosts[1:])
    assert all("No route to host" in record.message and not record.because for record in silent)


def test_a_running_layer_shows_the_check_that_runs() -> None:
    console = Console()
    story = RecordStream(Layer("node", 10, ""), console)
    with console.working("verify node", "verify node"):
        story.hear({"collected": ["t.py::a[one]", "t.py::b[two]", "t.py::c"]})
        assert story.state == "0 of 3"
        story.hear({"begun": "t.py::a[one]"})
        story.hear({"begun": "t.py::b[two]"})
        assert story.state == "0 of 3 a[one], and 1 more"
        record = Record(id="t.py::a[one]", title="a", layer="node", host="one", outcome=Outcome.PASSED)
        story.hear({"record": record.model_dump(mode="json")})
        assert story.state == "1 of 3 b[two]"
        assert console._running["verify node"][2] == story.state
        story.hear({"died": ["t.py::b[two]", "killed"]})
        assert story.state == "2 of 3"


def test_a_cause_is_said_once_and_a_message_whole(capsys: pytest.CaptureFixture[str]) -> None:
    story = RecordStream(Layer("node", 10, ""), Console())
    names = [f"t.py::{name}" for name in "abc"]
    story.hear({"collected": names})
    for name in names:
        record = Record(
            id=name,
            title=f"Title of {name}",
            layer="node",
            outcome=Outcome.COULD_NOT_TELL,
            message="worker-1: not reachable\n  by SSH",
            cause="worker-1: not reachable",
        )
        story.hear({"record": record.model_dump(mode="json")})
    said = capsys.readouterr().out
    assert said.count("worker-1: not reachable") == 1
    assert "  by SSH" in said
    found = story.close(1, "", (), selected=False)
    assert [record.because for record in found] == ["", names[0], names[0]]


def test_layers_run_in_order_and_faults_need_a_disposable_lab(lab: Lab) -> None:
    assert [layer.name for layer in LAYERS] == ["render", "node", "cluster", "services", "ha", "load"]
    picked, left_out = chosen(["ha", "node"], lab.inventory)
    assert [layer.name for layer in picked] == ["node", "ha"]
    assert left_out == {}
    kept = lab.inventory.model_copy(update={"disposable": False})
    picked, left_out = chosen([], kept)
    assert "ha" not in [layer.name for layer in picked]
    assert "disposable" in left_out["ha"]
    with pytest.raises(InputError, match="disposable"):
        chosen(["ha"], kept)
    with pytest.raises(InputError, match="cellar: not a layer; layers are render, node"):
        chosen(["cellar"], kept)


def test_c40_a_second_verify_of_a_lab_is_refused(lab: Lab, tmp_path: Path) -> None:
    run = Run(tmp_path, "rehearsal", "invoke verify")
    with (
        exclusive(lab, "invoke verify"),
        pytest.raises(PreflightError, match=f"process {os.getpid()}, since 20"),
    ):
        runner.verify(lab, run, Console(), ["node"])
    run.close()


def test_c40_several_processes_run_a_layer_or_many_rows_of_it() -> None:
    cluster = named("cluster")
    assert runner.workers(cluster, "") == cluster.workers > 1
    few = ",".join(f"L2-{number:02d}" for number in range(1, runner.MANY_ROWS))
    assert runner.workers(cluster, few) == 1
    assert runner.workers(cluster, f"{few},L2-20") == cluster.workers
    assert runner.workers(named("render"), f"{few},L2-20") == 1
    alone = [layer for layer in LAYERS if layer.disturbs or layer.profile]
    assert [layer.name for layer in alone] == ["ha", "load"]
    assert {runner.workers(layer, selection) for layer in alone for selection in ("", few)} == {1}


def test_c40_collection_is_the_same_whatever_the_hash_seed(lab: Lab, tmp_path: Path) -> None:
    from lab.verify.session import SuiteContext

    seen = set()
    for seed in ("0", "1"):
        context = tmp_path / f"context-{seed}.json"
        context.write_text(SuiteContext.of(lab, tmp_path, named("node"), "", 1).model_dump_json())
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "lab.verify.plugin"]
        command += [
            "-p",
            "no:cacheprovider",
            "--plumbline-context",
            str(context),
            "tests/acceptance",
            "addons",
        ]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        seen.add(tuple(line for line in done.stdout.splitlines() if "::" in line))
    assert len(seen) == 1
    assert len(seen.pop()) > 100
