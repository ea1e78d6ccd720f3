"""What tests do with a lab that lives: change one setting, see that nothing changed, kill in the middle."""

from __future__ import annotations

from tests.integration.conftest import Proving, kill_all

HOSTS = ("haproxy", "master-1", "master-2", "master-3", "worker-1", "worker-2")
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
FILES = "/etc/kubernetes /etc/haproxy /etc/containerd /etc/nftables.conf /var/lib/kubelet/config.yaml"
VERSIONS = "-n kube-system get cm kubeadm-config kube-proxy -o jsonpath={.items[*].metadata.resourceVersion}"


def write(proving: Proving, line: str) -> str:
    """Give a field of `kubernetes` another value in the inventory; the text as it was."""
    text, field = proving.inventory.read_text(), line.partition(":")[0]
    kept = "\n".join(row for row in text.splitlines() if not row.startswith(f"  {field}:"))
    proving.inventory.write_text(kept.replace("\nkubernetes:", f"\nkubernetes:\n  {line}") + "\n")
    return text


def fingerprint(proving: Proving) -> dict[str, str]:
    """When each file that a build may write was changed last, by host, and the versions of two ConfigMaps."""
    command = f"find {FILES} -type f -printf '%p %C@\\n' 2> /dev/null | sort | sha256sum"
    found = {name: proving.run(name, command) for name in HOSTS}
    return found | {"ConfigMaps": proving.run("master-1", f"{KUBECTL} {VERSIONS}")}


def drained(proving: Proving) -> set[str]:
    """API servers that HAProxy gives no new connection by command."""
    command = "echo 'show servers state kube-apiservers' | socat -t 5 stdio /run/haproxy/admin.sock"
    rows = [line.split() for line in proving.run("haproxy", command).splitlines()]
    return {row[3] for row in rows if len(row) > 6 and row[1] == "kube-apiservers" and int(row[6]) & 8}


def kill_while_drained(proving: Proving, name: str) -> None:
    """kill -9 of a reconfigure, and of all that it started, while a master is out of the rotation."""
    process = proving.start("reconfigure")
    proving.until(process, lambda: name in drained(proving))
    kill_all(process)
    assert drained(proving) == {name}
