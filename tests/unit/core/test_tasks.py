"""The menu: every task names a function that exists and takes what it is given."""

from __future__ import annotations

import inspect
import json
import shlex
import subprocess
import sys
from importlib import import_module

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

import tasks
from lab import commands, operations
from lab.steps.operation import Operation
from tests.unit.core.menu import HELP, MENU, NAMES, ROOT, arguments

QUOTED = 'echo "a  b"'


@pytest.mark.parametrize("name", NAMES)
def test_a_task_names_an_existing_command_and_gives_it_what_it_takes(
    name: str, asked: list[tuple[str, dict[str, object]]]
) -> None:
    MENU[name].body(Context(), **arguments(name))
    [(target, given)] = asked
    found = commands.command(target)
    inspect.signature(inspect.unwrap(found)).bind(
        **{key: value for key, value in given.items() if key != "verbose"}
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_what_it_does_and_explains_every_argument(name: str) -> None:
    task = MENU[name]
    assert task.__doc__
    known = {key for key in inspect.signature(task.body).parameters if key != "c"}
    assert set(HELP[name]) == known


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_wrapped_so_that_errors_become_exit_codes(
    name: str, asked: list[tuple[str, dict[str, object]]]
) -> None:
    MENU[name].body(Context(), **arguments(name))
    found = commands.command(asked[0][0])
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


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("invoke kubectl -- get pods -A", ("get", "pods", "-A")),
        (
            "invoke kubectl -i mine -- exec x -- sh -c 'echo \"a  b\"'",
            ("exec", "x", "--", "sh", "-c", QUOTED),
        ),
        ("invoke kubectl -- --help", ("--help",)),
        (
            "invoke kubectl -- get -o 'jsonpath={.a} {.b}' '' '*'",
            ("get", "-o", "jsonpath={.a} {.b}", "", "*"),
        ),
        ("invoke kubectl --", ()),
        ("invoke kubectl", ()),
    ],
)
def test_words_behind_two_dashes_are_handed_on_as_they_were_typed(
    command: str,
    words: tuple[str, ...],
    asked: list[tuple[str, dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invoke itself joins them by spaces."""
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    MENU["kubectl"].body(Context())
    [(_, given)] = asked
    assert given["arguments"] == words


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


def test_each_operation_has_a_line_in_the_menu_with_the_options_that_its_steps_take() -> None:
    assert set(tasks.OPERATIONS) == set(operations.names())
    for name, options in tasks.OPERATIONS.items():
        found = operations.find(name)
        taken = {
            key
            for key, value in inspect.signature(found.steps).parameters.items()
            if value.kind is inspect.Parameter.KEYWORD_ONLY
        }
        asks = found.stake is not Operation.stake
        of_the_frame = ({"source", "backend"} if found.artefacts else set()) | ({"yes"} if asks else set())
        assert {option.name for option in options} - of_the_frame == taken
        assert asks <= ("yes" in {option.name for option in options}), "who asks takes a yes"


def test_an_option_means_the_same_in_every_operation() -> None:
    known = [option for options in tasks.OPERATIONS.values() for option in options]
    assert len({option.name for option in known}) == len(set(known))


def test_the_help_of_an_operation_is_the_docstring_of_its_file() -> None:
    for name in operations.names():
        assert MENU[name].__doc__ == import_module(f"lab.operations.{name}").__doc__.strip()  # type: ignore[union-attr]
        assert "dry_run" in HELP[name]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"of": "upgrad"}, "--of upgrad: no such operation; there are: build, reconfigure, destroy"),
        ({"of": "build", "host": "worker-1"}, "--host: build takes no such option"),
        ({"of": "destroy", "source": "modules"}, "--source: destroy takes no such option"),
    ],
)
def test_a_plan_refuses_what_the_operation_does_not_take(
    given: dict[str, str], said: str, asked: list[tuple[str, dict[str, object]]]
) -> None:
    with pytest.raises(Exit, match=said) as refused:
        MENU["plan"].body(Context(), **given)
    assert refused.value.code == 2
    assert asked == []


def test_a_plan_hands_on_what_the_operation_takes(asked: list[tuple[str, dict[str, object]]]) -> None:
    MENU["plan"].body(Context(), of="destroy", host="worker-1")
    [(_, given)] = asked
    assert given["host"] == "worker-1"
    assert not {"source", "backend"} & set(given)


def test_the_menu_stays_a_menu() -> None:
    assert len((ROOT / "tasks.py").read_text().splitlines()) < 170
