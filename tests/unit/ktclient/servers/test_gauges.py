"""Progress from a server whose figures are none: no reading, and nothing worse."""

from __future__ import annotations

import pytest
from support.tiny_server import Tiny

from ktclient.servers import gauges

SAMPLE = 'sglang:realtime_tokens_total{mode="prefill_compute"} %s\n'


@pytest.mark.parametrize("value", ["+Inf", "NaN", "-5", "1e30", "much"])
def test_a_metric_that_is_no_count_is_no_reading(tiny: Tiny, value: str) -> None:
    tiny.say("/metrics", (SAMPLE % value).encode())
    assert gauges.Gauges(tiny.facts("sglang"), None).next() is None


@pytest.mark.parametrize("value", ["1e999", "-1", "null", str(10**40)])
def test_a_load_that_is_no_count_is_no_reading(tiny: Tiny, value: str) -> None:
    names = ("num_used_tokens", "num_waiting_reqs", "num_running_reqs")
    load = ", ".join(f'"{name}": {value}' for name in names)
    tiny.say("/v1/loads?include=core", f'{{"loads": [{{{load}}}]}}'.encode())
    tiny.say("/metrics", b"", 404)
    assert gauges.Gauges(tiny.facts("sglang"), None).first() is None


def test_a_count_is_read() -> None:
    assert gauges.of_metrics(SAMPLE % "4096.0") == gauges.Reading(gauges.METRICS, 4096, 0)


def test_labels_that_never_end_are_read_once() -> None:
    """Not again to the end of the text from each line: 400,000 lines would take hours."""
    assert gauges.of_metrics("sglang:a{\n" * 400_000) is None
