"""A verdict with everything in it."""

from __future__ import annotations

import pytest

from lab.verify.outcomes import Outcome
from lab.verify.record import Event, Figure, LayerResult, Record, Timeline, Verdict, count

HOSTS = {
    "haproxy": "load-balancer",
    **{f"master-{n}": "control-plane" for n in (1, 2, 3)},
    **{f"worker-{n}": "worker" for n in range(1, 13)},
}
TITLES = {
    "L1-01": "The machine has the inventory's architecture, and a kernel that kube-proxy's mode works with",
    "L1-08": "Every sysctl and module of the machine's roles is in force, and set at boot",
    "L1-14": "Every unit of the machine's roles is enabled and has run for a minute without a restart",
    "P1-01": "Every file of the machine's roles has the rendered content, owner and mode",
}


def record(check: str, title: str, layer: str, host: str, outcome: Outcome, **more: object) -> Record:
    """A record with a name made of its parts."""
    name = f"test_{layer}.py::test_{check.lower().replace('-', '_')}" + (f"[{host}]" if host else "")
    values = {"seconds": 0.012, **more}
    return Record(id=name, checks=(check,), title=title, layer=layer, host=host, outcome=outcome, **values)


def node_records() -> list[Record]:
    """All hosts, one of them unreachable, one with a wrong sysctl."""
    found = []
    for check, title in TITLES.items():
        for host in HOSTS:
            if host == "worker-9":
                found.append(
                    record(
                        check,
                        title,
                        "node",
                        host,
                        Outcome.COULD_NOT_TELL,
                        message="worker-9: not reachable by SSH: Connection timed out",
                        command="invoke ssh worker-9",
                        evidence="evidence/test_node.py_x",
                    )
                )
            elif check == "L1-08" and host == "worker-2":
                found.append(
                    record(
                        check,
                        title,
                        "node",
                        host,
                        Outcome.FAILED,
                        message="sysctls: expected net.ipv4.ip_forward: 1; seen: net.ipv4.ip_forward: 0",
                        expected="net.ipv4.ip_forward: 1",
                        seen="net.ipv4.ip_forward: <0 & 1>",
                        command="sysctl net.ipv4.ip_forward",
                        evidence="evidence/test_node.py_y",
                    )
                )
            else:
                found.append(record(check, title, "node", host, Outcome.PASSED))
    reason = "provider: the machine is a container and has its host's clock"
    skipped = Outcome.SKIPPED
    found += [record("L1-12", "Its clock is synchronised", "node", h, skipped, message=reason) for h in HOSTS]
    return found


@pytest.fixture
def red() -> Verdict:
    """A red verdict of 16 hosts with every outcome, figures, a build and a layer that was not run."""
    records = [
        record("L0-09", "No two networks overlap", "render", "", Outcome.PASSED),
        *node_records(),
        record(
            "L4-03",
            "The etcd leader's machine loses its power",
            "ha",
            "",
            Outcome.PASSED,
            seconds=64.2,
            figures=(
                Figure(name="API gap for new connections", value=1.55, unit="s", limit=10),
                Figure(name="acknowledged writes lost", value=0, unit="writes", limit=0),
                Figure(name="acknowledged writes a second before the fault", value=18.3, unit="1/s"),
            ),
        ),
    ]

    def layer(name: str) -> LayerResult:
        mine = [r for r in records if r.layer == name]
        return LayerResult(name=name, title=f"what {name} says", state="run", seconds=9.4, counts=count(mine))

    events = [
        Event(phase="machine", host=host, start=0.1 * n, end=3 + 0.1 * n, changed=True)
        for n, host in enumerate(HOSTS)
    ]
    events += [
        Event(phase="init", host="master-1", start=4, end=16.2, changed=True),
        Event(phase="join", host="master-2", start=17, end=26, changed=True),
        Event(phase="join", host="worker-1", start=17, end=24, changed=True),
        Event(phase="addon-flannel", host="", start=17, end=19, changed=False),
    ]
    return Verdict(
        lab="production-lxc",
        provider="lxc",
        started="2026-11-25T18:00:00+00:00",
        seconds=132.4,
        green=False,
        hosts=HOSTS,
        versions={"Kubernetes": "v1.31.0", "containerd": "1.7.28"},
        layers=(
            layer("render"),
            layer("node"),
            LayerResult(name="cluster", title="", state="not run", reason="layer node is not green"),
            layer("ha"),
        ),
        records=tuple(records),
        timeline=Timeline(command="build", started="2026-11-25T17:50:00+00:00", events=tuple(events)),
        notes=("lab: production -> production-lxc",),
    )
