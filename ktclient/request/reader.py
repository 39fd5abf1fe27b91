"""What the chunks of one stream say: text, progress, an error, and how it ended.

The openai library checks no types, so a chunk is anything until it is used.
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
from ktclient.request.events import Completed, Prefilled, Text
from ktclient.request.json_numbers import amount_of
from ktclient.wording import quote

_CHANNELS = (("reasoning_content", "reasoning"), ("reasoning", "reasoning"), ("content", "answer"))
"""Fields of a delta. vLLM has renamed `reasoning_content` to `reasoning`; some send both."""
_NO_WORD = {
    "length": "its tokens were used up before the first visible word: raise --max-tokens",
    "content_filter": "a filter there withheld the answer: ask otherwise",
}


class StreamReader:
    """Reads one stream of the server at `url`, and tells each event as it comes."""

    def __init__(self, url: str, tell: Callable[[Prefilled | Text], None]) -> None:
        self._url, self._tell = url, tell
        self.has_begun = False
        """Whether output or progress has come."""
        self._reason: str | None = None
        self._said = False
        self._usage: object = None
        self._characters = {channel: WholeCharacters() for _, channel in _CHANNELS}

    @property
    def has_ended(self) -> bool:
        """The server has said why it stopped. After that come counts and a closing mark, and an
        answer is whole without them: it is not asked for again."""
        return self._reason is not None

    def take(self, chunk: Any) -> None:
        """One chunk. Raises what the server tells of, and `ProtocolError`."""
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
                f"{self._url} streamed something that is not a chat completion: {_shown(chunk)}"
            ) from error

    def end(self) -> Completed:
        """The stream is over. Raises when that was no answer."""
        for channel, characters in self._characters.items():
            self._say(characters.rest(), channel)
        prompt_tokens = _count(self._usage, "prompt_tokens")
        self._check_end(prompt_tokens)
        return Completed(
            finish_reason=str(self._reason),
            prompt_tokens=prompt_tokens,
            completion_tokens=_count(self._usage, "completion_tokens"),
            cached_tokens=_count(_field(self._usage, "prompt_tokens_details"), "cached_tokens"),
        )

    def _check_error(self, chunk: Any) -> None:
        """openai knows errors of streams by their "error"; a flat one has none, nor has what comes
        as `event: error`."""
        is_message = _field(chunk, "choices") is None and isinstance(_field(chunk, "message"), str)
        if _field(chunk, "object") == "error" or is_message:
            body = chunk.model_dump(warnings=False)
            raise error_mapping.in_stream(body, self._url, begun=self.has_begun)

    def _take_prefill(self, chunk: Any) -> None:
        """llama.cpp's `prompt_progress`; others tell nothing inside the stream."""
        told = (chunk.model_extra or {}).get("prompt_progress")
        if isinstance(told, dict):
            self.has_begun = True
            done, total = amount_of(int(told["processed"])), amount_of(int(told["total"]))
            if done is not None and total is not None:
                self._tell(Prefilled(done, total))

    def _take_delta(self, delta: Any) -> None:
        told = set()
        for name, channel in _CHANNELS:
            text = getattr(delta, name, None)
            if text and channel not in told:
                told.add(channel)
                self._said = True
                self._say(self._characters[channel].take(text), channel)
        if calls := getattr(delta, "tool_calls", None):
            pieces = [call.model_dump(exclude_none=True, warnings=False) for call in calls]
            self._said = True
            self._say(json.dumps(pieces) + "\n", "tool_calls")

    def _say(self, text: str, channel: str) -> None:
        if text:
            self.has_begun = True
            self._tell(Text(text, channel))

    def _check_end(self, prompt_tokens: int | None) -> None:
        url, reason = self._url, self._reason
        if reason == "abort":
            # sglang-kt drops the message of a refusal in streams, and runs one token in its place.
            why = (
                "most likely because the prompt exceeds its KV pool: see its log"
                if prompt_tokens == 1
                else "by somebody, by a limit of its own, or at its shutdown: see its log"
            )
            error = AbortedByServer(f"the request was aborted on the server at {url}, {why}")
            error.was_read = prompt_tokens != 1
            raise error
        if reason == "error":
            raise ErrorInStream(
                f"the server at {url} ended the answer by an error of its own (finish_reason "
                "error). Its log says why."
            )
        if reason is None and self._said:
            raise StreamCut(
                f"the answer of {url} broke off: the stream ended without its closing mark. The "
                "server or a proxy in between was stopped; their logs say which."
            )
        if reason is None:
            raise EmptyStream(
                f"{url} ended the stream without saying anything: no text, no error, no reason. "
                "Its log, or that of a proxy in between, says why."
            )
        if not self._said:
            why = _NO_WORD.get(reason, "the model had nothing to say. Ask otherwise")
            raise EmptyAnswer(
                f"{url} finished without a word (finish_reason {reason}): {why}, or look whether "
                "it only thinks."
            )


def _field(whole: object, name: str) -> object:
    return getattr(whole, name, None)


def _count(whole: object, name: str) -> int | None:
    """A count in the server's account of itself; what is no count is none."""
    return amount_of(_field(whole, name))


def _shown(chunk: Any) -> str:
    dump = getattr(chunk, "model_dump", None)
    told = dump(exclude_none=True, warnings=False) if dump else chunk
    return quote(json.dumps(told, ensure_ascii=False, default=str))


class WholeCharacters:
    """Joins halves over the pieces of one text; what is never whole becomes U+FFFD."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """What is whole by now; a first half at the end waits for its second. Raises `TypeError`
        for what is no text."""
        text, self._half = self._half + piece, ""
        if text.isascii():
            return text
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole(text)

    def rest(self) -> str:
        """What still waits, when nothing more comes."""
        return _whole(self.take("") + self._half)


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
