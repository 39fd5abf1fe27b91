"""A full disk, on a real small one, at each write: at submit, claim, output and finish."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import processes, queueing, small_disk
from support.small_disk import SmallDisk

from jobs.errors import StoreUnusable
from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.runner import start
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.upkeep.garbage import Upkeep

pytestmark = pytest.mark.mount
Until = Callable[..., object]
STEPS_KIB = [*range(0, 132, 4)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk.mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def home(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateDir]:
    """A state directory on the small disk, whose processes end before it does."""
    state = StateDir(disk.path / "state").create()
    monkeypatch.setenv("KTJOB_HOME", str(state.root))
    monkeypatch.setenv("PYTHONPATH", str(queueing.SUPPORT))
    yield state
    processes.end_all(state)


def empty_log(state: StateDir) -> None:
    """So that the next write needs room on the disk."""
    with Upkeep.open(state) as upkeep:
        upkeep.checkpoint()


def test_submit_stores_nothing_or_a_job_that_stays(disk: SmallDisk, home: StateDir) -> None:
    """Whatever room is left: refused with the cure and nothing stored, or there for good."""
    kept, refused = [], 0
    with Store.open(home):
        pass
    for step in STEPS_KIB:
        empty_log(home)
        disk.fill(step)
        document = bytes(f"document {step} " * 2000, "ascii")
        try:
            with Store.open(home) as store:
                kept.append(
                    store.submit(NewJob("pool", "{}", document, "title"), Capacity(slots=1)).id
                )
        except StoreUnusable as error:
            refused += 1
            assert "disk is full" in str(error) and "ktjob gc" in str(error)
        disk.free()
        with Upkeep.open(home) as upkeep:
            assert {job.id for job in upkeep.newest(100)} == set(kept)
            assert upkeep.problems() == []
    assert kept and refused, "the range of room left does not meet the edge"
    assert queueing.sql(home, "SELECT count(*) FROM documents") == [(len(kept),)]


def test_the_command_says_so_and_stores_nothing(
    disk: SmallDisk, home: StateDir, ktjob_command: list[str], tmp_path: Path
) -> None:
    """Or prints an id that is there afterwards, even when no runner could start."""
    document = tmp_path / "document.txt"
    document.write_text("word " * 2_000)
    seen = set()
    command = [*ktjob_command, "submit", str(document), "--server", "embedded"]
    with Store.open(home):
        pass
    for step in (0, 40, 92, 116):
        empty_log(home)
        disk.fill(step)
        said = subprocess.run(command, capture_output=True, text=True)
        disk.free()
        processes.end_all(home)
        assert "Traceback" not in said.stderr
        with Store.open(home) as store:
            stored = [job.id for job in store.newest(100)]
        assert said.stdout.split() == [one for one in stored if one not in seen]
        assert said.returncode == (0 if said.stdout else 1), said.stderr
        assert said.stdout or "disk is full" in said.stderr
        seen |= set(stored)


@pytest.mark.parametrize("step", [0, 32])
def test_a_claim_on_a_full_disk_is_tried_again(
    disk: SmallDisk, home: StateDir, until: Until, step: int
) -> None:
    """The job stays queued, and runs when there is room; the runner says what is wrong."""
    warm_up(home, until)
    seen = home.runner_log.stat().st_size  # now: the runner may look while the disk is being filled
    job = queueing.put(home, say="all of it")
    empty_log(home)
    disk.fill(step)
    start.ensure_runner(home, queueing.WORK)
    until(lambda: home.runner_log.stat().st_size > seen)
    disk.free()
    until(queueing.ended(home, job))
    assert queueing.look(home, job).state == "SUCCEEDED"
    assert queueing.look(home, job).attempt == 1
    assert queueing.text_of(home, job) == "all of it"


def warm_up(state: StateDir, until: Until) -> None:
    """One job, so that the runner lives and its log has a page of its own to write in."""
    until(queueing.ended(state, queueing.submit(state, say="first")))


@pytest.mark.parametrize("step", [0, 12])
def test_running_work_outlives_a_full_disk(
    disk: SmallDisk, home: StateDir, until: Until, tmp_path: Path, step: int
) -> None:
    """Its text waits in memory, nothing is promised that is not written, and nothing is lost: not
    what it said before, not what it said meanwhile, not how it ended."""
    gate, acks = tmp_path / "gate", tmp_path / "acks"
    acks.touch()
    said = "x" * 20_000
    job = queueing.submit(
        home, say="before ", until=str(gate), then=said, acknowledge=3, acks=str(acks)
    )
    until(lambda: queueing.text_of(home, job) == "before ")
    worker = queueing.attempt_of(home, job).worker
    with home.job_log(job.id).open("a") as log:
        log.write("-\n")  # a page of its own, to tell of the trouble in
    empty_log(home)
    disk.fill(step)
    gate.touch()
    until(lambda: "output in memory" in home.job_log(job.id).read_text())
    assert identity.is_same_process_alive(worker)
    assert acks.read_text().split()[2:] == ["begin"], "promised what could not be written"
    disk.free()
    until(queueing.ended(home, job))
    end = queueing.look(home, job)
    assert (end.state, end.attempt) == ("SUCCEEDED", 1)
    assert queueing.text_of(home, job) == f"before {said}0 1 2 "
    with Upkeep.open(home) as upkeep:
        kinds = [event.kind for event in upkeep.events(job.id)]
        assert upkeep.problems() == []
    assert kinds.count("finished") == 1 and "store unusable" in kinds


def test_the_end_of_a_job_waits_for_room(
    disk: SmallDisk, home: StateDir, until: Until, tmp_path: Path
) -> None:
    """Finish is written as soon as it can be; until then the job is rightly called running."""
    gate = tmp_path / "gate"
    job = queueing.submit(home, say="all", until=str(gate))
    until(lambda: queueing.text_of(home, job) == "all")
    with home.job_log(job.id).open("a") as log:
        log.write("-\n")
    empty_log(home)
    disk.fill(0)
    gate.touch()
    until(lambda: "retrying" in home.job_log(job.id).read_text())
    disk.free()
    until(queueing.ended(home, job))
    assert queueing.look(home, job).state == "SUCCEEDED"


FORKS = """
import os, sys
from jobs.processes import detach
def child():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
    print("what it cannot log", file=sys.stderr)
try:
    pid = detach.fork_child(child)
except OSError:
    pid = 0
print("went on", flush=True)
if pid:
    os.waitpid(pid, 0)
"""


def test_no_child_goes_on_as_a_second_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that cannot even write its log ends: it does not fall back into the runner's loop
    whose memory it is a copy of."""
    monkeypatch.delenv("PYTHONUNBUFFERED")  # as in life: what cannot be written is flushed again
    said = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True)
    assert said.stdout.splitlines() == ["went on"]
