"""The menu: `invoke --list` shows it, `invoke --help TASK` explains one."""

from invoke.context import Context
from invoke.tasks import task

from lab.commands import run

INVENTORY = "name in inventory/ or path of a file"
PROVIDER = "rehearse with another provider (lxc: on this machine)"
SOURCE = "where artefacts come from: auto, upstream or modules"
VERBOSE = "show the traceback of an error"
COMMON = {"inventory": INVENTORY, "provider": PROVIDER, "verbose": VERBOSE}
HOST = {"host": "name of a host"}
JSON = {"json": "print JSON"}
ANSWERS = {
    "provider": "who makes the machines",
    "lan": "network of the machines",
    "masters": "how many masters: 3, 5 or 7",
    "workers": "how many workers",
}


@task(help=COMMON)
def validate(c: Context, inventory: str = "rehearsal", provider: str = "", verbose: bool = False) -> None:
    """Check the inventory: every error at once."""
    run("checking.validate", inventory, provider, verbose=verbose)


@task(help=COMMON)
def show(c: Context, inventory: str = "rehearsal", provider: str = "", verbose: bool = False) -> None:
    """Print the resolved inventory with what follows from it."""
    run("checking.show", inventory, provider, verbose=verbose)


@task(positional=["name"], help={"name": "name of the new lab", "verbose": VERBOSE} | ANSWERS)
def init(
    c: Context,
    name: str,
    provider: str = "",
    lan: str = "",
    masters: str = "",
    workers: str = "",
    verbose: bool = False,
) -> None:
    """Write a commented inventory from a few answers."""
    answers = {"provider": provider, "lan": lan, "masters": masters, "workers": workers}
    run("checking.init", name, answers, verbose=verbose)


@task
def docs(c: Context) -> None:
    """Write the generated pages and the inventory's schema anew."""
    run("checking.docs")


@task(help=COMMON | {"source": SOURCE})
def render(
    c: Context, inventory: str = "rehearsal", provider: str = "", source: str = "auto", verbose: bool = False
) -> None:
    """Write every file of every host into the run's folder."""
    run("rendering.render", inventory, provider, source, verbose=verbose)


@task(help=COMMON)
def preflight(c: Context, inventory: str = "rehearsal", provider: str = "", verbose: bool = False) -> None:
    """Check machine and provider before anything changes."""
    run("building.preflight", inventory, provider, verbose=verbose)


@task
def phases(c: Context) -> None:
    """Print the phases of a build."""
    run("building.phases")


@task(help=COMMON | {"source": SOURCE})
def plan(
    c: Context, inventory: str = "rehearsal", provider: str = "", source: str = "auto", verbose: bool = False
) -> None:
    """Print what build would change."""
    run("building.plan", inventory, provider, source, verbose=verbose)


@task(help=COMMON | {"source": SOURCE})
def build(
    c: Context, inventory: str = "rehearsal", provider: str = "", source: str = "auto", verbose: bool = False
) -> None:
    """Converge the lab: make what is missing, change what differs."""
    run("building.build", inventory, provider, source, verbose=verbose)


@task(help=COMMON | HOST)
def destroy(
    c: Context, inventory: str = "rehearsal", provider: str = "", host: str = "", verbose: bool = False
) -> None:
    """Remove the lab, or one machine of it."""
    run("building.destroy", inventory, provider, host, verbose=verbose)


@task(
    iterable=["layer"], help=COMMON | {"layer": "a layer, may be repeated", "select": "rows, hosts or names"}
)
def verify(
    c: Context,
    layer: list[str],
    inventory: str = "rehearsal",
    provider: str = "",
    select: str = "",
    verbose: bool = False,
) -> None:
    """Prove that the lab is what the inventory says."""
    run("proving.verify", inventory, provider, layer, select, verbose=verbose)


@task(help=COMMON | {"source": SOURCE})
def bench(
    c: Context, inventory: str = "rehearsal", provider: str = "", source: str = "auto", verbose: bool = False
) -> None:
    """Measure build, second build, memory and destroy of a lab that does not exist yet; print JSON."""
    run("bench.bench", inventory, provider, source, verbose=verbose)


@task(help=COMMON | JSON)
def status(
    c: Context, inventory: str = "rehearsal", provider: str = "", json: bool = False, verbose: bool = False
) -> None:
    """Show what stands now."""
    run("reaching.status", inventory, provider, json, verbose=verbose)


@task(help=COMMON | {"source": SOURCE})
def kubectl(
    c: Context, inventory: str = "rehearsal", provider: str = "", source: str = "auto", verbose: bool = False
) -> None:
    """Run kubectl against the lab: invoke kubectl -- get nodes."""
    run("reaching.kubectl", inventory, provider, source, c.remainder, verbose=verbose)


@task(positional=["host"], help=COMMON | HOST)
def ssh(
    c: Context, host: str, inventory: str = "rehearsal", provider: str = "", verbose: bool = False
) -> None:
    """Log in to a host, or run one command: invoke ssh master-1 -- uptime."""
    run("reaching.ssh", inventory, provider, host, c.remainder, verbose=verbose)


@task(help=COMMON)
def shell(c: Context, inventory: str = "rehearsal", provider: str = "", verbose: bool = False) -> None:
    """Open a shell inside the lab's network."""
    run("reaching.shell", inventory, provider, verbose=verbose)


@task(help=COMMON | HOST)
def logs(
    c: Context, inventory: str = "rehearsal", provider: str = "", host: str = "", verbose: bool = False
) -> None:
    """Bundle the evidence of all hosts, or of one."""
    run("reaching.logs", inventory, provider, host, verbose=verbose)


@task(help={"source": SOURCE, "fetch": "bring what is missing", "verbose": VERBOSE} | JSON)
def artifacts(
    c: Context, source: str = "auto", fetch: bool = False, json: bool = False, verbose: bool = False
) -> None:
    """Show each component: version, source, digest, state."""
    run("artifacts.artifacts", source, fetch, json, verbose=verbose)
