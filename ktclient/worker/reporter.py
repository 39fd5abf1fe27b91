"""Write the events of one stream to the store: as phases, progress, output, metrics and job events.

During prefill, its progress is written every `WRITE_SECONDS`.
"""

from __future__ import annotations

import time

from jobs import clock
from jobs.worker.attempt import RunningAttempt
from ktclient.planning import prefill_time
from ktclient.planning.prefill_time import Sample
from ktclient.planning.progress import Prefill, Progress
from ktclient.records import phases
from ktclient.records.phases import NOT_ANSWERING
from ktclient.records.snapshot import PREFILL_SAMPLES
from ktclient.request.events import UNKNOWN, Came, Completed, Prefilled, Sent, Text
from ktclient.request.liveness import AnswersAgain, LeftInPeace, NotAnswering
from ktclient.request.stream import StreamEvent
from ktclient.servers.watcher import GaugeWatcher
from ktclient.worker import prediction

WRITE_SECONDS = 2.0
SAMPLE_SECONDS = 0.05
MOST_SAMPLES = 1000
"""Two samples of a prefill's progress are at least so many seconds apart, and at least such a part
of the time since it was sent."""
STALL_SECONDS = 600.0
"""A request without a step for this long makes no progress. Longer than a decode stalls during
another request's prefill: 5 min 19 s seen (sglang #32549)."""


