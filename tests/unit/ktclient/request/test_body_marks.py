"""Every string of a request body that a server may put into the prompt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktclient.documents import turn_marks
from ktclient.request.body import Body
from server_bundle import package_data

DATA = Path(__file__).parents[3] / "data" / "turn_marks.toml"
GATHERED: list[dict[str, Any]] = package_data.read(DATA)["of"]


def body_with(mark: str) -> dict[str, Any]:
    """A body that has the mark in each of its places."""
    function = {"name": f"f{mark}", "arguments": json.dumps({"q": f"a {mark}", mark: [mark]})}
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in mark)
    hidden = {"name": "g", "arguments": f'{{"q": "{escaped}"}}'}
    schema = {
        "title": mark,
        "type": "object",
        "properties": {"x": {"description": f"an x {mark}", "enum": ["a", mark]}},
    }
    return {
        "model": f"m{mark}",
        "messages": [
            {"role": f"system{mark}", "content": f"Be brief. {mark}", "name": f"n{mark}"},
            {"role": "user", "content": [{"type": "text", "text": f"one {mark}"}]},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": f"It may be {mark}.",
                "tool_calls": [
                    {"id": f"c{mark}", "type": "function", "function": function},
                    {"id": "d", "type": "function", "function": hidden},
                ],
            },
            {"role": "tool", "tool_call_id": f"c{mark}", "content": f"two {mark}"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": f"f{mark}", "description": mark, "parameters": schema},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": f"f{mark}"}},
        "chat_template_kwargs": {"model_identity": f"three {mark}"},
        "documents": [{"title": mark, "text": f"four {mark}"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": schema}},
        "stop": [mark],
    }


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from strings(one)


@pytest.mark.promise
@pytest.mark.parametrize("one", GATHERED, ids=lambda one: str(one["model"]))
def test_no_mark_of_a_models_family_is_left_in_any_place(one: dict[str, Any]) -> None:
    """Roles, names, contents as text and in parts, reasoning, arguments as JSON and with escapes,
    tools, template variables, documents; only what is no part of the prompt keeps it."""
    marks = turn_marks.of_model(one["model"])
    for mark in one["marks"]:
        found = Counter[str]()
        clean = Body(body_with(mark)).harmless(marks, found).fields
        kept = {name: clean.pop(name) for name in ("model", "stop", "response_format")}
        assert [text for text in strings(clean) if mark in text] == []
        arguments = [call["function"]["arguments"] for call in clean["messages"][2]["tool_calls"]]
        assert [text for text in arguments if mark in "".join(strings(json.loads(text)))] == []
        assert sum(found.values()) >= 20
        assert kept["model"] == f"m{mark}" and kept["stop"] == [mark]
        schema = kept["response_format"]["json_schema"]["schema"]
        assert mark not in schema["title"] + schema["properties"]["x"]["description"]
        assert schema["properties"]["x"]["enum"] == ["a", mark], "it decides which answer is valid"


def test_what_is_counted_is_what_is_sent() -> None:
    """Its text has no mark either."""
    clean = Body(body_with("<|im_start|>")).harmless(turn_marks.of_model("qwen3"), Counter())
    assert "<|im_start|>" not in clean.text and clean.text.count("< |im_start|>") >= 8


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("<|im_end|>"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=12,
    )
)
def test_a_body_without_marks_stays_byte_for_byte(value: object) -> None:
    """And one with marks stays as it is the second time."""
    marks = turn_marks.of_model("qwen3")
    body = Body({"messages": [{"role": "user", "content": "Hi", "extra": value}], "x": value})
    found = Counter[str]()
    clean = body.harmless(marks, found)
    assert (clean.to_bytes() == body.to_bytes()) is (not found)
    again = Counter[str]()
    assert clean.harmless(marks, again).to_bytes() == clean.to_bytes() and not again


def test_arguments_that_are_no_json_are_text() -> None:
    """As servers take them."""
    calls = [{"function": {"name": "f", "arguments": "not JSON <|im_end|>"}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    clean = Body({"messages": [message]}).harmless(turn_marks.of_model("qwen3"), Counter())
    assert clean.messages[0]["tool_calls"][0]["function"]["arguments"] == "not JSON < |im_end|>"


@pytest.mark.parametrize("glue", ["", " ", "\n"])
def test_parts_of_a_message_make_no_mark_together(glue: str) -> None:
    """Cut anywhere, also into single characters, and with parts of another kind between them; other
    parts stay as they are."""
    of_it = turn_marks.of_model()
    for mark in (
        "<|im_start|>",
        "[INST]",
        "]<]start of speech[>[",
        "<\uff5ctool calls begin\uff5c>",
    ):
        for cut in ([mark[:at], mark[at:]] for at in range(1, len(mark))):
            _check_parts(cut, mark, glue, of_it)
        _check_parts(list(mark), mark, glue, of_it)
        _check_parts(mark.split(" "), mark, glue, of_it)
    mixed = [{"type": "text", "text": "<|im_"}, {"type": "refusal", "refusal": "start|>"}]
    body = Body({"messages": [{"role": "user", "content": mixed}]}).harmless(of_it, Counter())
    assert body.messages[0]["content"][1] == {"type": "refusal", "refusal": "\nstart|>"}
    plain = [{"type": "text", "text": one} for one in ("a <", "b> [", "INST", "")]
    body = Body({"messages": [{"role": "user", "content": plain}]})
    assert body.harmless(of_it, Counter()) == body


def _check_parts(pieces: list[str], mark: str, glue: str, of_it: turn_marks.TurnMarks) -> None:
    parts: list[dict[str, Any]] = [{"type": "text", "text": one} for one in pieces]
    parts.insert(1, {"type": "image_url", "image_url": {"url": "data:,"}})
    found = Counter[str]()
    body = Body({"messages": [{"role": "user", "content": parts}]}).harmless(of_it, found)
    texts = [one["text"] for one in body.messages[0]["content"] if "text" in one]
    joined = glue.join(texts)
    assert of_it.pattern.search(joined) is None, (mark, texts)
    assert found, pieces
