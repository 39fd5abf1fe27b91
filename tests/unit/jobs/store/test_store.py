"""The store: one transaction for one submit, ids, output, versions, and honest errors."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.queueing import sql_of

from jobs import clock
from jobs.errors import AmbiguousId, NoSuchJob, StoreTooNew, StoreUnusable
from jobs.model import Capacity, NewJob, Outcome, Piece, Status
from jobs.processes import identity
from jobs.store import sql
from jobs.store.files import opening
from jobs.store.files.opening import SCHEMA_VERSION
from jobs.store.state_dir import StateDir
from jobs.store.store import Store

pytestmark = pytest.mark.each_python


def new_job(document: bytes = b"text") -> NewJob:
    return NewJob(pool="pool", spec="{}", document=document, title="title")


def documents(state: StateDir) -> int:
    """How many are stored."""
    ((count,),) = sql_of(state.database, "SELECT count(*) FROM documents")
    assert isinstance(count, int)
    return count


def test_a_submitted_job_is_there_with_its_document_and_an_event(state: StateDir) -> None:
    """Everything that a worker needs is in the store."""
    with Store.open(state) as store:
        job = store.submit(new_job("红楼梦".encode()), Capacity(slots=2))
        assert job.status is Status.QUEUED
        assert store.document(job.document) == "红楼梦".encode()
        assert store.capacities() == {"pool": Capacity(slots=2)}
        assert [event.kind for event in store.events(job.id)] == ["submitted"]


def test_a_document_is_stored_once(state: StateDir) -> None:
    """Asking twice about one book costs one copy."""
    with Store.open(state) as store:
        first, second = (
            store.submit(new_job(), Capacity(slots=1)),
            store.submit(new_job(), Capacity(slots=1)),
        )
        assert first.document == second.document
    assert documents(state) == 1


def test_a_submit_that_fails_leaves_nothing(state: StateDir) -> None:
    """The document and the job are one transaction."""
    with Store.open(state) as store, pytest.raises(sqlite3.IntegrityError):
        store.submit(NewJob("pool", "{}", b"text", "title", weight=0), Capacity(slots=1))
    assert documents(state) == 0


def test_of_several_jobs_all_are_stored_or_none(state: StateDir) -> None:
    """In order, on one document, in one transaction."""
    with Store.open(state) as store:
        bad = NewJob("pool", "{}", b"text", "title", weight=0)
        with pytest.raises(sqlite3.IntegrityError):
            store.submit_all([new_job(), new_job(), bad], Capacity(slots=1))
        assert store.newest(10) == [] and store.capacities() == {}
        jobs = store.submit_all([new_job() for _ in range(3)], Capacity(slots=1))
        assert store.in_status(Status.QUEUED) == jobs
        assert [len(store.events(job.id)) for job in jobs] == [1, 1, 1]
    assert documents(state) == 1


def test_a_unique_start_of_an_id_is_an_id(state: StateDir) -> None:
    """Ids start with a letter, and the error for a shared start names the candidates."""
    with Store.open(state) as store:
        ids = [store.submit(new_job(), Capacity(slots=1)).id for _ in range(60)]
        assert all(job_id[0].isalpha() and len(job_id) == 8 for job_id in ids)
        assert store.find(ids[0][:7]).id == ids[0]
        assert store.find(ids[0]).id == ids[0]
        letter = next(i[0] for i in ids if sum(j[0] == i[0] for j in ids) > 1)
        with pytest.raises(AmbiguousId, match=letter):
            store.find(letter)
        for wrong in ("", "nosuchjob", "%"):
            with pytest.raises(NoSuchJob):
                store.find(wrong)


def test_output_is_read_back_in_order_and_from_any_point(state: StateDir) -> None:
    """Re-attaching readers ask for what came after the piece they saw last."""
    with Store.open(state) as store:
        job = store.submit(new_job(), Capacity(slots=1))
        number = store.claim(job.id, identity.mine()).number
        pieces = [
            Piece(1, "answer", "Einmal "),
            Piece(2, "reasoning", "hm"),
            Piece(3, "answer", "x"),
        ]
        store.append(job.id, number, pieces[:2])
        store.append(job.id, number, pieces[2:])
        assert store.pieces(job.id, number) == pieces
        assert store.pieces(job.id, number, after=2) == pieces[2:]


def test_nothing_in_the_state_directory_is_readable_by_others(state: StateDir) -> None:
    """Documents are private: folders 0700, files 0600, whatever the umask."""
    old = os.umask(0o000)
    try:
        with Store.open(state) as store:
            store.submit(new_job(), Capacity(slots=1))
            modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (state.root, *state.root.iterdir())}
    finally:
        os.umask(old)
    wrong = {
        p.name: oct(m)
        for p, m in modes.items()
        if m & 0o077 and p.name not in {"workers", "logs", "server"}
    }
    assert not wrong


def test_a_store_is_not_carried_across_a_fork(state: StateDir) -> None:
    """SQLite forbids it; we refuse before it can corrupt."""
    with Store.open(state) as store:
        pid = os.fork()
        if pid == 0:
            try:
                store.submit(new_job(), Capacity(slots=1))
            except RuntimeError:
                os._exit(42)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42


def test_a_second_store_of_a_process_takes_no_lock_from_its_first(state: StateDir) -> None:
    """Closing any descriptor of a file drops all of a process's locks on it. Another process would
    then take itself for the last, and remove the log that the first store still reads: writes are
    lost, and the database reads as malformed."""
    elsewhere = "import sys; from pathlib import Path; from jobs.store.store import Store; "
    elsewhere += (
        "from jobs.store.state_dir import StateDir as S; Store.open(S(Path(sys.argv[1]))).close()"
    )
    with Store.open(state) as first:
        first.submit(new_job(), Capacity(slots=1))
        Store.open(state).close()
        subprocess.run([sys.executable, "-c", elsewhere, str(state.root)], check=True)
        assert state.database.with_name(f"{state.database.name}-wal").exists()
        job = first.submit(new_job(b"two"), Capacity(slots=1))
    with Store.open(state) as later:
        assert later.document(later.job(job.id).document) == b"two"


def test_a_newer_database_is_refused_in_words(state: StateDir) -> None:
    """An old program must not guess at a new schema."""
    with Store.open(state):
        pass
    connection = sqlite3.connect(state.database)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreTooNew, match="newer ktjob"):
        Store.open(state)


def test_the_schema_version_is_the_number_of_migrations() -> None:
    """Adding a migration without raising the version would never apply it."""
    assert len(sql.migrations()) == SCHEMA_VERSION


def test_a_file_that_is_no_database_is_refused_in_words(state: StateDir) -> None:
    """The message names the file."""
    state.database.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnusable, match=r"ktjob\.db"):
        Store.open(state)


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """So is the cure."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StoreUnusable, match="KTJOB_HOME"):
        Store.open(StateDir(blocked / "state"))


