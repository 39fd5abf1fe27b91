"""The process of `ktjob serve` in the foreground: what it says, what it refuses, how it ends."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from fake_sglang.process import FakeServer
from support.commands import Run
from support.gateway import LOOK_SECONDS, Serving, gateway
from support.patience import HANG_SECONDS

from jobs.processes import identity
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.service import instance, late_modules
from ktclient.gateway.service.instance import Claim, Files

NOWHERE = "http://127.0.0.1:9"


def said(one: Serving, words: str) -> str:
    """All that it has printed, once these words are in it."""
    give_up = time.monotonic() + HANG_SECONDS
    while words not in (text := one.log.read_text(encoding="utf-8")):
        assert time.monotonic() < give_up, text
        time.sleep(LOOK_SECONDS)
    return text


@pytest.fixture
def locked(state: StateDir) -> StateDir:
    """A state directory with a key, so that there is a login."""
    with HttpStore.open(state) as store:
        store.add_api_key("key_1", "one", "hash", is_admin=False, expires_at=None)
    return state


@contextmanager
def half_a_request(one: Serving) -> Iterator[socket.socket]:
    """A request whose body does not end, so that it is open."""
    with socket.create_connection(("127.0.0.1", one.port), HANG_SECONDS) as connection:
        head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\nContent-Length: 1000\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # its body is being read
        yield connection


@pytest.mark.promise
def test_it_says_where_it_is_and_what_is_behind_it(
    state: StateDir, server: FakeServer, run: Run
) -> None:
    """Base URL, page, server, who may use it, how to stop it; a line per request without its key
    and its query; and each request gets an id."""
    with gateway(state, server.url) as one:
        text = said(one, "to stop: ")
        assert f"listening on {one.url}/v1" in text and f"page: {one.url}/" in text
        assert f"server: {server.url} answers with " in text
        assert "access: there are no keys" in text and "--stop --port" in text
        headers = {"Authorization": "Bearer sk-not-to-be-logged"}
        answer = httpx2.get(f"{one.url}/v1/nothing?api_key=sk-neither", headers=headers)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["x-request-id"].startswith("req_")
        text = said(one, answer.headers["x-request-id"])
        assert "GET /v1/nothing 404" in text and "sk-" not in text
        assert httpx2.get(f"{one.url}/healthz").json()["status"] == "ok"

        again = run("serve", "--port", str(one.port))
        assert (again.returncode, again.stdout) == (2, "")
        assert f"process {one.process.pid} at {one.url}" in again.stderr
        assert f"ktjob serve --stop --port {one.port}" in again.stderr
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(HANG_SECONDS) == 0
    assert "Traceback" not in one.log.read_text(encoding="utf-8")


def test_it_says_what_is_wrong_with_an_address(state: StateDir, run: Run) -> None:
    """A port in use, an address of another machine, one that others reach without keys."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = run("serve", "--port", str(port))
        assert taken.returncode == 2 and "Another program listens there" in taken.stderr
        assert "--port" in taken.stderr
    foreign = run("serve", "--host", "192.0.2.1")
    assert foreign.returncode == 2 and "choose another --host" in foreign.stderr.lower()
    open_to_all = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert open_to_all.returncode == 2 and "ktjob serve keys add" in open_to_all.stderr
    assert instance.all_of(state) == []


@pytest.mark.promise
def test_a_signal_cuts_what_is_open_and_ends_with_code_0(locked: StateDir) -> None:
    """Without a traceback; without a line per request, if it is to be quiet."""
    with gateway(locked, NOWHERE, "--quiet") as one, half_a_request(one) as client:
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(HANG_SECONDS) == 0
        assert b"HTTP/1.1 200" not in client.recv(1000)
        text = one.log.read_text(encoding="utf-8")
        assert "stopping" in text and "Traceback" not in text and "POST /login" not in text


def test_a_second_signal_does_not_wait_for_what_is_open(locked: StateDir) -> None:
    """Ctrl-C, then Ctrl-C again."""
    with gateway(locked, NOWHERE) as one, half_a_request(one):
        one.process.send_signal(signal.SIGINT)
        said(one, "stopping")
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(HANG_SECONDS) == 0
        text = one.log.read_text(encoding="utf-8")
        assert "graceful shutdown exceeded" not in text and "Traceback" not in text


def test_it_loads_all_that_it_needs_once(state: StateDir, server: FakeServer) -> None:
    """What a chat needs is loaded right after the start: `pip install -U` may come at any time. The
    openai package, which costs more than all the rest, never is."""
    with gateway(state, server.url, PYTHONPROFILEIMPORTTIME="1") as one:
        last = late_modules.NAMES[-1]
        said(one, "to stop: ")
        before = len(said(one, f" {last}\n"))
        model = httpx2.get(f"{one.url}/v1/models").json()["data"][0]["id"]
        body = {"model": model, "messages": [{"role": "user", "content": "?"}]}
        for is_streamed in (False, True):
            asked = {**body, "stream": is_streamed}
            url = f"{one.url}/v1/chat/completions"
            assert httpx2.post(url, json=asked, timeout=HANG_SECONDS).status_code == 200
        text = one.log.read_text(encoding="utf-8")
    loaded = {line.rpartition("|")[2].strip() for line in text.splitlines() if "|" in line}
    assert not loaded & {"openai", "pydantic", "fastapi", "pypdfium2", "numpy", "websockets"}
    late = {line.rpartition("|")[2].strip() for line in text[before:].splitlines() if "|" in line}
    assert {name for name in late if name.split(".")[0] in ("jobs", "ktclient")} == set()


def test_a_lock_file_that_was_removed_is_made_again(state: StateDir) -> None:
    """So that others still see that a gateway lives; how many clients wait is noted in it."""
    files = Files(state, 8640)
    claim = Claim(files, "http://127.0.0.1:8640")
    files.lock.unlink()
    assert instance.of_port(state, 8640) is None
    claim.renew()
    claim.note(3)
    found = instance.of_port(state, 8640)
    assert found is not None and found.process == identity.mine() and found.streams == 3
    claim.release()
    assert instance.all_of(state) == []
