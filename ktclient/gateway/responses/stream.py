"""The events of a job over HTTP, from the first to the last, and signs of life in between.

What is sent comes from the store, a silence's progress too: it is stored first, so that each stream
of the job says it at the same place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from jobs.errors import KtjobError, NoSuchJob
from jobs.store.http.store import HttpStore
from ktclient.gateway import delivery
from ktclient.gateway.accept import Accepted
from ktclient.gateway.context import Gateway
from ktclient.gateway.responses import progress
from ktclient.gateway.responses.events import Event
from ktclient.gateway.responses.history import History
from ktclient.gateway.wire import errors, event_stream
from ktclient.gateway.wire.errors import ApiError
from ktclient.gateway.wire.event_stream import COMMENT, DONE, Cut

FROM_THE_FIRST = -1


class ResponseStream:
    """One stream of one job. `after`: the number of the last event that the client has."""

    def __init__(self, gateway: Gateway, after: int = FROM_THE_FIRST) -> None:
        self._gateway, self._after = gateway, after
        self._sent_at = self._told_at = time.monotonic()
        """When the last bytes, and the last event, were sent."""
        self._answered = ""
        """The job whose last event was said."""

    async def of_request(self, accepting: asyncio.Task[Accepted]) -> AsyncGenerator[bytes, None]:
        """The stream of a request that becomes a job. One that is refused after the headers ends
        with the error, which openai's clients raise."""
        try:
            async for text in self._until_done(accepting):
                yield text
            job_id = accepting.result().job_id
        except ApiError as error:
            yield event_stream.event(error.body)
            return
        except KtjobError as error:
            yield event_stream.event(errors.of(error).body)
            return
        async with aclosing(self.of_job(job_id)) as texts:
            async for text in texts:
                yield text

    async def _until_done(self, task: asyncio.Task[Any]) -> AsyncIterator[bytes]:
        """Comments while it lasts."""
        while True:
            await asyncio.wait({task}, timeout=self._gateway.limits.comment_seconds)
            if task.done():
                return
            self._sent_at = time.monotonic()
            yield COMMENT

    async def of_job(self, job_id: str) -> AsyncGenerator[bytes, None]:
        """The stream of a job. Raises `Cut` if it is deleted meanwhile."""
        history = History(job_id)
        with self._gateway.watch.job(job_id) as changes:
            while True:
                look = asyncio.create_task(self._read(history))
                try:
                    async for text in self._until_done(look):
                        yield text
                finally:
                    look.cancel()  # where the client goes meanwhile
                for text in self._texts(look.result()):
                    yield text
                if history.is_over:
                    break
                while not await changes.changed(self._patience()):
                    if await self._is_told(history):
                        break
                    self._sent_at = time.monotonic()
                    yield COMMENT
        self._answered = job_id
        yield DONE

    def note_sent(self) -> None:
        """Record that the client has all of it. Called when the body was sent."""
        if self._answered:
            delivery.begin(self._gateway, self._answered)

    async def _read(self, history: History) -> list[Event]:
        try:
            return await self._gateway.threads.patient(history.read)
        except NoSuchJob as error:
            raise Cut(f"the job was deleted: {error}") from error

    def _texts(self, events: list[Event]) -> list[bytes]:
        new = [event for event in events if event.number > self._after]
        if new:
            self._sent_at = self._told_at = time.monotonic()
        return [event_stream.event(event.data, event.type) for event in new]

    def _patience(self) -> float:
        """Seconds until something must be said."""
        limits, now = self._gateway.limits, time.monotonic()
        silent, untold = now - self._sent_at, now - self._told_at
        left = min(limits.comment_seconds - silent, limits.progress_seconds - untold)
        return max(left, 0.0)

    async def _is_told(self, history: History) -> bool:
        """Whether it was time for an event, and there is a new one now."""
        seconds = self._gateway.limits.progress_seconds
        if time.monotonic() - self._told_at < seconds:
            return False
        self._told_at = time.monotonic()
        try:
            return await self._gateway.threads.store(_mark, history, seconds / 2)
        except KtjobError:
            return False  # the store cannot be used for now: comments have to do


def _mark(store: HttpStore, history: History, quiet_seconds: float) -> bool:
    try:
        data = progress.of(store, store.job(history.job_id))
        attempt, piece = history.place
        data = {**data, "attempt": attempt}
        return store.mark_progress(history.job_id, attempt, piece, data, quiet_seconds)
    except NoSuchJob:
        return True  # the next read says so
