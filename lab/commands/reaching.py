"""status, kubectl, ssh, shell, logs: ways into a lab."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from json import dumps
from typing import Any

from invoke.exceptions import Exit
from rich.table import Table

from lab import proxies
from lab.artifacts.provide import program as find_program
from lab.artifacts.wanted import wanted
from lab.cluster import etcd
from lab.cluster.api import ApiError, Unavailable
from lab.commands.session import OF_ARTEFACTS, Session, open_lab, read, session, shown, stopping
from lab.errors import FailedError, PlumblineError
from lab.inventory.addon_sections import addresses, of_lab
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.machines import State
from lab.objects import is_ready
from lab.ssh import reachable
from lab.steps.preflight import states


@contextmanager
def _inside(inventory: str, provider: str, host: str = "") -> Iterator[Lab]:
    """The lab, with this process in its network; `host` must be one of its hosts, if given."""
    lab = open_lab(read(inventory, provider))
    if host:
        lab.host(host)
    with lab.inside():
        yield lab


@shown
def status(inventory: str, provider: str, json: bool) -> None:
    """What stands now: machines, SSH, nodes, etcd members, the API. Raises `FailedError` when that cannot be
    asked, after all else is shown."""
    lab = open_lab(read(inventory, provider))
    found, asked = look(lab)
    if json:
        print(dumps(found, indent=2))
    else:
        _show(found)
    if not asked:
        raise FailedError(
            f"{found['lab']}: the API at https://{found['endpoint']} cannot be asked: {found['api']}",
            next_step="invoke plan",
        )


def _show(found: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("machine", "role", "address", "machine is", "ssh", "node"):
        table.add_column(title)
    for name, row in found["hosts"].items():
        table.add_row(name, row["role"], row["address"], row["state"], row["ssh"], row["node"])
    from rich import print as show

    show(table)
    print(f"\nAPI   https://{found['endpoint']}: {found['api']}")
    print(f"etcd  {found['etcd']}")
    for name, place in found["addresses"].items():
        print(f"{name}  {place}")


NO_NODE, GONE, UNKNOWN = "has none", "gone", "unknown"
"""What is said of a machine's node that is not there: none is wanted, one is missing, nobody could look."""


def look(lab: Lab) -> tuple[dict[str, Any], bool]:
    """The state of a lab as plain data, and whether the API could be asked; nothing is changed."""
    inventory = lab.inventory
    machines = states(lab)
    running = [name for name, state in machines.items() if state is State.RUNNING]
    found: dict[str, Any] = {
        "lab": inventory.lab,
        "endpoint": inventory.endpoint,
        "api": "no machine runs",
        "etcd": "-",
        "addresses": addresses(inventory),
    }
    nodes: dict[str, str] | None = None
    answers: dict[str, bool] = {}
    if running:
        with lab.inside(), ThreadPoolExecutor(len(running)) as pool:
            answers = dict(
                zip(running, pool.map(lambda name: reachable(lab.ssh, [name])[name], running), strict=True)
            )
            found["api"], nodes = _api(lab)
            found["etcd"] = _etcd(lab, [name for name in inventory.masters if answers.get(name)])
    found["hosts"] = {
        name: {
            "role": host.role.value,
            "address": str(host.address),
            "state": machines[name].value,
            "ssh": ("yes" if answers[name] else "no") if name in answers else "-",
            "node": _node(nodes, name) if name in inventory.nodes else NO_NODE,
        }
        for name, host in inventory.hosts.items()
    }
    return found, nodes is not None


def _node(nodes: dict[str, str] | None, name: str) -> str:
    return UNKNOWN if nodes is None else nodes.get(name, GONE)


def _api(lab: Lab) -> tuple[str, dict[str, str] | None]:
    """What the API says of itself, and of each node; None when it cannot be asked."""
    try:
        said = "ready" if lab.api.ready() else "not ready"
        return said, {
            item["metadata"]["name"]: "Ready" if is_ready(item) else "NotReady"
            for item in lab.api.items("/api/v1/nodes")
        }
    except (ApiError, Unavailable, FailedError) as error:
        return error.message, None


def _etcd(lab: Lab, masters: list[str]) -> str:
    for master in masters:
        try:
            listed = etcd.members(lab.ssh, master)
        except PlumblineError:
            continue
        voters = [member.name or "(not started)" for member in listed if not member.learner]
        learners = [member.name for member in listed if member.learner]
        said = f"{len(voters)} voting members: {', '.join(sorted(voters))}"
        return said + (f"; learners: {', '.join(learners)}" if learners else "")
    return "no master answers"


