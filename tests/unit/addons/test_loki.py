"""Loki and Alloy: configuration that no lab runs, read by a reader of our own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from addons.loki.reading import blocks, lacking, problems
from addons.loki.section import SECTION, by_days_alone, files
from addons.loki.section_alloy import Block, Word, text
from addons.loki.section_loki import DATA, configuration
from lab.addons import selected
from lab.inventory.models import Inventory
from lab.render.addons import rendered
from tests.world import INVENTORY, inventory


@pytest.fixture
def lab() -> Inventory:
    return inventory(INVENTORY + "observability: {logs: {store: loki, host: worker-1, retention_days: 3}}\n")


def test_what_is_rendered_has_no_fault(lab: Inventory) -> None:
    found = files(lab)
    assert problems(found["nodes.alloy"]) == []
    assert problems(found["events.alloy"]) == []
    assert lacking(yaml.safe_load(found["loki.yaml"]), DATA) == []
    assert configuration(lab)["limits_config"]["retention_period"] == "72h"


def test_the_reader_reads_what_the_writer_writes() -> None:
    inner = Block("rule", "", {"source_labels": ["a", "b"], "regex": "x{2}"})
    made = text(
        [
            Block("loki.relabel", "one", {"forward_to": []}, (inner,)),
            Block(
                "loki.write", "two", {"labels": {"a": "b"}, "many": 7, "on": True, "at": Word('"a" + f("b")')}
            ),
            Block("stage.cri"),
        ]
    )
    first, second, third = blocks(made)
    assert (first.name, first.arguments, first.blocks[0].arguments["regex"]) == (
        "loki.relabel.one",
        {"forward_to": "[ ]"},
        '"x{2}"',
    )
    assert second.arguments == {"labels": '{ a = "b" }', "many": "7", "on": "true", "at": '"a" + f ( "b" )'}
    assert (third.kind, third.label, third.blocks) == ("stage.cri", "", [])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[loki.process.pods.receiver]", "[loki.process.lines.receiver]", "there is no loki.process.lines"),
        ("[loki.process.pods.receiver]", "[loki.process.pods.output]", "exports receiver, not output"),
        ("forward_to = [loki.process.pods.receiver]", "forward_to = []", "names no receiver"),
        ('discovery.relabel "pods"', 'discovery.relabel "other"', "there is no discovery.relabel.pods"),
        ('loki.source.journal "node"', 'loki.source.file "pods"', "loki.source.file.pods: stands twice"),
        ("\t\turl = ", "\t\turi = ", "endpoint: url: is missing"),
        ("stage.cri { }", "stage.cri {", "its } is missing"),
        ("stage.cri { }", "stage.cri { } }", "a } too many"),
        ('path = "/var/log/journal"', "path = '/var/log/journal'", "not of the language"),
        ('role = "pod"\n\tselectors', 'role = "pod"\n\trole = "pod"\n\tselectors', "role: stands twice"),
        ("[loki.process.pods.receiver]", "[loki.process.pods.receiver", "without an end"),
        ('loki.write "store"', 'loki.echo "store"', "nothing is sent anywhere"),
    ],
)
def test_a_fault_of_alloys_configuration_is_named(lab: Inventory, old: str, new: str, told: str) -> None:
    good = files(lab)["nodes.alloy"]
    assert old in good
    assert told in "\n".join(problems(good.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("compactor", "retention_enabled"), False, "compactor.retention_enabled: must be true"),
        (("compactor", "delete_request_store"), None, "compactor.delete_request_store: is missing"),
        (("limits_config",), {}, "limits_config.retention_period: is missing"),
        (("schema_config",), {}, "schema_config.configs: is missing"),
        (("common", "path_prefix"), "/tmp/loki", "common.path_prefix: /tmp/loki: is not on the volume"),
        (("common", "path_prefix"), "/database", "is not on the volume"),
        (("schema_config", "configs"), [{"index": {"period": "168h"}}], "168h: must be 24h"),
    ],
)
def test_a_fault_of_lokis_configuration_is_named(
    lab: Inventory, path: tuple[str, ...], value: Any, told: str
) -> None:
    wrong = copy.deepcopy(configuration(lab))
    place = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert told in "\n".join(lacking(wrong, DATA))


def test_who_sets_a_size_is_told_that_loki_has_no_such_bound(lab: Inventory) -> None:
    (problem,) = by_days_alone(lab)
    assert problem.warning
    assert "forgets by days alone" in problem.rule
    assert by_days_alone in SECTION.rules


def test_its_pods_are_bound_to_where_their_folders_are(lab: Inventory) -> None:
    addon = next(item for item in selected(lab) if item.name == "loki")
    found = [item for item in rendered(lab, addon, "objects.yaml") if "template" in item.get("spec", {})]
    pods = {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in found}
    assert pods["loki"]["nodeSelector"] == {"kubernetes.io/hostname": "worker-1"}
    paths = {
        volume["hostPath"]["path"]
        for pod in pods.values()
        for volume in pod["volumes"]
        if "hostPath" in volume
    }
    assert {*addon.on_hosts.folders} == {path for path in paths if path.startswith("/var/lib/plumbline")}
    environment = pods["alloy"]["containers"][0]["env"]
    assert {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}} in environment
