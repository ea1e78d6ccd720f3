"""What an error says of a value: never a secret, and instead of a name the whole other name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError
from lab.inventory.loading import load, parse
from lab.inventory.rules.resolvers import search_domains

FIXTURES = Path(__file__).parents[2] / "fixtures" / "inventory"


def refused(text: str) -> str:
    with pytest.raises(InputError) as error:
        parse(text, "it.yaml")
    return error.value.message


def test_a_token_that_was_written_with_its_secret_is_not_told() -> None:
    said = refused((FIXTURES / "invalid" / "proxmox-token.yaml").read_text())
    assert "proxmox.token: (not shown): is not the name of an API token" in said
    assert "0a1b" not in said


@pytest.mark.parametrize(
    ("written", "proposed"),
    [("NTP.Example.com", "ntp.example.com"), ("foo_bar.com", "foo-bar.com"), ("a..b", "a.b")],
)
def test_a_domain_is_mended_as_a_whole(written: str, proposed: str) -> None:
    """`write ntp` was followed, and was another name."""
    good = (FIXTURES / "valid" / "search-domains.yaml").read_text()
    said = refused(good.replace("search_domains: [", f"search_domains: [{written}, ", 1))
    assert f"write {proposed}" in said


@pytest.mark.parametrize(("written", "told"), [("cluster.local", 0), ("x.local, x.local", 1)])
def test_what_is_to_be_removed_gets_no_better_name(written: str, told: int) -> None:
    good = load(str(FIXTURES / "valid" / "search-domains.yaml"))
    network = good.network.model_copy(update={"search_domains": tuple(written.split(", "))})
    problems = list(search_domains(good.model_copy(update={"network": network})))
    assert len([problem for problem in problems if not problem.warning]) == 1
    assert len([problem for problem in problems if problem.warning]) == told
