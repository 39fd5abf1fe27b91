"""Jobs as files, and on another machine; another state directory stands for that one."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support import processes
from support.commands import Run
from support.ended_jobs import ended, put

from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import import_jobs, select, submit_long, submit_questions

FORMATS = ("md", "html", "csv", "json", "jsonl")
STORY = "It was a dark and stormy night; the rain fell in torrents, but not for ever.\n\n"
ANSWER = "It rained [2].\n\n- Of course."
SMALL = ("--window", "8192", "--pool", "20000", "--tokens-per-char", "0.2")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[StateDir]:
    """The state directory of the other machine."""
    state = StateDir(tmp_path / "other")
    yield state
    processes.end_all(state)


@pytest.mark.promise
def test_what_was_exported_is_the_same_on_another_machine(
    run: Run, tmp_path: Path, state: StateDir, other: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group, a document in parts and a job that was cancelled: each answer, what was asked, where
    parts are. There they are marked, no process is started, and nothing is stored twice."""
    book = "".join(f"Chapter {n}\n\n{STORY * 130}" for n in range(1, 10))
    with fake_sglang(tmp_path, *SMALL, "--answer", ANSWER) as server:
        two = submit_questions(STORY, ["Who?", "Where?"], label="x", server=server.url)
        late = submit_long(STORY, ask="When?", server=server.url, at="+1d")
        whole = submit_long(book, server=server.url)
        late.cancel()
        select(everything=True).wait()
        answers = [job.result() for job in (*two, whole)]
    jobs = select(everything=True)
    first = tmp_path / "first.jsonl"
    assert jobs.export(first, with_documents=True) == first
    assert jobs.export(first, with_documents=True) == first, "as ktjob wrote it: no loss"
    done = run("export", "@group", "-o", "group.html", "--with-documents")
    assert done.returncode == 0 and done.stderr == "group.html: 2 jobs\n"
    shown = json.loads(run("show", whole.id, "--json").stdout)
    records = [json.loads(line) for line in first.read_text().splitlines()]
    assert [one["id"] for one in records] == jobs.ids
    (split,) = [one for one in records if one["split"]]
    assert split["parts"] == shown["parts"] and len(split["parts"]) > 3
    sources = run("result", whole.id, "--sources").stdout
    before = [(one.title, one.questions, one.label, one.state) for one in jobs.statuses()]

    monkeypatch.setenv("KTJOB_HOME", str(other.root))
    imported = run("import", "first.jsonl")
    assert imported.stdout.split() == jobs.ids and imported.stderr == "4 jobs imported\n"
    there = select(everything=True)
    after = [(one.title, one.questions, one.label, one.state) for one in there.statuses()]
    assert there.ids == jobs.ids and after == before
    assert [select(one.id).results()[0] for one in (*two, whole)] == answers
    assert select(two[0].status().group or "").ids == [one.id for one in two]
    assert run("result", whole.id, "--sources").stdout == sources
    assert sum("imported" in line for line in run("list").stdout.splitlines()) == 4
    assert f"it ran as job {whole.id}" in run("show", whole.id).stdout
    assert processes.of(other) == []
    for command in (("retry", late.id), ("retry", "--all", "--yes"), ("logs", whole.id)):
        assert "Traceback" not in run(*command).stderr
    refused = run("retry", late.id)
    assert refused.returncode == 2 and f"ktjob rerun {late.id}" in refused.stderr
    assert run("follow", whole.id).stdout == ANSWER + "\n"

    second = tmp_path / "second.json"
    there.export(second, with_documents=True)
    again = json.loads(second.read_text())["jobs"]
    differing = ("export", "imported")
    assert [strip(one, differing) for one in again] == [strip(one, differing) for one in records]
    assert import_jobs(second).ids == jobs.ids and len(select(everything=True)) == 4
    monkeypatch.setenv("KTJOB_HOME", str(state.root))
    back = json.loads(run("import", str(second), "--json").stdout)
    assert back["imported"] == [] and [one["id"] for one in back["present"]] == jobs.ids
    assert len(select(everything=True)) == 4


def strip(record: dict[str, object], names: tuple[str, ...]) -> dict[str, object]:
    return {name: value for name, value in record.items() if name not in names}


