"""One attempt's view of the store: it reports progress and output, and reads what it needs.

Output is buffered for at most `FLUSH_SECONDS`: it is on disk within a second of arriving, without a
transaction for every token. While the store cannot be used (a full disk), everything is kept in
memory, in order, and written later. The work continues, and ends at its own deadline. A late event
has the time at which it was written.

All output stays in memory until the attempt ends, a few hundred kilobytes at most: where the
database was replaced meanwhile, what the new one lacks is written again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from jobs.errors import KtjobError, StoreUnusable, WorkCancelled
from jobs.model import Attempt, Capacity, Job, Pause, Piece, Status
from jobs.store import outage
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker.parts import Parts

MOST_LATE = 1000
"""How many writes are kept while the store cannot be used; events beyond that are dropped. All
output counts as one write."""
FLUSH_SECONDS = 0.4
"""Well below the promised second, to allow for a slow disk."""


class RunningAttempt:
    """One attempt in progress, fenced by its number: once another attempt began, writes fail."""

    def __init__(
        self,
        store: Store,
        state: StateDir,
        job: Job,
        attempt: Attempt,
        earlier: Sequence[Attempt],
        repeated: Sequence[Attempt] = (),
    ) -> None:
        self._store = store
        self.earlier = earlier
        """The attempts before this one. Their workers are dead, but a server may still compute
        them."""
        self.repeated = repeated
        """The attempts of the jobs that this job repeats."""
        self._attempt = attempt
        self._job = job
        self.state = state
        self.parts = Parts(store, job)
        """This job's parts."""
        self._waiting: list[Piece] = []
        self._written: list[Piece] = []
        self._unwritten: list[Piece] = []
        self._seq = 0
        store.on_reopened = self._write_again
        store.accepts = self._is_in
        self._flushed_at = time.monotonic()
        self.phase = attempt.phase
        """The current phase."""
        self._progress: tuple[int, int | None, str] | None = None
        self._figures: dict[str, object] = {}
        self._late: list[Callable[[], None]] = []
        self._trouble_since: float | None = None
        self.afterwards: Callable[[Store], None] = lambda store: None
        """Called when the end of the attempt was recorded; may raise a `KtjobError`."""

    @property
    def job_id(self) -> str:
        return self._job.id

    @property
    def number(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempt.number

    @property
    def rid(self) -> str:
        """The request id by which servers know this attempt."""
        return self._attempt.rid

    @property
    def spec(self) -> str:
        return self._job.spec

    @property
    def job(self) -> Job:
        """The job as it was when the attempt began."""
        return self._job

    def document(self) -> bytes:
        """The document as it was stored at submit."""
        return outage.retry_until_usable(lambda: self._store.document(self._job.document))

    def amend(
        self,
        spec: str,
        document: bytes,
        capacities: Callable[[Store], Mapping[str, Capacity]],
    ) -> None:
        """Replace the job's spec and document by these, for this attempt and later ones, and set
        the capacities of its parts' pools. Raises `StoreUnusable`, and `IllegalTransition` if
        another attempt began."""
        known = capacities(self._store)
        self._store.amend(self.job_id, self.number, spec, document, known)
        self._job = self._store.job(self.job_id)

    def move(self, pool: str, spec: str, capacity: Callable[[Store], Capacity]) -> bool:
        """Give the job to another pool, if that has room for it now, with another spec. Nothing may
        have been sent in this attempt. False if it stays; also while the store cannot be used."""
        try:
            if not self._push() or not self._store.move(
                self._job, pool, spec, capacity(self._store)
            ):
                return False
            self._job = self._store.job(self.job_id)
        except StoreUnusable as error:
            self._note_trouble(error)
            return False
        return True

    def enter_phase(self, phase: str) -> None:
        """Record the start of a phase; written immediately."""
        self.phase = phase
        self._take_waiting()
        self._progress = None  # it belongs to the phase before
        self._write(lambda: self._store.enter_phase(self.job_id, self.number, phase))

    def enter_phase_if_open(self, phase: str) -> bool:
        """The same, unless the job is paused: then False, with nothing changed. While the
        store cannot be written, no pause can be stored either, and what can be read decides."""
        try:
            if self._push():
                self._take_waiting()
                self._progress = None
                if not self._store.enter_phase_if_open(self.job_id, self.number, phase):
                    return False
                self.phase = phase
                return True
            if not self._store.is_open_for(self.job_id):
                return False
        except StoreUnusable as error:
            self._note_trouble(error)
        self.enter_phase(phase)
        return True

    def is_open(self) -> bool:
        """Whether no pause keeps the job from sending its request."""
        try:
            return self._store.is_open_for(self.job_id)
        except StoreUnusable as error:
            self._note_trouble(error)
            return True

    def pauses(self) -> list[Pause]:
        """The pauses that keep the job from sending; empty also while the store cannot be used."""
        try:
            return self._store.pauses_of(self.job_id)
        except StoreUnusable as error:
            self._note_trouble(error)
            return []

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Record the progress of the phase; written with the next flush."""
        self._progress = (done, total, unit)

    def output(self, text: str, channel: str = "answer") -> None:
        """Add output. It is on disk within a second if `heartbeat` is called often enough."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and last.channel == channel:
            self._waiting[-1] = Piece(last.seq, channel, last.text + text)
            return
        self._seq += 1
        self._waiting.append(Piece(self._seq, channel, text))

    def pieces(self) -> tuple[Piece, ...]:
        """All output so far, written or not."""
        return (*self._written, *self._unwritten, *self._waiting)

    def text(self) -> str:
        """All its text."""
        return "".join(piece.text for piece in self.pieces())

    def record_metrics(self, **figures: object) -> None:
        """Record metrics of the attempt; written immediately, after the progress so far, so that no
        reader sees a speed without its progress."""
        self._take_progress()
        self._figures.update(figures)
        now = dict(self._figures)
        self._write(lambda: self._store.set_figures(self.job_id, self.number, now))

    def log_event(self, kind: str, **data: object) -> None:
        """Write an event to the job's history."""
        self._write(lambda: self._store.note(self.job_id, self.number, kind, data))

    def pool_tokens(self) -> int | None:
        """The token capacity of this job's pool, as the last submit stored it. None also while the
        store cannot be used."""
        try:
            known = self._store.capacities().get(self._job.pool)
        except StoreUnusable as error:
            self._note_trouble(error)
            return None
        return None if known is None else known.tokens

    def others_in_pool(self, since: str) -> list[Attempt]:
        """The other attempts in this job's pool that run, or ended without success at `since` or
        later (UTC): earlier ones of this job too. Jobs of another API key are named "". None of
        them while the store cannot be used."""
        try:
            found = self._store.attempts_in_pool(self._job.pool, since, self.job_id)
        except StoreUnusable as error:
            self._note_trouble(error)
            return []
        return [one for one in found if one.rid != self.rid]

    def has_succeeded(self, pools: Iterable[str], since: str) -> bool:
        """Whether a job of one of these pools succeeded at `since` or later (UTC). False also while
        the store cannot be used."""
        try:
            return any(self._store.has_succeeded(pool, since) for pool in pools)
        except StoreUnusable as error:
            self._note_trouble(error)
            return False

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        """What was stored about a pool. None also while the store cannot be used."""
        try:
            return self._store.recall(pool, name)
        except StoreUnusable as error:
            self._note_trouble(error)
            return None

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        """Store what was learned about a pool for later jobs."""
        self._write(lambda: self._store.remember(pool, name, value))

    def run_pool_one_at_a_time(self) -> None:
        """Start no job of this pool beside another, until a submit says otherwise."""
        self._write(lambda: self._store.run_one_at_a_time(self._job.pool))

    def heartbeat(self) -> bool:
        """Write what is due, and return whether to continue. Call it several times a second.

        False means that there is a cancel request. Raises `WorkCancelled` when the database was
        deleted: then the result could not be read any more. One that was moved away or is not
        mounted for now is not deleted.
        """
        if time.monotonic() - self._flushed_at < FLUSH_SECONDS:
            return True
        if self._store.was_deleted():
            raise WorkCancelled(f"{self.state.database} was deleted while the job ran")
        if not self.flush():
            return True  # a cancel request cannot be written now either
        try:
            return not self._store.is_cancel_requested(self.job_id)
        except StoreUnusable as error:
            self._note_trouble(error)
            return True

    def is_cancel_requested(self) -> bool:
        """Whether this job has a cancel request. Raises `StoreUnusable`."""
        return self._store.is_cancel_requested(self.job_id)

    def flush(self) -> bool:
        """Write all buffered output and progress now. False when the store cannot be used: then all
        is kept, and written with a later flush."""
        self._flushed_at = time.monotonic()
        if not self._push():
            return False
        self._take_waiting()
        self._take_progress()
        return self._push()

    def flush_durably(self) -> None:
        """Flush, and wait until all is on disk. Raises `StoreUnusable` when the store stays
        unusable for too long."""

        def write_all() -> None:
            self._take_waiting()
            self._take_progress()
            while self._late:
                self._write_next()

        outage.retry_until_usable(write_all)

    def _take_waiting(self) -> None:
        if self._waiting:
            pieces, self._waiting = self._waiting, []
            self._unwritten.extend(pieces)
            self._late.append(lambda: self._append(pieces))

    def _append(self, pieces: Sequence[Piece]) -> None:
        self._store.append(self.job_id, self.number, pieces)
        self._written.extend(pieces)
        del self._unwritten[: len(pieces)]  # they are written in order

    def _is_in(self, store: Store) -> bool:
        """Whether this attempt runs by what another file of the store says."""
        if not store.exists(self.job_id):
            return False
        job = store.job(self.job_id)
        known = store.attempt(job)
        is_running = job.status is Status.RUNNING
        return is_running and known is not None and known.rid == self.rid

    def _write_again(self) -> None:
        """In a database that was put in the place of the one before: the output that it lacks."""
        found = self._store.pieces(self.job_id, self.number)
        last = found[-1].seq if found else 0
        lacking = [piece for piece in self._written if piece.seq > last]
        outage.report(f"opened {self.state.database} again; {len(lacking)} pieces were missing")
        if lacking:
            self._store.append(self.job_id, self.number, lacking)

    def _take_progress(self) -> None:
        if self._progress is not None:
            told, self._progress = self._progress, None
            self._late.append(lambda: self._store.set_progress(self.job_id, self.number, *told))

    def _write(self, write: Callable[[], None]) -> None:
        if len(self._late) < MOST_LATE:
            self._late.append(write)
        self._push()

    def _push(self) -> bool:
        """Write what is pending, in order. False when the store refuses a write."""
        while self._late:
            try:
                self._write_next()
            except StoreUnusable as error:
                self._note_trouble(error)
                return False
        if self._trouble_since is None:
            return True
        seconds = round(time.monotonic() - self._trouble_since, 1)
        self._trouble_since = None
        outage.report(f"the job database is usable again after {seconds} s")
        self._late.append(
            lambda: self._store.note(self.job_id, self.number, "store unusable", {"s": seconds})
        )
        return self._push()

    def _write_next(self) -> None:
        """Write the first pending item. A value that no database can store is dropped: a retry
        would block all later writes, the end of the job included."""
        try:
            self._late[0]()
        except KtjobError:
            raise
        except Exception:
            self._late.pop(0)
            raise
        self._late.pop(0)

    def _note_trouble(self, error: StoreUnusable) -> None:
        if not outage.is_temporary(error):
            raise error
        if self._trouble_since is None:
            self._trouble_since = time.monotonic()
            outage.report(f"keeping all output in memory until it can be written: {error}")


Perform = Callable[[RunningAttempt], None]
"""The work: returns on success, raises a `KtjobError` on failure."""
