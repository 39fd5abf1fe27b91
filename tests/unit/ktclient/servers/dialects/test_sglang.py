"""What servers tell about themselves beyond /v1/models, out of recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_sglang.asking import start
from fake_sglang.process import fake_sglang

from ktclient.servers import probe, queries
from ktclient.servers.dialects import sglang
from ktclient.servers.dialects.dialect import ServerFacts

RECORDED = Path(__file__).resolve().parents[4] / "data" / "sglang"


def info(flavour: str) -> dict[str, Any]:
    text = (RECORDED / f"server_info-{flavour}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def facts(model: str = "m") -> ServerFacts:
    return ServerFacts("http://a:1", "sglang", model, 1_048_576)


def test_the_recorded_kt_server() -> None:
    """Served as DeepSeek V4, whose page is 256 whatever is said."""
    known = sglang.parse_info(facts("DeepSeek-V4-Flash"), info("kt"))
    assert (known.pool, known.max_running, known.chunk, known.page) == (964_864, 2, 4_096, 256)
    assert (known.has_prefix_cache, known.progress) == (False, "metrics")


def test_the_recorded_upstream_server() -> None:
    """With a prefix cache."""
    known = sglang.parse_info(facts(), info("upstream"))
    assert (known.pool, known.max_running, known.chunk, known.page) == (2_400_000, 32, 32_768, 1)
    assert known.has_prefix_cache is True


def test_no_key_leaves_the_answer() -> None:
    """/server_info holds it in clear."""
    told = sglang.parse_info(facts(), {**info("kt"), "api_key": "sk-1", "admin_api_key": "sk-2"})
    assert "sk-" not in repr(told)


@pytest.mark.parametrize("value", [None, "many", -1, 0, True, [1], {}])
def test_what_is_no_number_stays_unknown(value: object) -> None:
    """sglang says -1 for off; others may say anything."""
    names = ("max_total_num_tokens", "max_running_requests", "chunked_prefill_size", "page_size")
    known = sglang.parse_info(facts(), {**dict.fromkeys(names, value), "internal_states": value})
    assert (known.pool, known.max_running, known.chunk, known.page) == (None,) * 4


def test_an_idle_server_is_surveyed(tmp_path: Path) -> None:
    """The scripted one, with a key."""
    with fake_sglang(tmp_path, "--require-key", "sk-1", "--pool", "5000") as server:
        known = queries.survey(probe.probe(server.url, "sk-1"), "sk-1", 30)
    assert (known.pool, known.page, known.is_busy, known.progress) == (5_000, 256, False, "loads")


def test_a_busy_server_is_waited_for_only_so_long(tmp_path: Path) -> None:
    """Its window is known all the same; what did not come stays unknown."""
    slow = ("--prefill-seconds", "600", "--tokens-per-char", "4")  # one chunk of ten minutes
    with fake_sglang(tmp_path, *slow) as server:
        connection = start(server)
        known = queries.survey(probe.probe(server.url, None), None, 0.2)
        connection.close()
    assert (known.window, known.pool, known.is_busy) == (1_048_576, None, True)


@pytest.mark.parametrize("metrics", ["sglang:routing_keys_active 0.0\n", None])
def test_a_server_without_a_first_request_is_given_one(metrics: str | None) -> None:
    """sglang-kt with --skip-server-warmup answers no /v1/loads until then, as after a restart."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        if request.url.path == "/metrics":
            counted = "sglang:realtime_tokens_total{} 1.0\n" if "/health" in asked else ""
            return httpx2.Response(404 if metrics is None else 200, text=(metrics or "") + counted)
        if "/health" not in asked:
            raise httpx2.ReadTimeout("as recorded: for ever", request=request)
        load = {"num_running_reqs": 0, "num_waiting_reqs": 0, "num_used_tokens": 0}
        return httpx2.Response(200, json={"loads": [load]})

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        assert sglang.Sglang().is_silent(http, "http://test") is True
        assert sglang.Sglang().is_silent(http, "http://test") is True
    if metrics is None:
        first = ["/metrics", "/v1/loads", "/health", "/v1/loads"]
    else:
        first = ["/metrics", "/health", "/v1/loads"]
    assert asked == [*first, "/metrics", "/v1/loads"]
