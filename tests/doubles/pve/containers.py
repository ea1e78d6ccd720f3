"""`invoke` for machines of Proxmox VE that are containers: `python -m tests.doubles.pve.containers TASK ...`.

A double backed by LXC gives the build containers where it expects virtual machines, and no API says so. All
that this changes is what the provider says its machines cannot do; pytest loads it as a plugin for the same.
"""

from __future__ import annotations

from lab.machines import Traits, oom_score_restricted
from lab.providers.proxmox.provider import ProxmoxProvider


def traits_of(_provider: ProxmoxProvider, _name: str) -> Traits:
    """A virtual machine's, and those of a container."""
    return Traits(shares_kernel=True, oom_score_restricted=oom_score_restricted(), writes_seed=True)


ProxmoxProvider.traits_of = traits_of  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    from invoke.main import program

    program.run()
