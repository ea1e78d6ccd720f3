"""Defects of access: settings of sshd, keys, accounts, rules of sudo, secrets that were left behind."""

from __future__ import annotations

from functools import partial

from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, SSHD_SETTINGS, Breakage, added, breakage, edited

_open = partial(breakage, layer="node", row="P1-14", listed=True, needs=(SSHD_SETTINGS,))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDefectDefectDefectDefectDefectDefectDefectDef stranger"
TOKEN = "abcdef.0123456789abcdef"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab; sshd goes on with the settings that it has read before."""
    first, second, third = lab.masters[:3]
    worker, other = lab.workers[:2]
    home = f"$(getent passwd {lab.ssh.user} | cut -d: -f6)/.ssh/authorized_keys"
    kept = f"{KEPT}/stranger-key"
    config = f"apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{\nserver: https://{lab.endpoint}\n}}}}]\n"
    return [
        _open(
            name="password-login",
            title="an earlier file lets passwords in",
            host=worker,
            says="sshd: passwordauthentication yes, not no",
            reddens=("P1-12",),
            **added("/etc/ssh/sshd_config.d/00-first.conf", "PasswordAuthentication yes\n"),
        ),
        _open(
            name="root-login-from-outside",
            title="root may log in from one network",
            host=lab.balancer,
            says=r"sshd: permitrootlogin yes \(for .*root from 192.0.2.1.*\), not no",
            **edited(
                "root-login-from-outside",
                "/etc/ssh/sshd_config",
                "$a Match Address 192.0.2.0/24\\n PermitRootLogin yes",
            ),
        ),
        _open(
            name="one-user-more",
            title="sshd lets one more user in",
            host=second,
            says=f"sshd: allowusers {lab.ssh.user} stranger, not {lab.ssh.user}",
            reddens=("P1-12",),
            **added("/etc/ssh/sshd_config.d/90-more.conf", "AllowUsers stranger\n"),
        ),
        _open(
            name="stranger-key",
            title="a stranger's key lets in",
            host=other,
            says=rf"account {lab.ssh.user}: .*authorized_keys lets in .*stranger",
            touches=("authorized keys",),
            damage=f"f={home} && mkdir -p {KEPT} && cp -p $f {kept} && echo '{KEY}' >> $f",
            repair=f"test ! -e {kept} || {{ cat {kept} > {home} && rm {kept}; }}",
        ),
        _open(
            name="second-root",
            title="a second account has root's number",
            host=third,
            says=r"account toor: is root by another name",
            touches=("accounts",),
            damage="useradd --non-unique --uid 0 --no-create-home --shell /usr/sbin/nologin toor",
            repair="! getent passwd toor || sed -i '/^toor:/d' /etc/passwd /etc/shadow /etc/group",
        ),
        _open(
            name="account-with-a-shell",
            title="somebody has an account and a shell",
            host=first,
            says=r"account visitor: has a shell",
            touches=("accounts",),
            damage="useradd --no-create-home --shell /bin/bash visitor",
            repair="! getent passwd visitor || userdel visitor",
        ),
        _open(
            name="everybody-may-sudo",
            title="every account may become root",
            host=lab.balancer,
            says="sudo: ALL may run commands as others",
            reddens=("P1-11", "P1-12"),
            **added("/etc/sudoers.d/99-all", "ALL ALL=(ALL) NOPASSWD:ALL\n"),
        ),
        _open(
            name="token-left",
            title="a document to join with was left behind",
            host=worker,
            says="/root/join.yaml: holds a token to join",
            **added(
                "/root/join.yaml", f"kind: JoinConfiguration\ndiscovery:\n  tlsBootstrapToken: {TOKEN}\n"
            ),
        ),
        _open(
            name="kubeconfig-left",
            title="a copy of an administrator's kubeconfig was left behind",
            host=other,
            says="/tmp/config: holds a client's key for the cluster's API",
            **added("/tmp/config", f"{config}users:\n- name: a\n  user:\n    client-key-data: bm9uZQ==\n"),
        ),
        _open(
            name="ca-key-on-a-worker",
            title="the CA's key lies on a worker",
            host=worker,
            says="/etc/kubernetes/pki/ca.key: is a key of the control plane, and .* is no master",
            reddens=("P1-11",),
            **added("/etc/kubernetes/pki/ca.key", "-----BEGIN PRIVATE KEY-----\nbm9uZQ==\n"),
        ),
    ]
