"""Servers: their address, and who they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tiny_server import Tiny

from jobs import errors as jobs_errors
from ktclient import errors, urls
from ktclient.config import settings as config
from ktclient.servers import probe, selection
from ktclient.servers.dialects.dialect import ServerFacts

RECORDED = Path(__file__).resolve().parents[3] / "data" / "sglang"
LLAMACPP = {
    "object": "list",
    "data": [{"id": "m.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 8192, "n_vocab": 1}}],
}


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
        ("HTTP://GPU-Box:40001/Team", "http://gpu-box:40001/Team"),
    ],
)
def test_a_server_may_be_written_in_many_ways(written: str, root: str) -> None:
    """With and without a scheme, a slash and /v1; a root stays a root."""
    assert urls.root_of(written) == root
    assert urls.root_of(root) == root


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
        "http://a..b:40001",
        "http:/host:40001",
        "https//host/v1",
        "http://http://host:40001",
        f"http://{'a' * 64}.test",
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    """Before anything is sent, as what was typed wrong, in one harmless line."""
    with pytest.raises(errors.BadInput) as refused:
        urls.root_of(written)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "written",
    [
        "http://user:secret@host:40001",
        "http://secret@host",
        "https://:secret@host/v1",
        "ftp://user:secret@host",
        "user:secret@host:40001",
        "https://host/v1?key=secret",
        "https://host/#secret",
    ],
)
def test_a_key_in_an_address_is_refused_and_not_repeated(written: str) -> None:
    """Addresses are stored and shown; keys are not."""
    with pytest.raises(errors.BadInput) as refused:
        urls.root_of(written)
    assert "secret" not in str(refused.value)


def test_a_server_here_is_one_pool_by_name_and_by_number(tiny: Tiny, tmp_path: Path) -> None:
    """Two pools would overfill it. By its name where it does not listen by number, and where a
    certificate has the name."""
    tiny.say("/v1/models", LLAMACPP)
    settings = config.load({"KTJOB_HOME": str(tmp_path), "KTJOB_CONFIG": str(tmp_path / "none")})
    named = tiny.url.replace("127.0.0.1", "localhost")
    for url in (named, f"{named}/v1", tiny.url):
        assert selection.choose(settings, url, None).server == tiny.url
    assert urls.is_same(named, tiny.url), "one server, one key"
    assert urls.by_number("https://localhost:1") is None
    with pytest.raises(errors.ConnectionRefused, match="localhost:9"):
        selection.choose(settings, "http://localhost:9", None)


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
        {"id": "m", "owned_by": "library"},
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
        b"[" * 99_999,
    ],
)
def test_something_else_at_the_address_is_told(tiny: Tiny, body: bytes) -> None:
    """Whatever it answers, and with the cure."""
    tiny.say("/v1/models", body)
    with pytest.raises(errors.WrongAddress, match="HTTP 200") as refused:
        probe.probe(tiny.url, None)
    assert tiny.url in str(refused.value)


@pytest.mark.parametrize("data", ["[]", "null"])
def test_a_server_without_a_model_is_not_called_a_wrong_address(tiny: Tiny, data: str) -> None:
    """Ollama, before one was fetched."""
    tiny.say("/v1/models", f'{{"object": "list", "data": {data}}}'.encode())
    with pytest.raises(errors.ModelUnknown, match="load one there"):
        probe.probe(tiny.url, None)


@pytest.mark.parametrize(
    "data", ["[]", "null", '[{"id": null}]', '[{"id": "e", "type": "embeddings"}]']
)
def test_a_model_that_is_asked_for_needs_no_list(tiny: Tiny, data: str) -> None:
    """Gateways serve what they do not list."""
    tiny.say("/v1/models", f'{{"object": "list", "data": {data}}}'.encode())
    facts = probe.probe(tiny.url, None, "m")
    assert (facts.model, facts.models, facts.window) == ("m", (), None)


def test_the_model_that_submit_saw_is_taken_while_it_is_listed(tiny: Tiny) -> None:
    """In any order; else the first for chats, with what else there is."""
    data = [{"id": "e", "type": "embeddings"}, {"id": None}, {"id": "a"}, {"id": "b"}]
    tiny.say("/v1/models", {"object": "list", "data": data})
    assert probe.probe(tiny.url, None, None, "b").model == "b"
    gone = probe.probe(tiny.url, None, None, "gone")
    assert (gone.model, gone.models) == ("a", ("a", "b"))
    assert probe.names(tiny.url, None) == ("e", "a", "b")


def test_a_server_of_other_models_only_is_told_with_their_names(tiny: Tiny) -> None:
    """Nothing of it could answer."""
    data = [{"id": "e5", "type": "embeddings"}, {"id": "w", "mode": "audio_transcription"}]
    tiny.say("/v1/models", {"object": "list", "data": data})
    with pytest.raises(errors.ModelUnknown, match=r"no model for chats.*e5, w"):
        probe.probe(tiny.url, None)


def test_whatever_a_model_is_called_it_can_be_stored(tiny: Tiny) -> None:
    """Half a character is none; a window beyond counting is not known."""
    tiny.say("/v1/models", b'{"data": [{"id": "m\\ud83d", "max_model_len": 1%s}]}' % (b"0" * 30))
    facts = probe.probe(tiny.url, None)
    assert (facts.model, facts.window) == ("m\ufffd", None)


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


@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (502, errors.UpstreamDown),
        (503, errors.ServerBusy),
        (504, errors.ServerBusy),
        (530, errors.UpstreamDown),
    ],
)
def test_a_gateway_before_a_dead_server_is_waited_at(
    tiny: Tiny, status: int, leaf: type[errors.KtjobError]
) -> None:
    """The address is right, and a GET of /v1/models has cost nothing."""
    tiny.say("/v1/models", b"<html>Bad Gateway</html>", status)
    with pytest.raises(leaf):
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
    with pytest.raises(jobs_errors.KtjobError) as refused:
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
