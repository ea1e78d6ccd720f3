"""Seeded defects of metrics and alerts change what is rendered, and their rows name what they change."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from addons.alertmanager import section_config as alerts
from addons.alertmanager.defects import defects as of_alertmanager
from addons.kube_state_metrics.defects import OPTION, OTHER, PLACE, SHOWN
from addons.kube_state_metrics.defects import defects as of_state
from addons.prometheus import loaded
from addons.prometheus.defects_of_metrics import defects as of_prometheus
from addons.prometheus.section_config import configuration, rules, text
from lab.addons import selected
from lab.render.addons import rendered
from lab.selftest.catalogue import catalogue
from lab.selftest.defect import Breakage, Defect
from tests.world import INVENTORY, inventory

LAB = inventory(INVENTORY + "observability: {}\n")
DEFECTS: dict[str, Defect] = {
    item.name: item for item in (*of_prometheus(LAB), *of_alertmanager(LAB), *of_state(LAB))
}
PROGRAM = re.compile(r"\bsed ('(?:[^']|'\"'\"')*') /var/lib/plumbline/defects/[\w-]+ \|")
MAPS = {
    "configmap/prometheus": {"prometheus.yaml": text(configuration(LAB))},
    "configmap/prometheus-rules": rules(LAB),
    "configmap/alertmanager": {"alertmanager.yaml": text(alerts.configuration(LAB))},
}


class AsKubectl(yaml.SafeDumper):  # type: ignore[misc]
    """Texts of several lines as kubectl writes them."""


def _block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


AsKubectl.add_representer(str, _block)
EDITED = sorted(
    name
    for name, item in DEFECTS.items()
    if isinstance(item, Breakage) and PROGRAM.search(item.damage) and {*item.touches} & MAPS.keys()
)


def edited(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The texts of a ConfigMap before and after a defect's sed program, run by sed itself."""
    item = DEFECTS[name]
    assert isinstance(item, Breakage)
    held = MAPS[item.touches[0]]
    found = PROGRAM.search(item.damage)
    assert found
    (program,) = shlex.split(found[1])
    written = yaml.dump({"data": held}, Dumper=AsKubectl, width=10_000)
    sed = shutil.which("sed") or "/usr/bin/sed"
    said = subprocess.run([sed, program], input=written, capture_output=True, text=True, check=True)
    after: dict[str, str] = yaml.safe_load(said.stdout)["data"]
    return held, after


def differences(name: str) -> list[str]:
    """What the checks would say of it."""
    before, after = edited(name)
    if "configmap/prometheus-rules" in DEFECTS[name].touches:
        ours, theirs = loaded.rendered_rules(before), loaded.rendered_rules(after)
        return loaded.rule_differences(ours, theirs, {rule.expr: rule.expr for rule in (*ours, *theirs)})
    (old,), (new,) = before.values(), after.values()
    return [*loaded.otherwise(yaml.safe_load(old), yaml.safe_load(new))]


def test_all_of_them_are_looked_at() -> None:
    assert {*EDITED} >= {"target-missing", "rule-never-fires", "metric-renamed", "receiver-of-nobody"}
    assert len(DEFECTS) >= 17
    assert {item.name for item in catalogue(LAB)} >= DEFECTS.keys()


@pytest.mark.parametrize("name", [name for name in EDITED if name != "rule-file-refused"])
def test_an_edit_changes_what_is_rendered_and_stays_readable(name: str) -> None:
    before, after = edited(name)
    assert before.keys() == after.keys()
    changed = [key for key in before if before[key] != after[key]]
    assert len(changed) == 1
    yaml.safe_load(after[changed[0]])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rule-never-fires", 'nodes: KubeletDown (severity=critical): asks up{job="kubelet"} == 2, not '),
        ("rule-cries-wolf", 'nodes: KubeletDown (severity=critical): asks up{job="kubelet"} == 1, not '),
        ("configuration-edited", "global.evaluation_interval: 5m is loaded, 15s is rendered"),
        ("alerts-wait-longer", "route.group_wait: 2m is loaded, 1m is rendered"),
        ("receiver-of-nobody", 'route.routes[1].matchers: ["alertname=\\"Watchdogs\\""] is loaded, '),
    ],
)
def test_what_an_edit_says_is_what_its_row_is_asked_for(name: str, told: str) -> None:
    found = differences(name)
    assert found[0].startswith(told)
    item = DEFECTS[name]
    if item.row != "P3-52":
        assert re.search(item.says.removeprefix("alertmanager-1: "), "\n".join(found), re.DOTALL)


def test_lines_that_are_added_to_a_job_are_its_own() -> None:
    def job(name: str) -> dict[str, Any]:
        (new,) = edited(name)[1].values()
        found: dict[str, Any] = {item["job_name"]: item for item in yaml.safe_load(new)["scrape_configs"]}[
            "haproxy"
        ]
        return found

    (rename,) = job("metric-renamed")["metric_relabel_configs"]
    assert rename["source_labels"] == ["__name__"]
    assert rename["replacement"] == "haproxy_server_state"
    assert job("metric-renamed")["scrape_interval"] == "5s"
    (drop,) = job("samples-thrown-away")["metric_relabel_configs"]
    assert drop == {"regex": "proxy|server|state", "action": "labeldrop"}
    assert job("target-slow")["scrape_interval"] == "20ms"


def test_a_file_of_rules_that_is_none_names_no_alert() -> None:
    before, after = edited("rule-file-refused")
    broken = next(key for key in before if before[key] != after[key])
    items = [item for group in yaml.safe_load(after[broken])["groups"] for item in group["rules"]]
    assert [item["alarm"] for item in items if "alarm" in item] == ["KubeletDown"]


def test_the_option_that_is_changed_is_where_it_is_said_to_be() -> None:
    addon = next(item for item in selected(LAB) if item.name == "kube-state-metrics")
    found = next(item for item in rendered(LAB, addon, "objects.yaml") if item["kind"] == "Deployment")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["args"][int(PLACE.rpartition("/")[2])] == SHOWN
    assert OTHER.startswith(OPTION)
    assert OTHER != SHOWN


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_damage_and_repair_are_commands_of_a_shell(name: str) -> None:
    item = DEFECTS[name]
    assert isinstance(item, Breakage)
    shell = shutil.which("bash") or "/bin/bash"
    for command in (item.damage, item.repair):
        said = subprocess.run([shell, "-n", "-c", command], capture_output=True, text=True, check=False)
        assert said.stderr == ""
    re.compile(item.says)
