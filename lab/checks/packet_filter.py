"""The rules of a machine's firewall as its kernel holds them, against the rendered file."""

from __future__ import annotations

import json
from typing import Any

from lab.checks.driver import Driver
from lab.checks.verbs import agrees, holds, nothing
from lab.checks.words import differing
from lab.hosts.remote_look import steady
from lab.render import firewall

LIST = f"nft -j list table {firewall.TABLE}"
TEXT = f"nft -s list table {firewall.TABLE}"


def as_loaded(text: str) -> list[dict[str, Any]]:
    """nft's JSON without what differs between two loads of one file."""
    return [steady(item) for item in json.loads(text)["nftables"] if "metainfo" not in item]


def in_force(driver: Driver, host: str) -> None:
    """The kernel holds the rules of the rendered file. Raises `Mismatch` with the lines that differ."""
    seen = driver.ask(host, LIST)
    holds(f"table {firewall.TABLE}", seen.code == 0, expected="loaded", seen=seen.stderr, command=LIST)
    # the file, loaded into a network namespace where it rules nothing, in the kernel's own words
    wanted = driver.read(host, f"unshare --net sh -c 'nft -f {firewall.FILE} && {LIST}'")
    if as_loaded(seen.stdout) != as_loaded(wanted):
        rendered = driver.read(host, f"unshare --net sh -c 'nft -f {firewall.FILE} && {TEXT}'")
        nothing(
            "rules of the firewall (- rendered, + in force)",
            differing(rendered, driver.read(host, TEXT)) or "alike as text, otherwise as JSON",
            rule="as rendered",
            command=f"nft list table {firewall.TABLE}",
            host=host,
        )
    chains = [item["chain"] for item in as_loaded(seen.stdout) if "chain" in item]
    hooks = {chain["hook"]: chain["policy"] for chain in chains}
    agrees("policies by hook", hooks, {"input": "drop"}, command=f"nft list table {firewall.TABLE}")
