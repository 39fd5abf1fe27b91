"""A job whose work is done by parts: real runners and workers, toy work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import queueing
from support.queueing import WORK, attempt_of, ended, look, running, text_of

from jobs.errors import IllegalTransition
from jobs.model import Capacity, Job, NewJob
from jobs.processes import identity
from jobs.runner import start
from jobs.store.rerun import Retries
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep import garbage
from jobs.worker import conductor

Until = Callable[..., object]
PACE = "jobs.worker.conductor:LOOK_SECONDS=0.1,jobs.worker.conductor:WAKE_SECONDS=0.5"
QUICK = """
import sys
from jobs.runner import loop as runner
runner.REST_SECONDS, runner.TICK_SECONDS = 0.05, 0.1
runner.main(sys.argv[1:])
"""
"""A runner in which a job whose worker was killed does not rest for five seconds."""


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{queueing.SUPPORT}:{queueing.SUPPORT / 'pacing'}")
    monkeypatch.setenv("KTJOB_PACE", PACE)


@pytest.fixture
def quick(state: StateDir, until: Until) -> Iterator[None]:
    """Such a runner; the pace of conductors is that of the others."""
    argv = [sys.executable, "-c", QUICK, str(state.root), WORK]
    script = {**os.environ, "KTJOB_PACE": PACE}
    with state.runner_log.open("w") as log, subprocess.Popen(argv, env=script, stderr=log) as it:
        until(lambda: identity.is_held(state.runner_lock))
        yield
        it.kill()


def conduct(state: StateDir, *parts: dict[str, object], **more: object) -> Job:
    """A job with these parts, of which two may run at once."""
    spec = json.dumps({"parts": parts, **more})
    new = NewJob("conducting", spec, b"all", "title", max_attempts=conductor.ATTEMPTS, priority=7)
    with Store.open(state) as store:
        store.submit(NewJob("pool", "{}", b"earlier", "tells the pool"), Capacity(slots=2))
        whole = store.submit(new, Capacity(slots=9))
    start.ensure_runner(state, WORK)
    return whole


def parts_of(state: StateDir, whole: Job) -> list[Job]:
    with Store.open(state) as store:
        return store.parts(whole.id)


def states_of(state: StateDir, whole: Job) -> list[str]:
    return [part.state for part in parts_of(state, whole)]


def test_parts_run_as_their_pool_allows_and_their_whole_has_their_words(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """Two at a time; the progress counts them; they have the priority of their whole."""
    go = tmp_path / "go"
    parts = [{"say": f"{number} ", "until": str(go)} for number in range(3)]
    whole = conduct(state, *parts)
    until(lambda: states_of(state, whole) == ["RUNNING", "RUNNING", "QUEUED"])
    until(lambda: attempt_of(state, whole).total == 3)
    assert (attempt_of(state, whole).done, attempt_of(state, whole).unit) == (0, "parts")
    go.touch()
    until(ended(state, whole))
    assert look(state, whole).state == "SUCCEEDED" and text_of(state, whole) == "0 1 2 "
    assert [part.priority for part in parts_of(state, whole)] == [7, 7, 7]


@pytest.mark.promise
def test_a_conductor_that_is_killed_again_and_again_costs_nothing(
    state: StateDir, until: Until, tmp_path: Path, quick: None
) -> None:
    """Each part is done once."""
    go, acks = tmp_path / "go", tmp_path / "acks"
    acks.touch()
    parts = [{"say": f"{n} ", "acks": str(acks), "until": str(go)} for n in range(3)]
    whole = conduct(state, *parts)
    for number in range(1, 5):
        until(lambda: look(state, whole).attempt == number)  # noqa: B023
        until(lambda: states_of(state, whole)[:2] == ["RUNNING", "RUNNING"])
        os.kill(attempt_of(state, whole).worker.pid, signal.SIGKILL)
        until(lambda: look(state, whole).attempt > number)  # noqa: B023
    go.touch()
    until(ended(state, whole))
    assert (look(state, whole).state, text_of(state, whole)) == ("SUCCEEDED", "0 1 2 ")
    begun = [line.split()[0] for line in acks.read_text().splitlines()]
    assert sorted(begun) == sorted(part.id for part in parts_of(state, whole))


@pytest.mark.promise
def test_a_conductor_without_a_runner_starts_one(
    state: StateDir, until: Until, tmp_path: Path, kill_runner: Callable[[], int]
) -> None:
    """Its parts would wait for ever: one of them dies with the runner."""
    go = tmp_path / "go"
    whole = conduct(state, {"say": "only", "until": str(go)})
    until(lambda: states_of(state, whole) == ["RUNNING"])
    kill_runner()
    os.kill(attempt_of(state, parts_of(state, whole)[0]).worker.pid, signal.SIGKILL)
    go.touch()
    until(lambda: look(state, whole).state == "SUCCEEDED")
    assert parts_of(state, whole)[0].attempt == 2


def test_a_part_that_fails_fails_its_whole_and_a_retry_asks_only_what_is_missing(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """The message names it, its cause, and the cure; what did not run is not begun in vain."""
    go, broken, acks = tmp_path / "go", tmp_path / "broken", tmp_path / "acks"
    good = {"say": "good ", "acks": str(acks)}
    late = {"say": "late ", "until": str(go), "acks": str(acks)}
    bad = {"fail": "the toy broke", "until": str(broken), "acks": str(acks)}
    whole = conduct(state, good, late, bad, good)
    # It breaks when the one before it has begun: a part that has not is given up.
    until(lambda: states_of(state, whole)[:3] == ["SUCCEEDED", "RUNNING", "RUNNING"])
    broken.touch()
    until(lambda: "FAILED" in states_of(state, whole))
    until(lambda: states_of(state, whole)[3] != "QUEUED")
    go.touch()
    until(ended(state, whole))
    end, parts = look(state, whole), parts_of(state, whole)
    assert (end.state, end.cause) == ("FAILED", "part_failed")
    for words in ("part 3", parts[2].id, "the toy broke", f"ktjob retry {whole.id}"):
        assert words in (end.message or "")
    assert [part.state for part in parts[:3]] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
    with Retries.open(state) as store:
        again, is_new = store.retry(whole.id)
        assert is_new and store.retry(whole.id) == (again, False)
    start.ensure_runner(state, WORK)
    until(ended(state, again))
    begun = [line.split()[0] for line in acks.read_text().splitlines()]
    assert all(begun.count(part.id) == 1 for part in parts[:2]), "asked again"
    assert look(state, again).cause == "part_failed", "the toy is still broken"
    assert {parts[0].id, parts[1].id} < {part.id for part in parts_of(state, again)}


def test_a_tolerant_one_waits_for_all(state: StateDir, until: Until) -> None:
    """A failed part is one of its results."""
    whole = conduct(state, {"fail": "x"}, {"say": "a"}, {"say": "b"}, tolerant=True)
    until(ended(state, whole))
    assert text_of(state, whole) == "FAILED SUCCEEDED SUCCEEDED"


def test_a_cancel_reaches_all_parts_and_keeps_what_they_said(
    state: StateDir, until: Until, tmp_path: Path
) -> None:
    """The whole ends when all of them have."""
    never = str(tmp_path / "never")
    whole = conduct(state, {"say": "done"}, *({"until": never} for _ in range(3)))
    until(lambda: states_of(state, whole) == ["SUCCEEDED", "RUNNING", "RUNNING", "QUEUED"])
    with Store.open(state) as store:
        store.request_cancel(whole.id)
    until(ended(state, whole))
    assert look(state, whole).state == "CANCELLED"
    assert states_of(state, whole) == ["SUCCEEDED", "CANCELLED", "CANCELLED", "CANCELLED"]
    assert text_of(state, parts_of(state, whole)[0]) == "done"


@pytest.mark.promise
def test_a_cancel_reaches_the_parts_of_a_dead_conductor(state: StateDir) -> None:
    """Also while nobody runs at all; and no part is added afterwards."""
    with Store.open(state) as store:
        whole = store.submit(NewJob("conducting", "{}", b"all", "title"), Capacity(slots=1))
        part = NewJob("pool", "{}", b"x", "part", parent=whole.id, part="1")
        first = store.submit(part, Capacity(slots=1))
        store.request_cancel(whole.id)
        assert store.job(first.id).state == "CANCELLED"
        with pytest.raises(IllegalTransition, match="cannot add parts"):
            store.submit(NewJob("pool", "{}", b"x", "part", parent=whole.id, part="2"), Capacity())


@pytest.mark.promise
def test_text_is_passed_on_while_it_is_written_and_anew_when_it_begins_anew(
    state: StateDir, until: Until, tmp_path: Path, quick: None
) -> None:
    """A part's second attempt is its whole's second attempt too: nothing is said twice in one."""
    go = tmp_path / "go"
    whole = conduct(state, {"say": "begun ", "until": str(go), "then": "done"}, pass_on=True)
    until(lambda: running(state, whole)() and text_of(state, whole) == "begun ")
    os.kill(attempt_of(state, parts_of(state, whole)[0]).worker.pid, signal.SIGKILL)
    until(lambda: attempt_of(state, whole).number == 2)
    go.touch()
    until(ended(state, whole))
    assert text_of(state, whole) == "begun done" and look(state, whole).state == "SUCCEEDED"


def test_a_family_is_kept_and_removed_as_one(state: StateDir, until: Until) -> None:
    """Neither a part alone nor a whole of which a part has not ended."""
    whole = conduct(state, {"say": "a"}, {"say": "b"})
    until(ended(state, whole))
    parts = parts_of(state, whole)
    with pytest.raises(IllegalTransition, match=f"rm {whole.id}"):
        garbage.delete_job(state, parts[0].id)
    with garbage.Upkeep.open(state) as store:
        assert set(store.to_fit(0)) >= {whole.id}
        assert not {part.id for part in parts} & set(store.to_fit(0))
        assert not {part.id for part in parts} & set(store.finished_before(-1))
    garbage.delete_job(state, whole.id)
    with Store.open(state) as store:
        assert not any(store.exists(one.id) for one in [whole, *parts])
    assert not any(state.job_log(one.id).exists() for one in [whole, *parts])
