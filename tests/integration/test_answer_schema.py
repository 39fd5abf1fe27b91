"""Answers by a schema: asked for, held against it, from a server that refuses schemas too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_sglang.process import fake_sglang
from support.commands import Run

from ktclient import errors, submit_long

PERSON: dict[str, object] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "place": {"type": "string"}},
    "required": ["name", "place"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A story.")
    (tmp_path / "person.json").write_text(json.dumps(PERSON))


def test_the_answer_is_data(run: Run, tmp_path: Path) -> None:
    """Asked for by the protocol and in words; stdout is the JSON, `--json` has it as an object."""
    wanted = {"name": "Ann", "place": "Ann"}
    with fake_sglang(tmp_path, "--answer", "Ann") as server:
        options = ("--schema", "person.json", "--ask", "Who?", "--server", server.url, "--wait")
        plain, listed = run("submit", "a.txt", *options), run("submit", "a.txt", *options, "--json")
        sent = server.requests()
    assert json.loads(plain.stdout) == wanted and "note: the answer" not in plain.stderr
    assert json.loads(listed.stdout)["data"] == wanted
    assert sent[0]["response_format"]["json_schema"]["schema"] == PERSON
    assert json.dumps(PERSON) in sent[0]["messages"][0]["content"]


@pytest.mark.promise
def test_all_that_the_end_needs_is_loaded_before_the_request(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade in the half hour between them may have put other modules in their place, or none.
    Without a schema nothing was to be loaded anyway."""
    imported = tmp_path / "imported"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support" / "importing"))
    monkeypatch.setenv("KTJOB_IMPORTED", str(imported))
    with fake_sglang(tmp_path, "--answer", "long ago") as server:
        for more in (("--schema", "person.json"), ()):
            run("submit", "a.txt", *more, "--server", server.url, "--wait")
    assert imported.read_text() == "\n\n"


@pytest.mark.promise
def test_what_does_not_follow_is_told_and_kept(run: Run, tmp_path: Path) -> None:
    """A success all the same, with the whole text; in the figures and for people."""
    (tmp_path / "number.json").write_text('{"properties": {"year": {"type": "integer"}}}')
    with fake_sglang(tmp_path, "--answer", "long ago") as server:
        told = run("submit", "a.txt", "--schema", "number.json", "--server", server.url, "--wait")
    assert told.returncode == 0 and json.loads(told.stdout) == {"year": "long ago"}
    assert "does not follow the schema: 'long ago' is not of type 'integer'" in told.stderr
    (job,) = json.loads(run("status", "--json").stdout)
    assert "(at $.year)" in job["figures"]["schema_mismatch"]


@pytest.mark.promise
@pytest.mark.parametrize("flavour", ["kt", "upstream"])
def test_a_server_without_schemas_is_asked_without_one(
    tmp_path: Path, ktjob_home: Path, flavour: str
) -> None:
    """Within the same attempt, one prefill; its answer is found in what stands around it, and of
    the refusal's own word nothing is left."""
    written = 'Sure: {"name": "Emma", "place": "Highbury"} as you wished.'
    options = ("--grammar", "none", "--flavour", flavour, "--answer", written)
    with fake_sglang(tmp_path, *options) as server:
        job = submit_long("A story.", ask="Who?", schema=PERSON, server=server.url)
        assert job.data(60) == {"name": "Emma", "place": "Highbury"}
        assert ["response_format" in one for one in server.requests()] == [True, False]
        assert len(server.events("prefill_started")) == 1
    assert job.result() == written and job.status().attempt == 1
    assert "schema_mismatch" not in job.status().figures


def test_a_bad_schema_is_refused(run: Run, tmp_path: Path) -> None:
    """Before any server is asked; nothing is stored."""
    (tmp_path / "bad.json").write_text('{"type": "objekt"}')
    with fake_sglang(tmp_path) as server:
        for name in ("bad.json", "gone.json"):
            refused = run("submit", "a.txt", "--schema", name, "--server", server.url)
            assert (refused.returncode, refused.stdout) == (2, "") and name in refused.stderr
        with pytest.raises(errors.BadInput):
            submit_long("A story.", schema={"type": "objekt"}, server=server.url)
        assert server.requests() == []
    assert json.loads(run("status", "--json").stdout) == []


def test_a_real_grammar_makes_the_structure(ktjob_home: Path, cache_env: dict[str, str]) -> None:
    """llama.cpp with a model of 135M: an enum leaves it no choice of form."""
    schema: dict[str, object] = {
        "type": "object",
        "properties": {
            "mood": {"enum": ["calm", "stormy"]},
            "people": {"type": "integer", "minimum": 0, "maximum": 9},
        },
        "required": ["mood", "people"],
        "additionalProperties": False,
    }
    job = submit_long(
        "The ferry to Mull was late, because of the fog. Ann waited for it with her dog.\n",
        ask="How is the mood, and how many people are there?",
        schema=schema,
        server="embedded",
        max_tokens=200,
    )
    found = job.data(150)
    assert isinstance(found, dict) and found["mood"] in ("calm", "stormy")
    assert found["people"] in range(10) and "schema_mismatch" not in job.status().figures
