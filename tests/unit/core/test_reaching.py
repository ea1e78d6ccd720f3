"""Ways into a lab: what they ask for first."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from lab.cluster.api import Unavailable
from lab.commands import reaching
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.machines import State
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.fakes import FakeProvider, FakeSsh
from tests.world import inventory

WORDS = (
    "--all-namespaces",
    "get",
    "pods",
    "-o",
    "jsonpath={.items[*].metadata.name} {'x y'}",
    '"',
    "$(id)",
    "",
)
"""As a shell gives them: with dashes, spaces, quotes, a dollar sign, and one that is empty."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[list[str]]) -> list[str]:
    """What was asked for kubectl's sake, instead of making it and becoming it."""
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(reaching, "read", lambda *_: inventory())
    seen: list[str] = []

    def program(name: str, *_given: Any, **_named: Any) -> Path:
        seen.append(f"make {name}")
        return Path("/made/kubectl")

    monkeypatch.setattr(reaching, "find_program", program)

    def become(argv: list[str], _environment: dict[str, str]) -> None:
        seen.append(" ".join(argv))
        ran.append(argv)

    monkeypatch.setattr(reaching, "_become", become)
    return seen


@pytest.fixture
def ran() -> list[list[str]]:
    """The programs that a command became, word by word."""
    return []


def a_lab(monkeypatch: pytest.MonkeyPatch, folder: Path, provider: FakeProvider, ssh: FakeSsh) -> None:
    def opened(found: Inventory) -> Lab:
        return Lab(found, folder, provider, ssh=ssh)

    monkeypatch.setattr(reaching, "open_lab", opened)


def test_without_a_lab_no_kubectl_is_made(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_lab(monkeypatch, tmp_path, FakeProvider(), FakeSsh())
    with pytest.raises(Exit) as left:
        reaching.kubectl("rehearsal", "", "auto", ("get", "nodes"))
    assert left.value.code == 1
    assert "the lab has no network yet" in capsys.readouterr().err
    assert asked == []


def test_kubectl_is_made_for_a_cluster_that_has_a_kubeconfig(
    asked: list[str], ran: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, ssh = FakeProvider(), FakeSsh()
    provider.prepare()
    ssh.on("", "cat /etc/kubernetes/admin.conf", "kind: Config\n")
    a_lab(monkeypatch, tmp_path, provider, ssh)
    reaching.kubectl("rehearsal", "", "auto", WORDS)
    assert asked == ["make kubectl", " ".join(("/made/kubectl", *WORDS))]
    assert ran[-1] == ["/made/kubectl", *WORDS], "none is split, joined or unquoted"


@pytest.mark.parametrize(
    ("typed", "command"), [((), []), (("uptime",), ["--", "uptime"]), (("-v", "a b"), ["--", "-v", "a b"])]
)
@pytest.mark.usefixtures("asked")
def test_words_for_a_host_are_never_options_of_ssh(
    ran: list[list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: tuple[str, ...],
    command: list[str],
) -> None:
    provider = FakeProvider()
    provider.prepare()
    a_lab(monkeypatch, tmp_path, provider, FakeSsh())
    reaching.ssh("rehearsal", "", "master-1", typed)
    assert ran[-1] == ["ssh", "-F", "/nowhere/ssh_config", "master-1", *command]


def standing(monkeypatch: pytest.MonkeyPatch, folder: Path, api: FakeApi) -> FakeSsh:
    """The little lab, all of whose machines run."""
    provider, ssh = FakeProvider(), FakeSsh()
    provider.prepare()
    provider.states = dict.fromkeys(inventory().hosts, State.RUNNING)
    ssh.on("", "true", "")
    monkeypatch.setattr(reaching, "_etcd", lambda *_: "3 voting members")
    monkeypatch.setattr(reaching, "open_lab", lambda found: Lab(found, folder, provider, ssh=ssh, api=api))
    return ssh


def rows(said: str) -> dict[str, str]:
    """The last column of the table, by machine."""
    lines = [
        line.strip().split("  ") for line in said.splitlines() if line.split(" ")[0] in inventory().hosts
    ]
    return {line[0].strip(): line[-1].strip() for line in lines}


@pytest.mark.usefixtures("asked")
def test_status_tells_a_node_that_is_gone_from_a_machine_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi()
    api.nodes = lambda: [name for name in inventory().nodes if name != "worker-1"]
    standing(monkeypatch, tmp_path, api)
    reaching.status("rehearsal", "", json=False)
    found = rows(capsys.readouterr().out)
    assert found["haproxy"] == "has none"
    assert found["worker-1"] == "gone"
    assert {found[name] for name in inventory().nodes if name != "worker-1"} == {"Ready"}


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("json", [False, True])
def test_status_ends_with_1_when_the_api_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    api = FakeApi()
    api.answers = False
    monkeypatch.setattr(api, "items", unavailable)
    standing(monkeypatch, tmp_path, api)
    with pytest.raises(Exit) as left:
        reaching.status("rehearsal", "", json=json)
    assert left.value.code == 1
    said = capsys.readouterr()
    assert "error: test: the API at https://10.1.1.50:6443 cannot be asked: no route" in said.err
    assert "next: invoke plan" in said.err
    if json:
        hosts = loads(said.out)["hosts"]
        assert {hosts[name]["node"] for name in inventory().nodes} == {"unknown"}
        assert hosts["haproxy"]["node"] == "has none"
    else:
        assert set(rows(said.out).values()) == {"unknown", "has none"}


def unavailable(_path: str) -> list[Object]:
    raise Unavailable("no route")


@pytest.mark.usefixtures("asked")
def test_status_of_a_lab_without_machines_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_lab(monkeypatch, tmp_path, FakeProvider(), FakeSsh())
    with pytest.raises(Exit) as left:
        reaching.status("rehearsal", "", json=False)
    assert left.value.code == 1
    assert "cannot be asked: no machine runs" in capsys.readouterr().err
