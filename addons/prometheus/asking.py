"""Programs of the lab's monitoring asked over HTTP, each on its pod's own machine; and Prometheus among them.

What is asked together is asked by one program on the machine, so many questions are one round trip.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from addons.prometheus.section import PORT
from addons.prometheus.section_config import NAMESPACE
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.objects import Object

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SHOW = f"kubectl -n {NAMESPACE} get pods -o wide"
SECONDS = 20
AT_ONCE = 40
"""Questions of one round trip."""
PROGRAM = """
import json, sys, time, urllib.error, urllib.parse, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

def ask(question):
    fields = question["fields"]
    body = urllib.parse.urlencode(fields).encode() if fields else None
    begun = time.monotonic()
    try:
        with opener.open(asked["base"] + question["path"], data=body, timeout=asked["seconds"]) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except TimeoutError:
        status, text = 0, b""
    said = {"status": status, "seconds": time.monotonic() - begun, "body": text.decode(errors="replace")}
    return counted(said) if question["counted"] else said

def counted(said):
    # of a long answer how many series it has, and how many of them to its end
    if said["status"] == 200:
        result = json.loads(said["body"])["data"]
        found = result["result"] if result["resultType"] in ("vector", "matrix") else [result["result"]]
        ends = [one["values"][-1][0] if "values" in one else 0 for one in found if isinstance(one, dict)]
        last = max(ends, default=0)
        living = sum(end >= last for end in ends) if last else len(found)
        said["body"] = json.dumps({"series": len(found), "last": last, "living": living})
    return said

asked = json.load(sys.stdin)
try:
    json.dump([ask(question) for question in asked["questions"]], sys.stdout)
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@dataclass(frozen=True)
class ApiQuestion:
    """A path with its query, and what is posted as a form; `counted`: the answer's size is enough."""

    path: str
    fields: Mapping[str, str] = field(default_factory=dict)
    counted: bool = False


@dataclass(frozen=True)
class Reply:
    """What came of a question; status 0: no answer in time."""

    status: int
    seconds: float
    body: str


@dataclass(frozen=True)
class Sample:
    """One series of an answer: its labels and its value."""

    labels: Mapping[str, str]
    value: float


def living(driver: Driver, app: str) -> list[Object]:
    """The pods of a part of the monitoring that are not being deleted, by name."""
    found = driver.cluster.items(f"{PODS}?labelSelector=app.kubernetes.io%2Fname%3D{app}")
    pods = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def asked(driver: Driver, pod: Object, port: int, questions: Sequence[ApiQuestion]) -> list[Reply]:
    """What a pod answers, asked on its own machine.

    Raises `CouldNotTell` when nobody takes the connection.
    """
    name, address = pod["metadata"]["name"], pod.get("status", {}).get("podIP")
    if not address:
        raise CouldNotTell(f"{name}: has no address", next_step=SHOW)
    found: list[Reply] = []
    for begin in range(0, len(questions), AT_ONCE):
        some = questions[begin : begin + AT_ONCE]
        request = {
            "base": f"http://{address}:{port}",
            "seconds": SECONDS,
            "questions": [
                {"path": one.path, "fields": dict(one.fields), "counted": one.counted} for one in some
            ],
        }
        command = f"python3 -c {shlex.quote(PROGRAM)}"
        seconds = SECONDS * (1 + len(some))
        said = driver.read(pod["spec"]["nodeName"], command, stdin=json.dumps(request), seconds=seconds)
        found += [Reply(**item) for item in json.loads(said)]
    return found


@dataclass(frozen=True)
class PrometheusApi:
    """Prometheus of one lab, which has it."""

    driver: Driver

    @property
    def pod(self) -> Object:
        """Its only pod. Raises `CouldNotTell` when there is none."""
        found = living(self.driver, "prometheus")
        if not found:
            raise CouldNotTell("Prometheus: has no pod", next_step=SHOW)
        return found[0]

    def ask(self, questions: Sequence[ApiQuestion]) -> list[Reply]:
        """Its answers, in the order of the questions."""
        return asked(self.driver, self.pod, PORT, questions)

    def data(self, path: str, **fields: str) -> Any:
        """The `data` of one answer of its API. Raises `CouldNotTell` for any other answer."""
        (reply,) = self.ask([ApiQuestion(path, fields)])
        return data_of(path, reply)

    def vector(self, expr: str) -> list[Sample]:
        """What an expression is now."""
        return samples_of(self.data("/api/v1/query", query=expr))

    def formatted(self, exprs: Iterable[str]) -> dict[str, str]:
        """Expressions in the form that Prometheus itself gives them, so that two can be compared."""
        wanted = [*dict.fromkeys(exprs)]
        replies = self.ask([ApiQuestion("/api/v1/format_query", {"query": expr}) for expr in wanted])
        return {expr: str(data_of(expr, reply)) for expr, reply in zip(wanted, replies, strict=True)}


def data_of(what: str, reply: Reply) -> Any:
    """The `data` of an answer. Raises `CouldNotTell` when it is none of Prometheus' API."""
    if reply.status != 200:
        said = reply.body[:200] or "no answer in time"
        raise CouldNotTell(f"Prometheus: {what[:120]}: status {reply.status}: {said}", next_step=SHOW)
    try:
        return json.loads(reply.body)["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise CouldNotTell(f"Prometheus: {what[:120]}: answers {reply.body[:120]!r}") from error


def samples_of(data: Mapping[str, Any]) -> list[Sample]:
    """The series of an instant query's answer."""
    return [Sample(item["metric"], float(item["value"][1])) for item in data["result"]]


def named(labels: Mapping[str, str]) -> str:
    """A series' labels for people: `alertname=HostDown host=worker-1`."""
    return " ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def lines(found: Iterable[Sample]) -> Iterator[str]:
    """Series for people, one a line."""
    for sample in found:
        yield f"{named(sample.labels)}: {sample.value:g}"
