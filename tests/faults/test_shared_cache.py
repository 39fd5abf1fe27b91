"""A real llama.cpp as it starts by default: four slots on one KV cache, and no figure that says so.

Two requests that fill it together both die in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.llama_server import AUTO, llama_server

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_long

ASK = {"ask": "Retell this text in full detail, at length.", "max_tokens": 120}
PLACES = ("island", "harbour")


@pytest.fixture
def llama(model_cache: Path) -> Iterator[str]:
    weights = next(model_cache.rglob("*.gguf"))
    with llama_server(weights, 512, AUTO) as url:
        yield url


def two(url: str) -> list[Job]:
    """Two jobs of more than half of the cache each."""
    texts = [f"The ferry to the {place} was late again this morning. " * 16 for place in PLACES]
    return [submit_long(text, server=url, **ASK) for text in texts]  # type: ignore[arg-type]


def starts_and_ends(state: StateDir, jobs: list[Job]) -> list[tuple[str, str]]:
    with Store.open(state) as store:
        found = [store.job(job.id) for job in jobs]
    return [(job.started_at or "", job.finished_at or "") for job in found]


@pytest.mark.promise
def test_two_jobs_that_would_fill_it_together_run_one_after_another(
    llama: str, state: StateDir
) -> None:
    """Each is asked once, and neither is lost."""
    jobs = two(llama)
    for job in jobs:
        job.wait()
    assert [job.status().state for job in jobs] == ["SUCCEEDED"] * 2, jobs[0].status().message
    assert [job.status().attempt for job in jobs] == [1, 1]
    first, second = starts_and_ends(state, jobs)
    assert first[1] <= second[0]


@pytest.mark.promise
def test_jobs_that_died_together_are_asked_again_each_alone(
    llama: str, state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the owner has said that it takes several: what it did is remembered, and told."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.toml").write_text(f'[server]\nurl = "{llama}"\nparallel = 4\n')
    monkeypatch.setenv("KTJOB_CONFIG", str(config))
    jobs = two(llama)
    for job in jobs:
        job.wait()
    assert [job.status().state for job in jobs] == ["SUCCEEDED"] * 2, jobs[0].status().message
    with Store.open(state) as store:
        causes = {attempt.cause for job in jobs for attempt in store.attempts(job.id)}
        ends = [attempt for job in jobs for attempt in store.attempts(job.id)]
        assert store.capacities()[llama].slots == 1
    assert causes == {None, "cache_exhausted"}
    told = next(one.message for one in ends if one.cause)
    assert told and "Context size has been exceeded" in told and "one request at a time" in told
    again = [one for one in ends if one.number == 2]
    alone = sorted((one.started_at, one.ended_at or "") for one in again)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(alone))
    later = submit_long("A short text about the ferry.", server=llama, ask="What?", max_tokens=8)
    with Store.open(state) as store:
        assert store.capacities()[llama].slots == 1
    assert later.wait().status().state == "SUCCEEDED"
