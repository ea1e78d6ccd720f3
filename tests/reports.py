"""A verdict with everything in it, and the series of what clients lived through."""

from __future__ import annotations

import math
from typing import Literal

from lab.checks.alerts import AlertSpan, AlertsSeen
from lab.checks.outcomes import Outcome
from lab.checks.record import Figure, LayerResult, Record, Timeline, TimelineEvent, Verdict, count
from lab.report.series import Gaps, Holder, Load, Probe, Series, SeriesMark, Share, Target

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
        TimelineEvent(phase="machine", host=host, start=0.1 * n, end=3 + 0.1 * n, changed=True)
        for n, host in enumerate(HOSTS)
    ]
    events += [
        TimelineEvent(phase="init", host="master-1", start=4, end=16.2, changed=True),
        TimelineEvent(phase="join", host="master-2", start=17, end=26, changed=True),
        TimelineEvent(phase="join", host="worker-1", start=17, end=24, changed=True),
        TimelineEvent(phase="addon-flannel", host="", start=17, end=19, changed=False),
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


def outage(begin: float, end: float, *, slow: float = 4.0) -> tuple[Probe, ...]:
    """A minute of probes, ten a second, none answered between two moments."""
    found = []
    for n in range(600):
        t = 1000 + n / 10
        ok = not begin <= t - 1000 < end
        wobble = slow * (1.5 + math.sin(n / 7) + 3 * (n % 50 == 0))
        found.append(Probe(t=t, ok=ok, ms=wobble if ok else 100.0, by=f"master-{n % 3 + 1}" if ok else ""))
    return tuple(found)


def alert(name: str, of: str, state: Literal["pending", "firing"], begin: float, end: float) -> AlertSpan:
    """A span of an alert."""
    return AlertSpan(name=name, of=of, severity="critical", state=state, t=begin, until=end)


def power_off() -> Series:
    """The etcd leader dies: a short gap of the API, a longer one of an address, and who held what."""
    return Series(
        title="The etcd leader's machine loses its power: new leader, writes resume, none is lost",
        checks=("L4-03",),
        test="test_ha.py::test_l4_03",
        started="2026-11-25T18:01:00+00:00",
        marks=(
            SeriesMark(t=1012, kind="fault", text="master-1: power off"),
            SeriesMark(t=1013.4, kind="note", text="master-2 leads etcd"),
            SeriesMark(t=1036, kind="healed", text="master-1: power on"),
        ),
        targets=(
            Target(name="API through the balancer", limit=10, probes=outage(12.1, 13.6)),
            Target(name="address 10.1.1.200", limit=6, probes=outage(12.1, 21.2, slow=1.0)),
            Target(name="ingress", limit=10, probes=outage(70, 70, slow=9.0)),
        ),
        holders=(
            Holder(what="etcd leader", t=1000, name="master-1"),
            Holder(what="etcd leader", t=1012.1, name=""),
            Holder(what="etcd leader", t=1013.4, name="master-2"),
            Holder(what="kube-scheduler lease", t=1000, name="master-3"),
            Holder(what="kube-controller-manager lease", t=1000, name="master-1"),
            Holder(what="kube-controller-manager lease", t=1028.4, name="master-2"),
        ),
        alerts=AlertsSeen(
            spans=(
                alert("EtcdMemberDown", "host=master-1", "pending", 1020, 1035),
                alert("EtcdMemberDown", "host=master-1", "firing", 1035, 1055),
                alert("TargetDown", "host=master-1, instance=<10.1.1.11:9100>", "pending", 1025, 1040),
            )
        ),
    )


def trials() -> Series:
    """Twenty trials of one fault, one of which did not come back."""
    seconds = (
        1.2,
        1.55,
        1.31,
        2.1,
        1.4,
        1.62,
        1.7,
        1.1,
        1.9,
        1.5,
        1.45,
        1.38,
        2.4,
        1.6,
        1.52,
        1.8,
        1.25,
        1.7,
        1.33,
    )
    return Series(
        title="Power off, twenty times, reaction fast",
        gaps=(
            Gaps(name="API gap", seconds=(*seconds, 1.5), limit=2.5),
            Gaps(name="address gap", seconds=(*(3 * value for value in seconds), None), limit=6),
        ),
    )


def under_load() -> Series:
    """A minute of load in which a worker dies, and how pods shared it."""
    load = []
    for n in range(60):
        hit = 20 <= n < 26
        base = 12 + 3 * math.sin(n / 4) + (60 if hit else 0)
        load.append(
            Load(
                t=float(n),
                seconds=1,
                requests=150 if hit else 400 + 20 * (n % 5),
                failures=60 if hit else 0,
                p50=base,
                p95=2.2 * base,
                p99=4 * base,
                max=1000.0 if hit else 9 * base,
            )
        )
    return Series(
        title="Default profile with a worker's power cut",
        checks=("L5-09",),
        marks=(SeriesMark(t=20, kind="fault", text="worker-2: power off"),),
        load=tuple(load),
        load_limit_ms=250,
        shares=tuple(
            Share(pod=f"web-5d9c7b-{n:05x}", node=f"worker-{n % 3 + 1}", requests=4000 - 700 * (n % 4))
            for n in range(6)
        ),
    )
