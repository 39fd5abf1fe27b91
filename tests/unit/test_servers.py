"""Servers: their address, who they are, and the short questions each dialect can answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ktclient import errors
from ktclient.servers import calls, probe
from ktclient.servers.dialect import ServerFacts

RECORDED = Path(__file__).resolve().parents[1] / "data" / "sglang"
RID = "0123456789abcdef0123456789abcdef"
DIALECTS = ("sglang", "llama.cpp", "openai-compatible")
LLAMACPP = {
    "object": "list",
    "data": [{"id": "m.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 8192, "n_vocab": 1}}],
}


class Tiny(ThreadingHTTPServer):
    """Answers each path as it is told, and notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def say(self, path: str, body: object, status: int = 200) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (status, raw)

    def facts(self, dialect: str) -> ServerFacts:
        return ServerFacts(self.url, dialect, "the-model", 8192)


class Handler(BaseHTTPRequestHandler):
    server: Tiny

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, body: dict[str, object]) -> None:
        self.server.asked.append((self.path, body))
        self.server.keys.append(self.headers.get("authorization"))
        status, answer = self.server.answers.get(self.path, (404, b'{"detail":"Not Found"}'))
        if self.path == "/tokenize" and answer == b"characters":
            answer = json.dumps({"count": len(str(body["prompt"]))}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def tiny() -> Iterator[Tiny]:
    with Tiny() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("http://127.0.0.1:40001", "http://127.0.0.1:40001"),
        ("http://127.0.0.1:40001/", "http://127.0.0.1:40001"),
        ("http://127.0.0.1:40001/v1", "http://127.0.0.1:40001"),
        ("http://127.0.0.1:40001/v1/", "http://127.0.0.1:40001"),
        ("127.0.0.1:40001", "http://127.0.0.1:40001"),
        ("localhost:40001/v1", "http://localhost:40001"),
        ("gpu-box", "http://gpu-box"),
        ("[::1]:40001", "http://[::1]:40001"),
        ("  https://llm.example.com/v1\n", "https://llm.example.com"),
        ("https://example.com/team/llm/v1", "https://example.com/team/llm"),
        ("https://example.com/v1beta", "https://example.com/v1beta"),
    ],
)
def test_a_server_may_be_written_in_many_ways(written: str, root: str) -> None:
    """With and without a scheme, a slash and /v1; a root stays a root."""
    assert probe.root_of(written) == root
    assert probe.root_of(root) == root


@pytest.mark.parametrize(
    "written",
    [
        "",
        "   ",
        "http://",
        "/v1",
        "ftp://host",
        "file:///etc/passwd",
        "unix:///run/llm.sock",
        "http://:40001",
        "::1:40001",
        "http://[::1",
        "http://host:port",
        "http://host:99999",
        "http://ho st",
        "http://host\n/v1",
        "http://host\x1b[31m",
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    """Before anything is sent, as what was typed wrong, in one harmless line."""
    with pytest.raises(errors.BadInput) as refused:
        probe.root_of(written)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "written",
    [
        "http://user:secret@host:40001",
        "http://secret@host",
        "https://:secret@host/v1",
        "ftp://user:secret@host",
        "user:secret@host:40001",
    ],
)
def test_a_key_in_an_address_is_refused_and_not_repeated(written: str) -> None:
    """Addresses are stored and shown; keys are not."""
    with pytest.raises(errors.BadInput) as refused:
        probe.root_of(written)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("recording", "model", "window"),
    [("kt-0.7.2.jsonl", "DeepSeek-V4-Flash", 1_048_576), ("upstream-0.5.17.jsonl", "m", 1_048_576)],
)
def test_a_recorded_sglang_is_recognised(
    tiny: Tiny, recording: str, model: str, window: int
) -> None:
    """By what the real servers answered."""
    rows = map(json.loads, (RECORDED / recording).read_text(encoding="utf-8").splitlines())
    body = next(row["body"] for row in rows if row.get("path") == "/v1/models")
    tiny.say("/v1/models", body.encode())
    assert probe.probe(tiny.url, None) == ServerFacts(tiny.url, "sglang", model, window)


