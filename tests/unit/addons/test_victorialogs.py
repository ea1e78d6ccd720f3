"""VictoriaLogs: how it is started, who may reach it, and how lines are counted."""

from __future__ import annotations

import json

import pytest

from addons.victorialogs import client, running, writing
from addons.victorialogs.client import LogEntry, parsed, question, tally
from addons.victorialogs.defects import defects
from addons.victorialogs.section import memory_mib, shipper_arguments, store_arguments
from lab.addons import addons, selected
from lab.checks.outcomes import CouldNotTell
from lab.inventory.addon_sections import place_of
from lab.inventory.models import Inventory
from lab.render import firewall
from lab.render.addons import rendered
from lab.render.bundle import Bundle, bundle, pins
from lab.render.roles import all_packages
from tests.fakes import CONTAINERS
from tests.world import INVENTORY, inventory

LOGS = INVENTORY + "observability: {logs: {host: worker-1, retention_days: 3, retention_gib: 2}}\n"


@pytest.fixture
def lab() -> Inventory:
    return inventory(LOGS)


def bundle_of(lab: Inventory, name: str) -> Bundle:
    return bundle(lab, CONTAINERS, pins(lab), name)


def text(wanted: Bundle, path: str) -> str:
    return next(file.text for file in wanted.files if file.path == path)


def test_the_store_is_bounded_by_the_inventory(lab: Inventory) -> None:
    arguments = store_arguments(lab)
    assert {
        "-retentionPeriod=3d",
        "-retention.maxDiskSpaceUsageBytes=2GiB",
        "-storage.minFreeDiskSpaceBytes=1GiB",
        "-httpListenAddr=10.1.1.31:9428",
    } <= {*arguments}
    allowed = next(one for one in arguments if one.startswith("-memory.allowedBytes="))
    assert int(allowed.partition("=")[2].removesuffix("MiB")) < memory_mib(lab) < 512


def test_shippers_send_to_the_stores_machine_and_are_bounded(lab: Inventory) -> None:
    arguments = shipper_arguments(lab)
    assert "-remoteWrite.url=http://10.1.1.31:9428/insert/native" in arguments
    assert "-remoteWrite.maxDiskUsagePerURL=500MiB" in arguments


def test_its_pods_are_bound_to_where_their_folders_are(lab: Inventory) -> None:
    addon = next(item for item in selected(lab) if item.name == "victorialogs")
    found = {item["kind"]: item for item in rendered(lab, addon, "objects.yaml")}
    store, shipper = (found[kind]["spec"]["template"]["spec"] for kind in ("StatefulSet", "DaemonSet"))
    assert store["nodeSelector"] == {"kubernetes.io/hostname": "worker-1"}
    assert store["hostNetwork"] is True
    folders = [volume["hostPath"]["path"] for pod in (store, shipper) for volume in pod["volumes"]]
    assert {*addon.on_hosts.folders} == {path for path in folders if path.startswith("/var/lib/plumbline")}
    for pod in (store, shipper):
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_the_firewall_lets_the_labs_machines_alone_at_the_store(lab: Inventory) -> None:
    rule = "ip saddr @machines tcp dport 9428 accept"
    lines = text(bundle_of(lab, "worker-1"), firewall.FILE)
    assert [line.strip() for line in lines.splitlines() if "dport 9428" in line] == [rule]
    assert f"elements = {{ {', '.join(lab.addresses.values())} }}" in lines
    for name in ("haproxy", "master-1", "worker-2"):
        assert "9428 " not in text(bundle_of(lab, name), firewall.FILE)


def test_every_machine_sends_its_journal_there(lab: Inventory) -> None:
    for name in lab.hosts:
        wanted = bundle_of(lab, name)
        upload = text(wanted, "/etc/systemd/journal-upload.conf.d/10-plumbline.conf")
        assert "URL=http://10.1.1.31:9428/insert/journald\n" in upload
        unit = text(wanted, "/etc/systemd/system/systemd-journal-upload.service.d/10-plumbline.conf")
        assert "StartLimitIntervalSec=0" in unit, "it ends whenever the store is away, and must come back"
        assert "Restart=always" in unit
        assert "systemd-journal-upload.service" in {item.name for item in wanted.units}
        assert "systemd-journal-remote" in wanted.packages


def test_a_lab_without_it_has_nothing_of_it() -> None:
    for more in ("", "observability: {}\n", "observability: {logs: {store: loki}}\n"):
        lab = inventory(INVENTORY + more)
        for name in ("haproxy", "worker-1"):
            wanted = bundle_of(lab, name)
            assert "systemd-journal-remote" not in wanted.packages
            assert not any("journal-upload" in file.path for file in wanted.files)
            assert 9428 not in {port.port for port in wanted.listen}
        with pytest.raises(LookupError, match="declares such a port"):
            firewall.port_of(lab, "the log store")


def test_the_image_of_our_own_machines_holds_packages_of_all_add_ons() -> None:
    assert "systemd-journal-remote" in all_packages()


