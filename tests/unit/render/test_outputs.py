"""Every output of any inventory: rendered, read back, and right in what a program could not tell."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given

from lab.inventory import load
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.providers import opening
from lab.providers.opening import traits_of
from lab.providers.proxmox.config import encoded_keys
from lab.render.bundle import Pins, bundle, pins
from lab.render.cloudinit import command_line_edit
from lab.render.outputs import everything, is_seed
from lab.ssh import KeyPair, Keys
from tests.unit.inventory.table import FIXTURES, VALID
from tests.unit.inventory.test_inventory_properties import FUZZ, as_yaml, inventories
from tests.world import MANIFESTS, inventory

PINS = pins(inventory())
CARD = "console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc"


class SameKeys(Keys):
    """One pair for everybody: making pairs is not what is tested here."""

    def own(self) -> KeyPair:
        return KeyPair("PRIVATE\n", "ssh-ed25519 AAAA own")

    def host(self, name: str) -> KeyPair:
        return KeyPair(f"PRIVATE {name}\n", f"ssh-ed25519 AAAA {name}")


def outputs(lab: Inventory, traits: Traits | None = None, images: Pins = PINS) -> dict[str, str]:
    by_host = dict.fromkeys(lab.hosts, traits) if traits else traits_of(lab)
    keys = SameKeys("test")
    return dict(everything(lab, by_host, images, keys, MANIFESTS, opening.outputs(lab, keys)))


OF_OTHERS = tuple(f"cluster/{name}.yaml" for name in ("alertmanager", "grafana", "loki", "prometheus"))


def well_formed(files: dict[str, str]) -> None:
    """Each file is what its name says, to the readers that hosts have (YAML 1.1)."""
    for path, text in files.items():
        # templates of Prometheus' own stand in summaries of alerts, of Alertmanager's and Grafana's in theirs
        ours = text if path not in OF_OTHERS else ""
        assert "{{" not in ours and "{%" not in ours, path
        if path.endswith((".yaml", "-data", "network-config")):
            assert list(yaml.safe_load_all(text)), path
        elif path.endswith(".toml"):
            tomllib.loads(text)
        elif path == "vagrant/machines.json":
            assert json.loads(text)["machines"]
        elif "/root/var/lib/plumbline/addons/" in path:
            assert json.loads(text).keys() == {"units", "folders", "files", "programs"}, path
        elif path.endswith(".json"):
            assert all(isinstance(value, str | int) for value in json.loads(text).values())
        else:
            assert not text or text.endswith("\n"), path


@FUZZ
@given(inventories())
def test_any_inventory_the_model_accepts_renders_twice_alike(data: dict[str, object]) -> None:
    lab = parse(as_yaml(data), "any.yaml")
    files = outputs(lab)
    well_formed(files)
    assert files == outputs(lab)
    assert {path.split("/")[0] for path in files} - {"vagrant"} == {*lab.hosts, "cluster"}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
@pytest.mark.parametrize("traits", [Traits(), Traits(True, True)], ids=["machine", "container"])
def test_every_valid_fixture_renders(path: Path, traits: Traits) -> None:
    well_formed(outputs(load(str(path)), traits))


@pytest.fixture(scope="module")
def production() -> dict[str, str]:
    return outputs(load("production"))


def test_a_machine_on_proxmox_has_fields_and_a_snippet_and_no_seed(production: dict[str, str]) -> None:
    names = {path.split("/", 1)[1] for path in production if path.startswith("master-1/") and is_seed(path)}
    assert names == {"cloud-init/vendor-data"}
    fields = json.loads(production["master-1/proxmox/config.json"])
    assert fields["ipconfig0"] == "ip=10.1.1.11/24,gw=10.1.1.1"
    assert fields["net0"].endswith(",bridge=vmbr0")
    assert fields["cicustom"] == "vendor=local:snippets/plumbline-production-master-1.yaml"
    assert fields["tags"] == "control-plane;plumbline;plumbline-production"
    assert (fields["cores"], fields["memory"], fields["ciupgrade"]) == (4, 8192, 0)


def test_what_proxmox_says_itself_is_not_in_the_snippet(production: dict[str, str]) -> None:
    snippet = yaml.safe_load(production["master-1/cloud-init/vendor-data"])
    assert not {"hostname", "fqdn", "users", "user", "ssh_authorized_keys", "network"} & set(snippet)
    files = {file["path"]: file["content"] for file in snippet["write_files"]}
    # its user-data asks for /etc/hosts from the distribution's template at every boot
    assert files["/etc/cloud/templates/hosts.ubuntu.tmpl"] == f"## template:jinja\n{files['/etc/hosts']}"


@pytest.mark.parametrize(
    "keys",
    [
        ["ssh-ed25519 AAAAC3FAKE/key+0= cardno:18 228 342", "ssh-rsa AAAAB3FAKE ops@lab.example (Büro)"],
        ["ssh-ed25519 AAAA a\r\n", "ssh-ed25519 BBBB b\n\n"],
    ],
)
def test_c10_keys_are_percent_encoded_with_nothing_left_safe(keys: list[str]) -> None:
    """C10: a colon or a slash in a key made the API refuse it."""
    sent = encoded_keys(keys)
    assert not set(sent) & set(":/+= @()\n\r")
    assert unquote(sent) == "\n".join(key.strip() for key in keys)


def test_a_vlan_is_a_tag_of_the_card() -> None:
    fields = json.loads(
        outputs(load(str(FIXTURES / "valid" / "proxmox-vlan.yaml")))["haproxy/proxmox/config.json"]
    )
    assert ",tag=" in fields["net0"]


def test_a_raspberry_pi_has_the_files_of_its_card(production: dict[str, str]) -> None:
    names = {path for path in production if path.startswith("pi-1/") and is_seed(path)}
    assert names == {f"pi-1/system-boot/{name}" for name in ("user-data", "meta-data", "network-config")}
    network = yaml.safe_load(production["pi-1/system-boot/network-config"])
    # nobody knows the card's MAC address, so the interface goes by its name
    assert set(network["ethernets"]) == {"eth0"}
    assert "match" not in network["ethernets"]["eth0"]
    user = yaml.safe_load(production["pi-1/system-boot/user-data"])
    assert user["runcmd"][0] == ["sh", "-ec", command_line_edit("cgroup_enable=memory")]
    assert user["power_state"]["condition"] == "! grep -qw memory /sys/fs/cgroup/cgroup.controllers"
    assert "linux-modules-extra-raspi" not in user["packages"]


@pytest.mark.parametrize(
    "before",
    [
        CARD,
        f"{CARD}\n",
        f"{CARD} cgroup_enable=memory\n",
        f"{CARD}\ncgroup_enable=memory\n",
        f"cgroup_enable=memory {CARD}\r\n".replace("\r", ""),
        f"{CARD} cgroup_enable=memory cgroup_enable=memory\n",
    ],
)
def test_c28_the_command_line_stays_one_line_with_the_option_once_at_its_end(
    tmp_path: Path, before: str
) -> None:
    """C28: options on a second line never took effect; a second run changes nothing."""
    card = tmp_path / "cmdline.txt"
    card.write_text(before)
    edit = ["sh", "-ec", command_line_edit("cgroup_enable=memory", str(card))]
    subprocess.run(edit, check=True)
    assert card.read_text() == f"{CARD} cgroup_enable=memory\n"
    stamp = card.stat().st_ino
    subprocess.run(edit, check=True)
    assert card.stat().st_ino == stamp, "written again"


def test_c28_a_card_without_the_file_is_refused_by_name(tmp_path: Path) -> None:
    edit = command_line_edit("cgroup_enable=memory", str(tmp_path / "cmdline.txt"))
    done = subprocess.run(["sh", "-ec", edit], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cmdline.txt: missing" in done.stderr


def test_mirrors_are_tried_in_order_before_the_registry_itself() -> None:
    files = outputs(load(str(FIXTURES / "valid" / "mirrors-and-access.yaml")))
    folder = "worker-1/root/etc/containerd/certs.d"
    hub = tomllib.loads(files[f"{folder}/docker.io/hosts.toml"])
    assert hub["server"] == "https://registry-1.docker.io"
    assert list(hub["host"]) == ["http://10.1.1.5:5000", "https://mirror.example.com/hub"]
    own = tomllib.loads(files[f"{folder}/registry.example.com:5000/hosts.toml"])
    assert own["server"] == "https://registry.example.com:5000"
    assert not [path for path in files if path.startswith("haproxy/") and "certs.d" in path]


def test_a_node_owns_the_mirrors_of_its_runtime_and_a_balancer_none() -> None:
    """Else a mirror that left the inventory would stay on every node; so would patches of masters."""
    lab = load("production")
    records = ("/var/lib/plumbline/addons/*.json",)
    owned = {name: bundle(lab, Traits(), PINS, name).owned for name in ("haproxy", "master-1", "pi-1")}
    nodes = ("/etc/containerd/certs.d/*/hosts.toml",)
    master = (*nodes, "/etc/kubernetes/patches/*.yaml")
    assert owned == {"haproxy": records, "master-1": master + records, "pi-1": nodes + records}
