"""One JSON object of an answer, as the chunk of a chat completion that it stands for.

Whole messages become deltas; text in parts becomes text; what is no chunk at all (costs, pings,
control data) becomes one without choices. Everything else stays as the server sent it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from ktclient.request.incoming import finish, other_dialects

_THOUGHTS = ("reasoning_content", "reasoning")
_WRAPS = ("result", "data", "output", "response", "completion")
_GROQ = "x_groq"
_MOST_DIGITS = 20


class Chunks:
    """Reads the objects of one answer in their order."""

    def __init__(self) -> None:
        self._size, self._digest = 0, hashlib.sha256()
        """Characters of the answer so far, and a digest of them: the text may be megabytes."""
        self.is_whole = False
        """Whether a complete message has arrived, of a server that does not stream."""
        self.has_choices = False
        """Whether any object was a chunk of a chat completion."""

    def of(self, value: dict[str, Any]) -> dict[str, Any]:
        """The chunk; the same object, if nothing had to be changed."""
        value = other_dialects.chunk_of(value) or _unwrapped(value)
        choices = value.get("choices")
        if isinstance(choices, dict) and choices:
            value = {**value, "choices": (choices := _listed(choices))}
        if not choices and not isinstance(choices, list):
            return {**_with_counts(value), "choices": []}
        if not isinstance(choices, list):
            return value  # no chat completion: the reader says so
        self.has_choices |= bool(choices)
        is_piece = value.get("object") == "chat.completion.chunk"
        found = [self._choice(one, is_piece) if isinstance(one, dict) else one for one in choices]
        found = [one for one in found if one is not None]
        is_same = len(found) == len(choices) and all(map(_is, found, choices))
        return _with_counts(value if is_same else {**value, "choices": found})

    def _choice(self, choice: dict[str, Any], is_piece: bool) -> dict[str, Any]:
        delta = choice.get("delta")
        if not isinstance(delta, dict) or not (delta or self._size):
            delta = self._other_delta(choice, is_piece)
        delta = _delta(delta)
        if isinstance(content := delta.get("content"), str) and content:
            self._size += len(content)
            self._digest.update(_bytes(content))
        reason = finish.of_choice(choice)
        if delta is choice.get("delta") and reason is choice.get("finish_reason"):
            return choice
        return {**choice, "delta": delta, "finish_reason": reason}

    def _other_delta(self, choice: dict[str, Any], is_piece: bool) -> dict[str, Any]:
        """The delta of a choice whose own is no object: of its message, or of its text, which is
        /v1/completions'."""
        message, text = choice.get("message"), choice.get("delta") or choice.get("text")
        if isinstance(message, str):
            message = {"content": message}
        if isinstance(message, dict) and not text:
            self.is_whole |= not is_piece
            return _as_delta(message) if is_piece else self._unsaid(_delta(_as_delta(message)))
        return {"content": text} if isinstance(text, (str, list)) else {}

    def _unsaid(self, message: dict[str, Any]) -> dict[str, Any]:
        """Of a whole message, what was not streamed before: some servers send both."""
        content = message.get("content")
        if not self._size or not isinstance(content, str) or len(content) < self._size:
            return message
        beginning = hashlib.sha256(_bytes(content[: self._size]))
        is_repeated = beginning.digest() == self._digest.digest()
        return {"content": content[self._size :]} if is_repeated else message


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is(one: object, other: object) -> bool:
    return one is other


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """The completion in an object around it (Cloudflare, DashScope, gateways with a code of their
    own)."""
    if "choices" in value:
        return value
    inner = (value.get(name) for name in _WRAPS)
    found = next((one for one in inner if isinstance(one, dict) and one.get("choices")), None)
    return value if found is None else {"usage": value.get("usage"), **found}


def _listed(choices: dict[str, Any]) -> list[Any]:
    """Choices that are no list: a single one, or each under its number."""
    if choices.keys() & {"delta", "message", "text", "finish_reason"}:
        return [choices]
    return list(choices.values())


def _with_counts(chunk: dict[str, Any]) -> dict[str, Any]:
    """With the token counts where OpenAI puts them. Counts of nothing, which some servers send
    before or after the real ones, are left out."""
    usage = chunk.get("usage")
    found = next(filter(None, map(_counts, _usages(chunk))), None)
    return chunk if usage is found else {**chunk, "usage": found}


