"""Layer render: configuration of Loki and Alloy, judged without either."""

from __future__ import annotations

import pytest
import yaml

from addons.loki.reading import lacking, problems
from addons.loki.section import files
from addons.loki.section_loki import DATA
from lab.checks.driver import Driver
from lab.checks.verbs import nothing


@pytest.mark.check("P0-10")
def test_alloys_components_find_each_other(driver: Driver) -> None:
    """Every block ends, every reference names a component and its export, every sender has a receiver."""
    wrong = {
        name: found
        for name, text in files(driver.inventory).items()
        if name.endswith(".alloy") and (found := problems(text))
    }
    nothing("configuration of Alloy", wrong, rule="nothing wrong", command="alloy validate FILE")


@pytest.mark.check("P0-11")
def test_loki_keeps_what_it_keeps_on_its_volume_and_forgets(driver: Driver) -> None:
    """The keys without which it keeps everything for ever, or keeps it where the pod's end takes it."""
    wrong = lacking(yaml.safe_load(files(driver.inventory)["loki.yaml"]), DATA)
    nothing("configuration of Loki", wrong, rule="nothing missing", command="loki -verify-config")
