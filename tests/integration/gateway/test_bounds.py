"""Clients that send too much, too slowly, or what is no request, over plain sockets."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from support.gateway import Serving, gateway
from support.gateway_keys import Made, make_key
from support.patience import HANG_SECONDS

from jobs.store.state_dir import StateDir

SERVER = "http://127.0.0.1:9"
MOST = 30
ACCESS = "ktclient.gateway.access"


@pytest.fixture(scope="module")
def state_of_all(tmp_path_factory: pytest.TempPathFactory) -> StateDir:
    return StateDir(tmp_path_factory.mktemp("bounds") / "state").create()


@pytest.fixture(scope="module")
def alice(state_of_all: StateDir) -> Made:
    return make_key(state_of_all, "alice")


@pytest.fixture(scope="module")
def one(state_of_all: StateDir, alice: Made) -> Iterator[Serving]:
    with gateway(state_of_all, SERVER) as found:
        yield found


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """With a second for headers and for silence in a body, and few connections. Nobody may expect
    an answer of it that is not repeated."""
    state = StateDir(tmp_path_factory.mktemp("impatient") / "state").create()
    constants = {
        f"{ACCESS}.connection.HEADER_SECONDS": 1.0,
        f"{ACCESS}.connection.IDLE_SECONDS": 1,
        f"{ACCESS}.connection.MOST_CONNECTIONS": MOST,
        f"{ACCESS}.shape.SILENT_SECONDS": 1.0,
    }
    with gateway(state, SERVER, constants=constants) as found:
        yield found


def connected(one: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", one.port), HANG_SECONDS)


def head(*lines: str, target: str = "GET /v1/nothing", host: str = "localhost") -> bytes:
    return "\r\n".join([f"{target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


def answer(one: Serving, *parts: bytes) -> bytes:
    """All that comes until the gateway closes."""
    with connected(one) as connection:
        with contextlib.suppress(ConnectionError):  # it has refused the first part
            for part in parts:
                connection.sendall(part)
        return rest(connection)


def rest(connection: socket.socket) -> bytes:
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:  # what we sent was not read to its end
        pass
    return found


def status(said: bytes) -> int:
    return int(said.split()[1])


def error_of(said: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(said.partition(b"\r\n\r\n")[2])["error"]
    return found


def rss_kib(one: Serving) -> int:
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    (found,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    return int(found)


def is_well(one: Serving) -> bool:
    return b'"ok"' in answer(one, head("Connection: close", target="GET /healthz"))


@pytest.mark.promise
def test_201_megabytes_are_refused_before_they_are_read(one: Serving, alice: Made) -> None:
    """And who asks first whether to send them is not told to."""
    key = f"Authorization: Bearer {alice.key}"
    size = "Content-Length: 201000000"
    for target in ("POST /v1/files", "POST /v1/chat/completions", "POST /v1/responses"):
        asks = answer(one, head(key, size, "Expect: 100-continue", target=target))
        assert status(asks) == 413 and b" 100 " not in asks
        assert error_of(asks)["code"] == "request_too_large"
        assert b"x-should-retry: false" in asks and b"connection: close" in asks.lower()
        sends = answer(one, head(key, size, target=target), b"x" * 100_000)
        assert status(sends) == 413
    assert is_well(one)


@pytest.mark.promise
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (head("Content-Length: 3", "Transfer-Encoding: chunked", "Connection: close"), 400),
        (head("Content-Length: 3", "Content-Length: 4"), 400),
        (head("Content-Length: -1"), 400),
        (head("Content-Length: 1e3"), 400),
        (head("Transfer-Encoding: gzip, chunked"), 400),
        (head("Host: evil.example"), 400),
        (head(target="GET http://127.0.0.1/v1/models"), 400),
        (head(target="GET http://evil.example/v1/models"), 400),
        (head(target="OPTIONS *"), 400),
        (head(host="evil.example", target="GET /healthz") + b"", 421),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 400),
        (head("X: " + "x" * 1_000_000), 400),
        (head(*(f"X{n}: y" for n in range(100_000))), 400),
        (head("X\x00: y"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600 + b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 1_000_000, 400),
        (b"\r\n\r\n\r\n" + b"nonsense\r\n\r\n", 400),
    ],
)
def test_what_two_readers_could_understand_in_two_ways_is_refused(
    one: Serving, request_: bytes, expected: int
) -> None:
    """In OpenAI's form, and the connection is closed behind most of it."""
    if expected == 421:
        request_ = request_.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    said = answer(one, request_)
    assert status(said) == expected
    assert error_of(said)["message"]
    assert is_well(one)