def test_a_llamacpp_is_recognised_with_its_window(tiny: Tiny) -> None:
    """The window that it runs with, not the one that the model was trained with."""
    tiny.say("/v1/models", LLAMACPP)
    assert probe.probe(tiny.url, None) == ServerFacts(tiny.url, "llama.cpp", "m.gguf", 8192)


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "m"},
        {"id": "m", "owned_by": "vllm"},
        {"id": "m", "owned_by": None, "max_model_len": None, "meta": None},
        {"id": "m", "owned_by": ["sglang"], "max_model_len": "many", "meta": [1]},
        {"id": "m", "max_model_len": True},
    ],
)
def test_any_other_server_is_taken_as_it_is(tiny: Tiny, entry: dict[str, object]) -> None:
    """Nothing is assumed of it, and no window is made up."""
    tiny.say("/v1/models", {"data": [entry]})
    facts = probe.probe(tiny.url, None)
    assert facts == ServerFacts(tiny.url, "openai-compatible", "m", None)


def test_the_named_model_is_used_with_its_own_window(tiny: Tiny) -> None:
    """Of several; without a name the first."""
    entries = [{"id": "a", "max_model_len": 1000}, {"id": "b", "max_model_len": 2000}]
    tiny.say("/v1/models", {"data": entries})
    assert (probe.probe(tiny.url, None).model, probe.probe(tiny.url, None).window) == ("a", 1000)
    assert (probe.probe(tiny.url, None, "b").model, probe.probe(tiny.url, None, "b").window) == (
        "b",
        2000,
    )


def test_a_model_that_is_not_listed_is_asked_for_all_the_same(tiny: Tiny) -> None:
    """sglang answers to any name, others have aliases."""
    tiny.say("/v1/models", {"data": [{"id": "a"}]})
    assert probe.probe(tiny.url, None, "alias").model == "alias"


def test_the_probe_carries_the_key(tiny: Tiny) -> None:
    """And none when there is none."""
    tiny.say("/v1/models", LLAMACPP)
    probe.probe(tiny.url, "sk-1")
    probe.probe(tiny.url, None)
    assert tiny.keys == ["Bearer sk-1", None]


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_a_key_says_so(tiny: Tiny, status: int) -> None:
    """The cure is the variable's name; the wrong key is not repeated."""
    tiny.say("/v1/models", {"error": "Unauthorized"}, status)
    with pytest.raises(errors.Unauthorized, match="KTJOB_API_KEY") as refused:
        probe.probe(tiny.url, "sk-wrong")
    assert "sk-wrong" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>It works!</html>",
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"data"',
        b"{}",
        b'{"data": null}',
        b'{"data": 5}',
        b'{"data": []}',
        b'{"data": {"id": "m"}}',
        b'{"data": ["m"]}',
        b'{"data": [{}]}',
    ],
)
def test_something_else_at_the_address_is_told(tiny: Tiny, body: bytes) -> None:
    """Whatever it answers, and with the cure."""
    tiny.say("/v1/models", body)
    with pytest.raises(errors.WrongAddress, match="HTTP 200") as refused:
        probe.probe(tiny.url, None)
    assert tiny.url in str(refused.value)


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_status_that_no_such_server_gives_is_a_wrong_address(tiny: Tiny, status: int) -> None:
    """Whatever its body says."""
    tiny.say("/v1/models", b"", status)
    with pytest.raises(errors.WrongAddress, match=f"HTTP {status}"):
        probe.probe(tiny.url, None)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_or_loading_is_not_called_a_wrong_address(
    tiny: Tiny, status: int
) -> None:
    """llama.cpp answers 503 to everything until its model is loaded."""
    body = {"error": {"code": status, "message": "Loading model", "type": "unavailable_error"}}
    tiny.say("/v1/models", body, status)
    with pytest.raises((errors.ServerBusy, errors.RateLimited)) as busy:
        probe.probe(tiny.url, None)
    assert isinstance(busy.value, errors.NEVER_ACCEPTED)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_before_a_dead_server_is_waited_at(tiny: Tiny, status: int) -> None:
    """The address is right, and a GET of /v1/models has cost nothing."""
    tiny.say("/v1/models", b"<html>Bad Gateway</html>", status)
    with pytest.raises(errors.ServerBusy):
        probe.probe(tiny.url, None)


