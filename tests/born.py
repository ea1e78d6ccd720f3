"""What a fake cluster was born with, kept as kubeadm keeps it: ConfigMaps, static pods, certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lab.cluster.kubeadm_flags import COMPONENTS, constant_flags
from lab.cluster.settled import arguments
from lab.hosts.settled import KUBE_PROXY, KUBEADM_CONFIG, NODES
from lab.render.bundle import pins
from lab.render.kubeadm import init

if TYPE_CHECKING:
    from tests.fakes import Call
    from tests.world import World


def found(world: World, documents: str) -> None:
    """The ConfigMaps that `kubeadm init` writes."""
    kinds = {item["kind"]: item for item in yaml.safe_load_all(documents)}
    upload(world, kinds["ClusterConfiguration"])
    settings = yaml.safe_dump(kinds["KubeProxyConfiguration"])
    world.api.objects[KUBE_PROXY] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "data": {"config.conf": settings, "kubeconfig.conf": ""},
    }


def upload(world: World, cluster: dict[str, Any]) -> None:
    """kubeadm's own ConfigMap."""
    world.api.objects[KUBEADM_CONFIG] = {"data": {"ClusterConfiguration": yaml.safe_dump(cluster)}}


def configuration(world: World) -> dict[str, Any]:
    """The ClusterConfiguration that the cluster holds."""
    held: dict[str, Any] = yaml.safe_load(world.api.objects[KUBEADM_CONFIG]["data"]["ClusterConfiguration"])
    return held


def command(world: World, cluster: dict[str, Any], component: str, name: str) -> list[str]:
    """The command line that kubeadm makes for a static pod (its `manifests.go`)."""
    networking = cluster["networking"]
    flags = constant_flags(cluster, component)
    if component != "kube-scheduler":
        flags |= {"service-cluster-ip-range": networking["serviceSubnet"]}
    if component == "kube-apiserver":
        port = cluster["controlPlaneEndpoint"].rpartition(":")[2]
        flags |= {"advertise-address": str(world.inventory.hosts[name].address), "secure-port": port}
    if component == "kube-controller-manager":
        flags |= {"cluster-cidr": networking["podSubnet"]}
    flags |= arguments(cluster, component)
    return [component, *(f"--{key}={value}" for key, value in flags.items())]


def start(world: World, name: str) -> None:
    """A node has joined: its part of the pods' addresses, a master's static pods and certificate."""
    world.hosts[name].address = str(world.inventory.hosts[name].address)
    if KUBEADM_CONFIG not in world.api.objects:
        found(world, init(world.inventory, world.provider.traits_of(name), pins(world.inventory), name))
    if name not in world.inventory.masters:
        return
    cluster, host = configuration(world), world.hosts[name]
    host.pods = {component: command(world, cluster, component, name) for component in COMPONENTS}
    host.names = frozenset({*cluster["apiServer"]["certSANs"], "kubernetes"})


def answer(world: World, name: str, paths: list[str]) -> dict[str, Any]:
    """What `lab/hosts/remote_settled.py` says there."""
    host = world.hosts[name]
    alive = host.joined and world.api.answers
    items = [
        {
            "metadata": {"name": item},
            "spec": {"podCIDR": f"10.244.{number}.0/24"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": world.hosts[item].address}],
                "conditions": [{"type": "Ready", "status": str(world.alive(item))}],
            },
        }
        for number, item in enumerate(world.joined())
    ]
    held = {path: {"items": items} if path == NODES else world.api.objects.get(path) for path in paths}
    pod = {
        f"{key}.yaml": yaml.safe_dump({"spec": {"containers": [{"name": key, "command": line}]}})
        for key, line in host.pods.items()
    }
    return {
        "joined": host.joined,
        "running": {key: [line] for key, line in host.pods.items()} if alive else {},
        "manifests": pod,
        "healthy": dict.fromkeys(host.pods, alive and name in world.etcd),
        "served": certificate(host.names) if alive else "",
        "certificate": certificate(host.names) if host.names else "",
        "documents": held if paths and alive else None,
    }


@cache
def certificate(names: frozenset[str]) -> str:
    """A certificate with these names, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def teach(world: World) -> None:
    """Phases of `kubeadm init`, and HAProxy's admin socket, as far as reconfigure needs them."""
    world.ssh.on("", "--config /run/plumbline/kubeadm.yaml; code", lambda call: _phase(world, call))
    world.ssh.on("", "rm -rf /etc/kubernetes/plumbline-pki &&", "")
    world.ssh.on("", "&& rm -rf /etc/kubernetes/plumbline-pki", lambda call: _exchanged(world, call))
    world.ssh.on("", "socat", lambda call: _haproxy(world, call))
    world.api.objects["/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"] = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system", "generation": 1},
        "spec": {"template": {"metadata": {}}},
        "status": {
            "desiredNumberScheduled": 1,
            "numberReady": 1,
            "updatedNumberScheduled": 1,
            "observedGeneration": 1,
        },
    }


def _phase(world: World, call: Call) -> str:
    phase = call.command.partition("kubeadm init phase ")[2].partition(" --config")[0]
    world.events.append((call.host, phase))
    kinds = {item["kind"]: item for item in yaml.safe_load_all(call.stdin)}
    cluster = kinds["ClusterConfiguration"]
    host = world.hosts[call.host]
    match phase.split():
        case ["control-plane", part]:
            component = f"kube-{part}"
            host.pods[component] = command(world, cluster, component, call.host)
        case ["upload-config", "kubeadm"]:
            upload(world, cluster)
        case ["certs", "apiserver"]:
            host.made = frozenset({*cluster["apiServer"]["certSANs"], "kubernetes"})
        case _:
            raise AssertionError(phase)
    return ""


def _exchanged(world: World, call: Call) -> str:
    host = world.hosts[call.host]
    assert call.command.index("apiserver.key") < call.command.index("apiserver.crt")
    host.names = host.made
    return ""


def _haproxy(world: World, call: Call) -> str:
    words = call.command.partition("'")[2].partition("'")[0].split()
    if words[0] == "set":
        name, state = words[2].partition("/")[2], words[4]
        world.events.append((name, state))
        (world.drained.add if state == "drain" else world.drained.discard)(name)
        return "\n"
    if words[:3] == ["show", "servers", "state"]:
        lines = [
            f"3 kube-apiservers 1 {name} 10.1.1.11 2 {8 if name in world.drained else 0} 1"
            for name in world.inventory.masters
        ]
        head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
        return head + "\n".join(lines) + "\n"
    rows = "".join(f"kube-apiservers,{name},0\n" for name in world.inventory.masters)
    return f"# pxname,svname,scur\n{rows}"
