"""Streams that are open: very many of them, and what ends them before their job."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.gateway import Serving, gateway
from support.gateway_keys import Made, end_key, make_key, remove_key
from support.patience import HANG_SECONDS

from jobs import clock
from jobs.model import Outcome
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir

STREAMS = 2000
MOST_KIB = 80
"""Of the gateway's memory for each of them."""
MODEL = "DeepSeek-V4-Flash"
END = b"0\r\n\r\n"
"""The last chunk: without it, a client knows that something is missing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "One two three.") as server:
        server.hold()
        yield server


class Stream:
    """One streamed chat over a socket. `key` names the request: streams of one key are of one
    job."""

    def __init__(self, one: Serving, key: str, who: Made | None = None) -> None:
        self._one, self._key, self._who = one, key, who
        self.text = b""

    async def begin(self) -> None:
        """Ask, and wait for the first chunk."""
        body = json.dumps(
            {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Well?"}]}
        ).encode()
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            f"Idempotency-Key: {self._key}",
        ]
        if self._who is not None:
            lines.append(f"Authorization: Bearer {self._who.key}")
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._one.port)
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._until(lambda: b"chatcmpl-" in self.text)

    async def comment(self) -> None:
        """Wait for a sign of life."""
        before = self.text.count(b"\n: ")
        await self._until(lambda: self.text.count(b"\n: ") > before)

    async def end(self) -> bool:
        """Wait until it ends; whether it did so in good order."""
        await self._until(lambda: self.text.endswith(END))
        self._writer.close()
        return self.text.endswith(END)

    @property
    def job_id(self) -> str:
        (found,) = set(re.findall(rb'"id":"chatcmpl-(\w+)"', self.text))
        return str(found.decode())

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            try:
                part = await asyncio.wait_for(self._reader.read(65536), HANG_SECONDS)
            except ConnectionResetError:
                return
            if not part:
                return
            self.text += part


def rss_kib(one: Serving) -> int:
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    (found,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    return int(found)


def ended(state: StateDir, job_id: str) -> Outcome | None:
    """How the job ended, once it has."""
    deadline = time.monotonic() + HANG_SECONDS
    with HttpStore.open(state) as store:
        while (job := store.job(job_id)).outcome is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    return job.outcome


@pytest.mark.promise
def test_two_thousand_streams_wait_for_an_answer_and_get_it(
    state: StateDir, server: FakeServer
) -> None:
    """With bounded memory; meanwhile others are answered, and no stream is silent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, STREAMS + 500)), hard))
    with gateway(state, server.url, "--comment-seconds", "5") as one:
        asyncio.run(_many(one, server))


async def _many(one: Serving, server: FakeServer) -> None:
    first = Stream(one, "all")
    await first.begin()
    before = rss_kib(one)
    streams = [Stream(one, "all") for _ in range(STREAMS - 1)]
    for some in range(0, len(streams), 100):
        await asyncio.gather(*(stream.begin() for stream in streams[some : some + 100]))
    assert len({stream.job_id for stream in [first, *streams]}) == 1
    await asyncio.gather(*(stream.comment() for stream in [first, *streams]))
    assert rss_kib(one) - before < MOST_KIB * STREAMS
    server.let_go()
    assert all(await asyncio.gather(*(stream.end() for stream in [first, *streams])))
    for stream in streams:
        assert stream.text.count(b"[DONE]") == 1
    assert len(server.requests()) == 1


@pytest.mark.promise
@pytest.mark.parametrize("how", ["removed", "expired"])
def test_with_its_key_a_stream_ends_and_its_job_does_not(
    state: StateDir, server: FakeServer, how: str
) -> None:
    """It is cut within seconds; another key's stream stays."""
    alice = make_key(state, "alice", expires_at=clock.ago(-3600))
    bob = make_key(state, "bob")

    async def look(one: Serving) -> str:
        hers, his = Stream(one, "hers", alice), Stream(one, "his", bob)
        await asyncio.gather(hers.begin(), his.begin())
        assert hers.job_id != his.job_id
        (remove_key if how == "removed" else end_key)(state, "alice")
        assert not await hers.end()
        assert b"[DONE]" not in hers.text
        server.let_go()
        assert await his.end()
        return hers.job_id

    with gateway(state, server.url) as one:
        job_id = asyncio.run(look(one))
        assert ended(state, job_id) is Outcome.SUCCEEDED
        said = one.log.read_text()
    assert "Traceback" not in said and alice.key not in said


@pytest.mark.promise
def test_sigterm_cuts_streams_and_ends_no_job(state: StateDir, server: FakeServer) -> None:
    """The next gateway gives the same request all its words."""

    async def look(one: Serving) -> str:
        stream = Stream(one, "mine")
        await stream.begin()
        one.process.send_signal(signal.SIGTERM)
        assert not await stream.end()
        return stream.job_id

    with gateway(state, server.url) as one:
        job_id = asyncio.run(look(one))
        assert one.process.wait(HANG_SECONDS) == 0
        assert "Traceback" not in one.log.read_text()
    server.let_go()
    assert ended(state, job_id) is Outcome.SUCCEEDED

    async def again(one: Serving) -> None:
        stream = Stream(one, "mine")
        await stream.begin()
        assert await stream.end()
        assert stream.job_id == job_id and b"three" in stream.text

    with gateway(state, server.url) as one:
        asyncio.run(again(one))
    assert len(server.requests()) == 1