def test_a_server_that_fails_is_not_called_a_wrong_address(tiny: Tiny) -> None:
    """Nor is it waited for: its log says more than waiting."""
    tiny.say("/v1/models", b"Internal Server Error", 500)
    with pytest.raises(errors.ServerBroke, match="Internal Server Error"):
        probe.probe(tiny.url, None)


def test_a_redirection_is_told_and_not_followed(tiny: Tiny) -> None:
    """A key and a document would go along."""
    tiny.say("/v1/models", b"", 301)
    with pytest.raises(errors.Redirected, match="redirects"):
        probe.probe(tiny.url, "sk-1")
    assert [path for path, _ in tiny.asked] == ["/v1/models"]


def test_a_login_page_is_told_by_its_title(tiny: Tiny) -> None:
    """With HTTP 200, as captive portals do."""
    tiny.say("/v1/models", b"<html><title>Log in to Corp</title>")
    with pytest.raises(errors.WrongAddress, match="Log in to Corp"):
        probe.probe(tiny.url, None)


def test_nobody_there_is_unreachable() -> None:
    """With the address and the cure."""
    with Tiny() as silent:
        url = silent.url
    with pytest.raises(errors.ServerUnreachable, match="--server URL") as refused:
        probe.probe(url, None)
    assert url in str(refused.value)


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "space at the end "])
def test_a_key_that_no_header_can_carry_is_not_repeated(tiny: Tiny, key: str) -> None:
    """The library's own message holds it whole."""
    tiny.say("/v1/models", LLAMACPP)
    with pytest.raises(errors.KtjobError) as refused:
        probe.probe(tiny.url, key)
    for shown in (key, repr(key)[1:-1]):
        assert shown not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("HTTPS_PROXY", "ftp://127.0.0.1:21"),
        ("HTTPS_PROXY", "http://[::1"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
    ],
)
def test_a_setting_of_the_network_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Proxies of a kind that is not supported, and certificates that are not there."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(errors.BadSetting):
        probe.probe("https://ktjob.test", None)


def test_a_request_to_sglang_names_itself_and_does_not_think() -> None:
    """The id is for aborts; thinking is off in the one way that all versions understand."""
    facts = ServerFacts("http://a:1", "sglang", "m", None)
    assert calls.extras(facts, RID) == {"rid": RID, "chat_template_kwargs": {"thinking": False}}


def test_a_request_to_llamacpp_asks_for_progress() -> None:
    """It tells inside the stream."""
    assert calls.extras(ServerFacts("http://a:1", "llama.cpp", "m", None), RID) == {
        "return_progress": True
    }


def test_a_request_to_another_server_has_nothing_beyond_the_protocol() -> None:
    """Strict servers refuse fields that they do not know."""
    assert calls.extras(ServerFacts("http://a:1", "openai-compatible", "m", None), RID) == {}


@pytest.mark.parametrize(
    "message",
    ["", "short", "a line\n" * 40_000, "no line end" * 30_000, "\n" * 250_000, "红楼\r\n" * 60_000],
    ids=["empty", "short", "lines", "one line", "only ends", "chinese"],
)
def test_sglang_counts_a_long_text_in_pieces(tiny: Tiny, message: str) -> None:
    """One piece does not stall its event loop for long; the pieces are the text, in order."""
    tiny.say("/tokenize", b"characters")
    counted = calls.count(tiny.facts("sglang"), None, message)
    pieces = [str(body["prompt"]) for _, body in tiny.asked]
    assert "".join(pieces) == message
    assert all(0 < len(piece) <= 100_000 for piece in pieces)
    assert len(pieces) <= len(message) // 50_000 + 1
    assert counted is not None and len(message) <= counted <= len(message) + 64
    assert all(body["add_special_tokens"] is False for _, body in tiny.asked)


