"""Answers that are no chat completions, as chunks of one.

A gateway that passes on what its server sends may answer in that server's own dialect. It was asked
for an answer and has computed it: what can be read is read. Pure.
"""

from __future__ import annotations

from typing import Any


def chunk_of(value: dict[str, Any]) -> dict[str, Any] | None:
    """The chunk for an object of another dialect; None if it is none, or carries nothing."""
    if "choices" in value:
        return None
    for read in (_anthropic, _responses, _ollama, _llamacpp, _tokens):
        if (found := read(value)) is not None:
            return found
    return None


def _chunk(
    content: object = None, thoughts: object = None, reason: object = None, usage: object = None
) -> dict[str, Any]:
    delta = {"content": content, "reasoning_content": thoughts}
    given = {name: text for name, text in delta.items() if text}
    return {"choices": [{"index": 0, "delta": given, "finish_reason": reason}], "usage": usage}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _anthropic(value: dict[str, Any]) -> dict[str, Any] | None:
    kind, delta, usage = value.get("type"), _dict(value.get("delta")), value.get("usage")
    if kind == "content_block_delta":
        return _chunk(delta.get("text"), delta.get("thinking"))
    if kind == "message_delta":
        return _chunk(reason=delta.get("stop_reason"), usage=usage)
    if kind == "message" and isinstance(value.get("content"), list):
        return _chunk(value["content"], reason=value.get("stop_reason") or "stop", usage=usage)
    return None


def _responses(value: dict[str, Any]) -> dict[str, Any] | None:
    """OpenAI's Responses."""
    kind, delta = str(value.get("type", "")), value.get("delta")
    if kind == "response.output_text.delta":
        return _chunk(delta)
    if kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
        return _chunk(None, delta)
    if kind in ("response.completed", "response.incomplete"):
        whole = _dict(value.get("response"))
        return _chunk(reason=_end_of(whole, kind), usage=whole.get("usage"))
    if value.get("object") == "response" and isinstance(value.get("output"), list):
        said = [_dict(one).get("content") for one in value["output"]]
        parts = [part for content in said if isinstance(content, list) for part in content]
        reason = _end_of(value, f"response.{value.get('status')}")
        return _chunk(parts, reason=reason, usage=value.get("usage")) if parts else None
    return None


def _end_of(whole: dict[str, Any], kind: str) -> object:
    reason = _dict(whole.get("incomplete_details")).get("reason")
    return reason or ("stop" if kind == "response.completed" else None)


def _ollama(value: dict[str, Any]) -> dict[str, Any] | None:
    if not isinstance(value.get("done"), bool):
        return None
    message = _dict(value.get("message"))
    content = message.get("content") or value.get("response")
    counts = {
        "prompt_tokens": value.get("prompt_eval_count"),
        "completion_tokens": value.get("eval_count"),
    }
    reason = (value.get("done_reason") or "stop") if value["done"] else None
    thoughts = message.get("thinking") or value.get("thinking")
    return _chunk(content, thoughts, reason, counts if value["done"] else None)


def _llamacpp(value: dict[str, Any]) -> dict[str, Any] | None:
    """llama.cpp's own /completion."""
    if not isinstance(value.get("stop"), bool) or not isinstance(value.get("content"), str):
        return None
    is_limit = value.get("stop_type") == "limit" or value.get("stopped_limit")
    reason = ("length" if is_limit else "stop") if value["stop"] else None
    counts = {
        "prompt_tokens": value.get("tokens_evaluated"),
        "completion_tokens": value.get("tokens_predicted"),
    }
    return _chunk(value["content"], None, reason, counts if value["stop"] else None)


def _tokens(value: dict[str, Any]) -> dict[str, Any] | None:
    """text-generation-inference's /generate_stream, KoboldCpp's and Cloudflare's own streams."""
    token, response = value.get("token"), value.get("response")
    if isinstance(token, dict) and isinstance(token.get("text"), str):
        reason = _dict(value.get("details")).get("finish_reason")
        return _chunk(None if token.get("special") else token["text"], None, reason)
    if isinstance(token, str):
        return _chunk(token, None, value.get("finish_reason"))
    if isinstance(response, str):
        return _chunk(response, None, value.get("finish_reason"), value.get("usage"))
    return None
