"""What the work of one attempt sees of the store: report, ask, and nothing else.

Output is buffered for at most `FLUSH_SECONDS`, so that it is on disk within a second of arriving
without a transaction for every token. While the store cannot be used (a full disk) everything is
kept in memory, in order, and written when it can be: the work goes on, and ends at its own
deadline. An event then has the time at which it was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from jobs.errors import KtjobError, StoreUnusable, WorkCancelled
from jobs.model import Attempt, Job, Piece
from jobs.store import outage
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker.parts import Parts

MOST_LATE = 1000
"""So many writes are kept while the store cannot be used; notes beyond that are dropped. Output
is one of them, however long."""
FLUSH_SECONDS = 0.4
"""Well under the promised second, with room for a slow disk."""


class RunningAttempt:
    """One attempt in progress, fenced by its number: after another took over, writes fail."""

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
        """The attempts before this one, all dead here; not necessarily on their server."""
        self.repeated = repeated
        """Those of the jobs that this one does once more."""
        self._attempt = attempt
        self._job = job
        self.state = state
        self.parts = Parts(store, job)
        """What this work has others do."""
        self._waiting: list[Piece] = []
        self._seq = 0
        self._flushed_at = time.monotonic()
        self.phase = attempt.phase
        """What was entered last."""
        self._progress: tuple[int, int | None, str] | None = None
        self._figures: dict[str, object] = {}
        self._late: list[Callable[[], None]] = []
        self._trouble_since: float | None = None

    @property
    def job_id(self) -> str:
        return self._job.id

    @property
    def number(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempt.number

    @property
    def rid(self) -> str:
        """The name under which servers may know this attempt."""
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

    def enter(self, phase: str) -> None:
        """Say what is done now; written at once."""
        self.phase = phase
        self._take_waiting()
        self._progress = None  # of the phase before: it would be shown as this one's
        self._write(lambda: self._store.enter_phase(self.job_id, self.number, phase))

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """Say how far the phase is; written with the next flush."""
        self._progress = (done, total, unit)

    def output(self, text: str, channel: str = "answer") -> None:
        """Hand over output; on disk within a second if `beat` is called often enough."""
        last = self._waiting[-1] if self._waiting else None
        if last is not None and last.channel == channel:
            self._waiting[-1] = Piece(last.seq, channel, last.text + text)
            return
        self._seq += 1
        self._waiting.append(Piece(self._seq, channel, text))

    def figure(self, **figures: object) -> None:
        """Record measurements with the attempt; written at once, after the progress so far: nobody
        sees the speed of a progress that is not there yet."""
        self._take_progress()
        self._figures.update(figures)
        now = dict(self._figures)
        self._write(lambda: self._store.set_figures(self.job_id, self.number, now))

    def note(self, kind: str, **data: object) -> None:
        """Write an event that a person may want to read later."""
        self._write(lambda: self._store.note(self.job_id, self.number, kind, data))

    def pool_tokens(self) -> int | None:
        """What the jobs of this one's pool may weigh together, as the last submitter knew it; None
        too while the store cannot be used."""
        try:
            known = self._store.capacities().get(self._job.pool)
        except StoreUnusable as error:
            self._note_trouble(error)
            return None
        return None if known is None else known.tokens

    def recall(self, pool: str, name: str) -> dict[str, object] | None:
        """What was remembered about a pool; None too while the store cannot be used."""
        try:
            return self._store.recall(pool, name)
        except StoreUnusable as error:
            self._note_trouble(error)
            return None

    def remember(self, pool: str, name: str, value: dict[str, object]) -> None:
        """Keep what was learned about a pool for later jobs."""
        self._write(lambda: self._store.remember(pool, name, value))

    def beat(self) -> bool:
        """To be called several times a second: writes what is due and tells whether to go on.

        False means that a cancel was wished for. Raises `WorkCancelled` when the state directory
        was removed: nobody can ask for the result any more.
        """
        if time.monotonic() - self._flushed_at < FLUSH_SECONDS:
            return True
        if self._store.is_gone:
            raise WorkCancelled(f"{self.state.database} was removed while the job ran")
        if not self.flush():
            return True  # whoever wishes for a cancel now cannot write that either
        try:
            return not self._store.is_cancel_wished(self.job_id)
        except StoreUnusable as error:
            self._note_trouble(error)
            return True

    def is_cancel_wished(self) -> bool:
        """Whether this job is to end. Raises `StoreUnusable`."""
        return self._store.is_cancel_wished(self.job_id)

    def flush(self) -> bool:
        """Write all buffered output and progress now. False when the store cannot be used: it is
        kept then, and written with a later flush."""
        self._flushed_at = time.monotonic()
        if not self._push():
            return False
        self._take_waiting()
        self._take_progress()
        return self._push()

    def settle(self) -> None:
        """Flush, and wait until that is on disk. Raises `StoreUnusable` when it is not for long."""

        def write_all() -> None:
            self._take_waiting()
            self._take_progress()
            while self._late:
                self._write_next()

        outage.retry_until_usable(write_all)

    def _take_waiting(self) -> None:
        if self._waiting:
            pieces, self._waiting = self._waiting, []
            self._late.append(lambda: self._store.append(self.job_id, self.number, pieces))

    def _take_progress(self) -> None:
        if self._progress is not None:
            told, self._progress = self._progress, None
            self._late.append(lambda: self._store.set_progress(self.job_id, self.number, *told))

    def _write(self, write: Callable[[], None]) -> None:
        if len(self._late) < MOST_LATE:
            self._late.append(write)
        self._push()

    def _push(self) -> bool:
        """Write what is late, in order, until the store refuses."""
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
        outage.say(f"the store can be used again, after {seconds} s")
        self._late.append(
            lambda: self._store.note(self.job_id, self.number, "store unusable", {"s": seconds})
        )
        return self._push()

    def _write_next(self) -> None:
        """What can never be written, being nothing that a database takes, is not tried again: it
        would keep all that comes after it, the end of the job too, from being written."""
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
            outage.say(f"going on with all output kept in memory: {error}")


Perform = Callable[[RunningAttempt], None]
"""The work: returns when it succeeded, raises a `KtjobError` when it did not."""
