"""`invoke init NAME`: a commented inventory from a few answers, right by construction."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from pathlib import Path

from lab.errors import InputError
from lab.inventory import files
from lab.inventory.addon_sections import NewLab, sections
from lab.inventory.document import meaning
from lab.inventory.loading import parse
from lab.inventory.problems import Unfit
from lab.inventory.providers import Init, Question, names, rules_of, usual
from lab.inventory.ranges import AddressRange, parse_network
from lab.inventory.rehearsal import stand_ins
from lab.inventory.rules.named import in_text
from lab.inventory.rules.networks import free_network

_BARE = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9]")


QUESTIONS = (
    Question(key="provider", text=f"Who makes the machines ({', '.join(names())})", default=usual()),
    Question(key="lan", text="Network of the machines", default="10.1.1.0/24"),
    Question(key="masters", text="Control plane machines (3, 5 or 7)", default="3"),
    Question(key="workers", text="Workers", default="2", assumed="1"),
)
"""What every new inventory must know; the first decides whose own questions follow."""


def init(
    name: str,
    answers: dict[str, str] | None = None,
    *,
    ask: Callable[[str], str] | None = None,
    tell: Callable[[str], None] = print,
    folder: Path = files.FOLDER,
) -> Path:
    """Write `folder`/NAME.yaml and return its path.

    `answers` holds what was given as flags, by the keys of `QUESTIONS`; the rest is asked through `ask`
    (question in, line out), or takes its default when there is nobody to ask. What is answered is judged at
    once by the loader's own rules, the reason goes to `tell`, and it is asked again. Raises `InputError` for
    a name or flag that cannot be, and for a file that exists already: nothing is ever overwritten.
    """
    path = folder / f"{name}.yaml"
    given = dict(answers or {})
    every = _every()
    if unknown := sorted(given.keys() - {question.key for question in every}):
        known = ", ".join(question.key for question in every)
        raise InputError(f"init: {', '.join(unknown)}: nothing to answer; known are: {known}")
    if os.path.lexists(path):  # of a name that is too long the system says so when it is written
        raise InputError(f"{files.display(path)}: exists already; choose another name, or edit it")
    if ask:
        _judge(name, given)
        for question in QUESTIONS:
            _answer(name, given, question, ask, tell)
        for question in _of_provider(given).questions:
            _answer(name, given, question, ask, tell)
    text = written(name, {item.key: item.default for item in every} | given)
    parse(text, files.display(path))
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{files.display(path)}: cannot be written: {error.strerror}") from None
    return path


def _every() -> list[Question]:
    """The questions of all providers too."""
    return [*QUESTIONS, *(item for name in names() for item in rules_of(name).init.questions)]


def _of_provider(answers: Mapping[str, str]) -> Init:
    """What the chosen provider asks and writes; nothing for a name that is none, which is refused later."""
    return rules_of(answers["provider"]).init if answers["provider"] in names() else Init()


def _answer(
    name: str,
    given: dict[str, str],
    question: Question,
    ask: Callable[[str], str],
    tell: Callable[[str], None],
) -> None:
    """Keep the first answer that the rules take, unless there is one."""
    while question.key not in given:
        said = ask(f"{question.text} [{question.default}]: ").strip() or question.default
        try:
            _judge(name, given | {question.key: said})
        except InputError as error:
            tell(f"  {error.message}".replace("\n", "\n  "))
        else:
            given[question.key] = said


def _judge(name: str, given: dict[str, str]) -> None:
    """Raise `InputError` for answers that cannot be, whatever the answers still to come are."""
    assumed = {item.key: item.assumed or item.default for item in _every()}
    try:
        parse(written(name, assumed | given), "")
    except InputError as error:
        # no file has these lines yet
        raise InputError(re.sub(r"^:\d+: ", "", error.message, flags=re.MULTILINE)) from None


def written(name: str, answers: dict[str, str]) -> str:
    """The text of a new inventory; addresses go to gateway, balancer, masters, workers and what
    add-ons hand out in turn.

    Raises `InputError` when an answer is no number or network, or the LAN is too small.
    """
    try:
        lan = parse_network(answers["lan"])
    except Unfit as error:
        raise InputError(f"init: lan: {answers['lan']}: {error.rule}; {error.fix}") from None
    pods = free_network(16, [lan]) or lan
    masters, workers = _count(answers, "masters"), _count(answers, "workers")
    names = ["haproxy", *_numbered("master", masters), *_numbered("worker", workers)]
    own = _of_provider(answers)
    # a hypervisor may stand in the machines' own LAN
    taken = {address for question in own.questions for address in in_text(answers[question.key])}
    addresses, pool = _free(lan, len(names), taken)
    if pool is None:
        rule = f"has no room for {len(names)} machines and a pool"
        raise InputError(f"init: lan: {lan}: {rule}; choose a larger network, or fewer machines")
    new = NewLab(pool, workers)
    values = answers | {item.key: _text(answers[item.key]) for item in own.questions if item.quoted}
    on = f", {own.host.format(**values)}" if own.host else ""
    hosts = "".join(
        f"  {host}: {{role: {_ROLES[host.partition('-')[0]]}, address: {addresses[number]}"
        f"{on}{_SMALL if host == 'haproxy' else ''}}}\n"
        for number, host in enumerate(names)
    )
    return _TEXT.format(
        name=_text(name),
        provider=_text(answers["provider"]),
        lan=lan,
        gateway=lan.network_address + 1,
        disposable="true" if answers["provider"] in stand_ins() else "false",
        pods=pods,
        services=free_network(12, [lan, pods]),
        own=own.text.format(**values),
        addons="\n".join(filter(None, (section.written(new) for _, section in sections()))),
        hosts=hosts,
    )


def _free(
    lan: IPv4Network, count: int, taken: Collection[IPv4Address]
) -> tuple[list[IPv4Address], AddressRange | None]:
    """Addresses for `count` machines, and the longest row behind them for add-ons; None: nothing is left."""
    start = int(lan.network_address) + (10 if lan.prefixlen <= 24 else 2)
    end = int(lan.broadcast_address)
    stops = sorted(number for number in map(int, taken) if start <= number < end)
    hosts = list(islice((number for number in range(start, end) if number not in stops), count))
    first = hosts[-1] + 1 if len(hosts) == count else end
    behind = [stop for stop in stops if stop >= first]
    rows = zip([first, *(stop + 1 for stop in behind)], [*behind, end], strict=True)
    begin, after = max(rows, key=lambda row: row[1] - row[0])
    pool = AddressRange(IPv4Address(begin), IPv4Address(after - 1)) if begin < after else None
    return [IPv4Address(number) for number in hosts], pool


def _text(word: str) -> str:
    """A word as YAML reads it back as text, whatever it holds."""
    return word if _BARE.fullmatch(word) and meaning(word) is word else json.dumps(word)


def _count(answers: dict[str, str], key: str) -> int:
    if not (answers[key].isascii() and answers[key].isdigit() and len(answers[key]) <= 4):
        raise InputError(f"init: {key}: {answers[key]}: must be a whole number; write it as 3")
    return int(answers[key])


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(1, count + 1)]


_ROLES = {"haproxy": "load-balancer", "master": "control-plane", "worker": "worker"}
_SMALL = ", cpus: 2, memory_gib: 2, disk_gib: 20"
_TEXT = """\
# yaml-language-server: $schema=schema.json
# Every field, its default and its limits: docs/inventory.md. Check with: invoke validate -i {name}
lab: {name}
provider: {provider}
disposable: {disposable} # true: faults may break the lab, and destroy asks nobody

network:
  lan: {lan} # every machine and every pool lies in it
  gateway: {gateway}
{own}
kubernetes: # must not overlap each other, the LAN or any network your machines talk to
  version: v1.31.0
  pod_subnet: {pods}
  service_subnet: {services}

{addons}
hosts:
{hosts}"""
