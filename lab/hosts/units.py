"""Units of a host: enabled, running, and with the configuration that lies on the disk now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from lab.answers import AnswerPart
from lab.hosts.changes import HostChange, actions
from lab.render.bundle import Bundle
from lab.render.components import KUBELET_CONFIG
from lab.render.role import Unit

KUBELET_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
KUBELET = "kubelet.service"
RELOAD = "daemon-reload"
SLACK_SECONDS = 1.0
"""By so much a file must be newer: a start is computed from two clocks that are read one after the other."""
RUNS = ("active", "activating", "reloading")


class HeldUnit(AnswerPart):
    """A systemd unit: ActiveState, SubState, UnitFileState, NRestarts.

    `unread` says that its files were changed since systemd read them (NeedDaemonReload). `process` is its
    main process, 0 for none; `since` is when its state last changed, a reload counted, in seconds since 1970
    by the host's clock of now.
    """

    active: str
    enabled: str
    sub: str = ""
    restarts: int = 0
    unread: bool = False
    process: int = 0
    since: float = 0.0


def readers(wanted: Bundle) -> dict[str, dict[str, tuple[str, ...]]]:
    """What each unit reads when it starts or is reloaded: by unit, then path, what must follow a change."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for file in wanted.files:
        for name in _named(file.on_change):
            found.setdefault(name, {})[file.path] = file.on_change
    for item in wanted.certificates:
        for name in _named(item.on_change):
            found.setdefault(name, {})[item.certificate] = item.on_change
    if wanted.kubelet:
        # kubeadm writes both, and starts the kubelet after that
        own = dict.fromkeys((KUBELET_CONFIG, KUBELET_FLAGS), ("restart kubelet",))
        found[KUBELET] = found.get(KUBELET, {}) | own
    return found


def _named(listed: Iterable[str]) -> list[str]:
    units = [action.partition(" ")[2] for action in listed if action != RELOAD]
    return [unit if "." in unit else f"{unit}.service" for unit in units]


def unit_changes(unit: Unit, seen: HeldUnit, *, expected: bool) -> Iterator[HostChange]:
    """A unit is enabled, and started where it is `expected` to run by now."""
    if seen.enabled != "enabled":
        enable = ("systemctl", "enable", "--quiet", unit.name)
        yield HostChange(f"enable {unit.name}", commands=(enable,))
    if not expected:
        return
    if seen.active in RUNS:
        if seen.sub == "auto-restart":
            restart = ("systemctl", "restart", unit.name)
            told = f"restart {unit.name} (it ends again and again: {seen.restarts} restarts)"
            yield HostChange(told, commands=(restart,))
        return
    start = ("systemctl", "start", unit.name)
    # a unit that was started too often within its limit is refused until that is forgotten
    forget = (("systemctl", "reset-failed", unit.name),) if seen.active == "failed" else ()
    yield HostChange(f"start {unit.name} (it is {seen.active})", commands=(*forget, start))


def outdated(
    wanted: Bundle, units: Mapping[str, HeldUnit], written: Mapping[str, float | None]
) -> Iterator[HostChange]:
    """Units that run with what was written on the disk before its last change: read again as after one.

    `written` are the times of files, in seconds since 1970, None for one that is not there. A unit without a
    process holds nothing: what it does is compared by its effect.
    """
    for name, files in readers(wanted).items():
        seen = units.get(name)
        if seen is None or not seen.process or seen.active not in RUNS:
            continue
        newer = [path for path in files if (written.get(path) or 0.0) > seen.since + SLACK_SECONDS]
        if not (newer or seen.unread):
            continue
        following = [action for path in newer or files for action in files[path]]
        # a try-restart of a unit that runs is a restart: one is enough
        then = [action for action in following if name in _named([action])][:1]
        if seen.unread or RELOAD in following:
            then = [RELOAD, *then]
        why = "its unit file was changed since systemd read it"
        if newer:
            written_at, begun = clock(written[newer[0]]), clock(seen.since)
            why = f"{newer[0]} is of {written_at}, it runs with what was there at {begun}"
        yield HostChange(f"{', '.join(then)}: {why}", commands=actions(tuple(then)))


def clock(seconds: float | None) -> str:
    """A moment (seconds since 1970) as people read it."""
    return datetime.fromtimestamp(seconds or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
