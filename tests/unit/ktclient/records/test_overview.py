"""What `status` shows of many jobs, and why each of them waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs import clock
from jobs.model import Capacity, Job, NewJob, Outcome, Status
from jobs.processes import identity
from jobs.store.control import Control
from jobs.store.rerun import Retries
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.prompts.tasks import task
from ktclient.records import overview
from ktclient.submission.spec import JobSpec

SERVER, OTHER = "http://127.0.0.1:9", "http://gpu2:9"


def new(title: str = "text", server: str = SERVER) -> NewJob:
    spec = JobSpec(task(True, None, None), server, None, 10, 60.0)
    return NewJob(server, spec.to_json(), b"text", title)


def put(store: Store, *jobs: NewJob) -> list[Job]:
    return store.submit_all(jobs, Capacity(slots=100))


def run(store: Store, job: Job) -> None:
    store.claim(job.id, identity.mine())


def end(store: Store, job: Job, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    run(store, job)
    store.finish(job.id, 1, outcome, None, None)


def test_a_group_that_is_held_or_paused_says_by_which_command_it_starts(state: StateDir) -> None:
    """And no time left, also where only some of its jobs wait for that."""
    with Control.open(state) as store:
        jobs = store.submit_all([new(name) for name in "abc"], Capacity(slots=100), ())
        group = str(jobs[0].group_id)
        end(store, jobs[0])
        (before,) = overview.read_grouped(store, 20).jobs
        assert (before.blocked, before.blocked_by) == (None, None)
        assert before.eta_seconds is not None
        store.hold([jobs[2].id], lambda job: False)
        (shown,) = overview.read_grouped(store, 20).jobs
        assert (shown.state, shown.blocked_by, shown.eta_seconds) == ("QUEUED", "held", None)
        assert str(shown.blocked).startswith("1 held since ")
        assert str(shown.blocked).endswith(f"ktjob release {group}")
        store.release([jobs[2].id])
        for pool, command in ((SERVER, f"ktjob resume --server {SERVER}"), (None, "ktjob resume")):
            store.pause(pool)
            (shown,) = overview.read_grouped(store, 20).jobs
            assert shown.eta_seconds is None and str(shown.blocked).endswith(f": {command}")
        store.resume_all()
        store.pause(OTHER)
        (shown,) = overview.read_grouped(store, 20).jobs
        assert shown.blocked is None and shown.eta_seconds is not None


def test_a_job_that_was_retried_is_shown_as_its_retry_alone(state: StateDir) -> None:
    """A group stays one line, and its old jobs are neither lines nor counted as not shown."""
    with Retries.open(state) as store:
        (alone,) = put(store, new("alone"))
        group = store.submit_all([new(name) for name in "abc"], Capacity(slots=100), ())
        for job in (alone, *group):
            end(store, job, Outcome.FAILED)
        assert len(overview.read_grouped(store, 20).jobs) == 2
        for job in (alone, *group[:2]):
            store.retry(job.id)
        shown = overview.read_grouped(store, 20)
        assert [(one.title, one.state) for one in shown.jobs] == [
            ("3 jobs: a", "QUEUED"),
            ("alone", "QUEUED"),
        ]
        assert shown.more() == ""
        for job in store.waiting(9):
            end(store, job, Outcome.FAILED)
        again = store.ended(1)[0]
        newest, _ = store.retry(again.id)
        shown = overview.read(store, 20)
        assert shown.jobs[0].id == newest.id and len(shown.jobs) == 4 and shown.more() == ""
        assert sum(store.counts().values()) == 4
        assert again.id in [job.id for job in store.newest(20)], "it is listed"


def test_what_runs_is_shown_first_and_the_rest_is_counted(state: StateDir) -> None:
    """However many wait: those next in line, those that ended last, and how many more there are."""
    with Store.open(state) as store:
        jobs = put(store, *(new(str(number)) for number in range(60)))
        for job in jobs[:20]:
            end(store, job)
        for job in reversed(jobs[40:43]):
            run(store, job)
            started = clock.now()
            while clock.now() == started:  # two of one millisecond stand in the order of submission
                continue
        shown = overview.read(store, 11)
        assert [job.title for job in shown.jobs] == [
            *("42", "41", "40"),
            *("20", "21", "22", "23"),
            *("19", "18", "17", "16"),
        ]
        assert shown.more() == "… and 49 more: 33 queued, 16 ended"
        assert overview.read(store, 100).more() == ""
        assert len(overview.read(store, 2).jobs) == 2


def test_a_few_of_one_kind_leave_their_room_to_the_others(state: StateDir) -> None:
    """No row is empty while there is a job for it."""
    with Store.open(state) as store:
        jobs = put(store, *(new() for _ in range(10)))
        for job in jobs[:1]:
            end(store, job)
        states = [job.state for job in overview.read(store, 8).jobs]
        assert states == ["QUEUED"] * 7 + ["SUCCEEDED"]


def test_parts_are_not_counted_beside_the_whole(state: StateDir) -> None:
    """A book in a hundred chunks is one job to look at."""
    with Store.open(state) as store:
        (whole,) = put(store, new("whole"))
        put(store, *(replace(new(), parent=whole.id, part=str(number)) for number in range(5)))
        shown = overview.read(store, 10)
        assert [job.title for job in shown.jobs] == ["whole"] and shown.more() == ""
        assert store.counts()[Status.QUEUED] == 1


def test_why_each_waits(state: StateDir) -> None:
    """After another job, until a time, behind what its server has to do first."""
    with Store.open(state) as store:
        first, second, third = put(store, new(), new(), new())
        (elsewhere,) = put(store, new(server=OTHER))
        (needing,) = put(store, replace(new(), needs=(first.id,)))
        (later,) = put(store, replace(new(), not_before="2999-01-01T12:00:00.000Z"))
        (past,) = put(store, replace(new(), not_before="2020-01-01T12:00:00.000Z"))
        run(store, first)
        waits = overview.read(store, 20).waits
        assert waits[second.id] == f"behind {first.id}"
        assert waits[third.id] == "behind 2 jobs"
        assert waits[elsewhere.id] == "next"
        assert waits[needing.id] == f"after {first.id}"
        assert waits[later.id].startswith("at ")
        assert waits[past.id] == "behind 3 jobs"
        store.finish(first.id, 1, Outcome.SUCCEEDED, None, None)
        waits = overview.read(store, 20).waits
        assert waits[second.id] == "next" and waits[needing.id] == "behind 2 jobs"


@pytest.mark.parametrize("number", [3, 300])
def test_a_look_costs_a_few_statements_however_many_jobs(
    state: StateDir, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one for each job."""
    asked: list[str] = []
    with Store.open(state) as store:
        put(store, *(new() for _ in range(number)))
        run(store, store.waiting(1)[0])
        plain = store._all
        monkeypatch.setattr(
            store, "_all", lambda query, **values: (asked.append(query), plain(query, **values))[1]
        )
        overview.read(store, number)
        assert len(asked) <= 8 and len(set(asked)) == len(asked)
        store.submit_all([new() for _ in range(number)], Capacity(slots=100), ())
        asked.clear()
        overview.read_grouped(store, number)
    assert len(asked) <= 13


