"""Several questions about one document: a job each on one stored text, or together in one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import fake_sglang
from support.commands import Run

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import errors, submit_questions
from ktclient.submission.spec import JobSpec

STORY = "It was a dark and stormy night; the rain fell in torrents.\n" * 3_000
TWO = ("--ask", "Who?", "--ask", "Where?")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(STORY)
    return path


def test_each_is_a_job_and_a_prefix_cache_reads_the_document_once(
    tmp_path: Path, ktjob_home: Path
) -> None:
    """In order, of one stored document; on a server for two they run one after another."""
    with fake_sglang(tmp_path, "--radix", "--prefill-seconds", "0.5") as server:
        asked = submit_questions(STORY, ["Who?", "Where?", "When?"], server=server.url)
        assert [job.wait().status().state for job in asked] == ["SUCCEEDED"] * 3
    ids = [job.id for job in asked]
    with Store.open(StateDir(ktjob_home)) as store:
        jobs = [store.job(one) for one in ids]
        figures = [attempt.figures for job in jobs if (attempt := store.attempt(job))]
        times = [(job.started_at or "", job.finished_at or "") for job in jobs]
    assert [JobSpec.from_json(job.spec).task.text for job in jobs] == ["Who?", "Where?", "When?"]
    assert len({job.document for job in jobs}) == 1
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    read = [(one["prompt_tokens"], one["cached_tokens"]) for one in figures]
    assert read[0][1] is None  # so told where nothing is cached
    assert all(int(str(cached)) > 0.9 * int(str(tokens)) for tokens, cached in read[1:])


@pytest.mark.promise
def test_the_next_question_is_predicted_without_what_is_cached(
    run: Run, tmp_path: Path, book: Path
) -> None:
    """By a check, by submit, in the status and for programs; only on a server that keeps prefixes,
    and only behind the same beginning. Of several questions, the first is read whole."""
    with fake_sglang(tmp_path, "--radix", "--model", "stand-in", "--rate", "20000") as server:

        def check(*asked: str) -> dict[str, Any]:
            words = (str(book), "--server", server.url, *asked)
            return dict(json.loads(run("check", *words, "--json").stdout))

        assert check("--ask", "Where?")["cached"] is None
        first = run("submit", str(book), "--server", server.url, "--ask", "Who?", "--wait")
        assert first.returncode == 0 and "cached" not in first.stderr
        (read,) = json.loads(run("status", "--json").stdout)
        known = check("--ask", "Where was it?")
        assert known["cached"]["job"] == read["id"] and known["cached"]["share"] > 0.99
        assert abs(known["tokens"] - read["figures"]["prompt_tokens"]) < 16
        assert (
            known["numbers"]["prompt"] == known["tokens"]
            and f"{known['tokens']:,}" in known["reason"]
        )
        whole = read["figures"]["first_token_seconds"]
        assert known["first_token_seconds"]["seconds"] < whole / 20 and known["timeout"] == 3600
        told = run("submit", str(book), "--server", server.url, "--ask", "Where was it?", "--wait")
        assert "; cached: 99 %; time limit" in told.stderr
        figures = json.loads(run("status", "--json").stdout)[0]["figures"]
        assert abs(figures["predicted_cached_tokens"] - figures["cached_tokens"]) < 32
        assert figures["predicted_cached_share"] > 0.99
        assert figures["predicted_seconds"] < whole / 20
        brief = check("--ask", "Where?", "--ask", "When?", "--system", "Be brief.")
        assert brief["cached"] is None
        assert brief["first_token_seconds"]["seconds"] > whole / 4
        server.hold()
        to = (str(book), "--server", server.url, "--ask", "When?", "--system", "Be brief.")
        reads = run("submit", *to).stdout.strip()
        brief = check("--ask", "Where?", "--system", "Be brief.")
        assert brief["cached"]["job"] == reads and brief["cached"]["share"] > 0.99
        server.let_go()
        assert run("wait", reads).returncode == 0
    with fake_sglang(tmp_path, "--model", "stand-in") as server:
        run("submit", str(book), "--server", server.url, "--ask", "Who?", "--wait")
        assert check("--ask", "Where?")["cached"] is None


@pytest.mark.promise
def test_only_questions_that_begin_alike_are_brought_together(
    run: Run, tmp_path: Path, book: Path
) -> None:
    """Another system prompt before the same document shares nothing: that job keeps its place, and
    one that the cache serves goes first. They all wait while the first is read."""
    other = tmp_path / "other.txt"
    other.write_text("Another story.\n" * 100)
    with fake_sglang(tmp_path, "--radix", "--max-running", "1") as server:
        server.hold()

        def submit(path: Path, question: str, *options: str) -> str:
            asked = run("submit", str(path), "--server", server.url, "--ask", question, *options)
            assert asked.returncode == 0, asked.stderr
            return asked.stdout.strip()

        submit(book, "first?")
        server.wait_for_event("prefill_started")
        submit(other, "other?")
        last = submit(book, "brief?", "--system", "Be brief.")
        submit(book, "second?")
        server.let_go()
        assert run("wait", last).returncode == 0
        sent = [one["messages"][-1]["content"].split()[-1] for one in server.requests()]
    assert sent == ["first?", "second?", "other?", "brief?"]


def test_waiting_prints_each_answer_under_its_question(
    run: Run, tmp_path: Path, book: Path
) -> None:
    """And as a list for programs; what repeated prefills cost is said, where they are."""
    book.write_text("A short story.")
    with fake_sglang(tmp_path, "--answer", "Nobody.") as server:
        told = run("submit", str(book), "--server", server.url, *TWO, "--wait")
        listed = run("submit", str(book), "--server", server.url, *TWO, "--wait", "--json")
        quiet = run("submit", str(book), "--server", server.url, "--ask", "Who?", "--wait")
    assert told.stdout == "1. Who?\n\nNobody.\n\n2. Where?\n\nNobody.\n"
    assert "prefills the document 2 times" in told.stderr and "--together" in told.stderr
    records = json.loads(listed.stdout)
    assert [(one["questions"], one["text"]) for one in records] == [
        (["Who?"], "Nobody."),
        (["Where?"], "Nobody."),
    ]
    assert quiet.stdout == "Nobody.\n" and "--together" not in quiet.stderr


def test_all_are_stored_or_none(run: Run, tmp_path: Path, book: Path) -> None:
    """One question that cannot be asked, or does not fit, and nothing is stored."""
    with fake_sglang(tmp_path, "--window", "60000") as server:
        options = (str(book), "--server", server.url)
        empty = run("submit", *options, "--ask", "Who?", "--ask", " ")
        long = run("submit", *options, "--ask", "Who?", "--ask", "Why? " * 20_000)
        mixed = run("submit", *options, *TWO, "--summarize")
        alone = run("submit", *options, "--ask", "Who?", "--together")
        assert server.requests() == []
    assert [one.returncode for one in (empty, long, mixed, alone)] == [2, 7, 2, 2]
    assert not any(one.stdout for one in (empty, long, mixed, alone))
    assert json.loads(run("status", "--json").stdout) == []


def test_together_is_one_request_and_its_answer_is_taken_apart(
    run: Run, tmp_path: Path, book: Path
) -> None:
    """One prefill; the answers in text, as a list, and as they came."""
    with fake_sglang(tmp_path, "--answer", 'In "Highbury".') as server:
        asked = run("submit", str(book), "--server", server.url, *TWO, "--together", "--wait")
        assert asked.returncode == 0, asked.stderr
        (sent,) = server.requests()
        (job,) = json.loads(run("status", "--json").stdout)
    answer = 'In "Highbury".'
    assert asked.stdout == f"1. Who?\n\n{answer}\n\n2. Where?\n\n{answer}\n"
    assert "keeps no prefixes" not in asked.stderr
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["1", "2"]
    assert sent["messages"][0]["content"].endswith("1. Who?\n2. Where?")
    assert sent["max_tokens"] == 2 * 1024
    listed = json.loads(run("result", job["id"], "--json").stdout)
    assert listed["answers"] == [{"question": one, "answer": answer} for one in ("Who?", "Where?")]
    raw = run("result", job["id"], "--raw").stdout
    assert raw.strip() == listed["text"] and json.loads(raw) == {"1": answer, "2": answer}
    run("result", job["id"], "-o", str(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_text() == asked.stdout


def test_of_an_answer_cut_short_what_is_whole_is_given(
    run: Run, tmp_path: Path, book: Path
) -> None:
    """And it is said which is missing, and where the rest is."""
    book.write_text("A short story.")
    answer = ("--answer", "one two three four five six")
    with fake_sglang(tmp_path, *answer) as server:
        options = ("--server", server.url, "--together", "--max-tokens", "10", "--wait")
        asked = run("submit", str(book), *TWO, *options)
    assert asked.returncode == 0
    assert asked.stdout.startswith("1. Who?\n\none two three four five six\n\n2. Where?\n\n(no")
    assert "no complete answer to question 2" in asked.stderr and "result --raw" in asked.stderr
    assert "cut off at 10 tokens" in asked.stderr


@pytest.mark.parametrize("flavour", ["kt", "upstream"])
def test_a_server_without_schemas_is_asked_without_one(
    tmp_path: Path, ktjob_home: Path, flavour: str
) -> None:
    """It refused before it read anything, so nothing is paid twice; within the same attempt."""
    written = 'Certainly: {"1": "Emma", "2": "In Highbury"}'
    options = ("--grammar", "none", "--flavour", flavour, "--answer", written)
    with fake_sglang(tmp_path, *options) as server:
        (job,) = submit_questions(
            "A short story.\n", ["Who?", "Where?"], together=True, server=server.url
        )
        answers = job.answers(60)
        sent = server.requests()
        assert len(server.events("prefill_started")) == 1
    assert [(one.question, one.text) for one in answers] == [
        ("Who?", "Emma"),
        ("Where?", "In Highbury"),
    ]
    assert ["response_format" in one for one in sent] == [True, False]
    assert job.status().attempt == 1 and job.result() == written


def test_questions_from_python(tmp_path: Path, ktjob_home: Path) -> None:
    """A job each, in order; what is no list of questions is told."""
    with fake_sglang(tmp_path, "--answer", "Nobody.") as server:
        jobs = submit_questions("A story.\n", ["Who?", "Where?"], server=server.url, priority=2)
        found = [job.answers(60) for job in jobs]
    assert [[one.question for one in each] for each in found] == [["Who?"], ["Where?"]]
    assert all(each[0].text == "Nobody." for each in found)
    with Store.open(StateDir(ktjob_home)) as store:
        assert [store.job(job.id).priority for job in jobs] == [2, 2]
    for wrong in ([], "Who?"):
        with pytest.raises(errors.BadInput):
            submit_questions("A story.\n", wrong, server=server.url)


def test_a_real_grammar_makes_the_structure(ktjob_home: Path, cache_env: dict[str, str]) -> None:
    """llama.cpp with a model of 135M: the sense is its own, the object is whole."""
    (job,) = submit_questions(
        "The ferry to Mull was late, because of the fog. Ann waited for it with her dog.\n",
        ["Who waited?", "Why was the ferry late?"],
        together=True,
        server="embedded",
        max_tokens=400,
    )
    answers = job.answers(150)
    if not job.status().is_truncated:
        assert set(json.loads(job.result())) == {"1", "2"}
        assert all(one.text is not None for one in answers)
    assert job.result().lstrip().startswith("{")
    assert [one.question for one in answers] == ["Who waited?", "Why was the ferry late?"]
