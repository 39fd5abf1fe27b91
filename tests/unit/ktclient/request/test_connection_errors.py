"""What people meet, each with its own cause and its cure, over real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from support.one_connection import failure_of, read_request, replaying, reset, server

from jobs import errors
from ktclient import errors as ktclient_errors
from ktclient.request import error_bodies, error_mapping
from ktclient.servers import probe

pytestmark = pytest.mark.each_python

TLS = Path(__file__).resolve().parents[3] / "data" / "tls"
URL = "http://gpu-box:40001"
NGINX_504 = "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body></body></html>"
NGINX_413 = "<html><head><title>413 Request Entity Too Large</title></head></html>"
NGINX_400 = (
    "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
)
ENVOY = "upstream connect error or disconnect/reset before headers. reset reason: connection reset"
FASTAPI_422 = {
    "detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]
}
FLAT = {"object": "error", "type": "x", "param": None}
OVERPOOL = (
    'data: {"error": {"object": "error", "message": "Input length (900045 tokens) exceeds the '
    'maximum allowed length (899994 tokens). Use a shorter input or enable --allow-auto-truncate.",'
    ' "type": "BAD_REQUEST", "param": null, "code": 400}}\n\n'
    'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":'
    '{"prompt_tokens":1,"total_tokens":2,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
)
"""Whole, as recorded (sglang 0.5.17, overpool_one): looks like success to a careless client."""
EVENTS = "text/event-stream; charset=utf-8"
TOO_LONG = "the request exceeds the available context size"
NESTED = "[" * 9_999
JSON, HTML = "application/json", "text/html"


def chunk(**choice: object) -> str:
    body = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
    return f"data: {json.dumps(body)}\n\n"


WORD = chunk(delta={"content": "Half"}, finish_reason=None)
CASES: dict[str, tuple[int, str, object, type[errors.KtjobError], str]] = {
    "fastapi's list": (
        422,
        JSON,
        FASTAPI_422,
        ktclient_errors.ServerRefused,
        "body.messages: Field req",
    ),
    "a string": (
        401,
        JSON,
        {"error": "Unauthorized"},
        ktclient_errors.Unauthorized,
        "KTJOB_API_KEY",
    ),
    "no such route": (
        404,
        JSON,
        {"detail": "Not Found"},
        ktclient_errors.WrongAddress,
        "without a path",
    ),
    "no such model": (
        *(404, JSON, {**FLAT, "message": "The model `m` does not exist.", "code": 404}),
        *(ktclient_errors.ModelUnknown, "--model"),
    ),
    "no such model, by code": (
        *(404, JSON, {"error": {"message": "Nope, this model", "code": "model_not_found"}}),
        *(ktclient_errors.ModelUnknown, "--model"),
    ),
    "too large": (413, HTML, NGINX_413, ktclient_errors.BodyTooLarge, "client_max_body_size"),
    "proxy timeout": (504, HTML, NGINX_504, ktclient_errors.ProxyGaveUp, "proxy_read_timeout"),
    "plain http to https": (400, HTML, NGINX_400, ktclient_errors.TlsFailed, "https://"),
    "starting": (
        *(503, JSON, {"error": {"message": "Loading model", "code": 503}}),
        *(ktclient_errors.ServerBusy, "still starting"),
    ),
    "draining": (
        503,
        JSON,
        {"detail": "Server is shutting down"},
        ktclient_errors.ServerBusy,
        "shutting",
    ),
    "full": (
        *(503, JSON, {**FLAT, "message": "The request queue is full.", "code": 503}),
        *(ktclient_errors.ServerBusy, "its queue accepts no more"),
    ),
    "waited too long": (
        *(503, JSON, {**FLAT, "message": "Request waiting timeout reached.", "code": 503}),
        *(ktclient_errors.QueueTimedOut, "SGLANG_REQ_WAITING_TIMEOUT"),
    ),
    "ran too long": (
        *(503, JSON, {**FLAT, "message": "Request running timeout reached.", "code": 503}),
        *(ktclient_errors.ServerBroke, "SGLANG_REQ_RUNNING_TIMEOUT"),
    ),
    "envoy lost it": (503, "text/plain", ENVOY, ktclient_errors.BadGateway, "lost the server"),
    "answer too long": (
        *(400, JSON, {**FLAT, "message": "max_completion_tokens is too large: 9.", "code": 400}),
        *(ktclient_errors.DoesNotFit, "lower --max-tokens"),
    ),
    "over the pool": (200, EVENTS, OVERPOOL, ktclient_errors.DoesNotFit, "899994"),
    "a flat error in a stream": (
        *(200, EVENTS, f"data: {json.dumps({**FLAT, 'message': 'no memory', 'code': 500})}\n\n"),
        *(ktclient_errors.ErrorInStream, "no memory"),
    ),
    "an error after text": (
        *(200, EVENTS, WORD + 'data: {"error": {"message": "queue is full", "code": 503}}\n\n'),
        *(ktclient_errors.ErrorInStream, "queue is full"),
    ),
    "full, in a stream": (
        *(200, EVENTS, 'data: {"error": {"message": "queue is full", "code": 503}}\n\n'),
        *(ktclient_errors.ServerBusy, "queue"),
    ),
    "an error as plain json": (
        *(200, JSON, {**FLAT, "message": "The model `m` does not exist.", "code": 404}),
        *(ktclient_errors.ModelUnknown, "--model"),
    ),
    "a plain answer": (
        200,
        JSON,
        {"choices": []},
        ktclient_errors.ProtocolError,
        "application/json",
    ),
    "a login": (200, HTML, "<html><title>Log in</title>", ktclient_errors.WebPage, "Log in"),
    "an empty stream": (
        200,
        EVENTS,
        "data: [DONE]\n\n",
        ktclient_errors.EmptyStream,
        "without any text",
    ),
    "nothing at all": (200, EVENTS, "", ktclient_errors.StreamCut, "before the first word"),
    "no word": (
        200,
        EVENTS,
        chunk(delta={}, finish_reason="stop"),
        ktclient_errors.EmptyAnswer,
        "stop",
    ),
    "an abort": (
        200,
        EVENTS,
        chunk(delta={}, finish_reason="abort"),
        ktclient_errors.AbortedByServer,
        "by",
    ),
    "cut": (200, EVENTS, WORD, ktclient_errors.StreamCut, "end mark"),
    "used up": (
        200,
        EVENTS,
        chunk(delta={}, finish_reason="length"),
        ktclient_errors.EmptyAnswer,
        "--max-",
    ),
    "an error for a reason": (
        *(200, EVENTS, WORD + chunk(delta={}, finish_reason="error")),
        *(ktclient_errors.ErrorInStream, "See its log"),
    ),
    "an error event": (
        *(200, EVENTS, WORD + 'event: error\ndata: {"message": "oops"}\n\n'),
        *(ktclient_errors.ErrorInStream, "oops"),
    ),
    "llama.cpp's error line": (
        *(200, EVENTS, WORD + 'error: {"code":500,"message":"no slot","type":"server_error"}\n\n'),
        *(ktclient_errors.ErrorInStream, "no slot"),
    ),
    "the same, before a word": (
        *(200, EVENTS, f"error: {json.dumps({'code': 400, 'message': TOO_LONG})}\n\n"),
        *(ktclient_errors.DoesNotFit, "shorten it"),
    ),
    "no text for text": (
        200,
        EVENTS,
        chunk(delta={"content": 5}),
        ktclient_errors.ProtocolError,
        "chat co",
    ),
    "nested without end": (
        200,
        EVENTS,
        f"data: {NESTED}\n\n",
        ktclient_errors.ProtocolError,
        "protocol",
    ),
    "a proxy that wants a password": (
        407,
        HTML,
        "",
        ktclient_errors.ProxyRefused,
        "NO_PROXY=127.0.0.1",
    ),
    "a tunnel that is down": (
        530,
        "text/plain",
        "error code: 1033",
        ktclient_errors.UpstreamDown,
        "its tunnel",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_case_has_its_cause_and_its_cure(name: str) -> None:
    """Sent as a real server or proxy sends it; one line, no Python in it."""
    status, kind, body, leaf, words = CASES[name]
    raw = body if isinstance(body, str) else json.dumps(body)
    with server(replaying(status, kind, raw.encode())) as url:
        failure = failure_of(url)
    assert type(failure) is leaf, failure
    assert words in str(failure)
    assert url in str(failure)
    assert not any(sign in str(failure) for sign in ("{'", "<html", "b'", "Error(", "None"))


HEAD = b"HTTP/1.1 %s\r\ncontent-type: text/event-stream\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
BROKEN = {
    "a frame": (
        HEAD % b"200 X" + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        "ProtocolError",
        "zz",
    ),
    "packing": (
        HEAD % b"200 X" + b"content-encoding: gzip\r\n\r\nno gzip",
        "ProtocolError",
        "corrupted",
    ),
    "a switch": (HEAD % b"101 X" + b"upgrade: x\r\n\r\n", "ProtocolError", "corrupted"),
    "a head": (HEAD % b"200 X" + b"x: " + b"x" * 200_000, "ProtocolError", "corrupted"),
    "a refusal": (HEAD % b"401 X" + b"content-length: 9\r\n\r\n{", "Unauthorized", "KTJOB_API_KEY"),
    "a full one": (
        HEAD % b"503 X" + b"content-length: 9\r\n\r\n{",
        "ServerBusy",
        "try again later",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_breaks_is_what_had_come_of_it(name: str) -> None:
    """Not a cut connection, which would be worth another prefill: what breaks so breaks again."""
    raw, leaf, words = BROKEN[name]

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(raw)

    with server(behave) as url:
        failure = failure_of(url)
    assert type(failure).__name__ == leaf, failure
    assert words in str(failure) and "bytearray" not in str(failure)


@pytest.mark.parametrize("status", [401, 413])
def test_a_refusal_in_the_middle_of_the_upload_is_heard(status: int) -> None:
    """Sent when the head was read, then a reset: the answer is there all the same."""

    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
        reset(connection)

    with server(behave) as url:
        failure = failure_of(url, "text " * 2_000_000)
    assert (
        type(failure)
        is {401: ktclient_errors.Unauthorized, 413: ktclient_errors.BodyTooLarge}[status]
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_told_from_the_server(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """As people leave one in their environment; with its place, and without its password."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = f"127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://user:s3cret@{gone}")
    with pytest.raises(ktclient_errors.ProxyRefused, match=gone) as failed:
        probe.probe(f"{scheme}://gpu-box.invalid:1", None)
    assert "NO_PROXY=gpu-box.invalid" in str(failed.value)
    assert "s3cret" not in str(failed.value)


