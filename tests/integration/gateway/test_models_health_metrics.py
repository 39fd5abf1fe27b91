"""/v1/models as openai's client reads it, /healthz, and /metrics as Prometheus' own parser reads
it."""

from __future__ import annotations

import httpx2
import openai
import pytest
from fake_sglang.process import fake_sglang
from openai.types import Model
from prometheus_client.parser import text_string_to_metric_families
from support.gateway import Serving, gateway

import ktclient
from jobs.store.state_dir import StateDir

MODEL = "deepseek-ai/DeepSeek-V4"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(one: Serving) -> Samples:
    """All samples by name and labels."""
    answer = httpx2.get(f"{one.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


def test_models_are_found_by_ids_with_slashes_and_stay_when_their_server_goes(
    state: StateDir, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("server")
    with (
        fake_sglang(folder, "--model", MODEL) as server,
        gateway(state, server.url) as one,
    ):
        client = one.client()
        listed = list(client.models.list())
        assert [model.id for model in listed] == [MODEL]
        again = Model.model_validate_json(
            httpx2.get(f"{one.url}/v1/models/{MODEL}").text, strict=True
        )
        assert again.id == client.models.retrieve(MODEL).id == MODEL
        assert again.model_extra is not None
        assert again.model_extra["max_model_len"] == 1_048_576
        assert again.model_extra["ktjob"] == {"server": "default", "available": True}
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("gpt/5")
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        # Another gateway, later, without the server: what the store remembers of it.
        ktclient.submit_long("a text", ask="a question", server=server.url).wait()
    with gateway(state, server.url) as one:
        answer = httpx2.get(f"{one.url}/v1/models").json()
        assert [model["ktjob"]["available"] for model in answer["data"]] == [False]
        assert answer["data"][0]["id"] == MODEL


def test_health_is_that_of_the_store(state: StateDir) -> None:
    with gateway(state, "http://127.0.0.1:9") as one:
        answer = httpx2.get(f"{one.url}/healthz")
        assert answer.json() == {"status": "ok"}
        for path in state.root.glob("ktjob.db*"):
            path.unlink()
        state.database.mkdir()
        answer = httpx2.get(f"{one.url}/healthz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unavailable"
        assert str(state.root) not in answer.text


@pytest.mark.promise
def test_counts_are_those_of_the_store_and_survive_a_restart(
    state: StateDir, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with fake_sglang(tmp_path_factory.mktemp("server")) as server:
        jobs = [ktclient.submit_long("text " * 50, ask="why?", server=server.url) for _ in range(2)]
        for job in jobs:
            job.wait()
        ktclient.submit_long("other", ask="when?", server=server.url, at="+1h")
        with gateway(state, server.url) as one:
            found = scraped(one)
            assert value(found, "ktjob_http_requests_total") is None
            found = scraped(one)
            seen = {"method": "GET", "route": "/metrics", "status": "200"}
            assert value(found, "ktjob_http_requests_total", **seen) == 1
            before = found
        with gateway(state, server.url) as one:
            found = scraped(one)
        for samples in (before, found):
            of_command = {"surface": "command"}
            assert value(samples, "ktjob_jobs", state="succeeded", **of_command) == 2
            assert value(samples, "ktjob_jobs", state="queued", **of_command) == 1
            assert value(samples, "ktjob_jobs", state="failed", surface="chat") == 0
            assert value(samples, "ktjob_jobs_submitted_total") == 3
            assert value(samples, "ktjob_queued_jobs", server=server.url) == 1
            assert value(samples, "ktjob_running_jobs", server=server.url) == 0
            assert value(samples, "ktjob_kv_pool_reserved_tokens", server=server.url) == 0
            capacity = value(samples, "ktjob_kv_pool_capacity_tokens", server=server.url)
            assert capacity is not None and capacity > 900_000
            prefilled = value(samples, "ktjob_stored_tokens", kind="prefilled", **of_command)
            assert prefilled is not None and prefilled > 2 * 50
            decoded = value(samples, "ktjob_stored_tokens", kind="decoded", **of_command)
            assert decoded is not None and decoded > 2
            first = value(samples, "ktjob_recent_first_token_seconds", quantile="0.5")
            assert first is not None and first >= 0.2  # the server's prefill
            assert value(samples, "ktjob_recent_queue_wait_seconds", quantile="0.99") is not None
            assert value(samples, "ktjob_build_info", version=ktclient.__version__) == 1
            assert value(samples, "ktjob_open_streams") == 0
