"""A request for a response: the chat body that it becomes, and what its answers repeat. Pure but
for what `Sources` reads.

A server behind gets only fields that engines know. OpenAI's own bookkeeping is repeated in the
answers and not sent on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from ktclient.gateway.accept import Asked
from ktclient.gateway.responses import checks, input_items, stored_texts, tools
from ktclient.gateway.responses.response import DEFAULTS, INPUT
from ktclient.gateway.wire import requests
from ktclient.request import body as request_body
from ktclient.request.body import MOST_TOKENS, Body
from ktclient.submission.chat_request import ChatOptions

Fields = dict[str, Any]
_ENGINE = (
    *("top_k", "min_p", "repetition_penalty", "seed", "stop", "logit_bias", "min_tokens"),
    *("ignore_eos", "regex", "ebnf", "separate_reasoning", "chat_template_kwargs"),
)
"""What engines know beside OpenAI's fields; sent on as it is."""
_REFUSED = ("conversation", "prompt", "audio", "modalities", "n")
"""What would change the answer, and is not there."""
_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "max",
}
"""OpenAI's words, and "max" -> those that engines know."""
_NO_EFFORT = "none"
_LOGPROBS = "message.output_text.logprobs"
_ECHOED_TEXTS = ("user", "safety_identifier", "prompt_cache_key")


class Sources(input_items.Sources, Protocol):
    """What a request may refer to."""

    def previous(self, response_id: str) -> list[Fields]:
        """All items of a conversation up to a response: its input and its output. Raises
        `ApiError`."""


@dataclass(frozen=True)
class ResponseRequest:
    """A JSON object, and how it wants to be answered."""

    fields: Fields = field(repr=False)
    is_streamed: bool
    is_background: bool


def read(raw: bytes) -> ResponseRequest:
    """Read the bytes of a request. Raises `ApiError`."""
    fields = requests.fields_of(raw)
    is_streamed = checks.truth(fields, "stream", usual=False)
    return ResponseRequest(fields, is_streamed, checks.truth(fields, "background", usual=False))


def asked(request: ResponseRequest, sources: Sources, *, is_split: bool = False) -> Asked:
    """What is sent and stored. `is_split`: the body itself is not stored, but a document and its
    parts. Raises `ApiError` with the first field that is wrong."""
    fields = request.fields
    _require_known(fields)
    said = _echoed(fields)
    items = _items(fields, sources)
    body = _sent(fields, said, items)
    for problem in request_body.problems(body):
        raise checks.wrong(INPUT, problem)
    said["tools"] = tools.echoed(tools.chat_tools(fields))
    if (choice := tools.echoed_choice(fields)) is not None:
        said["tool_choice"] = choice
    said[INPUT] = items
    stored = said if is_split else stored_texts.without(said, (INPUT, "instructions"), body)
    is_stored = checks.truth(fields, "store", usual=True)
    return Asked(_storable(body), ChatOptions(), stored, is_stored=is_stored)


def _storable(fields: Fields) -> Body:
    body = Body(fields)
    try:
        body.to_bytes()
    except UnicodeEncodeError as error:
        words = "the body contains a lone surrogate, which is no character"
        raise checks.wrong(INPUT, words, "invalid_json") from error
    except ValueError as error:
        words = "the body contains a number that is too large"
        raise checks.wrong(INPUT, words, "invalid_json") from error
    return body


def _require_known(fields: Fields) -> None:
    for name in _REFUSED:
        if fields.get(name) not in (None, 1 if name == "n" else None):
            raise checks.wrong(name, "this is not supported", checks.UNSUPPORTED)
    include = fields.get("include")
    included = [] if include is None else checks.listed(include, "include")
    if fields.get("top_logprobs") or _LOGPROBS in included:
        name = "top_logprobs" if fields.get("top_logprobs") else "include"
        words = "log probabilities are not supported: answers do not contain them"
        raise checks.wrong(name, words, checks.UNSUPPORTED)
    cut = fields.get("truncation")
    if cut not in (None, "disabled"):
        words = "only 'disabled' is supported: no input is dropped without a word"
        raise checks.wrong("truncation", words, "unsupported_value")


def _items(fields: Fields, sources: Sources) -> list[Fields]:
    before = checks.text_or_none(fields, "previous_response_id")
    old = sources.previous(before) if before else []
    if fields.get(INPUT) is None:
        raise checks.wrong(INPUT, "this is missing; give a text or a list of items")
    return [*old, *input_items.items_of(fields[INPUT], sources)]


