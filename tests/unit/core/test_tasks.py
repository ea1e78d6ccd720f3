"""The menu: every task names a function that exists and takes what it is given."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

import tasks
from lab.commands import menu

ROOT = Path(__file__).parents[3]
MENU = {name: tasks.namespace[name] for name in tasks.namespace.task_names}
NAMES = sorted(MENU)
GIVEN = {"host": "master-1", "name": "mine", "layer": ["node"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What tasks hand on, instead of doing it."""
    calls: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(menu, "run", lambda target, /, **given: calls.append((target, given)))
    return calls


def arguments(name: str) -> dict[str, Any]:
    """Values for the arguments of a task that have no default."""
    known = inspect.signature(MENU[name].body).parameters
    return {
        key: GIVEN[key]
        for key, value in known.items()
        if key != "c" and value.default is inspect.Parameter.empty
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_task_names_an_existing_command_and_gives_it_what_it_takes(
    name: str, asked: list[tuple[str, dict[str, object]]]
) -> None:
    MENU[name].body(Context(), **arguments(name))
    [(command, given)] = asked
    module, _, function = command.partition(".")
    found = getattr(import_module(f"lab.commands.{module}"), function)
    inspect.signature(inspect.unwrap(found)).bind(
        **{key: value for key, value in given.items() if key != "verbose"}
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_what_it_does_and_explains_every_argument(name: str) -> None:
    task = MENU[name]
    assert task.__doc__
    known = {key for key in inspect.signature(task.body).parameters if key != "c"}
    assert set(task.help) == known


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_wrapped_so_that_errors_become_exit_codes(
    name: str, asked: list[tuple[str, dict[str, object]]]
) -> None:
    MENU[name].body(Context(), **arguments(name))
    module, _, function = asked[0][0].partition(".")
    found = getattr(import_module(f"lab.commands.{module}"), function)
    assert hasattr(found, "__wrapped__")
    assert "verbose" not in inspect.signature(found).parameters


def test_the_menu_can_be_listed_and_names_every_command_of_the_design() -> None:
    command = [sys.executable, "-m", "invoke", "--list", "--list-format", "json"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = json.loads(told)
    listed = {task["name"]: task["help"] for task in top["tasks"]}
    for group in top["collections"]:
        listed |= {f"{group['name']}.{task['name']}": task["help"] for task in group["tasks"]}
    assert sorted(listed) == [name.replace("_", "-") for name in NAMES]
    assert all(listed.values())
    assert set(listed) >= {
        *("validate", "render", "plan", "preflight", "build", "destroy", "status", "verify"),
        *("kubectl", "ssh", "shell", "artifacts.show", "artifacts.bundle", "logs", "bench", "selftest"),
    }


def test_the_menu_opens_without_loading_the_commands() -> None:
    """Only the module of the chosen command is imported: the menu, and each command, opens at once."""
    heavy = ["kubernetes", "pydantic", "jinja2", "pytest", "locust", "gevent"]
    program = f"import tasks, sys; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert told == "[]\n"


@pytest.mark.parametrize(
    ("task", "given"),
    [("init", {"name": "--help"}), ("ssh", {"host": "-x"}), ("validate", {"inventory": "--help"})],
)
def test_help_behind_a_task_is_answered_with_how_to_ask_for_it(
    task: str, given: dict[str, str], asked: list[tuple[str, dict[str, object]]]
) -> None:
    """Invoke takes what stands behind a task for its arguments."""
    with pytest.raises(Exit, match=f"begins with a dash.*\n  next: invoke --help {task}") as refused:
        MENU[task].body(Context(), **given)
    assert refused.value.code == 2
    assert asked == []


def test_to_validate_an_inventory_little_is_loaded() -> None:
    """It is run at every save of a file: programs that draw, encrypt or reach hosts have no part in it."""
    heavy = ["cryptography", "jinja2", "kubernetes", "rich", "lab.labs", "lab.ssh"]
    program = f"""if True:
        import sys
        from lab.commands import checking
        checking.validate('rehearsal', '')
        print([name for name in {heavy} if name in sys.modules])"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["[]"]


def test_the_menu_stays_a_menu() -> None:
    assert len((ROOT / "tasks.py").read_text().splitlines()) < 170
