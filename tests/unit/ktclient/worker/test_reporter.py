"""What a reporter writes, and when."""

from __future__ import annotations

from jobs.model import Capacity, NewJob
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from jobs.worker.attempt import RunningAttempt
from ktclient.planning.progress import History, Prefill, Prompt
from ktclient.request.events import Sent, Text
from ktclient.servers.dialects.dialect import ServerFacts
from ktclient.servers.gauges import Gauges
from ktclient.servers.poll_lease import PollLease
from ktclient.servers.watcher import GaugeWatcher
from ktclient.worker.reporter import Reporter


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
