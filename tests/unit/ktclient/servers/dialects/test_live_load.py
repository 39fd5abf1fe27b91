"""The load of a server by its /metrics, of each kind of server."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from ktclient.servers.dialects import live_load
from ktclient.servers.dialects.live_load import LiveLoad

SGLANG = """
# HELP sglang:num_running_reqs The number of running requests.
sglang:num_running_reqs{engine_type="unified",model_name="m",tp_rank="0"} 2.0
sglang:num_running_reqs{engine_type="unified",model_name="m",tp_rank="1"} 2.0
sglang:num_queue_reqs{model_name="m"} 1.0
sglang:num_used_tokens{model_name="m"} 5000.0
sglang:token_usage{model_name="m"} 0.25
sglang:max_total_num_tokens{model_name="m"} 20000.0
"""
VLLM = """
vllm:num_requests_running{model_name="m"} 3.0
vllm:num_requests_waiting{model_name="m"} 4.0
vllm:kv_cache_usage_perc{model_name="m"} 0.5
"""
LLAMA = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\n"


@pytest.mark.parametrize(
    ("text", "load"),
    [
        (SGLANG, LiveLoad(True, 2, 1, 5000, 20000, 0.25)),
        (VLLM, LiveLoad(True, 3, 4, None, None, 0.5)),
        (LLAMA, LiveLoad(True, 1, 0)),
        ("process_cpu_seconds_total 5\n", LiveLoad(True)),
    ],
)
def test_each_kind_of_server_is_understood(text: str, load: LiveLoad) -> None:
    """What it does not say is None."""
    assert live_load.of_metrics(text) == load


@pytest.mark.parametrize("value", ["NaN", "1e999", "-3", "many"])
def test_nonsense_is_no_answer_or_no_harm(value: str) -> None:
    """Numbers come from another program."""
    try:
        found = live_load.of_metrics(f"sglang:num_used_tokens {value}\n")
    except (ValueError, OverflowError):
        return  # `read` takes these for no answer
    assert found.used_tokens is None or isinstance(found.used_tokens, int)


def test_the_scheduler_is_never_asked(tmp_path: Path) -> None:
    """With /metrics or without: only what costs the server nothing."""
    with fake_sglang(tmp_path, "--metrics") as server:
        assert live_load.read(server.url, None).running == 0
        assert [one["path"] for one in server.events("asked")] == ["/metrics"]
    with fake_sglang(tmp_path) as server:
        assert live_load.read(server.url, None) == LiveLoad(True)
        assert server.events("asked") == []
    assert live_load.read(server.url, None) == LiveLoad(False)