def test_every_cause_is_its_own() -> None:
    """Stored with jobs and read by scripts."""

    def below(kind: type[errors.KtjobError]) -> list[type[errors.KtjobError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

    kinds = {kind for kind in below(errors.KtjobError) if kind.__module__ != __name__}
    assert len({kind.cause for kind in kinds}) == len(kinds)


def test_what_was_never_accepted_is_known() -> None:
    """The rest is never asked again within an attempt; of that, only what cannot still be computed
    unseen is worth another attempt."""
    again = {
        kind.__name__
        for kind in vars(ktclient_errors).values()
        if getattr(kind, "may_try_again", 0)
    }
    of_requests = {"BadGateway", "StreamCut", "ServerDied", "LinkLost", "ServerHung"}
    of_requests |= {"CacheExhausted"}  # alone, it has room
    assert again == of_requests | {"PartRestarted", "WorkerStopped", "OutOfMemory"}
    assert not any(
        issubclass(ktclient_errors.ProxyGaveUp, kind) for kind in ktclient_errors.NEVER_ACCEPTED
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("-1", None), ("", None)],
)
def test_when_to_come_back_is_read(header: str, seconds: float | None) -> None:
    """In seconds or as a date; nonsense is no time."""
    answer = httpx2.Response(429, headers={"retry-after": header}, json={"error": "slow down"})
    limited = error_mapping.by_answer(URL, answer)
    assert isinstance(limited, ktclient_errors.RateLimited)
    assert limited.retry_after == seconds


def test_a_redirection_says_where_to() -> None:
    """It is not followed, also not by the long request."""
    answer = httpx2.Response(307, headers={"location": "https://other.test/\x1b[31mv1"})
    failure = error_mapping.by_answer(URL, answer)
    assert type(failure) is ktclient_errors.Redirected and "https://other.test/" in str(failure)

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 308 X\r\nlocation: http://127.0.0.1:1/\r\n\r\n")

    with server(behave) as url:
        followed = failure_of(url)
    assert type(followed) is ktclient_errors.Redirected and "http://127.0.0.1:1/" in str(followed)


@pytest.mark.parametrize(("seconds", "leaf"), [(1.0, "ServerBusy"), (900.0, "BadGateway")])
def test_an_unknown_503_is_no_proof_after_a_long_time(seconds: float, leaf: str) -> None:
    """A proxy's, in the middle of a prefill: not "never accepted"."""
    response = httpx2.Response(503, request=httpx2.Request("POST", URL))
    error = openai.APIStatusError("x", response=response, body=None)
    failure = error_mapping.explain(error, URL, sent=True, seconds=seconds)
    assert type(failure).__name__ == leaf


def test_a_proxys_patience_is_told_in_minutes() -> None:
    """Whoever set it recognises it."""
    response = httpx2.Response(504, request=httpx2.Request("POST", URL))
    error = openai.APIStatusError("x", response=response, body=NGINX_504)
    message = str(error_mapping.explain(error, URL, sent=True, seconds=300.2))
    assert "timed out after 5 min" in message and "504 Gateway Time-out" in message


@pytest.mark.parametrize(
    ("error", "sent", "leaf"),
    [
        (socket.gaierror(-2, "Name or service not known"), False, ktclient_errors.HostUnknown),
        (
            ConnectionRefusedError(111, "Connection refused"),
            False,
            ktclient_errors.ConnectionRefused,
        ),
        (OSError(113, "No route to host"), False, ktclient_errors.HostUnreachable),
        (TimeoutError(110, "Connection timed out"), False, ktclient_errors.HostUnreachable),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            False,
            ktclient_errors.ConnectionBroke,
        ),
        (BrokenPipeError(32, "Broken pipe"), False, ktclient_errors.ConnectionBroke),
        (ConnectionResetError(104, "Connection reset by peer"), True, ktclient_errors.StreamCut),
        (TimeoutError(110, "Connection timed out"), True, ktclient_errors.LinkLost),
        (OSError(113, "No route to host"), True, ktclient_errors.LinkLost),
    ],
    ids=lambda value: str(value),
)
def test_the_systems_own_error_decides(
    error: OSError, sent: bool, leaf: type[errors.KtjobError]
) -> None:
    """Wrapped as httpcore and httpx2 wrap it."""
    outer = httpx2.ReadError(str(error)) if sent else httpx2.ConnectError(str(error))
    outer.__cause__ = RuntimeError("between")
    outer.__cause__.__context__ = error
    failure = error_mapping.explain(outer, URL, sent=sent, seconds=61.0)
    assert type(failure) is leaf
    assert "Errno" not in str(failure)


