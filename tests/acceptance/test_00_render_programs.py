"""Layer render: what we render, judged by the programs that will read it and by Kubernetes' own schemas."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.addons import addons, selected
from lab.artifacts.wanted import wanted
from lab.artifacts.wanted_files import provide_files
from lab.catalogue.load import load_catalogue
from lab.checks.driver import Driver
from lab.checks.verbs import agrees, holds, nothing
from lab.cluster import kubeadm
from lab.local import Completed, Pour
from lab.objects import Object
from lab.providers.opening import outputs as provider_files
from lab.render.addons import addon_manifests, is_partial, objects
from lab.render.outputs import PLACEHOLDER, host_outputs
from lab.ssh import Keys, Ssh
from lab.verify.first_boot import NETWORK, Judged, judge
from lab.verify.programs import FILE, INSIDE, CheckedPrograms
from lab.verify.schemas import Schemas

FIRST_BOOT = r"(cloud-init|system-boot)/(user|vendor)-data"
"""The document of cloud-init: a whole seed's, or what a hypervisor lays beside its own."""
ALLOWED_BESIDE_A_DOCUMENT = {"--config", "--dry-run", "--ignore-preflight-errors", "--upload-certs"}
"""What kubeadm's ValidateMixedArguments lets stand beside --config, as far as it could matter here."""


def silent(_: str) -> None:
    """Artefacts that are at hand have nothing to say."""


@pytest.fixture(scope="session")
def programs(driver: Driver) -> CheckedPrograms:
    """The programs of the pinned versions."""
    return CheckedPrograms.provide(driver.inventory, say=silent)


@pytest.fixture(scope="session")
def manifests(driver: Driver) -> dict[str, Path]:
    """Upstream's manifests and the API's schemas."""
    names = [*addon_manifests(driver.inventory), "kubernetes-openapi"]
    return provide_files("auto", wanted(driver.inventory), names, say=silent)


@pytest.fixture(scope="session")
def applied(driver: Driver, manifests: dict[str, Path]) -> dict[str, list[Object]]:
    """The objects of each add-on."""
    return {addon.name: objects(driver.inventory, addon, manifests) for addon in selected(driver.inventory)}


@pytest.fixture(scope="session")
def outputs(driver: Driver) -> dict[str, dict[str, str]]:
    """Every file that is rendered for each host, by its path in the output of `invoke render`."""
    keys = Keys(driver.inventory.lab)
    found = {
        name: host_outputs(driver.inventory, driver.traits[name], driver.pins, keys, name)
        for name in driver.inventory.hosts
    }
    of_providers = list(provider_files(driver.inventory, keys))
    return {
        name: {
            path.partition("/")[2]: text
            for path, text in [*items, *of_providers]
            if path.startswith(f"{name}/")
        }
        for name, items in found.items()
    }


@pytest.fixture
def files(outputs: dict[str, dict[str, str]], host: str) -> dict[str, str]:
    """Every file of the test's host."""
    return outputs[host]


def read_by_cloud_init(path: str) -> bool:
    """Whether a file is a document of cloud-init's: of the first boot, or of the network."""
    return bool(re.fullmatch(FIRST_BOOT, path)) or path.endswith(NETWORK)


@pytest.fixture(scope="session")
def first_boots(programs: CheckedPrograms, outputs: dict[str, dict[str, str]]) -> dict[str, Judged]:
    """cloud-init's judgement of every host's documents, by host and path."""
    items = (
        (f"{host}/{path}", path, text) for host, found in outputs.items() for path, text in found.items()
    )
    return judge(programs, {name: text for name, path, text in items if read_by_cloud_init(path)})


def takes(subject: str, done: Completed, *, command: str) -> None:
    """A program found nothing wrong."""
    said = (done.stdout + done.stderr).strip()[-1500:]
    holds(subject, done.code == 0, expected="exit code 0", seen=f"{done.code}: {said}", command=command)


@pytest.mark.check("L0-03")
@pytest.mark.each("all")
def test_cloud_init_takes_its_documents(
    first_boots: dict[str, Judged], files: dict[str, str], host: str
) -> None:
    """cloud-init's own schema finds no error in the first boot, and its parser takes the network."""
    first_boot = {path: text for path, text in files.items() if re.fullmatch(FIRST_BOOT, path)}
    holds("first boot", len(first_boot) == 1, expected="one document", seen=sorted(first_boot))
    for text in first_boot.values():
        holds("first line", text.startswith("#cloud-config\n"), expected="#cloud-config", seen=text[:40])
    for path in filter(read_by_cloud_init, files):
        judged = first_boots[f"{host}/{path}"]
        takes(path, judged.done, command=judged.command)


