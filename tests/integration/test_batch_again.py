"""One results file, many files of requests: what was ever answered for it is not asked again."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import batches, standing_still
from support.batches import asked, read, request, said
from support.commands import Run

from jobs.model import Job as Row
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker import overdue
from ktclient import Job, errors, submit_batch

Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"
FOUR = "abcd"


class Bench:
    """A server, and a results file with the file of requests that is written to it now."""

    def __init__(self, folder: Path, server: FakeServer, state: StateDir) -> None:
        self.folder, self.server, self.state = folder, server, state
        self.file, self.results = folder / "r.jsonl", folder / "results.jsonl"

    def start(self, names: str, *, texts: str = "", retry_failed: bool = False) -> Job:
        """Submit a line for each name. `texts`: the names whose line has another text now."""
        lines = [request(name, f"{name}{'!' if name in texts else '?'}") for name in names]
        batches.write(self.file, lines)
        return submit_batch(
            self.file, output=self.results, server=self.server.url, retry_failed=retry_failed
        )

    def run(self, names: str, *, texts: str = "", retry_failed: bool = False) -> Job:
        """The same, to its end: its results are exactly these lines, in their order."""
        job = self.start(names, texts=texts, retry_failed=retry_failed).wait()
        assert [line["custom_id"] for line in read(self.results)] == list(names)
        return job

    def asked(self) -> dict[str, int]:
        """How often the server was asked what."""
        return dict(Counter(asked(self.server)))

    def rows(self, job: Job) -> list[Row]:
        """The parts that are with this job now."""
        with Store.open(self.state) as store:
            return store.parts(job.id)


@pytest.fixture
def bench(tmp_path: Path, state: StateDir) -> Iterator[Bench]:
    with fake_sglang(tmp_path, *batches.WINDOWED) as server:
        yield Bench(tmp_path, server, state)


@contextlib.contextmanager
def faulty(tmp_path: Path, state: StateDir, *options: str) -> Iterator[Bench]:
    with fake_sglang(tmp_path, *batches.WINDOWED, "--max-running", "1", *options) as server:
        yield Bench(tmp_path, server, state)


ONCE = dict.fromkeys(("a?", "b?", "c?", "d?"), 1)


@pytest.mark.promise
def test_a_batch_that_goes_back_to_an_earlier_file_asks_nothing_again(bench: Bench) -> None:
    """Four lines, two of them, the four; then other selections of them, in any order."""
    first = bench.run(FOUR)
    whole = read(bench.results)
    second, third = bench.run("ab"), bench.run(FOUR)
    assert len({first.id, second.id, third.id}) == 3 and read(bench.results) == whole
    for names in ("d", "ca", "bd", "abc", "dcba"):
        assert all(said(line) for line in read(bench.results))
        assert bench.run(names).status().state == "SUCCEEDED"
    assert bench.asked() == ONCE
    assert first.result().splitlines() == third.result().splitlines(), "each keeps its own results"


def test_a_line_that_is_changed_back_has_its_old_answer(bench: Bench) -> None:
    bench.run(FOUR)
    bench.run("abc", texts="ab")
    bench.run("bd", texts="b")
    bench.run(FOUR)
    bench.run(FOUR, texts="ab")
    assert bench.asked() == {**ONCE, "a!": 1, "b!": 1}


def test_a_line_twice_in_one_file_is_refused(bench: Bench) -> None:
    """Its answer could not be told apart: nothing is stored, nothing asked."""
    with pytest.raises(errors.DocumentUnusable, match=r"line 2: .*line 1"):
        bench.start("aa")
    assert bench.asked() == {}


def test_results_that_were_moved_or_deleted_are_written_again(bench: Bench) -> None:
    """What was answered is in the store, not in the file."""
    bench.run(FOUR)
    kept = bench.results.rename(bench.folder / "kept")
    bench.run("ab")
    bench.results.unlink()
    bench.run(FOUR)
    assert read(bench.results) == read(kept) and bench.asked() == ONCE


@pytest.mark.promise
def test_a_failed_line_is_asked_again_on_purpose_only(tmp_path: Path, state: StateDir) -> None:
    """Also when a file without it came between; an answer counts whenever it was given."""
    with faulty(tmp_path, state, "--fault", "none,http_400_flat,none,none") as bench:
        assert bench.run(FOUR).status().state == "FAILED"
        (failed,) = (row.part for row in bench.rows(Job(_newest(state))) if row.cause)
        rest = "".join(name for name in FOUR if name != failed)
        bench.run(rest)
        again = bench.run(FOUR)
        assert again.status().cause == "part_failed" and bench.asked() == ONCE
        assert bench.run(FOUR, retry_failed=True).status().state == "SUCCEEDED"
        once_more = {**ONCE, f"{failed}?": 2}
        assert bench.asked() == once_more
        bench.run(rest)
        assert bench.run(FOUR, retry_failed=True).status().state == "SUCCEEDED"
        assert bench.asked() == once_more


def _newest(state: StateDir) -> str:
    with Store.open(state) as store:
        return store.newest(1)[0].id


@pytest.mark.promise
def test_a_retry_of_an_earlier_batch_runs_that_one(
    tmp_path: Path, state: StateDir, run: Run
) -> None:
    """Not the batch that came after it, and it asks only what nobody has answered."""
    with faulty(tmp_path, state, "--fault", "none,http_400_flat,none,none") as bench:
        first = bench.run(FOUR)
        (failed,) = (row.part for row in bench.rows(first) if row.cause)
        rest = "".join(name for name in FOUR if name != failed)
        second = bench.run(rest)
        told = run("retry", first.id)
        assert told.returncode == 0, told.stderr
        assert "3 finished parts are reused" in told.stderr
        third = Job(told.stdout.strip())
        assert third.id not in (first.id, second.id)
        assert third.wait().status().state == "SUCCEEDED"
        assert [line["custom_id"] for line in read(bench.results)] == list(FOUR)
        again = run("retry", first.id)
        assert again.stdout == told.stdout
        assert f"already retried as job {third.id}, which is SUCCEEDED" in again.stderr
        assert bench.asked() == {**ONCE, f"{failed}?": 2}


@pytest.mark.promise
def test_a_batch_that_is_deleted_gives_back_what_it_took_over(bench: Bench, run: Run) -> None:
    """And what the deleted one asked itself is deleted with it."""
    first = bench.run("abc")
    second = bench.run("abd")
    assert [row.part for row in bench.rows(first)] == ["c"]
    assert run("rm", second.id).returncode == 0
    assert [row.part for row in bench.rows(first)] == ["a", "b", "c"]
    bench.run("cab")
    assert bench.asked() == {"a?": 1, "b?": 1, "c?": 1, "d?": 1}
    bench.run("d")
    assert bench.asked()["d?"] == 2


def test_an_old_batch_is_deleted_without_the_answers_of_later_ones(bench: Bench, run: Run) -> None:
    """Nor does the middle of a chain take along what is on its sides."""
    first, second = bench.run("ab"), bench.run("bc")
    third = bench.run("cd")
    assert run("rm", second.id).returncode == 0
    jobs = [bench.run(names) for names in ("ab", "cd", "abcd")]
    assert run("rm", first.id, third.id).returncode == 0
    bench.run("dcba")
    assert run("rm", *(job.id for job in jobs)).returncode == 0
    bench.run("ba")
    assert bench.asked() == {"a?": 1, "b?": 1, "c?": 1, "d?": 1}


@pytest.mark.promise
def test_while_a_line_is_still_being_stopped_it_is_not_asked_beside_itself(
    tmp_path: Path, state: StateDir, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled batch whose worker was killed has ended; the worker of its line has not."""
    monkeypatch.setenv("PYTHONPATH", str(KILLING))
    monkeypatch.setenv("KTJOB_CONSTANTS", "jobs.worker.overdue.NOTICE_SECONDS=3600")
    monkeypatch.setattr(overdue, "NOTICE_SECONDS", 3600.0)
    with faulty(tmp_path, state, "--prefill-seconds", "600", "--flavour", "upstream") as bench:
        first = bench.start("ab")
        bench.server.wait_for_event("prefill_started")
        part = _stopped(bench, first, until)
        for attempt in (lambda: bench.start("ba"), lambda: _retry(state, first.id)):
            with pytest.raises(errors.IllegalTransition, match=rf"ktjob wait {part.id}"):
                attempt()
        os.kill(_worker(state, part.id), signal.SIGCONT)
        until(lambda: _row(state, part.id).finished_at)
        assert len(bench.asked()) == 1
        second = bench.start("ba")
        until(lambda: len(asked(bench.server)) == 2)
        second.cancel()
        second.wait()


def _stopped(bench: Bench, job: Job, until: Until) -> Row:
    """Stop the worker of the running line, kill its conductor's, and cancel: the batch ends."""
    state = bench.state
    (part,) = (row for row in bench.rows(job) if row.state == "RUNNING")
    worker = identity.of(_worker(state, part.id))
    assert worker is not None
    standing_still.stop(state, worker)
    with contextlib.closing(sqlite3.connect(state.database)) as database, database:
        database.execute("UPDATE jobs SET max_attempts = 1 WHERE id = ?", (job.id,))
    job.cancel()
    os.kill(_worker(state, job.id), signal.SIGKILL)
    until(lambda: job.status().state == "CANCELLED")
    return part


def _retry(state: StateDir, job_id: str) -> None:
    from jobs.store.resume import Successions
    from ktclient.batch import retry

    with Successions.open(state) as store:
        retry.retry(store, store.job(job_id))


def _row(state: StateDir, job_id: str) -> Row:
    with Store.open(state) as store:
        return store.job(job_id)


def _worker(state: StateDir, job_id: str) -> int:
    with Store.open(state) as store:
        attempt = store.attempt(store.job(job_id))
    assert attempt is not None
    return attempt.worker.pid
