"""Every way in which a request can fail, as one leaf of our error tree."""

from __future__ import annotations

import http.server
import inspect
import json
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion
from support.one_connection import failure_of, read_request, replaying, reset, server
from support.served import served

from jobs import errors
from ktclient import errors as ktclient_errors
from ktclient.request import error_bodies, error_mapping, status_errors, stream
from ktclient.request.stream import LongRequest

URL = "http://127.0.0.1:40001"
RECORDED = Path(__file__).resolve().parents[3] / "data" / "errors.jsonl"
"""From recordings of sglang-kt 0.7.2 and sglang 0.5.17: status, content type and body, whole."""
HOSTILE = "\x1b]0;title\x07\x9b31m\r\n" + "wörter " * 2_000
"""Foreign words that steer terminals and never end."""

T = TypeVar("T", bound=type)


def below(kind: T) -> list[T]:
    """All classes derived from one, itself included, each once."""
    found = {kind: None}
    for child in kind.__subclasses__():
        found.update(dict.fromkeys(below(child)))
    return sorted(found, key=lambda one: one.__qualname__)


def made(kind: type[BaseException], told: str = "told") -> BaseException:
    """An instance as the library would make it: each parameter by its name."""
    request = httpx2.Request("POST", f"{URL}/v1/chat/completions")
    status = getattr(kind, "status_code", 418)
    response = httpx2.Response(status, request=request)
    values: dict[str, object] = {
        "message": told,
        "request": request,
        "response": response,
        "body": {"message": told},
        "completion": ChatCompletion.model_construct(usage=None),
        "unsent_messages": [],
        "symbol": told,
        "told": ktclient_errors.StreamTooLarge(f"{URL} sent too much"),
    }
    try:
        parameters = inspect.signature(kind).parameters.values()
    except ValueError:  # without a constructor of its own
        return kind(told)
    return kind(
        *(values[one.name] for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD),
        **{one.name: values[one.name] for one in parameters if one.kind is one.KEYWORD_ONLY},
    )


def is_leaf(error: BaseException) -> bool:
    """Whether a caller can tell what to do: no class of the tree's middle."""
    return isinstance(error, errors.KtjobError) and not type(error).__subclasses__()


def is_calm(message: str) -> bool:
    """Safe in a terminal and on one screen."""
    return len(message) <= 800 and not any(unicodedata.category(c) == "Cc" for c in message)


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(
    "kind", below(openai.OpenAIError) + below(httpx2.HTTPError), ids=lambda kind: kind.__qualname__
)
def test_every_error_of_the_libraries_becomes_a_leaf(kind: type[BaseException], sent: bool) -> None:
    """Also those that a new version brings."""
    explained = error_mapping.explain(made(kind), URL, sent=sent)
    assert is_leaf(explained), type(explained)
    assert URL in str(explained)


STATUSES = {
    400: ktclient_errors.ServerRefused,
    401: ktclient_errors.Unauthorized,
    403: ktclient_errors.Unauthorized,
    404: ktclient_errors.WrongAddress,
    405: ktclient_errors.ServerRefused,
    302: ktclient_errors.Redirected,
    408: ktclient_errors.ProxyGaveUp,
    413: ktclient_errors.BodyTooLarge,
    422: ktclient_errors.ServerRefused,
    429: ktclient_errors.RateLimited,
    500: ktclient_errors.ServerBroke,
    502: ktclient_errors.UpstreamDown,
    503: ktclient_errors.ServerBusy,
    504: ktclient_errors.ProxyGaveUp,
    524: ktclient_errors.ProxyGaveUp,
}


def refusal(status: int, body: object) -> openai.APIStatusError:
    request = httpx2.Request("POST", URL)
    response = httpx2.Response(status, request=request)
    return openai.APIStatusError(f"Error code: {status}", response=response, body=body)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("shape", ["flat", "nested", "text", "nothing"])
def test_a_status_decides_whatever_the_body(status: int, shape: str) -> None:
    """sglang's flat body, OpenAI's and llama.cpp's nested one, a proxy's HTML, none."""
    body = {
        "flat": {"object": "error", "message": "words", "code": status},
        "nested": {"error": {"message": "words", "code": status}},
        "text": "<html>words</html>",
        "nothing": None,
    }[shape]
    explained = error_mapping.explain(refusal(status, body), URL, sent=True)
    assert type(explained) is STATUSES[status]
    assert f"HTTP {status}" in str(explained)
    assert "words" in str(explained) or shape == "nothing"


