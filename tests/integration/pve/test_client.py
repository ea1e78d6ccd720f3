"""What proxmoxer, the client the product uses, makes of the double's answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from proxmoxer import ProxmoxAPI
from proxmoxer.core import AuthenticationError, ResourceException
from proxmoxer.tools import Tasks

from tests.doubles.pve.faults import TaskScript
from tests.doubles.pve.fixture import IMAGE_SHA256, IMAGE_URL, TOKEN, USER, Double
from tests.soon import SOON


@pytest.fixture
def client(pve: Double, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Proxmoxer with the build's token, trusting the double's authority."""
    # requests prefers the environment's authorities to those it is told
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pve.server.ca_file))
    yield ProxmoxAPI(
        pve.host,
        port=pve.port,
        user=USER,
        token_name=TOKEN,
        token_value=pve.secret,
        verify_ssl=True,
        timeout=SOON,
    )


def test_a_task_is_followed_by_its_upid(pve: Double, client: Any) -> None:
    pve.world.faults.tasks("download", TaskScript(warning="slow line"))
    upid = (
        client.nodes("pve-1")
        .storage("local")("download-url")
        .post(
            **{
                "url": IMAGE_URL,
                "content": "import",
                "filename": "jammy.qcow2",
                "checksum": IMAGE_SHA256,
                "checksum-algorithm": "sha256",
            }
        )
    )
    assert Tasks.decode_upid(upid)["type"] == "download"
    ended = Tasks.blocking_status(client, upid, timeout=SOON, polling_interval=0.02)
    assert ended is not None
    assert ended["exitstatus"] == "WARNINGS: 1"
    log = Tasks.decode_log(client.nodes("pve-1").tasks(upid).log.get())
    assert "WARN: slow line" in log


def test_an_error_carries_status_text_and_parameters(client: Any) -> None:
    with pytest.raises(ResourceException) as refused:
        client.nodes("pve-1").qemu.post(vmid=7, colour="red")
    error = refused.value
    assert (error.status_code, error.content) == (400, "Parameter verification failed.")
    assert set(error.errors or {}) == {"vmid", "colour"}
    with pytest.raises(ResourceException) as missing:
        client.nodes("pve-1").qemu(101).config.get()
    assert (missing.value.status_code, "does not exist" in missing.value.content) == (500, True)


def test_a_pseudo_code_is_an_error_like_others(pve: Double, client: Any) -> None:
    pve.world.faults.answer("GET", "/version", 596, "Connection timed out")
    with pytest.raises(ResourceException) as error:
        client.version.get()
    assert error.value.status_code == 596


def test_a_lost_answer_is_a_lost_connection(pve: Double, client: Any) -> None:
    pve.world.faults.drop("POST", "/pools")
    with pytest.raises(requests.exceptions.ConnectionError):
        client.pools.post(poolid="lab")
    assert client.pools("lab").get()["members"] == []


def test_a_password_gets_a_ticket_and_a_wrong_one_none(pve: Double, client: Any) -> None:
    assert client.version.get()["release"] == "8.4"
    other = ProxmoxAPI(
        pve.host, port=pve.port, user="root@pam", password="a root password", verify_ssl=True, timeout=SOON
    )
    other.pools.post(poolid="lab")
    pve.world.access.expire_tickets()
    with pytest.raises(ResourceException) as late:
        other.pools("lab").delete()
    assert late.value.status_code == 401
    with pytest.raises(AuthenticationError):
        ProxmoxAPI(pve.host, port=pve.port, user=USER, password="wrong", verify_ssl=True, timeout=SOON)