class Reporter:
    """Follows one request. `least_tokens` is the least number of tokens of the prompt; `watcher`
    polls the server until the first token."""

    def __init__(
        self, attempt: RunningAttempt, least_tokens: int, prefill: Prefill, watcher: GaugeWatcher
    ) -> None:
        self._attempt = attempt
        self._least_tokens = least_tokens
        self._prefill = prefill
        self._watcher = watcher
        self._written_at = 0.0
        self.progress: Progress | None = None
        """The last known progress before the first token."""
        self.completed: Completed | None = None
        self._phase = ""
        self._phase_before = ""
        self._first_at: float | None = None
        self._pieces = 0
        self._channels: set[str] = set()
        self.sent_at: float | None = None
        self._stepped_at = float("-inf")
        self._read = 0
        self._sampled, self._sampled_at = -1, float("-inf")

    @property
    def phase(self) -> str:
        """The current phase of the request; empty before it is sent."""
        return self._phase

    def is_progressing(self) -> bool:
        """Whether progress or text arrived within `STALL_SECONDS`."""
        return time.monotonic() - self._stepped_at < STALL_SECONDS

    def seconds_since_sent(self) -> float:
        """0 before the whole request has been sent."""
        return 0.0 if self.sent_at is None else time.monotonic() - self.sent_at

    @property
    def first_token_seconds(self) -> float | None:
        """Time to first token, from the end of the upload; None before the first token."""
        if self.sent_at is None or self._first_at is None:
            return None
        return self._first_at - self.sent_at

    def report(self, event: StreamEvent) -> None:
        """Write an event to the store."""
        ahead = self._prefill.ahead
        for reading, moment in self._watcher.readings():  # first: it may be from before `Sent`
            self._prefill.read(reading, moment)
        if isinstance(event, Sent):
            self.sent_at = time.monotonic()
            self._prefill.sent(self.sent_at)
            prediction.sent(self._attempt, self._prefill, ahead)
            self._enter(phases.WAITING)
        elif isinstance(event, Prefilled):
            if not self._is_sample(event, now := time.monotonic()):
                return
            self._prefill.told(event.done, event.total, now)
        elif isinstance(event, Text):
            self._text(event)
        elif isinstance(event, Completed):
            self._completed(event)
        else:
            self._note(event)
        if self._first_at is None:
            self._follow_prefill()

    def _note(self, event: StreamEvent) -> None:
        if isinstance(event, Came):
            self._attempt.log_event("last bytes received", bytes=event.bytes, text=event.text)
        elif isinstance(event, (NotAnswering, LeftInPeace, AnswersAgain)):
            self._liveness(event)

    def _is_sample(self, event: Prefilled, now: float) -> bool:
        """Whether to use this report. To fit a model to all of a server that reports every token
        would take longer than its prefill; the first report of the end is always used."""
        gap = max(SAMPLE_SECONDS, self.seconds_since_sent() / MOST_SAMPLES)
        is_first_end = event.done >= event.total > self._sampled
        if now - self._sampled_at < gap and not is_first_end:
            return False
        self._sampled, self._sampled_at = event.done, now
        return True

    def _follow_prefill(self) -> None:
        now = time.monotonic()
        if self.sent_at is None or self._phase == NOT_ANSWERING:
            return
        known = self._prefill.now(now)
        if (known.done or 0) > self._read:
            self._read, self._stepped_at = known.done or 0, now
        if known.phase != self._phase:
            self._written_at = 0.0
        self._enter(known.phase)
        if now - self._written_at >= WRITE_SECONDS:
            self._written_at = now
            self._write(known)

    def _write(self, known: Progress) -> None:
        self.progress = known
        if known.done is not None:
            self._attempt.progress(known.done, known.total, "tokens")
        rate, eta = known.tokens_per_second, known.eta
        self._attempt.record_metrics(
            tokens_per_second=None if rate is None else round(rate, 1),
            eta_seconds=None if eta is None else round(eta, 1),
            eta_at=clock.now(),
            progress_source=known.source,
            shared=known.shared,
            **self._samples(),
        )

    def _samples(self, end: Sample | None = None) -> dict[str, object]:
        """How far the prefill was at each time, for charts: [tokens, seconds since it was sent]."""
        seen = [*prefill_time.progress(self._prefill.looks), *([] if end is None else [end])]
        rows = [[one.tokens, round(one.seconds, 1)] for one in seen]
        return {PREFILL_SAMPLES: rows} if len(rows) > 1 else {}

    def _text(self, event: Text) -> None:
        if self._first_at is None:
            self._first_at = self._written_at = time.monotonic()
            self._watcher.stop()
            self._attempt.record_metrics(tokens_per_second=None, eta_seconds=None)
        self._enter(phases.DECODE)
        self._pieces += 1
        now = self._stepped_at = time.monotonic()
        if now - self._written_at >= WRITE_SECONDS:
            self._written_at = now
            rate = self._pieces / (now - self._first_at)
            self._attempt.record_metrics(tokens_per_second=round(rate, 1))
        self._attempt.output(event.text, event.channel)
        self._attempt.progress(self._pieces, None, "tokens")
        if event.channel not in self._channels:
            self._channels.add(event.channel)
            self._attempt.flush()  # somebody has waited for the first words

    def _liveness(self, event: NotAnswering | LeftInPeace | AnswersAgain) -> None:
        if isinstance(event, NotAnswering):
            self._not_answering(event)
        elif isinstance(event, LeftInPeace):
            self._attempt.log_event(
                "no answers while it reads",
                seconds=round(event.seconds),
                words="it is not known to answer then, so only --timeout ends this",
            )
        else:
            self._attempt.log_event("server answers again", after_seconds=round(event.seconds))
            self._enter(self._phase_before)

    def _not_answering(self, event: NotAnswering) -> None:
        if self._phase != NOT_ANSWERING:
            self._phase_before = self._phase
            self._attempt.log_event(
                "server not answering",
                seconds=round(event.seconds),
                give_up_after_seconds=round(event.give_up),
            )
            self._enter(NOT_ANSWERING)
        self._attempt.progress(int(event.seconds), int(event.give_up), "seconds")

    def _completed(self, event: Completed) -> None:
        now = time.monotonic()
        self.completed = event
        sent, first = self.sent_at or now, self._first_at or now
        self._attempt.flush()
        self._attempt.record_metrics(
            finish_reason=event.finish_reason,
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            cached_tokens=event.cached_tokens,
            thought_tokens=event.thought_tokens,
            first_token_seconds=round(first - sent, 3),
            decode_seconds=round(now - first, 3),
        )
        if event.prompt_tokens and self._prefill.looks and self._prefill.shared is None:
            self._attempt.record_metrics(**self._samples(Sample(event.prompt_tokens, first - sent)))
        if event.thought_fields not in ((), ("reasoning_content",)):
            self._attempt.record_metrics(thought_fields=list(event.thought_fields))
        if event.finish_reason == UNKNOWN:
            also = f'. It said: "{event.words}"' if event.words else ""
            self._attempt.record_metrics(
                warning="the server ended the answer without a finish reason: it may be "
                f"incomplete{also}"
            )
        read = event.prompt_tokens
        if read is not None and read < self._least_tokens:
            self._warn_of_truncation(read)

    def _warn_of_truncation(self, read: int) -> None:
        """sglang's --allow-auto-truncate truncates a prompt silently; so do other servers."""
        least = self._least_tokens
        self._attempt.log_event("prompt cut short?", tokens_read=read, at_least_expected=least)
        self._attempt.record_metrics(
            warning=f"the server reports {read:,} prompt tokens, but at least {least:,} were "
            "expected: it may have truncated the document (sglang: --allow-auto-truncate)"
        )

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            self._attempt.enter_phase(phase)
