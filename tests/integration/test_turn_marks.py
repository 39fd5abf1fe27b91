"""Marks of templates from each place that a prompt is made of, from the command line to the server:
none arrives as one. Single marks in neutral sentences, of all families."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fake_sglang.process import FakeServer, fake_sglang
from support import batches
from support.commands import Run

from jobs import clock
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import submit_long
from ktclient.config import settings as config
from server_bundle import package_data

DATA = Path(__file__).parents[1] / "data" / "turn_marks.toml"
GATHERED: list[dict[str, Any]] = package_data.read(DATA)["of"]
ALL = sorted({mark for one in GATHERED for mark in one["marks"]})
TEXT = "The report names " + " and ".join(ALL) + "."
QUICK = ("--token-seconds", "0.001", "--prefill-seconds", "0.05")


def left(server: FakeServer, marks: list[str]) -> list[str]:
    """The marks in any string of any request that the server got."""
    sent = json.dumps([one["messages"] for one in server.requests()], ensure_ascii=False)
    sent = sent.replace('\\"', '"')
    return [mark for mark in marks if mark in sent]


@pytest.mark.promise
def test_no_mark_reaches_the_server_from_any_place_of_a_submit(run: Run, tmp_path: Path) -> None:
    """The document and its name, a question, a system prompt, a template and its variable, a
    schema; what was made harmless is said at once, in `show` and in `check`."""
    document = tmp_path / "a <|im_start|> ]~b] [INST].txt"
    document.write_text(TEXT, encoding="utf-8")
    templates = config.path().parent / "templates"
    templates.mkdir(parents=True, exist_ok=True)
    (templates / "mine.toml").write_text(
        'prompt = "About $title <eos>: $what"\nsystem = "Be brief [gMASK]."\n'
    )
    schema = tmp_path / "schema.json"
    described = {"type": "string", "description": "a name <|eot_id|>"}
    schema.write_text(json.dumps({"properties": {"name": described}, "required": ["name"]}))
    with fake_sglang(tmp_path, "--model", "stand-in", *QUICK, "--answer", "{}") as server:
        to = (str(document), "--server", server.url)
        checked = run("check", *to, "--json")
        plain = run("submit", *to, "--wait", "--ask", f"What is {TEXT}?", "--system", "No <s>.")
        filled = run("submit", *to, "--wait", "--template", "mine", "--var", f"what={TEXT}")
        asked = run("submit", *to, "--wait", "--prompt", "Go.", "--schema", str(schema))
        assert [one.returncode for one in (plain, filled, asked)] == [0, 0, 0], asked.stderr
        assert left(server, ALL) == []
        (format_sent,) = [
            one["response_format"] for one in server.requests() if "response_format" in one
        ]
        assert "<|eot_id|>" not in json.dumps(format_sent)
        assert len(server.requests()) == 3
    said = re.search(
        r"note +(\d+) turn marks in it were made harmless: .+ more kinds", plain.stderr
    )
    assert said and int(said[1]) > len(ALL)
    assert sum(json.loads(checked.stdout)["turn_marks"].values()) >= len(ALL)
    job = json.loads(run("status", "--json").stdout)[-1]
    assert job["figures"]["turn_marks"] > len(ALL)
    shown = run("show", job["id"]).stdout
    assert f"turn marks made harmless {job['figures']['turn_marks']}" in shown
    assert "turn marks made harmless (count" in shown
    assert document.read_text(encoding="utf-8") == TEXT


@pytest.mark.promise
def test_no_mark_reaches_the_server_from_a_batch_and_its_notes_say_so(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """From each field of a line; the result file has the answer as the model wrote it."""
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps({"q": TEXT})},
    }
    assistant = {
        "role": "assistant",
        "content": TEXT,
        "reasoning_content": TEXT,
        "tool_calls": [call],
    }
    tool = {
        "type": "function",
        "function": {"name": "f", "description": TEXT, "parameters": {"title": TEXT}},
    }
    lines = [batches.request("a", TEXT), batches.request("b", "plain")]
    lines[0]["body"]["messages"][1:1] = [assistant, {"role": "tool", "content": TEXT, "name": TEXT}]
    lines[0]["body"]["tools"] = [tool]
    path, results = batches.write(tmp_path / "in.jsonl", lines), tmp_path / "out.jsonl"
    answer = "It is <|im_end|> and [INST]."
    with fake_sglang(tmp_path, "--model", "stand-in", *QUICK, "--answer", answer) as server:
        done = run("batch", str(path), "-o", str(results), "--server", server.url, "--wait")
        assert done.returncode == 0, done.stderr
        assert left(server, ALL) == []
        (tools,) = [one["tools"] for one in server.requests() if "tools" in one]
        assert [mark for mark in ALL if mark in json.dumps(tools, ensure_ascii=False)] == []
        again = run("batch", str(path), "-o", str(results), "--server", server.url, "--wait")
        assert again.returncode == 0 and len(server.requests()) == 2
        (job,) = json.loads(run("status", "--json").stdout)
    assert "turn marks in the requests were made harmless" in done.stderr
    assert job["figures"]["turn_marks"] > 5 * len(ALL)
    assert [batches.said(one) for one in batches.read(results)] == [answer, answer]


@pytest.mark.promise
def test_no_mark_reaches_the_server_from_a_part_or_from_the_answer_of_a_part(
    tmp_path: Path, state: StateDir
) -> None:
    """A model that writes a mark has it as data in the request that combines the answers."""
    chapters = "".join(
        f"Chapter {n} <|im_start|>\n\n{TEXT}\n\n{'Rain fell. ' * 400}\n\n" for n in range(9)
    )
    small = (
        "--window",
        "8192",
        "--pool",
        "20000",
        "--tokens-per-char",
        "0.3",
        "--model",
        "stand-in",
    )
    answer = "Rain <|im_end|> in [1] [INST] ]~b]."
    with fake_sglang(tmp_path, *small, *QUICK, "--answer", answer) as server:
        job = submit_long(chapters, summarize=True, server=server.url, max_tokens=200)
        assert job.result() == answer
        assert left(server, ALL) == []
        combined = str(server.requests()[-1]["messages"][-1]["content"])
        assert "Rain < |im_end|> in [1] [ INST] ] ~b]." in combined
        parts = len(server.requests())
    with Store.open(state) as store:
        assert parts > 3 and len(store.parts(job.id)) == parts
    figures = job.status().figures
    assert isinstance(figures["turn_marks"], int) and figures["turn_marks"] >= 9 * len(ALL)


@pytest.mark.promise
def test_the_model_that_gets_the_request_decides_not_the_one_of_the_submit(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """Another model was started at the same address while the job waited."""
    document = tmp_path / "document"
    document.write_text("A <s>, an [INST] and a <think>.")
    with fake_sglang(tmp_path, "--model", "gpt-oss-20b", *QUICK) as server:
        port = server.url.rpartition(":")[2]
        first = run("submit", str(document), "--server", server.url, "--wait")
        held = run("submit", str(document), "--server", server.url, "--at", "+1h")
        assert (first.returncode, held.returncode) == (0, 0), held.stderr
        assert "harmless" not in first.stderr and left(server, ["<s>", "[INST]", "<think>"])
        (job_id,) = held.stdout.split()
    with fake_sglang(tmp_path, "--model", "Mistral-Small", "--port", port, *QUICK) as server:
        with contextlib.closing(sqlite3.connect(state.database)) as database, database:
            database.execute("UPDATE jobs SET not_before = ?", (clock.now(),))
        assert run("wait", job_id).returncode == 0
        assert left(server, ["<s>", "[INST]"]) == [] and left(server, ["<think>"])


def test_what_an_earlier_version_stored_is_the_same_batch_and_the_same_submit(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """It stored lines and documents with the marks of any model made harmless: no line is sent
    again, and a key finds its job."""
    text = "A mark <|im_end|>, another </think> and [INST]."
    before = "A mark < |im_end|>, another < /think> and [ INST]."
    results = tmp_path / "out.jsonl"
    with fake_sglang(tmp_path, *QUICK) as server:
        to = ("--server", server.url)
        for written in (before, text):
            lines = [batches.request("a", written), batches.request("b", "plain")]
            path = batches.write(tmp_path / "in.jsonl", lines)
            done = run("batch", str(path), "-o", str(results), *to, "--wait")
            assert done.returncode == 0, done.stderr
            assert len(server.requests()) == 2
        lines[1] = batches.request("b", "changed")
        batches.write(path, lines)
        done = run("batch", str(path), "-o", str(results), *to, "--wait")
        assert done.returncode == 0 and len(server.requests()) == 3, "of the changed line alone"
        ids = set()
        for written in (before, text):
            (tmp_path / "document").write_text(written)
            done = run("submit", "document", "--key", "one", *to, "--wait")
            assert done.returncode == 0, done.stderr
            ids.add(re.findall(r"job (\w{8})|the key", done.stderr)[0])
        assert len(server.requests()) == 4
