"""Gateways whose store is taken away or full while clients wait, and whose runner is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import processes, small_disk
from support.gateway import Serving, gateway
from support.patience import HANG_SECONDS
from support.small_disk import SmallDisk

from jobs.model import Status
from jobs.processes import file_users, identity
from jobs.store.files.open_files import BESIDE
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

Until = Callable[..., object]
SOON = ("--comment-seconds", "0.2", "--progress-seconds", "0.5")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "One two three.") as server:
        yield server


@dataclass
class Stream:
    """A chat that is streamed."""

    lines: Iterator[str]
    job_id: str

    def until(self, mark: str) -> str:
        """The next line that begins with this."""
        for line in self.lines:
            assert '"error":{' not in line, line
            if line.startswith(mark):
                return line
        raise AssertionError(f"the stream ended before {mark!r}")

    def live(self) -> None:
        """Signs of life, for longer than a stream may be without an event."""
        for _ in range(6):
            self.until(": ")

    def text(self) -> str:
        """All that the model says, to the end."""
        said = []
        while (line := self.until("data: ")) != "data: [DONE]":
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                said.append(choice["delta"].get("content") or "")
        return "".join(said)


def body(question: str, **fields: Any) -> dict[str, Any]:
    return {
        "model": "DeepSeek-V4-Flash",
        "messages": [{"role": "user", "content": question}],
        **fields,
    }


@contextlib.contextmanager
def stream(one: Serving, question: str) -> Iterator[Stream]:
    url, patience = f"{one.url}/v1/chat/completions", httpx2.Timeout(HANG_SECONDS)
    asked = body(question, stream=True)
    with httpx2.stream("POST", url, json=asked, timeout=patience) as answer:
        assert answer.status_code == 200
        found = Stream(answer.iter_lines(), answer.headers["x-ktjob-id"])
        found.until("data: ")  # the job is known, and its first chunk
        yield found


@contextlib.contextmanager
def response_of(one: Serving, job_id: str) -> Iterator[Stream]:
    """The same job as a response, streamed from its first event."""
    url, patience = f"{one.url}/v1/responses/resp_{job_id}", httpx2.Timeout(HANG_SECONDS)
    with httpx2.stream("GET", f"{url}?stream=true", timeout=patience) as answer:
        assert answer.status_code == 200
        found = Stream(answer.iter_lines(), job_id)
        found.until("data: ")
        yield found


def ask(one: Serving, question: str) -> httpx2.Response:
    url = f"{one.url}/v1/chat/completions"
    return httpx2.post(url, json=body(question), timeout=HANG_SECONDS)


def status_of(state: StateDir, job_id: str) -> Status:
    with HttpStore.open_existing(state) as store:
        return store.job(job_id).status


@pytest.mark.promise
def test_open_streams_and_new_requests_bear_what_happens_to_the_store(
    state: StateDir, server: FakeServer, until: Until, tmp_path: Path
) -> None:
    """Its side files are removed; its folder is moved away and back. The stream goes on, with signs
    of life meanwhile; a new request is refused so that its client comes again, and no second queue
    is made."""
    server.hold()
    with gateway(state, server.url, *SOON) as one, stream(one, "first") as open_one:
        until(lambda: status_of(state, open_one.job_id) is Status.RUNNING)
        for end in BESIDE:
            Path(f"{state.database}{end}").unlink()
        with stream(one, "second") as other, response_of(one, other.job_id) as response:
            with HttpStore.open_existing(state) as store:
                assert store.exists(other.job_id)
            open_one.until("data: ")

            state.root.rename(tmp_path / "away")
            refused = ask(one, "third")
            assert refused.status_code == 503
            assert refused.headers["x-should-retry"] == "true"
            assert not state.database.exists()
            for each in (open_one, other, response):
                each.live()
            (tmp_path / "away").rename(state.root)
            server.let_go()
            assert open_one.text() == "One two three."
            assert other.text() == "One two three."
            assert '"text":"One two three."' in response.until('data: {"type":"response.completed')
        assert ask(one, "third").json()["choices"][0]["message"]["content"] == "One two three."
    assert len(server.requests()) == 3


@pytest.mark.promise
def test_a_dead_worker_and_runner_are_noticed_while_a_client_waits(
    state: StateDir, server: FakeServer, until: Until
) -> None:
    """Nobody runs a command: the gateway itself finds that they are dead, and the job is done."""
    server.hold()
    with gateway(state, server.url, *SOON) as one, stream(one, "first") as open_one:
        until(lambda: status_of(state, open_one.job_id) is Status.RUNNING)
        server.wait_for_event("request")
        runner = identity.holder(state.runner_lock)
        with HttpStore.open_existing(state) as store:
            attempt = store.attempt(store.job(open_one.job_id))
        assert runner is not None and attempt is not None
        for process in (runner, attempt.worker):
            os.kill(process.pid, signal.SIGKILL)
        server.let_go()
        assert open_one.text() == "One two three."
    with HttpStore.open_existing(state) as store:
        assert store.job(open_one.job_id).attempt == 2


@pytest.mark.promise
def test_its_children_have_none_of_its_files_and_it_has_no_openai(
    state: StateDir, server: FakeServer, until: Until
) -> None:
    """The runner that it starts outlives it, and must not keep its port or its locks. The gateway
    is small because it leaves the openai package to the workers."""
    with gateway(state, server.url) as one:
        assert ask(one, "first").status_code == 200
        runner = identity.holder(state.runner_lock)
        assert runner is not None
        mine, theirs = (set(file_users.open_files(pid)) for pid in (one.process.pid, runner.pid))
        shared = {name for name in mine & theirs if name.startswith("socket:") or ".lock" in name}
        assert shared == set()
        maps = Path(f"/proc/{one.process.pid}/maps").read_text()
        assert "libc" in maps and "pydantic_core" not in maps and "jiter" not in maps
        one.kill()
        assert identity.is_same_process_alive(runner)
        with gateway(state, server.url, port=one.port) as next_one:
            assert ask(next_one, "first").status_code == 200


@pytest.mark.mount
def test_a_full_disk_refuses_new_requests_and_ends_no_stream(
    tmp_path: Path, server: FakeServer, until: Until
) -> None:
    """And the answer comes when there is room again."""
    with small_disk.mounted(tmp_path / "disk") as disk:
        state = StateDir(disk.path / "state").create()
        try:
            _serve_on(disk, state, server, until)
        finally:
            processes.end_all(state)


def _serve_on(disk: SmallDisk, state: StateDir, server: FakeServer, until: Until) -> None:
    server.hold()
    with gateway(state, server.url, *SOON) as one, stream(one, "first") as open_one:
        until(lambda: status_of(state, open_one.job_id) is Status.RUNNING)
        disk.fill(0)
        refused = ask(one, "word " * 20_000)
        assert refused.status_code == 503 and "disk is full" in refused.text
        assert refused.headers["x-should-retry"] == "true"
        server.let_go()
        open_one.live()
        disk.free()
        assert open_one.text() == "One two three."
