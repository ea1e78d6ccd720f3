"""What the plugin keeps of one run of a layer, where fixtures find it."""

from __future__ import annotations

import pytest

from lab.verify.session import SuiteContext

CONTEXT = pytest.StashKey[SuiteContext]()