def test_a_second_request_cannot_hide_in_a_body(one: Serving) -> None:
    """With a length and chunks, what follows is neither of the two."""
    hidden = head("Connection: close", target="GET /healthz")
    said = answer(
        one, head("Content-Length: 5", "Transfer-Encoding: chunked"), b"0\r\n\r\n", hidden
    )
    assert said.count(b"HTTP/1.1") == 1 and status(said) == 400


def test_paths_with_tricks_name_nothing(one: Serving, alice: Made) -> None:
    """In ids of every kind: up, encoded up, zero bytes, separators, very long, not Unicode."""
    tricks = [
        "..",
        "../../etc/passwd",
        "%2e%2e%2f%2e%2e%2fktjob.db",
        "a%00b",
        "%2Fetc%2Fpasswd",
        "..%5c..%5cx",
        "file-%ff%fe",
        "x" * 8000,
        "%0d%0aX:%20y",
        "'%20OR%201=1--",
        "*",
        "%",
    ]
    key = f"Authorization: Bearer {alice.key}"
    for kind in ("responses", "files", "batches", "uploads", "chat/completions", "models"):
        for trick in tricks:
            for end in ("", "/content", "/cancel"):
                target = f"GET /v1/{kind}/{trick}{end}"
                said = answer(one, head(key, "Connection: close", target=target))
                assert status(said) in (400, 404, 405), target
                assert b"root:" not in said and b"SQLite" not in said
                assert b"X: y" not in said.partition(b"\r\n\r\n")[0]
    assert is_well(one)


@pytest.mark.promise
def test_clients_that_send_no_request_are_let_go(impatient: Serving) -> None:
    """Slow headers: nothing, a part, or a byte now and then; also behind a whole request."""
    assert rest_after(impatient) in (b"", b"408")
    assert rest_after(impatient, b"GET / HT") == b"408"
    with connected(impatient) as connection:
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                connection.sendall(b"X")
                time.sleep(0.1)
        assert time.monotonic() - start < HANG_SECONDS
    said = answer(impatient, head(target="GET /healthz"), b"GET /healthz HT")
    assert said.count(b"HTTP/1.1 ") >= 1


def rest_after(one: Serving, *parts: bytes) -> bytes:
    said = answer(one, *parts)
    return b"408" if said and status(said) == 408 else said


@pytest.mark.promise
def test_a_body_that_stops_in_the_middle_is_let_go(impatient: Serving) -> None:
    """Whether its size was told or not; and where nobody reads it."""
    for how in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
        part = b'5\r\n{"mod' if how.startswith("T") else b'{"mod'
        for target in ("POST /login", "POST /v1/files", "POST /v1/chat/completions"):
            said = answer(
                impatient, head(how, "Content-Type: application/json", target=target), part
            )
            assert not said or status(said) in (400, 408), (how, target, said)


@pytest.mark.promise
def test_clients_that_read_nothing_are_let_go(state: StateDir) -> None:
    """Their answers stay on disk until the network takes them."""
    constants = {f"{ACCESS}.connection.STALLED_SECONDS": 1.0}
    size, clients = 40_000_000, 20
    with gateway(state, SERVER, constants=constants) as one:
        file = {"file": ("large", b"x" * size)}
        sent = httpx2.post(f"{one.url}/v1/files", data={"purpose": "user_data"}, files=file)
        target = f"GET /v1/files/{sent.json()['id']}/content"
        with ExitStack() as stack:
            before = rss_kib(one)
            held = [stack.enter_context(connected(one)) for _ in range(clients)]
            for connection in held:
                connection.sendall(head(target=target))
            for connection in held:
                gone = select.poll()
                gone.register(connection, select.POLLRDHUP)
                assert gone.poll(HANG_SECONDS * 1000)
            assert rss_kib(one) - before < size // 1024 * clients // 10
        assert is_well(one)


@pytest.mark.promise
def test_connections_are_bounded_and_come_free_again(impatient: Serving) -> None:
    """The one too many is told to come again."""
    deadline = time.monotonic() + HANG_SECONDS
    refused: list[bytes] = []
    while not refused:  # on a slow machine the first have left before the last come
        assert time.monotonic() < deadline
        with ExitStack() as stack:
            held = [stack.enter_context(connected(impatient)) for _ in range(MOST + 10)]
            refused = [said for said in map(rest, held) if b" 503 " in said]
    said = refused[0]
    assert error_of(said)["code"] == "too_many_connections"
    assert b"x-should-retry: true" in said and b"retry-after" in said
    while not is_well(impatient):
        assert time.monotonic() < deadline