def at(status: int, seconds: float, body: object = None, header: str = "") -> errors.KtjobError:
    """What a status is, so many seconds after the request was sent."""
    request = httpx2.Request("POST", URL)
    headers = {"ngrok-error-code": header} if header else {}
    response = httpx2.Response(status, request=request, headers=headers)
    error = openai.APIStatusError(f"Error code: {status}", response=response, body=body)
    return error_mapping.explain(error, URL, sent=True, seconds=seconds)


CADDY = "dial tcp 127.0.0.1:40001: connect: connection refused"
ENVOY = (
    "upstream connect error or disconnect/reset before headers. reset reason: remote connection "
    "failure, transport failure reason: delayed connect error: 111"
)
HAPROXY = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle it."
LITELLM = {"error": {"message": "litellm.InternalServerError: OpenAIException - Connection error."}}
CLOSED = ENVOY.partition("remote")[0] + "connection termination"
WORDS_OF_GATEWAYS = [
    (502, 0.1, None, "UpstreamDown"),  # nginx says no more than its number
    (502, 20.0, None, "BadGateway"),
    (502, 20.0, CADDY, "UpstreamDown"),
    (502, 900.0, CADDY, "BadGateway"),  # another upstream was tried when the first had died
    (502, 0.1, "upstream prematurely closed connection", "BadGateway"),
    (503, 1.0, ENVOY, "UpstreamDown"),
    (503, 1.0, CLOSED, "BadGateway"),
    (503, 1.0, HAPROXY, "UpstreamDown"),
    (503, 1.0, "Loading model", "ServerBusy"),
    (500, 1.0, LITELLM, "UpstreamDown"),
    (500, 60.0, LITELLM, "BadGateway"),
    (500, 1.0, "Internal Server Error", "ServerBroke"),
    *((status, 0.1, None, "UpstreamDown") for status in (520, 521, 522, 523, 525, 526, 527, 530)),
    *((status, 90.0, None, "UpstreamDown") for status in (521, 522, 523, 525, 526, 530)),
    *((status, 90.0, None, "BadGateway") for status in (520, 527)),
    *((status, seconds, None, "ProxyGaveUp") for status in (504, 524) for seconds in (0.1, 90.0)),
]


@pytest.mark.parametrize(("status", "seconds", "body", "leaf"), WORDS_OF_GATEWAYS)
def test_a_gateway_without_its_server_is_known_by_status_words_and_time(
    status: int, seconds: float, body: object, leaf: str
) -> None:
    """What nothing was accepted of is waited for; what may have been is a broken connection."""
    assert type(at(status, seconds, body)).__name__ == leaf


def test_a_tunnel_that_is_offline_is_waited_for() -> None:
    """ngrok says so with a 404, which is otherwise a wrong address."""
    assert type(at(404, 0.1, "<html>", "ERR_NGROK_3200")) is ktclient_errors.UpstreamDown
    assert type(at(404, 0.1, "<html>")) is ktclient_errors.WrongAddress


@pytest.mark.parametrize("status", STATUSES)
def test_an_error_inside_the_stream_counts_as_its_code(status: int) -> None:
    """HTTP 200, then the error: its own code decides, where it is the request's fault. Of a
    server's it has a cause of its own, but for a 503 so soon that nothing was computed."""
    body = {"object": "error", "message": "words", "type": "SomeError", "code": status}
    error = openai.APIError("words", httpx2.Request("POST", URL), body=body)
    expected = STATUSES[status] if 400 <= status < 500 else ktclient_errors.ErrorInStream
    assert type(error_mapping.explain(error, URL, sent=True, seconds=60)) is expected
    at_once = ktclient_errors.ServerBusy if status == 503 else expected
    assert type(error_mapping.explain(error, URL, sent=True)) is at_once
    assert (
        type(error_mapping.explain(error, URL, sent=True, begun=True))
        is ktclient_errors.ErrorInStream
    )