@pytest.mark.promise
def test_nothing_secret_is_exported_and_no_file_is_replaced(
    run: Run, tmp_path: Path, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the key of the server nor what is done at the end, in any format."""
    monkeypatch.setenv("KTJOB_API_KEY", "sk-very-secret-key")
    command = ": https://hooks.example/T0K3N"  # the shell does nothing with it
    (job, other) = ended(state, "Who?", "Where?", tellings=(("command", command),))
    with Store.open(state) as store:
        assert store.tellings(job.id) == (("command", command),)
    for form in FORMATS:
        name = f"answers.{form}"
        assert run("export", "--all", "-o", name, "--with-documents").returncode == 0
        text = (tmp_path / name).read_text()
        assert job.id in text and other.id in text and "It rained." in text
        assert "sk-very-secret" not in text and "T0K3N" not in text and "hooks.example" not in text
        (tmp_path / name).write_text("mine")
        refused = run("export", "--all", "-o", name)
        assert refused.returncode == 2 and "--force" in refused.stderr
        assert (tmp_path / name).read_text() == "mine"
        assert run("export", job.id, "-o", name, "--force").returncode == 0
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["id"], row["answer"], row["question"]) == (job.id, "It rained.", "Who?")
    printed = run("export", job.id).stdout
    assert printed == (tmp_path / "answers.md").read_text()
    assert run("export").returncode == 2 and run("export", "nothing9").returncode == 3
    assert run("export", "--all", "-o", "none/a.md").returncode == 2
    assert not list(tmp_path.glob(".ktjob-*"))


@pytest.mark.promise
def test_no_file_is_replaced_that_would_be_lost(run: Run, tmp_path: Path, state: StateDir) -> None:
    """By result, export and batch: one that ktjob did not write or that was changed, that is
    write-protected, whose jobs are gone, and a job's own document. A script may run again."""
    first, second = ended(state, "Who?", "Where?")
    answers, plan = tmp_path / "answers.md", tmp_path / "plan.md"
    request = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}
    request["body"] = {"messages": [{"role": "user", "content": "Who?"}]}
    (tmp_path / "requests.jsonl").write_text(json.dumps(request))
    for words in (("result", first.id), ("export", first.id), ("batch", "requests.jsonl")):
        plan.write_text("an hour of work")
        refused = run(*words, "-o", "plan.md")
        assert refused.returncode == 2 and "--force" in refused.stderr, refused.stderr
        assert plan.read_text() == "an hour of work"
    for words in (("result",), ("export",)):
        for _ in range(2):  # a script
            assert run(*words, "--all", "-o", "answers.md").returncode == 0
        assert run(*words, first.id, "-o", "answers.md").returncode == 0  # both are stored
    assert run("result", first.id, "-o", "plan.md", "--force").returncode == 0
    answers.chmod(0o444)
    assert "write-protected" in run("result", first.id, "-o", "answers.md").stderr
    answers.chmod(0o644)
    assert run("result", "--all", "-o", "answers.md").returncode == 0
    with answers.open("a") as file:
        file.write("my remark")
    assert run("result", first.id, "-o", "answers.md").returncode == 2
    assert answers.read_text().endswith("my remark")
    assert run("result", first.id, second.id, "-o", "archive.md").returncode == 0
    assert run("rm", second.id, first.id).returncode == 0
    (third,) = ended(state, "When?")
    lost = run("result", third.id, "-o", "archive.md")
    assert lost.returncode == 2 and "would be lost" in lost.stderr
    source = tmp_path / Path(third.title).name
    source.write_text("the document")
    os.utime(source, (1, 1))
    for force in ((), ("--force",)):
        kept = run("result", third.id, "-o", source.name, *force)
        assert kept.returncode == 2 and f"the document of job {third.id}" in kept.stderr
        kept = run("export", third.id, "--format", "md", "-o", source.name, *force)
        assert kept.returncode == 2 and source.read_text() == "the document"


def test_jobs_that_have_not_ended_are_left_out_or_refused(
    run: Run, tmp_path: Path, state: StateDir
) -> None:
    """Left out with a filter, refused by name."""
    (job,) = ended(state, "Who?")
    with Store.open(state) as store:
        (waiting,) = put(store, "When?", not_before="2099-01-01T00:00:00.000Z")
    named = run("export", waiting.id)
    assert named.returncode == 5 and f"ktjob wait {waiting.id}" in named.stderr
    done = run("export", "--all", "--format", "jsonl")
    assert (
        json.loads(done.stdout)["id"] == job.id
        and "1 job that has not ended is left out" in done.stderr
    )
    damaged = tmp_path / "cut.jsonl"
    damaged.write_text(done.stdout[:-20])
    refused = run("import", "cut.jsonl")
    assert refused.returncode == 2 and "Nothing was imported" in refused.stderr
