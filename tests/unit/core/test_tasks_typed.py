"""What is typed behind a task: numbers, words that are handed on, and what nobody takes."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys

import pytest
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.program import Program

import tasks
from lab.commands import typed
from tests.unit.core.menu import MENU, NAMES, ROOT, arguments

NUMBERS = [
    (name, option)
    for name in NAMES
    for option, value in inspect.signature(MENU[name].body).parameters.items()
    if type(value.default) in (int, float)
]


@pytest.mark.parametrize("text", ["x", "1e3", "nan", "1_000", "", "9" * 5000])
@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_a_text_for_a_number_is_one_error_with_option_value_and_rule(
    name: str, option: str, text: str, asked: list[tuple[str, dict[str, object]]]
) -> None:
    with pytest.raises(Exit) as refused:
        MENU[name].body(Context(), **arguments(name), **{option: text})
    said = str(refused.value.message)
    assert re.fullmatch(
        rf"error: --{option} {text}: must be a .*number .*\n  next: invoke --help {name}", said
    )
    assert refused.value.code == 2
    assert asked == []


def test_a_number_reaches_its_command_as_one(asked: list[tuple[str, dict[str, object]]]) -> None:
    MENU["trials"].body(Context(), name="cut", times="3")
    MENU["fault"].body(Context(), name="cut", seconds="2.5")
    MENU["fault"].body(Context(), name="cut", seconds="-4")
    assert [given.get("times", given.get("seconds")) for _, given in asked] == [3, 2.5, -4.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("load --workers 1.5", "error: --workers 1.5: must be a whole number of at most 9 digits, as 1"),
        ("kubectl get pods", "error: kubectl: get pods: what is handed on stands behind --"),
        ("validate --foo", "error: validate: --foo: no such option"),
    ],
)
def test_invoke_itself_ends_by_one_block_and_with_2(words: str, said: str) -> None:
    command = [sys.executable, "-m", "invoke", *words.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    first, following = done.stderr.splitlines()
    assert first == said
    assert following.startswith("  next: invoke ")


@pytest.mark.parametrize(
    ("words", "said", "following"),
    [
        ("bild", "bild: no such command; did you mean build?", "--list"),
        ("''", "'': no such command", "--list"),
        ("--foo validate", "--foo: no such option", "--list"),
        ("validate --foo", "validate: --foo: no such option", "--help validate"),
        ("validate --inv x", "validate: --inv: no such option; did you mean --inventory?", "--help validate"),
        ("validate -vx", "validate: -x: no such option", "--help validate"),
        (
            "validate production",
            "validate: production: neither a value of it nor a command",
            "--help validate",
        ),
        ("build -i", "build: --inventory: needs a value", "--help build"),
        ("build -i --dry-run", "build: --inventory: needs a value", "--help build"),
        ("build -i a -i b", "build: -i b: the option was given before, and takes one value", "--help build"),
        ("build --dry-run=x", "build: --dry-run=x: the option takes no value", "--help build"),
        ("artifacts.bundle --from", "artifacts.bundle: --from: needs a value", "--help artifacts.bundle"),
        ("init", "init: --name: must be given", "--help init"),
        ("init a b", "init: b: neither a value of it nor a command", "--help init"),
        ("--help bild", "bild: no such command; did you mean build?", "--list"),
        ("--list bild", "bild: no such group of commands", "--list"),
        ("validate -T x", "validate -T x: an option takes a whole number", "--help"),
    ],
)
def test_what_invoke_does_not_take_is_told_with_the_next_command(
    words: str, said: str, following: str
) -> None:
    with pytest.raises(Exit) as refused:
        typed.read(tasks.namespace, Program().initial_context, shlex.split(words))
    assert refused.value.message == f"error: {said}\n  next: invoke {following}"
    assert refused.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--list",
        "--list proxmox",
        "--help",
        "--help build",
        "build --help",
        "artifacts --fetch",
        "artifacts.show --fetch",
        "build -i mine --source=modules -v",
        "build -imine",
        "validate -i build",
        "validate show -i mine",
        "verify --layer node --layer ha --select x",
        "fault cut --seconds x",
        "kubectl -i mine -- get pods --foo",
        "--complete -- invoke --foo",
        "--complete bild",
    ],
)
def test_what_invoke_takes_is_left_to_it(words: str) -> None:
    before = {name: dict(MENU[name].help) for name in NAMES}
    typed.read(tasks.namespace, Program().initial_context, shlex.split(words))
    assert {name: dict(MENU[name].help) for name in NAMES} == before, "--help still has all texts"


@pytest.mark.parametrize(
    ("typed_words", "correct"),
    [
        ("kubectl get pods", "kubectl -- get pods"),
        (
            "kubectl -i mine get pods -o 'jsonpath={.a} {.b}'",
            "kubectl -i mine -- get pods -o 'jsonpath={.a} {.b}'",
        ),
        (
            "kubectl --inventory=mine -n kube-system get pods",
            "kubectl --inventory=mine -- -n kube-system get pods",
        ),
        ("ssh -i mine master-1 uptime -p", "ssh -i mine master-1 -- uptime -p"),
    ],
)
def test_words_without_two_dashes_are_told_where_they_belong(typed_words: str, correct: str) -> None:
    """Invoke takes them for tasks: `get` is none, and `logs` is one of ours."""
    with pytest.raises(Exit) as refused:
        typed.read(tasks.namespace, Program().initial_context, shlex.split(typed_words))
    assert str(refused.value.message).endswith(f"\n  next: invoke {correct}")
    assert refused.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        "kubectl",
        "kubectl -i mine -v",
        "kubectl -- get pods",
        "ssh -i mine master-1",
        "ssh --host master-1",
        "validate -i kubectl",
        "--help kubectl",
    ],
)
def test_a_command_line_that_hands_on_nothing_is_left_to_invoke(
    words: str,
) -> None:
    typed.read(tasks.namespace, Program().initial_context, shlex.split(words))
