"""What containerd runs with, as it tells it over CRI: its file may say something that it has not read."""

from __future__ import annotations

import tomllib

from lab.checks.configured import over, unlike
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.verbs import nothing

CONFIG = "/etc/containerd/config.toml"
CRI = "io.containerd.grpc.v1.cri"
FOLDERS = {"cni": {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"}}
"""Where containerd 1.7 looks by itself for what roles and the pod network put there (pkg/cri/config)."""


def runs_as_declared(driver: Driver, facts: Facts) -> None:
    """The containerd that runs has every value of its document, and looks for CNI where that is."""
    text = next(file.text for file in driver.bundles[facts.host].files if file.path == CONFIG)
    wanted = over(FOLDERS, tomllib.loads(text)["plugins"][CRI])
    host, found = facts.host, list(unlike(wanted, facts.runtime.config))
    subject = "settings with which containerd runs"
    nothing(subject, found, rule="as declared", command="crictl info", host=host)
