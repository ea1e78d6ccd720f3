"""kubeadm on a host: started as a unit, watched to its end, undone, its secrets made and forgotten."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.cluster import kubeadm
from lab.cluster.api import AWAY_SECONDS
from lab.errors import CommandError, DeadlineError, FailedError
from lab.render.kubeadm import JoinSecrets
from lab.ssh import Result
from tests.fake_host import certificate
from tests.fakes import Call, FakeClock, FakeSsh
from tests.world import CERTIFICATE_KEY, TOKEN


@pytest.fixture
def ssh() -> FakeSsh:
    return FakeSsh()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def test_kubeadm_runs_as_a_unit_with_a_document_that_only_root_may_read(
    ssh: FakeSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command itself, run here with programs that note what they were asked."""
    ssh.on("m1", "systemd-run", "")
    monkeypatch.setattr(kubeadm, "DOCUMENT", f"{tmp_path}/run/kubeadm.yaml")
    kubeadm.start(ssh, "m1", "join", "token: secret\n")
    [call] = ssh.calls
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "systemd-run", "kubeadm"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/log\n')
        (programs / name).chmod(0o755)
    command = call.command.replace("/run/plumbline", f"{tmp_path}/run")
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", command], input=call.stdin, text=True, check=True, env=environment)
    document = tmp_path / "run" / "kubeadm.yaml"
    assert document.read_text() == "token: secret\n"
    assert document.stat().st_mode & 0o777 == 0o600
    assert document.parent.stat().st_mode & 0o777 == 0o700
    validated, reset, started = (tmp_path / "log").read_text().splitlines()
    assert validated == f"kubeadm config validate --config {document}"
    assert reset == "systemctl reset-failed plumbline-kubeadm"
    words = shlex.split(started)
    assert {"--unit=plumbline-kubeadm", "--no-block", "--property=Type=oneshot"} <= set(words)
    assert started.endswith(f"/usr/local/bin/kubeadm join --config {document}")
    assert "ExecStartPost=/bin/touch /etc/kubernetes/plumbline-joined" in started
    assert f"ExecStopPost=/bin/rm -f {document}" in started


