"""destroy asks where something is worth it, looks at etcd before it takes a master, and does it in order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from lab.commands import asking, operating
from lab.commands.session import Session
from lab.console import Console
from lab.errors import FailedError
from lab.hosts.converge import ETCD_DATA
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.operations.build import steps as building
from lab.runs import Run
from lab.ssh import Result
from tests.unit.core.terminal import CTRL_C, CTRL_D, Terminal
from tests.world import INVENTORY, World, inventory

PROD = inventory()
TOY = inventory(INVENTORY + "disposable: true\n")


class Site:
    """A lab of the fakes with `invoke destroy` on it; what is asked is answered from a list."""

    def __init__(self, folder: Path, wanted: Inventory) -> None:
        self.world = World(folder, wanted)
        self.asked: list[str] = []
        self.answers: list[str | BaseException] = []
        self.terminal = True
        self.folder = folder

    def destroy(self, host: str = "", yes: str = "", lose_quorum: bool = False) -> int:
        """The exit code."""
        try:
            operating.operate("destroy", "rehearsal", "", False, host=host, yes=yes, lose_quorum=lose_quorum)
        except Exit as left:
            return left.code or 0
        return 0

    def lab(self) -> Lab:
        world = self.world
        return Lab(world.inventory, self.folder, world.provider, ssh=world.ssh, api=world.api)

    def plan(self, **options: object) -> int:
        """The exit code of `invoke plan --of destroy`."""
        try:
            operating.plan("destroy", "rehearsal", "", **options)
        except Exit as left:
            return left.code or 0
        return 0

    def input(self, question: str) -> str:
        self.asked.append(question)
        given = self.answers.pop(0)
        if isinstance(given, BaseException):
            raise given
        return given

    def removed(self) -> list[str]:
        return [name for verb, name in self.world.provider.log if verb == "destroy"]

    def build(self) -> None:
        made = self.world.build()
        try:
            made.engine.execute(building(made))
        finally:
            made.run.close()


@pytest.fixture(params=[PROD], ids=["kept"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path / "cache"))
    made = Site(tmp_path, request.param)
    made.build()

    @contextmanager
    def opened(*_: object, **__: object) -> Iterator[Session]:
        run = Run(tmp_path, "test", "destroy")
        try:
            with Console() as console:
                yield Session(made.world.inventory, made.lab(), console, run)
        finally:
            run.close()

    monkeypatch.setattr(operating, "session", opened)
    monkeypatch.setattr("builtins.input", made.input)
    monkeypatch.setattr(asking, "somebody_there", lambda: made.terminal)
    made.world.ssh.on("", f"test -d {ETCD_DATA}", "")
    made.world.ssh.on("", "cat /etc/kubernetes/admin.conf", "a kubeconfig")
    yield made


disposable = pytest.mark.parametrize("site", [TOY], ids=["disposable"], indirect=True)


def test_a_lab_that_is_kept_is_removed_after_its_name_was_typed(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.answers = ["test"]
    assert site.destroy() == 0
    assert set(site.removed()) == set(PROD.hosts)
    assert "6 machines (haproxy, master-1" in capfd.readouterr().out


@pytest.mark.parametrize("said", ["y", "yes", "Test", "rehearsal", ""])
def test_any_other_answer_removes_nothing(site: Site, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    site.answers = [said]
    assert site.destroy() == 2
    assert site.removed() == []
    assert "nothing was changed" in capfd.readouterr().err


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), EOFError()], ids=["ctrl-c", "ctrl-d"])
def test_who_stops_at_the_question_has_removed_nothing(
    site: Site, stopped: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    site.answers = [stopped]
    assert site.destroy() == 130
    assert site.removed() == []
    told = capfd.readouterr().err
    assert "stopped: nothing was changed" in told
    assert "goes on there" not in told


def test_without_a_terminal_the_next_command_is_told(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.terminal = False
    assert site.destroy() == 2
    assert site.removed() == []
    assert "next: invoke destroy --yes test\n" in capfd.readouterr().err
    assert site.destroy(host="worker-1") == 2
    assert "next: invoke destroy --host worker-1 --yes test\n" in capfd.readouterr().err
    assert site.destroy(yes="test") == 0
    assert set(site.removed()) == set(PROD.hosts)
    assert site.asked == []


def test_the_yes_of_another_lab_is_refused(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.destroy(yes="rehearsal") == 2
    assert site.removed() == []
    assert "--yes: rehearsal: must be the name of the lab, which is test" in capfd.readouterr().err


def test_where_nothing_is_nothing_is_asked(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.destroy(yes="test") == 0
    site.terminal = False
    assert site.destroy() == 0
    assert "nothing to remove" in capfd.readouterr().out
    assert site.destroy(host="master-1") == 0
    assert "there is no such machine" in capfd.readouterr().out


@disposable
def test_a_disposable_lab_is_removed_unasked(site: Site) -> None:
    site.terminal = False
    assert site.destroy() == 0
    assert set(site.removed()) == set(TOY.hosts)
    assert site.asked == []


def test_one_machine_of_a_lab_that_is_kept_asks_too(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.answers = ["no"]
    assert site.destroy(host="worker-1") == 2
    assert site.removed() == []
    site.answers = ["test"]
    assert site.destroy(host="worker-1") == 0
    assert site.removed() == ["worker-1"]
    assert "1 machine (worker-1) would be removed" in capfd.readouterr().out


# --- masters


@disposable
def test_a_master_leaves_etcd_first_then_goes_and_its_node_object_last(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    world = site.world
    order: list[str] = []
    destroy, delete = world.provider.destroy, world.api.delete

    def gone(name: str) -> bool:
        order.append(f"machine, members {sorted(world.etcd)}")
        world.hosts.pop(name)
        return destroy(name)

    def deleted(path: str, options: dict[str, object] | None = None) -> bool:
        order.append(path)
        return delete(path, options)

    world.provider.destroy = gone  # type: ignore[method-assign]
    world.api.delete = deleted  # type: ignore[method-assign]
    assert site.destroy(host="master-1") == 0
    assert order == ["machine, members ['master-2', 'master-3']", "/api/v1/nodes/master-1"]
    assert [host for host, _ in world.ssh.commands("member remove")] == ["master-2"], "not through itself"
    told = capfd.readouterr().out
    assert "3 voters (master-1, master-2, master-3; all healthy), 2 needed" in told
    assert "after it: 2 voters (master-2, master-3; all healthy), 2 needed" in told
    assert "Node object removed" in told
    site.build()
    assert set(world.etcd) == {"master-1", "master-2", "master-3"}


@disposable
def test_the_loss_of_the_quorum_takes_the_explicit_word(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    world = site.world
    world.switch_off("master-2")
    assert site.destroy(host="master-1") == 3
    assert site.removed() == []
    told = capfd.readouterr().err
    assert "would lose its quorum; after it: 2 voters (master-2, master-3; not healthy: master-2)" in told
    assert "invoke destroy --host master-1 --lose-quorum" in told
    assert site.destroy(host="master-1", yes="test") == 3, "a yes to the question is no yes to this"
    assert site.destroy(host="master-1", lose_quorum=True) == 0
    assert site.removed() == ["master-1"]
    assert world.ssh.commands("member remove") == [], "etcd would refuse it"
    assert "/api/v1/nodes/master-1" not in world.api.deleted


@disposable
def test_a_dead_master_goes_as_long_as_the_others_live(site: Site) -> None:
    site.world.switch_off("master-3")
    assert site.destroy(host="master-3") == 0
    assert set(site.world.etcd) == {"master-1", "master-2"}


@disposable
def test_an_etcd_that_does_not_answer_is_no_reason_to_go_on(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.world.ssh.on("", "member list", Result(1, "", "context deadline exceeded"))
    assert site.destroy(host="master-1") == 3
    assert site.removed() == []
    assert "no etcd answers" in capfd.readouterr().err


@disposable
def test_a_master_that_never_held_data_may_always_go(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """As in a lab whose build ended before kubeadm began."""
    site.world.ssh.on("", "member list", Result(1, "", "no such file"))
    site.world.ssh.on("", f"test -d {ETCD_DATA}", Result(1, "", ""))
    site.world.ssh.on("master-3", f"test -d {ETCD_DATA}", FailedError("master-3: no route"))
    assert site.destroy(host="master-1") == 0
    assert "master-1 holds no data" in capfd.readouterr().out
    assert site.destroy(host="master-3") == 3, "nobody can tell what is on it"


@disposable
def test_a_refused_member_removal_leaves_the_machine(site: Site) -> None:
    site.world.ssh.on("", "member remove", Result(1, "", "etcdserver: unhealthy cluster"))
    assert site.destroy(host="master-1") == 1
    assert site.removed() == []


@pytest.mark.parametrize("host", ["", "worker-1"])
def test_a_word_about_the_quorum_needs_a_master(
    site: Site, host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert site.destroy(host=host, lose_quorum=True, yes="test") == 2
    assert site.removed() == []
    assert "next: invoke destroy --host master-1 --lose-quorum" in capfd.readouterr().err


# --- the plan


@disposable
def test_the_plan_of_a_removal_has_all_that_is_destroyed(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    assert site.plan(host="master-1") == operating.SOMETHING_TO_DO
    told = [" ".join(line.split()[1:]) for line in capfd.readouterr().out.splitlines()]
    assert told == [
        "master-1 etcd: 3 voters (master-1, master-2, master-3; all healthy), 2 needed",
        "master-1 etcd: its member is removed first; after it: 2 voters (master-2, master-3; all healthy), 2 "
        "needed: no further loss survived until another joins",
        "master-1 remove the machine with all data",
        "master-1 delete the Node object master-1",
    ]
    assert site.plan() == operating.SOMETHING_TO_DO
    told = [" ".join(line.split()[1:]) for line in capfd.readouterr().out.splitlines()]
    assert told[:6] == [f"{name}: remove the machine with all data" for name in sorted(TOY.hosts)]
    assert site.removed() == []
    assert site.world.ssh.commands("member remove") == []


def test_a_plan_asks_nobody(site: Site) -> None:
    assert site.plan() == site.plan(host="worker-1") == operating.SOMETHING_TO_DO
    assert site.asked == []


@disposable
def test_the_plan_of_a_removal_that_is_refused_is_refused(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.world.switch_off("master-2")
    assert site.plan(host="master-1") == 3
    assert "would lose its quorum" in capfd.readouterr().err
    assert site.plan(host="master-1", lose_quorum=True) == operating.SOMETHING_TO_DO
    assert "as --lose-quorum says: etcd would lose its quorum" in capfd.readouterr().out


def test_where_nothing_is_the_plan_says_so(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.destroy(yes="test") == 0
    assert site.plan() == site.plan(host="master-1") == 0
    assert capfd.readouterr().out.count("nothing to remove") == 2


@disposable
@pytest.mark.parametrize("done", ["member", "machine"])
def test_a_removal_that_was_killed_is_finished_by_the_same_command(site: Site, done: str) -> None:
    world = site.world
    world.etcd.pop("master-1")
    if done == "machine":
        world.lose("master-1")
    assert site.destroy(host="master-1") == 0
    assert "master-1" not in world.provider.states
    assert world.api.deleted == ["/api/v1/nodes/master-1"]
    assert site.plan(host="master-1") == 0


# --- a real terminal

PROGRAM = """
from contextlib import contextmanager
from pathlib import Path
import sys
from invoke.exceptions import Exit
from lab.commands import operating
from lab.commands.session import Session
from lab.console import Console
from lab.labs import Lab
from lab.machines import State
from lab.runs import Run
from tests.fakes import FakeProvider
from tests.world import inventory

