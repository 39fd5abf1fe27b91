"""One purpose, one job: what goes on where an earlier job ended, and what goes over to it."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from dataclasses import replace

import pytest

from jobs.errors import IllegalTransition
from jobs.model import Capacity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store import sql
from jobs.store.rerun import Retries
from jobs.store.resume import Heritage, Successions
from jobs.store.state_dir import StateDir

POOLS = {"whole": Capacity(slots=4), "parts": Capacity(slots=4)}
MARK = '"results": "/r"'
NEW = NewJob("whole", "{" + MARK + "}", b"all", "title")
ALL = frozenset(outcome.value for outcome in Outcome)


def heritage(*names: str, outcomes: frozenset[str] = ALL) -> Heritage:
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    return Heritage(sums, outcomes)


def pursue(store: Successions, of: Heritage, *, is_it: bool = False) -> tuple[Job, bool]:
    return store.pursue(NEW, MARK, POOLS, of, lambda old: is_it)


def end(store: Successions, job_id: str, outcome: Outcome) -> None:
    attempt = store.claim(job_id, identity.mine())
    store.finish(job_id, attempt.number, outcome, None, None)


def family(store: Successions, **outcomes: Outcome) -> Job:
    """A job that ended without success, with parts that ended so."""
    whole, _ = pursue(store, heritage())
    attempt = store.claim(whole.id, identity.mine())
    new = [
        NewJob("parts", "{}", name.encode(), name, parent=whole.id, part=name) for name in outcomes
    ]
    for part in store.submit_all(new, POOLS["parts"]):
        end(store, part.id, outcomes[part.part or ""])
    store.finish(whole.id, attempt.number, Outcome.FAILED, "part_failed", "m")
    return whole


def names(store: Successions, job: Job) -> list[str | None]:
    return [part.part for part in store.parts(job.id)]


def test_parts_of_the_same_name_and_document_that_ended_so_go_over(state: StateDir) -> None:
    """And no others."""
    with Successions.open(state) as store:
        old = family(store, a=Outcome.SUCCEEDED, b=Outcome.FAILED, c=Outcome.SUCCEEDED)
        of = heritage("a", "b", outcomes=frozenset({"SUCCEEDED"}))
        new, is_new = pursue(store, of)
        assert is_new and new.id != old.id
        assert (names(store, new), names(store, old)) == (["a"], ["b", "c"])
        end(store, new.id, Outcome.FAILED)
        changed = replace(of, documents={"a": "0" * 64})
        assert names(store, pursue(store, changed)[0]) == []


def test_a_job_that_does_it_already_is_it(state: StateDir) -> None:
    """Nothing is stored; nor when looking at it raises."""
    with Successions.open(state) as store:
        old, _ = pursue(store, heritage())
        assert pursue(store, heritage(), is_it=True) == (old, False)

        def refuse(job: Job) -> bool:
            raise IllegalTransition(job.id)

        with pytest.raises(IllegalTransition, match=old.id):
            store.pursue(NEW, MARK, POOLS, heritage(), refuse)
        assert [job.id for job in store.newest(9)] == [old.id]
        other = store.pursue(
            replace(NEW, spec='{"results": "/r2"}'), '"/r2"', POOLS, heritage(), bool
        )
        assert other[1] and store.pursued("whole", MARK) == old


def test_a_retry_leads_to_the_successor(state: StateDir) -> None:
    """Or what it answered would be asked again by it."""
    with Successions.open(state) as store:
        old = family(store, a=Outcome.SUCCEEDED)
        new, _ = pursue(store, heritage("a"))
    with Retries.open(state) as store:
        assert store.retry(old.id) == (new, False)


def test_of_many_at_once_one_is_stored(state: StateDir) -> None:
    """The look and the job are one transaction."""
    found: list[tuple[Job, bool]] = []
    Successions.open(state).close()

    def submit() -> None:
        with Successions.open(state) as store:
            found.append(pursue(store, heritage(), is_it=True))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job, _ in found}) == 1 and sum(is_new for _, is_new in found) == 1


def test_an_answer_is_found_with_whichever_job_has_it(state: StateDir) -> None:
    """Of several parts of a name and document an answer counts, else the one that came last."""
    with Successions.open(state) as store:
        first = family(store, a=Outcome.SUCCEEDED, b=Outcome.FAILED, c=Outcome.CANCELLED)
        second = family(store, b=Outcome.SUCCEEDED, c=Outcome.FAILED)
        third = family(store, b=Outcome.FAILED)
        assert [len(store.parts(job.id)) for job in (first, second, third)] == [3, 2, 1]
        new, _ = pursue(store, heritage("a", "b", "c", outcomes=ALL - {"CANCELLED"}))
        assert {part.part: part.state for part in store.parts(new.id)} == {
            "a": "SUCCEEDED",
            "b": "SUCCEEDED",
            "c": "FAILED",
        }


def test_earlier_jobs_are_found_by_indexes(state: StateDir) -> None:
    """No table is read from end to end, however many jobs there are."""
    Successions.open(state).close()
    with contextlib.closing(sqlite3.connect(state.database)) as database:
        for query in ("parts_of_marked", "newest_marked", "return_parts"):
            values = dict.fromkeys(("pool", "mark", "job", "earlier"), "x")
            plan = database.execute(f"EXPLAIN QUERY PLAN {sql.queries()[query]}", values)
            steps = [str(row[3]) for row in plan]
            assert any(step.startswith("SEARCH") for step in steps), steps
            assert not any(step.startswith("SCAN") for step in steps), steps
