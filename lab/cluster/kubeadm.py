"""kubeadm on a host: a unit of systemd, so that it outlives the harness and its story is in the journal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.cluster.api import AWAY_SECONDS
from lab.errors import CommandError, DeadlineError, FailedError
from lab.render.kubeadm import JoinSecrets
from lab.ssh import Ssh
from lab.waits import NotYet, wait_for

UNIT = "plumbline-kubeadm"
DOCUMENT = "/run/plumbline/kubeadm.yaml"
"""In memory, readable by root alone, removed as soon as kubeadm has ended: it holds join secrets."""
SECONDS = 420
"""kubeadm gives up by itself after 4 minutes without a control plane (its timeouts' defaults), twice."""
JOINED = "/etc/kubernetes/plumbline-joined"
"""Made when kubeadm has ended well, and only then: the host is a part of the cluster."""
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"


def start(ssh: Ssh, host: str, verb: str, document: str) -> None:
    """Start `kubeadm init` or `kubeadm join` with a document, in the background.

    init and join only warn of a field they do not know and take its default (kubeadm#1066), so kubeadm
    validates the document first. Raises `CommandError` with what it says.
    """
    ssh.run(
        host,
        f"install -d -m 700 /run/plumbline && (umask 077 && cat > {DOCUMENT}) && "
        f"{{ kubeadm config validate --config {DOCUMENT} || {{ rm -f {DOCUMENT}; exit 1; }}; }} && "
        f"systemctl reset-failed {UNIT} 2>/dev/null; "
        f"systemd-run --quiet --unit={UNIT} --property=Type=oneshot --no-block "
        f"--property=ExecStartPost='/bin/touch {JOINED}' --property=ExecStopPost='/bin/rm -f {DOCUMENT}' "
        f"/usr/local/bin/kubeadm {verb} --config {DOCUMENT}",
        stdin=document,
    )


def finish(ssh: Ssh, host: str, note: Callable[[str], None]) -> None:
    """Wait until the unit has ended well.

    Raises `CommandError` with the end of kubeadm's own output when it failed.
    """

    def probe() -> None:
        command = (
            f"systemctl show -P ActiveState {UNIT}.service; test -e {JOINED} && echo done || echo missing; "
            f"journalctl -u {UNIT} -n 1 -o cat --no-pager"
        )
        try:
            lines = ssh.run(host, command, seconds=15).splitlines()
        except (FailedError, DeadlineError) as error:
            raise NotYet(error.message) from error
        active, product, said = lines[0], lines[1], lines[2] if len(lines) > 2 else ""
        if active == "failed" or (active == "inactive" and product == "missing"):
            output = ssh.run(host, f"journalctl -u {UNIT} -n 40 -o cat --no-pager")
            raise CommandError(
                host, "kubeadm", 1, output, next_step=f"invoke logs; then invoke build again ({host})"
            )
        note(said)
        if active != "inactive":
            raise NotYet(said or active)

    wait_for(f"kubeadm on {host}", probe, seconds=SECONDS, interval=0.3)


def reset(ssh: Ssh, host: str, document: str, links: Iterable[str]) -> None:
    """Undo a half-finished init or join on a host that is no part of the cluster.

    `links` are the interfaces of the pods' network: pods that ran already have made them for a part of it
    that the host's next Node object need not have, and nobody changes the address of a bridge.
    """
    gone = "".join(f"ip link delete {link} 2>/dev/null; " for link in links)
    ssh.run(
        host,
        f"systemctl stop {UNIT} 2>/dev/null; systemctl reset-failed {UNIT} 2>/dev/null; "
        f"install -d -m 700 /run/plumbline && cat > {DOCUMENT}; kubeadm reset --config {DOCUMENT}; {gone}"
        f"rm -rf {JOINED} /etc/cni/net.d/* /var/lib/etcd/* /etc/kubernetes/manifests/* "
        f"/var/lib/kubelet/config.yaml {DOCUMENT}",
        seconds=120,
        stdin=document,
    )


def join_secrets(ssh: Ssh, master: str, *, control_plane: bool) -> JoinSecrets:
    """Mint a token of 20 minutes and, for a master, upload the certificates under a fresh key.

    A token whose answer got lost expires by itself.
    """
    token = _asked(
        ssh, master, "a token", "kubeadm token create --ttl 20m --kubeconfig /etc/kubernetes/admin.conf"
    )
    key = ""
    if control_plane:
        upload = "kubeadm init phase upload-certs --upload-certs --kubeconfig /etc/kubernetes/admin.conf"
        said = _asked(ssh, master, "uploaded certificates", upload)
        found = re.search(r"^[0-9a-f]{64}$", said, re.MULTILINE)
        if found is None:
            raise FailedError(f"{master}: kubeadm printed no certificate key")
        key = found.group(0)
    return JoinSecrets(token.strip(), ca_hash(ssh.run(master, "cat /etc/kubernetes/pki/ca.crt")), key)


def forget(ssh: Ssh, master: str, secrets: JoinSecrets) -> None:
    """Remove a token, and the uploaded certificates, from the cluster; what is gone already is no error."""
    names = [f"bootstrap-token-{secrets.token.partition('.')[0]}"]
    names += ["kubeadm-certs"] if secrets.certificate_key else []
    command = f"{KUBECTL} -n kube-system delete secret {' '.join(names)} --ignore-not-found"
    _asked(ssh, master, "removed join secrets", command)


def _asked(ssh: Ssh, master: str, subject: str, command: str) -> str:
    """What a command says that asks the API and may be given twice: connections break while masters join."""

    def ask() -> str:
        try:
            return ssh.run(master, command)
        except FailedError as error:
            raise NotYet(error.message) from error

    return wait_for(
        f"{subject} by {master}", ask, seconds=AWAY_SECONDS, interval=1, next_step="invoke status"
    )


def ca_hash(certificate: str) -> str:
    """kubeadm's discovery hash: SHA-256 of the CA certificate's SubjectPublicKeyInfo."""
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
