"""Documents beyond the window, against a scripted server: read in parts, brought together."""

from __future__ import annotations

import json
import os
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support.commands import Run

from jobs.model import Job as Row
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_long

Until = Callable[..., object]
STORY = "It was a dark and stormy night; the rain fell in torrents, but not for ever.\n\n"
SMALL = ("--window", "8192", "--pool", "20000", "--tokens-per-char", "0.2")
"""A window like that of the embedded model. The double counts by characters, and we by DeepSeek
V4's vocabulary: a little more than this."""


def archive(chapters: int, stories: int) -> str:
    return "".join(f"Chapter {n}\n\n{STORY * stories}" for n in range(1, chapters + 1))


def parts_of(state: StateDir, job: Job) -> list[Row]:
    with Store.open(state) as store:
        return store.parts(job.id)


def messages(server: FakeServer) -> list[str]:
    return [one["messages"][-1]["content"] for one in server.requests()]


def asked_parts(server: FakeServer) -> list[int]:
    """The numbers of the parts that were asked about, sorted."""
    found = [re.match(r"\[Part (\d+) of", message) for message in messages(server)]
    return sorted(int(one[1]) for one in found if one)


def test_it_is_said_beforehand_done_and_told_where_from(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """One command for a document that does not fit: loudly, each word of it read, the answer's
    numbers explained, the tree shown."""
    book = tmp_path / "book.txt"
    text = archive(9, 130)
    book.write_text(text)
    with fake_sglang(tmp_path, *SMALL, "--answer", "It rained [2].") as server:
        to = (str(book), "--server", server.url)
        checked = run("check", *to)
        never = run("submit", *to, "--split", "never")
        done = run("submit", *to, "--summarize", "--wait")
        assert (checked.returncode, never.returncode, done.returncode) == (0, 7, 0), done.stderr
        for said in (checked.stderr, done.stderr):
            assert re.search(r"SPLIT      into \d parts of up to [67],\d{3} tokens", said), said
        assert done.stdout == "It rained [2].\n" and "--sources" in done.stderr
        read = messages(server)
        numbers = asked_parts(server)
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 3
    assert sum(message.count("dark and stormy") for message in read) >= text.count("dark and")
    (job,) = json.loads(run("status", "--json").stdout)
    assert job["figures"]["parts"] == len(numbers)
    shown = json.loads(run("show", job["id"], "--json").stdout)
    levels = [part["level"] for part in shown["parts"]]
    assert levels == [0] * len(numbers) + [1] and shown["parts"][0]["start"] == 0
    tree = run("show", job["id"]).stdout
    assert f"parts of the document: {len(numbers)} of {len(numbers)} done" in tree
    assert "the answer: 1 of 1 done" in tree and "[1]" in tree
    assert "2 attempts for each part" in tree
    sources = run("result", job["id"], "--sources").stdout
    assert sources.startswith("It rained [2].\n\n[1] Chapter 1")
    assert f"characters {shown['parts'][1]['start']:,} to" in sources


def test_as_many_levels_as_it_takes(tmp_path: Path, state: StateDir) -> None:
    """Answers that no request holds together are brought together in groups first."""
    answer = "It rained, and then it rained again. " * 150
    smaller = (*SMALL, "--window", "4096", "--prefill-seconds", "0.01", "--token-seconds", "0.0001")
    with fake_sglang(tmp_path, *smaller, "--answer", answer) as server:
        job = submit_long(archive(16, 80), server=server.url, split=2_000, max_tokens=1_000)
        assert job.result().startswith("It rained")
        names = [part.part for part in parts_of(state, job)]
        assert all(" summaries of " in one for one in messages(server)[-1:])
    assert names[-1] == "answer" and "1.2" in names
    assert len(names) == len(set(names)) and job.status().figures["requests"] == len(names)


@pytest.mark.promise
@pytest.mark.long
def test_an_archive_of_three_million_tokens_on_a_window_of_one(
    tmp_path: Path, state: StateDir
) -> None:
    """The guide's window and pool: four parts, each the size of a request that the server takes."""
    text = archive(600, 300)
    scripted = ("--tokens-per-char", "0.2", "--prefill-seconds", "0.1", "--answer", "Rain [4].")
    with fake_sglang(tmp_path, *scripted) as server:
        job = submit_long(text, ask="Does it rain?", server=server.url)
        assert job.result() == "Rain [4]."
        assert asked_parts(server) == [1, 2, 3, 4]
    with Store.open(state) as store:
        plan = json.loads(store.job(job.id).spec)["split"]
    assert sum(row[5] for row in plan["chunks"]) > 3_000_000
    assert max(row[6] for row in plan["chunks"]) < 964_864


def test_a_chinese_text_is_asked_about_in_chinese(tmp_path: Path, state: StateDir) -> None:
    """Its chapters found, its parts and its answers named in its own language."""
    text = "".join(f"第{n}回 风雨\n\n{'满纸荒唐言,一把辛酸泪。' * 120}\n\n" for n in range(1, 13))
    with fake_sglang(tmp_path, *SMALL, "--answer", "下雨。") as server:
        job = submit_long(text, ask="下雨吗?", server=server.url)
        assert job.result() == "下雨。"
        (first,) = (one for one in messages(server) if one.startswith("[第1部分"))
        last = messages(server)[-1]
    assert "共" in first and "请只根据这一部分回答" in first and "第1回 风雨" in first
    assert "[1] 第1回 风雨" in last and "请用编号注明" in last


@pytest.mark.promise
def test_a_conductor_killed_at_any_moment_asks_nothing_twice(
    tmp_path: Path, state: StateDir, until: Until
) -> None:
    """`kill -9` after a random number of answers: each part is asked about once, by the server's
    journal. (That of many kills in a row, without a server: test_conductors.py.)"""
    moment = random.randint(0, 2)
    one_by_one = ("--max-running", "1", "--chunk", "100000")  # a part is one chunk and one word
    with fake_sglang(tmp_path, *SMALL, *one_by_one, "--answer", "Rain.") as server:
        server.hold()
        server.step(2 * moment)
        job = submit_long(archive(10, 80), server=server.url)
        until(lambda: parts_of(state, job) and _ended(state, job) >= moment)
        with Store.open(state) as store:
            attempt = store.attempt(store.job(job.id))
        assert attempt is not None
        os.kill(attempt.worker.pid, signal.SIGKILL)
        server.let_go()
        assert job.result() == "Rain."
        numbers = asked_parts(server)
        assert len(server.requests()) == len(numbers) + 1
    assert numbers == list(range(1, len(numbers) + 1)) and job.status().attempt == 2


def _ended(state: StateDir, job: Job) -> int:
    return sum(part.finished_at is not None for part in parts_of(state, job))


@pytest.mark.promise
def test_a_failed_part_fails_the_whole_and_a_retry_asks_only_for_it(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """Never passed over: the words name it, its cause and the cure; what was answered is kept."""
    fault = ("--fault", "none,http_400_flat", "--max-running", "1")
    with fake_sglang(tmp_path, *SMALL, *fault, "--answer", "Rain.") as server:
        job = submit_long(archive(8, 120), server=server.url)
        with pytest.raises(errors.JobFailed, match=r"part 2 .*ktjob retry"):
            job.result()
        assert job.status().cause == "part_failed"
        assert set(asked_parts(server)) >= {1, 2}
        shown = run("show", job.id).stdout
        assert "temperature must be" in shown and f"ktjob retry {job.id}" in shown
        again = run("retry", job.id)
        assert again.returncode == 0, again.stderr
        assert re.search(r"\d finished part(s are| is) reused", again.stderr)
        assert Job(again.stdout.strip()).result() == "Rain."
        numbers = asked_parts(server)
    assert max(numbers) >= 3
    assert numbers == sorted([*range(1, max(numbers) + 1), 2]), "part 2 twice, all others once"


@pytest.mark.promise
def test_a_retry_of_a_retry_asks_only_for_what_was_never_answered(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """By the server's journal: each refusal costs one more request, and nothing else does."""
    refusals = 12
    fault = ("--fault", ",".join(["none", *["http_400_flat"] * refusals]), "--max-running", "1")
    with fake_sglang(tmp_path, *SMALL, *fault, "--answer", "Rain.") as server:
        job = submit_long(archive(8, 120), server=server.url)
        tries = 0
        while job.wait().status().state == "FAILED":
            assert (tries := tries + 1) <= refusals
            job = Job(run("retry", job.id).stdout.strip())
        assert job.result() == "Rain." and tries >= 2
        numbers = asked_parts(server)
    assert len(numbers) == max(numbers) + refusals and set(numbers) == set(
        range(1, max(numbers) + 1)
    )


def test_a_cancel_in_the_middle_ends_all_of_it(
    tmp_path: Path, state: StateDir, until: Until
) -> None:
    """Running parts, waiting ones and their whole; what was answered is kept."""
    slow = ("--prefill-seconds", "600", "--flavour", "upstream")
    with fake_sglang(tmp_path, *SMALL, *slow) as server:
        job = submit_long(archive(8, 80), server=server.url)
        server.wait_for_event("prefill_started")
        job.cancel()
        with pytest.raises(errors.JobCancelled):
            job.result()
        assert {part.state for part in parts_of(state, job)} == {"CANCELLED"}


def test_what_is_not_split_is_said(run: Run, tmp_path: Path) -> None:
    """Parts that are too small, a word that is none; an answer that is only a little too long."""
    book = tmp_path / "book.txt"
    book.write_text(archive(4, 90))
    with fake_sglang(tmp_path, "--window", "9000", "--tokens-per-char", "0.2") as server:
        to = ("submit", str(book), "--server", server.url)
        wrong = [run(*to, "--split", word) for word in ("100", "always")]
        shorter = run(*to, "--max-tokens", "2000")
        assert server.requests() == []
    assert [one.returncode for one in (*wrong, shorter)] == [2, 2, 7]
    assert "the minimum is 512" in wrong[0].stderr and "use auto, never" in wrong[1].stderr
    assert "Lower --max-tokens" in shorter.stderr


def test_another_question_about_it_is_read_in_parts_too(tmp_path: Path, state: StateDir) -> None:
    """By the stored document, with the attempts of a request and not of a conductor."""
    with fake_sglang(tmp_path, *SMALL, "--prefill-seconds", "0.01", "--answer", "Rain.") as server:
        first = submit_long(archive(6, 80), server=server.url)
        second = first.ask("Does it rain?")
        assert first.result() == second.result() == "Rain."
        assert sum("Question: Does it rain?" in one for one in messages(server)) >= 3
    assert {part.max_attempts for part in parts_of(state, second)} == {2}
