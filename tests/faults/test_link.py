"""The network between ktjob and its server, cut by `ip link set down` and restored: real network
namespaces, real TCP, the scripted server.

"For ever" is ten minutes in the product (ktclient/request/connection.py); here the same constants
are set to seconds, by environment, in the runner's own process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer
from support import link_lab
from support.link_lab import Link

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors

pytestmark = [pytest.mark.netns, pytest.mark.long]
Until = Callable[..., object]
KILLING = Path(__file__).parents[1] / "support" / "killing"
KTJOB = [sys.executable, "-m", "ktclient"]
SOON = (
    "ktclient.request.connection.KEEPALIVE_IDLE_SECONDS=1,ktclient.request.connection.KEEPALIVE_INTERVAL_SECONDS=1,"
    "ktclient.request.connection.SILENT_PEER_SECONDS=3,ktclient.worker.ghost_prefill.LOOK_SECONDS=0.2"
)
WORDS = [f"word{number}" for number in range(50)]
ANSWER = ("--answer", " ".join(WORDS))


@pytest.fixture
def link() -> Iterator[Link]:
    with link_lab.link() as link:
        yield link


def submit(link: Link, server: FakeServer, tmp_path: Path, **environment: str) -> Job:
    document = tmp_path / "book.txt"
    document.write_text("It was a dark and stormy night. " * 2000)
    environment["PYTHONPATH"] = str(KILLING)
    done = link.run([*KTJOB, "submit", str(document), "--server", server.url], environment)
    assert done.returncode == 0, done.stderr
    return Job(done.stdout.strip())


def kinds_of(state: StateDir, job_id: str) -> list[str]:
    with Store.open(state) as store:
        return [event.kind for event in store.events(job_id)]


def test_a_link_that_comes_back_has_cost_nothing(
    state: StateDir, link: Link, tmp_path: Path
) -> None:
    """Down for one second and then for a minute, in prefill and in decode: one request each, one
    attempt, and the whole text. Some words are written while it is down."""
    with (
        link.fake_sglang(tmp_path, "--answer", "Whole.") as reading,
        link.fake_sglang(tmp_path, *ANSWER, "--token-seconds", "0.05") as writing,
    ):
        reading.hold()
        writing.hold()
        writing.step(12)  # the chunks of its prefill, and some words
        read, written = submit(link, reading, tmp_path), submit(link, writing, tmp_path)
        reading.wait_for_event("prefill_started")
        writing.wait_for_event("first_token")
        for seconds in (1, 60):
            link.cut()
            writing.step(10)
            time.sleep(seconds)  # the fault itself
            assert not reading.events("first_token") and not writing.events("answered")
            link.restore()
        reading.let_go()
        writing.let_go()
        assert read.result() == "Whole."
        assert written.result() == " ".join(WORDS)
        for job, server in ((read, reading), (written, writing)):
            assert len(server.requests()) == 1 and not server.events("disconnect")
            assert job.status().attempt == 1
            assert "queued again" not in kinds_of(state, job.id)


def test_a_link_that_stays_away_ends_the_job_with_its_cause_and_its_text(
    state: StateDir, link: Link, tmp_path: Path, until: Until
) -> None:
    """Noticed by keepalive, waited for, and then told; never asked twice."""
    constants = f"{SOON},ktclient.worker.retry.AWAY_SECONDS=2"
    with link.fake_sglang(tmp_path, *ANSWER) as server:
        server.hold()
        server.step(12)  # the chunks of its prefill, and some words
        job = submit(link, server, tmp_path, KTJOB_CONSTANTS=constants)
        until(lambda: _text(state, job))
        link.cut()
        with pytest.raises(errors.JobFailed) as failed:
            job.result()
        assert len(server.requests()) == 1
    now = job.status()
    assert (now.state, now.cause, now.attempt) == ("FAILED", "host_unreachable", 2)
    assert failed.value.partial_text.startswith("word0")
    with Store.open(state) as store:
        (again,) = (one for one in store.events(job.id) if one.kind == "queued again")
    assert again.data["cause"] == "link_lost"


def test_a_link_that_comes_back_late_costs_a_second_attempt(
    state: StateDir, link: Link, tmp_path: Path, until: Until
) -> None:
    """Given up by both sides; once it is back, the first is aborted by its name before the second
    is sent."""
    options = ("--flavour", "upstream", "--prefill-seconds", "4", *ANSWER)
    with link.fake_sglang(tmp_path, *options) as server:
        server.hold()
        job = submit(link, server, tmp_path, KTJOB_CONSTANTS=SOON)
        server.wait_for_event("prefill_started")
        link.cut()
        server.let_go()
        until(lambda: "not accepted" in kinds_of(state, job.id))
        link.restore()
        assert job.result() == " ".join(WORDS)
        first, second = server.events("request")
        assert first["rid"] != second["rid"]
        (abort, *_) = server.events("abort", rid=first["rid"])
        assert abort["t"] <= second["t"]
    assert job.status().attempt == 2


def test_a_link_that_is_down_at_submit_stores_nothing_and_one_that_goes_down_after_it_is_waited_for(
    state: StateDir, link: Link, tmp_path: Path, until: Until
) -> None:
    """Exit code 6 and no job; then a job that was stored, and whose first connection fails."""
    with link.fake_sglang(tmp_path, *ANSWER) as server:
        document = tmp_path / "book.txt"
        document.write_text("It was a dark and stormy night.")
        command = [*KTJOB, "submit", str(document), "--server", server.url]
        link.cut()
        refused = link.run(command)
        assert (refused.returncode, refused.stdout) == (6, "")
        assert json.loads(link.run([*KTJOB, "status", "--json"]).stdout) == []
        link.restore()
        shot = {
            "PYTHONPATH": str(KILLING),
            "KTJOB_KILL": f"submit|before ensure_runner|{tmp_path / 'fired'}",
        }
        link.run(command, shot)
        link.cut()
        (stored,) = json.loads(link.run([*KTJOB, "status", "--json"]).stdout)
        assert (tmp_path / "fired").exists()
        until(lambda: "not accepted" in kinds_of(state, stored["id"]))
        link.restore()
        assert Job(stored["id"]).result() == " ".join(WORDS)
        assert len(server.requests()) == 1 and Job(stored["id"]).status().attempt == 1


def _text(state: StateDir, job: Job) -> bool:
    with Store.open(state) as store:
        return bool(store.pieces(job.id, 1))