def test_every_query_is_used_and_every_used_query_exists() -> None:
    """No dead SQL, no misspelt name."""
    package = Path(sql.__file__).parents[2]
    source = "".join(path.read_text() for path in package.rglob("*.py"))
    assert {name for name in sql.queries() if f'"{name}"' not in source} == set()


def test_a_lock_held_for_too_long_is_told_with_its_own_cure(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing was stored; once it is released, everything goes on."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    with Store.open(state) as store:
        other = sqlite3.connect(state.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnusable, match=r"fuser .*ktjob\.db") as refused:
            store.submit(new_job(), Capacity(slots=1))
        assert "disk" not in str(refused.value)
        other.execute("ROLLBACK")
        other.close()
        assert store.newest(5) == []
        store.submit(new_job(), Capacity(slots=1))


def test_a_job_submitted_again_under_its_key_is_the_one_that_is_there(state: StateDir) -> None:
    """Whoever did not hear that it was stored may submit it again."""
    again = replace(new_job(), submit_key="once")
    with Store.open(state) as store:
        first = store.submit(again, Capacity(slots=1))
        both = store.submit_all([again, replace(again, submit_key="twice")], Capacity(slots=1))
        assert both[0].id == first.id != both[1].id
        assert len(store.newest(10)) == 2 and len(store.events(first.id)) == 1


def test_parts_of_a_job_are_stored_once_each_and_are_no_jobs_of_their_own(state: StateDir) -> None:
    """Whoever makes them may die and begin again."""
    with Store.open(state) as store:
        whole = store.submit(new_job(), Capacity(slots=1))
        parts = [replace(new_job(), parent=whole.id, part=str(number)) for number in (1, 2)]
        made = store.submit_all(parts, Capacity(slots=1))
        assert [job.id for job in store.submit_all(parts, Capacity(slots=1))] == [
            job.id for job in made
        ]
        assert [job.part for job in store.parts(whole.id)] == ["1", "2"]
        assert [job.id for job in store.newest(10)] == [whole.id]


def test_a_job_waits_for_its_time(state: StateDir) -> None:
    """Nobody is offered it before."""
    with Store.open(state) as store:
        store.submit(replace(new_job(), not_before=clock.ago(-3600)), Capacity(slots=1))
        due = store.submit(replace(new_job(), not_before=clock.ago(1)), Capacity(slots=1))
        assert [job.id for job in store.next_in_line()] == [due.id]


def test_a_job_waits_for_those_it_needs(state: StateDir) -> None:
    """Until all have succeeded."""
    with Store.open(state) as store:
        first, second = (store.submit(new_job(), Capacity(slots=9)) for _ in range(2))
        after = store.submit(replace(new_job(), needs=(first.id, second.id)), Capacity(slots=9))
        assert store.needs(after.id) == sorted([first.id, second.id])
        for job in (first, second):
            assert after.id not in [one.id for one in store.next_in_line()]
            store.claim(job.id, identity.mine())
            store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
        assert [job.id for job in store.next_in_line()] == [after.id]


def test_a_job_fails_with_what_it_needs_and_so_do_those_that_need_it(state: StateDir) -> None:
    """It can never start; the message says which and what to do."""
    with Store.open(state) as store:
        first = store.submit(new_job(), Capacity(slots=9))
        after = store.submit(replace(new_job(), needs=(first.id,)), Capacity(slots=9))
        last = store.submit(replace(new_job(), needs=(after.id,)), Capacity(slots=9))
        store.request_cancel(first.id)
        store.fail_doomed()
        ends = [store.job(job.id) for job in (after, last)]
    assert [job.cause for job in ends] == ["prerequisite_failed"] * 2
    assert first.id in (ends[0].message or "") and "CANCELLED" in (ends[0].message or "")


def test_a_job_cannot_need_one_that_is_not_there(state: StateDir) -> None:
    """Nothing is stored then."""
    with Store.open(state) as store:
        with pytest.raises(NoSuchJob):
            store.submit(replace(new_job(), needs=("nothere",)), Capacity(slots=1))
        assert store.newest(10) == []


def test_what_is_left_of_the_parts_ends_with_their_whole(state: StateDir) -> None:
    """Nobody waits for it any more: what has not begun is cancelled, what runs is to end."""
    with Store.open(state) as store:
        whole = store.submit(new_job(), Capacity(slots=1))
        number = store.claim(whole.id, identity.mine()).number
        parts = [
            replace(new_job(), pool="other", parent=whole.id, part=str(number)) for number in (1, 2)
        ]
        running, waiting = store.submit_all(parts, Capacity(slots=1))
        store.claim(running.id, identity.mine())
        store.finish(whole.id, number, Outcome.FAILED, "bug", "x")
        assert store.job(waiting.id).state == "CANCELLED"
        assert store.is_cancel_requested(running.id)
