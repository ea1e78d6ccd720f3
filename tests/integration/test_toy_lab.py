"""A lab of a checkout with a toy add-on and a toy operation: built, proven, broken, killed and finished.

Neither needs more than its own file or folder, and a line of the menu.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.waits import NotYet, wait_for
from tests.integration.test_toy_addon import INVENTORY, LEFT_OUT, ROOT, TOY, Checkout

pytestmark = pytest.mark.long
GREET = ROOT / "tests" / "fixtures" / "operations" / "greet.py"
LINE = '    "greet": (Option("word", "what is written", "hello"),),\n'
NODES = ("master-1", "master-2", "master-3", "worker-1", "worker-2")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy with both toys, and its lab; nothing of the lab is left."""
    folder = tmp_path_factory.mktemp("toy-lab") / "checkout"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT, symlinks=True)
    shutil.copytree(TOY, folder / "addons" / "toy", ignore=LEFT_OUT)
    shutil.copy(GREET, folder / "lab" / "operations")
    menu = (folder / "tasks.py").read_text()
    assert menu.count("OPERATIONS = {\n") == 1
    (folder / "tasks.py").write_text(menu.replace("OPERATIONS = {\n", f"OPERATIONS = {{\n{LINE}"))
    (folder / "inventory" / "toy-proof.yaml").write_text(f"{INVENTORY}toy: {{greeting: hello, stores: 2}}\n")
    made = Checkout(folder, folder.parent / "data")
    yield made
    made.invoke("destroy")


def kubectl(checkout: Checkout, *arguments: str) -> str:
    """kubectl from this machine."""
    return checkout.run("invoke", "kubectl", "-i", "inventory/toy-proof.yaml", "--", *arguments)


def test_its_workloads_are_built_and_waited_for(checkout: Checkout) -> None:
    said = checkout.invoke("build")
    assert "toy ready" in said
    assert "1" in kubectl(checkout, "-n", "toy", "get", "job", "setup", "-o", "jsonpath={.status.succeeded}")
    state = "jsonpath={.status.readyReplicas}/{.spec.replicas}"
    assert "2/2" in kubectl(checkout, "-n", "toy", "get", "statefulset", "store", "-o", state)
    assert "nothing to change" in checkout.invoke("plan")
    assert "nothing to change" in checkout.invoke("build")


def test_its_own_check_and_those_of_all_objects_are_green(checkout: Checkout) -> None:
    checkout.invoke("verify", "--layer", "cluster")
    assert "1 passed" in checkout.invoke("verify", "--layer", "services", "--select", "P3-90")


def test_its_defect_on_the_cluster_is_caught_and_undone(checkout: Checkout) -> None:
    said = checkout.invoke("selftest", "--select", "toy-without-stores")
    assert "1 of 1 caught and undone" in said
    assert "nothing to change" in checkout.invoke("plan")


def test_what_somebody_changed_of_it_is_planned_and_mended(checkout: Checkout) -> None:
    kubectl(checkout, "-n", "toy", "delete", "service", "store")
    assert "create Service/toy/store" in checkout.invoke("plan", code=10)
    checkout.invoke("build")
    assert "nothing to change" in checkout.invoke("plan")


def held(checkout: Checkout) -> dict[str, str]:
    """The word on each node."""
    return {name: word_on(checkout, name) for name in NODES}


def word_on(checkout: Checkout, name: str) -> str:
    command = ("--", "sh", "-c", "'cat /var/lib/plumbline/word 2> /dev/null || true'")
    said = checkout.run("invoke", "ssh", name, "-i", "inventory/toy-proof.yaml", *command)
    return said.split("\n")[0]


def timeline(checkout: Checkout) -> list[str]:
    """The steps that the newest run has begun."""
    path = checkout.folder / ".lab" / "toy-proof" / "runs" / "last" / "timeline.json"
    events = json.loads(path.read_text())["events"] if path.exists() else []
    return [f"{event['phase']}:{event['host']}" for event in events]


def test_the_toy_operation_is_killed_on_a_node_and_finished_by_running_it_again(checkout: Checkout) -> None:
    planned = checkout.invoke("plan", "--of", "greet", code=10)
    assert planned.count("write hello") == len(NODES)
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "greet", "-i", "inventory/toy-proof.yaml"],
        cwd=checkout.folder,
        env={**os.environ, "PLUMBLINE_DATA": str(checkout.data), "TOY_HANGS": "master-3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def half_written() -> None:
        assert process.poll() is None, "it ended"
        if "greet:master-3" not in timeline(checkout) or word_on(checkout, "master-3") != "h":
            raise NotYet(f"{timeline(checkout)[-1:]}")

    wait_for("the first half of the word on master-3", half_written, seconds=120)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert held(checkout) == dict(zip(NODES, ("hello", "hello", "h", "", ""), strict=True))
    planned = checkout.invoke("plan", "--of", "greet", code=10)
    assert (planned.count("finish hello"), planned.count("write hello")) == (1, 2)
    checkout.invoke("greet")
    assert held(checkout) == dict.fromkeys(NODES, "hello")
    assert "nothing to do" in checkout.invoke("plan", "--of", "greet")
