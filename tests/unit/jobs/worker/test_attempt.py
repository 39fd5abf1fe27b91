"""What an attempt reports, as the store has it."""

from __future__ import annotations

import sqlite3

import pytest

from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker.attempt import RunningAttempt

pytestmark = pytest.mark.each_python


def test_the_progress_of_one_phase_is_not_shown_in_the_next(state: StateDir) -> None:
    """Reported and not written yet when the next phase began: nobody knows how far that is."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
        attempt = store.claim(job.id, identity.mine())
        running = RunningAttempt(store, state, job, attempt, [])
        running.enter_phase("prefill")
        running.progress(4_096, 600_000, "tokens")
        running.enter_phase("waiting")
        assert running.flush()
        now = store.attempt(store.job(job.id))
        assert now is not None and (now.phase, now.done) == ("waiting", None)
        running.progress(8_192, 600_000, "tokens")
        assert running.flush()
        now = store.attempt(store.job(job.id))
        assert now is not None and now.done == 8_192


def test_figures_are_not_seen_before_the_progress_they_belong_to(state: StateDir) -> None:
    """A speed beside no progress would be a riddle."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
        attempt = store.claim(job.id, identity.mine())
        running = RunningAttempt(store, state, job, attempt, [])
        running.enter_phase("prefill")
        running.progress(4_096, 600_000, "tokens")
        running.record_metrics(tokens_per_second=585.0)
        now = store.attempt(store.job(job.id))
        assert now is not None and now.done == 4_096


@pytest.mark.parametrize("odd", ["\ud83d", ["no text"]], ids=["half a character", "a list"])
def test_what_no_database_takes_is_left_out_and_not_waited_for(state: StateDir, odd: str) -> None:
    """It is raised once, as the bug that it is; all that comes after it is written."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
        running = RunningAttempt(store, state, job, store.claim(job.id, identity.mine()), [])
        running.output(odd)
        with pytest.raises((UnicodeError, sqlite3.Error)):
            running.flush()
        running.output("after it")
        running.flush_durably()
        assert [piece.text for piece in store.pieces(job.id, 1)] == ["after it"]