def test_the_version_tells_of_every_commit(state: StateDir) -> None:
    """Of others and of our own; and stays while nothing happens."""
    with Store.open(state) as ours, Store.open(state) as other:
        put(ours, new())
        seen = ours.version()
        assert ours.version() == seen
        put(other, new())
        theirs = ours.version()
        assert theirs != seen
        put(ours, new())
        assert ours.version() != theirs


def test_a_time_is_told_as_its_reader_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hour today, with the date on another day."""
    monkeypatch.setenv("TZ", "UTC")
    now = "2026-11-25T10:00:00.000Z"
    assert clock.seconds_between(now, "2026-11-25T22:00:00.000Z") == 12 * 3600
    assert overview._clock_time("2026-11-25T22:00:00.000Z", now).endswith(":00")
    assert "-" in overview._clock_time("2026-12-24T22:00:00.000Z", now)


def test_a_group_is_one_line_in_place_of_its_jobs(state: StateDir) -> None:
    """With its progress, its time left, and why it waits; what is not shown is counted by jobs."""
    with Store.open(state) as store:
        first = store.submit_all([new(f"{n}.txt") for n in range(8)], Capacity(slots=100), ())
        second = store.submit_all([new("a"), new("b")], Capacity(slots=100), ())
        third = store.submit_all([new("c"), new("d"), new("e")], Capacity(slots=100), ())
        (alone,) = put(store, new("alone"))
        end(store, first[0])
        end(store, first[1], Outcome.FAILED)
        run(store, first[2])
        end(store, second[0])
        end(store, second[1], Outcome.LOST)
        shown = overview.read_grouped(store, 20)
        groups = [jobs[0].group_id for jobs in (first, third)]
        assert [job.id for job in shown.jobs] == [*groups, alone.id, second[0].group_id]
        assert [job.state for job in shown.jobs] == ["RUNNING", "QUEUED", "QUEUED", "FAILED"]
        begun, waiting, _, ended = shown.jobs
        assert (begun.done, begun.total, begun.unit) == (2, 8, "jobs")
        assert begun.phase == "2 of 8 done" and begun.eta_seconds is not None
        assert begun.title == "8 jobs: 0.txt" and ended.cause == "1 of 2 failed"
        assert shown.waits[waiting.id] == f"behind {groups[0]}" and waiting.done == 0
        assert shown.waits[alone.id] == "behind 2 jobs" and shown.more() == ""
        for job in third:
            store.request_cancel(job.id)
        few = overview.read_grouped(store, 3)
        assert [job.id for job in few.jobs] == [groups[0], alone.id]
        assert few.more() == "… and 5 more: 5 ended"
        states = {job.id: job.state for job in overview.read_grouped(store, 20).jobs}
        assert states[waiting.id] == "CANCELLED"
        assert len(overview.read(store, 20).jobs) == 14