@pytest.mark.check("L0-04")
@pytest.mark.each("nodes")
def test_kubeadm_takes_its_documents(programs: CheckedPrograms, files: dict[str, str]) -> None:
    """kubeadm of the pinned version finds every document of the node valid, and they are v1beta4."""
    documents = {path: text for path, text in files.items() if path.startswith("kubeadm/")}
    for path, text in documents.items():
        done = programs.over_file([str(programs.kubeadm), "config", "validate", "--config", FILE], text)
        takes(path, done, command=f"kubeadm config validate --config {path}")
        versions = {
            item["apiVersion"]
            for item in yaml.safe_load_all(text)
            if item["apiVersion"].startswith("kubeadm")
        }
        agrees(f"API version of {path}", versions, {"kubeadm.k8s.io/v1beta4"})


class Recorder(Ssh):
    """Notes commands instead of running them."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.commands: list[str] = []

    def run(
        self,
        host: str,  # noqa: ARG002
        command: str,
        *,
        seconds: float = 60,  # noqa: ARG002
        stdin: str | Path | Pour = "",  # noqa: ARG002
    ) -> str:
        """Note a command."""
        self.commands.append(command)
        return ""


@pytest.mark.check("L0-05")
def test_no_flag_stands_beside_a_document() -> None:
    """Every kubeadm command with a document has only flags beside it that kubeadm allows there."""
    recorder = Recorder()
    for verb in ("init", "join"):
        kubeadm.start(recorder, "host", verb, "")
    kubeadm.reset(recorder, "host", "", ())
    for command in recorder.commands:
        words = re.findall(r"kubeadm (?:init|join|reset)\b([^;]*)", command)[-1].split()
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        holds("flags", "--config" in flags, expected="--config", seen=command)
        nothing("flags beside --config", flags - ALLOWED_BESIDE_A_DOCUMENT, rule="none", command=command)


@pytest.mark.check("L0-06")
@pytest.mark.each("balancer")
def test_haproxy_takes_its_configuration(programs: CheckedPrograms, files: dict[str, str]) -> None:
    """HAProxy's own check finds no error, and nothing to warn of."""
    command = ["haproxy", "-c", "-f", f"{INSIDE}/haproxy.cfg"]
    done = programs.in_debian(command, {"haproxy.cfg": files["root/etc/haproxy/haproxy.cfg"]})
    takes("haproxy.cfg", done, command=" ".join(command))
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line]
    nothing("warnings", warnings, rule="none", command=" ".join(command))


@pytest.mark.check("L0-08")
@pytest.mark.each("all")
def test_nft_takes_the_firewall(programs: CheckedPrograms, files: dict[str, str]) -> None:
    """nft loads the ruleset twice in a dry run: on an empty machine, and over itself."""
    rules = {"rules": files["root/etc/nftables.conf"]}
    command = ["nft", "--check", "--file", f"{INSIDE}/rules"]
    takes("nftables.conf", programs.in_debian(command, rules), command=" ".join(command))
    again = f"nft --file {INSIDE}/rules && nft --file {INSIDE}/rules && nft list tables"
    done = programs.in_debian(["sh", "-c", again], rules)
    takes("nftables.conf, loaded twice", done, command=again)
    agrees("tables", done.stdout.split("\n")[:-1], ["table inet plumbline"], command=again)


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a TOML document with its path."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, document


@pytest.mark.check("L0-16")
@pytest.mark.each("nodes")
def test_containerd_takes_every_value_of_its_configuration(
    programs: CheckedPrograms, files: dict[str, str]
) -> None:
    """containerd's own dump of the configuration holds every value of the document: none is unknown to it."""
    text = files["root/etc/containerd/config.toml"]
    done = programs.over_file([str(programs.containerd), "--config", FILE, "config", "dump"], text)
    takes("config.toml", done, command="containerd config dump")
    known = dict(leaves(tomllib.loads(done.stdout)))
    # containerd leaves fields that it does not know out of its dump, without a word
    lost = {".".join(path): value for path, value in leaves(tomllib.loads(text)) if known.get(path) != value}
    nothing("values that containerd did not take", lost, rule="none", command="containerd config dump")


