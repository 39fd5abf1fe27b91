"""The count of submit in the hands of the worker: what it predicts, refuses and warns of by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.patience import HANG_SECONDS

from jobs.model import Capacity, NewJob
from jobs.store.store import Store
from ktclient import Job, errors, submit_long
from ktclient.config import settings as config
from ktclient.prompts.tasks import Kind, Task
from ktclient.records import access
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate

TOKENS = 40_000
LETTERS = "x" * TOKENS
"""One token to a letter here, on a server told so: by its characters it looks like 9,090."""
EACH_A_TOKEN = ("--model", "stand-in", "--tokens-per-char", "1")


def put(server: FakeServer, counted: Estimate | None, known: Capacity, text: str = LETTERS) -> Job:
    """A job as some submitter stored it, who knew so much of the server."""
    spec = JobSpec(Task(Kind.PROMPT, "Go."), server.url, None, 1_000, 600.0, counted)
    settings = config.load()
    with Store.open(settings.state) as store:
        new = NewJob(server.url, spec.to_json(), text.encode(), "letters")
        job = store.submit(new, known)
    access.ensure_runner(settings.state)
    return Job(job.id)


def exactly(tokens: int) -> Estimate:
    return Estimate(tokens, tokens, tokens)


def test_progress_is_of_the_counted_size(
    tmp_path: Path, ktjob_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the size by its characters, a quarter of it."""
    support = Path(__file__).parents[1] / "support" / "killing"
    often = (
        "ktclient.servers.watcher.METRICS_SECONDS=0.1,ktclient.worker.reporter.WRITE_SECONDS=0.1"
    )
    monkeypatch.setenv("PYTHONPATH", str(support))
    monkeypatch.setenv("KTJOB_CONSTANTS", often)
    seen = []
    with fake_sglang(tmp_path, *EACH_A_TOKEN, "--metrics") as server:
        submit_long("warm up\n", server=server.url).wait()  # the counter has begun
        server.hold()
        server.step(2)  # some of its prefill, and the rest once that was seen
        job = put(server, exactly(TOKENS + 5), Capacity(slots=1))
        for one in job.watch(HANG_SECONDS):
            seen.append(one)
            if one.phase == "prefill" and one.done is not None:
                server.let_go()
        assert seen[-1].state == "SUCCEEDED", seen[-1].message
    totals = {one.total for one in seen if one.phase == "prefill" and one.done is not None}
    assert totals == {TOKENS + 5}
    assert "warning" not in seen[-1].figures


def test_a_prompt_cut_short_by_a_tenth_is_told_where_it_was_counted(
    tmp_path: Path, ktjob_home: Path
) -> None:
    """By its characters it could not be: they allow for two fifths."""
    with fake_sglang(tmp_path, *EACH_A_TOKEN) as server:
        job = put(server, exactly(TOKENS + TOKENS // 10), Capacity(slots=1))
        warning = job.wait().status().figures.get("warning")
    assert "may have truncated the document" in str(warning)


@pytest.mark.promise
def test_a_pool_that_was_not_known_at_submit_is_asked_for(tmp_path: Path, ktjob_home: Path) -> None:
    """Its scheduler would never admit it, and hold up all behind it: nothing is sent."""
    with fake_sglang(tmp_path, *EACH_A_TOKEN, "--pool", str(TOKENS + 1_100)) as server:
        job = put(server, exactly(TOKENS + 5), Capacity(slots=1))
        with pytest.raises(errors.JobFailed, match="KV pool is 41,100"):
            job.result()
        assert job.status().cause == "does_not_fit"
        assert server.requests() == []


def test_a_remembered_pool_that_is_too_small_is_asked_for_again(
    tmp_path: Path, ktjob_home: Path
) -> None:
    """The server was started anew, with a larger one."""
    with fake_sglang(tmp_path, *EACH_A_TOKEN, "--answer", "Read.") as server:
        job = put(server, exactly(TOKENS + 5), Capacity(tokens=30_000, slots=1))
        assert job.result() == "Read."
