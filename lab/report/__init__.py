"""One report for build and verify: `report.json`, `junit.xml` and one self-contained `report.html`."""

from lab.report.compare import compare
from lab.report.files import read, rebuild, write, write_run
from lab.report.run_data import newest_build, versions

__all__ = ["compare", "newest_build", "read", "rebuild", "versions", "write", "write_run"]