def test_c13_a_document_that_kubeadm_does_not_know_starts_nothing_and_leaves_no_secret(
    ssh: FakeSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C13: init and join would only warn of a misspelt field, and take its default."""
    ssh.on("m1", "systemd-run", "")
    monkeypatch.setattr(kubeadm, "DOCUMENT", f"{tmp_path}/run/kubeadm.yaml")
    kubeadm.start(ssh, "m1", "init", "etcd: {localEtcd: {}}\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "kubeadm": "echo 'unknown field'; exit 1",
        "systemd-run": f"touch {tmp_path}/ran",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    command = ssh.calls[0].command.replace("/run/plumbline", f"{tmp_path}/run")
    done = subprocess.run(
        ["sh", "-c", command],
        input=ssh.calls[0].stdin,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
    )
    assert done.returncode == 1
    assert "unknown field" in done.stdout
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "run" / "kubeadm.yaml").exists()


def test_no_flag_stands_beside_the_document(ssh: FakeSsh) -> None:
    """L0-05: kubeadm refuses flags that a document decides."""
    ssh.on("", "systemd-run", "")
    for verb in ("init", "join"):
        kubeadm.start(ssh, "m1", verb, "x")
        words = shlex.split(ssh.calls[-1].command.split("/usr/local/bin/kubeadm ")[1])
        assert words == [verb, "--config", kubeadm.DOCUMENT]
        assert "x" not in words, "a document goes by standard input"
        assert ssh.calls[-1].stdin == "x"


def progress(ssh: FakeSsh, *answers: str | Exception) -> None:
    """What the host says to each look, the last one for ever."""
    asked = 0

    def answer(_: Call) -> str | Exception:
        nonlocal asked
        asked += 1
        return answers[min(asked, len(answers)) - 1]

    ssh.on("m1", "systemctl show -P ActiveState", answer)


WORKING = "activating\nmissing\n[wait-control-plane] Waiting for the kubelet\n"
DONE = "inactive\ndone\nThis node has joined the cluster\n"


def test_the_end_is_waited_for_and_every_line_is_told(ssh: FakeSsh, clock: FakeClock) -> None:
    progress(ssh, "activating\nmissing\n", WORKING, WORKING, DONE)
    told: list[str] = []
    kubeadm.finish(ssh, "m1", told.append)
    assert told == [
        "",
        *["[wait-control-plane] Waiting for the kubelet"] * 2,
        "This node has joined the cluster",
    ]
    assert clock.naps == 3


def test_a_host_that_does_not_answer_for_a_while_is_not_the_end(ssh: FakeSsh, clock: FakeClock) -> None:
    gone = FailedError("m1: not reachable by SSH: timed out")
    slow = DeadlineError("m1: `systemctl`", 15, "still running")
    progress(ssh, gone, slow, WORKING, DONE)
    kubeadm.finish(ssh, "m1", lambda _: None)
    assert clock.naps == 3


@pytest.mark.parametrize("end", ["failed\nmissing\nx\n", "inactive\nmissing\nx\n", "failed\ndone\nx\n"])
def test_a_failure_shows_the_end_of_kubeadms_own_output(ssh: FakeSsh, clock: FakeClock, end: str) -> None:
    progress(ssh, WORKING, end)
    ssh.on("m1", "journalctl -u plumbline-kubeadm -n 40", "[preflight] Some fatal errors occurred\n")
    with pytest.raises(CommandError, match=r"m1: `kubeadm` ended with exit code 1\n.*fatal errors") as failed:
        kubeadm.finish(ssh, "m1", lambda _: None)
    assert "invoke build again" in failed.value.next_step
    assert clock.naps == 1


def test_a_kubeadm_that_never_ends_is_told_with_its_last_line(ssh: FakeSsh, clock: FakeClock) -> None:
    progress(ssh, WORKING)
    begun = clock.now
    with pytest.raises(DeadlineError, match=r"kubeadm on m1: .*\[wait-control-plane\] Waiting"):
        kubeadm.finish(ssh, "m1", lambda _: None)
    assert clock.now - begun == pytest.approx(kubeadm.SECONDS, abs=1)


def test_a_reset_stops_the_unit_first_and_removes_the_marker_of_a_member(ssh: FakeSsh) -> None:
    ssh.on("m1", "kubeadm reset", "")
    kubeadm.reset(ssh, "m1", "document", ("cni0", "flannel.1"))
    [(_, command)] = ssh.commands()
    assert ssh.calls[-1].stdin == "document"
    assert command.index("systemctl stop plumbline-kubeadm") < command.index("kubeadm reset --config")
    assert kubeadm.JOINED in command[command.index("rm -rf") :]
    assert "/var/lib/etcd/*" in command
    assert "/etc/cni/net.d/*" in command
    # after the pods behind them: the node may come back with another part of the pods' network
    undone = command[command.index("kubeadm reset") :]
    assert "ip link delete cni0 2>/dev/null; ip link delete flannel.1 2>/dev/null;" in undone


def taught(ssh: FakeSsh, uploaded: str) -> None:
    ssh.on("m1", "kubeadm token create", f"{TOKEN}\n")
    ssh.on("m1", "upload-certs", uploaded)
    ssh.on("m1", "cat /etc/kubernetes/pki/ca.crt", certificate())


UPLOADED = (
    f"[upload-certs] Storing the certificates\n[upload-certs] Using certificate key:\n{CERTIFICATE_KEY}\n"
)


def test_c17_secrets_of_a_master_hold_a_fresh_certificate_key(ssh: FakeSsh) -> None:
    """C17: made on the cluster right before the join, and living minutes."""
    taught(ssh, UPLOADED)
    made = kubeadm.join_secrets(ssh, "m1", control_plane=True)
    assert (made.token, made.certificate_key) == (TOKEN, CERTIFICATE_KEY)
    assert "--ttl 20m" in ssh.commands("token create")[0][1]


def test_a_worker_gets_no_certificate_key_and_none_is_made(ssh: FakeSsh) -> None:
    taught(ssh, UPLOADED)
    assert kubeadm.join_secrets(ssh, "m1", control_plane=False).certificate_key == ""
    assert ssh.commands("upload-certs") == []


def test_an_upload_that_prints_no_key_is_an_error(ssh: FakeSsh) -> None:
    taught(ssh, "[upload-certs] Skipping phase\n")
    with pytest.raises(FailedError, match="m1: kubeadm printed no certificate key"):
        kubeadm.join_secrets(ssh, "m1", control_plane=True)


def test_the_ca_is_known_by_the_digest_of_its_public_key() -> None:
    public = x509.load_pem_x509_certificate(certificate().encode()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert kubeadm.ca_hash(certificate()) == f"sha256:{hashlib.sha256(der).hexdigest()}"


def test_the_digest_is_the_one_that_openssl_computes(tmp_path: Path) -> None:
    """The command of kubeadm's own documentation."""
    (tmp_path / "ca.crt").write_text(certificate())
    script = "openssl x509 -pubkey -in ca.crt | openssl pkey -pubin -outform der | openssl dgst -sha256 -hex"
    told = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert kubeadm.ca_hash(certificate()) == f"sha256:{told.split()[-1]}"


def test_c17_a_used_token_is_deleted_and_the_certificates_with_it(ssh: FakeSsh) -> None:
    ssh.on("m1", "delete secret", "")
    kubeadm.forget(ssh, "m1", JoinSecrets(TOKEN, "sha256:x"))
    kubeadm.forget(ssh, "m1", JoinSecrets(TOKEN, "sha256:x", CERTIFICATE_KEY))
    token, both = (command.partition("secret ")[2] for _, command in ssh.commands())
    assert token == f"bootstrap-token-{TOKEN[:6]} --ignore-not-found"
    assert both == f"bootstrap-token-{TOKEN[:6]} kubeadm-certs --ignore-not-found"
    assert all(TOKEN not in command and CERTIFICATE_KEY not in command for _, command in ssh.commands())


def test_a_connection_that_breaks_while_a_master_joins_is_made_again(ssh: FakeSsh, clock: FakeClock) -> None:
    broken = iter([Result(1, "", "unexpected EOF"), Result(1, "", "etcdserver: leader changed")])
    ssh.on("m1", "delete secret", lambda _: next(broken, Result(0, "", "")))
    kubeadm.forget(ssh, "m1", JoinSecrets(TOKEN, "sha256:x"))
    assert len(ssh.commands()) == 3
    assert clock.naps == 2


def test_a_command_that_goes_on_failing_on_the_master_is_told_with_what_it_said(
    ssh: FakeSsh, clock: FakeClock
) -> None:
    ssh.on("m1", "kubeadm token create", Result(1, "", "timed out waiting for the condition"))
    begun = clock.now
    with pytest.raises(DeadlineError, match=r"a token by m1(?s:.*)timed out waiting for the condition"):
        kubeadm.join_secrets(ssh, "m1", control_plane=False)
    assert clock.now - begun <= AWAY_SECONDS
