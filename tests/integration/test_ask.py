"""`ktjob ask`: another question about a stored document, without the file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.commands import Run

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import errors, submit_long
from ktclient.api.job import Job
from ktclient.config import settings as config
from ktclient.submission import followup
from ktclient.submission.spec import JobSpec
from ktclient.tokens.estimate import Estimate


def test_another_question_needs_no_file(run: Run, tmp_path: Path) -> None:
    """Same document, server and limits unless given; by command and from Python."""
    book = tmp_path / "book.txt"
    book.write_text("It was a dark and stormy night. " * 50)
    with fake_sglang(tmp_path, "--answer", "A storm.") as server:
        options = ("--max-tokens", "77", "--priority", "3")
        submitted = run("submit", str(book), "--server", server.url, *options)
        first = submitted.stdout.strip()
        assert submitted.returncode == 0, submitted.stderr
        assert run("wait", first).returncode == 0
        book.unlink()
        asked = run("ask", first, "What weather?", "--timeout", "99", "--wait", "--json")
        assert asked.returncode == 0, asked.stderr
        second = json.loads(asked.stdout)
        third = Job(first).ask("And who?").wait()
        assert second["text"] == third.result() == "A storm."
        assert (second["max_tokens"], second["timeout"], second["task"]) == (77, 99, "ask")
        assert len(server.requests()) == 3
    with Store.open(StateDir(Path(os.environ["KTJOB_HOME"]))) as store:
        jobs = [store.job(one) for one in (first, second["id"], third.id)]
        assert len({job.document for job in jobs}) == 1
        assert [job.priority for job in jobs] == [3, 3, 3]
        assert "What weather?" in jobs[1].spec


STORY = "It was a dark and stormy night; the rain fell in torrents.\n" * 3_000


def test_the_new_question_is_counted_with_the_document(tmp_path: Path, ktjob_home: Path) -> None:
    """Exactly, as at submit; the weight is of the new question, not of the old one."""
    question, settings = "Which of these words is the longest? " * 200, config.load()
    with fake_sglang(tmp_path) as server:
        first = submit_long(STORY, ask=question, server=server.url).id
        asked = followup.ask(first, "Who?", settings, followup.Changes(100))
        second, before = asked.id, asked.forecast
        again = followup.ask(second, question, settings).id
    with Store.open(settings.state) as store:
        jobs = [store.job(one) for one in (first, second, again)]
    exact = before.count.tokens
    assert before.count.exact and jobs[1].weight == exact + 100
    assert jobs[2].weight == jobs[0].weight - 1024 + 100 > jobs[1].weight + 1_000
    counts = [JobSpec.from_json(job.spec).counted for job in jobs]
    assert counts[1] == Estimate(exact, exact, exact) and counts[0] == counts[2]


@pytest.mark.promise
def test_what_does_not_fit_is_refused_as_at_submit(tmp_path: Path, ktjob_home: Path) -> None:
    """With the arithmetic, and nothing stored."""
    settings = config.load()
    with fake_sglang(tmp_path, "--pool", "50000") as server:
        first = submit_long(STORY, server=server.url)
        first.wait()
        with pytest.raises(errors.DoesNotFit, match="KV pool is 50,000"):
            followup.ask(first.id, "Who?", settings, followup.Changes(2_500))
    with Store.open(settings.state) as store:
        assert [job.id for job in store.newest(10)] == [first.id]


def test_a_busy_server_is_not_waited_for(tmp_path: Path, ktjob_home: Path) -> None:
    """It is in a chunk of ten minutes: the question is stored all the same, by what is known."""
    with fake_sglang(tmp_path, "--prefill-seconds", "600", "--chunk", "1000000") as server:
        first = submit_long(STORY, server=server.url)
        server.wait_for_event("prefill_started")
        second = first.ask("Who?")
        assert second.status().state in ("QUEUED", "RUNNING")  # the pool has room for both
        assert not server.events("prefill_ended")
        second.cancel()
        first.cancel()
        assert first.wait().status().state == "CANCELLED"


def test_what_cannot_be_asked_is_refused(run: Run, tmp_path: Path) -> None:
    """An unknown job, and no question; nothing is stored."""
    book = tmp_path / "book.txt"
    book.write_text("It was a dark and stormy night.")
    with fake_sglang(tmp_path) as server:
        first = run("submit", str(book), "--server", server.url).stdout.strip()
        unknown = run("ask", "nosuchjob", "Why?")
        assert unknown.returncode == 3 and "no job" in unknown.stderr
        for wrong in (("ask", first, " "), ("ask", "@last", "Why?", "--max-tokens", "0")):
            refused = run(*wrong)
            assert refused.returncode == 2 and not refused.stdout, refused
        run("wait", first)
    assert len(json.loads(run("status", "--json").stdout)) == 1


@pytest.mark.promise
def test_another_effort_is_counted_shown_and_said_to_cost_a_prefill(
    run: Run, tmp_path: Path
) -> None:
    """By the words that each server's own template puts before the document; what would silently be
    the hardest is refused, and nothing is sent."""
    book = tmp_path / "book.txt"
    book.write_text(STORY)
    with fake_sglang(tmp_path, "--flavour", "upstream", "--radix", "--speed", "50") as server:
        asked = ("--server", server.url, "--max-tokens", "64")
        plain = json.loads(run("check", str(book), *asked, "--json").stdout)
        hard = json.loads(run("check", str(book), *asked, "--effort", "max", "--json").stdout)
        assert plain["thinking"] is None and hard["thinking"]["effort"] == "max"
        least = hard["thinking"]["template_tokens"][0] - 4
        assert hard["tokens"] == plain["tokens"] + least > plain["tokens"]
        off = run("check", str(book), *asked, "--effort", "low", "--thinking", "off")
        assert off.returncode == 2 and "effort low is for thinking" in off.stderr
        first = run("submit", str(book), *asked).stdout.strip()
        again = run("ask", first, "Who?", "--effort", "max")
        assert "the server reads the document again: with the effort max" in again.stderr
        assert "thinking   max" in run("show", again.stdout.strip()).stdout
        same = run("ask", first, "Where?")
        assert same.returncode == 0 and "again" not in same.stderr
        run("wait", again.stdout.strip())
        sent = [one["chat_template_kwargs"] for one in server.requests()]
        assert {"thinking": True, "enable_thinking": True, "reasoning_effort": "max"} in sent
    with fake_sglang(tmp_path, "--flavour", "kt") as server:
        refused = run("check", str(book), "--server", server.url, "--effort", "medium")
        assert refused.returncode == 2
        assert "sglang-kt 0.7 does not know the effort medium" in refused.stderr