CODES: list[tuple[dict[str, object], int | None]] = [
    ({"code": "429"}, 429),
    ({"code": "429 Too Many Requests"}, 429),
    ({"code": 429.0}, 429),
    ({"status": "503", "code": None}, 503),
    ({"code": "context_length_exceeded", "type": "invalid_request_error"}, 400),
    ({"code": "rate_limit_exceeded", "type": "tokens"}, 429),
    ({"type": "exceed_context_size_error"}, 400),
    ({"type": "RateLimitError"}, 429),
    ({"type": "BadRequestError"}, 400),
    ({"status": "RESOURCE_EXHAUSTED", "code": 8}, 429),
    ({"type": "Service Unavailable"}, 503),
    ({"error": {"code": "401"}, "status": 200}, 401),
    ({"code": "500", "type": "rate_limit_error"}, 500),
    ({"code": "4291"}, None),
    ({"code": 1302}, None),
    ({"code": 200}, None),
    ({"code": True, "type": ["x"], "status": {}}, None),
    ({"code": "x" * 10_000, "type": "error"}, None),
    ({"code": float("inf"), "status": float("nan")}, None),
]


@pytest.mark.parametrize(("body", "status"), CODES)
def test_a_code_as_text_or_as_a_word_counts_as_its_number(
    body: dict[str, object], status: int | None
) -> None:
    """LiteLLM sends all codes as text; OpenAI, Anthropic and Google have words."""
    assert error_bodies.status(body) == status
    said = error_mapping.in_stream({**body, "message": "words"}, URL)
    as_number = error_mapping.in_stream({"code": status, "message": "words"}, URL)
    is_too_long = "context" in str(body).lower()
    assert type(said) is (ktclient_errors.DoesNotFit if is_too_long else type(as_number))


@pytest.mark.parametrize("nest", [lambda inner: {"error": inner}, lambda inner: [inner]])
def test_an_error_that_is_nested_deeply_ends_calmly(nest: Callable[[object], object]) -> None:
    body: object = {"message": "words"}
    assert "words" in str(error_mapping.in_stream(nest(nest(body)), URL))
    for _ in range(5_000):
        body = nest(body)
    assert is_calm(str(error_mapping.in_stream(body, URL, told="An error occurred")))


def test_an_error_names_only_a_code_that_was_sent() -> None:
    assert "500" not in str(error_mapping.in_stream({"message": "boom"}, URL))
    assert "(error 500: boom)" in str(
        error_mapping.in_stream({"message": "boom", "code": 500}, URL)
    )
    assert "(boom)" in str(
        error_mapping.in_stream({"message": "boom", "type": "server_error"}, URL)
    )


@pytest.mark.parametrize("body", [None, "boom", {}, {"message": "boom"}, {"code": "x"}, ["boom"]])
def test_an_error_inside_the_stream_without_a_code_is_the_servers(body: object) -> None:
    """Nobody says that the request was wrong."""
    error = openai.APIError("An error occurred", httpx2.Request("POST", URL), body=body)
    assert type(error_mapping.explain(error, URL, sent=True)) is ktclient_errors.ErrorInStream


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8 tokens. However, you requested 9 tokens",
        "The prompt (total length 9) is too long to fit into the model (context length 8).",
        "The decoder prompt (length 9) is longer than the maximum model length of 8.",
        "the request exceeds the available context size. try increasing the context size",
        "max_tokens must be at least 1, got -186.",
        "The input (9 tokens) is longer than the model's context length (8 tokens).",
        "Requested token count exceeds the model's maximum context length of 8 tokens.",
        "Input length (9 tokens) exceeds the maximum allowed length (8 tokens).",
        "max_completion_tokens is too large: 9.",
        "request (9 tokens) exceeds the available context size (8 tokens), try increasing it",
    ],
)
@pytest.mark.parametrize("shape", ["flat", "nested", "stream"])
def test_too_long_is_told_from_other_refusals(words: str, shape: str) -> None:
    """A cut document helps, a retry does not."""
    flat = {"message": words, "code": 400}
    error: openai.APIError = refusal(400, flat if shape == "flat" else {"error": flat})
    if shape == "stream":
        error = openai.APIError(words, httpx2.Request("POST", URL), body=flat)
    explained = error_mapping.explain(error, URL, sent=True)
    assert type(explained) is ktclient_errors.DoesNotFit
    assert words in str(explained)


