"""The menu: `invoke --list` shows it, `invoke --help TASK` explains one."""

from invoke.collection import Collection

from lab.commands import early, typed  # noqa: F401  # the first before all: Ctrl-C while they are imported
from lab.commands.hints import register
from lab.commands.menu import menus, operating, task, whole
from lab.commands.options import HOST, JSON, LAB, REQUIRED, SELECT, SOURCE, Option

THIS_HOST = Option("host", HOST.meaning, REQUIRED)
YES = Option("yes", "name of the lab: do not ask, though it is not disposable")
REMOVE_DATA = Option("remove_data", "an add-on that may go with its data, may be repeated", ())
LOSE_QUORUM = Option("lose_quorum", "remove even a master that etcd cannot do without", False)
FAULT = Option("name", "name of a fault", REQUIRED)

inventory = (
    task("checking.validate", "Check the inventory: every error at once.", *LAB),
    task("checking.show", "Print the resolved inventory with what follows from it.", *LAB),
    task(
        "checking.init",
        "Write a commented inventory from a few answers.",
        Option("name", "name of the new lab", REQUIRED),
        Option("provider", "who makes the machines"),
        Option("lan", "network of the machines"),
        Option("masters", "how many masters: 3, 5 or 7"),
        Option("workers", "how many workers"),
    ),
    task("checking.docs", "Write the generated pages and the inventory's schema anew."),
    task("rendering.render", "Write every file of every host into the run's folder.", *LAB, SOURCE),
    task(
        "seeding.seed",
        "Write the files of a Raspberry Pi's card.",
        THIS_HOST,
        *LAB,
        Option("to", "where the card's first partition is mounted"),
    ),
)
OPERATIONS = {
    "build": (
        SOURCE,
        REMOVE_DATA,
        Option("backend", "what the provider makes machines with, if it has several ways"),
    ),
    "reconfigure": (SOURCE,),
    "destroy": (HOST, YES, LOSE_QUORUM),
}
building = (
    task("examining.preflight", "Check machine and provider before anything changes.", *LAB, JSON),
    *operating(OPERATIONS),
)
show = task(
    "artifacts.show",
    "Show each component that the lab wants: version, source, digest, state.",
    *LAB,
    SOURCE,
    Option("arch", "of which machines: amd64 or arm64; default: this machine's"),
    Option("fetch", "bring what is missing", False),
    JSON,
)
bundle = task(
    "bundling.bundle",
    "Everything an inventory needs as one file, for machines without internet.",
    *LAB,
    SOURCE,
    Option("to", "a file to write"),
    Option("from_", "a file to fill the store from"),
)
proving = (
    task(
        "proving.verify",
        "Prove that the lab is what the inventory says.",
        *LAB,
        Option("layer", "a layer, may be repeated", ()),
        SELECT,
        Option("runs", "how often in a row; more than one counts false alarms", 1),
    ),
    task(
        "loading.load",
        "Load the ingress with the users of a profile, and judge what they lived through.",
        *LAB,
        Option("profile", "a profile of `load` in the inventory", "default"),
        Option("workers", "generating processes", 1),
        Option("bind", "address at which they are awaited from other machines"),
        Option("ceiling", "measure the generator's own limit too, beside wrk", False),
    ),
    task("breaking.faults", "List the faults with what this lab can have of them.", *LAB),
    task(
        "breaking.fault",
        "Inject one fault with health gates; it is healed whatever happens.",
        FAULT,
        *LAB,
        HOST,
        Option("seconds", "how long it lasts", 0.0),
    ),
    task(
        "breaking.trials",
        "Repeat one fault under traffic: gaps as p50, p95 and max, as JSON.",
        FAULT,
        *LAB,
        Option("host", "a host, etcd-leader or announcer", "announcer"),
        Option("times", "how many trials", 20),
    ),
    task(
        "selftest.selftest",
        "Prove that verify can fail: seed defects into a disposable lab, in waves that do not meet.",
        *LAB,
        Option("select", "names of defects, rows or layers"),
        Option("random", "a seed: chance picks defects, up to three at a time"),
        Option("minutes", "how long chance picks", 60),
    ),
    task(
        "reporting.report",
        "Write the report of a run anew from its report.json; compare it with another run.",
        *LAB,
        Option("run", "folder of a run, or its name; the newest verify"),
        Option("against", "an older run to compare with"),
    ),
    task(
        "bench.bench",
        "Measure a lab that does not exist yet, an inventory, or fetching from upstream; print JSON.",
        *LAB,
        SOURCE,
        Option("what", "lab (built and destroyed), inventory or artifacts (no lab needed)", "lab"),
    ),
)
reaching = (
    task("reaching.status", "Show what stands now.", *LAB, JSON),
    task(
        "reaching.kubectl",
        "Run kubectl against the lab: invoke kubectl -- get nodes.",
        *LAB,
        SOURCE,
        remainder=True,
    ),
    task(
        "reaching.ssh",
        "Log in to a host, or run one command: invoke ssh master-1 -- uptime.",
        THIS_HOST,
        *LAB,
        remainder=True,
    ),
    task("reaching.shell", "Open a shell inside the lab's network.", *LAB),
    task(
        "opening.open_page",
        "Open a page of an add-on in a browser of this machine.",
        Option("name", "of the page; `invoke status` lists them", REQUIRED),
        *LAB,
        Option(
            "port", "of this machine's loopback, forwarded until Ctrl-C; default: a free one, where needed", 0
        ),
        Option("show", "print the password, where there is one, instead of the name of its file", False),
        name="open",
    ),
    task("reaching.logs", "Bundle the evidence of all hosts, or of one.", *LAB, HOST),
)

made_of = Collection("artifacts", bundle)
made_of.add_task(show, default=True)
groups = {provider: Collection(provider, *own) for provider, own in menus().items()}
namespace = whole((*inventory, *building, *proving, *reaching), {**groups, "artifacts": made_of})
register(namespace)
typed.check(namespace)
