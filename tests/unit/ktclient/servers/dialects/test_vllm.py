"""What vLLM 0.32.0 says of itself, as recorded on a CPU (tests/data/vllm)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny_server import Tiny

from ktclient.servers import gauges, probe, queries
from ktclient.servers.dialects import vllm

DATA = Path(__file__).parents[4] / "data" / "vllm"
METRICS = (DATA / "metrics-0.32.0.txt").read_text(encoding="utf-8")
POOL = 4_194_304
ENTRY = {"id": "m", "owned_by": "vllm", "max_model_len": 131_072, "root": "/m", "parent": None}


def busy(share: float, running: int = 1, waiting: int = 0) -> str:
    """The recorded page with other figures."""
    text = METRICS
    for name, value in (
        ("num_requests_running", running),
        ("num_requests_waiting", waiting),
        ("kv_cache_usage_perc", share),
    ):
        lines = [
            line.rsplit(" ", 1)[0] + f" {value}" if line.startswith(f"vllm:{name}{{") else line
            for line in text.splitlines()
        ]
        text = "\n".join(lines) + "\n"
    return text


def test_vllm_is_known_by_its_models_and_surveyed_by_its_metrics(tiny: Tiny) -> None:
    tiny.say("/v1/models", {"object": "list", "data": [ENTRY]})
    tiny.say("/metrics", METRICS.encode())
    facts = queries.survey(probe.probe(tiny.url, None), None, 5.0)
    assert (facts.dialect, facts.window, facts.pool) == ("vllm", 131_072, POOL)
    assert (facts.page, facts.has_prefix_cache, facts.progress) == (128, True, "metrics")
    assert (facts.is_busy, facts.running, facts.waiting) == (False, 0, 0)
    assert queries.is_idle(facts, None) is True
    tiny.say("/metrics", busy(0.5, 1, 2).encode())
    assert queries.is_idle(facts, None) is False
    assert queries.request_fields(facts, "rid") == {}
    assert queries.abort(facts, None, "rid") is False


def test_without_figures_it_is_as_any_other_server(tiny: Tiny) -> None:
    """--disable-log-stats, a fork, or a gateway that hides /metrics."""
    facts = tiny.facts("vllm")
    for body, status in ((b"python_info 1.0\n", 200), (b"no", 404), (b"", 200)):
        tiny.say("/metrics", body, status)
        assert queries.survey(facts, None, 5.0) == facts
        assert queries.is_idle(facts, None) is None
        assert gauges.Gauges(facts, None).first() is None


def test_the_server_counts_with_its_own_template(tiny: Tiny) -> None:
    tiny.say("/tokenize", {"count": 9, "max_model_len": 131_072, "tokens": [0] * 9})
    assert queries.count(tiny.facts("vllm"), "sk-1", "text") == 9
    assert tiny.asked[0][1] == {
        "model": "the-model",
        "messages": [{"role": "user", "content": "text"}],
    }
    tiny.say("/tokenize", {"detail": "Not Found"}, 404)
    assert queries.count(tiny.facts("vllm"), None, "text") is None


def test_a_recorded_prefill_moves_and_a_cut_one_ends_within_a_second(tiny: Tiny) -> None:
    """`prompt_tokens_total` stands still all the time; the share of the cache in use moves."""
    rows = [json.loads(line) for line in (DATA / "cut-0.32.0.jsonl").read_text().splitlines()]
    cut_at = next(row["t"] for row in rows if row["ev"] == "cut")
    shares = [row["kv_cache_usage_perc"] for row in rows if "kv_cache_usage_perc" in row]
    read = [gauges.of_vllm(busy(share)) for share in shares]
    tokens = [one.tokens for one in read if one is not None]
    assert len(tokens) > 5 and tokens[:-1] == sorted(tokens[:-1])
    assert 2_000 < tokens[0] < 2_200 and tokens[-1] == 0
    after = [row for row in rows if row["t"] > cut_at and row.get("num_requests_running") == 0]
    assert after[0]["t"] - cut_at < 1
    assert len({row["prompt_tokens_total"] for row in rows if "prompt_tokens_total" in row}) == 1


def test_older_versions_say_only_blocks() -> None:
    text = METRICS.replace('kv_cache_size_tokens="4194304"', 'kv_cache_size_tokens="None"')
    found, told = vllm.figures_of(text), vllm.figures_of(METRICS)
    assert found is not None and told is not None and found.pool == 32_768 * 128
    both = vllm.figures_of(METRICS + METRICS.replace('engine="0"', 'engine="1"'))
    assert both == replace(told, pool=2 * POOL)


@pytest.mark.parametrize("share", ["NaN", "-1", "7"])
def test_a_share_that_is_none_is_no_reading(tiny: Tiny, share: str) -> None:
    tiny.say("/metrics", busy(float(share)).encode())
    assert gauges.Gauges(tiny.facts("vllm"), None).first() is None
