"""Reading Prometheus' text format."""

from __future__ import annotations

import pytest

from lab.checks.metrics import quantile, samples, value

TEXT = """# HELP wal a histogram
# TYPE wal histogram
wal_bucket{le="0.001"} 50
wal_bucket{le="0.002"} 90
wal_bucket{le="0.004"} 100
wal_bucket{le="+Inf"} 100
wal_count 100
in_use{pool="a\\"b"} 3
in_use{pool="c"} 4e0
"""


def test_values_are_summed_over_labels() -> None:
    assert value(TEXT, "in_use") == 7
    assert samples(TEXT, "in_use")[0] == ({"pool": 'a\\"b'}, 3.0)
    assert value(TEXT, "nothing") is None


def test_quantiles_are_linear_inside_a_bucket() -> None:
    assert quantile(TEXT, "wal", 0.5) == pytest.approx(0.001)
    assert quantile(TEXT, "wal", 0.95) == pytest.approx(0.003)
    assert quantile(TEXT, "nothing", 0.5) is None


def test_a_quantile_beyond_the_buckets_is_their_last_bound() -> None:
    assert quantile('h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 10\n', "h", 0.9) == 1.0