def test_a_server_that_takes_connections_and_says_nothing_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hung one: the kernel still takes connections for it."""
    monkeypatch.setattr("ktclient.request.connection.SHORT_TIMEOUT", httpx2.Timeout(0.2))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ktclient_errors.ServerSilent, match="hung"),
    ):
        probe.probe(f"http://127.0.0.1:{listener.getsockname()[1]}", None)


@contextlib.contextmanager
def tls_port(certificate: str, host: str) -> Iterator[int]:
    """A port of this machine (all of 127/8 is) that speaks TLS to whoever comes, and no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / certificate, TLS / "key.pem")
    with socket.create_server((host, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, True) as wrapped:
                wrapped.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("certificate", "host", "trusted", "words"),
    [
        ("cert.pem", "localhost", None, "SSL_CERT_FILE"),
        ("expired.pem", "localhost", "expired.pem", "expired"),
        ("cert.pem", "127.0.0.2", "cert.pem", "another host name"),
    ],
)
def test_a_certificate_is_explained(
    monkeypatch: pytest.MonkeyPatch, certificate: str, host: str, trusted: str | None, words: str
) -> None:
    """Unknown, too old, or somebody else's."""
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / trusted))
    with (
        tls_port(certificate, host) as number,
        pytest.raises(ktclient_errors.TlsFailed, match=words) as failed,
    ):
        probe.probe(f"https://{host}:{number}", None)
    assert "_ssl.c" not in str(failed.value)


