"""The dialect of vLLM against a real one on this machine's CPU, started once for all tests here.

Run by who names KTJOB_REAL_VLLM: the server takes a minute to start.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from support.patience import HANG_SECONDS

from conformance import real_vllm
from conformance.conftest import KEY, Server, Servers
from conformance.test_client import Reading, request_to, wait_for, whole
from ktclient import Job, errors, submit_long
from ktclient.records.snapshot import Snapshot
from ktclient.request import stream
from ktclient.request.events import Completed, Text
from ktclient.servers import probe, queries
from ktclient.servers.gauges import METRICS

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(900)]
Until = Callable[..., object]


@pytest.fixture
def vllm(servers: Servers) -> Server:
    return servers.get("vllm")


@pytest.fixture
def configured(tmp_path: Path, ktjob_home: Path, vllm: Server) -> Server:
    """Named in the configuration file with its key."""
    config = tmp_path / "config" / "config.toml"
    config.parent.mkdir(exist_ok=True)
    config.with_name("vllm.key").write_text(KEY)
    config.write_text(f'[server]\nurl = "{vllm.facts.url}"\napi_key_file = "vllm.key"\n')
    return vllm


def cached(server: Server) -> float:
    """Tokens that its prefix cache has served."""
    headers = {"authorization": f"Bearer {KEY}"}
    page = httpx2.get(f"{server.facts.url}/metrics", headers=headers, trust_env=False).text
    found = re.findall(r"^vllm:prefix_cache_hits_total\{[^}]*\} (\S+)$", page, re.MULTILINE)
    return sum(map(float, found))


def test_it_is_known_by_a_probe_and_says_its_sizes(vllm: Server) -> None:
    """The window by /v1/models; pool, block and prefix cache by /metrics; a count is exact."""
    facts = probe.probe(vllm.facts.url, KEY)
    assert (facts.dialect, facts.model, facts.window) == ("vllm", "tiny", real_vllm.WINDOW)
    known = queries.survey(facts, KEY, 30)
    assert known.pool is not None and known.pool > real_vllm.WINDOW
    assert known.page is not None and known.pool % known.page == 0
    assert (known.has_prefix_cache, known.progress, known.is_busy) == (True, METRICS, False)
    assert queries.is_responding(facts, KEY, lambda client: None) is True
    message = vllm.prompt(170)
    text, end = whole(request_to(vllm, message))
    assert text and end.finish_reason in ("stop", "length")
    assert queries.count(facts, KEY, message) == end.prompt_tokens


def test_its_refusals_are_understood(vllm: Server) -> None:
    """None of them costs a prefill."""
    for key in (None, "sk-wrong"):
        with pytest.raises(errors.Unauthorized):
            whole(replace(request_to(vllm, "text"), api_key=key))
        with pytest.raises(errors.Unauthorized):
            probe.probe(vllm.facts.url, key)
    with pytest.raises(errors.ModelUnknown):
        whole(replace(request_to(vllm, "text"), model="somebody-else"))
    with pytest.raises(errors.DoesNotFit):
        whole(request_to(vllm, vllm.prompt(real_vllm.WINDOW * 3 // 2)))
    with pytest.raises(errors.WrongAddress):
        whole(replace(request_to(vllm, "text"), url=f"{vllm.facts.url}/elsewhere"))
    wait_for(vllm, True)


def test_an_answer_limit_beyond_the_window_is_taken(vllm: Server) -> None:
    """It writes until the window is full, where sglang refuses: ktjob's own check comes first."""
    request = request_to(vllm, "text", real_vllm.WINDOW)
    with contextlib.closing(stream.stream(request, HANG_SECONDS)) as events:
        assert any(isinstance(event, Text) for event in events)
    wait_for(vllm, True)


def test_hanging_up_ends_a_prefill(vllm: Server) -> None:
    """No ghost computes on: it is silent long before the prompt would have been read."""
    reading = Reading(vllm)
    wait_for(vllm, False)
    reading.hang_up()
    assert reading.error is None
    assert not any(isinstance(event, Text | Completed) for event in reading.seen)
    wait_for(vllm, True)
    assert whole(request_to(vllm, "And now?"))[0]


def shown(job: Job, is_enough: Callable[[Snapshot], bool]) -> list[Snapshot]:
    """What a job's status says, until something."""
    seen, give_up = [job.status()], time.monotonic() + HANG_SECONDS
    while not is_enough(seen[-1]):
        assert time.monotonic() < give_up, seen[-1]
        time.sleep(0.1)
        seen.append(job.status())
    return seen


def test_a_job_is_followed_cancelled_and_asked_again(configured: Server, until: Until) -> None:
    """Progress by the KV cache in use; a cancel leaves what was read in the prefix cache; a second
    question is predicted without what is cached, and so it is."""
    text = "Another book. " + configured.prompt(configured.long)
    job = submit_long(text, ask="Who?", max_tokens=8)
    seen = shown(job, lambda one: one.phase == "prefill" and (one.done or 0) > 0)
    assert seen[-1].progress_source == METRICS and not seen[-1].is_estimate
    job.cancel()
    with contextlib.suppress(errors.KtjobError):
        job.wait()
    assert job.status().state == "CANCELLED"
    wait_for(configured, True)
    before = cached(configured)
    job = submit_long(text, ask="Who?", max_tokens=8)
    seen = shown(job, lambda one: one.is_finished)
    assert seen[-1].state == "SUCCEEDED", seen[-1].message
    assert cached(configured) > before
    bars = [one.done for one in seen if one.phase == "prefill" and one.done is not None]
    assert bars == sorted(bars)
    before = cached(configured)
    again = submit_long(text, ask="Where was it?", max_tokens=8)
    again.wait()
    figures = again.status().figures
    share = figures["predicted_cached_share"]
    assert isinstance(share, float) and share > 0.98
    served = cached(configured) - before
    assert abs(served - int(str(figures["predicted_cached_tokens"]))) <= 256
