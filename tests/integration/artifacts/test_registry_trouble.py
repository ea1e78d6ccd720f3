"""A real registry that wants a login, has bad days, or cannot be reached."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from lab.artifacts.sources.trouble import PATIENT_TRIES, TRIES
from tests.doubles.upstream.servers import Front
from tests.integration.artifacts.shelf import ZERO, Shelf

pytestmark = pytest.mark.usefixtures("waited")


def test_a_private_image_wants_a_login_and_gets_it_from_where_people_have_it(shelf: Shelf) -> None:
    digest = shelf.publish("private/thing")
    error = shelf.refused(digest, repository="private/thing")
    assert "HTTP 401" in error.message
    assert f"skopeo login {shelf.host}" in error.next_step
    assert "REGISTRY_AUTH_FILE=" in error.next_step
    secret = base64.b64encode(b"somebody:secret").decode()
    (shelf.folder / ".docker").mkdir()
    logins = {"auths": {shelf.host: {"auth": secret}}}
    (shelf.folder / ".docker" / "config.json").write_text(json.dumps(logins))
    assert shelf.pull(digest, repository="private/thing")
    logs = "".join(path.read_text() for path in (shelf.store.folder / "logs").iterdir())
    assert logs
    assert not re.search(f"secret|{secret}|Bearer", logs), "a log holds no password and no token"


def test_the_file_that_registry_auth_file_names(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = shelf.publish("private/thing")
    logins = {"auths": {shelf.host: {"auth": base64.b64encode(b"somebody:secret").decode()}}}
    (shelf.folder / "logins.json").write_text(json.dumps(logins))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(shelf.folder / "logins.json"))
    assert shelf.pull(digest, repository="private/thing")


@pytest.mark.parametrize("where", ["/manifests/", "/data"])
def test_a_registry_that_asks_to_wait_is_waited_for(shelf: Shelf, where: str) -> None:
    digest = shelf.publish()
    shelf.day.refuse[where], shelf.day.retry_after = [429, 429], "1"
    assert shelf.pull(digest)
    assert len([line for line in shelf.said if "HTTP 429, the registry asks to wait 1 s" in line]) == 2


@pytest.mark.parametrize("where", ["/manifests/", "/data", "/token"])
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_for_a_minute_is_sat_out(
    shelf: Shelf, where: str, status: int, waited: list[float]
) -> None:
    digest = shelf.publish()
    shelf.day.refuse[where] = [status] * 2
    assert shelf.pull(digest)
    assert waited[:1] == [1]
    shelf.day.refuse[where], shelf.day.endless = [status], True
    waited.clear()
    error = shelf.refused(digest, "arm64")
    assert f"HTTP {status}" in error.message
    assert f"({PATIENT_TRIES} tries)" in error.message
    assert sum(waited) == 63


@pytest.mark.parametrize("where", ["/manifests/", "/data", "/token"])
def test_a_registry_that_forbids_it(shelf: Shelf, where: str) -> None:
    digest = shelf.publish()
    shelf.day.refuse[where], shelf.day.endless = [403], True
    error = shelf.refused(digest)
    assert "HTTP 403" in error.message
    assert "proxy and firewall" in error.next_step
    shelf.day.refuse.clear()
    assert shelf.pull(digest), "the same again goes on"


def test_a_limit_that_stays_is_said_with_what_raises_it(shelf: Shelf) -> None:
    digest = shelf.publish()
    shelf.day.refuse["/token"], shelf.day.endless = [429], True
    error = shelf.refused(digest)
    assert "HTTP 429" in error.message
    assert f"skopeo login {shelf.host} raises the limit" in error.next_step


def test_a_cut_connection_is_tried_again(shelf: Shelf) -> None:
    digest = shelf.publish()
    shelf.day.cut["/data"] = [1000]
    assert shelf.pull(digest)
    assert any("the connection was cut, trying again" in line for line in shelf.said)
    shelf.day.cut["/data"] = [1000] * 100
    error = shelf.refused(digest, "arm64")
    assert f"the connection was cut ({TRIES} tries)" in error.message


def test_one_kilobyte_a_second_is_not_waited_for(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = shelf.publish()
    shelf.day.pace["/data"] = 1000
    with monkeypatch.context() as hasty:
        hasty.setattr("lab.artifacts.sources.trouble.WINDOW", 1.5)
        error = shelf.refused(digest)
    assert re.search(rf"only \d\.\d kB/s for \d+ s \({TRIES} tries\)", error.message)
    shelf.day.pace.clear()
    assert shelf.pull(digest)


def test_nobody_there(shelf: Shelf) -> None:
    error = shelf.refused(ZERO, host="localhost:1")
    assert f"localhost:1/some/thing@{ZERO}: connection refused" in error.message


def test_a_name_that_nobody_knows(shelf: Shelf) -> None:
    error = shelf.refused(ZERO, host="registry.invalid")
    assert "its name cannot be resolved" in error.message
    assert "/etc/resolv.conf" in error.next_step


def test_an_authority_that_is_not_trusted(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    error = shelf.refused(ZERO)
    assert "an authority that this machine does not trust" in error.message
    assert "update-ca-certificates" in error.next_step


@pytest.mark.parametrize("days", [-365, 365])
def test_a_clock_that_is_a_year_off(shelf: Shelf, days: int) -> None:
    shelf.upstream.serve("late", Front, begins=datetime.now(UTC) + timedelta(days=days))
    error = shelf.refused(ZERO, host=shelf.upstream.host("late"))
    assert f"not valid on {datetime.now(UTC):%Y-%m-%d}" in error.message
    assert "timedatectl" in error.next_step


def test_c55_a_proxy_that_is_dead(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    error = shelf.refused(ZERO, host="registry.invalid")
    assert "the proxy does not answer" in error.message


def test_every_place_that_failed_is_named(shelf: Shelf) -> None:
    error = shelf.refused(ZERO, mirrors={shelf.host: ["https://localhost:1"]})
    assert f"localhost:1/some/thing@{ZERO}: connection refused" in error.message
    assert f"{shelf.host}/some/thing@{ZERO}: the registry has no such image" in error.message