def _echoed(fields: Fields) -> Fields:
    """What the answers repeat, checked."""
    found: Fields = {"model": checks.text_or_none(fields, "model")}
    for name in ("instructions", "previous_response_id", "service_tier", *_ECHOED_TEXTS):
        found[name] = checks.text_or_none(fields, name)
    for name, most in (("temperature", 2.0), ("top_p", 1.0)):
        found[name] = checks.number(fields, name, 0.0, most)
    for name in ("presence_penalty", "frequency_penalty"):
        found[name] = checks.number(fields, name, -2.0, 2.0)
    found["max_output_tokens"] = checks.whole(fields, "max_output_tokens", 1, MOST_TOKENS)
    found["max_tool_calls"] = checks.whole(fields, "max_tool_calls", 1, MOST_TOKENS)
    found["parallel_tool_calls"] = checks.truth(fields, "parallel_tool_calls", usual=None)
    found["background"] = checks.truth(fields, "background", usual=None)
    found["metadata"] = checks.metadata(fields)
    found["reasoning"] = _reasoning(fields)
    found["text"] = _text(fields)
    if found["service_tier"] == "auto":
        del found["service_tier"]
    return {
        name: value
        for name, value in found.items()
        if value is not None or DEFAULTS.get(name, "") is None or name == "model"
    }


def _reasoning(fields: Fields) -> Fields | None:
    if fields.get("reasoning") is None:
        return None
    given = checks.mapping(fields["reasoning"], "reasoning")
    effort = given.get("effort")
    if effort is not None:
        effort = checks.choice(effort, "reasoning.effort", [_NO_EFFORT, *_EFFORTS])
    # Thoughts come whole; nobody summarizes them.
    return {"effort": effort, "summary": None}


def _text(fields: Fields) -> Fields | None:
    if fields.get("text") is None:
        return None
    given = checks.mapping(fields["text"], "text")
    usual = {"type": "text"}
    wanted = checks.mapping(given.get("format") or usual, "text.format")
    kinds = ("text", "json_object", "json_schema")
    kind = checks.choice(wanted.get("type"), "text.format.type", kinds)
    found: Fields = {"type": kind}
    if kind == "json_schema":
        found["name"] = checks.text(wanted.get("name"), "text.format.name")
        found["schema"] = checks.mapping(wanted.get("schema"), "text.format.schema")
        found["description"] = checks.text_or_none(wanted, "description", "text.format.")
        found["strict"] = checks.truth(wanted, "strict", usual=None, prefix="text.format.")
    return {"format": found}


def _sent(fields: Fields, said: Fields, items: list[Fields]) -> Fields:
    """The body of the chat."""
    body: Fields = {}
    if said.get("model"):
        body["model"] = said["model"]
    body["messages"] = input_items.messages(said.get("instructions"), items)
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        if said.get(name) is not None:
            body[name] = said[name]
    if said.get("max_output_tokens") is not None:
        body["max_tokens"] = said["max_output_tokens"]
    body |= {name: fields[name] for name in _ENGINE if fields.get(name) is not None}
    return {**body, **_format(said), **_thinking(fields, said), **_tools(fields, said)}


def _format(said: Fields) -> Fields:
    wanted = said.get("text", {}).get("format", {"type": "text"})
    if wanted["type"] == "text":
        return {}
    if wanted["type"] == "json_object":
        return {"response_format": wanted}
    schema = {name: one for name, one in wanted.items() if name != "type" and one is not None}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _thinking(fields: Fields, said: Fields) -> Fields:
    effort = said.get("reasoning", {}).get("effort")
    if effort is None:
        return {}
    thinks = effort != _NO_EFFORT
    # By the two names in use: DeepSeek's, and that of Qwen3 and GLM.
    given = fields.get("chat_template_kwargs")
    usual = {"thinking": thinks, "enable_thinking": thinks}
    found: Fields = {"chat_template_kwargs": usual | (given if isinstance(given, dict) else {})}
    return {**found, "reasoning_effort": _EFFORTS[effort]} if thinks else found


def _tools(fields: Fields, said: Fields) -> Fields:
    allowed, choice = tools.chat_choice(fields, tools.chat_tools(fields))
    if not allowed:
        return {}
    found: Fields = {"tools": allowed}
    if choice is not None:
        found["tool_choice"] = choice
    if said.get("parallel_tool_calls") is not None:
        found["parallel_tool_calls"] = said["parallel_tool_calls"]
    return found
