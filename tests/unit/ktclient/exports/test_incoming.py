"""Files on their way in: what ktjob wrote comes back the same, all else is refused whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.ended_jobs import ANSWER, FIGURES, end, ended, put
from support.output_schema import strict

from jobs.model import Outcome
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient.config import settings as config
from ktclient.errors import BadInput
from ktclient.exports import file, incoming
from ktclient.exports.record import Contents
from ktclient.records import kinds, snapshot
from ktclient.submission import followup, renewal
from ktclient.submission.changes import Changes

ALL = Contents(documents=True, thoughts=True)
Record = dict[str, Any]


@pytest.fixture
def lines(state: StateDir) -> list[str]:
    """Three ended jobs as JSON Lines."""
    jobs = ended(state, "Who?", "Where?", "When?", label="nightly")
    with Store.open(state) as store:
        return "".join(file.pieces(store, jobs, "jsonl", ALL)).splitlines()


@pytest.fixture
def other(tmp_path: Path) -> StateDir:
    """The state directory of another machine."""
    return StateDir(tmp_path / "other")


def write(folder: Path, text: str) -> str:
    path = folder / "in.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return str(path)


@pytest.mark.promise
@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_what_was_exported_comes_back_the_same(
    form: str, state: StateDir, other: StateDir, tmp_path: Path
) -> None:
    """Succeeded or not, with thoughts; and its next export is the same."""
    answer = "An \u2028 answer about `<think>`\x85\n"
    with Store.open(state) as store:
        one, two, three = put(store, "Who?", "Where?", "When?", document="Ä story\n", label="x")
        jobs = [
            end(store, one, [("reasoning", "Hm."), ("answer", answer)]),
            end(store, two, [], Outcome.FAILED, "server_died", "it died"),
            end(store, three, [("answer", "half")], Outcome.LOST, "worker_died", None),
        ]
        text = "".join(file.pieces(store, jobs, form, ALL))
    for line in text.splitlines() if form == "jsonl" else ():
        strict("exported").validate(json.loads(line))
    stored = incoming.store(other, write(tmp_path, text))
    assert [(one.id, one.was, one.is_new) for one in stored] == [(j.id, j.id, True) for j in jobs]
    with Store.open(other) as store:
        again = "".join(file.pieces(store, store.jobs_of([job.id for job in jobs]), form, ALL))
        found = snapshot.output(store, store.job(one.id))
        assert (found.answer, found.thoughts) == (answer, "Hm.")
        assert snapshot.of_job(store, store.job(one.id)).figures == FIGURES
    before, after = (
        [without_origin(record) for record in records(whole, form)] for whole in (text, again)
    )
    assert before == after
    with pytest.raises(BadInput, match="cannot be retried"):
        kinds.require_own(store_job(other, two.id))


def records(text: str, form: str) -> list[Record]:
    if form == "json":
        found: list[Record] = json.loads(text)["jobs"]
        return found
    return [json.loads(line) for line in text.splitlines()]


def without_origin(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "imported"}


def store_job(state: StateDir, job_id: str) -> Any:
    with Store.open(state) as store:
        return store.job(job_id)


def test_an_answer_is_not_divided_a_second_time(
    lines: list[str], other: StateDir, tmp_path: Path
) -> None:
    """Where it ran, these tags were known to be its text."""
    tagged = "<think>This is how DeepSeek begins.</think> Is it?"
    record = json.loads(lines[0]) | {"answer": tagged}
    record["answer_sha256"] = hashlib.sha256(tagged.encode()).hexdigest()
    incoming.store(other, write(tmp_path, json.dumps(record)), incomplete=True)
    with Store.open(other) as store:
        assert snapshot.answer(store, store.job(record["id"])) == tagged


def changed(**fields: object) -> Callable[[Record], Record]:
    return lambda record: {**record, **fields}


def deep(name: str, **fields: object) -> Callable[[Record], Record]:
    return lambda record: {**record, name: {**record[name], **fields}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed(answer="It did not rain."), "the SHA-256 differs"),
        (deep("document", text="Another story."), "the SHA-256 differs"),
        (changed(id="../../etc/x"), "id is no id of a job"),
        (changed(state="QUEUED"), "state is not that of an ended job"),
        (changed(state=None), "state is missing"),
        (changed(task="delete"), "task is unknown"),
        (changed(created_at="yesterday"), "created_at is missing or no time"),
        (changed(finished_at="2026-11-30T08:00:00"), "finished_at is missing or no time"),
        (changed(attempt=-1), "attempt is missing or no whole number"),
        (changed(attempt=2**70), "attempt is missing or no whole number"),
        (changed(timeout="long"), "timeout is missing or no number"),
        (changed(max_tokens=True), "max_tokens is missing or no whole number"),
        (changed(group="g-../.."), "group is no id of a group"),
        (changed(cause="a cause\n"), "cause is missing or no code"),
        (changed(document=[]), "document is no JSON object"),
        (changed(document={}), "document.sha256 is missing"),
        (changed(parts=[{"part": 1}]), "parts.part is missing or no text"),
        (changed(split={"chunks": [[0, 1]]}), "split.chunks is no list"),
        (changed(counted=[1, 2]), "counted is not three numbers"),
        (changed(answer_schema="{}"), "answer_schema is no JSON object"),
        (deep("figures", prompt_tokens="many"), "figures.prompt_tokens is missing or no whole"),
        (deep("figures", completion_tokens=None), "figures.completion_tokens is missing"),
        (deep("figures", decode_seconds="1"), "figures.decode_seconds is missing or no number"),
        (deep("figures", **{"a\x1b]0;b\x07": 1}), "figures has a name that is none"),
        (changed(settings=["high"]), "settings is no JSON object"),
        (changed(settings={"effort": "x\x1b"}), "settings.effort is unknown"),
        (deep("document", sha256="../x", text=None), "document.sha256 is no SHA-256"),
        (changed(label="\ud800"), "no Unicode"),
        (deep("export", version=2), "newer ktjob"),
        (lambda record: without(record, "export"), "no export of ktjob"),
    ],
)
def test_a_record_that_is_not_as_it_was_written_imports_nothing(
    change: Callable[[Record], Record],
    why: str,
    lines: list[str],
    other: StateDir,
    tmp_path: Path,
) -> None:
    """The line is named, and the reason."""
    broken = json.dumps(change(json.loads(lines[1])))
    path = write(tmp_path, "\n".join([lines[0], broken, lines[2]]))
    with pytest.raises(BadInput, match="line 2: ") as found:
        incoming.store(other, path)
    assert why in str(found.value) and str(found.value).endswith(". Nothing was imported")
    assert not other.is_stored()


def without(record: Record, name: str) -> Record:
    return {key: value for key, value in record.items() if key != name}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("## a.txt: Who?\n\nIt rained.\n", "no export of ktjob"),
        ("id,state\nk7m2p9qx,SUCCEEDED\n", "no export of ktjob"),
        ('{"a": 1}\n{"b": 2}\n', "no export of ktjob"),
        ("[1, 2]", "no export of ktjob"),
        ('{"schema": 1, "jobs": []}', "it has no jobs"),
        ("[" * 100_000, "no export of ktjob"),
    ],
)
def test_a_file_that_ktjob_did_not_write_is_refused(
    text: str, why: str, other: StateDir, tmp_path: Path
) -> None:
    """With what to do."""
    with pytest.raises(BadInput, match=why):
        incoming.store(other, write(tmp_path, text))
    with pytest.raises(BadInput, match="cannot read"):
        incoming.store(other, str(tmp_path / "missing.jsonl"))
    assert not other.is_stored()


def test_a_file_that_was_cut_is_refused_unless_that_is_known(
    lines: list[str], state: StateDir, other: StateDir, tmp_path: Path
) -> None:
    """In a line, between lines, in one object; several exports in one file are whole."""
    with pytest.raises(BadInput, match="line 3: it is no JSON; the file was cut"):
        incoming.read(write(tmp_path, "\n".join([*lines[:2], lines[2][:-9]])))
    with pytest.raises(BadInput, match="it ends after 2 records of 3"):
        incoming.read(write(tmp_path, "\n".join(lines[:2])))
    with pytest.raises(BadInput, match="after record 1 comes record 3 of 3"):
        incoming.read(write(tmp_path, "\n".join([lines[0], lines[2]])))
    with Store.open(state) as store:
        jobs = store.jobs_of([json.loads(line)["id"] for line in lines])
        whole = "".join(file.pieces(store, jobs, "json", ALL))
    with pytest.raises(BadInput, match="its JSON does not end well"):
        incoming.read(write(tmp_path, whole[: len(whole) // 2]))
    assert len(incoming.read(write(tmp_path, "\n".join(lines * 2)))) == 6
    cut = [*lines[:2], lines[2][:-9]]
    with pytest.raises(
        BadInput, match=r"line 3: .* To import the lines before it, add --incomplete"
    ):
        incoming.read(write(tmp_path, "\n".join(cut)))
    left = incoming.read(write(tmp_path, "\n".join(cut)), incomplete=True)
    assert [one.id for one in left] == [json.loads(line)["id"] for line in lines[:2]]
    for damaged in (cut[::-1], [*cut, ""], cut[2:]):  # not the last line, a whole one, the only one
        with pytest.raises(BadInput, match="Nothing was imported"):
            incoming.read(write(tmp_path, "\n".join(damaged)), incomplete=True)
    filtered = write(tmp_path, lines[2] + "\n" + lines[0])
    assert [one.is_new for one in incoming.store(other, filtered, incomplete=True)] == [True, True]


def test_control_characters_of_a_file_reach_no_terminal(
    lines: list[str], other: StateDir, tmp_path: Path
) -> None:
    """Of all that is shown on one line; answers are printed by what makes them safe."""
    evil, record = "x\x1b]0;evil\x07\u009by\nz", json.loads(lines[0])
    record |= {"message": evil, "label": evil, "server": evil, "model": evil, "thinking": evil}
    record["document"]["name"] = evil
    record["figures"] |= {"warning": evil, "asked": [evil, {"a": evil}]}
    record["remarks"], record["export"]["of"] = [evil], 1
    incoming.store(other, write(tmp_path, json.dumps(record)))
    with Store.open(other) as store:
        now = snapshot.of_job(store, store.job(record["id"]))
    for text in (now.message, now.label, now.server, now.model, now.thinking, now.title):
        assert text == "x\ufffd]0;evil\ufffd\ufffdy z"
    assert "\\u001b" not in json.dumps(now.to_dict()) and "\x1b" not in json.dumps(now.figures)


def test_what_was_imported_without_its_document_cannot_be_asked_about(
    state: StateDir, other: StateDir, tmp_path: Path
) -> None:
    """And an empty document never takes the place of the real one."""
    (job,) = ended(state, "Who?")
    with Store.open(state) as store:
        text = "".join(file.pieces(store, [job], "jsonl", Contents()))
    assert "A story." not in text
    incoming.store(other, write(tmp_path, text))
    with Store.open(other) as store:
        found = store.job(job.id)
        origin = snapshot.of_job(store, found).imported
        assert origin is not None and origin["has_document"] is False
        assert origin["sha256"] == job.document != found.document
        (submitted,) = put(store, "Why?")
        assert store.document(submitted.document) == b"A story."
        assert snapshot.answer(store, found) == ANSWER
    settings = replace(config.load(), state=other)
    with pytest.raises(BadInput, match="imported without its document"):
        renewal.rerun([job.id], Changes(), settings)
    with pytest.raises(BadInput, match="imported without its document"):
        followup.prepare(job.id, "Why?", settings)


@pytest.mark.promise
def test_a_file_that_is_too_large_is_refused_unread(
    lines: list[str], other: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do; and blank lines around what is not too large do no harm."""
    text = "\n\n  " + "\n".join(lines) + "\n\n"
    monkeypatch.setattr(incoming, "MOST_BYTES", len(text.encode()) - 1)
    with pytest.raises(BadInput, match=r"more than .* bytes\. Export fewer jobs at a time"):
        incoming.store(other, write(tmp_path, text))
    assert not other.has_database()
    monkeypatch.setattr(incoming, "MOST_BYTES", len(text.encode()))
    assert len(incoming.store(other, write(tmp_path, text))) == len(lines)
