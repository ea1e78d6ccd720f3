"""From a name to an inventory: finding, reading, refusing, rehearsing."""

from __future__ import annotations

import os
import time
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from addons.metallb.section import MetalLB
from lab.errors import InputError
from lab.inventory import files, load
from lab.inventory.loading import RefusedError, parse
from lab.inventory.models import Arch, HostRole, Inventory
from lab.inventory.providers import ProviderName

FIXTURES = Path(__file__).parents[2] / "fixtures" / "inventory" / "valid"
SMALL = """\
lab: small
provider: lxc
network: {lan: 10.1.0.0/16, gateway: 10.1.0.1}
kubernetes: {pod_subnet: 10.128.0.0/12, service_subnet: 10.96.0.0/12}
metallb: {pools: [{name: default, addresses: [10.1.255.1-10.1.255.100]}]}
hosts:
  haproxy: {role: load-balancer, address: 10.1.0.2}
  m-1: {role: control-plane, address: 10.1.0.11}
  m-2: {role: control-plane, address: 10.1.0.12}
  m-3: {role: control-plane, address: 10.1.0.13}
"""


def many(hosts: int) -> str:
    """An inventory of so many workers, every common field written."""
    return SMALL + "".join(
        f"  w-{n}: {{role: worker, address: 10.1.{1 + n // 250}.{n % 250}, os: debian-12, cpus: 2, "
        f"memory_gib: 2, disk_gib: 20, labels: {{example.com/rack: r-{n % 7}}}}}\n"
        for n in range(hosts)
    )


def refusal(source: str | Path) -> str:
    with pytest.raises(InputError) as refused:
        load(str(source))
    assert refused.value.exit_code == 2
    return refused.value.message


def test_the_default_lab_is_the_platform_in_small() -> None:
    lab = load("rehearsal")
    assert (lab.lab, lab.provider, lab.disposable) == ("rehearsal", ProviderName("lxc"), True)
    assert (lab.balancer, lab.endpoint) == ("haproxy", "10.1.1.50:6443")
    assert [str(lab.hosts[name].address) for name in lab.masters] == ["10.1.1.11", "10.1.1.12", "10.1.1.13"]
    assert [str(lab.hosts[name].address) for name in lab.workers] == ["10.1.1.31", "10.1.1.32"]
    assert lab.nodes == lab.masters + lab.workers
    assert str(lab.kubernetes.pod_subnet) == "10.244.0.0/16"
    assert str(lab.kubernetes.service_subnet) == "10.96.0.0/12"
    assert [str(part) for part in lab.section(MetalLB).pools[0].addresses] == ["10.1.1.100-10.1.1.150"]
    assert lab.nameservers == (IPv4Address("10.1.1.1"),)
    assert lab.interface("worker-1") == IPv4Interface("10.1.1.31/24")
    assert (lab.warnings, lab.notes) == ((), ())


def test_production_is_the_whole_platform() -> None:
    lab = load("production")
    assert (len(lab.hosts), len(lab.nodes), len(lab.masters), len(lab.workers)) == (16, 15, 3, 12)
    amd64 = [
        str(host.address)
        for host in lab.hosts.values()
        if host.arch is Arch.AMD64 and host.role is HostRole.WORKER
    ]
    assert amd64 == [f"10.1.1.{last}" for last in range(31, 41)]
    pis = [host for host in lab.hosts.values() if host.hardware == "raspberry-pi-5"]
    assert [str(host.address) for host in pis] == ["10.1.1.60", "10.1.1.61"]
    assert {(host.cpus, host.memory_gib, host.disk_gib) for host in pis} == {(4, 8, 64)}
    assert {(host.arch, host.os, host.provider) for host in pis} == {
        (Arch.ARM64, "ubuntu-24.04", ProviderName("static"))
    }
    assert str(lab.network.management) == "10.0.0.0/24"
    assert lab.hypervisors["pve-1"].cpus == 32
    assert lab.hypervisors["pve-1"].memory_gib == 128
    assert lab.warnings == ()


def test_an_inventory_is_frozen() -> None:
    lab = load("rehearsal")
    with pytest.raises(ValueError, match="frozen"):
        lab.lab = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        lab.hosts["worker-1"].cpus = 9  # type: ignore[misc]


def test_versions_have_one_spelling() -> None:
    lab = parse(
        many(1).replace("kubernetes: {", "containerd: {version: v1.7.28}\nkubernetes: {version: 1.31.0, "),
        "x.yaml",
    )
    assert (lab.kubernetes.version, lab.containerd.version) == ("v1.31.0", "1.7.28")


def test_derived_mac_addresses_are_local_and_apart() -> None:
    lab = parse(many(200), "x.yaml")
    macs = {lab.mac(name) for name in lab.hosts}
    assert len(macs) == len(lab.hosts)
    assert all(mac.startswith("02:") for mac in macs)


# --- finding and reading


@pytest.mark.parametrize("name", ["nope", "", "nope.yaml", "no/such/file", "\0", "x" * 300, "/" + "x" * 300])
def test_what_does_not_exist_is_told_with_what_does(name: str) -> None:
    message = refusal(name)
    assert "does not exist" in message
    assert "production, rehearsal" in message


def test_a_pipe_is_no_file_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a regular file" in refusal(tmp_path / "pipe.yaml")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"# only a comment\n", "must be a mapping"),
        (b"lab: x\x00y", "binary"),
        (b"\x7fELF\x02\x01\x01\x00", "binary"),
        ("lab: x".encode("utf-16"), "UTF-16"),
        (b"lab: x\nprovider: \xff\n", ":2: holds bytes that are not UTF-8"),
        (b"lab: " + b"x" * files.MAX_BYTES, "larger than 1 MiB"),
    ],
)
def test_bytes_that_are_no_inventory_are_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(raw)
    assert words in refusal(path)


