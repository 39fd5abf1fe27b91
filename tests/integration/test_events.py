"""`ktjob events`: every event of the store, as JSON lines, while it happens."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import fake_sglang
from support.patience import HANG_SECONDS

from jobs.model import Capacity, NewJob
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import submit_long
from ktclient.cli.jobs import events as jobs_events

Follow = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def events(ktjob_command: list[str], ktjob_home: Path) -> Iterator[Follow]:
    """Start `ktjob events`; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def events(*args: str) -> subprocess.Popen[str]:
        command = [*ktjob_command, "events", *args]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield events
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def next_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of it, as what it says."""
    assert process.stdout is not None
    patience = threading.Timer(HANG_SECONDS, process.kill)
    patience.start()
    line = process.stdout.readline()
    patience.cancel()
    assert line, process.communicate()
    found: dict[str, Any] = json.loads(line)
    return found


def submitted(state: StateDir) -> str:
    """A job that no runner takes."""
    with Store.open(state) as store:
        new = NewJob("pool", "{}", b"text", "title")
        job = store.submit(new, Capacity(slots=1))
        store.request_cancel(job.id)
    return job.id


def test_of_one_job_until_its_end(events: Follow, tmp_path: Path, ktjob_home: Path) -> None:
    """All that the store has of it, in order, none twice, and then it returns by itself; without
    --follow the same."""
    with fake_sglang(tmp_path, "--prefill-seconds", "2", "--answer", "Here.") as server:
        submit_long("other\n", server=server.url)
        job = submit_long("text\n", server=server.url)
        process = events(job.id[:6], "--follow")
        first = next_of(process)
        assert (first["kind"], first["job_id"], first["attempt"]) == ("submitted", job.id, 0)
        assert process.stdout is not None and process.stderr is not None
        out = process.stdout.read()  # communicate() passes over what readline() has buffered
        said = process.stderr.read()
        process.wait()
    assert (process.returncode, said) == (0, "")
    told = [first, *map(json.loads, out.splitlines())]
    assert set(first) == {"schema", "seq", "job_id", "attempt", "at", "kind", "data"}
    assert told[-1]["kind"] == "finished" and told[-1]["data"] == {"outcome": "SUCCEEDED"}
    with Store.open(StateDir(ktjob_home)) as store:
        stored = store.events(job.id)
    assert [one["seq"] for one in told] == [event.seq for event in stored]
    assert [one["data"] for one in told] == [event.data for event in stored]
    again = events(job.id)
    assert list(map(json.loads, again.communicate()[0].splitlines())) == told


def test_a_store_that_appears_later_and_one_that_takes_its_place(
    events: Follow, ktjob_home: Path
) -> None:
    """Nothing is made by looking; Ctrl-C ends it with 130."""
    process = events("--follow")
    once = events()
    assert once.communicate() == ("", "") and once.returncode == 0
    assert not ktjob_home.exists()
    first = submitted(StateDir(ktjob_home))
    kinds = [next_of(process), next_of(process)]
    assert [(one["job_id"], one["kind"]) for one in kinds] == [
        (first, "submitted"),
        (first, "finished"),
    ]
    # In one step: the process may open the database again while its files are removed one by one.
    shutil.rmtree(ktjob_home.rename(ktjob_home.with_name("gone")))
    second = submitted(StateDir(ktjob_home))
    assert [next_of(process)["job_id"] for _ in range(2)] == [second, second]
    process.send_signal(signal.SIGINT)
    out, said = process.communicate()
    assert (out, said.strip(), process.returncode) == ("", "", 130)


def test_no_more_than_a_batch_is_in_memory(
    state: StateDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many there are, each comes once."""
    ids = [submitted(state) for _ in range(4)]
    monkeypatch.setattr(jobs_events, "_BATCH", 3)
    with Store.open(state) as store:
        assert len(store.events_after(0, 3)) == 3
        printed = jobs_events._Printed(state, None)
        printed.rest(store)
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["seq"] for one in told] == list(range(1, 9))
        assert [one["job_id"] for one in told] == [job_id for job_id in ids for _ in range(2)]
        printed.rest(store)
        assert capsys.readouterr().out == ""
        jobs_events._Printed(state, ids[1]).rest(store)
        assert [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()] == [3, 4]


def test_an_unknown_job_is_3(events: Follow) -> None:
    """As everywhere."""
    process = events("zzz", "-f")
    assert "no job 'zzz'" in process.communicate()[1] and process.returncode == 3
