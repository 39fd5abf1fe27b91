"""What is sent for a request, what its answers repeat, and which field is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ktclient.gateway.responses import request_body, stored_texts
from ktclient.gateway.wire.errors import ApiError

Fields = dict[str, Any]


class Known:
    """What the requests of this test may refer to."""

    def previous(self, response_id: str) -> list[Fields]:
        question = {"type": "input_text", "text": "One?"}
        said = {"type": "output_text", "text": "One.", "annotations": []}
        return [
            {"type": "message", "id": "msg_1", "role": "user", "content": [question]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": []},
            {"type": "message", "id": "msg_2", "role": "assistant", "content": [said]},
        ]

    def item(self, item_id: str, param: str) -> Fields:
        return self.previous("")[2]

    def file(self, part: Fields, param: str) -> tuple[str, str]:
        return "a.txt", "text of a.txt"


def read(**fields: Any) -> request_body.ResponseRequest:
    return request_body.read(json.dumps({"model": "m", "input": "Hello", **fields}).encode())


def sent(**fields: Any) -> Fields:
    found: Fields = request_body.asked(read(**fields), Known()).body.fields
    return found


def stored(**fields: Any) -> Fields:
    return request_body.asked(read(**fields), Known()).fields


def wrong(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        request_body.asked(read(**fields), Known())
    assert caught.value.status == 400
    assert caught.value.message.startswith(f"{caught.value.param}: ")
    return caught.value


def test_a_text_is_one_message() -> None:
    assert sent() == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def test_a_conversation_keeps_its_items_and_not_its_instructions() -> None:
    body = sent(previous_response_id="resp_x", instructions="Be brief.", input="Two?")
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "Two?"},
    ]
    ids = [item["id"] for item in stored(previous_response_id="resp_x")["input"]]
    assert ids[:3] == ["msg_1", "rs_1", "msg_2"] and len(set(ids)) == 4


def test_calls_and_their_outputs_are_turns() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    items = [
        {"role": "user", "content": "Go"},
        {"type": "reasoning", "id": "rs_9", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {**call, "call_id": "c1"},
        {**call, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "2"}],
        },
    ]
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": one, "type": "function", "function": function} for one in ("c1", "c2")]
    assert sent(input=items)["messages"] == [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
    ]


def test_what_the_system_says_first_is_one_message() -> None:
    items = [
        {"role": "developer", "content": "B"},
        {"role": "system", "content": [{"type": "input_text", "text": "C"}]},
        {"role": "user", "content": "D"},
    ]
    messages = sent(input=items, instructions="A")["messages"]
    assert messages[0] == {"role": "system", "content": "A\n\nB\n\nC"}
    assert messages[1:] == [{"role": "user", "content": "D"}]


def test_parts_files_and_references() -> None:
    parts = [{"type": "input_text", "text": "What?"}, {"type": "input_file", "file_id": "file-1"}]
    items = [{"role": "user", "content": parts}, {"id": "msg_2"}]
    texts = [{"type": "text", "text": text} for text in ("What?", "a.txt", "text of a.txt")]
    messages = sent(input=items)["messages"]
    assert messages[0] == {"role": "user", "content": texts}
    assert messages[1] == {"role": "assistant", "content": "One."}


def test_settings_go_on_by_the_names_of_chats() -> None:
    schema = {"type": "object"}
    body = sent(
        max_output_tokens=5,
        temperature=0,
        top_p=0.5,
        top_k=3,
        reasoning={"effort": "xhigh"},
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}},
        user="u",
        service_tier="auto",
        prompt_cache_key="k",
        include=["reasoning.encrypted_content"],
    )
    del body["messages"]
    wanted = {"name": "n", "schema": schema, "strict": True}
    assert body == {
        "model": "m",
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "reasoning_effort": "high",
        "chat_template_kwargs": {"thinking": True, "enable_thinking": True},
        "response_format": {"type": "json_schema", "json_schema": wanted},
    }


def test_no_effort_turns_thinking_off() -> None:
    body = sent(reasoning={"effort": "none"}, chat_template_kwargs={"a": 1})
    kwargs = {"thinking": False, "enable_thinking": False, "a": 1}
    assert body["chat_template_kwargs"] == kwargs and "reasoning_effort" not in body


FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
TOOL = {"type": "function", **FUNCTION}


def _schema(**more: Any) -> Fields:
    return {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, **more}}}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("required", "required"),
        (
            {"type": "function", "name": "f"},
            {"type": "function", "function": {"name": "f"}},
        ),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
            "auto",
        ),
    ],
)
def test_functions_are_tools(choice: object, expected: object) -> None:
    body = sent(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)
    assert body["tools"] == [{"type": "function", "function": FUNCTION}]
    assert body.get("tool_choice") == expected
    assert body["parallel_tool_calls"] is False
    assert stored(tools=[TOOL])["tools"] == [TOOL]


def test_long_texts_are_stored_once() -> None:
    """In the body: the database has each document once."""
    text = "A long document. " * 100
    asked = request_body.asked(read(input=text, instructions=text + "!"), Known())
    assert text not in json.dumps(asked.fields)
    whole = stored_texts.restored(asked.fields, asked.body.fields)
    assert whole["instructions"] == text + "!"
    assert whole["input"][0]["content"] == [{"type": "input_text", "text": text}]


def test_what_is_not_to_be_stored() -> None:
    assert request_body.asked(read(store=False), Known()).is_stored is False
    assert request_body.asked(read(store=None), Known()).is_stored is True


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": "a\0b"}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
        ({"input": [{"type": ["message"]}]}, "input[0].type"),
        ({"input": [{"type": {}}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": ""}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"model": 5}, "model"),
        ({"instructions": 5}, "instructions"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a"),
        ({"metadata": {"a" * 65: "b"}}, f"metadata.{'a' * 64}"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"store": "yes"}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        (_schema(description=5), "text.format.description"),
        (_schema(strict="yes"), "text.format.strict"),
        ({"tools": [{**TOOL, "strict": "yes"}]}, "tools[0].strict"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"include": "x"}, "include"),
        ({"include": 5}, "include"),
        ({"include": True}, "include"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
    ],
)
def test_the_error_names_the_field(fields: Fields, param: str) -> None:
    assert wrong(**fields).param == param


@pytest.mark.parametrize("name", ["stream", "background"])
def test_how_it_is_to_be_answered(name: str) -> None:
    assert getattr(read(**{name: True}), "is_streamed" if name == "stream" else "is_background")
    with pytest.raises(ApiError) as caught:
        read(**{name: "yes"})
    assert caught.value.param == name
