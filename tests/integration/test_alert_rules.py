"""promtool judges the rules: nothing to warn of, and every alert fires and is quiet as its cases say."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.prometheus.rule_cases import LAB, cases, lay
from addons.prometheus.section_rule_files import written_short
from lab import local
from lab.artifacts.provide import program
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.inventory import files
from lab.inventory.loading import parse

pytestmark = pytest.mark.long
SECONDS = 300.0
"""It guards against hanging alone."""


@pytest.fixture(scope="module")
def promtool() -> str:
    """The one of a lab that has the section."""
    text = (files.FOLDER / "rehearsal.yaml").read_text() + "\nobservability: {}\n"
    return str(program("promtool", wanted(parse(text, "rehearsal.yaml")), arch=host_arch(), say=print))


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rules, the suite's copy of them, and promtool's tests."""
    folder = tmp_path_factory.mktemp("rules")
    lay(folder)
    (folder / "short.yaml").write_text(written_short(LAB))
    return folder


def test_promtool_finds_nothing_in_the_rules(promtool: str, laid: Path) -> None:
    rules = sorted(str(path) for path in laid.glob("*.yaml") if ".test." not in path.name)
    done = local.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", *rules], timeout=SECONDS, check=False
    )
    assert (done.code, done.stderr) == (0, ""), done.stdout


@pytest.mark.parametrize("name", cases())
def test_alerts_fire_and_are_quiet(promtool: str, laid: Path, name: str) -> None:
    done = local.run(
        [promtool, "test", "rules", str(laid / f"{name}.test.yaml")], timeout=SECONDS, check=False
    )
    assert done.code == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('up{job=\\"etcd\\"} == 0', 'up{job=\\"etcd\\"} == 2'),
        ("severity: warning", "severity: info"),
        ("for: 5m", "for: 5h"),
        ("$labels.host", "$labels.instance"),
    ],
)
def test_a_rule_that_was_spoiled_is_noticed(promtool: str, tmp_path: Path, old: str, new: str) -> None:
    lay(tmp_path)
    rules = tmp_path / "etcd.yaml"
    spoiled = rules.read_text().replace(old, new).replace(old.replace("\\", ""), new.replace("\\", ""))
    assert spoiled != rules.read_text()
    rules.write_text(spoiled)
    done = local.run(
        [promtool, "test", "rules", str(tmp_path / "etcd.test.yaml")], timeout=SECONDS, check=False
    )
    assert done.code != 0
