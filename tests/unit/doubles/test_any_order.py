"""Whatever is asked in whatever order, with tasks that fail: no disk without a VM, and an empty end."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doubles.pve.faults import TaskScript
from tests.unit.doubles.asking import NODE, Asking

IDS = st.sampled_from([101, 102, 103])
KINDS = ("qmclone", "qmstart", "qmstop", "qmdestroy", "resize", "qmcreate")
ACTS = st.one_of(
    st.tuples(st.just("clone"), IDS),
    st.tuples(st.just("copy"), IDS),
    st.tuples(st.just("create"), IDS),
    st.tuples(st.just("start"), IDS),
    st.tuples(st.just("stop"), IDS),
    st.tuples(st.just("grow"), IDS),
    st.tuples(st.just("change"), IDS),
    st.tuples(st.just("destroy"), IDS),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 11])),
    st.tuples(st.just("break"), st.sampled_from(range(len(KINDS)))),
)


def act(double: Asking, what: str, number: int) -> None:
    """One thing somebody asks for; whether it is refused does not matter."""
    vm = f"{NODE}/qemu/{number}"
    disk = "local-lvm:0,import-from=local:import/jammy.qcow2"
    match what:
        case "clone":
            double.ask("POST", f"{NODE}/qemu/9000/clone", newid=number)
        case "copy":
            double.ask("POST", f"{NODE}/qemu/9000/clone", newid=number, full=1)
        case "create":
            double.ask("POST", f"{NODE}/qemu", vmid=number, scsi0=disk, ide2="local-lvm:cloudinit")
        case "start" | "stop":
            double.ask("POST", f"{vm}/status/{what}")
        case "grow":
            double.ask("PUT", f"{vm}/resize", disk="scsi0", size="+1G")
        case "change":
            double.ask("PUT", f"{vm}/config", scsi1="local-lvm:4", memory=4096)
        case "destroy":
            double.ask("DELETE", vm)
        case "wait":
            double.clock.advance(number)
        case "break":
            double.world.faults.tasks(KINDS[number], TaskScript(error="broken"))


@settings(max_examples=25, deadline=None)
@given(st.lists(ACTS, min_size=15, max_size=30))
def test_nothing_is_lost_and_everything_can_be_removed(acts: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        double = Asking(Path(folder))
        double.make_template()
        double.create(101)
        for what, number in acts:
            act(double, what, number)
            assert double.world.orphans() == []
        double.clock.advance(100)
        double.get("/version")
        assert all(not task.running for task in double.world.tasks.all.values())
        for _attempt in range(len(acts) + 2):  # each order of "broken" strikes once
            for vmid in sorted(double.world.vms):
                double.ask("POST", f"{NODE}/qemu/{vmid}/status/stop")
                double.clock.advance(10)
                double.ask("DELETE", f"{NODE}/qemu/{vmid}")
                double.clock.advance(10)
        double.get("/version")
        assert (double.world.vms, double.get(f"{NODE}/storage/local-lvm/content")) == ({}, [])
