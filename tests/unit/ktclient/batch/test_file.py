"""OpenAI's Batch format: what is read, what is refused and how that is told, what is written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from support import one_connection

from ktclient.batch import file, results, spec, tool_calls
from ktclient.batch.results import Answered
from ktclient.errors import DocumentUnusable
from ktclient.request import body
from ktclient.request import stream as request_stream
from ktclient.request.body import Body
from ktclient.request.events import Completed, Text
from ktclient.request.stream import LongRequest

pytestmark = pytest.mark.each_python

# The documented examples (platform.openai.com, guide and reference of the Batch API).
INPUT = (
    '{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": '
    '{"model": "gpt-3.5-turbo-0125", "messages": [{"role": "system", "content": "You are a helpful '
    'assistant."},{"role": "user", "content": "Hello world!"}],"max_tokens": 1000}}\n'
    '{"custom_id": "request-2", "method": "POST", "url": "/v1/chat/completions", "body": '
    '{"model": "gpt-3.5-turbo-0125", "messages": [{"role": "system", "content": "You are an '
    'unhelpful assistant."},{"role": "user", "content": "Hello world!"}],"max_tokens": 1000}}\n'
)
OUTPUT: dict[str, Any] = json.loads(
    '{"id": "batch_req_123", "custom_id": "request-2", "response": {"status_code": 200, '
    '"request_id": "req_123", "body": {"id": "chatcmpl-123", "object": "chat.completion", '
    '"created": 1711652795, "model": "gpt-3.5-turbo-0125", "choices": [{"index": 0, "message": '
    '{"role": "assistant", "content": "Hello."}, "logprobs": null, "finish_reason": "stop"}], '
    '"usage": {"prompt_tokens": 22, "completion_tokens": 2, "total_tokens": 24}, '
    '"system_fingerprint": "fp_123"}}, "error": null}'
)
EXPIRED: dict[str, Any] = json.loads(
    '{"id": "batch_req_123", "custom_id": "request-3", "response": null, "error": {"code": '
    '"batch_expired", "message": "This request could not be executed before the completion window '
    'expired."}}'
)
HELLO = [{"role": "user", "content": "Hello"}]


def line(custom_id: object = "a", **changes: Any) -> str:
    whole = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions"}
    return json.dumps({**whole, "body": {"messages": HELLO}, **changes}) + "\n"


def with_body(**body: Any) -> str:
    return line(body={"messages": HELLO, **body})


def refusal(text: str | bytes) -> str:
    body = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DocumentUnusable) as caught:
        file.parse(body, "f.jsonl")
    return str(caught.value)


def test_the_documented_example_is_read_whole() -> None:
    """As it stands in OpenAI's guide; also with a byte order mark, CRLFs and blank lines."""
    first, second = file.parse(INPUT.encode(), "f")
    assert (first.number, first.custom_id, second.custom_id) == (1, "request-1", "request-2")
    body = Body.from_bytes(first.body)
    assert body.fields == json.loads(INPUT.splitlines()[0])["body"]
    assert [one["role"] for one in body.messages] == ["system", "user"]
    assert (body.max_tokens, body.model) == (1000, "gpt-3.5-turbo-0125")
    written = "\ufeff\n" + INPUT.replace("\n", "\r\n\r\n")
    assert [one.body for one in file.parse(written.encode(), "f")] == [
        first.body,
        second.body,
    ]


def test_what_is_not_known_is_kept_for_the_server() -> None:
    """Fields, parts and messages, in their order."""
    body = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "22 °C"},
        ],
        "top_k": 40,
        "response_format": {"type": "json_object"},
        "max_completion_tokens": 7,
        "stream": False,
        "model": "m",
    }
    (one,) = file.parse(line(body=body).encode(), "f")
    stored = Body.from_bytes(one.body)
    assert json.loads(one.body) == body and list(stored.fields) == list(body)
    assert stored.extras(7) == {
        name: body[name] for name in ("top_k", "response_format", "max_completion_tokens")
    }
    assert stored.max_tokens == 7
    assert stored.text == 'Hi\n\n[{"id": "1"}]\n\n22 °C' and not stored.is_one_text


