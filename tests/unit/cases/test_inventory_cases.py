"""Faults that people reported of inventories, each under its number: refused with place, value, rule and fix,
or taken as it was meant; and the same for what looks alike and is right.

The inputs are changes of the default lab and of the whole platform, as a person would write them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.metallb.section import MetalLB
from lab.errors import InputError
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from tests.unit.inventory.table import told

ROOT = Path(__file__).parents[3]
SMALL = (ROOT / "inventory" / "rehearsal.yaml").read_text()
WHOLE = (ROOT / "inventory" / "production.yaml").read_text()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMp7p8oR0Q9m7X0R2oZ0kPz3mYQ6a1n9p3Yl0u2v4w6y"


def changed(old: str, new: str, text: str = SMALL) -> str:
    """An inventory with one change; the text to be changed must be there."""
    assert old in text
    return text.replace(old, new)


def host(line: str) -> str:
    """The default lab with one machine more."""
    return f"{SMALL}  {line}\n"


def under(section: str, line: str, text: str = SMALL) -> str:
    """An inventory with one more line in a section."""
    return changed(f"\n{section}:\n", f"\n{section}:\n  {line}\n", text)


def taken(text: str) -> Inventory:
    return parse(text, "it.yaml")


def refused(text: str) -> list[str]:
    """What is told, a line for each problem; the command would end with 2."""
    with pytest.raises(InputError) as error:
        parse(text, "it.yaml")
    assert error.value.exit_code == 2
    assert "Traceback" not in str(error.value)
    return [line.rest for line in told(error.value.message)]


THREE_NUMBERS = 'must be text of three numbers; write all three and quote it, as "1.31.0"'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (changed("v1.31.0", "1.30"), "kubernetes.version: 1.30: is a number (1.3); "),
        (changed("v1.31.0", "1.31"), "kubernetes.version: 1.31: is a number; "),
        (SMALL + "containerd: {version: 1.10}\n", "containerd.version: 1.10: is a number (1.1); "),
        (SMALL + "flannel: {version: 0.20}\n", "flannel.version: 0.20: is a number (0.2); "),
        (under("metallb", "version: 0.10"), "metallb.version: 0.10: is a number (0.1); "),
        (under("ingress", "version: 3.10"), "ingress.version: 3.10: is a number (3.1); "),
    ],
)
def test_c01_a_version_that_is_a_number_is_refused(text: str, line: str) -> None:
    assert refused(text) == [line + THREE_NUMBERS]


@pytest.mark.parametrize("written", ["1.31.0", "v1.31.0", '"1.31.0"', '"v1.31.0"'])
def test_c01_a_version_of_three_numbers_is_taken_with_or_without_v(written: str) -> None:
    assert taken(changed("v1.31.0", written)).kubernetes.version == "v1.31.0"


@pytest.mark.parametrize("written", ['"1.3.0"', '"1.310.0"', '"1.31"'])
def test_c01_no_version_is_taken_for_another_that_begins_like_it(written: str) -> None:
    [line] = refused(changed("v1.31.0", written))
    assert line.startswith(f"kubernetes.version: {written}: ")


@pytest.mark.parametrize("written", ["52:54:00:12:34:56", "02:00:00:00:00:11"])
def test_c02_a_mac_address_of_digits_is_text(written: str) -> None:
    lab = taken(changed("10.1.1.31}", f"10.1.1.31, mac: {written}}}"))
    assert lab.mac("worker-1") == written


@pytest.mark.parametrize("written", ["no", "on", "0600", "1_000", "2026-10-31"])
def test_c02_a_label_is_what_was_written(written: str) -> None:
    lab = taken(changed("10.1.1.31}", f"10.1.1.31, labels: {{rack: {written}}}}}"))
    assert lab.hosts["worker-1"].labels == {"rack": written}


@pytest.mark.parametrize(
    ("written", "rule"), [("true", "is a truth value"), ("1.30", "is a number (1.3)"), ("7", "is a number")]
)
def test_c02_a_label_that_yaml_took_for_something_else_is_refused(written: str, rule: str) -> None:
    [line] = refused(changed("10.1.1.31}", f"10.1.1.31, labels: {{rack: {written}}}}}"))
    assert line == f'hosts.worker-1.labels.rack: {written}: {rule}; must be text; quote it: "{written}"'


PIS = "".join(f"  pi-{n}: {{role: worker, address: 10.1.1.6{n - 1}}}\n" for n in (1, 2))
POOLS = changed("ingress:\n  address: 10.1.1.100\n", "") + PIS


@pytest.mark.parametrize(
    ("pool", "meant", "addresses"),
    [
        ("10.1.1.14-10.1.1.20", "10.1.1.14-10.1.1.20", 7),
        ("10.1.1.210-10.1.1.210", "10.1.1.210-10.1.1.210", 1),
        ("10.1.1.210/32", "10.1.1.210-10.1.1.210", 1),
        ("10.1.1.112/28", "10.1.1.112-10.1.1.127", 16),
        ("10.1.1.100-150", "10.1.1.100-10.1.1.150", 51),
    ],
)
def test_c04_a_pool_is_every_address_that_it_names(pool: str, meant: str, addresses: int) -> None:
    [found] = taken(changed("10.1.1.100-10.1.1.150", pool, POOLS)).section(MetalLB).pools[0].addresses
    assert (str(found), len(found)) == (meant, addresses)


@pytest.mark.parametrize(
    ("pool", "rule", "fix"),
    [
        ("10.1.1.251-10.1.1.259", "259 is not an octet, which goes from 0 to 255", "correct the address"),
        (
            "10.1.1.020-10.1.1.030",
            "the octet 020 has a leading zero",
            "write 10.1.1.20-10.1.1.30",
        ),
        ("10.1.1.20-030", "the octet 030 has a leading zero", "write 10.1.1.20-30"),
        ("10.1.1.120-10.1.1.100", "the range starts after its end", "write 10.1.1.100-10.1.1.120"),
    ],
)
def test_c04_a_pool_that_is_no_range_is_refused(pool: str, rule: str, fix: str) -> None:
    [line] = refused(changed("10.1.1.100-10.1.1.150", pool, POOLS))
    assert line == f"metallb.pools[0].addresses[0]: {pool}: {rule}; {fix}"


@pytest.mark.parametrize(
    ("pool", "owners"),
    [
        ("10.1.1.48-10.1.1.63", ("10.1.1.50 (haproxy)", "10.1.1.60 (pi-1)", "10.1.1.61 (pi-2)")),
        (
            "10.1.1.0/24",
            ("10.1.1.0 (network)", "10.1.1.255 (broadcast)", "10.1.1.1 (gateway)", "10.1.1.11 (master-1)"),
        ),
    ],
)
def test_c04_every_address_of_somebody_in_a_pool_is_told_at_once(pool: str, owners: tuple[str, ...]) -> None:
    [line] = refused(changed("10.1.1.100-10.1.1.150", pool, POOLS))
    assert all(owner in line for owner in owners), line
    assert "choose free addresses, as 10.1.1." in line


def test_c05_a_hyphen_is_a_part_of_a_name() -> None:
    text = host("lab-w-01: {role: worker, address: 10.1.1.33}")
    lab = taken(f"{text}  pi-5-a: {{role: worker, address: 10.1.1.60}}\n")
    assert {"lab-w-01", "pi-5-a"} <= set(lab.workers)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            f"{host('lab-w-03: {role: worker, address: 10.1.1.33}')}"
            "  lab-w-03: {role: worker, address: 10.1.1.34}\n",
            "hosts.lab-w-03: this key stands twice, on lines 31 and 32; remove one of them",
        ),
        (
            f"{host('lab-w-03: {role: worker, address: 10.1.1.33}')}"
            "  lab-w-04: {role: worker, address: 10.1.1.33}\n",
            "hosts.lab-w-04.address: 10.1.1.33: duplicate address 10.1.1.33, which is hosts.lab-w-03's",
        ),
        (host("lab-w-[01-10]: {role: worker, address: 10.1.1.33}"), 'hosts["lab-w-[01-10]"]: may hold only'),
        (SMALL + "workers: lab-w-[01-10] from 10.1.1.31\n", "workers: unknown key; known are: lab, "),
    ],
    ids=["repeated key", "repeated address", "range in a name", "range of names"],
)
def test_c05_a_host_that_would_get_lost_is_refused(text: str, line: str) -> None:
    [said] = refused(text)
    assert said.startswith(line)


@pytest.mark.parametrize(
    ("text", "network", "shared", "free"),
    [
        (changed("10.1.1.", "10.244.1."), "pod_subnet", "10.244.1.0-10.244.1.255", "10.0.0.0/16"),
        (changed("10.1.1.", "10.100.7."), "service_subnet", "10.100.7.0-10.100.7.255", "10.0.0.0/12"),
        (
            changed("management: 10.0.0.0/24", "management: 10.96.4.0/24", WHOLE),
            "service_subnet",
            "10.96.4.0-10.96.4.255",
            "10.16.0.0/12",
        ),
    ],
    ids=["lan in pods", "lan in services", "management in services"],
)
def test_c07_networks_that_share_addresses_are_refused(
    text: str, network: str, shared: str, free: str
) -> None:
    [line] = refused(text)
    assert line.startswith(f"kubernetes.{network}: ")
    assert f"share {shared} [network." in line
    assert line.endswith(f"; move kubernetes.{network} to {free}")


def test_c08_what_yaml_took_for_a_mapping_is_refused_by_its_index() -> None:
    """A key whose comment has a colon and a blank; other lines that a person adds are keys as well."""
    items = f"    - {KEY} card: two\n    -\n    - [sh, -c]\n"
    mapping, empty, listed = refused(f"{SMALL}ssh:\n  authorized_keys:\n{items}")
    assert mapping == (
        "ssh.authorized_keys[0]: is a mapping; must be text; "
        "put it in quotes: a colon and a blank make a mapping of it"
    )
    assert empty.startswith("ssh.authorized_keys[1]: is empty; ")
    assert listed.startswith("ssh.authorized_keys[2]: is a list; ")


def test_c08_a_command_with_a_colon_is_text_when_it_is_quoted() -> None:
    off = "echo phase: two > /run/lab-phase"
    lab = taken(host(f"pi: {{role: worker, address: 10.1.1.60, provider: static, power: {{off: '{off}'}}}}"))
    assert lab.hosts["pi"].power.off == off


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ('["ssh-ed25519 AAAAC3\\nabc"]', "is broken over several lines"),
        ("['-----BEGIN OPENSSH PRIVATE KEY-----']", "is a private key, which must never leave its owner"),
        ("[]", "must not be empty; add an entry, or leave the key out"),
        ('[""]', "is empty; paste one line of"),
    ],
)
def test_c10_a_key_that_is_none_is_refused_and_a_private_one_not_shown(written: str, rule: str) -> None:
    [line] = refused(f"{SMALL}ssh: {{authorized_keys: {written}}}\n")
    assert rule in line
    assert "BEGIN" not in line


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("etcd: {localEtcd: {dataDir: /data/etcd}}", "known are: version, pod_subnet"),
        ("ControlPlaneEndpoint: 10.1.1.50:6443", "known are: "),
        ("kubeletExtraArgs: {node-ip: 10.1.1.11}", "known are: "),
        ("bootstrapTokens: [{ttl: 0}]", "known are: "),
        ("podSubnet: 10.244.0.0/16", "did you mean pod_subnet?"),
        ("proxyMode: nftables", "did you mean proxy_mode?"),
    ],
)
def test_c13_what_kubeadm_would_not_know_is_no_key_of_ours_either(line: str, fix: str) -> None:
    """Its documents are rendered and cannot be written over, so nothing misspelt gets there."""
    [said] = refused(under("kubernetes", line))
    assert said.startswith(f"kubernetes.{line.partition(':')[0]}: unknown key; {fix}")


def test_c22_two_machines_cannot_have_one_number() -> None:
    text = changed("10.1.1.31, os", "10.1.1.31, vmid: 111, os", WHOLE)
    [line] = refused(changed("10.1.1.32, os", "10.1.1.32, vmid: 111, os", text))
    assert line.startswith("hosts.worker-2.vmid: 111: duplicate vmid 111, which is hosts.worker-1's as well")


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("lan", "has one label: clients refuse a certificate for *.lan"),
        ("home", "write home.home.arpa, or a domain of yours"),
    ],
)
def test_c43_a_domain_of_one_label_is_refused_with_a_proposal(domain: str, words: str) -> None:
    [line] = refused(under("ingress", f"domain: {domain}"))
    assert line.startswith(f"ingress.domain: {domain}: ")
    assert words in line


@pytest.mark.parametrize(("domain", "warned"), [("lab.local", True), ("lan.home.arpa", False), ("", False)])
def test_c43_a_domain_of_multicast_dns_is_warned_of(domain: str, warned: bool) -> None:
    found = taken(under("ingress", f"domain: {domain}") if domain else SMALL).warnings
    assert bool(found) is warned
    assert all("ingress.domain: lab.local: belongs to multicast DNS (RFC 6762)" in line for line in found)
