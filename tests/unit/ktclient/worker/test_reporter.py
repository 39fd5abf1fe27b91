"""What a reporter writes, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker.attempt import RunningAttempt
from ktclient.planning.progress import History, Prefill, Prompt
from ktclient.request.events import Prefilled, Quiet, Sent, Text
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.gauges import Gauges
from ktclient.servers.poll_lease import PollLease
from ktclient.servers.watcher import GaugeWatcher
from ktclient.worker import reporter as reporter_module
from ktclient.worker.reporter import STALL_SECONDS, Reporter


@pytest.fixture
def reporter(state: StateDir) -> Iterator[Reporter]:
    """Of a request with a prompt of 4,096 tokens."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
        running = RunningAttempt(store, state, job, store.claim(job.id, identity.mine()), [])
        gauges = Gauges(ServerFacts("http://127.0.0.1:9", "openai", "m", None), None)
        watcher = GaugeWatcher(gauges, PollLease(state, "http://127.0.0.1:9"))
        yield Reporter(running, 0, Prefill(Prompt(4096, 4096), History()), watcher)


def test_it_gets_on_while_it_reads_or_writes(
    reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes are counted from the last token that was read or written: silence and other
    events do not count."""
    now = [time.monotonic()]
    monkeypatch.setattr(reporter_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def later(seconds: float) -> bool:
        now[0] += seconds
        reporter.report(Quiet())
        return reporter.is_progressing()

    reporter.report(Sent())
    for event in (Prefilled(1024, 4096), Prefilled(2048, 4096), Text("Well"), Text(" then")):
        reporter.report(event)
        assert later(STALL_SECONDS - 10), event
    assert not later(20)
    reporter.report(Text("."))
    assert later(0)


def test_the_first_words_are_written_at_once(state: StateDir) -> None:
    """Of thoughts and of the answer: whoever streams the job waits for both. Further words are
    written together."""
    with Store.open(state) as store:
        job = store.submit(NewJob("pool", "{}", b"text", "title"), Capacity(slots=1))
        running = RunningAttempt(store, state, job, store.claim(job.id, identity.mine()), [])
        gauges = Gauges(ServerFacts("http://127.0.0.1:9", "openai", "m", None), None)
        watcher = GaugeWatcher(gauges, PollLease(state, "http://127.0.0.1:9"))
        reporter = Reporter(running, 0, Prefill(Prompt(1, 1), History()), watcher)
        reporter.report(Sent())
        for text, channel, written in (
            ("Well", "reasoning", "Well"),
            (", let me", "reasoning", "Well"),
            ("Yes", "answer", "Well, let meYes"),
            (", sir.", "answer", "Well, let meYes"),
        ):
            reporter.report(Text(text, channel))
            assert "".join(piece.text for piece in store.pieces(job.id, 1)) == written
