"""kube-proxy in its mode nftables: a lab that is born with it, and one that is led there and back."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Proving
from tests.integration.living import write

pytestmark = pytest.mark.long


def green(proving: Proving, *arguments: str) -> str:
    done = proving.invoke(*arguments)
    assert done.code == 0, done.output
    return done.output


def test_a_lab_is_born_with_nftables_and_its_services_answer(proving: Proving) -> None:
    write(proving, "proxy_mode: nftables")
    green(proving, "build")
    green(proving, "verify", "--layer", "cluster", "--layer", "services")


def test_rules_of_another_mode_are_named(proving: Proving) -> None:
    assert "1 of 1 caught and undone" in green(proving, "selftest", "--select", "proxy-rules-of-another-mode")


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_it_is_led_to_the_other_mode_and_no_rule_of_the_first_is_left(proving: Proving, mode: str) -> None:
    write(proving, f"proxy_mode: {mode}")
    green(proving, "reconfigure")
    green(proving, "verify", "--layer", "services")
