"""Each shape of each table, sent to a real job. README.md explains the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support import processes

from conformance.shapes.sending import Script, sending
from jobs.store.state_dir import StateDir
from jobs.store.store import Store
from ktclient import Job, submit_batch, submit_long
from ktclient.cli.ktjob import ktjob
from ktclient.records import snapshot

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
SENT = {"frames", "body", "hex", "status", "type", "headers", "ends", "when", "unless"}
FIELDS = {
    *("name", "why", "then", "models", "submit", "line", "state", "cause", "answer", "thoughts"),
    *("finish", "tokens", "says", "not_said", "warns", "came", "asked", "message", *SENT),
}
DOCUMENT = "The ferry to the island was cancelled because of the storm. Nobody was hurt.\n" * 20


def shapes() -> Iterator[tuple[str, dict[str, Any]]]:
    for table in sorted(HERE.glob("*.toml")):
        for shape in tomllib.loads(table.read_text(encoding="utf-8"))["shape"]:
            yield f"{table.stem}: {shape['name']}", shape


SHAPES = list(shapes())


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateDir]:
    """One state directory for all shapes."""
    state = StateDir(tmp_path_factory.mktemp("shapes") / "state").create()
    yield state
    processes.end_all(state)


@pytest.fixture
def runner(kept: StateDir, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    """A runner that stays, because a job is to begin tomorrow: starting one takes longer than a
    shape does."""
    monkeypatch.setenv("KTJOB_HOME", str(kept.root))
    with Store.open(kept) as store:
        is_kept = bool(store.newest(1))
    if not is_kept:
        with sending({"body": ""}) as (url, _):
            submit_long("text", server=url, at="+24h")
    return kept


def test_each_table_has_only_known_fields_and_each_shape_a_name_and_a_reason() -> None:
    names = [name for name, _ in SHAPES]
    assert len(names) == len(set(names)) > 0
    for name, shape in SHAPES:
        assert not shape.keys() - FIELDS, name
        assert shape["why"] and shape["state"], name
        assert all(not answer.keys() - SENT for answer in shape.get("then", ())), name


@pytest.mark.parametrize("shape", [pytest.param(shape, id=name) for name, shape in SHAPES])
def test_what_ktjob_makes_of_it(shape: dict[str, Any], runner: StateDir, tmp_path: Path) -> None:
    with sending(shape) as (url, script):
        job = _submitted(shape, url, tmp_path).wait()
    with Store.open(runner) as store:
        found = _found(store, job, script, tmp_path)
    expected = {name: shape[name] for name in found.keys() & shape.keys()}
    if isinstance(expected.get("message"), str):
        expected["message"] = json.loads(expected["message"])
    assert {name: found[name] for name in expected} | {"asked": found["asked"]} == {
        "asked": 1,
        **expected,
    }, job.status().message
    _check_words(shape, job)


def _submitted(shape: dict[str, Any], url: str, folder: Path) -> Job:
    if "line" not in shape:
        # Each its own question: the same one twice is an answer that there is already.
        ask = {"ask": f"What of {shape['name']}?", "max_tokens": 100}
        return submit_long(DOCUMENT, server=url, **{**ask, **shape.get("submit", {})})
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    file = folder / "requests.jsonl"
    file.write_text(json.dumps({**line, "body": json.loads(shape["line"])}) + "\n")
    return submit_batch(file, output=folder / "results.jsonl", server=url, max_attempts=2)


def _found(store: Store, job: Job, script: Script, folder: Path) -> dict[str, Any]:
    """What became of it, by the fields of a shape that are compared as they are."""
    now, output = job.status(), snapshot.output(store, store.job(job.id))
    figures = now.figures
    found = {
        "answer": output.answer,
        "thoughts": output.thoughts,
        "state": now.state,
        "cause": now.cause,
        "finish": figures.get("finish_reason"),
        "tokens": [figures.get("prompt_tokens"), figures.get("completion_tokens")],
        "asked": len(script.asked),
    }
    results = folder / "results.jsonl"
    if results.exists():
        response = json.loads(results.read_text())["response"]
        found["message"] = response and response["body"]["choices"][0]["message"]
    return found


def _check_words(shape: dict[str, Any], job: Job) -> None:
    now = job.status()
    for words in shape.get("says", ()):
        assert words in (now.message or "")
    for words in shape.get("not_said", ()):
        assert words not in (now.message or "")
    for words in shape.get("warns", ()):
        assert words in str(now.figures.get("warning"))
    if "came" in shape:
        shown = CliRunner().invoke(ktjob, ["show", job.id]).output
        _, heading, received = shown.partition("\nreceived   ")
        assert heading
        for words in shape["came"]:
            assert words in received
