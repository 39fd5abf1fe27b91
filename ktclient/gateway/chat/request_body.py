"""The body of a chat request: what is sent on, what the gateway keeps, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ktclient.gateway.accept import Asked
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.requests import fields_of
from ktclient.request import body as request_body
from ktclient.request.body import Body
from ktclient.submission.chat_request import ChatOptions

_BOOKKEEPING = (
    *("store", "metadata", "service_tier", "safety_identifier"),
    *("prompt_cache_key", "prompt_cache_retention", "stream", "stream_options"),
)
"""OpenAI's own, or the gateway's: a server behind knows nothing of it, and may refuse it."""
MOST_METADATA, MOST_KEY, MOST_VALUE = 16, 64, 512
"""Pairs, and characters of each (platform.openai.com/docs/api-reference/chat/create)."""


@dataclass(frozen=True)
class ChatRequest:
    """A valid request."""

    asked: Asked = field(repr=False)
    is_streamed: bool
    includes_usage: bool
    """Whether a stream ends with a chunk of token counts."""


def parse(raw: bytes) -> ChatRequest:
    """Read a body. Raises `ApiError` with the first field that is wrong."""
    fields = fields_of(raw)
    for problem in request_body.faults(fields):
        raise ApiError(400, problem.text, code="invalid_value", param=problem.field)
    _require_kinds(fields)
    options = fields.get("stream_options") or {}
    metadata = checked_metadata(fields.get("metadata"))
    kept = {name: value for name, value in fields.items() if name not in _BOOKKEEPING}
    said: dict[str, object] = {"model": fields.get("model") or None, "metadata": metadata}
    body = Body(kept)
    return ChatRequest(
        Asked(body, ChatOptions(), said, is_stored=fields.get("store") is not False),
        is_streamed=bool(fields.get("stream")),
        includes_usage=bool(options.get("include_usage")),
    )


_KINDS: tuple[tuple[tuple[str, ...], tuple[type, ...], str], ...] = (
    (("stream", "store", "parallel_tool_calls"), (bool,), "true or false"),
    (("stream_options", "response_format", "logit_bias"), (dict,), "an object"),
    (("tools", "functions", "modalities"), (list,), "a list"),
    (("temperature", "top_p", "presence_penalty", "frequency_penalty"), (int, float), "a number"),
    (("seed",), (int,), "a whole number"),
    (("stop",), (str, list), "a text or a list of texts"),
)


def _require_kinds(fields: dict[str, Any]) -> None:
    for names, kinds, words in _KINDS:
        for name in names:
            value = fields.get(name)
            is_right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
            if value is not None and not is_right:
                raise ApiError(400, f"{name} is not {words}", code="invalid_type", param=name)
    spoken = [one for one in fields.get("modalities") or [] if one != "text"]
    if fields.get("audio") or spoken:
        param = "audio" if fields.get("audio") else "modalities"
        raise ApiError(
            400, f"{param}: answers are text only", code="unsupported_value", param=param
        )


def checked_metadata(found: object) -> dict[str, str]:
    """The metadata of a request. Raises `ApiError`."""
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        words = "metadata is not an object whose values are texts"
        raise ApiError(400, words, code="invalid_type", param="metadata")
    if len(found) > MOST_METADATA:
        words = f"metadata has {len(found)} pairs; at most {MOST_METADATA} are possible"
        raise ApiError(400, words, code="object_above_max_properties", param="metadata")
    for name, value in found.items():
        if len(name) > MOST_KEY or len(value) > MOST_VALUE:
            words = f"metadata: a key has at most {MOST_KEY} characters, a value {MOST_VALUE}"
            raise ApiError(400, words, code="string_above_max_length", param="metadata")
    return found
