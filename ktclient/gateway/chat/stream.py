"""A streamed chat: its events from the first byte to `[DONE]`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from jobs.errors import KtjobError, NoSuchJob
from ktclient.gateway.accept import Accepted
from ktclient.gateway.chat import completion, progress, reading
from ktclient.gateway.chat.chunks import FIRST, Differs, Transcript
from ktclient.gateway.chat.reading import Reading
from ktclient.gateway.context import Gateway
from ktclient.gateway.wire import errors, event_stream, job_errors
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.event_stream import COMMENT, DONE


class ChatStream:
    """One stream of one job. A job that is streamed again says all its words again."""

    def __init__(self, gateway: Gateway, *, includes_usage: bool) -> None:
        self._gateway = gateway
        self._includes_usage = includes_usage
        self.has_answered = False
        """Whether its events are those of the whole answer, or of the job's own error."""
        self._transcript = Transcript()
        self._head: dict[str, Any] = {}
        self._spoken_at = self._told_at = time.monotonic()
        """When the last bytes, and the last event, were sent."""

    async def events(self, accepting: asyncio.Task[Accepted]) -> AsyncGenerator[bytes, None]:
        """The bytes of each event and comment. Ends after `[DONE]` or an error."""
        try:
            async for text in self._until_done(accepting):
                yield text
            async with aclosing(self._of_job(accepting.result().job_id)) as texts:
                async for text in texts:
                    yield text
        except ApiError as error:
            yield event_stream.event(error.body)
        except KtjobError as error:
            yield event_stream.event(errors.of(error).body)

    async def _until_done(self, task: asyncio.Task[Any]) -> AsyncIterator[bytes]:
        """Comments while it lasts."""
        while True:
            await asyncio.wait({task}, timeout=self._patience())
            if task.done():
                return
            self._spoken_at = time.monotonic()
            yield COMMENT

    async def _of_job(self, job_id: str) -> AsyncGenerator[bytes, None]:
        with self._gateway.watch.job(job_id) as changes:
            while True:
                look = asyncio.create_task(self._read(job_id))
                async for text in self._until_done(look):
                    yield text
                now = look.result()
                if not self._head:
                    self._head = _head(now)
                    yield self._chunk(FIRST)
                for text in self._new(now):
                    yield text
                if now.is_finished:
                    break
                while not await changes.changed(self._patience()):
                    yield await self._sign_of_life(job_id)
        ending = self._end(now)
        self.has_answered = True
        for text in ending:
            yield text

    async def _read(self, job_id: str) -> Reading:
        known = self._transcript
        try:
            return await self._gateway.threads.patient(
                reading.read, job_id, known.attempt, known.after
            )
        except NoSuchJob:
            words = "the job was deleted while it was streamed"
            raise ApiError(404, words, errors.NOT_FOUND, "not_found") from None

    def _new(self, now: Reading) -> list[bytes]:
        try:
            deltas = list(self._transcript.take(now.job.attempt, now.pieces))
        except Differs:
            raise self._differs() from None
        return [self._chunk(delta) for delta in deltas]

    def _differs(self) -> ApiError:
        words = (
            "the server was asked again and says something else than what was sent so far. Drop "
            f"that; GET /v1/chat/completions/{self._head['id']} has all of the answer at its end"
        )
        return ApiError(502, words, errors.SERVER, "answer_started_again")

    def _patience(self) -> float:
        """Seconds until something must be said."""
        limits, now = self._gateway.limits, time.monotonic()
        silent, untold = now - self._spoken_at, now - self._told_at
        left = limits.comment_seconds - silent
        if self._head:
            left = min(left, limits.progress_seconds - untold)
        return max(left, 0.0)

    async def _sign_of_life(self, job_id: str) -> bytes:
        self._spoken_at = time.monotonic()
        if self._spoken_at - self._told_at < self._gateway.limits.progress_seconds:
            return COMMENT
        self._told_at = self._spoken_at
        try:
            now = await self._gateway.threads.store(reading.read, job_id)
        except KtjobError:
            return self._chunk({})
        return self._chunk({}, ktjob=progress.of(now))

    def _chunk(self, delta: dict[str, Any], reason: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._event(choices=[choice], **more)

    def _event(self, **fields: object) -> bytes:
        self._spoken_at = self._told_at = time.monotonic()
        return event_stream.event({**self._head, **fields})

    def _end(self, now: Reading) -> list[bytes]:
        """The last events. Raises `ApiError` for a job without an answer."""
        if not now.is_answered:
            self.has_answered = True
            raise job_errors.of(now.job)
        if not self._transcript.is_whole():
            raise self._differs()
        counts, is_estimate = completion.usage(now)
        ours = completion.ours(now, is_estimate=is_estimate)
        last = [self._chunk({}, completion.finish_reason(now), **ours)]
        if self._includes_usage:
            last.append(self._event(choices=[], usage=counts))
        return [*last, DONE]


def _head(now: Reading) -> dict[str, Any]:
    return {
        "id": completion.id_of(now.job),
        "object": "chat.completion.chunk",
        "created": completion.created(now.job),
        "model": completion.model_of(now),
    }
