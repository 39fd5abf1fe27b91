"""What a gateway does besides answering."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.patience import HANG_SECONDS

from jobs.errors import KtjobError, StoreUnusable
from jobs.model import Capacity, NewJob, NewRequest
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.service import upkeep
from ktclient.gateway.service.upkeep import Chores, Upkeep
from ktclient.gateway.watch import Watch
from ktclient.records import access


def submit(state: StateDir) -> str:
    request = NewRequest(owner="", surface="chat", digest="d", fields={}, is_stored=True)
    new = NewJob(pool="p", spec="{}", document=b"d", title="t", weight=1, request=request)
    with HttpStore.open(state) as store:
        return store.submit(new, Capacity()).id


class Looks:
    """Stands in for the look at workers and runner: counts, and fails as told."""

    def __init__(self, *errors: KtjobError) -> None:
        self._errors = list(errors)
        self.done = threading.Semaphore(0)

    def __call__(self, store: HttpStore, state: StateDir) -> None:
        self.done.release()
        if self._errors:
            raise self._errors.pop(0)

    def wait(self, times: int) -> None:
        for _ in range(times):
            assert self.done.acquire(timeout=HANG_SECONDS)


def test_it_sweeps_looks_and_notes_until_it_is_stopped(
    state: StateDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that is away for a moment is one warning, and it is looked at again; a job that was
    deleted over HTTP and has ended goes at the start."""
    gone = submit(state)
    with HttpStore.open(state) as store:
        store.request_cancel(gone)
        store.note_deleted(gone)
    away = StoreUnusable("its disk is full")
    looks = Looks(away, away, away)
    monkeypatch.setattr(access, "recover_and_wake", looks)
    monkeypatch.setattr(upkeep, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr("ktclient.gateway.store_threads.REST_SECONDS", 0.01)
    renewed, noted = threading.Event(), list[int]()
    one = Upkeep(state, Watch(state), Chores(renewed.set, noted.append))
    one.start()
    looks.wait(5)
    one.stop()
    assert renewed.is_set() and noted[0] == 0
    assert caplog.text.count("its disk is full") == 1
    with HttpStore.open(state) as store:
        assert store.heads([gone]) == {}


def test_it_says_once_that_its_program_files_were_replaced(
    state: StateDir,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As `pip install -U` does under a gateway that runs."""
    HttpStore.open(state).close()
    looks = Looks()
    monkeypatch.setattr(access, "recover_and_wake", looks)
    monkeypatch.setattr(upkeep, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(upkeep, "SWEEP_SECONDS", 0.0)
    monkeypatch.setattr("ktclient.gateway.store_threads.REST_SECONDS", 0.01)
    module = tmp_path / "module_of_ktjob.py"
    module.write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("module_of_ktjob")
    one = Upkeep(state, Watch(state), Chores())
    one.start()
    looks.wait(2)
    assert "were replaced" not in caplog.text
    module.write_text("changed = True\n")
    looks.wait(4)
    one.stop()
    assert caplog.text.count("program files were replaced") == 1
