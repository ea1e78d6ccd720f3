"""What a master says of its control plane: the program that runs there, without a control plane."""

from __future__ import annotations

import json

from lab.hosts import settled
from lab.hosts.remote_settled import port_of
from tests.fakes import FakeSsh


def test_the_api_servers_port_is_what_it_was_started_with() -> None:
    assert port_of({"kube-apiserver": [["kube-apiserver", "--v=2", "--secure-port=8443"]]}) == 8443


def test_no_port_is_guessed_where_no_api_server_runs() -> None:
    assert port_of({}) == 0
    assert port_of({"etcd": [["etcd", "--listen-client-urls=https://127.0.0.1:2379"]]}) == 0


def test_a_master_is_told_whom_to_ask_by_the_roles() -> None:
    ssh = FakeSsh()
    ssh.on("", "", '{"joined": "yes"}')
    settled.look(ssh, ["master-1"])
    [call] = ssh.calls
    assert json.loads(call.stdin)["controllers"] == 10257