def test_our_own_errors_stay_as_they_are() -> None:
    """What was already explained is not explained again."""
    ours = ktclient_errors.EmptyAnswer("no word")
    assert error_mapping.explain(ours, URL, sent=True) is ours


def test_the_end_of_the_process_is_no_failure_of_the_request() -> None:
    """It goes on upwards."""
    with pytest.raises(KeyboardInterrupt):
        error_mapping.explain(KeyboardInterrupt(), URL, sent=True)


def test_the_sent_request_decides_what_a_lost_connection_means() -> None:
    """Before: nothing was asked. After: it may have been computed."""
    error = openai.APIConnectionError(request=httpx2.Request("POST", URL))
    assert isinstance(
        error_mapping.explain(error, URL, sent=False), ktclient_errors.ServerUnreachable
    )
    assert type(error_mapping.explain(error, URL, sent=True)) is ktclient_errors.StreamCut


@pytest.mark.parametrize(
    "error",
    [
        refusal(400, {"message": HOSTILE}),
        refusal(500, {"error": {"message": HOSTILE}}),
        refusal(502, HOSTILE),
        refusal(422, {"detail": [HOSTILE]}),
        openai.APIError(HOSTILE, httpx2.Request("POST", URL), body=None),
        openai.APIError("x", httpx2.Request("POST", URL), body={"message": HOSTILE, "code": 400}),
        openai.APIConnectionError(message=HOSTILE, request=httpx2.Request("POST", URL)),
        openai.OpenAIError(HOSTILE),
        httpx2.RemoteProtocolError(HOSTILE),
        httpx2.ProxyError(HOSTILE),
        ValueError(HOSTILE),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("sent", [False, True])
def test_foreign_words_are_quoted_short_and_harmless(error: Exception, sent: bool) -> None:
    """No control characters, and not more than fits on a screen."""
    assert is_calm(str(error_mapping.explain(error, URL, sent=sent)))


@pytest.mark.parametrize("error", [httpx2.ReadError(""), httpx2.ConnectTimeout("")])
@pytest.mark.parametrize("sent", [False, True])
def test_an_error_without_words_is_named(error: httpx2.HTTPError, sent: bool) -> None:
    """Not by an empty pair of brackets."""
    message = str(error_mapping.explain(error, URL, sent=sent))
    assert "()" not in message
    assert type(error).__name__ in message


def recordings() -> list[object]:
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [pytest.param(row, id=f"{row['from']}-{row['name']}") for row in rows]


def meaning_of(name: str) -> type[errors.KtjobError]:
    """What a recorded case is to its caller."""
    if "too_long" in name:
        return ktclient_errors.DoesNotFit
    return {"404": ktclient_errors.WrongAddress, "not_json": ktclient_errors.ServerBroke}.get(
        name, ktclient_errors.ServerRefused
    )


@pytest.mark.parametrize("row", recordings())
def test_recorded_errors_of_real_servers_are_understood(row: dict[str, object]) -> None:
    """Replayed over a socket: both shapes, as a status and inside a stream with status 200."""
    status, content_type = int(str(row["status"])), str(row["content_type"])
    with server(replaying(status, content_type, str(row["body"]).encode())) as url:
        failure = failure_of(url)
    assert type(failure) is meaning_of(str(row["name"]))
    assert is_calm(str(failure))


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    """Nothing was asked; a retry is free."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        failure = failure_of(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert type(failure) is ktclient_errors.ConnectionRefused
    assert "nothing listens" in str(failure)


def test_a_cut_while_the_document_goes_out_is_unreachable() -> None:
    """The server closed before it had read all: it cannot have begun."""

    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        reset(connection)

    with server(behave) as url:
        assert type(failure_of(url, "text " * 10_000_000)) is ktclient_errors.ConnectionBroke


@pytest.mark.parametrize("hard", [False, True])
def test_a_cut_after_the_document_went_out_is_a_cut_stream(hard: bool) -> None:
    """The server had all of it, and may have begun; by an orderly end or by a reset."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        if hard:
            reset(connection)

    with server(behave) as url:
        assert type(failure_of(url)) is ktclient_errors.StreamCut


def test_a_tunnel_that_a_proxy_refuses_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document never left: CONNECT is not the request."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(403)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with served(http.server.HTTPServer(("127.0.0.1", 0), Refusing)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        failure = failure_of("https://ktjob.test")
    assert type(failure) is ktclient_errors.ProxyRefused
    assert "403" in str(failure) and "NO_PROXY" in str(failure)


@pytest.mark.parametrize(
    "data",
    [
        b"{half",
        b"\xff",
        b"5",
        b'"text"',
        b"[1]",
        b'{"choices": 5}',
        b'{"choices": ["text"]}',
        b'{"choices": [{"delta": {"content": 5}}]}',
    ],
    ids=lambda data: data.decode("latin-1"),
)
def test_a_stream_that_is_not_the_protocol_is_called_so(data: bytes) -> None:
    """What no OpenAI-compatible server sends ends the job with a cause, not with a traceback."""
    with server(replaying(200, "text/event-stream", b"data: " + data + b"\n\n")) as url:
        failure = failure_of(url)
    assert isinstance(failure, (ktclient_errors.ProtocolError, ktclient_errors.EmptyAnswer))
    assert is_calm(str(failure))


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": [null]}',
        b'{"choices": [], "prompt_progress": {}}',
        b'{"choices": [], "prompt_progress": {"processed": null, "total": 1}}',
    ],
    ids=lambda data: data.decode("latin-1"),
)
def test_a_stream_of_what_carries_nothing_was_cut(data: bytes) -> None:
    """Servers and gateways send such while a prompt is read; then the line broke."""
    with server(replaying(200, "text/event-stream", b"data: " + data + b"\n\n")) as url:
        failure = failure_of(url)
    assert type(failure) is ktclient_errors.StreamCut and is_calm(str(failure))


