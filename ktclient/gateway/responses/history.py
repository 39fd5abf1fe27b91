"""Reads what the store has of one job, bit by bit, into the transcript of its events.

The order of the reads makes each look a beginning of the next: the job first, then the pieces of an
attempt, then the marks. What is read later is at least as new, and a mark waits for the piece after
which it was said.
"""

from __future__ import annotations

from collections import deque

from jobs.errors import NoSuchJob
from jobs.model import Job, Status
from jobs.store.http.store import HttpStore
from jobs.store.http.values import ProgressMark, Request
from ktclient.gateway.responses import response, stored_texts
from ktclient.gateway.responses.events import Event, Transcript
from ktclient.gateway.responses.output_items import Fields


class History:
    """The events of one job so far. `read` in a thread; it remembers where it was."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self._transcript: Transcript | None = None
        self._attempt = self._after = self._marked = 0
        """The attempt that was read last, its last piece, and the number of the last mark."""

    @property
    def is_over(self) -> bool:
        """Whether the last event was read."""
        return self._transcript is not None and self._transcript.is_over

    @property
    def place(self) -> tuple[int, int]:
        """The attempt, and its last piece: behind which a mark may be set."""
        return self._attempt, self._after

    def response(self) -> Fields:
        """The response object, as of the last look."""
        assert self._transcript is not None
        return self._transcript.response()

    def read(self, store: HttpStore) -> list[Event]:
        """The events since the last look. Raises `NoSuchJob`, also for a job that was deleted over
        HTTP."""
        job = store.job(self.job_id)
        request = store.request(self.job_id) if self._transcript is None else None
        if store.is_deleted(self.job_id):
            raise NoSuchJob(f"job {self.job_id} was deleted")
        if self._transcript is None:
            self._transcript = _transcript(store, job, request)
        if not self._transcript.is_over:
            self._read(store, job, self._transcript)
        return self._transcript.take()

    def _read(self, store: HttpStore, job: Job, transcript: Transcript) -> None:
        while True:
            self._read_attempt(store, transcript)
            if self._attempt >= job.attempt:
                break
            self._attempt, self._after = self._attempt + 1, 0
            transcript.begin_attempt(self._attempt)
        if job.status is Status.FINISHED:
            transcript.end(response.ending(job, store.attempt(job)))

    def _read_attempt(self, store: HttpStore, transcript: Transcript) -> None:
        """What came since the last look in the attempt that was read last."""
        number = self._attempt
        pieces = store.pieces(self.job_id, number, self._after) if number else []
        found = store.progress_marks(self.job_id, self._marked)
        marks = deque(mark for mark in found if mark.attempt == number)
        self._say(marks, transcript)
        for piece in pieces:
            transcript.piece(piece)
            self._after = piece.seq
            self._say(marks, transcript)

    def _say(self, marks: deque[ProgressMark], transcript: Transcript) -> None:
        while marks and marks[0].after_piece <= self._after:
            mark = marks.popleft()
            self._marked = mark.number
            transcript.mark(mark)


def _transcript(store: HttpStore, job: Job, request: Request | None) -> Transcript:
    echoed = {} if request is None else stored_texts.whole(store, job, request.fields)
    return Transcript(response.head(job, request, echoed))