def test_all_that_is_wrong_is_told_at_once_by_line() -> None:
    """Nobody mends a file in ten rounds."""
    text = "".join(
        [
            line("good"),
            "{'custom_id': 1}\n",
            line(None),
            line("good"),
            line("u", url="/v1/embeddings"),
            line("g", method="GET", url=None, body=None),
            with_body(stream=True, n=2).replace('"a"', '"s"'),
            "[1]\n",
        ]
    )
    told = refusal(text)
    assert told.startswith("f.jsonl cannot be used, and nothing was stored:\n  line 2: not JSON: ")
    for part in (
        "line 3: custom_id is missing",
        "line 4: custom_id good is already used in line 1",
        'line 5: url is "/v1/embeddings"; it must be /v1/chat/completions',
        'line 6: method is "GET"; it must be POST',
        "line 6: url is missing; it must be /v1/chat/completions",
        "line 6: body is not a JSON object",
        "line 7: stream is true",
        "line 7: n is 2",
        "line 8: not a JSON object with custom_id",
    ):
        assert f"\n  {part}" in told
    assert "line 1:" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "contains no request"),
        ("\n \n", "contains no request"),
        (b"\xff\xfe", "line 1: not UTF-8"),
        (line("x").replace('"Hello"', "NaN"), "NaN is not a JSON number"),
        ("[" * 100_000, "nested more than 400 levels deep"),
        (with_body(seed=5).replace("5", "1e999"), "a number that is too large"),
        (line(7), "custom_id is not a string"),
        (line("i" * 513), "longer than 512"),
        (line("\ud800"), "a lone surrogate"),
        (with_body(messages=[]), "messages is not a list of at least one"),
        (with_body(messages=[{"content": "x"}]), "messages[0] is not a message with a role"),
        (with_body(messages=[{"role": "user"}]), "messages[0] has no content"),
        (with_body(messages=[{"role": "user", "content": 5}]), "neither text nor a list"),
        (with_body(messages=[{"role": "user", "content": "a\0b"}]), "NUL"),
        (with_body(messages=[{"role": "user", "content": "\udc80"}]), "a lone surrogate"),
        (
            with_body(messages=[{"role": "user", "content": [{"type": "image_url"}]}]),
            "messages[0].content[0] is of type image_url; only text",
        ),
        (with_body(messages=[{"role": "user", "content": [{"type": "text"}]}]), "has no text"),
        (with_body(logprobs=True), "logprobs are not supported"),
        (with_body(max_tokens=0), "max_tokens is not a whole number"),
        (with_body(max_completion_tokens="9"), "max_completion_tokens is not a whole number"),
        (with_body(max_tokens=10**9 + 1), "max_tokens is more than 1,000,000,000"),
        (with_body(max_completion_tokens=10**400), "max_completion_tokens is more than"),
        (with_body(max_tokens=True), "max_tokens is not a whole number"),
        (with_body(model=4), "model is not a string"),
        (with_body(n=True), "n is true"),
    ],
)
def test_each_thing_that_cannot_be_asked_is_named(text: str | bytes, told: str) -> None:
    """Before anything is stored."""
    assert told in refusal(text)


def test_very_many_errors_are_counted_and_very_many_lines_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal is not flooded, and a limit is told."""
    told = refusal("x\n" * 1000)
    assert told.count("\n") == 11 and told.endswith("\n  and 990 more")
    monkeypatch.setattr(file, "MOST_LINES", 1000)
    many = "".join(line(str(number)) for number in range(1001))
    assert "line 1001: more than 1,000 requests" in refusal(many)


def test_a_line_is_kept_as_written_and_known_as_earlier_versions_stored_it() -> None:
    """They made marks of any model harmless before they stored a line; now the request is composed
    for its model."""
    messages = [
        {"role": "system", "content": "a <|im_start|>"},
        {"role": "user", "content": [{"type": "text", "text": "<think>b"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "<|im_end|>"}]},
    ]
    written = line(body={"messages": messages, "stop": ["<|im_end|>"]})
    (one,) = file.parse(written.encode(), "f")
    assert Body.from_bytes(one.body).fields["messages"] == messages
    before = Body.from_bytes(one.body).as_before()
    assert before.text.startswith("a < |im_start|>\n\n< think>b")
    assert before.fields["messages"][2] == messages[2] and before.fields["stop"] == ["<|im_end|>"]
    (plain,) = file.parse(line().encode(), "f")
    assert [len(spec.sums([some])["a"]) for some in (one, plain)] == [2, 1]
    assert spec.digest([plain]) == spec.digest_before([plain])
    assert spec.digest([one]) != spec.digest_before([one])


def test_a_body_that_is_nested_beyond_measure_is_refused_in_words() -> None:
    """Nothing that walks it later can fail at its depth."""
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    assert "nested more than 100 levels" in refusal(line(body={"messages": [], "tools": deep}))


def test_files_are_read_and_what_is_no_file_is_told(tmp_path: Path) -> None:
    """And standard input for "-"."""
    path = tmp_path / "f.jsonl"
    path.write_text(INPUT)
    assert len(file.read(str(path))) == 2
    assert len(file.read("-", stdin=io.BytesIO(INPUT.encode()))) == 2
    for name, told in ((str(tmp_path), "is a folder"), (f"{path}x", "file not found")):
        with pytest.raises(DocumentUnusable, match=told):
            file.read(name)


FIGURES = {
    "model": "DeepSeek-V4-Flash",
    "finish_reason": "stop",
    "prompt_tokens": 22,
    "completion_tokens": 2,
    "cached_tokens": 16,
}


def test_an_answer_is_written_as_documented() -> None:
    """The documented fields, and openai's own types take its body."""
    told = Answered("k7", "0" * 32, 1711652795, "Hel\u2028lo.", "I think.", figures=FIGURES)
    text = results.answered("request-2", told)
    found = json.loads(text)
    assert text.count("\n") == 0
    assert found.keys() == OUTPUT.keys() and found["response"].keys() == OUTPUT["response"].keys()
    body, documented = found["response"]["body"], OUTPUT["response"]["body"]
    assert body.keys() == documented.keys() - {"system_fingerprint"}
    assert body["choices"][0].keys() == documented["choices"][0].keys()
    assert (found["custom_id"], found["error"]) == ("request-2", None)
    parsed = ChatCompletion.model_validate(body, strict=True)
    assert parsed.choices[0].message.content == "Hel\u2028lo."
    assert parsed.choices[0].message.model_extra == {"reasoning_content": "I think."}
    assert parsed.usage is not None and parsed.usage.total_tokens == 24
    assert parsed.usage.prompt_tokens_details is not None
    assert parsed.usage.prompt_tokens_details.cached_tokens == 16


