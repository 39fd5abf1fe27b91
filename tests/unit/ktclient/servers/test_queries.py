"""The short questions that each dialect can answer, and what it adds to a request."""

from __future__ import annotations

import pytest
from support.tiny_server import Tiny

from ktclient.request import bounds
from ktclient.servers import queries
from ktclient.servers.dialects.dialect import ServerFacts

RID = "0123456789abcdef0123456789abcdef"
DIALECTS = ("sglang", "llama.cpp", "openai-compatible")


def test_a_request_to_sglang_names_itself_and_does_not_think() -> None:
    """The id is for aborts; thinking is off in the one way that all versions understand."""
    facts = ServerFacts("http://a:1", "sglang", "m", None)
    assert queries.request_fields(facts, RID) == {
        "rid": RID,
        "chat_template_kwargs": {"thinking": False},
    }


def test_a_request_to_llamacpp_asks_for_progress() -> None:
    """It tells inside the stream."""
    assert queries.request_fields(ServerFacts("http://a:1", "llama.cpp", "m", None), RID) == {
        "return_progress": True
    }


def test_a_request_to_another_server_has_nothing_beyond_the_protocol() -> None:
    """Strict servers refuse fields that they do not know."""
    assert (
        queries.request_fields(ServerFacts("http://a:1", "openai-compatible", "m", None), RID) == {}
    )


@pytest.mark.parametrize(
    "message",
    ["", "short", "a line\n" * 40_000, "no line end" * 30_000, "\n" * 250_000, "红楼\r\n" * 60_000],
    ids=["empty", "short", "lines", "one line", "only ends", "chinese"],
)
def test_sglang_counts_a_long_text_in_pieces(tiny: Tiny, message: str) -> None:
    """One piece does not stall its event loop for long; the pieces are the text, in order."""
    tiny.say("/tokenize", b"characters")
    counted = queries.count(tiny.facts("sglang"), None, message)
    pieces = [str(body["prompt"]) for _, body in tiny.asked]
    assert "".join(pieces) == message
    assert all(0 < len(piece) <= 100_000 for piece in pieces)
    assert len(pieces) <= len(message) // 50_000 + 1
    assert counted is not None and len(message) <= counted <= len(message) + 64
    assert all(body["add_special_tokens"] is False for _, body in tiny.asked)


def test_pieces_are_cut_at_line_ends(tiny: Tiny) -> None:
    """So that a cut costs next to no token."""
    tiny.say("/tokenize", b"characters")
    queries.count(tiny.facts("sglang"), None, "0123456789\n" * 30_000)
    assert all(str(body["prompt"]).endswith("9\n") for _, body in tiny.asked)


def test_llamacpp_counts_with_its_own_template(tiny: Tiny) -> None:
    """First the template around the message, then the tokens of what it gave."""
    tiny.say("/apply-template", {"prompt": "<user>text<assistant>"})
    tiny.say("/tokenize", {"tokens": [1, 2, 3, 4]})
    assert queries.count(tiny.facts("llama.cpp"), "sk-1", "text") == 4
    (template, asked), (tokenize, rendered) = tiny.asked
    assert (template, tokenize) == ("/apply-template", "/tokenize")
    assert asked == {"messages": [{"role": "user", "content": "text"}]}
    assert rendered["content"] == "<user>text<assistant>"
    assert rendered["add_special"] is True and rendered["parse_special"] is True
    assert tiny.keys == ["Bearer sk-1", "Bearer sk-1"]


def test_another_server_is_not_asked_to_count_or_to_abort(tiny: Tiny) -> None:
    """It has no way to be asked."""
    assert queries.count(tiny.facts("openai-compatible"), None, "text") is None
    assert queries.abort(tiny.facts("openai-compatible"), None, RID) is False
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
    assert queries.count(tiny.facts(dialect), None, "text") is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_server_that_has_gone_is_no_error(dialect: str) -> None:
    """Neither for a count nor for an abort."""
    with Tiny() as gone:
        facts = gone.facts(dialect)
    assert queries.count(facts, None, "text") is None
    assert queries.abort(facts, None, RID) is False


def test_sglang_is_asked_to_abort_by_the_whole_id(tiny: Tiny) -> None:
    """It matches by prefix: an empty or short one would hit others' requests."""
    tiny.say("/abort_request", b"")
    assert queries.abort(tiny.facts("sglang"), "sk-1", RID) is True
    assert tiny.asked == [("/abort_request", {"rid": RID})]
    assert tiny.keys == ["Bearer sk-1"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_abort_that_was_not_accepted_is_not_called_one(tiny: Tiny, status: int) -> None:
    """The record says what happened."""
    tiny.say("/abort_request", b"", status)
    assert queries.abort(tiny.facts("sglang"), None, RID) is False


def test_llamacpp_is_not_asked_to_abort(tiny: Tiny) -> None:
    """Closing the connection is its way."""
    assert queries.abort(tiny.facts("llama.cpp"), None, RID) is False
    assert tiny.asked == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_answer_is_a_sign_of_life(tiny: Tiny, dialect: str, status: int) -> None:
    """Older servers know no /model_info; an error is an answer too."""
    sockets: list[object] = []
    path = {"sglang": "/model_info", "llama.cpp": "/health"}.get(dialect, "/v1/models")
    tiny.say(path, b"{}", status)
    assert queries.is_responding(tiny.facts(dialect), "sk-1", sockets.append)
    assert tiny.asked == [(path, {})] and tiny.keys == ["Bearer sk-1"]
    assert sockets[0] is not None and sockets[-1] is None


def test_nobody_there_is_no_sign_of_life() -> None:
    """Refused, as at the end of a tunnel whose server has died."""
    with Tiny() as gone:
        facts = gone.facts("sglang")
    assert not queries.is_responding(facts, None, lambda sock: None)


def test_a_server_that_says_too_much_is_alive(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request to it is not given up as hung."""
    monkeypatch.setattr(bounds, "REPLY_BYTES", 1_000)
    tiny.say("/model_info", b"x" * 1_001)
    assert queries.is_responding(tiny.facts("sglang"), None, lambda sock: None)
    assert queries.model_folder(tiny.facts("sglang"), None) is None


@pytest.mark.parametrize("count", [-1, 10**400, 1.5, "7", None])
def test_a_count_that_is_none_is_not_believed(tiny: Tiny, count: object) -> None:
    tiny.say("/tokenize", {"count": count})
    assert queries.count(tiny.facts("sglang"), None, "text") is None
