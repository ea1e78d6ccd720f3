"""Tasks, as the API shows them."""

from __future__ import annotations

from typing import Any

from tests.doubles.pve.answers import ApiError, wrong
from tests.doubles.pve.tasks import Task
from tests.doubles.pve.world import Call, answers

_TASK = "/nodes/{node}/tasks/{upid}"


@answers("GET /nodes/{node}/tasks")
def tasks(call: Call) -> list[dict[str, Any]]:
    """Tasks of a node, newest first: the caller's own, or all for one who may see them."""
    all_of_them = call.allows(f"/nodes/{call.node.name}", "Sys.Audit")
    vmid, kind, source = (call.arguments.get(key) for key in ("vmid", "typefilter", "source"))
    found = []
    for task in sorted(call.world.tasks.all.values(), key=lambda task: -task.started):
        if task.node != call.node.name or not (all_of_them or task.user == str(call.caller)):
            continue
        if vmid not in (None, int(task.id) if task.id.isdigit() else -1) or kind not in (None, task.kind):
            continue
        if (source in (None, "archive") and task.running) or (source == "active" and not task.running):
            continue
        if call.arguments.get("errors") and task.exit_status == "OK":
            continue
        line = task.status()
        line["status"] = line.pop("exitstatus", "RUNNING")
        found.append(line | ({"endtime": int(task.ended)} if task.ended is not None else {}))
    start = call.arguments.get("start", 0)
    return found[start : start + call.arguments.get("limit", 50)]


def _task(call: Call) -> Task:
    task = call.world.tasks.get(str(call.arguments["upid"]))
    if task.node != call.node.name:
        raise wrong("upid", "no such task")
    if task.user != str(call.caller):
        call.require(f"/nodes/{task.node}", "Sys.Audit")
    return task


@answers(f"GET {_TASK}/status")
def task_status(call: Call) -> dict[str, Any]:
    return _task(call).status()


@answers(f"GET {_TASK}/log")
def task_log(call: Call) -> list[dict[str, Any]]:
    """Lines of a task's log from `start` on, 50 if no limit is given."""
    start, limit = call.arguments.get("start", 0), call.arguments.get("limit", 50)
    lines = _task(call).log or ["no content"]
    return [{"n": number + 1, "t": line} for number, line in enumerate(lines)][start : start + limit]


@answers(f"DELETE {_TASK}")
def stop_task(call: Call) -> None:
    """End a running task; what it would have done does not happen."""
    task = _task(call)
    if not task.running:
        raise ApiError(500, "unable to kill worker")
    call.world.tasks.abort(task)
