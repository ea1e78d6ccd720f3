"""A lab, opened: its provider, its hosts, its kubeconfig."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lab.errors import CommandError, DeadlineError, FailedError, InputError
from lab.inventory.models import Arch
from lab.inventory.providers import ProviderName
from lab.labs import Lab
from lab.providers.face import face
from lab.providers.lxc.provider import LxcProvider
from lab.providers.mixed import MixedProvider
from lab.providers.opening import provider_for, stocked
from lab.providers.static.provider import StaticProvider
from lab.providers.vagrant.face import noted_backend
from lab.providers.vagrant.provider import VagrantProvider
from tests.fakes import FakeProvider, FakeSsh
from tests.world import inventory


@pytest.fixture
def ssh() -> FakeSsh:
    return FakeSsh()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ssh: FakeSsh) -> Lab:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    return Lab(inventory(), tmp_path, FakeProvider(), ssh=ssh)


def test_a_host_is_found_by_name_and_an_unknown_one_refused_with_the_names(lab: Lab) -> None:
    assert str(lab.host("master-2").address) == "10.1.1.12"
    with pytest.raises(InputError, match="host master-9: no such host in test; there are: haproxy, master-1"):
        lab.host("master-9")


def test_the_lxc_provider_is_made_from_the_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_MACHINES", str(tmp_path))
    assert isinstance(Lab(inventory(), tmp_path).provider, LxcProvider)
    assert list(tmp_path.iterdir()) == []


def test_machines_that_exist_share_a_lab_with_those_that_are_made(tmp_path: Path) -> None:
    worker = inventory().hosts["worker-2"].model_copy(update={"provider": ProviderName("static")})
    wanted = inventory().model_copy(update={"hosts": {**inventory().hosts, "worker-2": worker}})
    assert isinstance(provider_for(wanted, tmp_path), MixedProvider)
    every = inventory().model_copy(update={"provider": ProviderName("static")})
    assert isinstance(provider_for(every, tmp_path), StaticProvider)
    assert stocked(wanted) == (Arch.AMD64,)
    assert stocked(inventory()) == ()


def test_vagrants_backend_is_what_the_first_build_noted_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAGRANT_DEFAULT_PROVIDER", raising=False)
    wanted = inventory().model_copy(update={"provider": ProviderName("vagrant")})
    assert isinstance(provider_for(wanted, tmp_path), VagrantProvider)
    assert noted_backend(tmp_path) == "libvirt"
    (tmp_path / "backend").write_text("lxc\n")
    assert noted_backend(tmp_path) == "lxc"


def test_a_chosen_backend_is_vagrants_and_nobody_elses(tmp_path: Path) -> None:
    wanted = inventory().model_copy(update={"provider": ProviderName("vagrant")})
    provider_for(wanted, tmp_path, backend="virtualbox").prepare()
    assert noted_backend(tmp_path / ".lab" / "test" / "vagrant") == "virtualbox"
    with pytest.raises(InputError, match="--backend: vmware: must be one of libvirt, virtualbox, lxc"):
        provider_for(wanted, tmp_path, backend="vmware")
    with pytest.raises(InputError, match="--backend: libvirt: lxc: takes no backend"):
        provider_for(inventory(), tmp_path, backend="libvirt")


def test_a_provider_that_is_none_is_never_taken_for_another() -> None:
    with pytest.raises(InputError, match="provider: kvm: must be one of "):
        face("kvm")


def test_what_a_checkout_keeps_of_a_lab_lies_in_one_folder(lab: Lab, tmp_path: Path) -> None:
    assert lab.folder == tmp_path / ".lab" / "test"
    assert lab.kubeconfig == lab.folder / "kubeconfig"


def test_the_kubeconfig_comes_from_the_first_master_that_has_one(lab: Lab, ssh: FakeSsh) -> None:
    ssh.on("master-1", "admin.conf", FailedError("master-1: not reachable by SSH"))
    ssh.on("master-2", "admin.conf", DeadlineError("master-2: `cat`", 10, "still running"))
    ssh.on("master-3", "admin.conf", "apiVersion: v1\n")
    assert lab.fetch_kubeconfig().read_text() == "apiVersion: v1\n"
    assert stat.S_IMODE(lab.kubeconfig.stat().st_mode) == 0o600
    assert [entry.name for entry in lab.folder.iterdir()] == ["kubeconfig"]


def test_c17_a_kubeconfig_that_is_the_same_is_left_alone_and_another_replaced(lab: Lab, ssh: FakeSsh) -> None:
    ssh.on("", "admin.conf", "one")
    lab.fetch_kubeconfig()
    before = lab.kubeconfig.stat().st_ino
    lab.fetch_kubeconfig()
    assert lab.kubeconfig.stat().st_ino == before
    ssh.on("", "admin.conf", "two")
    assert lab.fetch_kubeconfig().read_text() == "two"


def test_a_lab_without_a_cluster_has_no_kubeconfig(lab: Lab, ssh: FakeSsh) -> None:
    ssh.on("", "admin.conf", CommandError("m", "cat", 1, "No such file"))
    with pytest.raises(FailedError, match="test: no master has an administrator's kubeconfig"):
        lab.fetch_kubeconfig()
    assert not lab.kubeconfig.exists()
    assert [host for host, _ in ssh.commands()] == list(lab.inventory.masters)
