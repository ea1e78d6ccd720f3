"""Files over HTTP: a file gets its name only when every byte of it is right."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from lab.artifacts import programs
from lab.artifacts.sources import fetch as fetching
from lab.artifacts.sources.fetch import fetch
from lab.artifacts.sources.trouble import PATIENT_TRIES, TRIES, Pace
from lab.errors import FailedError
from tests.doubles.upstream.servers import Files, Upstream
from tests.soon import SOON

from .conftest import Site

CONTENT = os.urandom(300_000)
HALF = len(CONTENT) // 2
pytestmark = pytest.mark.usefixtures("waited")


def quiet(_line: str) -> None:
    pass


def part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def test_a_good_file_arrives(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert not part(tmp_path / "file").exists()


def test_a_file_that_is_there_is_not_asked_for(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    (tmp_path / "file").write_bytes(CONTENT)
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert site.asked == []


def test_a_wrong_digest_is_said_with_url_wanted_and_got(site: Site, tmp_path: Path) -> None:
    got = site.put("/file", CONTENT)
    with pytest.raises(FailedError) as raised:
        fetch(f"{site.url}/file", "0" * 64, tmp_path / "file", say=quiet)
    assert f"{site.url}/file" in str(raised.value)
    assert f"wanted sha256 {'0' * 64}" in str(raised.value)
    assert f"got    sha256 {got}" in str(raised.value)
    assert not (tmp_path / "file").exists()
    assert not part(tmp_path / "file").exists()
    assert len(site.asked) == 1


def test_a_cut_connection_is_resumed_where_it_was_cut(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    site.day.cut["/file"] = [HALF, 1000]
    said: list[str] = []
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=said.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.starts("/file") == ["", f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert f"cut at byte {HALF} of {len(CONTENT)}" in said[0]


def test_the_next_run_goes_on_where_this_one_stopped(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    site.day.cut["/file"] = [1000] * TRIES
    with pytest.raises(FailedError, match=f"cut at byte 4000 .*{TRIES} tries"):
        fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert not (tmp_path / "file").exists()
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.starts("/file")[-1] == "bytes=4000-"


def test_a_truncated_file_is_refused(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    site.put("/file", CONTENT[:HALF])
    with pytest.raises(FailedError, match="wrong digest"):
        fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert not (tmp_path / "file").exists()


def test_a_part_of_another_file_is_thrown_away(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    part(tmp_path / "file").write_bytes(b"of an older release")
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_that_is_the_whole_file_is_enough(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    part(tmp_path / "file").write_bytes(CONTENT)
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_damaged_file_of_that_name_is_fetched_again(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    (tmp_path / "file").write_bytes(b"damaged")
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_for_a_minute_is_sat_out(
    site: Site, tmp_path: Path, waited: list[float], status: int
) -> None:
    sha256 = site.put("/file", CONTENT)
    site.day.refuse["/file"] = [status] * (PATIENT_TRIES - 1)
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert waited == [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_is_given_the_time_it_asks_for(
    site: Site, tmp_path: Path, waited: list[float], as_date: bool
) -> None:
    sha256 = site.put("/file", CONTENT)
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    site.day.refuse["/file"], site.day.retry_after = [429], at if as_date else "60"
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    # a date is a minute away when it is written, and less when it is read; of itself it would wait 1 s
    assert [2 < seconds <= 60 for seconds in waited] == [True]


def test_a_server_that_asks_for_an_hour_is_left(site: Site, tmp_path: Path, waited: list[float]) -> None:
    site.day.refuse["/file"], site.day.retry_after = [429], "3600"
    with pytest.raises(
        FailedError, match="HTTP 429 Too Many Requests, to be asked again in 3600 s"
    ) as raised:
        fetch(f"{site.url}/file", site.put("/file", CONTENT), tmp_path / "file", say=quiet)
    assert "run it again in 60 minutes" in raised.value.next_step
    assert waited == []


@pytest.mark.parametrize(
    ("status", "step"), [(401, "~/.netrc"), (403, "proxy and firewall"), (404, "check version and URL")]
)
def test_a_refusal_that_stays_is_said_at_once(site: Site, tmp_path: Path, status: int, step: str) -> None:
    site.day.refuse["/file"] = [status]
    with pytest.raises(FailedError, match=f"/file: HTTP {status} ") as raised:
        fetch(f"{site.url}/file", site.put("/file", CONTENT), tmp_path / "file", say=quiet)
    assert step in raised.value.next_step
    assert len(site.asked) == 1


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match=rf"connection refused \({TRIES} tries"):
        fetch("https://127.0.0.1:1/file", "0" * 64, tmp_path / "file", say=quiet)


def test_a_name_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RES_OPTIONS", "timeout:1 attempts:1")
    with pytest.raises(FailedError, match="its name cannot be resolved") as raised:
        fetch("https://downloads.invalid/file", "0" * 64, tmp_path / "file", say=quiet)
    assert "/etc/resolv.conf" in raised.value.next_step


def test_an_authority_that_is_not_trusted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FailedError, match="an authority that this machine does not trust") as raised:
        fetch(f"{site.url}/file", site.put("/file", CONTENT), tmp_path / "file", say=quiet)
    assert "update-ca-certificates" in raised.value.next_step
    assert site.asked == []


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nMIIB"])
@pytest.mark.parametrize("proxied", [False, True])
def test_a_file_of_authorities_that_holds_none(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, proxied: bool
) -> None:
    (tmp_path / "authorities").write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities"))
    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "localhost")
    with pytest.raises(FailedError, match=r"SSL_CERT_FILE, .* names a file without certificates") as raised:
        fetch(f"{site.url}/file", site.put("/file", CONTENT), tmp_path / "file", say=quiet)
    assert "tries" not in raised.value.message


@pytest.mark.parametrize("days", [-365, 365])
def test_a_clock_that_is_a_year_off(upstream: Upstream, tmp_path: Path, days: int) -> None:
    """Whichever side is wrong, what is seen is a certificate that is not valid today."""
    upstream.serve("late", Files, begins=datetime.now(UTC) + timedelta(days=days))
    with pytest.raises(FailedError, match=f"not valid on {datetime.now(UTC):%Y-%m-%d}") as raised:
        fetch(f"https://{upstream.host('late')}/file", "0" * 64, tmp_path / "file", say=quiet)
    assert "timedatectl" in raised.value.next_step


def test_c55_a_proxy_is_used_and_one_that_is_dead_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(FailedError, match="the proxy does not answer") as raised:
        fetch(f"{site.url}/file", site.put("/file", CONTENT), tmp_path / "file", say=quiet)
    assert "HTTPS_PROXY" in raised.value.next_step
    monkeypatch.setenv("NO_PROXY", "localhost")
    fetch(f"{site.url}/file", site.put("/file", CONTENT), tmp_path / "file", say=quiet)


def test_a_socks_proxy_is_an_error_of_one_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(FailedError, match="the proxy does not answer"):
        fetch("https://downloads.invalid/file", "0" * 64, tmp_path / "file", say=quiet)


def test_one_kilobyte_a_second_is_not_waited_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.day.pace["/file"] = 1000
    sha256 = site.put("/file", CONTENT)
    with monkeypatch.context() as hasty, pytest.raises(FailedError, match=r"only \d\.\d kB/s for \d+ s"):
        hasty.setattr("lab.artifacts.sources.trouble.WINDOW", 0.5)
        fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    got = part(tmp_path / "file").stat().st_size
    assert 0 < got < len(CONTENT)
    site.day.pace.clear()
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert site.starts("/file")[-1] == f"bytes={got}-"


def test_a_server_that_falls_silent(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine it is silent before the first byte, if it is given so little time."""
    sha256, message = site.put("/file", CONTENT), ""
    site.day.pace["/file"] = 0.001
    for seconds in (0.3, 3, 30):
        monkeypatch.setattr(fetching, "SILENCE", seconds)
        with pytest.raises(FailedError) as raised:
            fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
        message = raised.value.message
        if "no answer" not in message:
            break
    assert f"no byte for {seconds:.0f} s, at byte" in message


def test_whoever_stops_the_work_waits_for_no_silent_server(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = threading.Event()

    class Noticing(Pace):
        def slow(self, size: int) -> str:
            received.set()
            return super().slow(size)

    monkeypatch.setattr(fetching, "Pace", Noticing)
    monkeypatch.setattr(fetching, "SILENCE", 10 * SOON)  # it is not the silence that ends the try
    site.day.pace["/file"] = 0.01
    sha256 = site.put("/file", CONTENT)
    with ThreadPoolExecutor() as pool:
        fetching_it = pool.submit(fetch, f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
        assert received.wait(SOON)
        programs.stop_all()
        try:
            with pytest.raises(FailedError, match="the work is being stopped"):
                fetching_it.result(timeout=SOON)
        finally:
            programs.start_anew()