def test_pieces_are_cut_at_line_ends(tiny: Tiny) -> None:
    """So that a cut costs next to no token."""
    tiny.say("/tokenize", b"characters")
    calls.count(tiny.facts("sglang"), None, "0123456789\n" * 30_000)
    assert all(str(body["prompt"]).endswith("9\n") for _, body in tiny.asked)


def test_llamacpp_counts_with_its_own_template(tiny: Tiny) -> None:
    """First the template around the message, then the tokens of what it gave."""
    tiny.say("/apply-template", {"prompt": "<user>text<assistant>"})
    tiny.say("/tokenize", {"tokens": [1, 2, 3, 4]})
    assert calls.count(tiny.facts("llama.cpp"), "sk-1", "text") == 4
    (template, asked), (tokenize, rendered) = tiny.asked
    assert (template, tokenize) == ("/apply-template", "/tokenize")
    assert asked == {"messages": [{"role": "user", "content": "text"}]}
    assert rendered["content"] == "<user>text<assistant>"
    assert rendered["add_special"] is True and rendered["parse_special"] is True
    assert tiny.keys == ["Bearer sk-1", "Bearer sk-1"]


def test_another_server_is_not_asked_to_count_or_to_abort(tiny: Tiny) -> None:
    """It has no way to be asked."""
    assert calls.count(tiny.facts("openai-compatible"), None, "text") is None
    assert calls.abort(tiny.facts("openai-compatible"), None, RID) is False
    assert tiny.asked == []


@pytest.mark.parametrize("dialect", ["sglang", "llama.cpp"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"detail":"Not Found"}'),
        (500, b"Internal Server Error"),
        (200, b""),
        (200, b"\xff"),
        (200, b"null"),
        (200, b"5"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"count": null, "prompt": null, "tokens": null}'),
        (200, b'{"count": [7], "prompt": "p", "tokens": 7}'),
        (200, b'{"count": "many", "prompt": 5, "tokens": null}'),
    ],
)
def test_a_server_that_cannot_count_is_no_error(
    tiny: Tiny, dialect: str, status: int, body: bytes
) -> None:
    """The estimate has to do."""
    tiny.say("/tokenize", body, status)
    tiny.say("/apply-template", body, status)
    assert calls.count(tiny.facts(dialect), None, "text") is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_server_that_has_gone_is_no_error(dialect: str) -> None:
    """Neither for a count nor for an abort."""
    with Tiny() as gone:
        facts = gone.facts(dialect)
    assert calls.count(facts, None, "text") is None
    assert calls.abort(facts, None, RID) is False


def test_sglang_is_asked_to_abort_by_the_whole_id(tiny: Tiny) -> None:
    """It matches by prefix: an empty or short one would hit others' requests."""
    tiny.say("/abort_request", b"")
    assert calls.abort(tiny.facts("sglang"), "sk-1", RID) is True
    assert tiny.asked == [("/abort_request", {"rid": RID})]
    assert tiny.keys == ["Bearer sk-1"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_abort_that_was_not_accepted_is_not_called_one(tiny: Tiny, status: int) -> None:
    """The record says what happened."""
    tiny.say("/abort_request", b"", status)
    assert calls.abort(tiny.facts("sglang"), None, RID) is False


def test_llamacpp_is_not_asked_to_abort(tiny: Tiny) -> None:
    """Closing the connection is its way."""
    assert calls.abort(tiny.facts("llama.cpp"), None, RID) is False
    assert tiny.asked == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_answer_is_a_sign_of_life(tiny: Tiny, dialect: str, status: int) -> None:
    """Older servers know no /model_info; an error is an answer too."""
    sockets: list[object] = []
    path = {"sglang": "/model_info", "llama.cpp": "/health"}.get(dialect, "/v1/models")
    tiny.say(path, b"{}", status)
    assert calls.answers(tiny.facts(dialect), "sk-1", sockets.append)
    assert tiny.asked == [(path, {})] and tiny.keys == ["Bearer sk-1"]
    assert sockets[0] is not None and sockets[-1] is None


def test_nobody_there_is_no_sign_of_life() -> None:
    """Refused, as at the end of a tunnel whose server has died."""
    with Tiny() as gone:
        facts = gone.facts("sglang")
    assert not calls.answers(facts, None, lambda sock: None)
