"""The menu: `invoke --list` shows it, `invoke --help TASK` explains one."""

from invoke.collection import Collection
from invoke.tasks import Task

from lab.commands.groups import GROUPS
from lab.commands.menu import command

DEFAULT = "rehearsal"


@command("checking.validate")
def validate(inventory: str = DEFAULT, provider: str = "") -> None:
    """Check the inventory: every error at once."""


@command("checking.show")
def show(inventory: str = DEFAULT, provider: str = "") -> None:
    """Print the resolved inventory with what follows from it."""


@command("checking.init", positional=("name",), provider="who makes the machines")
def init(name: str, provider: str = "", lan: str = "", masters: str = "", workers: str = "") -> None:
    """Write a commented inventory from a few answers."""


@command("checking.docs")
def docs() -> None:
    """Write the generated pages and the inventory's schema anew."""


@command("rendering.render")
def render(inventory: str = DEFAULT, provider: str = "", source: str = "auto") -> None:
    """Write every file of every host into the run's folder."""


@command("seeding.seed", positional=("host",), to="where the card's first partition is mounted")
def seed(host: str, inventory: str = DEFAULT, provider: str = "", to: str = "") -> None:
    """Write the files of a Raspberry Pi's card."""


@command("building.preflight")
def preflight(inventory: str = DEFAULT, provider: str = "") -> None:
    """Check machine and provider before anything changes."""


@command("building.phases")
def phases() -> None:
    """Print the phases of a build."""


@command("building.plan")
def plan(inventory: str = DEFAULT, provider: str = "", source: str = "auto") -> None:
    """Print what build would change."""


@command("building.build", backend="with provider vagrant: libvirt, virtualbox or lxc")
def build(inventory: str = DEFAULT, provider: str = "", source: str = "auto", backend: str = "") -> None:
    """Converge the lab: make what is missing, change what differs."""


@command("building.destroy")
def destroy(inventory: str = DEFAULT, provider: str = "", host: str = "") -> None:
    """Remove the lab, or one machine of it."""


@command("proving.verify", runs="how often in a row; more than one counts false alarms")
def verify(
    inventory: str = DEFAULT, provider: str = "", layer: tuple[str, ...] = (), select: str = "", runs: int = 1
) -> None:
    """Prove that the lab is what the inventory says."""


@command("breaking.faults")
def faults(inventory: str = DEFAULT, provider: str = "") -> None:
    """List the faults with what this lab can have of them."""


@command("breaking.fault", positional=("name",), name="name of a fault")
def fault(name: str, inventory: str = DEFAULT, provider: str = "", host: str = "", seconds: int = 0) -> None:
    """Inject one fault with health gates; it is healed whatever happens."""


@command("breaking.trials", positional=("name",), name="name of a fault", host="also etcd-leader, announcer")
def trials(
    name: str, inventory: str = DEFAULT, provider: str = "", host: str = "announcer", times: int = 20
) -> None:
    """Repeat one fault under traffic: gaps as p50, p95 and max, as JSON."""


@command("loading.load", workers="generating processes")
def load(
    inventory: str = DEFAULT,
    provider: str = "",
    profile: str = "default",
    workers: int = 1,
    ceiling: bool = False,
) -> None:
    """Load the ingress with the users of a profile, and judge what they lived through."""


@command("reporting.report")
def report(inventory: str = DEFAULT, provider: str = "", run: str = "", against: str = "") -> None:
    """Write the report of a run anew from its report.json; compare it with another run."""


@command("bench.bench")
def bench(inventory: str = DEFAULT, provider: str = "", source: str = "auto", what: str = "lab") -> None:
    """Measure a lab that does not exist yet (build, memory, destroy), or an inventory; print JSON."""


@command("reaching.status")
def status(inventory: str = DEFAULT, provider: str = "", json: bool = False) -> None:
    """Show what stands now."""


@command("reaching.kubectl", remainder=True)
def kubectl(inventory: str = DEFAULT, provider: str = "", source: str = "auto") -> None:
    """Run kubectl against the lab: invoke kubectl -- get nodes."""


@command("reaching.ssh", positional=("host",), remainder=True)
def ssh(host: str, inventory: str = DEFAULT, provider: str = "") -> None:
    """Log in to a host, or run one command: invoke ssh master-1 -- uptime."""


@command("reaching.shell")
def shell(inventory: str = DEFAULT, provider: str = "") -> None:
    """Open a shell inside the lab's network."""


@command("reaching.logs")
def logs(inventory: str = DEFAULT, provider: str = "", host: str = "") -> None:
    """Bundle the evidence of all hosts, or of one."""


@command("artifacts.artifacts")
def artifacts(source: str = "auto", arch: str = "", fetch: bool = False, json: bool = False) -> None:
    """Show each component: version, source, digest, state."""


@command("selftest.selftest", select="names of defects, rows or layers")
def selftest(inventory: str = DEFAULT, provider: str = "", select: str = "") -> None:
    """Prove that verify can fail: seed defects into a disposable lab, one after the other."""


namespace = Collection(*(item for item in list(globals().values()) if isinstance(item, Task)))
for group in GROUPS:
    namespace.add_collection(group)