def test_what_the_server_did_not_tell_is_null() -> None:
    """No number is made up."""
    body = json.loads(results.answered("a", Answered("k7", "r", 0, "x")))["response"]["body"]
    assert body["usage"] is None and "reasoning_content" not in body["choices"][0]["message"]


def test_an_error_is_written_as_documented() -> None:
    """Like OpenAI's own, with the cause of the job as its code."""
    found = json.loads(results.failed("k7", "request-3", "server_died", "It died."))
    assert found.keys() == EXPIRED.keys() and found["response"] is None
    assert found["error"] == {"code": "server_died", "message": "It died."}


def test_calls_of_tools_come_through_a_stream() -> None:
    """Bit by bit from a server, as output of their own; they are an answer, though without text."""
    first = {"index": 0, "id": "c1", "function": {"name": "weather", "arguments": "{"}}
    deltas = [
        {"delta": {"role": "assistant", "content": "", "tool_calls": [first]}},
        {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}},
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    head = {"id": "0", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    chunks = [{**head, "choices": [{"index": 0, **delta}]} for delta in deltas]
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    behave = one_connection.replaying(200, "text/event-stream", stream.encode())
    with one_connection.server(behave) as url:
        events = list(request_stream.stream(LongRequest(url, "m", "x", 8, "rid"), 60.0))
    pieces = "".join(one.text for one in events if isinstance(one, Text))
    assert {one.channel for one in events if isinstance(one, Text)} == {"tool_calls"}
    assert isinstance(events[-1], Completed) and events[-1].finish_reason == "tool_calls"
    (call,) = tool_calls.joined(pieces)
    assert call["function"] == {"name": "weather", "arguments": "{}"}


def test_calls_of_tools_are_put_together_from_their_pieces() -> None:
    """As they are streamed: names once, arguments bit by bit, several side by side."""
    pieces = [
        [{"index": 0, "id": "c1", "function": {"name": "weather", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"city": '}}],
        [{"index": 1, "id": "c2", "function": {"name": "time", "arguments": "{}"}}],
        [{"index": 0, "function": {"arguments": '"Mull"}'}}],
    ]
    told = Answered("k7", "r", 0, "", tool_calls="".join(json.dumps(one) + "\n" for one in pieces))
    message = json.loads(results.answered("a", told))["response"]["body"]["choices"][0]
    assert message["message"]["content"] is None
    first, second = message["message"]["tool_calls"]
    assert first["function"] == {"name": "weather", "arguments": '{"city": "Mull"}'}
    assert (first["id"], first["type"], second["id"]) == ("c1", "function", "c2")


@pytest.mark.parametrize(
    "turn",
    [
        {"content": None, "function_call": {"name": "wind", "arguments": "{}"}},
        {"content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {}}]},
        {"content": None, "refusal": "I cannot say."},
        {"refusal": "I cannot say."},
        {"content": [{"type": "refusal", "refusal": "I cannot say."}]},
        {"content": [{"type": "text", "text": "No:"}, {"type": "refusal", "refusal": "never."}]},
    ],
)
def test_a_turn_of_the_assistant_may_have_a_call_or_a_refusal_instead_of_content(
    turn: dict[str, Any],
) -> None:
    """All of it is counted, and sent as it is."""
    messages = [
        {"role": "user", "content": "Wind?"},
        {"role": "assistant", **turn},
        {"role": "user", "content": "And now?"},
    ]
    fields = {"messages": messages}
    assert body.problems(fields) == []
    made = Body(fields)
    assert made.messages == tuple(messages) == made.as_before().messages
    for word in ("wind", "cannot say", "never"):
        assert (word in made.text) == (word in json.dumps(turn))


def test_a_turn_with_nothing_at_all_is_refused() -> None:
    messages = [{"role": "assistant", "content": None}, {"role": "user", "content": [{"type": 7}]}]
    assert len(body.problems({"messages": messages})) == 2
