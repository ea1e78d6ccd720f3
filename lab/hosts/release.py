"""A machine that exists is let go: what the lab put there for Kubernetes goes, the machine stays in order.

Packages, names, SSH settings, firewall, clock, kernel settings and boot options stay: without them the
machine might no longer be reached, and nobody but its owner knows what else has come to need them.
"""

from __future__ import annotations

import shlex

from lab.addons import selected
from lab.cluster.kubeadm import UNIT
from lab.inventory.addon_sections import pod_interfaces
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render import kubeadm
from lab.render.record import path_of
from lab.render.role import AddOnRole
from lab.render.roles import host_roles
from lab.ssh import Ssh

STAYING = ("base", "time", "raspberry-pi")
"""Roles whose files, packages and units stay on the machine."""
FOLDERS = (
    *("/etc/kubernetes", "/etc/cni/net.d", "/etc/containerd", "/opt/cni/bin"),
    *("/var/lib/cni", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet"),
)
"""Emptied. Volumes of applications (such as /opt/local-path-provisioner) are their owners' and stay."""
SECONDS = 300.0
_DOCUMENT = "/run/plumbline/reset.yaml"


def release(ssh: Ssh, inventory: Inventory, name: str) -> None:
    """Take the machine out of the cluster and remove what the lab put there; idempotent.

    Raises `CommandError` with the output of the step that failed.
    """
    ssh.run(
        name,
        script(inventory, name),
        seconds=SECONDS,
        stdin=kubeadm.reset(inventory, Traits(shares_kernel=True)),
    )


def script(inventory: Inventory, name: str) -> str:
    """The shell script that does it; kubeadm's reset document is its standard input."""
    leaving = [role for role in host_roles(inventory, name) if role.name not in STAYING]
    units = [unit.name for role in leaving for unit in role.units]
    files = [item.path for role in leaving for item in role.files if not item.each]
    files += [item.path for role in leaving for item in role.binaries]
    brought = [role for role in leaving if isinstance(role, AddOnRole)]
    files += sorted({path_of(role.name) for role in brought})
    kept = [folder for role in brought for folder in role.made]
    kept += [item.folder for role in brought for item in role.certificates]
    own = [addon.on_hosts for addon in selected(inventory)]
    files += [item.path for parts in own for item in parts.programs]
    folders = (*FOLDERS, *(folder for item in own for folder in item.folders))
    chains = "|".join(("KUBE-", *(chain for item in own for chain in item.chains)))
    steps = [f"install -d -m 700 /run/plumbline && cat > {_DOCUMENT}"]
    steps += [f"systemctl stop {UNIT} kubelet 2>/dev/null || true"]
    steps += [
        # pods end with it; it needs a containerd that runs, and tells so when there is none
        f"if systemctl is-active --quiet containerd; then kubeadm reset --config {_DOCUMENT}; fi",
    ]
    steps += [f"systemctl disable --quiet --now {unit} 2>/dev/null || true" for unit in units]
    steps += [
        "grep -Eo ' /(var/lib/kubelet|run/containerd|run/netns/cni-)[^ ]*' /proc/mounts | sort -r | "
        "while read -r mount; do umount --lazy $mount; done",
        f"for folder in {shlex.join(folders)}; do test ! -d $folder || "
        "find $folder -xdev -mindepth 1 -delete; done",
        f"rm -f {shlex.join([*files, _DOCUMENT])}",
        *([f"rm -rf --one-file-system {shlex.join(kept)}"] if kept else ()),
        *(f"ip link delete {link} 2>/dev/null || true" for link in pod_interfaces(inventory)),
        *(
            f"if command -v {tables} >/dev/null; then {tables}-save | grep -Ev '{chains}' | "
            f"{tables}-restore; fi"
            for tables in ("iptables", "ip6tables")
        ),
        "systemctl daemon-reload",
    ]
    return "set -e; " + "; ".join(steps)
