"""What a boot brings back by itself: the kernel's settings and the firewall, from files that act then."""

from __future__ import annotations

from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.verbs import agrees, holds, nothing
from lab.render import firewall
from lab.render.bundle import SYSCTL_FILE


def kernel_settings(driver: Driver, facts: Facts) -> None:
    """Sysctls and modules of the machine's roles are in force, and the sysctls in the file that sets them."""
    host, bundle = facts.host, driver.bundles[facts.host]
    command = f"sysctl {' '.join(bundle.sysctls)}"
    agrees("sysctls", dict(facts.sysctls), dict(bundle.sysctls), command=command, host=host)
    missing = [name for name, there in facts.modules.items() if not there]
    nothing("modules that are not in the kernel", missing, rule="none", command="lsmod", host=host)
    wanted = next(file for file in bundle.files if file.path == SYSCTL_FILE)
    found = facts.files[SYSCTL_FILE]
    digest = found and found.sha256
    agrees(f"{SYSCTL_FILE}: digest", digest, wanted.digest, command=f"cat {SYSCTL_FILE}", host=host)


def booted_well(driver: Driver, host: str) -> None:
    """A machine that was off a moment ago has its kernel's settings and its firewall again (kcli#769)."""
    kernel_settings(driver, driver.facts.fresh(host))
    command = f"nft list table {firewall.TABLE}"
    seen = driver.ask(host, command)
    holds(f"table {firewall.TABLE}", seen.code == 0, expected="loaded", seen=seen.stderr, command=command)
