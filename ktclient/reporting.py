"""The events of one stream, as phases, progress, output, figures and notes of its attempt."""

from __future__ import annotations

import time

from jobs.performing import Performing
from ktclient.client import Completed, Prefilled, Sent, StreamEvent, Text
from ktclient.pulse import AnswersAgain, NotAnswering

NOT_ANSWERING = "not answering"
"""The phase in which a server answers no question; its progress counts the seconds."""


class Reporter:
    """Follows one request. `least_tokens` is what the prompt has at the very least."""

    def __init__(self, performing: Performing, least_tokens: int) -> None:
        self._performing = performing
        self._least_tokens = least_tokens
        self._phase = ""
        self._phase_before = ""
        self._first_at: float | None = None
        self._pieces = 0
        self.sent_at: float | None = None

    def seconds_since_sent(self) -> float:
        """0 before the whole request has gone out."""
        return 0.0 if self.sent_at is None else time.monotonic() - self.sent_at

    def report(self, event: StreamEvent) -> None:
        """Tell the store what has happened."""
        if isinstance(event, Sent):
            self.sent_at = time.monotonic()
            self._enter("waiting")
        elif isinstance(event, Prefilled):
            self._enter("prefill")
            self._performing.progress(event.done, event.total, "tokens")
        elif isinstance(event, Text):
            self._text(event)
        elif isinstance(event, Completed):
            self._completed(event)
        elif isinstance(event, NotAnswering):
            self._not_answering(event)
        elif isinstance(event, AnswersAgain):
            self._performing.note("server answers again", after_seconds=round(event.seconds))
            self._enter(self._phase_before)

    def _text(self, event: Text) -> None:
        if self._first_at is None:
            self._first_at = time.monotonic()
        self._enter("decode")
        self._pieces += 1
        self._performing.output(event.text, event.channel)
        self._performing.progress(self._pieces, None, "tokens")

    def _not_answering(self, event: NotAnswering) -> None:
        if self._phase != NOT_ANSWERING:
            self._phase_before = self._phase
            self._performing.note(
                "server not answering",
                seconds=round(event.seconds),
                give_up_after_seconds=round(event.give_up),
            )
            self._enter(NOT_ANSWERING)
        self._performing.progress(int(event.seconds), int(event.give_up), "seconds")

    def _completed(self, event: Completed) -> None:
        now = time.monotonic()
        sent, first = self.sent_at or now, self._first_at or now
        self._performing.flush()
        self._performing.figure(
            finish_reason=event.finish_reason,
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            cached_tokens=event.cached_tokens,
            first_token_seconds=round(first - sent, 3),
            decode_seconds=round(now - first, 3),
        )
        read = event.prompt_tokens
        if read is not None and read < self._least_tokens:
            self._warn_of_truncation(read)

    def _warn_of_truncation(self, read: int) -> None:
        """sglang's --allow-auto-truncate cuts a prompt without a word; so do other servers."""
        least = self._least_tokens
        self._performing.note("prompt cut short?", tokens_read=read, at_least_expected=least)
        self._performing.figure(
            warning=f"the server says that it read {read:,} tokens, where {least:,} at least were "
            "expected: it may have cut the document short (sglang: --allow-auto-truncate)"
        )

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            self._performing.enter(phase)