@pytest.mark.check("L0-17")
@pytest.mark.each("nodes")
def test_images_are_the_catalogues_and_the_catalogue_has_both_architectures(
    driver: Driver, applied: dict[str, list[Object]], files: dict[str, str], host: str
) -> None:
    """Every image that is named is pinned by the catalogue, which makes it for amd64 and arm64 alike."""
    named = {image for items in applied.values() for item in items for image in images_of(item)}
    named.add(tomllib.loads(files["root/etc/containerd/config.toml"])["plugins"][CRI]["sandbox_image"])
    selection = load_catalogue().select(wanted(driver.inventory))
    known = {image.tagged for _, image in selection.images()}
    nothing("images outside the catalogue", named - known, rule="none", command="invoke artifacts")
    arch = driver.inventory.hosts[host].arch.value
    lacking = [
        str(item)
        for item, component in selection.installed()
        if any(not digests.of(arch) for digests in component.sha256.values())
    ]
    nothing(f"programs without a digest for {arch}", lacking, rule="none", command="invoke artifacts")


CRI = "io.containerd.grpc.v1.cri"


def images_of(item: Object) -> Iterator[str]:
    """The images that an object's pods run."""
    pod = item.get("spec", {}).get("template", {}).get("spec", {})
    for container in (*pod.get("containers", ()), *pod.get("initContainers", ())):
        if "image" in container:
            yield container["image"]


@pytest.mark.check("L0-18")
def test_manifests_match_the_schemas_of_the_api(
    applied: dict[str, list[Object]], manifests: dict[str, Path]
) -> None:
    """Every object of every add-on fits the pinned API, without unknown fields and removed versions."""
    everything = [item for items in applied.values() for item in items]
    schemas = Schemas.load(manifests["kubernetes-openapi"], everything)
    patched = {addon.name for addon in addons() if is_partial(addon)}
    wrong = {
        name: errors
        for name, items in applied.items()
        if (errors := [line for item in items for line in schemas.errors(item, partial=name in patched)])
    }
    nothing("objects that do not fit", wrong, rule="none", command="invoke render")


@pytest.mark.check("L0-19")
@pytest.mark.each("nodes")
def test_a_joins_document_holds_no_secret(files: dict[str, str]) -> None:
    """The rendered join document holds placeholders where the secrets go."""
    document = next(yaml.safe_load_all(files["kubeadm/join.yaml"]))
    token = document["discovery"]["bootstrapToken"]["token"]
    agrees("token", token, PLACEHOLDER.token)
    key = document.get("controlPlane", {}).get("certificateKey", PLACEHOLDER.certificate_key)
    agrees("certificateKey", key, PLACEHOLDER.certificate_key)


@pytest.mark.check("L0-20")
def test_replicas_are_kept_on_different_nodes(applied: dict[str, list[Object]]) -> None:
    """A deployment of several replicas, or of as many as others chose, must not run twice on one node."""
    crowded, patched = [], {addon.name for addon in addons() if is_partial(addon)}
    for name, items in applied.items():
        for item in items:
            least = 2 if name in patched else 1
            if item["kind"] == "Deployment" and item["spec"].get("replicas", least) > 1:
                pod = item["spec"]["template"]["spec"]
                apart = pod.get("affinity", {}).get("podAntiAffinity") or pod.get("topologySpreadConstraints")
                crowded += [] if apart else [item["metadata"]["name"]]
    nothing("deployments that may crowd on one node", crowded, rule="none", command="invoke render")


@pytest.mark.check("L0-22")
def test_what_every_node_needs_tolerates_every_taint(applied: dict[str, list[Object]]) -> None:
    """No taint, NoExecute neither, takes a daemon of the platform from a node: its pods would be cut off."""
    evicted = [
        item["metadata"]["name"]
        for items in applied.values()
        for item in items
        if item["kind"] == "DaemonSet"
        and {"operator": "Exists"} not in item["spec"]["template"]["spec"].get("tolerations", [])
    ]
    nothing("daemons that a taint may evict", evicted, rule="none", command="invoke render")
