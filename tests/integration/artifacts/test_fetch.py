"""Files over HTTP: a file gets its name only when every byte of it is right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.artifacts.sources.fetch import TRIES, fetch
from lab.errors import FailedError

from .conftest import Site

CONTENT = os.urandom(300_000)
HALF = len(CONTENT) // 2


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.artifacts.sources.fetch.time.sleep", lambda _seconds: None)


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
    site.cut["/file"] = [HALF, 1000]
    said: list[str] = []
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=said.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.starts("/file") == ["", f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert f"cut at byte {HALF} of {len(CONTENT)}" in said[0]


def test_the_next_run_goes_on_where_this_one_stopped(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    site.cut["/file"] = [1000] * TRIES
    with pytest.raises(FailedError, match=f"cut at byte 4000 .*{TRIES} tries"):
        fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert not (tmp_path / "file").exists()
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.starts("/file")[-1] == "bytes=4000-"


def test_a_server_without_ranges_sends_it_all_again(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    site.ranges, site.cut["/file"] = False, [HALF]
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_truncated_file_is_refused(site: Site, tmp_path: Path) -> None:
    sha256 = site.put("/file", CONTENT)
    site.files["/file"] = CONTENT[:HALF]
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


@pytest.mark.parametrize("status", [429, 503])
def test_a_passing_refusal_is_tried_again(site: Site, tmp_path: Path, status: int) -> None:
    sha256 = site.put("/file", CONTENT)
    site.refuse["/file"] = [status, status]
    fetch(f"{site.url}/file", sha256, tmp_path / "file", say=quiet)
    assert len(site.asked) == 3


def test_a_file_that_does_not_exist_is_asked_for_once(site: Site, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="HTTP 404") as raised:
        fetch(f"{site.url}/none", "0" * 64, tmp_path / "file", say=quiet)
    assert "check version and URL" in raised.value.next_step
    assert len(site.asked) == 1


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match=r"refused.*tries"):
        fetch("http://127.0.0.1:1/file", "0" * 64, tmp_path / "file", say=quiet)
