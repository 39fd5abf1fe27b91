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
from ktclient.request.bounds import AnswerBounds
from ktclient.request.events import UNKNOWN, Completed, Prefilled, Text
from ktclient.request.incoming import finish
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

_MOST_REFUSAL = 4096
"""Characters of a model's refusal that are kept; they are shown on one line."""


class StreamReader:
    """Reads one stream of the server at `url`, of at most `max_tokens` tokens, and passes each
    event to `tell`."""

    def __init__(self, url: str, max_tokens: int, tell: Callable[[Prefilled | Text], None]) -> None:
        self._url, self._tell = url, tell
        self._bounds = AnswerBounds(url, max_tokens)
        self.has_begun = False
        """Whether output or progress has arrived."""
        self._reason: str | None = None
        self.has_said = False
        """Whether any output has arrived."""
        self._refusal = ""
        self._choice: int | None = None
        """The index of the choice that is read; only one is asked for."""
        self._usage: object = None
        self._thought_fields: dict[str, None] = {}
        self._characters = {channel: WholeCharacters() for _, channel in _CHANNELS}

    @property
    def has_ended(self) -> bool:
        """Whether the server has sent a finish reason. Only token counts and the end of the stream
        follow, and an answer is complete without them: it is not requested again."""
        return self._reason is not None

    @property
    def is_whole(self) -> bool:
        """Whether output and a finish reason have arrived: nothing that follows makes it less."""
        if self._reason is None or self._reason == "abort":
            return False
        return self.has_said and not finish.is_broken(self._reason)

    def take(self, chunk: Any) -> None:
        """Process one chunk. Raises `ProtocolError` and `AnswerTooLong`."""
        try:
            self._usage = chunk.usage or self._usage
            self._take_prefill(chunk)
            for choice in self._chosen(chunk.choices):
                self._take_delta(choice.delta)
                if reason := finish.plain(choice.finish_reason):
                    self._reason = quote(reason) or UNKNOWN
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(
                f"{self._url} sent a chunk that is not a chat completion: {_shown(chunk)}"
            ) from error

    def end(self, *, is_marked: bool = False, words: str = "") -> Completed:
        """The end of the stream; `is_marked`: by its own end mark; `words`: what the server said
        besides the answer. Raises a leaf of `RequestFailed` if there was no complete answer."""
        for channel, characters in self._characters.items():
            self._say(characters.rest(), channel)
        prompt_tokens = _count(self._usage, "prompt_tokens")
        if is_marked and self.has_said:
            self._reason = self._reason or UNKNOWN
        self._check_end(prompt_tokens, is_marked=is_marked, words=words)
        return Completed(
            finish_reason=str(self._reason),
            prompt_tokens=prompt_tokens,
            completion_tokens=_count(self._usage, "completion_tokens"),
            cached_tokens=_count(_field(self._usage, "prompt_tokens_details"), "cached_tokens"),
            thought_tokens=_thought_tokens(self._usage),
            thought_fields=tuple(self._thought_fields),
            words=words if self._reason == UNKNOWN else "",
        )

    def _chosen(self, choices: list[Any]) -> list[Any]:
        """The choice to read: of several, the first one, wherever its pieces stand."""
        places = [getattr(choice, "index", None) for choice in choices]
        known = [place for place in places if isinstance(place, int)]
        if self._choice is None and known:
            self._choice = min(known)
        return [
            choice
            for choice, place in zip(choices, places, strict=True)
            if not isinstance(place, int) or place == self._choice
        ][:1]

    def _take_prefill(self, chunk: Any) -> None:
        """llama.cpp's `prompt_progress`; other servers report no progress inside the stream."""
        report = (chunk.model_extra or {}).get("prompt_progress")
        if isinstance(report, dict):
            self.has_begun = True
            done, total = amount_of(report.get("processed")), amount_of(report.get("total"))
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
                self.has_said = True
                self._say(self._characters[channel].take(text), channel)
        refusal = getattr(delta, "refusal", None) or ""
        self._refusal = (self._refusal + refusal)[:_MOST_REFUSAL]
        if calls := getattr(delta, "tool_calls", None):
            self._call([call.model_dump(exclude_none=True, warnings=False) for call in calls])
        if call := getattr(delta, "function_call", None):
            self._call([{"function_call": call.model_dump(exclude_none=True, warnings=False)}])

    def _call(self, pieces: list[dict[str, Any]]) -> None:
        self.has_said = True
        self._say(json.dumps(pieces) + "\n", "tool_calls")

    def _say(self, text: str, channel: str) -> None:
        if text:
            self.has_begun = True
            piece = Text(text, channel)
            self._bounds.take(piece)
            self._tell(piece)

    def _check_end(self, prompt_tokens: int | None, *, is_marked: bool, words: str) -> None:
        url, reason = self._url, self._reason
        also = f' Its own words: "{words}".' if words else ""
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
        if reason is not None and finish.is_broken(reason):
            raise ErrorInStream(
                f"the server at {url} ended the answer with an internal error (finish_reason "
                f"{reason}). See its log.{also}"
            )
        if reason is None and (self.has_said or not is_marked):
            # A proxy that speaks HTTP/1.0 to its server (nginx's default) closes the stream in good
            # order when that dies; so does sglang-kt 0.7.2 when it is full.
            what = "answer" if self.has_said else "stream"
            raise StreamCut(
                f"the {what} of {url} was cut: it ended without its end mark"
                f"{'' if self.has_said else ', before the first word'}. The server or a proxy in "
                f"between was stopped; see their logs.{also}"
            )
        if reason is None:
            raise EmptyStream(
                f"{url} ended the stream without any text, error or finish reason. See its log, or "
                f"that of a proxy in between.{also}"
            )
        if not self.has_said and self._refusal:
            raise EmptyAnswer(
                f'the model at {url} refused to answer: "{quote(self._refusal)}". Rephrase the '
                "request."
            )
        if not self.has_said:
            why = _NO_WORD.get(reason, "the model returned an empty answer. Rephrase the request")
            raise EmptyAnswer(
                f"{url} finished without any text (finish_reason {reason}): {why}, or check "
                f"whether it only generated reasoning.{also}"
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