def _usages(chunk: dict[str, Any]) -> Iterator[object]:
    """Where counts may be: Moonshot has them in the choice, Groq in a field of its own."""
    yield chunk.get("usage")
    choices = chunk.get("choices")
    for outer in (choices[0] if isinstance(choices, list) and choices else None, chunk.get(_GROQ)):
        yield outer.get("usage") if isinstance(outer, dict) else None


def _counts(usage: object) -> dict[str, Any] | None:
    """Counts by OpenAI's names and as whole numbers; None if nothing was counted."""
    if not isinstance(usage, dict):
        return None
    found = dict(usage)
    for name, other in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        given = usage.get(name)
        found[name] = _whole(usage.get(other) if given is None else given)
    is_any = any(found[name] for name in ("prompt_tokens", "completion_tokens"))
    if not is_any:
        return None
    return usage if all(usage.get(name) is found[name] for name in found) else found


def _whole(number: object) -> object:
    """A whole number that is written as a float or as text."""
    if isinstance(number, float) and number.is_integer():
        return int(number)
    if isinstance(number, str) and number.isascii() and number.isdigit():
        return int(number) if len(number) < _MOST_DIGITS else None
    return number


def _as_delta(message: dict[str, Any]) -> dict[str, Any]:
    """A whole message; its tool calls get the index that those of a stream have."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    numbered = [
        {"index": number, **call} if isinstance(call, dict) else call
        for number, call in enumerate(calls)
    ]
    return {**message, "tool_calls": numbered}


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    """A delta whose texts are texts: Mistral's and others' content is a list of parts."""
    found = delta
    for name in _THOUGHTS:
        if isinstance(delta.get(name), (list, dict)):
            found = {**found, name: _text(delta[name])}
    found = _with_calls(found)
    content = delta.get("content")
    if not isinstance(content, (list, dict)):
        return found
    texts: dict[str, str] = {"content": "", "reasoning_content": "", "refusal": ""}
    for channel, text in _parts(content):
        texts[channel] += text
    given = {name: text for name, text in texts.items() if text and not found.get(name)}
    return {**found, **given, "content": texts["content"]}


def _with_calls(delta: dict[str, Any]) -> dict[str, Any]:
    """With calls of tools as a list of objects: what is none of them is no call."""
    found, calls = delta, delta.get("tool_calls")
    listed = [calls] if isinstance(calls, dict) else calls if isinstance(calls, list) else None
    objects = [one for one in listed or () if isinstance(one, dict)]
    whole = [_nested(one) for one in objects]
    is_same = listed is calls and len(whole) == len(listed or ()) and all(map(_is, whole, objects))
    if calls is not None and not is_same:
        found = {**found, "tool_calls": whole or None}
    if "function_call" in delta and not isinstance(delta["function_call"], dict):
        found = {**found, "function_call": None}
    return found


def _nested(call: dict[str, Any]) -> dict[str, Any]:
    """With name and arguments below `function`, where some servers do not have them."""
    if call.keys() & {"function", "custom"} or not call.keys() & {"name", "arguments"}:
        return call
    flat = ("name", "arguments")
    rest = {name: value for name, value in call.items() if name not in flat}
    return {**rest, "function": {name: call[name] for name in flat if name in call}}


def _parts(content: list[Any] | dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The channel and the text of each part. Parts of other kinds (pictures, references) are no
    text."""
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield "content", part
        elif isinstance(part, dict):
            kind = str(part.get("type", "text"))
            if kind in ("thinking", "reasoning", "reasoning_text", "thought"):
                yield "reasoning_content", _text(part)
            elif kind == "refusal":
                yield "refusal", _text(part)
            elif kind in ("text", "output_text"):
                yield "content", _text(part)


def _text(part: object) -> str:
    """The text of a part, which may lie in parts of its own. Lists are at most ten deep."""
    return _inner_text(part, 10)


def _inner_text(part: object, depth: int) -> str:
    if isinstance(part, str):
        return part
    if not depth:
        return ""
    if isinstance(part, list):
        return "".join(_inner_text(one, depth - 1) for one in part)
    if isinstance(part, dict):
        names = ("text", "thinking", "reasoning", "refusal", "value", "content", "summary")
        inner = next((part[name] for name in names if part.get(name)), None)
        return _inner_text(inner, depth - 1)
    return ""
