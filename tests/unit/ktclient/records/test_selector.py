"""The words that name jobs: ids, prefixes, `@last`, filters, and what is said if none matches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.errors import AmbiguousId, NoSuchJob
from jobs.model import Capacity, Job, NewJob, Outcome
from jobs.processes import identity
from jobs.store.rerun import Retries
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.errors import BadInput
from ktclient.prompts.tasks import task
from ktclient.records import selector
from ktclient.records.selector import Scope
from ktclient.submission.spec import JobSpec

SERVER = "http://gpu1.lan:30000"


def put(store: Store, title: str = "text", **more: object) -> Job:
    spec = JobSpec(task(True, None, None), SERVER, None, 10, 60.0)
    new = replace(NewJob(SERVER, spec.to_json(), b"text", title), **more)  # type: ignore[arg-type]
    return store.submit(new, Capacity(slots=100))


def ended(store: Store, outcome: Outcome, **more: object) -> Job:
    job = put(store, **more)  # type: ignore[arg-type]
    store.claim(job.id, identity.mine())
    store.finish(job.id, 1, outcome, None, None)
    return store.job(job.id)


def ids(store: Store, *words: str, scope: Scope = Scope.ANY, **filters: object) -> list[str]:
    wanted = selector.parse(words, **filters)  # type: ignore[arg-type]
    return [job.id for job in selector.select(store, wanted, scope).jobs]


def test_named_jobs_come_in_their_order_and_once(state: StateDir) -> None:
    """Ids, prefixes, @last and the ones before it, mixed."""
    with Store.open(state) as store:
        first, second, third = (put(store).id for _ in range(3))
        assert ids(store, third, first[:7], third) == [third, first]
        assert ids(store, "@last", "@last-1", "@last-2") == [third, second, first]
        with pytest.raises(NoSuchJob, match=r"there is no job @last-3: 3 jobs in all"):
            ids(store, "@last-3")
        for word in ("@first", "@last-", "@last-x", "@LAST"):
            with pytest.raises(BadInput, match="@last-3 three before it"):
                ids(store, word)


def test_filters_find_jobs_oldest_first_and_narrow_what_is_named(state: StateDir) -> None:
    """As `ktjob list` finds them; together with ids, both must hold."""
    with Store.open(state) as store:
        failed = ended(store, Outcome.FAILED, label="night 1")
        succeeded = ended(store, Outcome.SUCCEEDED, label="night 2")
        queued = put(store, "storm.txt", label="night 3")
        put(store)
        nights = [failed.id, succeeded.id, queued.id]
        assert ids(store, label="night*") == nights
        assert ids(store, label="night*", states=["ended"]) == nights[:2]
        assert ids(store, states=["Failed,queued"], label="night*") == [failed.id, queued.id]
        assert ids(store, search="storm") == [queued.id]
        assert ids(store, search="storm", states=["failed"], is_all=True) == []
        assert ids(store, queued.id, failed.id, "@last", label="night*") == [queued.id, failed.id]
        assert ids(store, server="gpu1", since="1d", until="2999-01-01", is_all=True)[:3] == nights
        with pytest.raises(NoSuchJob, match="no job matches"):
            ids(store, succeeded.id, states=["failed"])


@pytest.mark.parametrize(
    ("scope", "states"),
    [
        (Scope.ANY, ["SUCCEEDED", "FAILED", "LOST", "QUEUED"]),
        (Scope.OPEN, ["QUEUED"]),
        (Scope.ENDED, ["SUCCEEDED", "FAILED", "LOST"]),
        (Scope.UNSUCCESSFUL, ["FAILED", "LOST"]),
    ],
)
def test_a_scope_is_for_jobs_that_are_not_named(
    state: StateDir, scope: Scope, states: list[str]
) -> None:
    """What matches and is left as it is gets counted; but `--all` means what is in the scope."""
    with Store.open(state) as store:
        for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.LOST):
            ended(store, outcome)
        queued = put(store)
        found = selector.select(store, selector.parse(is_all=True), scope)
        assert [job.state for job in found.jobs] == states
        assert found.passed_over == 0
        filtered = selector.select(store, selector.parse(server=SERVER), scope)
        assert filtered.jobs == found.jobs and filtered.passed_over == 4 - len(states)
        assert ids(store, queued.id, scope=scope) == [queued.id]


def test_an_old_attempt_is_not_found_beside_its_retry(state: StateDir) -> None:
    """By a filter, where nothing is changed; alone it is, and by its id."""
    with Retries.open(state) as store:
        old = ended(store, Outcome.FAILED, label="night")
        new, _ = store.retry(old.id)
        assert ids(store, label="night") == [new.id]
        assert ids(store, label="night", states=["failed"]) == [old.id]
        assert ids(store, old.id, new.id, label="night") == [old.id, new.id]
        assert ids(store, label="night", scope=Scope.ENDED) == [old.id]
        assert ids(store, is_all=True) == [old.id, new.id]


def test_nothing_selects_nothing(state: StateDir) -> None:
    """No word would otherwise mean all jobs; and what contradicts itself is refused."""
    with pytest.raises(BadInput, match="which jobs"):
        selector.parse()
    with pytest.raises(BadInput, match="either"):
        selector.parse(["@last"], is_all=True)
    with pytest.raises(BadInput, match='unknown state "running!"'):
        selector.parse(states=["running!"])
    with Store.open(state) as store:
        assert ids(store, is_all=True) == []
        with pytest.raises(NoSuchJob, match="@last: 0 jobs"):
            ids(store, "@last")


def test_a_part_is_meant_only_if_it_is_named(state: StateDir) -> None:
    """Its whole job is what a filter finds."""
    with Store.open(state) as store:
        whole = put(store)
        part = put(store, parent=whole.id, part="1")
        assert ids(store, is_all=True) == [whole.id]
        assert ids(store, "@last") == [whole.id]
        assert ids(store, part.id) == [part.id]
        assert ids(store, part.id, states=["queued"]) == [part.id]


def test_a_prefix_of_several_names_them(state: StateDir) -> None:
    """With state and document, to choose from."""
    with Store.open(state) as store:
        while True:
            jobs = [put(store, f"{number}.txt") for number in range(12)]
            by_letter = {job.id[0]: job for job in jobs}
            if len(by_letter) < len(jobs):
                break
        shared = [job for job in jobs if sum(one.id[0] == job.id[0] for one in jobs) > 1]
        with pytest.raises(AmbiguousId, match="use a longer prefix") as refused:
            selector.one(store, shared[0].id[0])
        assert f"{shared[0].id} (QUEUED, {shared[0].title})" in str(refused.value)


def test_a_mistyped_id_is_answered_with_the_one_that_was_meant(state: StateDir) -> None:
    """One that is like none stays without a guess."""
    with Store.open(state) as store:
        job = put(store, "report.txt")
        wrong = job.id[:3] + job.id[4:]
        with pytest.raises(NoSuchJob) as refused:
            selector.one(store, wrong)
        assert f"did you mean {job.id} (QUEUED, report.txt)?" in str(refused.value)
        with pytest.raises(NoSuchJob) as refused:
            selector.one(store, "0000")
        assert "did you mean" not in str(refused.value)


def test_a_group_stands_for_its_jobs_in_their_order(state: StateDir) -> None:
    """By its id, a prefix, and @group for the newest; a command acts on those in its scope."""
    with Store.open(state) as store:
        spec = put(store).spec
        new = [NewJob(SERVER, spec, b"text", name) for name in "abc"]
        older = store.submit_all(new, Capacity(slots=100), ())
        newer = store.submit_all(new[:2], Capacity(slots=100), ())
        store.request_cancel(older[0].id)
        group = str(older[0].group_id)
        of_older, of_newer = [job.id for job in older], [job.id for job in newer]
        assert ids(store, group) == ids(store, group=group) == of_older
        assert ids(store, "@group") == ids(store, group="@group") == of_newer
        assert ids(store, of_older[1], group) == [of_older[1], of_older[0], of_older[2]]
        found = selector.select(store, selector.parse([group]), Scope.OPEN)
        assert [job.id for job in found.jobs] == of_older[1:] and found.passed_over == 1
        assert ids(store, group, of_older[0], scope=Scope.OPEN) == of_older
        assert ids(store, group, states=["cancelled"]) == of_older[:1]
        assert not selector.parse([group]).is_one and selector.parse(["@last"]).is_one
        with pytest.raises(AmbiguousId, match="several groups"):
            ids(store, "g-")
        with pytest.raises(NoSuchJob, match="no group 'g-none'"):
            ids(store, "g-none")
        with pytest.raises(BadInput, match="a group of 3 jobs; name one job"):
            selector.one(store, group)
