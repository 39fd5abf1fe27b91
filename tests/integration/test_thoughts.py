"""Thoughts and answers of real jobs: what commands, kinds of jobs and Python make of them."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from support import batches
from support.commands import Run
from support.talking import talking

from jobs.model import Capacity, NewJob, Outcome, Piece
from jobs.processes import identity
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, errors, submit_batch, submit_long
from ktclient.records import thinking

VERDICT = {"type": "object", "properties": {"verdict": {"enum": ["late", "on time"]}}}
DRAFT = 'At first {"verdict": "on time"} seems right, but it rained.'
FINAL = '{"verdict": "late"}'
HEADER = "<|start|>assistant<|channel|>final<|message|>"
WAYS = {
    "field": ({"reasoning_content": DRAFT}, "\n\n", FINAL),
    "tags": (f"<think>\n{DRAFT}\n</th", f"ink>\n\n{FINAL}"),
    "prompt": (f"{DRAFT}</think>", FINAL),
    "channels": (f"<|channel|>analysis<|message|>{DRAFT}<|end|>", f"{HEADER}{FINAL}"),
}
STORY = "It was a dark and stormy night; the rain fell in torrents, but not for ever.\n\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A story.")
    (tmp_path / "verdict.json").write_text(json.dumps(VERDICT))


@pytest.mark.promise
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_by_a_schema_is_never_the_draft(way: str, run: Run) -> None:
    """For `submit --wait`, `result` and its JSON, from Python; held against the schema alone."""
    with talking(WAYS[way]) as server:
        to = ("--ask", "Late?", "--schema", "verdict.json", "--server", server.url)
        done = run("submit", "a.txt", *to, "--wait")
    assert json.loads(done.stdout) == {"verdict": "late"} and done.returncode == 0
    (listed,) = json.loads(run("status", "--json").stdout)
    job = Job(listed["id"])
    assert "schema_mismatch" not in listed["figures"]
    record = json.loads(run("result", job.id, "--json").stdout)
    assert (record["text"], record["data"]) == (FINAL, {"verdict": "late"})
    assert record["thoughts"].strip() == DRAFT
    assert job.data() == {"verdict": "late"} and job.result() == FINAL
    assert run("result", job.id, "--thoughts").stdout == f"{DRAFT}\n"


@pytest.mark.promise
@pytest.mark.parametrize("way", WAYS)
def test_the_output_is_kept_as_it_came(way: str, run: Run, state: StateDir) -> None:
    """The database has each piece; --raw prints the content."""
    with talking(WAYS[way]) as server:
        job = submit_long("A story.", ask="Late?", server=server.url).wait()
    with Store.open(state) as store:
        pieces = store.pieces(job.id, 1)
    content = "".join(one for one in WAYS[way] if isinstance(one, str))
    assert "".join(one.text for one in pieces if one.channel == "answer") == content
    assert run("result", job.id, "--raw").stdout.strip() == content.strip()
    assert run("result", job.id).stdout == f"{FINAL}\n"


def test_several_questions_at_once_are_not_answered_by_a_draft(run: Run) -> None:
    draft, final = '{"1": "Ann", "2": "no", "3": "?"}', '{"1": "Emma", "2": "yes"}'
    with talking((f"Is it {draft}? No.</think>{final}",)) as server:
        asked = ("--ask", "Who?", "--ask", "Late?", "--together", "--server", server.url)
        done = run("submit", "a.txt", *asked, "--wait")
    assert "Emma" in done.stdout and "Ann" not in done.stdout and "no complete" not in done.stderr


def test_thoughts_go_where_they_are_asked_for(run: Run, tmp_path: Path) -> None:
    """Into a file, and nowhere if there are none; `show` says how many there are."""
    with talking(WAYS["tags"], ("Plain.",)) as server:
        thinking = submit_long("A story.", ask="Late?", server=server.url).wait()
        plain = submit_long("A story.", ask="Why?", server=server.url).wait()
    written = run("result", thinking.id, "--thoughts", "-o", "thoughts.txt")
    assert (written.returncode, written.stdout) == (0, "")
    assert (tmp_path / "thoughts.txt").read_text() == f"{DRAFT}\n"
    nothing = run("result", plain.id, "--thoughts")
    assert nothing.stdout == "" and "has no thoughts" in nothing.stderr
    assert f"thoughts   {len(DRAFT) + 2} characters" in run("show", thinking.id).stdout
    assert "thoughts   " not in run("show", plain.id).stdout
    assert (plain.thoughts(), plain.result()) == ("", "Plain.")


@pytest.mark.promise
@pytest.mark.parametrize("delta", [{"reasoning": "Was it late"}, {"content": "<think>Was it late"}])
def test_thoughts_alone_are_a_failure_that_says_what_to_set(
    run: Run, delta: dict[str, str]
) -> None:
    """Once, however many attempts are allowed: the server has answered. The thoughts are kept."""
    with talking((delta,), reason="length") as server:
        to = ("--ask", "Late?", "--max-tokens", "50", "--max-attempts", "3", "--server", server.url)
        done = run("submit", "a.txt", *to, "--wait")
        assert len(server.asked) == 1
    assert (done.returncode, done.stdout) == (1, "")
    assert "only thoughts of 50 tokens" in done.stderr
    assert "--max-tokens above 50" in done.stderr and "--thinking off" in done.stderr
    (listed,) = json.loads(run("status", "--json").stdout)
    job = Job(listed["id"])
    assert (listed["cause"], listed["attempt"]) == ("empty_answer", 1)
    assert listed["figures"]["thought_tokens"] == 50
    assert "50 written, of which 50 thinking" in run("show", job.id).stdout
    kept = run("result", job.id, "--thoughts")
    assert (kept.returncode, kept.stdout) == (1, "Was it late\n")
    assert job.thoughts() == "Was it late"
    with pytest.raises(errors.JobFailed) as failed:
        job.result()
    assert failed.value.partial_text == ""


@pytest.mark.promise
def test_no_thought_of_a_part_is_read_by_the_reduction(tmp_path: Path, ktjob_home: Path) -> None:
    """Only answers are combined, and they are as long as they are, without their thoughts."""
    part = ("The secret draft.\n</think>\n\n", "It rained.")
    with talking(part, window=4096) as server:
        job = submit_long(STORY * 300, summarize=True, server=server.url).wait()
        asked = server.asked
    assert job.result() == "It rained." and job.thoughts() == "The secret draft.\n"
    (last,) = [one for one in asked if "Part " not in one.split("\n")[0]]
    assert last.count("It rained.") == len(asked) - 1 > 1
    assert all("secret" not in one for one in asked)


@pytest.mark.promise
def test_parts_without_words_fail_and_nothing_of_nothing_is_combined(
    run: Run, tmp_path: Path, ktjob_home: Path
) -> None:
    with talking(({"reasoning_content": "Hm."},), window=4096, reason="length") as server:
        job = submit_long(STORY * 300, summarize=True, server=server.url).wait()
        asked = server.asked
    now = job.status()
    assert (now.state, now.cause) == ("FAILED", "part_failed")
    assert "[empty_answer]" in str(now.message) and "a higher --max-tokens" in str(now.message)
    assert all("Part " in one.split("\n")[0] for one in asked)


@pytest.mark.promise
def test_a_line_of_thoughts_alone_is_an_error_with_its_message(tmp_path: Path, run: Run) -> None:
    """In the file for errors; only this line is sent again when the batch is retried."""
    lines = [batches.request("a", "Late?"), batches.request("b", "Late?")]
    file, results = batches.write(tmp_path / "lines.jsonl", lines), tmp_path / "results.jsonl"
    wrong = tmp_path / "errors.jsonl"
    thinking = ({"reasoning_content": "Hm."},)
    with talking(("<think>Hm.</think>Yes.",), thinking, ("Yes.",)) as server:
        submit_batch(file, output=results, errors=wrong, server=server.url).wait()
        (good,), (bad,) = batches.read(results), batches.read(wrong)
        assert len(server.asked) == 2
        again = submit_batch(
            file, output=results, errors=wrong, server=server.url, retry_failed=True
        )
        assert again.wait().status().state == "SUCCEEDED"
        assert len(server.asked) == 3
    assert good["error"] is None
    assert good["response"]["body"]["choices"][0]["message"] == {
        "role": "assistant",
        "content": "<think>Hm.</think>Yes.",
    }
    assert bad["error"]["code"] == "empty_answer"
    assert "only thoughts of 50 tokens" in bad["error"]["message"]
    message = {"role": "assistant", "content": "", "reasoning_content": "Hm."}
    assert bad["response"]["body"]["choices"][0]["message"] == message
    assert [line["error"] for line in batches.read(results)] == [None, None]


@pytest.mark.promise
def test_follow_has_the_answer_and_says_where_it_begins(
    ktjob_command: list[str], ktjob_home: Path, run: Run
) -> None:
    """Thoughts in tags are not printed. Of those whose end alone is marked, what was printed is
    announced as thoughts; who looks later sees only the answer."""
    gate = threading.Event()
    with talking(("<think>Hm.</think>", "Yes."), ("Hm. ", gate, "So.</think>", "\nYes.")) as server:
        tagged = submit_long("A story.", ask="Late?", server=server.url)
        assert run("follow", tagged.id).stdout == "Yes.\n"
        job = submit_long("A story.", ask="Why?", server=server.url)
        heard = []
        for one in job.followed():
            heard.append(one)
            if one.text == "Hm. ":
                gate.set()
    assert [one.text for one in heard if one.text] == ["Hm. ", "Yes."]
    assert [one.text for one in heard if one.is_recalled] == ["Yes."]
    assert run("follow", job.id).stdout == "Yes.\n" and "".join(job.stream()) == "Yes."

    async def streamed() -> str:
        return "".join([text async for text in job.astream()])

    assert asyncio.run(streamed()) == "Yes."


@pytest.mark.promise
def test_a_model_that_was_seen_to_think_first_is_held_until_it_answers(ktjob_home: Path) -> None:
    """From its second job on, where it is asked in the same way; and no longer once it answers
    without thoughts. Nothing is lost either way."""
    gates = [threading.Event() for _ in range(2)]
    first, second = (("Hm. ", gate, "So.</think>", "Yes.") for gate in gates)
    with talking(first, second, ("Well. ", "No.")) as server:

        def followed(question: str, gate: threading.Event | None) -> list[tuple[str, bool]]:
            job = submit_long("A story.", ask=question, server=server.url)
            heard = []
            for one in job.followed():
                heard.append((one.text, one.is_recalled))
                with Store.open(StateDir(ktjob_home)) as store:
                    has_come = bool(store.pieces(job.id, 1))
                if (gate is gates[0] and one.text) or (gate is gates[1] and has_come):
                    gate.set()
            return [one for one in heard if one[0]]

        assert followed("Why?", gates[0])[-1] == ("Yes.", True)
        assert followed("Late?", gates[1]) == [("Yes.", False)]
        assert "".join(text for text, _ in followed("Who?", None)) == "Well. No."
        job = submit_long("A story.", ask="Is it?", server=server.url).wait()
    with Store.open(StateDir(ktjob_home)) as store:
        assert not thinking.is_from_prompt(store, store.job(job.id), "m")


@pytest.mark.promise
def test_thoughts_that_are_cut_before_their_only_tag_are_no_answer(ktjob_home: Path) -> None:
    """Where the model was seen to think so: nothing in the output itself shows it. The next whole
    answer is one, and a cut answer of a model that does not think is one too."""
    whole, cut = ("Hm. So.</think>Yes.",), ("Hm. So it ",)
    with talking(cut, reason="length") as server:
        plain = submit_long("A story.", ask="Who?", server=server.url).wait()
    assert plain.result() == "Hm. So it "
    with talking(whole, cut, cut) as server:
        submit_long("A story.", ask="Why?", server=server.url).wait()
        server.reason = "length"
        job = submit_long("A story.", ask="Late?", server=server.url).wait()
        again = submit_long("A story.", ask="Is it?", server=server.url)
        assert [one.text for one in again.followed() if one.text] == []
        assert len(server.asked) == 3
    assert (job.status().cause, job.thoughts()) == ("empty_answer", "Hm. So it ")
    with pytest.raises(errors.JobFailed) as failed:
        job.result()
    assert failed.value.partial_text == "" and "only thoughts of 50 tokens" in str(failed.value)


@pytest.mark.promise
def test_jobs_of_earlier_versions_are_read_by_the_same_rules(run: Run, state: StateDir) -> None:
    """They were stored with their thoughts, and with nothing else."""
    spec = {"version": 1, "task": {"kind": "ask", "text": "Late?"}, "server": "http://localhost:1"}
    new = NewJob(
        pool="http://localhost:1",
        spec=json.dumps({**spec, "model": None, "max_tokens": 1, "timeout": 1.0}),
        document=b"A story.",
        title="a.txt",
    )
    with Store.open(state) as store:
        for text in ("So.\n</think>\n\nYes.", "<think>Was it"):
            job = store.submit(new, Capacity(slots=1))
            store.claim(job.id, identity.mine())
            store.append(job.id, 1, [Piece(1, "answer", text)])
            store.finish(job.id, 1, Outcome.SUCCEEDED, None, None)
        first, second = store.newest(2)
    ids = sorted([first, second], key=lambda one: one.seq)
    assert run("result", ids[0].id).stdout == "Yes.\n"
    assert run("result", ids[0].id, "--thoughts").stdout == "So.\n"
    assert run("result", ids[1].id).stdout == ""
    assert Job(ids[1].id).thoughts() == "Was it"
    assert ids[0].id in run("list", "--search", "Yes").stdout
    assert ids[0].id not in run("list", "--search", "So").stdout
