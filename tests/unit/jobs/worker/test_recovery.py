"""Random lives of jobs against a model of a dozen lines: whatever is tried in whatever order, by
whichever attempt, the store does what the table allows and keeps what it took."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from support import processes

from jobs.errors import IllegalTransition
from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import recovery


@dataclass
class Life:
    """What must be true of one job."""

    most: int
    state: str = "QUEUED"
    attempt: int = 0
    is_wished: bool = False
    texts: dict[int, str] = field(default_factory=dict)
    pieces: int = 0


GONE = processes.dead()
"""Every worker's process: only the lock says whether it lives."""
SLOTS = st.sampled_from([0, 1, 2])
CAPACITY = 2
OFFSETS = st.sampled_from([0, 0, 0, 1, -1])
"""Which attempt speaks, counted from the current one: mostly that itself, or a zombie."""


class Lives(RuleBasedStateMachine):
    """Rules that may be illegal now must then be refused, and change nothing."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.state = StateDir(Path(self.folder.name) / "state").create()
        self.store = Store.open(self.state)
        self.lives: dict[str, Life] = {}
        self.locks: dict[str, identity.HeldLock] = {}
        self.slots = [self._new(most) for most in (1, 2, 3)]

    def teardown(self) -> None:
        for lock in self.locks.values():
            lock.release()
        self.store.close()
        self.folder.cleanup()

    @rule(slot=SLOTS, most=st.integers(1, 3))
    def submit(self, slot: int, most: int) -> None:
        """In the place of a job that has ended."""
        if self.lives[self.slots[slot]].state not in ("QUEUED", "RUNNING"):
            self.slots[slot] = self._new(most)

    def _new(self, most: int) -> str:
        new = NewJob("pool", "{}", b"text", "title", max_attempts=most)
        job_id = self.store.submit(new, Capacity(slots=CAPACITY)).id
        self.lives[job_id] = Life(most)
        return job_id

    @rule(slot=SLOTS)
    def claim(self, slot: int) -> None:
        job_id = self.slots[slot]
        life = self.lives[job_id]
        running = sum(other.state == "RUNNING" for other in self.lives.values())
        with self._allowed(life.state == "QUEUED" and running < CAPACITY):
            attempt = self.store.claim(job_id, GONE)
            lock = identity.hold(self.state.worker_lock(job_id))
            assert lock is not None
            self.locks[job_id] = lock
            life.state, life.attempt = "RUNNING", life.attempt + 1
            life.texts[life.attempt] = ""
            assert attempt.number == life.attempt

    @rule(slot=SLOTS, offset=OFFSETS)
    def append(self, slot: int, offset: int) -> None:
        job_id = self.slots[slot]
        life = self.lives[job_id]
        number = life.attempt + offset
        with self._allowed(self._is_current(life, number)):
            life.pieces += 1
            text = f"{number}.{life.pieces} "
            self.store.append(job_id, number, [Piece(life.pieces, "answer", text)])
            life.texts[number] += text

    @rule(slot=SLOTS, offset=OFFSETS, outcome=st.sampled_from(Outcome))
    def finish(self, slot: int, offset: int, outcome: Outcome) -> None:
        job_id = self.slots[slot]
        life = self.lives[job_id]
        number = life.attempt + offset
        with self._allowed(self._is_current(life, number)):
            self.store.finish(job_id, number, outcome, "cause", "message")
            life.state = outcome.value
            self._let_go(job_id)

    @rule(slot=SLOTS, offset=OFFSETS)
    def requeue(self, slot: int, offset: int) -> None:
        job_id = self.slots[slot]
        life = self.lives[job_id]
        number = life.attempt + offset
        may = self._is_current(life, number) and number < life.most and not life.is_wished
        assert self.store.requeue(job_id, number, "cause", "message") is may
        if may:
            life.state = "QUEUED"
            self._let_go(job_id)

    @rule(slot=SLOTS)
    def cancel(self, slot: int) -> None:
        job_id = self.slots[slot]
        life = self.lives[job_id]
        self.store.request_cancel(job_id)
        if life.state == "QUEUED":
            life.state = "CANCELLED"
        elif life.state == "RUNNING":
            life.is_wished = True

    @rule(slot=SLOTS)
    def die_and_recover(self, slot: int) -> None:
        """The worker dies; whoever looks next closes its attempt. Others' are left alone."""
        job_id = self.slots[slot]
        life = self.lives[job_id]
        self._let_go(job_id)
        alive = recovery.recover(self.store, self.state)
        if life.state == "RUNNING":
            again = life.attempt < life.most
            life.state = "CANCELLED" if life.is_wished else "QUEUED" if again else "LOST"
            last = self.store.attempts(job_id)[-1].message or ""
            has_text = any(life.texts.values()) and not life.is_wished
            assert ("The text received so far is kept" in last) is has_text, "only what there is"
        running = {one for one, other in self.lives.items() if other.state == "RUNNING"}
        assert {job.id for job in alive} == running

    @invariant()
    def the_store_says_the_same(self) -> None:
        for job_id, life in getattr(self, "lives", {}).items():
            job, attempts = self.store.job(job_id), self.store.attempts(job_id)
            assert (job.state, job.attempt) == (life.state, life.attempt)
            assert [one.number for one in attempts] == list(range(1, life.attempt + 1))
            assert len({one.rid for one in attempts}) == len(attempts)
            is_open = [one.ended_at is None for one in attempts]
            assert is_open == [life.state == "RUNNING" and n == life.attempt for n in life.texts]
            for number, text in life.texts.items():
                stored = self.store.pieces(job_id, number)
                assert "".join(piece.text for piece in stored) == text
            kinds = [event.kind for event in self.store.events(job_id)]
            assert kinds.count("claimed") == life.attempt
            assert kinds.count("finished") == (life.state not in ("QUEUED", "RUNNING"))

    def _is_current(self, life: Life, number: int) -> bool:
        return life.state == "RUNNING" and life.attempt == number

    @contextlib.contextmanager
    def _allowed(self, is_allowed: bool):  # type: ignore[no-untyped-def]
        try:
            yield
        except IllegalTransition:
            assert not is_allowed
        else:
            assert is_allowed

    def _let_go(self, job_id: str) -> None:
        lock = self.locks.pop(job_id, None)
        if lock is not None:
            lock.release()


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
