"""Wait for a job in asyncio: without a thread, and without blocking the event loop.

Each poll reads the store for milliseconds and waits for no lock: a poll that finds a lock is
skipped. Waking a dead runner, which may take seconds, is left to a separate process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from jobs import child_environment, durations, program
from jobs.errors import StoreDamaged, StoreUnusable
from jobs.model import Job
from jobs.runner import start
from jobs.store import diagnosis
from jobs.store.state_dir import StateDir
from ktclient import times
from ktclient.api.answer_reader import AnswerReader
from ktclient.errors import NotFinished
from ktclient.records import snapshot, thinking
from ktclient.records.access import open_readonly
from ktclient.records.snapshot import Snapshot

_LOOK_SECONDS = 0.2
_WAKE_SECONDS = 10.0
"""Seconds between attempts to replace a dead runner."""
_PATIENCE_SECONDS = 30.0
"""How long the store may be locked or out of sight in a row, in seconds: as long as a command
waits for a lock."""


class EndWatcher:
    """Polls one job."""

    def __init__(self, job_id: str, state: StateDir) -> None:
        self._id, self._state = job_id, state
        self._reader = AnswerReader(lambda now: self._is_thought_first)
        self._is_thought_first = False
        self._seen_at = time.monotonic()
        self._woken_at = -_WAKE_SECONDS

    async def looks(self, timeout: float | None) -> AsyncIterator[tuple[Snapshot, str]]:
        """The status several times a second, each with the new text of the answer; the last one is
        the end. Raises `NotFinished` after `timeout` seconds, and `StoreUnusable`."""
        give_up = times.deadline(timeout)
        while True:
            found = self._look()
            if found is not None:
                yield found
                if found[0].is_finished:
                    return
            if give_up is not None and time.monotonic() >= give_up:
                raise NotFinished(
                    f"job {self._id} has not finished within {durations.exact(timeout or 0)} s; "
                    "it is still running"
                )
            await self._see_to_runner()
            await asyncio.sleep(_LOOK_SECONDS)

    async def answer(self) -> tuple[Job, str]:
        """A finished job and its text."""
        while True:
            try:
                with open_readonly(self._state) as store:
                    if store is None:
                        raise diagnosis.missing(self._state.database)
                    job = store.job(self._id)
                    return job, snapshot.answer(store, job)
            except StoreUnusable as error:
                self._bear(error)
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self) -> tuple[Snapshot, str] | None:
        """The status and new text; None if the store was locked."""
        try:
            with open_readonly(self._state) as store:
                if store is None:
                    raise diagnosis.missing(self._state.database)
                now = snapshot.of_job(store, store.job(self._id))
                self._reader.begin(now)
                pieces = store.pieces(self._id, now.attempt, self._reader.after)
                if pieces and not self._reader.after:
                    model = now.figures.get("model")
                    job = store.job(self._id)
                    self._is_thought_first = thinking.is_from_prompt(store, job, model)
        except StoreUnusable as error:
            self._bear(error)
            return None
        self._seen_at = time.monotonic()
        return now, self._reader.take(now, pieces).text

    def _bear(self, error: StoreUnusable) -> None:
        """Raises an error that is permanent, or has lasted too long."""
        if isinstance(error, StoreDamaged) or time.monotonic() > self._seen_at + _PATIENCE_SECONDS:
            raise error

    async def _see_to_runner(self) -> None:
        """A live runner finds dead workers itself; any command replaces a dead runner."""
        if start.is_runner_alive(self._state):
            return
        if time.monotonic() < self._woken_at + _WAKE_SECONDS:
            return
        self._woken_at = time.monotonic()
        environ = {**child_environment.inherited(), "KTJOB_HOME": str(self._state.root)}
        process = await asyncio.create_subprocess_exec(
            *(*program.command("ktclient"), "show", self._id, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environ,
        )
        await process.wait()