@shown
def kubectl(inventory: str, provider: str, source: str, arguments: tuple[str, ...]) -> None:
    """Run the pinned kubectl against the lab, with the words as they were typed."""
    lab = open_lab(read(inventory, provider))
    # whether there is a cluster to ask, before half an hour may go into making kubectl
    with lab.inside():
        environment = {**os.environ, "KUBECONFIG": str(lab.fetch_kubeconfig())}
    with stopping(OF_ARTEFACTS):
        program = find_program("kubectl", wanted(lab.inventory), source=source, say=_silent)
    with lab.inside():
        _become([str(program), *arguments], environment)


@shown
def ssh(inventory: str, provider: str, host: str, arguments: tuple[str, ...]) -> None:
    """Log in to a host, or run one command there; ssh(1) joins its words by spaces for the host's shell."""
    with _inside(inventory, provider, host) as lab:
        # what stands behind a host's name and begins with a dash would else be an option of ssh's
        argv = ["ssh", "-F", str(lab.ssh.config), host, *(["--", *arguments] if arguments else [])]
        _become(argv, dict(os.environ))


@shown
def shell(inventory: str, provider: str) -> None:
    """A shell inside the lab's network, with KUBECONFIG set; the user's proxies are not for the lab."""
    with _inside(inventory, provider) as lab:
        environment = proxies.beside(own_addresses(lab.inventory))
        environment |= {"KUBECONFIG": str(lab.fetch_kubeconfig())}
        _become([os.environ.get("SHELL", "/bin/bash")], environment)


def own_addresses(inventory: Inventory) -> list[str]:
    """Everything of a lab that a client may ask, as `NO_PROXY` lists it: networks for what reads them, and
    each host for what does not (curl before 7.86, wget)."""
    networks = inventory.network.lan, inventory.kubernetes.pod_subnet, inventory.kubernetes.service_subnet
    names = [name for _, section in of_lab(inventory) for name in section.served(inventory)]
    return [*map(str, networks), *inventory.addresses.values(), *inventory.hosts, *names, ".cluster.local"]


def _silent(_line: str) -> None:
    """kubectl's output belongs to whoever reads it."""


def _become(argv: list[str], environment: dict[str, str]) -> None:
    code = subprocess.run(argv, env=environment, check=False).returncode
    if code:
        raise Exit(code=code)


COLLECTED = {
    "journal.txt": "journalctl --no-pager -n 5000",
    "kubeadm.txt": "journalctl --no-pager -u plumbline-kubeadm",
    "cloud-init.txt": "cat /var/log/cloud-init-output.log; cloud-init status --long",
    "units.txt": "systemctl --no-pager list-units --all; systemctl --no-pager --failed",
    "network.txt": "ip address; ip route; ss -tulnp; nft list ruleset",
    "containers.txt": "crictl ps -a; crictl images",
}
"""Evidence of a host: file name and command."""


@shown
def logs(inventory: str, provider: str, host: str) -> None:
    """Bundle the evidence of all hosts, or of one, into a tar of the run's folder."""
    with session("logs", inventory, provider, reads=True) as opened:
        if host:
            opened.lab.host(host)
        names = [host] if host else list(opened.inventory.hosts)
        collect(opened, names)
        bundle = opened.run.folder / "logs.tar.gz"
        with tarfile.open(bundle, "w:gz") as tar:
            tar.add(opened.run.folder / "hosts", "hosts")
        opened.console.say(f"evidence of {len(names)} hosts: {bundle}")


def collect(opened: Session, names: list[str]) -> None:
    """Write what each host can tell; a host that cannot be reached tells its console."""
    found = states(opened.lab)

    def one(name: str) -> None:
        opened.run.keep(f"hosts/{name}/console.txt", opened.lab.provider.console(name))
        if found[name] is not State.RUNNING:
            opened.run.keep(f"hosts/{name}/state.txt", found[name].value)
            return
        for file, command in COLLECTED.items():
            try:
                result = opened.lab.ssh.try_run(name, f"({command}) 2>&1", seconds=60)
                opened.run.keep(f"hosts/{name}/{file}", result.stdout)
            except PlumblineError as error:
                opened.run.keep(f"hosts/{name}/{file}", error.message)

    inside = opened.lab.inside() if State.RUNNING in found.values() else nullcontext()
    with inside, ThreadPoolExecutor(8) as pool:
        list(pool.map(one, names))