def test_an_event_that_is_nested_deeply_is_called_so() -> None:
    """Not in the words of Python's parser."""
    told = error_mapping.explain(RecursionError("maximum recursion depth exceeded"), URL, sent=True)
    assert isinstance(told, ktclient_errors.ProtocolError)
    assert "an event is nested too deeply" in str(told) and "recursion" not in str(told)


def test_a_login_page_is_not_the_protocol() -> None:
    """HTTP 200 and HTML, from whatever stands in between."""
    with server(replaying(200, "text/html", b"<html>Log in</html>")) as url:
        failure = failure_of(url)
    assert type(failure) is ktclient_errors.WebPage
    assert "text/html" in str(failure) and "Log in" in str(failure)


def test_what_is_not_http_is_explained() -> None:
    """A port of something else."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\x1b[31m\r\n\r\n")

    with server(behave) as url:
        failure = failure_of(url)
    assert type(failure) is ktclient_errors.WrongAddress
    assert is_calm(str(failure)) and "(SSH-2.0" in str(failure) and "bytearray" not in str(failure)


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_not_shown(key: str) -> None:
    """The message reaches the job store and the terminal."""
    with server(replaying(200, "text/event-stream", b"")) as url:
        request = LongRequest(url, "m", "text", 8, "rid", api_key=key)
        with pytest.raises(errors.KtjobError) as failed:
            list(stream.stream(request, 60.0))
    for shown in (key, repr(key)[1:-1]):
        assert shown not in str(failed.value)


@pytest.mark.parametrize("code", [None, 500, 1302])
def test_words_say_that_a_server_takes_no_more_where_no_code_does(code: int | None) -> None:
    body = {"message": "Model is overloaded", "code": code}
    error = openai.APIError("words", httpx2.Request("POST", URL), body=body)
    busy, broke = ktclient_errors.ServerBusy, ktclient_errors.ErrorInStream
    assert type(error_mapping.explain(error, URL, sent=True)) is busy
    assert type(error_mapping.explain(error, URL, sent=True, seconds=60)) is broke
    assert type(error_mapping.explain(error, URL, sent=True, begun=True)) is broke


def test_words_count_under_a_status_of_the_servers_own_error() -> None:
    def after(seconds: float) -> type:
        refusal = status_errors.Refusal(URL, 500, "Rate limit reached", "", seconds)
        return type(status_errors.by_status(refusal))

    assert (after(1), after(60)) == (ktclient_errors.RateLimited, ktclient_errors.ServerBroke)