def test_https_to_a_plain_port_says_http() -> None:
    """The commonest slip."""

    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with server(behave) as url, pytest.raises(ktclient_errors.TlsFailed, match="write http://"):
        probe.probe(url.replace("http://", "https://"), None)


def test_http_to_a_tls_port_says_https() -> None:
    """Some answer with a TLS alert."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x46")

    with server(behave) as url, pytest.raises(ktclient_errors.TlsFailed, match="write https://"):
        probe.probe(url, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("plain", "plain"),
        ({"message": "flat"}, "flat"),
        ({"error": {"message": "nested"}}, "nested"),
        ({"error": "string"}, "string"),
        ({"detail": "detail"}, "detail"),
        ({"detail": [{"loc": ["body", 0, "x"], "msg": "bad"}, "two"]}, "body.0.x: bad; two"),
        ({"error": None, "message": "late"}, "late"),
        ("<html><body><h1>Oh\x1b[31m</h1></body>", "Oh[31m"),
        ("<html><title>\n </title>text", "text"),
        ({"error": {"message": {"message": "deep"}}}, "deep"),
        (None, ""),
        (5, ""),
        ({}, ""),
        ([[[]]], ""),
        ("a\u202eb\u200bc\ud800d", "abcd"),
    ],
)
def test_any_body_is_put_into_words(body: object, said: str) -> None:
    """Without what steers a terminal or turns the line round."""
    assert error_bodies.words(body) == said
    assert all(unicodedata.category(c) not in ("Cc", "Cf") for c in error_bodies.words(body))