found, folder = inventory(), Path(sys.argv[1])
lab = Lab(found, folder, FakeProvider(states=dict.fromkeys(found.hosts, State.RUNNING)))

@contextmanager
def session(*_, **__):
    with Console() as console:
        yield Session(found, lab, console, Run(folder, found.lab, "destroy"))

operating.session = session
try:
    operating.operate("destroy", "test", "", False)
except Exit as left:
    sys.exit(left.code)
"""


@pytest.mark.parametrize(
    ("keys", "code", "told"),
    [
        ("test\n", 0, "test: removed"),
        ("rehearsal\n", 2, "nothing was changed: the answer was rehearsal"),
        ("tesx\x7ft\n", 0, "test: removed"),
        (CTRL_C, 130, "stopped: nothing was changed"),
        (CTRL_D, 130, "stopped: nothing was changed"),
    ],
    ids=["its name", "another", "corrected", "ctrl-c", "ctrl-d"],
)
def test_the_question_has_the_terminal_for_itself(tmp_path: Path, keys: str, code: int, told: str) -> None:
    env = {"PLUMBLINE_DATA": str(tmp_path), "PLUMBLINE_CACHE": str(tmp_path / "cache"), "TERM": "xterm"}
    terminal = Terminal([sys.executable, "-c", PROGRAM, str(tmp_path)], env)
    terminal.until("6 machines (haproxy, master-1")
    terminal.until("Type the name of the lab to go on [test]: ")
    terminal.type(keys)
    assert terminal.end() == code
    assert told in terminal.text
    assert "Traceback" not in terminal.text
