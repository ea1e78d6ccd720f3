"""A run leaves a folder of evidence, and no secret in it."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import PreflightError
from lab.runs import Run, mask
from tests.soon import SOON

TOKEN = "abcdef.0123456789abcdef"
KEY = "0123456789abcdef" * 4
DIGEST = f"sha256:{KEY}"


def private_key(form: serialization.PrivateFormat) -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


OPENSSH = private_key(serialization.PrivateFormat.OpenSSH)
PKCS8 = private_key(serialization.PrivateFormat.PKCS8)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path, "test", "build")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"kubeadm join --token {TOKEN} 10.1.1.50:6443", "kubeadm join --token <token> 10.1.1.50:6443"),
        (f'"token": "{TOKEN}"', '"token": "<token>"'),
        (f"certificate key:\n{KEY}\n", "certificate key:\n<key>\n"),
        (f"certificateKey: {KEY}", "certificateKey: <key>"),
        (f"a {OPENSSH} b", "a <pem>\n b"),
        (f"{PKCS8}{PKCS8}", "<pem>\n<pem>\n"),
        (f"    client-key-data: {'LS0t' * 99}==\n", "    client-key-data: <kubeconfig>\n"),
    ],
    ids=["join", "json", "key", "yaml", "openssh", "pkcs8", "kubeconfig"],
)
def test_secrets_are_replaced_by_their_kind(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_private_key_is_masked_inside_json_and_yaml_strings_too() -> None:
    seen = mask(f"ed25519_private: {json.dumps(OPENSSH)}")
    assert seen == 'ed25519_private: "<pem>\\n"'


@pytest.mark.parametrize(
    "text",
    [
        f"--discovery-token-ca-cert-hash {DIGEST}",
        f"image: ghcr.io/x/y@{DIGEST}",
        "10.1.1.11 master-1 and v1.31.0 and node-1.example",
        "machine-id 0123456789abcdef0123456789abcdef",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "certificate-authority-data: LS0tLS1CRUdJTg==",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


@settings(deadline=None)  # a busy machine is no defect
@given(
    before=st.text(alphabet=" \n\"'=:,", max_size=5),
    after=st.text(alphabet=" \n\"',;)", max_size=5),
    secret=st.sampled_from([TOKEN, KEY, OPENSSH, PKCS8]),
)
def test_no_surrounding_keeps_a_secret(before: str, after: str, secret: str) -> None:
    seen = mask(f"x{before} {secret}{after}")
    assert secret.strip() not in seen
    assert mask(seen) == seen


def test_every_run_has_a_folder_and_last_points_at_the_newest(tmp_path: Path) -> None:
    runs = [Run(tmp_path, "test", command) for command in ("plan", "build", "build")]
    for one in runs:
        one.close()
    assert len({one.folder for one in runs}) == 3
    last = tmp_path / ".lab/test/runs/last"
    assert last.is_symlink()
    assert last.resolve() == runs[-1].folder.resolve()
    assert not Path(last.readlink()).is_absolute()
    assert sorted(entry.name for entry in last.parent.iterdir()) == sorted(
        [*(one.folder.name for one in runs), "last"]
    )


def test_runs_of_the_same_second_do_not_hinder_each_other(tmp_path: Path) -> None:
    """A run that was killed between its two steps has left the link that it was about to put in place."""
    (tmp_path / ".lab/test/runs").mkdir(parents=True)
    first = Run(tmp_path, "test", "plan")
    first.close()
    second = first.folder.name.split(".")[0]
    (first.folder.parent / f"{second}.link").symlink_to("x")
    (first.folder.parent / f"{second}.123456Z.link").symlink_to("x")
    Run(tmp_path, "test", "plan").close()


def test_folders_of_runs_sort_by_time(tmp_path: Path) -> None:
    names = []
    for _ in range(5):
        one = Run(tmp_path, "test", "plan")
        one.close()
        names.append(one.folder.name)
    assert names == sorted(names)
    assert all(name.endswith("Z") for name in names)


def test_the_debug_log_holds_every_line_and_no_secret(run: Run) -> None:
    log = logging.getLogger("plumbline")
    log.debug("m1: $ kubeadm token delete %s", TOKEN)
    try:
        raise ValueError(f"bad key {KEY}")
    except ValueError:
        log.exception("it went wrong")
    text = (run.folder / "debug.log").read_text()
    assert "m1: $ kubeadm token delete <token>" in text
    assert "ValueError: bad key <key>" in text
    assert TOKEN not in text
    assert KEY not in text


def test_a_closed_run_gets_no_more_lines(run: Run) -> None:
    run.close()
    logging.getLogger("plumbline").warning("too late")
    assert "too late" not in (run.folder / "debug.log").read_text()


def test_evidence_is_masked_and_what_is_private_is_for_its_owner_alone(run: Run) -> None:
    open_to_read = run.keep("hosts/m1/journal.txt", f"joined with {TOKEN}\n")
    private = run.keep("kubeadm/join.yaml", f"token: {TOKEN}\n", private=True)
    assert open_to_read.read_text() == "joined with <token>\n"
    assert private.read_text() == f"token: {TOKEN}\n"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert open_to_read == run.folder / "hosts/m1/journal.txt"


def test_an_event_tells_when_it_began_and_ended_also_when_it_failed(run: Run) -> None:
    with pytest.raises(ValueError, match="no"), run.event("boot", "m1") as event:
        event["error"] = f"no {TOKEN}"
        raise ValueError("no")
    with run.event("join", "m2") as event:
        event["changed"] = True
    [first, second] = json.loads((run.folder / "timeline.json").read_text())["events"]
    assert (first["phase"], first["host"], first["changed"], first["error"]) == (
        "boot",
        "m1",
        False,
        "no <token>",
    )
    assert 0 <= first["start"] <= first["end"] <= second["start"] <= second["end"]
    assert second["changed"] is True
    assert len(run.events) == 2


def test_many_hosts_may_be_the_first_to_keep_something_in_a_folder(run: Run) -> None:
    together = threading.Barrier(8)

    def keep(round_: int, host: int) -> Path:
        together.wait(timeout=SOON)
        return run.keep(f"changes/{round_}/host-{host}.json", f"of {host}")

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(200):
            kept = list(pool.map(partial(keep, round_), range(8)))
            assert [path.read_text() for path in kept] == [f"of {host}" for host in range(8)]


@pytest.mark.parametrize(
    ("why", "step"),
    [(PermissionError(13, "Permission denied"), "as root"), (OSError(30, "Read-only file system"), "mount")],
)
def test_a_checkout_where_no_evidence_can_be_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: OSError, step: str
) -> None:
    def refuse(*_given: object, **_named: object) -> None:
        raise why

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PreflightError, match=rf"{tmp_path}/.lab/test/runs/\S+: cannot be written: ") as error:
        Run(tmp_path, "test", "build")
    assert step in error.value.next_step


def test_a_full_disk_is_told_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_named: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)  # folders and empty files can still be made
    with pytest.raises(PreflightError, match="cannot be written: No space left on device") as error:
        Run(tmp_path, "test", "preflight")
    assert error.value.next_step.startswith(f"df -h {tmp_path}/.lab/test/runs; free ")


def test_a_log_that_a_full_disk_cuts_off_is_told_once_and_ends_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, "test", "build")
    kept = run._handler.stream
    with Path("/dev/full").open("w") as full:  # every write fails with ENOSPC (full(4))
        run._handler.stream = full
        log = logging.getLogger("plumbline")
        for number in range(3):
            log.info("line %s", number)
        run._handler.stream = kept
        run.close()
        # what Python holds back for it cannot be written either
        with contextlib.suppress(OSError):
            full.close()
    told = capfd.readouterr().err
    assert told == (
        f"warning: {run.folder}/debug.log: is not whole: No space left on device\n"
        f"  next: df -h {run.folder}; free some space there\n"
    )
