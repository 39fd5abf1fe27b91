"""Streams of responses while nothing arrives: signs of life, progress, and cuts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.gateway_app import LOOK_SECONDS, gateway_app
from support.patience import HANG_SECONDS

from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Limits

QUICK = Limits(quick_seconds=0.2, comment_seconds=0.05, progress_seconds=0.6)
ASK = {"model": "DeepSeek-V4-Flash", "input": "How many?"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    with fake_sglang(tmp_path, "--answer", "One two three.") as server:
        yield server


@pytest.fixture
def url(state: StateDir, server: FakeServer) -> Iterator[str]:
    with gateway_app(state, server.url, QUICK) as root:
        yield f"{root}/v1/responses"


def post(url: str, **fields: Any) -> dict[str, Any]:
    answer = httpx2.post(url, json={**ASK, **fields}, timeout=HANG_SECONDS)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Reader:
    """Blocks of one stream, as they come."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.comments = 0
        self.events: list[dict[str, Any]] = []

    def read(self) -> str:
        """The next event's type; "[DONE]" at the end."""
        for line in self._lines:
            self.comments += line.startswith(":")
            if line.startswith("data: "):
                data = line.removeprefix("data: ")
                if data == "[DONE]":
                    return data
                self.events.append(json.loads(data))
                return str(self.events[-1]["type"])
        return ""

    def read_until(self, kind: str, times: int = 1) -> None:
        for _ in range(times):
            while (found := self.read()) != kind:
                assert found, f"the stream ended before {kind}"


@pytest.mark.promise
def test_a_silent_prefill_is_told_of_the_same_in_each_stream(url: str, server: FakeServer) -> None:
    """Comments for connections, and events with our progress for who counts events only."""
    server.hold()
    made = post(url, background=True)
    server.wait_for_event("request")
    where = f"{url}/{made['id']}?stream=true"
    with httpx2.stream("GET", where, timeout=HANG_SECONDS) as first:
        reader = Reader(first.iter_lines())
        reader.read_until("response.in_progress", times=3)
        while reader.comments < 3:
            assert reader.read()
        progress = reader.events[-1]["response"]["ktjob"]
        assert progress["job"] == made["id"].removeprefix("resp_")
        assert progress["attempt"] == 1 and progress["phase"]
        with httpx2.stream("GET", where, timeout=HANG_SECONDS) as second:
            other = Reader(second.iter_lines())
            other.read_until("response.in_progress", times=4)
            server.let_go()
            for one in (reader, other):
                one.read_until("response.completed")
                assert one.read() == "[DONE]"
    assert reader.events == other.events
    with httpx2.stream("GET", where, timeout=HANG_SECONDS) as later:
        again = Reader(later.iter_lines())
        again.read_until("[DONE]")
    assert again.events == reader.events


def test_a_plain_answer_is_kept_alive_by_blanks(url: str, server: FakeServer) -> None:
    server.hold()
    with httpx2.stream("POST", url, json=ASK, timeout=HANG_SECONDS) as answer:
        parts = answer.iter_bytes()
        assert answer.status_code == 200 and next(parts) == b" "
        server.let_go()
        body = b"".join(parts)
    assert json.loads(body)["status"] == "completed"


@pytest.mark.promise
def test_the_stream_of_a_deleted_response_is_cut(url: str, server: FakeServer) -> None:
    """A polite end would be taken for a whole answer."""
    server.hold()
    made = post(url, background=True)
    server.wait_for_event("request")
    where = f"{url}/{made['id']}"
    with httpx2.stream("GET", f"{where}?stream=true", timeout=HANG_SECONDS) as answer:
        reader = Reader(answer.iter_lines())
        reader.read_until("response.in_progress")
        assert httpx2.delete(where, timeout=HANG_SECONDS).json()["deleted"] is True
        with pytest.raises(httpx2.RemoteProtocolError):
            reader.read_until("[DONE]")
    server.let_go()


def test_a_job_that_waits_says_how_many_are_before_it(
    url: str, server: FakeServer, state: StateDir
) -> None:
    """Until it begins; then the stream goes on."""
    server.hold()
    made = [post(url, background=True, input=f"Number {number}") for number in range(4)]
    server.wait_for_event("request")
    last = made[-1]["id"]
    with HttpStore.open(state) as store:
        assert store.jobs_ahead(store.job(last.removeprefix("resp_"))) == 3
    with httpx2.stream("GET", f"{url}/{last}?stream=true", timeout=HANG_SECONDS) as answer:
        reader = Reader(answer.iter_lines())
        reader.read_until("response.queued", times=2)
        assert reader.events[-1]["response"]["ktjob"]["jobs_ahead"] == 3
        assert reader.events[-1]["response"]["status"] == "queued"
        server.let_go()
        reader.read_until("response.completed")


def test_a_failed_job_has_its_status_and_its_events(state: StateDir, tmp_path: Path) -> None:
    """What the server refuses is an HTTP error of the plain request, and `response.failed`, with
    our words, in a stream."""
    faults = ["--fault", "http_400_flat,http_400_flat"]
    with fake_sglang(tmp_path, *faults) as server, gateway_app(state, server.url, Limits()) as root:
        plain = httpx2.post(f"{root}/v1/responses", json=ASK, timeout=HANG_SECONDS)
        assert plain.status_code == 400 and plain.headers["x-should-retry"] == "false"
        body = {**ASK, "stream": True}
        with httpx2.stream(
            "POST", f"{root}/v1/responses", json=body, timeout=HANG_SECONDS
        ) as answer:
            reader = Reader(answer.iter_lines())
            reader.read_until("response.failed")
            assert reader.read() == "[DONE]"
    error = reader.events[-1]["response"]["error"]
    assert error["code"] == "server_error" and error["type"] == "server_refused"
    assert "temperature" in error["message"]
    assert error["message"] == plain.json()["error"]["message"]


@pytest.mark.parametrize("header", ["1", "0"])
def test_a_foreground_one_ends_with_its_client_if_that_wants_it(
    url: str, server: FakeServer, state: StateDir, header: str
) -> None:
    server.hold()
    headers = {"x-ktjob-cancel-on-disconnect": header}
    body = {**ASK, "stream": True}
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=HANG_SECONDS) as answer:
        reader = Reader(answer.iter_lines())
        reader.read_until("response.in_progress")
    response_id = reader.events[0]["response"]["id"]
    if header == "0":
        server.let_go()
    # A stream would be another client that waits for it.
    status = "in_progress"
    while status in ("queued", "in_progress"):
        status = httpx2.get(f"{url}/{response_id}", timeout=HANG_SECONDS).json()["status"]
        time.sleep(LOOK_SECONDS)
    assert status == ("cancelled" if header == "1" else "completed")
