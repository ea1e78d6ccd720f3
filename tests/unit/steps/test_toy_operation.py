"""A new operation is one file and one line of the menu: the engine brings all that every operation has."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.waits import NotYet, wait_for
from tests.soon import SOON
from tests.world import INVENTORY

ROOT = Path(__file__).parents[3]
COPIED = ("addons", "lab", "inventory", "roles", "templates", "artifacts")
TOY = ROOT / "tests" / "fixtures" / "operations" / "toy.py"
LINE = '    "toy": (Option("word", "what is written"),),\n'


class Checkout:
    """A copy of this one, with the toy in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        for name in COPIED:
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        menu = (ROOT / "tasks.py").read_text()
        assert menu.count("OPERATIONS = {\n") == 1
        (self.folder / "tasks.py").write_text(menu.replace("OPERATIONS = {\n", f"OPERATIONS = {{\n{LINE}"))
        shutil.copy(TOY, self.folder / "lab" / "operations")
        self.inventory = folder / "mine.yaml"
        self.inventory.write_text(INVENTORY)
        self.words = self.folder / ".lab" / "test" / "toy"
        self.environment = os.environ | {
            "PLUMBLINE_DATA": str(folder / "data"),
            "PLUMBLINE_MACHINES": str(folder / "machines"),
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def invoke(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code and what was said on both streams."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=SOON)
        return process.returncode, out, err

    def toy(self, *arguments: str) -> tuple[int, str, str]:
        return self.invoke("toy", "-i", str(self.inventory), *arguments)

    def plan(self) -> tuple[int, str]:
        code, out, err = self.invoke("plan", "--of", "toy", "-i", str(self.inventory), "--word", "hello")
        assert err == ""
        return code, out

    def held(self) -> dict[str, str]:
        """The words that are written."""
        return {path.name: path.read_text() for path in sorted(self.words.glob("*"))}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("toy"))


def killed_in_the_middle_of(checkout: Checkout, name: str) -> None:
    """kill -9 of the operation and of all that it started, while it writes this word."""
    process = checkout.start("toy", "-i", str(checkout.inventory), "--word", "hello", TOY_HANGS=name)

    def writes() -> None:
        assert process.poll() is None, process.communicate()
        if checkout.held().get(name) != "h":
            raise NotYet(str(checkout.held()))

    wait_for(f"the write of {name}", writes, seconds=SOON)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_menu_lists_it_and_its_docstring_is_its_help(checkout: Checkout) -> None:
    assert "Write three words, one after the other." in checkout.invoke("--list")[1]
    told = checkout.invoke("--help", "toy")[1]
    assert "A word that an earlier run has half written is finished first." in told
    assert "what is written" in told
    assert "--dry-run" in told


def test_its_life(checkout: Checkout) -> None:
    """Planned, killed by -9 in the middle of a step, planned again, finished by running it again."""
    code, out = checkout.plan()
    assert code == 10
    assert [line.split()[1:] for line in out.splitlines()] == [
        [name, "write", "hello"] for name in ("first", "second", "third")
    ]
    code, dry, _ = checkout.toy("--word", "hello", "--dry-run")
    assert code == 10
    assert [line.split()[1:] for line in dry.splitlines()] == [line.split()[1:] for line in out.splitlines()]
    assert checkout.held() == {}, "a plan changes nothing"

    killed_in_the_middle_of(checkout, "second")
    assert checkout.held() == {"first": "hello", "second": "h"}
    left = json.loads((checkout.words.parent / "runs/last/timeline.json").read_text())["events"]
    assert [(event["phase"], event["end"] is None) for event in left] == [
        ("write-first", False),
        ("write-second", True),
    ]

    code, out = checkout.plan()
    assert (code, out.count("finish hello"), out.count("write hello")) == (10, 1, 1)
    code, out, err = checkout.toy("--word", "hello")
    assert (code, err) == (0, "")
    assert checkout.held() == dict.fromkeys(("first", "second", "third"), "hello")
    report = Path(next(line.split("report: ")[1] for line in out.splitlines() if "report: " in line))
    assert "<h1>invoke toy</h1>" in report.read_text()

    assert checkout.plan()[0] == 0
    code, out, _ = checkout.toy("--word", "hello")
    assert (code, "nothing to do" in out) == (0, True)


def test_what_it_refuses_proposes_it_for_the_same_lab(checkout: Checkout) -> None:
    code, _, err = checkout.toy()
    assert (code, err) == (
        2,
        f"error: --word: is missing\n  next: invoke toy -i {checkout.inventory} --word hello\n",
    )


def test_its_options_belong_to_it_alone(checkout: Checkout) -> None:
    code, _, err = checkout.invoke("plan", "--of", "destroy", "--word", "hello")
    assert (code, err) == (2, "error: --word: destroy takes no such option\n")
