"""Read the chunks of one stream: text, progress, an error, and the end.

The openai library checks no types, so a chunk may be anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ktclient.errors import (
    AbortedByServer,
    EmptyAnswer,
    EmptyStream,
    ErrorInStream,
    ProtocolError,
    StreamCut,
)
from ktclient.request import error_mapping
from ktclient.request.bounds import AnswerBounds
from ktclient.request.events import Completed, Prefilled, Text
from ktclient.request.json_numbers import amount_of
from ktclient.wording import quote

_CHANNELS = (
    ("reasoning_content", "reasoning"),
    ("reasoning", "reasoning"),
    ("thinking", "reasoning"),
    ("content", "answer"),
)
"""Fields of a delta. vLLM renamed `reasoning_content` to `reasoning`; some servers send both.
Ollama and gateways to it call it `thinking`."""
_NO_WORD = {
    "length": "it used all its tokens before the first visible text: raise --max-tokens",
    "content_filter": "a content filter on the server blocked the answer: rephrase the request",
}


class StreamReader:
    """Reads one stream of the server at `url`, of at most `max_tokens` tokens, and passes each
    event to `tell`."""

    def __init__(self, url: str, max_tokens: int, tell: Callable[[Prefilled | Text], None]) -> None:
        self._url, self._tell = url, tell
        self._bounds = AnswerBounds(url, max_tokens)
        self.has_begun = False
        """Whether output or progress has arrived."""
        self._reason: str | None = None
        self._said = False
        self._usage: object = None
        self._thought_fields: dict[str, None] = {}
        self._characters = {channel: WholeCharacters() for _, channel in _CHANNELS}

    @property
    def has_ended(self) -> bool:
        """Whether the server has sent a finish reason. Only token counts and the end of the stream
        follow, and an answer is complete without them: it is not requested again."""
        return self._reason is not None

    def take(self, chunk: Any) -> None:
        """Process one chunk. Raises the error that it contains, `ProtocolError`, and
        `AnswerTooLong`."""
        self._check_error(chunk)
        try:
            self._usage = chunk.usage or self._usage
            self._take_prefill(chunk)
            for choice in chunk.choices[:1]:
                self._take_delta(choice.delta)
                if choice.finish_reason:
                    self._reason = quote(str(choice.finish_reason)) or "unknown"
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(
                f"{self._url} sent a chunk that is not a chat completion: {_shown(chunk)}"
            ) from error

    def end(self, *, is_marked: bool = False) -> Completed:
        """The end of the stream; `is_marked`: by its own end mark. Raises a leaf of
        `RequestFailed` if there was no complete answer."""
        for channel, characters in self._characters.items():
            self._say(characters.rest(), channel)
        prompt_tokens = _count(self._usage, "prompt_tokens")
        self._check_end(prompt_tokens, is_marked=is_marked)
        return Completed(
            finish_reason=str(self._reason),
            prompt_tokens=prompt_tokens,
            completion_tokens=_count(self._usage, "completion_tokens"),
            cached_tokens=_count(_field(self._usage, "prompt_tokens_details"), "cached_tokens"),
            thought_tokens=_thought_tokens(self._usage),
            thought_fields=tuple(self._thought_fields),
        )

    def _check_error(self, chunk: Any) -> None:
        """openai recognises an error in a stream by its "error" field; a flat error has none, nor
        has one that comes as `event: error`."""
        is_message = _field(chunk, "choices") is None and isinstance(_field(chunk, "message"), str)
        if _field(chunk, "object") == "error" or is_message:
            body = chunk.model_dump(warnings=False)
            raise error_mapping.in_stream(body, self._url, begun=self.has_begun)

    def _take_prefill(self, chunk: Any) -> None:
        """llama.cpp's `prompt_progress`; other servers report no progress inside the stream."""
        report = (chunk.model_extra or {}).get("prompt_progress")
        if isinstance(report, dict):
            self.has_begun = True
            done, total = amount_of(int(report["processed"])), amount_of(int(report["total"]))
            if done is not None and total is not None:
                self._tell(Prefilled(done, total))

    def _take_delta(self, delta: Any) -> None:
        seen = set()
        for name, channel in _CHANNELS:
            text = getattr(delta, name, None)
            if name == "thinking" and not isinstance(text, str):
                continue  # others have settings or signatures there
            if text and channel == "reasoning":
                self._thought_fields[name] = None
            if text and channel not in seen:
                seen.add(channel)
                self._said = True
                self._say(self._characters[channel].take(text), channel)
        if calls := getattr(delta, "tool_calls", None):
            pieces = [call.model_dump(exclude_none=True, warnings=False) for call in calls]
            self._said = True
            self._say(json.dumps(pieces) + "\n", "tool_calls")

    def _say(self, text: str, channel: str) -> None:
        if text:
            self.has_begun = True
            piece = Text(text, channel)
            self._bounds.take(piece)
            self._tell(piece)

    def _check_end(self, prompt_tokens: int | None, *, is_marked: bool) -> None:
        url, reason = self._url, self._reason
        if reason == "abort":
            # sglang-kt drops the message of a refusal in streams, and generates one token instead.
            why = (
                "most likely because the prompt exceeds its KV pool: see its log"
                if prompt_tokens == 1
                else "by another client, by a server-side limit, or at its shutdown: see its log"
            )
            error = AbortedByServer(f"the request was aborted on the server at {url}, {why}")
            error.was_read = prompt_tokens != 1
            raise error
        if reason == "error":
            raise ErrorInStream(
                f"the server at {url} ended the answer with an internal error (finish_reason "
                "error). See its log."
            )
        if reason is None and (self._said or not is_marked):
            # A proxy that speaks HTTP/1.0 to its server (nginx's default) closes the stream in good
            # order when that dies; so does sglang-kt 0.7.2 when it is full.
            what = "answer" if self._said else "stream"
            raise StreamCut(
                f"the {what} of {url} was cut: it ended without its end mark"
                f"{'' if self._said else ', before the first word'}. The server or a proxy in "
                "between was stopped; see their logs."
            )
        if reason is None:
            raise EmptyStream(
                f"{url} ended the stream without any text, error or finish reason. See its log, or "
                "that of a proxy in between."
            )
        if not self._said:
            why = _NO_WORD.get(reason, "the model returned an empty answer. Rephrase the request")
            raise EmptyAnswer(
                f"{url} finished without any text (finish_reason {reason}): {why}, or check "
                "whether it only generated reasoning."
            )


def _field(whole: object, name: str) -> object:
    return getattr(whole, name, None)


def _count(whole: object, name: str) -> int | None:
    """A count from the server's usage; None if it is not a valid count."""
    return amount_of(_field(whole, name))


def _thought_tokens(usage: object) -> int | None:
    """sglang reports them beside the other counts, others below them."""
    details = _field(usage, "completion_tokens_details")
    found = _count(details, "reasoning_tokens")
    return _count(usage, "reasoning_tokens") if found is None else found


def _shown(chunk: Any) -> str:
    dump = getattr(chunk, "model_dump", None)
    shown = dump(exclude_none=True, warnings=False) if dump else chunk
    return quote(json.dumps(shown, ensure_ascii=False, default=str))


class WholeCharacters:
    """Joins surrogates across the pieces of one text; an unpaired one becomes U+FFFD."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """The complete characters so far; a first surrogate at the end waits for its second. Raises
        `TypeError` if `piece` is not text."""
        text, self._half = self._half + piece, ""
        if text.isascii():
            return text
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole(text)

    def rest(self) -> str:
        """The rest of the text, at its end."""
        return _whole(self.take("") + self._half)


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
