"""L1-20: a firewall that is not as rendered is told by the lines in which it differs."""

from __future__ import annotations

import json

import pytest

from lab.checks.driver import Driver
from lab.checks.outcomes import Mismatch
from lab.checks.packet_filter import LIST, TEXT, in_force
from lab.render import firewall
from tests.fakes import FakeSsh

RENDERED = [f"tcp dport {port} accept" for port in range(1000, 1100)]
OPEN = "tcp dport 2379 accept"


def listing(rules: list[str]) -> str:
    """What nft prints as text."""
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"table {firewall.TABLE} {{\n\tchain input {{\n\t\tpolicy drop;\n{lines}\t}}\n}}\n"


def tree(rules: list[str]) -> str:
    """What nft prints as JSON."""
    chain = {"chain": {"name": "input", "hook": "input", "policy": "drop", "handle": 1}}
    found = [{"rule": {"expr": rule, "handle": number}} for number, rule in enumerate(rules)]
    return json.dumps({"nftables": [{"metainfo": {}}, chain, *found]})


def machine(ssh: FakeSsh, seen: list[str]) -> None:
    """A worker whose kernel holds these rules, and whose file has the rendered ones."""
    ssh.on("worker-1", LIST, tree(seen))
    ssh.on("worker-1", TEXT, listing(seen))
    ssh.on("worker-1", f"{firewall.FILE} && {LIST}", tree(RENDERED))
    ssh.on("worker-1", f"{firewall.FILE} && {TEXT}", listing(RENDERED))


def test_rules_as_rendered_are_right(driver: Driver, ssh: FakeSsh) -> None:
    machine(ssh, RENDERED)
    in_force(driver, "worker-1")
    assert len(ssh.calls) == 2, "the text is asked for when there is something to tell"


def test_only_the_lines_that_differ_are_told(driver: Driver, ssh: FakeSsh) -> None:
    machine(ssh, [OPEN, *RENDERED[:50], *RENDERED[51:]])
    with pytest.raises(Mismatch) as found:
        in_force(driver, "worker-1")
    assert str(found.value) == (
        "rules of the firewall (- rendered, + in force): expected as rendered; "
        f"seen: + {OPEN}, - tcp dport 1050 accept"
    )
    assert found.value.host == "worker-1"
