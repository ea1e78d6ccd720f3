"""A host in testinfra's words, over the shared connection."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lab.checks.driver import Driver
from lab.checks.host import AskedHost
from lab.checks.outcomes import CouldNotTell, Outcome
from lab.errors import DeadlineError, FailedError
from lab.local import run
from lab.ssh import Result
from lab.verify.judging import judged
from tests.fakes import FakeSsh
from tests.soon import SOON


@pytest.fixture
def ssh() -> FakeSsh:
    made = FakeSsh()
    made.on("worker-1", "uname", "Linux\n")
    made.on("worker-1", "os-release", "ID=debian\nVERSION_ID=12\n")
    return made


@pytest.fixture
def here() -> AskedHost:
    """The words on this machine, without SSH."""

    def ask(command: str) -> Result:
        done = run(["sh", "-c", command], timeout=SOON, check=False)
        return Result(done.code, done.stdout, done.stderr)

    return AskedHost("here", ask)


def test_the_words_say_what_a_machine_is(here: AskedHost, tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_text("text ü\n")
    path.chmod(0o640)
    file = here.file(str(path))
    assert (file.exists, file.is_file, file.is_socket) == (True, True, False)
    assert (file.mode, file.size, file.content_string) == (0o640, 8, "text ü\n")
    assert file.user == path.owner()
    assert here.user("root").uid == 0
    assert here.sysctl("kernel.ostype") == "Linux"
    assert here.command.exists("sh")
    assert not here.command.exists("no-such-program")
    assert here.run("echo %s", "two  words").stdout == "two  words\n"
    assert here.run("exit 3").rc == 3


def test_a_word_that_cannot_be_read_is_could_not_tell(here: AskedHost, tmp_path: Path) -> None:
    missing = here.file(f"{tmp_path}/none")
    assert not missing.exists
    with pytest.raises(
        CouldNotTell, match=r"here: `stat .*none` ended with exit code 1: .*No such file"
    ) as caught:
        _ = missing.mode
    assert caught.value.next_step == "invoke ssh here"
    with pytest.raises(CouldNotTell, match=r"unknown|cannot stat"):
        here.sysctl("no.such.name")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FailedError("worker-1: not reachable by SSH: timed out"), "not reachable"),
        (DeadlineError("worker-1: `stat`", 30, "still running"), "not within 30 s"),
        (Result(127, "", "sh: 1: stat: not found"), "stat: not found"),
        (Result(1, "", "sudo: a password is required"), "a password is required"),
    ],
)
def test_what_keeps_us_from_looking_is_never_a_failure(
    driver: Driver, ssh: FakeSsh, answer: Result | Exception, said: str
) -> None:
    ssh.on("worker-1", "stat", answer)
    with pytest.raises(CouldNotTell, match=said) as caught:
        _ = driver.host("worker-1").file("/etc/hosts").mode
    assert judged(caught.value)[0] is Outcome.COULD_NOT_TELL


def test_every_word_goes_over_the_connection_that_all_share(driver: Driver, ssh: FakeSsh) -> None:
    ssh.on("worker-1", "stat", "644\n")
    path = "/tmp/it's; rm"
    assert driver.host("worker-1").file(path).mode == 0o644
    assert driver.host("worker-1") is driver.host("worker-1")
    assert ("worker-1", f"stat -Lc %a {shlex.quote(path)}") in ssh.commands("stat")
