"""Packages, modules, programs and images of a machine that its provider does not equip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.artifacts.images import StoredImage
from lab.artifacts.stock import Stock
from lab.hosts.changes import INCOMING, HostChange
from lab.hosts.payload import Held, asked, bring_after, bring_before, missing
from lab.render.bundle import Bundle, bundle, pins
from tests.fakes import FULL_MACHINES, FakeSsh, sent
from tests.world import inventory

PAUSE = "registry.k8s.io/pause:3.10"


@pytest.fixture
def wanted(tmp_path: Path) -> Bundle:
    """A worker with its stock: every program is a file named by a digest, one image with the id `c0ffee`."""
    made = bundle(inventory(), FULL_MACHINES, pins(inventory()), "worker-1")
    programs = {item.artifact: tmp_path / f"digest-of-{item.artifact}" for item in made.binaries}
    image = StoredImage(PAUSE, tmp_path / "c0ffee", (tmp_path / "1a7e",))
    for path in (image.config, *image.layers):
        path.write_text(path.name)
    images = {PAUSE: image}
    return replace(made, stock=Stock(programs, images), images=images)


def all_there(wanted: Bundle) -> Held:
    programs = {item.path: f"digest-of-{item.artifact}" for item in wanted.binaries}
    return Held(programs=programs, images={PAUSE: "c0ffee"})


def test_a_machine_that_is_equipped_by_its_provider_is_asked_for_its_images_alone(wanted: Bundle) -> None:
    layered = replace(wanted, stock=None)
    assert asked(layered) == {"packages": [], "modules": [], "programs": []}
    lost = missing(layered, Held(images={}))
    assert [change.sentence for change in lost] == [f"import image {PAUSE}"]
    assert missing(layered, Held(images={PAUSE: "c0ffee"})) == []
    assert missing(layered, Held()) == [], "a runtime that does not answer says nothing of its images"
    assert asked(replace(layered, images={})) is None


def test_a_machine_that_has_all_of_it_needs_nothing(wanted: Bundle) -> None:
    assert missing(wanted, all_there(wanted)) == []
    request = asked(wanted)
    assert request
    assert "/usr/local/bin/kubelet" in request["programs"]
    assert "vxlan" in request["modules"]


def test_what_is_missing_or_another_is_brought_in_the_order_in_which_it_is_needed(wanted: Bundle) -> None:
    programs = dict(all_there(wanted).programs) | {"/usr/local/bin/containerd": "an older one"}
    del programs["/opt/cni/bin/bridge"]
    held = Held(
        missing_packages=["conntrack"],
        missing_modules=["vxlan"],
        programs=programs,
        images={PAUSE: "decaf"},
    )
    changes = missing(wanted, held)
    assert [change.sentence for change in changes] == [
        "install conntrack",
        "load modules vxlan",
        "install /usr/local/bin/containerd",
        "install /opt/cni/bin/bridge",
        f"import image {PAUSE}",
    ]
    put = ("install", "-D", "-m", "0755", f"{INCOMING}/digest-of-containerd", "/usr/local/bin/containerd")
    assert changes[2].commands == (put, ("systemctl", "try-restart", "containerd"))
    assert changes[3].commands[1:] == (), "nobody runs a CNI program all the time"


def test_things_are_brought_over_ssh_and_nothing_waits_for_ever(wanted: Bundle) -> None:
    ssh = FakeSsh()
    ssh.on("", "", "")
    changes = missing(wanted, Held(missing_packages=["conntrack", "runc"]))
    bring_before(ssh, "worker-1", changes)
    packages, *programs = [call.command for call in ssh.calls]
    assert "apt-get -qq" in packages
    assert packages.endswith("install --yes --no-install-recommends conntrack runc")
    assert len(programs) == len(wanted.binaries)
    assert {call.stdin for call in ssh.calls[1:]} == {str(path) for path in wanted.stock.programs.values()}  # type: ignore[union-attr]
    ssh.calls.clear()
    bring_after(ssh, "worker-1", changes)
    assert wanted.stock
    assert [call.poured for call in ssh.calls] == [sent(wanted.stock.images[PAUSE].write_to), b"", b""]
    imported, pinned, gone = [call.command for call in ssh.calls]
    assert "images import" in imported
    assert f"label {PAUSE} io.cri-containerd.pinned=pinned" in pinned
    assert gone == f"rm -rf {INCOMING}"


def test_a_change_without_equipment_takes_no_round_trip() -> None:
    ssh = FakeSsh()
    changes = [HostChange("sysctl", commands=(("sysctl", "-w", "a=1"),))]
    bring_before(ssh, "worker-1", changes)
    bring_after(ssh, "worker-1", changes)
    assert ssh.calls == []
