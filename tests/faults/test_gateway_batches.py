"""A batch that came over HTTP, while its lines are checked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import fake_sglang
from support.batches import WINDOWED, asked, request

from jobs.model import Attempt, Job, Outcome
from jobs.store.http.store import HttpStore
from jobs.store.http.values import NewFile
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.batch.spec import BatchSpec
from ktclient.config import settings as config
from ktclient.gateway.accept import Incoming
from ktclient.gateway.batches import creation
from ktclient.gateway.context import Caller
from ktclient.gateway.files import storage
from ktclient.gateway.models import Models
from ktclient.records import access, phases

Until = Callable[..., Any]
QUICK = """
import sys
from jobs.runner import loop as runner
runner.REST_SECONDS, runner.TICK_SECONDS = 0.05, 0.1
runner.main(sys.argv[1:])
"""
"""A runner in which a job whose worker was killed does not rest for five seconds."""


def submit(state: StateDir, *lines: object) -> Job:
    """What POST /v1/batches does, without a runner."""
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = NewFile(storage.new_id(storage.FILE), "", "a.jsonl", "batch", len(content))
    written = storage.new_draft(state, file.id)
    written.file.write(content)
    with HttpStore.open(state) as store:
        storage.store_file(store, file, written, 1_000_000)
    endpoint = "/v1/chat/completions"
    given = {"input_file_id": file.id, "endpoint": endpoint, "completion_window": "24h"}
    raw = json.dumps(given).encode()
    incoming = Incoming(Caller(), creation.SURFACE, raw, {}, lambda raw: pytest.fail("no chat"))
    return creation.submit(incoming, "digest", config.load(), models=Models(), max_tokens=None)


def attempt_of(state: StateDir, job: Job) -> tuple[Job, Attempt | None]:
    with Store.open(state) as store:
        now = store.job(job.id)
        return now, store.attempt(now)


@pytest.mark.promise
def test_a_worker_killed_in_the_check_is_followed_by_another(
    state: StateDir, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is away, also at the submit: the check waits for it. Each line is sent once."""
    monkeypatch.setattr(access, "ensure_runner", lambda state: None)
    lines = [request("a", "one?"), request("b", "two?", None)]
    with fake_sglang(tmp_path, *WINDOWED) as server:
        monkeypatch.setenv("KTJOB_SERVER", server.url)
    job = submit(state, *lines)
    argv = [sys.executable, "-c", QUICK, str(state.root), access.WORK_ENTRY]
    with state.runner_log.open("w") as log, subprocess.Popen(argv, stderr=log) as runner:

        def waits(number: int) -> Attempt | None:
            now, attempt = attempt_of(state, job)
            is_it = now.attempt == number and attempt is not None
            return attempt if is_it and attempt.phase == phases.WAITING_FOR_SERVER else None

        try:
            first = until(lambda: waits(1))
            os.kill(first.worker.pid, signal.SIGKILL)
            until(lambda: waits(2))
            with fake_sglang(tmp_path, *WINDOWED, "--port", str(server.port)) as again:
                until(lambda: attempt_of(state, job)[0].outcome)
                assert attempt_of(state, job)[0].outcome is Outcome.SUCCEEDED
                assert Counter(asked(again)) == {"one?": 1, "two?": 1}
                sent = again.requests()
        finally:
            runner.kill()
    limits = {one["messages"][-1]["content"]: one["max_tokens"] for one in sent}
    assert limits["one?"] == 8 and limits["two?"] > 1024  # as a chat without a limit
    spec = BatchSpec.from_json(attempt_of(state, job)[0].spec)
    assert spec.is_checked and spec.lines == 2 and spec.is_held
    with Store.open(state) as store:
        assert len(store.document(store.job(job.id).document).split(b"\n")) == 2
