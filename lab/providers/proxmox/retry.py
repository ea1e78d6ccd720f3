"""When a call to Proxmox VE is made again, and when not: the only place that decides it.

A read may always be repeated. A change is sent once; if its outcome is unknown (the connection was lost, a
proxy gave up) or a lock was held, the state is read before anything is sent again. So everything that
changes a machine is a step for `persist`: it looks first, and sends at most what is still missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from lab.errors import DeadlineError, FailedError
from lab.waits import NotYet

T = TypeVar("T")

PROXY = {
    595: "the node that answers for the cluster got no connection to the node that does the work",
    596: "the node that answers for the cluster reached the node that does the work, and lost it then",
    597: "the node that answers for the cluster lost the node that does the work in the middle of its answer",
    599: "the node that answers for the cluster could not pass the call on",
}
"""What Proxmox VE's own codes mean: HTTP has none of them. Each node passes calls on to the others, and says
so when it cannot (pve-http-server, AnyEvent.pm; the codes are AnyEvent::HTTP's)."""
LOST = frozenset({502, 503, 504, *PROXY})
"""Codes of a proxy that could not reach, or lost, whoever does the work."""
_UNTRUSTED = "certificate verify failed"
"""With 596: the other end is not the node that the cluster knows by this name. Nothing was carried out, and
no repetition mends it (Telmate/terraform-provider-proxmox#175, chriswayg/packer-proxmox-templates#8)."""
_TRUST = (
    "is hypervisors.NODE the name that Proxmox VE shows, and no DNS name? Then, on that node: "
    "pvecm updatecerts --force; systemctl restart pvedaemon pveproxy"
)
BUSY = (
    "can't lock file",
    "got timeout",
    "is locked",
    "got no worker upid",
    "detected modified configuration",
    "is running - destroy failed",
)
"""What Proxmox VE says when somebody else is at work on the same machine: what was read is out of date."""
OVERTAKEN = (".conf' does not exist", "already running", "already defined", "you can't convert a template")
"""What it says to a change that somebody, perhaps an earlier call of ours whose answer was lost, has made."""
INTERRUPTIONS = 12
"""Lost or refused attempts in a row after which a change is given up: about 25 s of pauses."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
_LOOK_AGAIN = 0.5


class ProxmoxApiError(FailedError):
    """Proxmox VE refused a call. Carries status, message and the errors by parameter."""

    def __init__(self, call: str, status: int, reason: str, fields: dict[str, str]) -> None:
        said = "".join(f"\n    {name}: {text.strip()}" for name, text in sorted(fields.items()))
        self.status, self.reason, self.fields = status, reason, fields
        meaning = PROXY.get(status, "")
        if self.untrusted:
            meaning = "the node that answers for the cluster does not trust the one that was asked for"
        message = f"{call}: Proxmox VE says {status}: {reason}{said}"
        super().__init__(f"{message} ({meaning})" if meaning else message, next_step=self._hint())

    @property
    def untrusted(self) -> bool:
        """Whether one node of the cluster refused to talk to another one."""
        return self.status == 596 and _UNTRUSTED in self.reason

    def _hint(self) -> str:
        if self.untrusted:
            return _TRUST
        if self.status in PROXY:
            return "on a node: pvecm status; on the node asked for: systemctl status pveproxy pvedaemon"
        return {401: "check token and secret: invoke preflight", 403: "invoke proxmox.role"}.get(
            self.status, ""
        )

    def says(self, *texts: str) -> bool:
        """Whether the message or a parameter's error holds one of the texts."""
        whole = " ".join([self.reason, *self.fields.values()])
        return any(text in whole for text in texts)


class LostError(FailedError):
    """The outcome of a call is unknown: it may have been carried out, or be at work still."""


class BusyError(FailedError):
    """Nothing has been done, because the state is another than was read: it is to be read again."""


def judged(error: ProxmoxApiError, *, change: bool) -> FailedError:
    """What a refusal means: `LostError`, `BusyError`, or the error itself, which no repetition mends."""
    if error.untrusted:
        return error
    if error.status in LOST:
        return LostError(error.message, next_step=error.next_step)
    if error.status not in (401, 403) and outdated(error.reason, change=change):
        return BusyError(error.message)
    return error


def outdated(text: str, *, change: bool = True) -> bool:
    """Whether a message says that somebody else is at work, or (for a change) has done it already."""
    return any(piece in text for piece in (BUSY + OVERTAKEN if change else BUSY))


def pauses() -> Iterator[float]:
    """Seconds between attempts: doubled each time, up to 3 s."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


def read(subject: str, ask: Callable[[], T], *, seconds: float = 60) -> T:
    """Ask until an answer comes. Raises `DeadlineError` with the last loss after `seconds`."""
    deadline, waits = time.monotonic() + seconds, pauses()
    while True:
        pause = next(waits)
        try:
            return ask()
        except (LostError, BusyError) as error:
            if time.monotonic() + pause > deadline:
                hint = error.next_step or "invoke preflight, then the same command again"
                raise DeadlineError(subject, seconds, error.message, next_step=hint) from error
        time.sleep(pause)


def persist(subject: str, step: Callable[[], T | None], *, seconds: float) -> T:
    """Repeat a step that reads the state, sends what is missing, and gives a result when nothing is.

    None means that something was done and the state is to be read again, `NotYet` that it is to be read again
    later. Losses and locks in a row are limited to `INTERRUPTIONS`. Raises `DeadlineError` after `seconds`,
    and what the step raises otherwise.
    """
    deadline = time.monotonic() + seconds
    waits, interrupted = pauses(), 0
    while True:
        try:
            done = step()
            if done is not None:
                return done
            waits, interrupted, last = pauses(), 0, "not finished"
        except NotYet as state:
            waits, interrupted, last = pauses(), 0, str(state)
            time.sleep(_LOOK_AGAIN)
        except (LostError, BusyError) as error:
            interrupted, last = interrupted + 1, error.message
            if interrupted == INTERRUPTIONS:
                raise FailedError(
                    f"{subject}: given up after {INTERRUPTIONS} attempts; last seen: {error.message}",
                    next_step=error.next_step or "the same command again continues where this one ended",
                ) from error
            time.sleep(next(waits))
        if time.monotonic() > deadline:
            raise DeadlineError(
                subject, seconds, last, next_step="the same command again continues where this one ended"
            )
