"""A request for which nobody set a time may take longer than the usual one, while it gets on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import errors, submit_long
from ktclient.config import settings as config
from ktclient.planning import prefill_time
from ktclient.submission import followup
from ktclient.submission.spec import JobSpec

KILLING = Path(__file__).parents[1] / "support" / "killing"
PROMPT = "x" * 81_920
"""20,480 tokens of the scripted server."""
READING = ("--prefill-seconds", "7", "--chunk", "512", "--metrics", "--token-seconds", "0.3")


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, str], None]:
    """Makes an hour so many seconds, with these constants in the runner."""

    def set_usual(seconds: float, constants: str) -> None:
        monkeypatch.setattr(prefill_time, "LEAST_TIMEOUT_SECONDS", seconds)
        monkeypatch.setattr(prefill_time, "TIMEOUT_FACTOR", 0.0)
        monkeypatch.setenv("PYTHONPATH", str(KILLING))
        monkeypatch.setenv("KTJOB_CONSTANTS", constants)

    return set_usual


@pytest.mark.long
def test_it_is_not_given_up_while_it_reads_or_writes(
    state: StateDir, tmp_path: Path, usual: Callable[[float, str], None]
) -> None:
    """Longer than usual; when it counts as standing still: test_reporter.py. Where somebody set the
    time, that is kept; a question after it is as the first."""
    usual(5.0, "ktclient.servers.watcher.METRICS_SECONDS=0.2")
    with fake_sglang(tmp_path, *READING, "--answer", "one two three four five six") as server:
        job = submit_long(PROMPT, server=server.url)
        assert job.result() == "one two three four five six"
        assert len(server.requests()) == 1
        with pytest.raises(errors.JobFailed, match="no complete answer within 1 s"):
            submit_long(PROMPT, server=server.url, timeout=1.0).result()
        for timeout, is_lasting in ((None, True), (9.0, False)):
            again = followup.ask(
                job.id, "Who?", config.load(), followup.Changes(timeout=timeout)
            ).id
            with Store.open(state) as store:
                store.request_cancel(again)
                assert JobSpec.from_json(store.job(again).spec).is_lasting == is_lasting


@pytest.mark.promise
def test_it_is_given_up_once_it_gets_on_no_more(
    state: StateDir, tmp_path: Path, usual: Callable[[float, str], None]
) -> None:
    """A server that stands still; ten minutes are two seconds."""
    usual(1.0, "ktclient.worker.reporter.STALL_SECONDS=2")
    with fake_sglang(tmp_path, "--answer", "never") as server:
        server.hold()
        job = submit_long(PROMPT, server=server.url)
        server.wait_for_event("prefill_started")
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(errors.JobFailed, match="no complete answer within 1 s"):
                job.result()
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
    assert job.status().cause == "deadline_exceeded"
