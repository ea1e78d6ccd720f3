"""The double behind HTTPS, asked as PVE's clients ask: certificates, headers, forms, uploads."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import urllib.parse
from http.client import HTTPResponse, HTTPSConnection, RemoteDisconnected

import pytest

from tests.doubles.pve.fixture import IMAGE_SHA256, IMAGE_URL, Double
from tests.soon import SOON


def connect(pve: Double) -> HTTPSConnection:
    """A connection that trusts the double's authority alone."""
    context = ssl.create_default_context(cafile=str(pve.server.ca_file))
    return HTTPSConnection(pve.host, pve.port, timeout=SOON, context=context)


def ask(pve: Double, method: str, path: str, **parameters: object) -> tuple[HTTPResponse, dict[str, object]]:
    """One request with the build's token, on a connection of its own."""
    connection = connect(pve)
    headers = {"Authorization": f"PVEAPIToken={pve.token_id}={pve.secret}"}
    form = urllib.parse.urlencode({name.replace("_", "-"): value for name, value in parameters.items()})
    body = None
    if method in ("GET", "DELETE"):
        path = f"{path}?{form}" if form else path
    else:
        body, headers["Content-Type"] = form, "application/x-www-form-urlencoded"
    connection.request(method, f"/api2/json{path}", body, headers)
    response = connection.getresponse()
    found: dict[str, object] = json.loads(response.read())
    connection.close()
    return response, found


def test_only_who_trusts_its_authority_talks_to_it(pve: Double) -> None:
    stranger = HTTPSConnection(pve.host, pve.port, timeout=SOON, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/api2/json/version")
    certificate = ssl.get_server_certificate((pve.host, pve.port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest().upper()
    assert ":".join(digest[at : at + 2] for at in range(0, 64, 2)) == pve.server.fingerprint


def test_an_error_stands_in_the_reason_phrase_and_in_the_body(pve: Double) -> None:
    response, found = ask(pve, "POST", "/nodes/pve-1/qemu/9000/clone", newid=7)
    assert (response.status, response.reason) == (400, "Parameter verification failed.")
    assert found["message"] == "Parameter verification failed.\n"
    assert found["errors"] == {"newid": "value must have a minimum value of 100"}
    assert found["data"] is None
    response, found = ask(pve, "GET", "/nodes/pve-1/qemu/9000/config")
    assert response.reason == "Configuration file 'nodes/pve-1/qemu-server/9000.conf' does not exist"


def test_a_pseudo_code_reaches_the_client(pve: Double) -> None:
    pve.world.faults.answer("GET", "/version", 599, "Too many redirections")
    response, _ = ask(pve, "GET", "/version")
    assert (response.status, response.reason) == (599, "Too many redirections")


def test_a_dropped_connection_gives_no_answer(pve: Double) -> None:
    pve.world.faults.drop("POST", "/pools")
    with pytest.raises(RemoteDisconnected):
        ask(pve, "POST", "/pools", poolid="lab")
    assert list(pve.world.pools) == ["lab"]


def test_a_ticket_travels_in_a_cookie(pve: Double) -> None:
    form = urllib.parse.urlencode({"username": "root@pam", "password": "a root password"})
    connection = connect(pve)
    head = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/api2/json/access/ticket", form, head)
    ticket = json.loads(connection.getresponse().read())["data"]
    cookie = {"Cookie": f"PVEAuthCookie={urllib.parse.quote(ticket['ticket'])}"}
    for csrf, status in (("", 401), (ticket["CSRFPreventionToken"], 200)):
        connection.request(
            "POST", "/api2/json/pools", "poolid=lab", head | cookie | {"CSRFPreventionToken": csrf}
        )
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()


def test_a_file_comes_with_its_request(pve: Double) -> None:
    content, mark = b"\x00an image\r\nwith lines\r\n", "----mark"
    parts = [
        ("content", "iso"),
        ("checksum", hashlib.sha256(content).hexdigest()),
        ("checksum-algorithm", "sha256"),
    ]
    body = b"".join(
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in parts
    )
    body += (
        f'--{mark}\r\nContent-Disposition: form-data; name="filename"; filename="seed.iso"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{mark}--\r\n".encode()
    connection = connect(pve)
    headers = {
        "Authorization": f"PVEAPIToken={pve.token_id}={pve.secret}",
        "Content-Type": f"multipart/form-data; boundary={mark}",
    }
    connection.request("POST", "/api2/json/nodes/pve-1/storage/local/upload", body, headers)
    response = connection.getresponse()
    upid = json.loads(response.read())["data"]
    connection.close()
    assert response.status == 200
    _settle(pve, str(upid))
    volume = pve.world.volume("pve-1", "local:iso/seed.iso")
    assert volume is not None
    assert volume.data == content


def _settle(pve: Double, upid: str) -> None:
    """Wait for the end of a task by asking for it, as a client would."""
    while True:
        _, found = ask(pve, "GET", f"/nodes/{upid.split(':')[1]}/tasks/{urllib.parse.quote(upid)}/status")
        status = found["data"]
        assert isinstance(status, dict)
        if status["status"] == "stopped":
            assert status["exitstatus"] == "OK", status
            return


def test_a_silent_client_holds_nobody_up(pve: Double) -> None:
    with socket.create_connection((pve.host, pve.port)):
        response, _ = ask(pve, "GET", "/version")
    assert response.status == 200


def test_many_ask_at_the_same_time(pve: Double) -> None:
    """Of all who want one id exactly one gets it, and the double counts how many asked at once."""
    _, found = ask(
        pve,
        "POST",
        "/nodes/pve-1/storage/local/download-url",
        url=IMAGE_URL,
        content="import",
        filename="jammy.qcow2",
        checksum=IMAGE_SHA256,
        checksum_algorithm="sha256",
    )
    _settle(pve, str(found["data"]))
    ready, answers = threading.Barrier(12), []

    def create() -> None:
        ready.wait()
        response, _ = ask(pve, "POST", "/nodes/pve-1/qemu", vmid=101, scsi0="local-lvm:8")
        answers.append(response.status)

    threads = [threading.Thread(target=create) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, *[500] * 11]
    assert len(pve.world.journal.happened("vm created", "101")) == 1


def test_version_9_is_another_server(pve9: Double) -> None:
    _, found = ask(pve9, "GET", "/version")
    assert isinstance(found["data"], dict)
    assert found["data"]["release"] == "9.0"


def test_what_is_not_the_api_is_not_there(pve: Double) -> None:
    connection = connect(pve)
    connection.request("GET", "/index.html")
    assert connection.getresponse().status == 404
    connection.close()
