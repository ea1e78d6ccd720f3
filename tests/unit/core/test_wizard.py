"""`invoke init` on a real terminal: asked one by one, judged at once, and nothing written before the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.inventory import load
from lab.inventory.providers import names
from tests.unit.core.terminal import CTRL_C, CTRL_D, ROOT, Terminal

PROGRAM = """
import sys
from pathlib import Path
from invoke.exceptions import Exit
from lab.inventory import files
files.FOLDER = Path(sys.argv[1])
from lab.commands import checking
checking.ROOT = files.FOLDER.parent
try:
    checking.init(*sys.argv[2:7])
except Exit as left:
    sys.exit(left.code)
"""
"""The command as the menu calls it, writing into another folder than the checkout's."""


def init(folder: Path, name: str, *, provider: str = "", lan: str = "", workers: str = "") -> Terminal:
    argv = [sys.executable, "-c", PROGRAM, str(folder), name, provider, lan, "", workers]
    return Terminal(argv, {}, ROOT)


def test_a_person_is_asked_and_told_at_once_what_cannot_be(tmp_path: Path) -> None:
    wizard = init(tmp_path, "mine")
    known = ", ".join(names())
    wizard.until(f"Who makes the machines ({known}) [lxc]: ")
    wizard.type("docker\n")
    assert f"provider: docker: must be one of {known}" in wizard.until("[lxc]: ")
    wizard.type("\n")
    wizard.until("[10.1.1.0/24]: ")
    wizard.type("10.9.0.5/24\n")
    assert "write 10.9.0.0/24" in wizard.until("[10.1.1.0/24]: ")
    wizard.type("10.9.0.0/24\n")
    wizard.until("Control plane machines (3, 5 or 7) [3]: ")
    wizard.type("4\n")
    assert "must be odd" in wizard.until("[3]: ")
    wizard.type("5\n")
    wizard.until("Workers [2]: ")
    wizard.type("none\n")
    assert "must be a whole number" in wizard.until("Workers [2]: ")
    wizard.type("4\n")
    assert wizard.end() == 0
    assert "next: invoke show -i mine" in wizard.text
    lab = load(str(tmp_path / "mine.yaml"))
    assert (str(lab.network.lan), len(lab.masters), len(lab.workers)) == ("10.9.0.0/24", 5, 4)


def test_what_is_told_names_no_line_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    wizard = init(tmp_path, "mine", provider="lxc")
    wizard.until("[10.1.1.0/24]: ")
    wizard.type("127.0.0.0/8\n")
    told = wizard.until("[10.1.1.0/24]: ")
    assert "network.lan" in told
    assert ".yaml" not in told
    wizard.type(CTRL_C)
    assert wizard.end() == 130


def test_what_was_given_is_not_asked(tmp_path: Path) -> None:
    wizard = init(tmp_path, "mine", provider="lxc", lan="10.9.0.0/24", workers="1")
    wizard.until("[3]: ")
    wizard.type("\n")
    assert wizard.end() == 0
    assert "Workers" not in wizard.text


def test_a_hypervisor_that_is_too_small_is_asked_again(tmp_path: Path) -> None:
    """Its size is asked after the machines, which are not judged before."""
    wizard = init(tmp_path, "mine", provider="proxmox", lan="10.9.0.0/24", workers="30")
    for question in ("[3]: ", "node [pve-1]: ", "shows for it [pve-1]: ", "cores [32]: "):
        wizard.until(question)
        wizard.type("\n")
    assert "cannot fit" in wizard.until("cores [32]: ")
    wizard.type("96\n")
    wizard.until("memory in GiB [128]: ")
    wizard.type("512\n")
    wizard.until("disk in GiB [1862]: ")
    wizard.type("8000\n")
    assert wizard.end() == 0
    assert load(str(tmp_path / "mine.yaml")).hypervisors["pve-1"].cpus == 96


@pytest.mark.parametrize("keys", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize("questions", [1, 3])
def test_who_stops_has_written_nothing(tmp_path: Path, keys: str, questions: int) -> None:
    wizard = init(tmp_path, "mine")
    for _ in range(questions - 1):
        wizard.until("]: ")
        wizard.type("\n")
    wizard.until("]: ")
    wizard.type(keys)
    assert wizard.end() == 130
    assert "stopped: nothing was written" in wizard.text
    assert "Traceback" not in wizard.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "lan", "told"),
    [("My_Lab", "", "write my-lab"), ("mine", "10.9.0.0/29", "no room"), ("../x", "", "may hold only")],
)
def test_a_wrong_name_or_option_is_refused_before_anything_is_asked(
    tmp_path: Path, name: str, lan: str, told: str
) -> None:
    wizard = init(tmp_path, name, lan=lan)
    assert wizard.end() == 2
    assert told in wizard.text
    assert "Who makes" not in wizard.text
    assert not list(tmp_path.iterdir())


def test_an_inventory_that_exists_is_never_asked_about(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("lab: mine\n")
    wizard = init(tmp_path, "mine")
    assert wizard.end() == 2
    assert "exists already" in wizard.text
    assert (tmp_path / "mine.yaml").read_text() == "lab: mine\n"
