"""Turn marks in a request body: in every string that a server may put into the prompt, wherever a
chat template takes it from. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ktclient.documents.turn_marks import TurnMarks, as_before

_NEVER_IN_THE_PROMPT = frozenset(
    {
        *("model", "stop", "stop_token_ids", "stop_regex", "logit_bias", "user", "metadata", "rid"),
        *("regex", "ebnf", "guided_regex", "guided_grammar", "guided_choice", "guided_json"),
        *("structured_outputs", "structural_tag", "json_schema", "lora_path", "chat_template"),
    }
)
"""Fields that choose a model, end or constrain the answer, or are a template: they stay as they
are, and so does each field that ktjob does not know but whose value contains no mark."""
_OF_PARTS = ("text", "refusal")
_AT_A_BORDER = 256
"""Characters on each side; no mark is longer."""
_ANNOTATIONS = ("title", "description", "$comment", "default", "examples")
"""What a JSON Schema says to its reader; its other strings decide which answer is valid."""


def harmless(fields: Mapping[str, Any], marks: TurnMarks, found: Counter[str]) -> dict[str, Any]:
    """The fields of a body without turn marks: messages with all their fields, tools, and what else
    a template may read. The marks are added to `found`."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _NEVER_IN_THE_PROMPT:
            made[name] = value
        elif name == "response_format":
            made[name] = annotations_harmless(value, marks, found)
        else:
            made[name] = _harmless(value, marks, found)
    return made


def annotations_harmless(schema: Any, marks: TurnMarks, found: Counter[str]) -> Any:
    """A schema without turn marks in what it says to its reader: a few servers put it into the
    prompt. What decides which answer is valid stays as it is."""
    if isinstance(schema, list):
        return [annotations_harmless(one, marks, found) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: marks.harmless_json(value, found)
        if name in _ANNOTATIONS and isinstance(value, (str, list))
        else annotations_harmless(value, marks, found)
        for name, value in schema.items()
    }


def _harmless(value: Any, marks: TurnMarks, found: Counter[str]) -> Any:
    if isinstance(value, str):
        return marks.harmless(value, found)
    if isinstance(value, list):
        return _apart([_harmless(one, marks, found) for one in value], marks, found)
    if not isinstance(value, dict):
        return value
    return {
        marks.harmless(name, found): _arguments(inner, marks, found)
        if name == "arguments" and isinstance(inner, str)
        else _harmless(inner, marks, found)
        for name, inner in value.items()
    }


def _apart(parts: list[Any], marks: TurnMarks, found: Counter[str]) -> list[Any]:
    """The parts of a message, with a line end between two whose texts would make a mark together:
    templates put them one behind the other, and some servers put a blank between them."""
    made, before = [], {"": "", " ": ""}
    for part in parts:
        field = _field_of(part)
        if field:
            text = part[field]
            for glue, end in before.items():
                across = Counter[str]()
                marks.harmless(f"{end}{glue}{text[:_AT_A_BORDER]}", across)
                if across:
                    found.update(across)
                    text = f"\n{text}"
                    part = {**part, field: text}
                    break
            before = {glue: f"{end}{glue}{text}"[-_AT_A_BORDER:] for glue, end in before.items()}
        made.append(part)
    return made


def _field_of(part: Any) -> str:
    """Where a part has its text; empty if it has none."""
    names = (name for name in _OF_PARTS if isinstance(part, dict))
    return next((name for name in names if isinstance(part.get(name), str)), "")


def _arguments(text: str, marks: TurnMarks, found: Counter[str]) -> str:
    """The arguments of a tool call: JSON in a string, which servers decode before they use it, so
    that a mark may be written with escapes."""
    try:
        value = json.loads(text)
        clean = marks.harmless_json(value, found)
        if clean != value:
            text = json.dumps(clean, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass  # no JSON: servers use it as it is
    return marks.harmless(text, found)


def messages_as_before(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages as earlier versions stored them: to recognise what they have stored."""
    return [_as_before(message) for message in messages]


def _as_before(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": as_before(content)}
    if content is None:
        return message
    return {**message, "content": [_part_as_before(part) for part in content]}


def _part_as_before(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "text": as_before(part["text"])} if "text" in part else part
