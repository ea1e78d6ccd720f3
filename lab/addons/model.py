"""What an add-on says of itself in `addons/NAME/addon.yaml`: pure data, without a decision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A name of Kubernetes' (RFC 1123)."""
FieldPath = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+$")]
"""SECTION.KEY of the inventory."""
Condition = Annotated[str, StringConstraints(pattern=r"^([a-z_]+(\.[a-z_]+)*(=[a-z0-9][a-z0-9-]*)?)?$")]
"""KEY.KEY of a section, that part of it is given; or KEY.KEY=VALUE."""
Workload = Annotated[
    str, StringConstraints(pattern=r"^(deployment|daemonset|statefulset|job)/[a-z0-9-]+/[a-z0-9.-]+$")
]
"""kind/namespace/name."""


class Data(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeclaredPort(Data):
    """A port: a number, or the field of the inventory that holds it. `name` is what messages call it."""

    name: str
    port: Annotated[int, Field(ge=1, le=65535)] | FieldPath
    protocol: Literal["tcp", "udp"]


class Listen(DeclaredPort):
    """A port that listens, and who may reach it: the firewall lets in nobody else.

    `operators` are the LAN, the management network, the networks of `ssh.networks` and, for a machine of
    Vagrant's, those by which Vagrant reaches it; `machines` are all of the lab, the balancer too; nobody
    named means that only the host itself may.
    """

    sources: tuple[Literal["operators", "nodes", "masters", "machines"], ...] = Field(alias="from")


class AddOnListen(Listen):
    """A port of an add-on: of every node, or with `at` of the one machine that its section calls so."""

    at: Label | Literal[""] = ""


class Secret(Data):
    """A random secret that an add-on's parts share, made on the cluster when it is missing.

    `kept`: people log in by it, so it is in the lab's data folder as well; a pod has it as a volume.
    """

    namespace: Label
    name: Label
    key: str
    kept: bool = False


class Certificate(Data):
    """A TLS secret signed by the lab's CA; renewed long before it ends.

    `server` is for the names of the lab's domain, `client` for NAME.DOMAIN, by which servers know who asks;
    a client's secret holds the CA (`ca.crt`) besides.
    """

    namespace: Label
    name: Label
    usage: Literal["server", "client"] = "server"


class WebhookCertificate(Data):
    """The first certificate of webhooks whose program renews them itself, in a Secret of its own manifest.

    A program that finds none makes one, and then waits until the kubelet brings the changed Secret into its
    pod: a minute and more, by chance. `authority` is the common name by which it knows its own CA.
    """

    namespace: Label
    name: Label
    service: Label
    authority: str
    organization: str


class Pods(Data):
    """Pods of a workload, and how many it has: a number, that of the nodes, or the field that holds it."""

    of: Workload
    count: Annotated[int, Field(ge=1)] | Literal["nodes"] | FieldPath


class Metrics(Data):
    """Where pods of an add-on answer with their metrics: a job of Prometheus, if the lab has one."""

    job: Label
    pods: tuple[Pods, ...] = Field(min_length=1)
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(min_length=1)
    """As their containers declare them; each is a target."""
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/metrics"
    own_labels: bool = False
    """They are about other objects than these pods, whose labels must not replace theirs."""


class Program(Data):
    """An artefact that is installed at a path of every node, mode 0755."""

    artifact: str
    path: Annotated[str, StringConstraints(pattern=r"^/")]


class Rights(Data):
    """What may be done at most with a path that somebody else writes: kubeadm, a daemon, a package.

    `path` is a pattern (glob(7), `**` for folders below), of which the first that matches counts; `mode` has
    every bit that may be set, `owner` all that are right.
    """

    path: Annotated[str, StringConstraints(pattern=r"^/")]
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3,4}$")]
    owner: tuple[str, ...] = ("root:root",)


class OnHosts(Data):
    """What an add-on needs on nodes, and makes there by itself, beside its pods."""

    programs: tuple[Program, ...] = ()
    folders: tuple[Annotated[str, StringConstraints(pattern=r"^(/[\w-]+(\.[\w-]+)*){2,}$")], ...] = ()
    """Emptied when a machine is let go."""
    chains: tuple[str, ...] = ()
    """Beginnings of the names of its iptables chains, which go as well."""
    texts: tuple[str, ...] = ()
    """Files that its checks read."""
    processes: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,14}$")], ...] = ()
    """Its programs by their names in the process table; there are faults that kill and stop each."""
    files: tuple[str, ...] = ()
    """Files (patterns) that its pods write into folders that somebody reads whole, as CNI's."""
    modes: tuple[Rights, ...] = ()
    """Rights of what its pods write."""


class AddOn(Data):
    """One folder of `addons/`. What else it may hold is found by its name (addons/README.md lists it)."""

    folder: Path
    """Filled in by the loader."""
    title: str
    """How people call it."""
    section: Annotated[str, StringConstraints(pattern=r"^([a-z_]+)?$")] = ""
    """Key of the inventory that makes it a part of a lab, and which it may share; empty: of every lab."""
    when: Condition = ""
    """What its section must say besides; empty: no more than that the section is there."""
    needs: tuple[Label, ...] = ()
    """Add-ons that are applied before it."""
    namespaces: tuple[Label, ...] = ()
    """Where its objects are; empty: it has none, and is a role of machines alone."""
    manifest: str = ""
    """The artefact that is upstream's own manifest; empty: all objects are ours."""
    ports: tuple[AddOnListen, ...] = ()
    """Ports of every node, or of one machine."""
    metrics: tuple[Metrics, ...] = ()
    ready: tuple[Workload, ...] = ()
    """Workloads that must run their newest version, or be done, before it counts as ready."""
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    webhook_certificates: tuple[WebhookCertificate, ...] = ()
    on_hosts: OnHosts = OnHosts()
    removed_first: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]+$")], ...] = ()
    """Kinds of which an object that left the inventory goes before a new one is applied; others go last."""
    provides: tuple[Literal["ingress", "alerts"], ...] = ()
    """What traffic may go through, or who knows of alerts: checks, faults and load find its client
    (`client.py`) by this word."""

    @property
    def name(self) -> str:
        """The folder's name as Kubernetes writes names: `cert_manager` is cert-manager."""
        return self.folder.name.replace("_", "-")

    @property
    def module(self) -> str:
        """The Python package of the folder."""
        return f"addons.{self.folder.name}"

    @property
    def path(self) -> tuple[str, ...]:
        """The place of the inventory that makes it a part of a lab; () for an add-on of every lab."""
        keys = self.when.partition("=")[0].split(".") if self.when else ()
        return (self.section, *keys) if self.section else ()

    @property
    def value(self) -> str:
        """What must stand at this place; "" when it is enough that something does."""
        return self.when.partition("=")[2]

    @property
    def condition(self) -> str:
        """The place, and the value if there is one, as people write it: `observability.logs.store: loki`."""
        return f"{'.'.join(self.path)}{f': {self.value}' if self.value else ''}"

    def is_part_of(self, inventory: object) -> bool:
        """Whether a lab has it: it is of every lab, or the inventory has its section and what `when` says."""
        found: object = inventory
        for key in self.path:
            found = getattr(found, key, None)
        return str(found) == self.value if self.value else found is not None

    @property
    def in_cluster(self) -> bool:
        """Whether it has objects in the cluster; else it is a role of machines alone."""
        return bool(self.namespaces)

    def has(self, file: str) -> bool:
        """Whether the folder holds a file."""
        return (self.folder / file).is_file()
