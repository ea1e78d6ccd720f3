"""Roles: pure data that is checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from lab.errors import InputError
from lab.render.role import Role
from lab.render.roles import (
    ORDER,
    ROLES,
    TEMPLATES,
    all_packages,
    host_roles,
    load_roles,
    port_number,
)
from tests.world import inventory


def role(**changes: Any) -> Role:
    return Role.model_validate({"name": "x", "hosts": "all"} | changes)


def refused(**changes: Any) -> str:
    with pytest.raises(ValidationError) as error:
        role(**changes)
    return str(error.value)


def test_every_role_file_is_a_part_of_the_platform_and_named_like_its_role() -> None:
    assert {path.stem for path in ROLES.glob("*.yaml")} == set(ORDER)
    assert [item.name for item in load_roles()] == list(ORDER)


def test_every_template_of_a_role_exists() -> None:
    wanted = [item.template for one in load_roles() for item in one.files]
    assert [name for name in wanted if not (TEMPLATES / f"{name}.j2").exists()] == []


def test_every_template_is_used() -> None:
    by_roles = {f"{item.template}.j2" for one in load_roles() for item in one.files}
    ours = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.j2")}
    others = {name for name in ours if name.split("/")[0] in ("cloud-init", "kubeadm", "report")}
    assert ours - others == by_roles


@pytest.mark.parametrize(
    "action", ["daemon-reload", "reload haproxy", "restart containerd", "try-restart kubelet", "try-reload x"]
)
def test_an_action_is_one_of_systemds(action: str) -> None:
    assert role(files=[{"path": "/x", "template": "t", "on_change": [action]}]).files[0].on_change == (
        action,
    )


@pytest.mark.parametrize(
    "action",
    ["reboot", "restart", "restart a b", "restart a; reboot", "stop haproxy", "restart $(id)", "Restart a"],
)
def test_another_action_is_refused(action: str) -> None:
    assert "on_change" in refused(files=[{"path": "/x", "template": "t", "on_change": [action]}])


@pytest.mark.parametrize("mode", ["0644", "0600", "0755"])
def test_a_mode_is_octal_text(mode: str) -> None:
    assert role(files=[{"path": "/x", "template": "t", "mode": mode}]).files[0].mode == mode


@pytest.mark.parametrize("mode", ["644", "0888", "u+x", 420, "00644"])
def test_another_mode_is_refused(mode: object) -> None:
    assert "mode" in refused(files=[{"path": "/x", "template": "t", "mode": mode}])


def test_an_unknown_key_or_kind_of_host_is_refused() -> None:
    assert "package" in refused(package=["x"])
    assert "hosts" in refused(hosts="masters")
    assert "protocol" in refused(listen=[{"port": 1, "protocol": "icmp"}])
    assert "name" in refused(listen=[{"port": 1, "protocol": "tcp", "from": []}])


@pytest.mark.parametrize(
    ("hosts", "applies"),
    [
        ("all", {"load-balancer", "control-plane", "worker"}),
        ("nodes", {"control-plane", "worker"}),
        ("control-plane", {"control-plane"}),
        ("worker", {"worker"}),
        ("load-balancer", {"load-balancer"}),
    ],
)
def test_a_role_applies_to_the_machines_it_names(hosts: str, applies: set[str]) -> None:
    one = role(hosts=hosts)
    machines = {host.role.value for host in inventory().hosts.values() if one.applies_to(host)}
    assert machines == applies


def test_a_machine_has_its_roles_in_order() -> None:
    lab = inventory()
    names = {name: [item.name for item in host_roles(lab, name)] for name in lab.hosts}
    assert names["haproxy"] == ["base", "time", "load-balancer"]
    assert names["master-1"] == ["base", "time", "kubernetes", "control-plane"]
    assert names["worker-1"] == ["base", "time", "kubernetes", "worker"]


def test_sysctls_of_the_host_are_matched_by_pattern() -> None:
    one = role(host_sysctls=["net.bridge.*", "vm.swappiness"])
    assert one.sysctl_is_the_hosts("net.bridge.bridge-nf-call-iptables")
    assert one.sysctl_is_the_hosts("vm.swappiness")
    assert not one.sysctl_is_the_hosts("net.ipv4.ip_forward")


def test_packages_are_listed_once_and_sorted() -> None:
    packages = all_packages()
    assert list(packages) == sorted(set(packages))
    assert {"haproxy", "conntrack", "openssh-server"} <= set(packages)


@pytest.mark.parametrize(("name", "number"), [("etcd", 2379), ("the controller manager", 10257)])
def test_a_port_is_taken_by_its_name(name: str, number: int) -> None:
    assert port_number(name) == number


@pytest.mark.parametrize("name", ["the API server", "nobody's"])
def test_a_port_without_a_number_of_its_own_is_not_guessed(name: str) -> None:
    with pytest.raises(LookupError, match=name):
        port_number(name)


def test_no_port_is_both_open_and_closed_on_a_machine() -> None:
    lab = inventory()
    for name in lab.hosts:
        roles = host_roles(lab, name)
        opened = {(port.port, port.protocol) for item in roles for port in item.listen}
        closed = {(port.port, port.protocol) for item in roles for port in item.closed}
        assert opened & closed == set(), name


def test_role_files_quote_what_yaml_1_1_would_take_for_something_else(tmp_path: Path) -> None:
    """Every sysctl is text: `1` would be a number, and pydantic refuses it."""
    (tmp_path / "x.yaml").write_text("name: x\nhosts: all\nsysctls: {a: 1}\n")
    with pytest.raises(ValidationError, match="sysctls"):
        Role.model_validate(yaml.safe_load((tmp_path / "x.yaml").read_text()))


def test_all_that_is_wrong_in_role_files_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ROLES.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr("lab.render.roles.ROLES", tmp_path)
    assert [item.name for item in load_roles.__wrapped__()] == list(ORDER)
    (tmp_path / "monitor.yaml").write_text("name: monitor\nhosts: all\n")
    (tmp_path / "time.yaml").unlink()
    (tmp_path / "base.yaml").write_text("name: base\nhosts: all\ncolour: red\n")
    (tmp_path / "worker.yaml").write_text("name: x: [\n")
    program = "{artifact: kubelt, path: /usr/local/bin/kubelet}"
    file = "{path: /etc/x, template: system/nosuch}"
    (tmp_path / "kubernetes.yaml").write_text(
        f"name: nodes\nhosts: nodes\nbinaries: [{program}]\nfiles: [{file}]\n"
    )
    with pytest.raises(InputError) as error:
        load_roles.__wrapped__()
    said = [line.partition("/")[2] for line in error.value.message.splitlines()]
    for line, start in zip(
        said,
        (
            "monitor.yaml: is no role that is known",
            "base.yaml: colour: Extra inputs are not permitted",
            "time.yaml: No such file",
            "kubernetes.yaml: name: nodes: must be kubernetes",
            "kubernetes.yaml: binaries: kubelt: no catalogue.yaml has such a program",
            "kubernetes.yaml: files: system/nosuch: there is no templates/system/nosuch.j2",
            "worker.yaml: not YAML: ",
        ),
        strict=True,
    ):
        assert line.startswith(start)
