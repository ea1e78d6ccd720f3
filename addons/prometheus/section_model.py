"""What an inventory says of metrics, alerts, logs and charts."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from lab.inventory.problems import Unfit
from lab.inventory.sections import Model
from lab.inventory.types import DnsLabel, HostName, Port, Whole

_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"


def _hook(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise Unfit("is not a URL of http or https", "write it as https://ntfy.sh/my-topic")
    if "@" in text:
        rule = "holds credentials, which do not belong into a file"
        raise Unfit(rule, "leave them out, and write secret_file", secret=True)
    if not re.fullmatch(rf"https?://{_HOST}(:[0-9]{{1,5}})?(/[\w.~%/?&=+,:-]*)?", text, re.ASCII):
        raise Unfit(
            "is not a URL of a server's name, a port and a path", "write it as https://ntfy.sh/my-topic"
        )
    return text


def _file(text: str) -> str:
    if not text.startswith(("/", "~/")) or "\n" in text or text.endswith("/"):
        rule = "is not the path of a file, from / or from your own folder ~"
        raise Unfit(rule, "write it as ~/.config/plumbline/phone.secret")
    return text


def _mailbox(text: str) -> str:
    if not re.fullmatch(rf"[\w.+-]+@{_HOST}", text, re.ASCII):
        raise Unfit("is not an e-mail address", "write it as alerts@example.com")
    return text


def _smarthost(text: str) -> str:
    host, _, port = text.partition(":")
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not re.fullmatch(_HOST, host, re.ASCII) or not 1 <= number <= 65535:
        raise Unfit("is not HOST:PORT of a mail server", "write it as mail.example.com:587")
    return text


Text = Annotated[str, Strict()]
Hook = Annotated[Text, AfterValidator(_hook)]
SecretFile = Annotated[Text, AfterValidator(_file)]
Mailbox = Annotated[Text, AfterValidator(_mailbox)]
MailServer = Annotated[Text, AfterValidator(_smarthost)]


class Prometheus(Model):
    """Metrics of every part of the lab, and the rules that are judged by them."""

    host: HostName | None = Field(
        None, description="Worker on whose disk they are kept; default: the first one of amd64."
    )
    retention_days: Whole = Field(15, ge=1, le=3650, description="Days for which they are kept.")
    retention_gib: Whole = Field(
        10, ge=1, le=65536, description="GiB that they may take; the oldest go when it is more."
    )
    scrape_seconds: Whole = Field(30, ge=5, le=300, description="Pause between two looks at one target.")


class Receiver(Model):
    """Somebody who is told of alerts. A secret is never written here: a file of yours holds it."""

    name: DnsLabel = Field(description="Name of the receiver.")
    kind: Literal["webhook", "email", "ntfy", "slack"] = Field(description="How it is told.")
    url: Hook | None = Field(
        None,
        description="Of a webhook: where alerts are posted. Of ntfy: the topic, as https://ntfy.sh/TOPIC.",
    )
    to: Mailbox | None = Field(None, description="Of e-mail: to whom.")
    sender: Mailbox | None = Field(None, description="Of e-mail: from whom.")
    server: MailServer | None = Field(None, description="Of e-mail: HOST:PORT of the mail server.")
    user: Text | None = Field(None, description="Of e-mail: login at the mail server.")
    secret_file: SecretFile | None = Field(
        None,
        description="File of yours (mode 600) with the secret: a user's password, the URL of a Slack hook, a "
        "bearer token of a webhook or ntfy, or the URL of a webhook without `url`.",
    )


class Alertmanager(Model):
    """Who is told of alerts, once each, and what is left unsaid because something greater is."""

    receivers: tuple[Receiver, ...] = Field((), description="Who is told; none: alerts are only shown.")
    dead_mans_switch: Hook | None = Field(
        None,
        description="URL outside the lab that is asked every two and a half minutes while all is well, and "
        "raises the alarm when that ends.",
    )


class Logs(Model):
    """Logs of every pod and every machine in one place; left out, they stay where they are written."""

    store: Literal["loki", "victorialogs"] = Field(
        "victorialogs", description="Where they are kept; the shipper follows from it."
    )
    host: HostName | None = Field(
        None,
        description="Worker on whose disk they are kept; default: the second one of amd64, if there is one.",
    )
    retention_days: Whole = Field(14, ge=1, le=3650, description="Days for which they are kept.")
    retention_gib: Whole = Field(
        5, ge=1, le=65536, description="GiB that they may take; the oldest go when it is more."
    )


class Grafana(Model):
    """Grafana: charts of metrics and logs; left out, the lab has none."""

    host: HostName | None = Field(
        None, description="Worker on which it runs and answers; default: that of Prometheus."
    )
    port: Port = Field(30000, description="Its port there, one of the NodePorts.")


class Observability(Model):
    """Metrics and alerts of the whole lab, logs and charts if asked for; left out, it has none."""

    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()
    logs: Logs | None = Field(
        None,
        description="Logs of all pods and machines in one place; left out, they stay where they are.",
    )
    grafana: Grafana | None = Field(None, description="Charts of metrics and logs; left out, there are none.")
