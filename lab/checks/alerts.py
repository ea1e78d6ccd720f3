"""The lab's own alerts as faults ask for them, whichever add-on knows of them."""

from __future__ import annotations

import time
from typing import Literal, Protocol, cast

from pydantic import Field

from lab.addons import provider_of
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.record import ReportModel
from lab.checks.verbs import Refused
from lab.parts import part

WHAT = "alerts"


class AlertSpan(ReportModel):
    """From `t` to `until` an alert was in one state, as often as it was looked at."""

    name: str = Field(description="Of the alert: KubeletDown.")
    of: str = Field(description="The labels that name its object: host=worker-1.")
    severity: str
    state: Literal["pending", "firing"]
    t: float
    until: float


class AlertsSeen(ReportModel):
    """What the lab's own alerts said meanwhile; `unread` is why they could not be asked, "" if they were."""

    spans: tuple[AlertSpan, ...] = ()
    unread: str = ""


class AlertsClient(Protocol):
    """Who knows of alerts. `client.py` of the add-on has one as `client(driver)`."""

    def between(self, begin: float, end: float) -> tuple[AlertSpan, ...]:
        """Alerts from `begin` to `end`, in seconds since 1970, by their beginning.

        Raises `CouldNotTell` or `Refused` when it cannot be asked.
        """


def alerts_since(driver: Driver, begin: float) -> AlertsSeen | None:
    """What alerts said from `begin` (monotonic clock) until now, by that clock; None: a lab without them.

    Machines have this machine's time or that of their NTP servers: a clock that is wrong moves what is told.
    Why nobody could be asked is part of the answer: what clients lived through is judged without it.
    """
    addon = provider_of(WHAT, driver.inventory)
    if addon is None:
        return None
    now, since_1970 = time.monotonic(), time.time()
    zero = since_1970 - now
    try:
        asked = cast(AlertsClient, part(f"{addon.module}.client", "client")(driver))
        found = asked.between(zero + begin, since_1970)
    except (CouldNotTell, Refused) as error:
        return AlertsSeen(unread=str(error).partition("\n")[0])
    return AlertsSeen(
        spans=tuple(
            span.model_copy(update={"t": span.t - zero, "until": span.until - zero}) for span in found
        )
    )
