"""Finish reasons, in OpenAI's words where servers have others for the same. Pure."""

from __future__ import annotations

from typing import Any

_NAMES = ("finish_reason", "finishReason")
_INNER = ("type", "reason")
_NONE = ("", "null", "none")
"""Servers that make text of everything send these while an answer goes on."""
_OPENAI = ("stop", "length", "tool_calls", "function_call", "content_filter", "error", "abort")
_LENGTH = (
    *("max_tokens", "max_output_tokens", "max_new_tokens", "max_length", "model_length"),
    *("token_limit", "limit", "model_context_window_exceeded"),
)
"""Google, Anthropic, text-generation-inference, Mistral."""
_BROKEN = (
    *("failed", "failure", "exception", "internal_error", "server_error", "engine_error"),
    *("network_error", "insufficient_system_resource", "timeout"),
)
"""Zhipu's and DeepSeek's, among others: the server broke off, what came is no whole answer."""
_ABORTED = ("aborted", "cancelled", "canceled", "cancel", "client_disconnect")


def of_choice(choice: dict[str, Any]) -> object:
    """The reason of a choice as the server sent it; None if it has none."""
    return next((choice[name] for name in _NAMES if choice.get(name) is not None), None)


def plain(reason: object) -> str | None:
    """The reason as text, sglang's from an object that also says what was matched; None if it is
    none."""
    if isinstance(reason, dict):
        reason = next((reason[name] for name in _INNER if reason.get(name)), None)
    text = "" if reason is None or reason is False else str(reason).strip()
    word = text.lower()
    if word in _NONE:
        return None
    if word in _OPENAI:
        return word
    if word in _LENGTH:
        return "length"
    return "abort" if word in _ABORTED else text


def is_broken(reason: str) -> bool:
    """Whether a reason says that the server itself failed."""
    return reason == "error" or reason.lower() in _BROKEN