def test_a_file_that_may_not_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("lab: x")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    assert "Permission denied" in refusal(path)


def test_messages_call_a_file_as_people_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("lab: x\n")
    assert refusal(tmp_path / "mine.yaml").startswith(f"{tmp_path}/mine.yaml:1: ")
    monkeypatch.chdir(tmp_path)
    assert refusal("mine.yaml").startswith("mine.yaml:1: ")


def test_a_private_key_is_shown_nowhere() -> None:
    secret = "-----BEGIN RSA PRIVATE KEY-----"
    for place in (
        f"ssh: {{authorized_keys: ['{secret}']}}",
        f"ssh: {{authorized_keys: '{secret}'}}",
        f"lab: '{secret}'",
    ):
        with pytest.raises(InputError) as refused:
            parse(place, "x.yaml")
        assert secret not in str(refused.value)


# --- rehearsing


def test_any_topology_can_be_rehearsed_here() -> None:
    real, lab = load("production"), load("production", provider="lxc")
    assert list(lab.hosts) == list(real.hosts)
    assert [host.address for host in lab.hosts.values()] == [host.address for host in real.hosts.values()]
    assert (lab.provider, lab.lab, lab.disposable) == (ProviderName("lxc"), "production-lxc", True)
    for host in lab.hosts.values():
        assert (host.provider, host.arch, host.hardware, host.os, host.hypervisor) == (
            None,
            Arch.AMD64,
            "vm",
            "debian-12",
            None,
        )
    assert "lab: production -> production-lxc" in lab.notes
    assert "arch: arm64 -> amd64 (pi-1, pi-2)" in lab.notes
    assert "proxmox: 10.0.0.11 -> none" in lab.notes


def test_a_lab_of_the_same_provider_is_left_as_it_is() -> None:
    assert load("rehearsal", provider="lxc") == load("rehearsal")


@pytest.mark.parametrize(
    ("provider", "words"), [("docker", "must be one of lxc"), ("static", "cannot stand in")]
)
def test_a_provider_that_cannot_stand_in_is_refused(provider: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load("production", provider=provider)


def test_a_rehearsal_drops_what_has_no_place_there() -> None:
    text = SMALL.replace("provider: lxc", "provider: proxmox").replace("10.1.0.1}", "10.1.0.1, vlan: 7}")
    text += "  w-1: {role: worker, address: 10.1.0.31}\n"
    text += "proxmox: {host: pve, token: plumbline@pve!build}\n"
    text += "hypervisors: {pve: {cpus: 32, memory_gib: 128, disk_gib: 900}}\n"
    for number, name in enumerate(("haproxy", "m-1", "m-2", "m-3", "w-1")):
        text = text.replace(f"  {name}: {{", f"  {name}: {{hypervisor: pve, vmid: {100 + number}, ")
    lab = parse(text, "x.yaml", provider="vagrant")
    assert lab.network.vlan is None
    assert "network.vlan: 7 -> none" in lab.notes
    assert all(host.vmid is None for host in lab.hosts.values())


# --- speed


def seconds(hosts: int) -> float:
    text = many(hosts)
    start = time.process_time()  # other work on the machine must not count
    lab = parse(text, "x.yaml")
    assert isinstance(lab, Inventory)
    return time.process_time() - start


def test_a_thousand_machines_load_in_time_and_the_cost_of_one_stays_flat() -> None:
    seconds(10)
    small, large = min(seconds(100) for _ in range(3)), seconds(1000)
    assert large < 5
    assert large / 1000 < 3 * small / 100, f"{small / 100:.5f} s a host of 100, {large / 1000:.5f} s of 1,000"


def test_warnings_are_told_behind_errors() -> None:
    """Whoever mended the errors was told of a warning only then."""
    text = (FIXTURES / "nameservers-mixed.yaml").read_text()
    [warning] = parse(text, "it.yaml").warnings
    with pytest.raises(RefusedError) as refused:
        parse(text.replace("role: worker,", "role: worker, cpus: 0,"), "it.yaml")
    errors = refused.value.message.splitlines()
    assert all("hosts.worker-" in line for line in errors)
    assert str(refused.value).splitlines() == [*errors, warning]


@pytest.mark.parametrize("name", [".", ".."])
def test_a_folder_is_told_with_the_files_in_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "labs" / "more"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert "is a folder with no YAML file in it" in refusal(name)
    (folder / "a.yaml").touch()
    (folder.parent / "b.yml").touch()
    assert f"is a folder with {'a.yaml' if name == '.' else 'b.yml'} in it" in refusal(name)


@pytest.mark.parametrize(
    ("written", "proposed"),
    [
        ("1.5", "write 1 or 2"),
        ("0.5", "write 1"),
        ("256.5", "write 256"),
        ("4.0", "write 4"),
        ("1e2", "write 100"),
        ("1e30", "write digits alone, without quotes, as 4"),
        ('"8"', "write 8"),
        ("many", "write digits alone, without quotes, as 4"),
    ],
)
def test_for_a_whole_number_one_is_proposed_that_the_field_takes(written: str, proposed: str) -> None:
    text = (FIXTURES / "minimal.yaml").read_text()
    with pytest.raises(RefusedError) as refused:
        parse(text.replace("{role: load-balancer,", f"{{role: load-balancer, cpus: {written},"), "it.yaml")
    assert refused.value.message.endswith(f"must be a whole number; {proposed}")