def test_every_place_that_a_port_names_is_known(lab: Inventory) -> None:
    named = [(addon, port.at) for addon in addons() for port in addon.ports if port.at]
    assert [addon.name for addon, _ in named] == ["victorialogs"]
    assert {place_of(lab, addon, name) for addon, name in named} == {"worker-1"}
    with pytest.raises(LookupError, match="addons/victorialogs: at: nowhere"):
        place_of(lab, named[0][0], "nowhere")


def line(source: str, message: str, *, at: str = "2026-12-01T10:00:00.5Z", **more: str) -> str:
    fields = {"_time": at, "_stream_id": source, "_msg": message, "_HOSTNAME": source}
    return json.dumps(fields | more)


def test_copies_of_an_entry_are_one_and_counted() -> None:
    pod = json.dumps(
        {"_time": "t", "_stream_id": "s", "_msg": "w worker-1 1", "kubernetes.pod_node_name": "worker-1"}
    )
    found = parsed([line("a", "w a 1"), line("a", "w a 1"), pod])
    assert found == [
        LogEntry("a", "2026-12-01T10:00:00.5Z", "w a 1", 2),
        LogEntry("worker-1", "t", "w worker-1 1"),
    ]


@pytest.mark.parametrize("answer", ["nonsense", "[]", '{"_time": "t"}', "7"])
def test_an_answer_that_is_none_is_no_finding(answer: str) -> None:
    with pytest.raises(CouldNotTell, match="no entry"):
        parsed([answer])


def test_what_is_missing_twice_or_astray_is_told_by_its_machine() -> None:
    entries = [
        LogEntry("a", "1", "w a 1"),
        LogEntry("a", "2", "w a 1"),
        LogEntry("b", "1", "w b 1", 3),
        LogEntry("b", "1", "w c 1"),
    ]
    found = tally(entries, {"a": ["w a 1"], "b": ["w b 1"], "c": ["w c 1", "w c 2"]})
    assert found.missing == {"c": "2, first 'w c 1'"}
    assert found.twice == {"a": "1, first 'w a 1'"}
    assert found.astray == {"b": "1, first 'w c 1'"}
    assert found.copies == {"b": 2}
    assert set(found.trouble) == {"missing", "twice", "of another machine"}
    assert tally([LogEntry("a", "1", "w a 1", 2)], {"a": ["w a 1"]}).trouble == {}


def test_a_long_text_is_not_shown_whole() -> None:
    found = tally([], {"a": ["w" * 300_000]})
    assert found.missing["a"].endswith("... (300000 characters)'")


def test_the_question_is_about_one_word_of_the_newest_time() -> None:
    assert question("plumb1", 60).startswith("_time:60s plumb1 | fields _time, _stream_id, _msg, ")
    compile(client.PROGRAM, "asked", "exec")
    compile(writing.PROGRAM, "written", "exec")


def test_texts_are_those_of_the_probe() -> None:
    assert writing.numbered("w", "a", 2) == ["w a 1", "w a 2"]
    assert writing.filling(40) == " 000000000000000100000000000000110000000"
    assert writing.token() != writing.token()
    made = writing.printing("image", "w", 3, 1.0, 20, 2)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["command"] == [
        *("/probe", "lines", "w $(NODE_NAME)"),
        *("--count=3", "--interval=1.0s", "--pad=20", "--pieces=2"),
    ]


def test_a_program_that_was_started_otherwise_is_told(lab: Inventory) -> None:
    told = [f'flag{{name="{n}", value="{v}", is_set="true"}} 1' for n, v in _flags(store_arguments(lab))]
    assert running.otherwise(store_arguments(lab), running.started("\n".join(told))) == []
    changed = "\n".join(told).replace('value="3d"', 'value="100y"')
    assert running.otherwise(store_arguments(lab), running.started(changed)) == [
        "retentionPeriod: is 100y, not 3d"
    ]
    assert running.otherwise(["-kubernetesCollector"], {"kubernetesCollector": "true"}) == []
    assert running.otherwise(["-kubernetesCollector"], {}) == ["kubernetesCollector: is not told, not true"]


def _flags(arguments: tuple[str, ...]) -> list[tuple[str, str]]:
    split = [argument.removeprefix("-").partition("=") for argument in arguments]
    return [(name, value or "true") for name, _, value in split]


def test_its_defects_change_an_argument_that_is_there(lab: Inventory) -> None:
    found = {item.name: item for item in defects(lab)}
    assert len(found) >= 6
    damage = found["retention-off"].damage  # type: ignore[attr-defined]
    assert '"value": "-retentionPeriod=100y"' in damage
    index = store_arguments(lab).index("-retentionPeriod=3d")
    assert f'"path": "/spec/template/spec/containers/0/args/{index}"' in damage
    assert '"value": "-retentionPeriod=3d"' in found["retention-off"].repair  # type: ignore[attr-defined]
