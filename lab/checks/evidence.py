"""Evidence of a check that is not passed: what the hosts concerned knew at that moment, in one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cluster.etcd import etcdctl
from lab.errors import PlumblineError
from lab.inventory.models import HostRole
from lab.runs import mask

if TYPE_CHECKING:
    from lab.checks.driver import Driver

FRESH_SECONDS = 30.0
"""Evidence of a host serves every check that fails within this time: a hundred failures ask it once."""

COMMON = (
    "ip -br address; echo; ip route; echo; ss -lntup; echo; systemctl --failed --no-legend --plain; "
    "echo; df -h / ; echo; free -m"
)
JOURNAL = "journalctl --no-pager -n 400 -o short-iso-precise"
OF_ROLE = {
    HostRole.LOAD_BALANCER: {
        "haproxy.txt": "echo 'show stat' | socat stdio /run/haproxy/admin.sock; cat /etc/haproxy/haproxy.cfg",
        "journal.txt": f"{JOURNAL} -u haproxy",
    },
    HostRole.CONTROL_PLANE: {
        "etcd.txt": "; ".join(
            map(
                etcdctl,
                (
                    "endpoint status --cluster -w table",
                    "endpoint health --cluster",
                    "member list",
                    "alarm list",
                ),
            )
        ),
        "containers.txt": "crictl ps -a",
        "journal.txt": f"{JOURNAL} -u kubelet -u containerd",
        "manifests.txt": "tail -n +1 /etc/kubernetes/manifests/*.yaml /var/lib/kubelet/config.yaml",
    },
    HostRole.WORKER: {
        "containers.txt": "crictl ps -a",
        "journal.txt": f"{JOURNAL} -u kubelet -u containerd",
        "kubelet.txt": "cat /var/lib/kubelet/config.yaml",
    },
}

_kept: dict[str, tuple[float, dict[str, str]]] = {}


def collect(driver: Driver, hosts: Sequence[str], name: str, trace: str) -> str:
    """Write the evidence of one check below the run's folder; the folder's relative name.

    Without `hosts` the whole lab is concerned: the balancer, the masters and the API's events. Never raises:
    a piece that cannot be had is a file that says why.
    """
    folder = driver.folder / name
    inventory = driver.inventory
    concerned = [host for host in hosts if host in inventory.hosts] or [
        inventory.balancer,
        *inventory.masters,
    ]
    _write(folder / "check.txt", trace)
    with ThreadPoolExecutor(4) as pool:
        for host, files in zip(
            concerned, pool.map(lambda host: _of_host(driver, host), concerned), strict=True
        ):
            for file, text in files.items():
                _write(folder / host / file, text)
    if not hosts or concerned[0] in inventory.nodes:
        for file, text in _remembered("", lambda: _of_cluster(driver)).items():
            _write(folder / file, text)
    return name


def _of_host(driver: Driver, host: str) -> dict[str, str]:
    def look() -> dict[str, str]:
        commands = {"state.txt": COMMON, **OF_ROLE[driver.inventory.hosts[host].role]}
        found = {file: _said(driver, host, command) for file, command in commands.items()}
        for item in driver.bundles[host].files:
            found[f"rendered{item.path}"] = item.text
        if all(text.startswith("could not be had") for text in found.values() if text):
            found["console.txt"] = _safely(lambda: driver.lab.provider.console(host))
        found["power.txt"] = _safely(lambda: str(driver.lab.provider.state(host)))
        return found

    return _remembered(host, look)


def _of_cluster(driver: Driver) -> dict[str, str]:
    def events() -> str:
        items = driver.cluster.items("/api/v1/events?limit=500")
        lines = sorted(
            f"{item.get('lastTimestamp') or item.get('eventTime')}  {item['type']:<8} {item['reason']:<22} "
            f"{item['involvedObject'].get('namespace', '')}/{item['involvedObject']['name']}: "
            f"{item.get('message', '').strip()}"
            for item in items
        )
        return "\n".join(lines)

    def brief(path: str) -> Callable[[], str]:
        return lambda: json.dumps([_lean(item) for item in driver.cluster.items(path)], indent=1)

    return {
        "events.txt": _safely(events),
        "nodes.json": _safely(brief("/api/v1/nodes")),
        "pods.json": _safely(brief("/api/v1/pods")),
    }


def _lean(item: dict[str, Any]) -> dict[str, Any]:
    item["metadata"].pop("managedFields", None)
    item.get("status", {}).pop("images", None)
    return item


def _said(driver: Driver, host: str, command: str) -> str:
    def ask() -> str:
        result = driver.ask(host, command, seconds=15)
        return result.stdout + result.stderr

    return _safely(ask)


def _safely(look: Callable[[], str]) -> str:
    try:
        return look()
    except (PlumblineError, OSError, KeyError) as error:
        return f"could not be had: {error}\n"


def _remembered(key: str, look: Callable[[], dict[str, str]]) -> dict[str, str]:
    kept = _kept.get(key)
    if kept is None or time.monotonic() - kept[0] > FRESH_SECONDS:
        kept = (time.monotonic(), look())
        _kept[key] = kept
    return kept[1]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(mask(text))
