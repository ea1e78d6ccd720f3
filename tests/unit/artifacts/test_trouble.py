"""What goes wrong with other people's servers: how often it is tried, what is said, what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lab import proxies
from lab.artifacts.sources.skopeo import NoSuchImageError, meaning
from lab.artifacts.sources.trouble import (
    PATIENT_TRIES,
    TRIES,
    Pace,
    Trouble,
    asked_wait,
    persevere,
    refused,
    unreached,
)
from lab.errors import CommandError, FailedError
from tests.soon import SOON

WHERE = "registry.k8s.io/pause@sha256:0"


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("lab.artifacts.programs.pause", waits.append)
    return waits


def attempts(*outcomes: Trouble | None) -> list[Trouble | None]:
    return list(outcomes)


def test_what_passes_is_tried_again_with_longer_waits(waited: list[float], said: list[str]) -> None:
    left = attempts(Trouble("cut"), Trouble("cut"), None)
    persevere("place", lambda: left.pop(0), say=said.append)
    assert waited == [1, 2]
    assert said == ["place: cut, trying again in 1 s", "place: cut, trying again in 2 s"]


def test_a_server_that_answers_may_refuse_for_a_minute(waited: list[float]) -> None:
    with pytest.raises(FailedError, match=rf"^place: HTTP 503 Service Unavailable \({PATIENT_TRIES} tries\)"):
        persevere("place", lambda: refused(503, ""), say=lambda _line: None)
    assert sum(waited) >= 60


def test_what_stays_is_tried_once(waited: list[float]) -> None:
    with pytest.raises(
        FailedError, match=r"^place: HTTP 404 Not Found\n  next: check version and URL, FILE:3"
    ):
        persevere("place", lambda: refused(404, "FILE:3"), say=lambda _line: None)
    assert waited == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("60", 60),
        ("soon", None),
        ("-5", None),
        ("Sat, 01 Aug 2015 12:00:00 GMT", 0),
        ("Mon, 30 Nov 2026 00:00:00", None),
    ],
)
def test_how_long_a_server_asks_to_wait(text: str, seconds: float | None) -> None:
    expected = seconds if seconds is None else pytest.approx(seconds, abs=5)
    assert asked_wait({"Retry-After": text}) == expected


def test_a_server_may_name_the_time() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert asked_wait({"Retry-After": at}) == pytest.approx(3600, abs=SOON)


def test_a_transfer_is_slow_only_over_a_whole_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("lab.artifacts.sources.trouble.time.monotonic", lambda: now[0])
    pace = Pace()
    assert pace.slow(100) == ""
    now[0] = 59.0
    assert pace.slow(200) == ""
    now[0] = 60.0
    assert pace.slow(60_100) == "only 1.0 kB/s for 60 s"
    now[0] = 120.0
    assert pace.slow(60_100 + 60 * 4096) == ""
    pace.wait(60)
    now[0] = 200.0
    assert pace.slow(60_100 + 60 * 4096) == "", "the registry asked to wait"


@pytest.mark.parametrize(
    ("text", "seen", "tries"),
    [
        ('Get "https://a/v2/": x509: certificate has expired or is not yet valid', "not valid on", 1),
        ("x509: certificate signed by unknown authority", "does not trust", 1),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate in certificate chain",
            "does not trust",
            1,
        ),
        ("Hostname mismatch, certificate is not valid for 'a'", "another name", 1),
        ("dial tcp: lookup a.invalid on 10.0.0.1:53: no such host", "cannot be resolved", TRIES),
        ("dial tcp: lookup a on [::1]:53: read: connection refused", "cannot be resolved", TRIES),
        ("Failed to resolve 'a' ([Errno -3] Temporary failure in name resolution)", "cannot be", TRIES),
        ("proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused", "the proxy does not", TRIES),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "connection refused", TRIES),
        ("dial tcp 192.0.2.1:443: connect: no route to host", "no route", TRIES),
        ("net/http: TLS handshake timeout", "no answer in time", TRIES),
        ("writing blob: happened during read: unexpected EOF", "the connection was cut", TRIES),
        ("first\nsomething that nobody foresaw", "something that nobody foresaw", TRIES),
        ("", "no answer", TRIES),
    ],
)
def test_what_a_failed_connection_means(text: str, seen: str, tries: int) -> None:
    found = unreached(text)
    assert seen in found.seen
    assert found.tries == tries
    assert found.next_step


def fatal(text: str) -> CommandError:
    """How skopeo ends, whatever it said before."""
    line = text.replace('"', '\\"')
    output = f'time="x" level=debug msg="GET https://a"\ntime="x" level=fatal msg="{line}"\n'
    return CommandError("", "skopeo", 1, output)


@pytest.mark.parametrize(
    ("text", "seen", "tries"),
    [
        ("unable to retrieve auth token: invalid username/password: unauthorized: who are you",
         "HTTP 401 Unauthorized: who are you", 1),
        ("reading manifest v1 in quay.io/a: denied: no", "HTTP 403 Forbidden: no", 1),
        ("Requesting bearer token: status code from registry 403 (Forbidden)", "HTTP 403 Forbidden", 1),
        ("too many requests to registry", "HTTP 429 Too Many Requests: too many requests to registry",
         PATIENT_TRIES),
        ("reading manifest: toomanyrequests: You have reached your limit", "HTTP 429", PATIENT_TRIES),
        ("received unexpected HTTP status: 502 Bad Gateway", "HTTP 502 Bad Gateway", PATIENT_TRIES),
        ("writing blob: write /x: no space left on device", "the disk is full", 1),
        ("Manifest does not match provided manifest digest sha256:1", "wrong digest\n  wanted sha256:1", 1),
        ("happened during read: Digest did not match, expected sha256:1, got sha256:2",
         "wrong digest\n  wanted sha256:1\n  got    sha256:2", 1),
        ("Download config.json digest sha256:2 does not match expected sha256:1",
         "wrong digest\n  wanted sha256:1\n  got    sha256:2", 1),
        ('no image found in image index for architecture arm64, variant "", OS linux',
         "has no image for linux/arm64", 1),
        ('no image found in manifest list for architecture "amd64", variant "", OS "linux"',
         "has no image for linux/amd64", 1),
        ('Get \\"https://a/v2/\\": dial tcp 127.0.0.1:1: connect: connection refused', "connection refused",
         TRIES),
    ],
)  # fmt: skip
def test_what_skopeo_says(text: str, seen: str, tries: int) -> None:
    found = meaning(WHERE, fatal(text.replace('\\"', '"')))
    assert found.seen.startswith(seen)
    assert found.tries == tries
    assert "level=" not in found.seen


@pytest.mark.parametrize(
    "code", ["manifest unknown", "name unknown", "repository name not known to registry"]
)
def test_an_image_that_is_not_there(code: str) -> None:
    with pytest.raises(NoSuchImageError):
        meaning(WHERE, fatal(f"reading manifest v1 in quay.io/a: {code}: {code}"))


def test_a_digest_in_the_address_is_no_status() -> None:
    text = (
        "pinging container registry 10.0.0.4:5003: sha256:401403429500 dial tcp: connect: connection refused"
    )
    assert meaning("10.0.0.4:5003/a@sha256:429", fatal(text)).seen == "connection refused"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Failed to parse: '%%%' is not a valid host or port", "HTTPS_PROXY"),
        ("Proxy URL had unsupported scheme banana, should use http:// or https://", "HTTPS_PROXY"),
        ("Could not find a suitable TLS CA certificate bundle, invalid path: /no", "unset it"),
    ],
)
def test_a_setting_that_cannot_be_is_tried_once_and_named(text: str, named: str) -> None:
    found = unreached(text)
    assert found.tries == 1
    assert named in found.next_step


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((), "check HTTPS_PROXY and NO_PROXY"),
        (("no",), "check HTTPS_PROXY and NO_PROXY"),
        (("all",), "check ALL_PROXY and NO_PROXY"),
        (("http", "https"), "check HTTP_PROXY or HTTPS_PROXY and NO_PROXY"),
    ],
)
def test_the_proxy_that_is_set_is_named(
    kinds: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in proxies.KINDS:
        monkeypatch.delenv(proxies.ASIDE + kind, raising=False)
    for kind in kinds:
        monkeypatch.setenv(proxies.ASIDE + kind, "socks5h://127.0.0.1:9")
    dead = "SOCKSHTTPSConnection(host='127.0.0.1', port=9): [Errno 111] Connection refused"
    assert told in unreached(dead).next_step
    assert told.removeprefix("check ").removesuffix(" and NO_PROXY") in refused(407, "").next_step
