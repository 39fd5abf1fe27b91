"""The embedded server, a real llama.cpp: killed while it loads, and unable to load."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.worker import retry
from server_bundle.embedded import server as embedded

KILLING = Path(__file__).parents[1] / "support" / "killing"


def notes_of(state: StateDir, job: Job, kind: str) -> list[dict[str, object]]:
    with Store.open(state) as store:
        return [event.data for event in store.events(job.id) if event.kind == kind]


class Killer(threading.Thread):
    """Ends the embedded server so many times, each time before it is ready."""

    def __init__(self, state: StateDir, times: int, number: signal.Signals) -> None:
        super().__init__(daemon=True)
        self._folder, self._left, self._number = state.server, times, number
        self.killed: set[int] = set()
        self.is_over = threading.Event()

    def run(self) -> None:
        while self._left and not self.is_over.wait(0.005):
            for pid in self._loading() - self.killed:
                if embedded.status(self._folder) is None:
                    os.kill(pid, self._number)
                    self.killed.add(pid)
                    self._left -= 1

    def _loading(self) -> set[int]:
        """Its process, by its command line: it loads xllamacpp and the model."""
        found = set()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            is_it = words[1:3] == [b"-m", b"server_bundle.embedded.process"]
            if is_it and os.fsencode(self._folder) in words:
                found.add(int(path.parent.name))
        return found


@pytest.mark.promise
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_it_loads_it_is_started_again(
    state: StateDir, cache_env: dict[str, str], number: signal.Signals
) -> None:
    """Nothing was asked of it, so no attempt is used up."""
    killer = Killer(state, 2, number)
    killer.start()
    try:
        job = submit_long("The ferry was late.", server="embedded", max_tokens=4, max_attempts=1)
        assert job.result()
    finally:
        killer.is_over.set()
        killer.join()
    assert len(killer.killed) == 2
    now = job.status()
    assert now.attempt == 1 and now.figures["last_refusal"] is None
    assert notes_of(state, job, "not accepted")


@pytest.mark.promise
def test_one_that_cannot_load_ends_the_job_with_its_cause(
    state: StateDir, cache_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few starts, in its first attempt: the last words of its log are in the message."""
    folder = tmp_path / "broken"
    folder.mkdir()
    starts = tmp_path / "starts"
    (folder / "xllamacpp.py").write_text(
        f"open({str(starts)!r}, 'a').write('x')\n"
        "raise ImportError('libgomp.so.1: cannot open shared object file')\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{KILLING}:{folder}")
    monkeypatch.setenv("KTJOB_CONSTANTS", "ktclient.worker.retry.LONGEST_PAUSE_SECONDS=0.1")
    job = submit_long("The ferry was late.", server="embedded", max_tokens=4)
    with pytest.raises(errors.JobFailed, match=r"libgomp\.so\.1: cannot open"):
        job.result()
    assert (job.status().cause, job.status().attempt) == ("server_did_not_start", 1)
    assert len(starts.read_text()) == retry.MOST_STARTS
