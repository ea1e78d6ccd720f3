"""Calls to Proxmox VE: what a refusal means, and what is repeated for how long."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import DeadlineError, FailedError
from lab.providers.proxmox.retry import BusyError, LostError, ProxmoxApiError, judged, persist, read
from lab.waits import NotYet
from tests.fakes import FakeClock


def refusal(status: int, reason: str) -> ProxmoxApiError:
    return ProxmoxApiError("POST x", status, reason, {})


@pytest.mark.parametrize(
    ("status", "reason", "change", "kind"),
    [
        (595, "Connection refused", True, LostError),
        (596, "Broken pipe", True, LostError),
        (596, "error:0A000086:SSL routines::certificate verify failed", True, ProxmoxApiError),
        (596, "tls_process_server_certificate: certificate verify failed", False, ProxmoxApiError),
        (597, "Connection timed out", True, LostError),
        (599, "Too many redirections", False, LostError),
        (502, "Bad Gateway", True, LostError),
        (500, "can't lock file '/x' - got timeout", True, BusyError),
        (500, "VM is locked (clone)", True, BusyError),
        (500, "Configuration file 'nodes/a/qemu-server/1.conf' does not exist", True, BusyError),
        (500, "Configuration file 'nodes/a/qemu-server/1.conf' does not exist", False, ProxmoxApiError),
        (500, "VM 101 already running", True, BusyError),
        (403, "Permission check failed (/vms/101, VM.Clone)", True, ProxmoxApiError),
        (400, "Parameter verification failed.", True, ProxmoxApiError),
        (500, "unable to create VM 101: config file already exists", True, ProxmoxApiError),
    ],
)
def test_what_a_refusal_means(status: int, reason: str, change: bool, kind: type[FailedError]) -> None:
    assert type(judged(refusal(status, reason), change=change)) is kind


@pytest.mark.parametrize(
    ("status", "reason", "words", "hint"),
    [
        (595, "No route to host", "got no connection to the node that does the work", "pvecm status"),
        (596, "Connection timed out", "reached the node that does the work, and lost it then", "pveproxy"),
        (596, "certificate verify failed", "does not trust the one that was asked for", "pvecm updatecerts"),
        (597, "Broken pipe", "in the middle of its answer", "pvecm status"),
    ],
)
def test_a_code_that_http_does_not_know_has_words_of_its_own(
    status: int, reason: str, words: str, hint: str
) -> None:
    said = judged(refusal(status, reason), change=True)
    assert reason in said.message
    assert words in said.message
    assert hint in said.next_step


def test_what_to_do_about_a_lost_call_outlives_its_repetitions() -> None:
    lost = judged(refusal(596, "Connection timed out"), change=True)
    with pytest.raises(FailedError, match="given up after 12 attempts") as refused:
        persist("x", lambda: _give([lost]), seconds=600)
    assert "pveproxy" in refused.value.next_step
    with pytest.raises(DeadlineError, match="lost it then") as late:
        read("x", lambda: _give([lost]))
    assert "pveproxy" in late.value.next_step


def test_a_read_is_repeated_with_growing_pauses_until_an_answer(clock: FakeClock) -> None:
    answers: list[Any] = [LostError("lost"), LostError("lost"), BusyError("busy"), "here"]

    def ask() -> str:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return str(given)

    assert read("x", ask) == "here"
    assert clock.now == pytest.approx(1000 + 0.2 + 0.4 + 0.8)


def test_a_read_that_is_never_answered_ends_at_its_deadline_with_the_last_loss(clock: FakeClock) -> None:
    def ask() -> str:
        raise LostError("no answer from https://pve")

    with pytest.raises(DeadlineError, match=r"GET /nodes: not within 60 s; last seen: no answer"):
        read("GET /nodes", ask)
    assert 50 < clock.now - 1000 <= 60


def test_c22_a_step_is_repeated_until_nothing_is_missing(clock: FakeClock) -> None:
    answers: list[Any] = [None, NotYet("locked"), LostError("lost"), None, True]
    assert persist("x", lambda: _give(answers), seconds=60) is True
    assert answers == []
    assert clock.naps == 2


def test_losses_in_a_row_are_limited_and_the_last_is_told() -> None:
    answers: list[Any] = [LostError("lost")] * 11 + [None] + [BusyError("locked again")] * 12
    with pytest.raises(FailedError, match="given up after 12 attempts; last seen: locked again"):
        persist("x", lambda: _give(answers), seconds=600)


def test_a_refusal_ends_a_step_at_once(clock: FakeClock) -> None:
    with pytest.raises(ProxmoxApiError, match="403"):
        persist("x", lambda: _give([refusal(403, "no")]), seconds=60)
    assert clock.naps == 0


def test_c22_a_lock_that_stays_ends_at_the_deadline() -> None:
    with pytest.raises(DeadlineError, match=r"x: not within 60 s; last seen: locked \(clone\)"):
        persist("x", lambda: _give([NotYet("locked (clone)")]), seconds=60)


def _give(answers: list[Any]) -> Any:
    given = answers.pop(0) if len(answers) > 1 else answers[0]
    if len(answers) == 1 and given is True:
        answers.clear()
    if isinstance(given, Exception):
        raise given
    return given
