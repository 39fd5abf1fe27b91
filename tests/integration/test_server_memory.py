"""What a worker does with a server's facts: it has them told, and drops them when refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import submit_long
from ktclient.errors import JobFailed
from ktclient.servers import listening, memory, probe


def test_a_worker_remembers_what_its_server_told(tmp_path: Path, state: StateDir) -> None:
    """Once for all jobs of the next minutes."""
    with fake_sglang(tmp_path, "--pool", "5000") as server:
        submit_long("a text", server=server.url).wait()
        with Store.open(state) as store:
            known = memory.facts_known(store, server.url, "DeepSeek-V4-Flash")
        assert known is not None and known.pool == 5_000
        asked = len(server.events("asked", path="/server_info"))
        submit_long("another text", server=server.url).wait()
        assert len(server.events("asked", path="/server_info")) == asked + 1, "by submit alone"


def test_a_refusal_makes_the_facts_doubtful(tmp_path: Path, state: StateDir) -> None:
    """A server that counts more tokens than it ought to refuses what should fit."""
    with fake_sglang(tmp_path, "--tokens-per-char", "40000") as server:
        job = submit_long("a text that is short", server=server.url)
        with pytest.raises(JobFailed):
            job.result()
        assert job.status().cause == "does_not_fit"
        probed, run = probe.probe(server.url, None), listening.run_of(server.url)
    with Store.open(state) as store:
        assert memory.facts_known(store, server.url, probed.model) is None
        known = memory.load(store, server.url, probed, run)
    assert known is not None and known.is_refuted
