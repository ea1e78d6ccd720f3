"""HAProxy's admin socket as it really answers (2.6, Debian 12): drained, busy, refused."""

from __future__ import annotations

import pytest

from lab.errors import CommandError, FailedError
from lab.hosts import rotation
from lab.ssh import Result
from tests.fakes import FakeClock, FakeSsh

STATE = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
3 kube-apiservers 1 master-1 127.0.0.1 2 8 1 1
3 kube-apiservers 2 master-2 127.0.0.1 2 0 1 1
3 kube-apiservers 3 master-3 127.0.0.1 0 24 1 1

"""
STAT = """\
# pxname,svname,qcur,qmax,scur,smax
kube-apiserver,FRONTEND,,,9,9
kube-apiservers,master-1,0,0,{},4
kube-apiservers,BACKEND,0,0,7,9

"""


@pytest.fixture
def ssh() -> FakeSsh:
    made = FakeSsh()
    made.on("haproxy", "set server", "\n")
    made.on("haproxy", "show servers state", STATE)
    made.on("haproxy", "show stat'", STAT.format(0))
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def said(ssh: FakeSsh) -> list[str]:
    """The commands that change a server."""
    return [command.split("'")[1] for _, command in ssh.commands("set server")]


def test_drained_are_those_that_a_command_drained(ssh: FakeSsh) -> None:
    """0x18 is a drain by command and an inherited one."""
    assert rotation.drained(ssh, "haproxy") == {"master-1", "master-3"}


def test_a_server_is_out_while_the_block_runs(ssh: FakeSsh) -> None:
    with rotation.out(ssh, "haproxy", "master-1", lambda _: None):
        assert said(ssh) == ["set server kube-apiservers/master-1 state drain"]
    assert said(ssh)[1:] == ["set server kube-apiservers/master-1 state ready"]


def test_it_comes_back_on_failure(ssh: FakeSsh) -> None:
    with pytest.raises(RuntimeError), rotation.out(ssh, "haproxy", "master-1", lambda _: None):
        raise RuntimeError
    assert said(ssh)[-1] == "set server kube-apiservers/master-1 state ready"


def test_connections_that_stay_are_waited_for_with_a_bound(ssh: FakeSsh, clock: FakeClock) -> None:
    ssh.on("haproxy", "show stat'", STAT.format(3))
    notes: list[str] = []
    began = clock.now
    with rotation.out(ssh, "haproxy", "master-1", notes.append):
        assert rotation.SECONDS - 1 <= clock.now - began <= rotation.SECONDS
    assert notes[-1].startswith("goes on with 3 connections")


def test_a_server_that_haproxy_does_not_know_is_an_error(ssh: FakeSsh) -> None:
    ssh.on("haproxy", "set server", "No such server.\n\n")
    with pytest.raises(FailedError, match="HAProxy does not set nobody to ready: No such server"):
        rotation.back(ssh, "haproxy", "nobody")


def test_a_balancer_without_its_socket_is_an_error(ssh: FakeSsh) -> None:
    ssh.on("haproxy", "socat", Result(1, "", "socat: No such file or directory"))
    with pytest.raises(CommandError, match="No such file"):
        rotation.drained(ssh, "haproxy")
